package agent

import (
	"cmp"
	"maps"
	"math"
	"os"
	"slices"
	"time"

	"shiplog/shipper"
	"shiplog/tailer"
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

// skippedShown bounds Status.Skipped.
const skippedShown = 100

// Status returns how the agent stands, with the files that q asks for. It may be
// called at any time.
func (a *Agent) Status(q StatusQuery) Status {
	var rows []fileRow
	matching := 0
	s := a.look(func(all []fileRow) { rows, matching = q.page(all) })
	h := a.producer.Health()
	problems, notReady := a.problems(&h, s.at), a.notReady(&h, &s)
	st := Status{
		Version: StatusVersion, At: s.at.UTC(), AgentVersion: a.o.Version, Phase: phase(a.phase.Load()).String(),
		Started: a.started.UTC(), Uptime: seconds(s.at.Sub(a.started)), Host: string(a.pipeline.host), PID: os.Getpid(), Config: a.o.ConfigPath, StateDir: a.config().StateDir,
		Healthy: len(problems) == 0, Problems: append([]string{}, problems...), Ready: len(notReady) == 0, NotReady: notReady, Stuck: append([]string{}, a.stuck(s.at)...),
		Totals: a.counts.total(), Sums: s.all.sums(), Inputs: a.inputStates(&s),
		Files: make([]FileState, 0, len(rows)), FilesMatching: matching,
		Kafka: a.kafkaState(&h, s.at), LastReload: a.lastReload.Load(), Checkpoint: a.saver.state(), Pins: a.pins.status(),
		Logged: a.recent.counts(), LastErrors: a.recent.list(recentMax), Damaged: append([]string{}, a.damaged...),
	}
	if addr := a.adminAddr.Load(); addr != nil {
		st.Admin = *addr
	}
	for i := range st.Inputs {
		st.Rates.add(st.Inputs[i].Rates)
	}
	for i := range rows {
		if f, ok := a.tailer.File(rows[i].id); ok {
			st.Files = append(st.Files, a.fileState(f, rows[i].seconds, s.at))
		}
	}
	st.Skipped, st.SkippedTotal = skipped(a.tailer.Unreadable())
	return st
}

// inputStates returns what each input is and does.
func (a *Agent) inputStates(s *overview) []InputState {
	rs := *a.routes.Load()
	out := make([]InputState, 0, len(rs))
	for _, r := range rs {
		files := s.inputs[r.input.Name]
		if files == nil {
			files = &sums{}
		}
		is := InputState{
			Name: r.input.Name, Paths: r.input.Paths, Format: r.input.Format, Topic: r.topic,
			Sums: files.sums(), Totals: r.tally.totals(), Rates: r.tally.recent(s.at),
		}
		is.Unparsed, is.Rotations = r.tally.byKind()
		out = append(out, is)
	}
	return out
}

// sums returns what the status shows.
func (s *sums) sums() Sums {
	states := map[string]int{}
	maps.Copy(states, s.states)
	return Sums{Files: s.files, Open: s.open, States: states, Size: s.size, Lag: s.lag, Pending: s.pending, LagSeconds: round(s.seconds), Deleted: s.held}
}

// fileState returns how one file stands that was seen to lag for so long.
func (a *Agent) fileState(f tailer.Status, lagging float32, now time.Time) FileState {
	p, known := a.ledger.progress(f.ID)
	s := FileState{
		ID: f.ID.String(), Input: f.Input.Name, Path: f.Path, Origin: f.Origin, State: f.State, Reason: f.Reason,
		Size: f.Size, Read: f.Read, Acknowledged: p.offset, Pending: f.Pending, Rate: round(p.acked.rate(now)),
		Open: f.Open, Deleted: f.Deleted, Rotated: f.Rotated, Compressed: f.Packed, Pinned: a.pins.has(f.ID), CutLines: f.CutLines, ReadErrors: f.Failed,
		Encoding: f.Encoding, InvalidBytes: f.Invalid, LastRead: f.LastRead.UTC(), LastAck: p.lastAck.UTC(),
	}
	if known {
		s.Lag = max(0, s.Size-s.Acknowledged)
	}
	if s.Lag > s.Pending {
		s.LagSeconds = round(float64(lagging))
	}
	r := f.Input.Tag.(*route)
	s.Format, s.FormatReason = a.pipeline.format(f.ID, r)
	if s.Format == "" {
		s.Format = r.input.Format
	}
	return s
}

// File returns how one file stands, and whether it is known.
func (a *Agent) File(id tailer.FileID) (FileState, bool) {
	f, ok := a.tailer.File(id)
	if !ok {
		return FileState{}, false
	}
	return a.fileState(f, 0, time.Now()), true
}

func (a *Agent) kafkaState(h *shipper.Health, now time.Time) KafkaState {
	c := a.config()
	k := KafkaState{
		Topic: c.Kafka.Topic, Topics: append([]string{}, a.names.list()...), TopicsMax: c.Kafka.MaxTopics, Homeless: a.names.beyond.Load(),
		Brokers: []BrokerState{}, InFlightBytes: h.InFlightBytes, InFlightRecords: h.InFlightRecords, MemoryLimit: h.Budget,
		Rebuilt: h.Rebuilt, OldestUnacked: h.Oldest.UTC(), LastAck: h.LastAck.UTC(), Errors: h.Errors,
		DeadLetters: h.DeadLetters.Count, DeadLetterBytes: h.DeadLetters.Bytes, DeadLettersDue: h.DeadLetters.Due, DeadLettersWritten: h.DeadLetters.Written,
	}
	if !h.Oldest.IsZero() {
		k.OldestSeconds = seconds(now.Sub(h.Oldest))
	}
	for _, b := range h.Brokers {
		k.Brokers = append(k.Brokers, BrokerState{ID: b.ID, Addr: b.Addr, State: string(b.State), Since: b.Since.UTC(), Error: b.LastError, Failures: b.Failures})
	}
	return k
}

// skipped returns some of the paths that cannot be looked at, and how many
// there are.
func skipped(paths map[string]string) ([]Skipped, int) {
	out := []Skipped{}
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if len(out) == skippedShown {
			break
		}
		out = append(out, Skipped{path, paths[path]})
	}
	return out, len(paths)
}

// seconds returns a duration as the status shows it.
func seconds(d time.Duration) float64 { return round(max(0, d.Seconds())) }

// round keeps three digits after the point.
func round(x float64) float64 { return math.Round(x*1000) / 1000 }

// compareRows orders files for a person: those that cannot be read, then by lag,
// then by what goes on in them.
func compareRows(a, b *fileRow) int {
	return cmp.Or(cmp.Compare(badness(b), badness(a)), cmp.Compare(b.lag(), a.lag()), cmp.Compare(b.rate, a.rate),
		cmp.Compare(a.path, b.path), cmp.Compare(a.id, b.id))
}

// badness says how much a file's state wants a look.
func badness(r *fileRow) int {
	switch {
	case r.state == "unreadable":
		return 2
	case r.state == "missing" && r.lag() > 0:
		return 1
	}
	return 0
}
