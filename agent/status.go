package agent

import (
	"fmt"
	"os"
	"time"

	"shiplog/tailer"
)

// StatusVersion is the version of Status as JSON. Members are added without
// changing it.
const StatusVersion = 1

// Status is how the agent stands, as /status shows it.
type Status struct {
	Version  int         `json:"version"`
	Started  time.Time   `json:"started"`
	Healthy  bool        `json:"healthy"`
	Problems []string    `json:"problems"` // why it is not healthy, with the remedy
	Admin    string      `json:"admin"`    // address of the admin server
	Files    []FileState `json:"files"`
	Skipped  []Skipped   `json:"skipped"` // paths that were asked for and cannot be looked at
	Kafka    KafkaState  `json:"kafka"`
	Pins     PinState    `json:"pins"`
	PID      int         `json:"pid"`
	StateDir string      `json:"state_dir"`
	Totals   Totals      `json:"totals"`
	// LastReload is how the last reload of the configuration went; left out
	// where there was none.
	LastReload *ReloadState `json:"last_reload,omitempty"`
	Damaged    []string     `json:"damaged_state"` // what was found damaged in state_dir at the start
}

// ReloadState is how a reload of the configuration went.
type ReloadState struct {
	At    time.Time `json:"at"`
	Error string    `json:"error,omitempty"` // why nothing was changed
}

// FileState is how one file stands. Offsets and sizes are raw bytes.
type FileState struct {
	ID           string    `json:"id"` // 16 hexadecimal digits, as in the header src
	Input        string    `json:"input"`
	Path         string    `json:"path"`
	Origin       string    `json:"origin"` // the path under which it was found first
	State        string    `json:"state"`  // reading, idle, waiting, finished, unreadable, missing, pipe
	Reason       string    `json:"reason,omitempty"`
	Size         int64     `json:"size"`
	Read         int64     `json:"read"`
	Acknowledged int64     `json:"acknowledged"`
	Lag          int64     `json:"lag"` // size less acknowledged
	Open         bool      `json:"open"`
	Deleted      bool      `json:"deleted,omitempty"`
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
	MemoryLimit     int64         `json:"memory_limit"`
	OldestUnacked   time.Time     `json:"oldest_unacknowledged,omitzero"`
	LastAck         time.Time     `json:"last_ack,omitzero"`
	// DeadLetters and DeadLetterBytes are in the file, those of earlier runs
	// included; of them, DeadLettersDue are not in the dead letter topic yet.
	// DeadLettersWritten counts since the start.
	DeadLetters        int64       `json:"dead_letters"`
	DeadLetterBytes    int64       `json:"dead_letter_bytes"`
	DeadLettersDue     int64       `json:"dead_letters_due"`
	DeadLettersWritten int64       `json:"dead_letters_written"`
	LastErrors         []LastError `json:"last_errors"`
	Rebuilt            int64       `json:"clients_rebuilt"` // by the watchdog, since the start
}

// BrokerState is how one broker stands.
type BrokerState struct {
	ID    int32     `json:"id"` // below zero: an address of the configuration
	Addr  string    `json:"addr"`
	State string    `json:"state"`
	Since time.Time `json:"since,omitzero"`
	Error string    `json:"error,omitempty"`
}

// LastError is a problem that was, or still is.
type LastError struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}

// Totals count since the start.
type Totals struct {
	Bytes        int64 `json:"bytes"`        // raw bytes read
	Lines        int64 `json:"lines"`        // entries read, without blank lines
	Acknowledged int64 `json:"acknowledged"` // records settled: in Kafka, or dead-lettered
	Unparsed     int64 `json:"unparsed"`     // shipped whole, with the header parse_error
	Truncated    int64 `json:"truncated"`    // cut to max_line_bytes
	Partial      int64 `json:"partial"`      // shipped without a newline at their end
	Filtered     int64 `json:"filtered"`     // left out by drop or keep
	Sampled      int64 `json:"sampled"`      // left out by sample
	Limited      int64 `json:"limited"`      // left out by limit
	AlreadySent  int64 `json:"already_sent"` // left out because the run before a crash had sent them
	// Untransformed were shipped although a transformation failed, with the
	// header transform_error.
	Untransformed int64 `json:"untransformed"`
	// Shortened is how often a record was cut to what its topic takes.
	Shortened int64 `json:"shortened"`
	// Undated, with timestamp: event, is how many records have the time of their
	// sending: their entries tell no time that can be.
	Undated int64 `json:"undated"`
}

// Status returns how the agent stands. It may be called at any time.
func (a *Agent) Status() Status {
	problems := a.Problems()
	s := Status{
		Version: StatusVersion, Started: a.started, Healthy: len(problems) == 0, Problems: problems,
		Files: []FileState{}, Skipped: []Skipped{}, Kafka: a.kafkaState(), Pins: a.pins.status(), PID: os.Getpid(), StateDir: a.config().StateDir, LastReload: a.lastReload.Load(), Damaged: append([]string{}, a.damaged...),
		Totals: Totals{
			Bytes: a.counts.bytes.Load(), Lines: a.counts.entries.Load(), Acknowledged: a.counts.records.Load(),
			Unparsed: a.counts.unparsed.Load(), Truncated: a.counts.truncated.Load(), Partial: a.counts.partial.Load(),
			Filtered: a.counts.filtered.Load(), Sampled: a.counts.sampled.Load(), Limited: a.counts.limited.Load(), AlreadySent: a.counts.known.Load(), Untransformed: a.counts.untransformed.Load(),
			Shortened: a.counts.shortened.Load(), Undated: a.counts.undated.Load(),
		},
	}
	if addr := a.adminAddr.Load(); addr != nil {
		s.Admin = *addr
	}
	acked := a.ledger.progress()
	for _, f := range a.tailer.Files() {
		s.Files = append(s.Files, a.fileState(f, acked[f.ID]))
	}
	for path, reason := range a.tailer.Unreadable() {
		s.Skipped = append(s.Skipped, Skipped{path, reason})
	}
	return s
}

func (a *Agent) fileState(f tailer.Status, p progress) FileState {
	s := FileState{
		ID: f.ID.String(), Input: f.Input.Name, Path: f.Path, Origin: f.Origin, State: f.State, Reason: f.Reason,
		Size: f.Size, Read: f.Read, Acknowledged: p.offset, Open: f.Open, Deleted: f.Deleted, Pinned: a.pins.has(f.ID), CutLines: f.CutLines, ReadErrors: f.Failed,
		Encoding: f.Encoding, InvalidBytes: f.Invalid,
		LastRead: f.LastRead, LastAck: p.lastAck,
	}
	s.Lag = max(0, s.Size-s.Acknowledged)
	r := f.Input.Tag.(*route)
	s.Format, s.FormatReason = a.pipeline.format(f.ID, r)
	if s.Format == "" {
		s.Format = r.input.Format
	}
	return s
}

func (a *Agent) kafkaState() KafkaState {
	h := a.producer.Health()
	k := KafkaState{
		Topic: a.config().Kafka.Topic, Topics: append([]string{}, a.names.list()...), TopicsMax: a.config().Kafka.MaxTopics, Homeless: a.names.beyond.Load(),
		Brokers: []BrokerState{}, InFlightBytes: h.InFlightBytes, InFlightRecords: h.InFlightRecords, MemoryLimit: h.Budget,
		Rebuilt: h.Rebuilt, OldestUnacked: h.Oldest, LastAck: h.LastAck, LastErrors: []LastError{},
		DeadLetters: h.DeadLetters.Count, DeadLetterBytes: h.DeadLetters.Bytes, DeadLettersDue: h.DeadLetters.Due, DeadLettersWritten: h.DeadLetters.Written,
	}
	for _, b := range h.Brokers {
		k.Brokers = append(k.Brokers, BrokerState{ID: b.ID, Addr: b.Addr, State: string(b.State), Since: b.Since, Error: b.LastError})
	}
	for _, e := range h.LastErrors {
		k.LastErrors = append(k.LastErrors, LastError{e.At, e.Text})
	}
	return k
}

// Problems returns why the agent is not well, each with what to do about it;
// none if it is.
func (a *Agent) Problems() []string {
	out := a.producer.Health().Problems
	if text := a.waiting.Load(); text != nil {
		out = append(out, *text)
	}
	if text := a.saveFault.Load(); text != nil {
		out = append(out, *text)
	}
	for _, f := range a.tailer.Files() {
		if f.State == "unreadable" {
			out = append(out, fmt.Sprintf("%s cannot be read: %s", f.Path, f.Reason))
		}
	}
	for path, reason := range a.tailer.Unreadable() {
		out = append(out, fmt.Sprintf("%s cannot be looked at: %s", path, reason))
	}
	return append(out, a.pins.problems()...)
}
