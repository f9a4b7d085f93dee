package agent

import (
	"time"

	"shiplog/shipper"
)

// StatusVersion is the version of Status as JSON. Members are added without
// changing it; none is taken away, or gets another meaning.
const StatusVersion = 1

// Status is how the agent stands at one instant, as /status shows it.
//
// It is bounded: of the files it has a page, see [StatusQuery]; what all of them
// add up to stands in Inputs. It holds no secrets and no lines of the files.
// Times are RFC 3339; a member named …_seconds is a duration, and one that is
// not known or never was is left out.
type Status struct {
	Version      int       `json:"version"`
	At           time.Time `json:"at"`            // the instant
	AgentVersion string    `json:"agent_version"` // of the program
	Phase        string    `json:"phase"`         // starting, running, stopping
	Started      time.Time `json:"started"`
	Uptime       float64   `json:"uptime_seconds"`
	Host         string    `json:"host"` // as in the header of that name
	PID          int       `json:"pid"`
	Config       string    `json:"config_path,omitempty"`
	StateDir     string    `json:"state_dir"`
	Admin        string    `json:"admin"` // address of the admin server

	Healthy  bool     `json:"healthy"`
	Problems []string `json:"problems"` // why it is not healthy, with the remedy
	Ready    bool     `json:"ready"`
	NotReady []string `json:"not_ready"` // why it is not ready
	Stuck    []string `json:"stuck"`     // why only a restart can help

	Totals Totals `json:"totals"` // of all inputs
	Rates  Rates  `json:"rates"`
	Sums   Sums   `json:"sums"`

	Inputs []InputState `json:"inputs"`
	// Files are those that were asked for, FilesMatching how many the filters of
	// the query let through. Sums.Files is how many there are.
	Files         []FileState `json:"files"`
	FilesMatching int         `json:"files_matching"`
	// Skipped are paths that were asked for and cannot be looked at, 100 at most
	// of SkippedTotal.
	Skipped      []Skipped `json:"skipped"`
	SkippedTotal int       `json:"skipped_total"`

	Kafka      KafkaState      `json:"kafka"`
	Checkpoint CheckpointState `json:"checkpoint"`
	Pins       PinState        `json:"pins"`
	// LastReload is how the last reload of the configuration went; left out
	// where there was none.
	LastReload *ReloadState `json:"last_reload,omitempty"`
	Logged     LoggedErrors `json:"logged"`
	// LastErrors are the last warnings and errors, the newest first, 50 at most.
	LastErrors []LastError `json:"last_errors"`
	Damaged    []string    `json:"damaged_state"` // what was found damaged in state_dir at the start
}

// ReloadState is how a reload of the configuration went.
type ReloadState struct {
	At    time.Time `json:"at"`
	Error string    `json:"error,omitempty"` // why nothing was changed
	// Restart are the keys that have changed in the file since the start, and
	// take a restart.
	Restart []string `json:"restart_needed,omitempty"`
}

// InputState is what one input is, and what its files add up to.
type InputState struct {
	Name   string   `json:"name"`
	Paths  []string `json:"paths"`
	Format string   `json:"format"` // as configured
	Topic  string   `json:"topic"`
	Sums   Sums     `json:"sums"`
	Totals Totals   `json:"totals"`
	Rates  Rates    `json:"rates"`
	// Unparsed counts entries that were shipped whole, by the format that did not
	// fit; Rotations counts how files lost their names: renamed,
	// copied-truncated, truncated, compressed, deleted.
	Unparsed  map[string]int64 `json:"unparsed_by_format"`
	Rotations map[string]int64 `json:"rotations"`
}

// Sums are what files add up to now. Sizes are raw bytes; of compressed files,
// those of the text in them.
type Sums struct {
	Files  int            `json:"files"`
	Open   int            `json:"open"`     // with a descriptor
	States map[string]int `json:"by_state"` // number of files by FileState.State
	// Lag is what is not acknowledged, Pending what of that makes no complete
	// entry yet.
	Size    int64 `json:"size"`
	Lag     int64 `json:"lag"`
	Pending int64 `json:"pending"`
	// LagSeconds is how long ago the oldest byte was seen that could be
	// acknowledged and is not, since the start at most: of the file that lags the
	// longest, to within a third and two seconds. 0: nothing lags.
	LagSeconds float64 `json:"lag_seconds"`
	Deleted    int64   `json:"deleted_bytes"` // on disk, of deleted files that are still open here
}

// Rates are per second, as an average that fades over some ten seconds.
type Rates struct {
	ReadBytes         float64 `json:"read_bytes"`
	Lines             float64 `json:"lines"`
	AcknowledgedBytes float64 `json:"acknowledged_bytes"` // raw
	Acknowledged      float64 `json:"acknowledged"`       // records
}

// FileState is how one file stands. Offsets and sizes are raw bytes; of a
// compressed file, those of the text in it.
type FileState struct {
	ID     string `json:"id"` // 16 hexadecimal digits, as in the header src
	Input  string `json:"input"`
	Path   string `json:"path"`
	Origin string `json:"origin"` // the path under which it was found first
	// State is reading, idle, waiting (for its predecessor), finished (rotated and
	// read to its end), unreadable, missing (it is looked for), or pipe.
	State        string    `json:"state"`
	Reason       string    `json:"reason,omitempty"`
	Size         int64     `json:"size"`
	Read         int64     `json:"read"`
	Acknowledged int64     `json:"acknowledged"`
	Lag          int64     `json:"lag"` // size less acknowledged
	LagSeconds   float64   `json:"lag_seconds"`
	Pending      int64     `json:"pending,omitempty"` // bytes at its end that make no complete entry yet
	Rate         float64   `json:"rate"`              // bytes acknowledged per second, of late
	Open         bool      `json:"open"`
	Deleted      bool      `json:"deleted,omitempty"`
	Rotated      bool      `json:"rotated,omitempty"`
	Compressed   bool      `json:"compressed,omitempty"`
	Pinned       bool      `json:"pinned,omitempty"`
	CutLines     int64     `json:"cut_lines,omitempty"`
	ReadErrors   int64     `json:"read_errors,omitempty"`   // how often reading it failed since the start; it is tried again
	Format       string    `json:"format"`                  // as configured, or as auto has chosen
	FormatReason string    `json:"format_reason,omitempty"` // why auto has chosen it; nothing is chosen before the first entry
	Encoding     string    `json:"encoding,omitempty"`      // as recognised, or as configured
	InvalidBytes int64     `json:"invalid_bytes,omitempty"` // how often bytes were no text in it, and became U+FFFD; not counted in UTF-8
	LastRead     time.Time `json:"last_read,omitzero"`
	LastAck      time.Time `json:"last_ack,omitzero"`
}

// fileStates are the words of FileState.State.
func fileStates() []string {
	return []string{"reading", "idle", "waiting", "finished", "unreadable", "missing", "pipe"}
}

// PinState is how the pins of rotated files stand.
type PinState struct {
	Files    int   `json:"files"`
	Bytes    int64 `json:"bytes"` // that they hold
	Quota    int64 `json:"quota"`
	Unpinned int   `json:"unpinned"` // rotated files that should be pinned and are not
	Refused  int64 `json:"refused"`  // files that were not pinned at first, since the start
}

// Skipped is a path without a file behind it that could be read.
type Skipped struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// KafkaState is how the connection to Kafka stands.
type KafkaState struct {
	Topic string `json:"topic"` // or its template
	// Topics are those that templates have led to; TopicsMax is how many there may
	// be, and Homeless counts the entries since the start that had no place.
	Topics          []string      `json:"topics"`
	TopicsMax       int           `json:"topics_max"`
	Homeless        int64         `json:"homeless"`
	Brokers         []BrokerState `json:"brokers"`
	InFlightBytes   int64         `json:"in_flight_bytes"`
	InFlightRecords int           `json:"in_flight_records"`
	MemoryLimit     int64         `json:"memory_limit"` // the budget of InFlightBytes
	OldestUnacked   time.Time     `json:"oldest_unacknowledged,omitzero"`
	OldestSeconds   float64       `json:"oldest_unacknowledged_seconds"` // 0: nothing is in flight
	LastAck         time.Time     `json:"last_ack,omitzero"`
	// DeadLetters and DeadLetterBytes are in the file, those of earlier runs
	// included; of them, DeadLettersDue are not in the dead letter topic yet.
	// DeadLettersWritten counts since the start.
	DeadLetters        int64 `json:"dead_letters"`
	DeadLetterBytes    int64 `json:"dead_letter_bytes"`
	DeadLettersDue     int64 `json:"dead_letters_due"`
	DeadLettersWritten int64 `json:"dead_letters_written"`
	// Errors counts attempts to produce that failed and are repeated, and looks
	// each second that found why nothing arrives, by reason: Kafka's name of the
	// error, or network, timeout, no_acknowledgement, key_missing,
	// dead_letter_file, other.
	Errors  map[string]int64 `json:"errors"`
	Rebuilt int64            `json:"clients_rebuilt"` // by the watchdog, since the start
}

// BrokerState is how one broker stands.
type BrokerState struct {
	ID       int32     `json:"id"` // below zero: an address of the configuration
	Addr     string    `json:"addr"`
	State    string    `json:"state"` // connected, idle (no connection is needed now), unreachable
	Since    time.Time `json:"since,omitzero"`
	Error    string    `json:"error,omitempty"` // the last failure to connect
	Failures int64     `json:"failures"`        // to connect, since the start
}

// brokerStates are the words of BrokerState.State.
func brokerStates() []string {
	return []string{string(shipper.BrokerConnected), string(shipper.BrokerIdle), string(shipper.BrokerUnreachable)}
}

// CheckpointState is how the saving of the checkpoint goes.
type CheckpointState struct {
	Saves       int64     `json:"saves"` // since the start
	Failures    int64     `json:"failures"`
	LastSave    time.Time `json:"last_save,omitzero"` // that went well
	LastSeconds float64   `json:"last_save_seconds"`  // that the last save took
	Error       string    `json:"error,omitempty"`    // why the last save failed
}

// LoggedErrors count what was logged since the start.
type LoggedErrors struct {
	Warnings int64 `json:"warnings"`
	Errors   int64 `json:"errors"`
}

// Totals count since the start.
type Totals struct {
	Bytes        int64 `json:"bytes"`        // raw bytes read
	Lines        int64 `json:"lines"`        // entries read, without blank lines
	Records      int64 `json:"records"`      // made of them, to be sent
	Acknowledged int64 `json:"acknowledged"` // records settled: in Kafka, or dead-lettered
	// AcknowledgedBytes are raw, what is left out of the files on purpose included.
	AcknowledgedBytes int64 `json:"acknowledged_bytes"`
	Unparsed          int64 `json:"unparsed"`     // shipped whole, with the header parse_error
	Truncated         int64 `json:"truncated"`    // cut to max_line_bytes
	Partial           int64 `json:"partial"`      // shipped without a newline at their end
	Filtered          int64 `json:"filtered"`     // left out by drop or keep
	Sampled           int64 `json:"sampled"`      // left out by sample
	Limited           int64 `json:"limited"`      // left out by limit
	AlreadySent       int64 `json:"already_sent"` // left out because the run before a crash had sent them
	// Untransformed were shipped although a transformation failed, with the
	// header transform_error.
	Untransformed int64 `json:"untransformed"`
	// Shortened is how often a record was cut to what its topic takes; it is
	// counted for all inputs together.
	Shortened int64 `json:"shortened"`
	// Undated, with timestamp: event, is how many records have the time of their
	// sending: their entries tell no time that can be.
	Undated   int64 `json:"undated"`
	LostBytes int64 `json:"lost_bytes"` // seen in files that were truncated or removed before they were read
}
