package agent

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"shiplog/agent/checkpoint"
)

// Verification says what of the files has arrived.
type Verification struct {
	// Complete says that nothing is missing: no file has a gap, or bytes of which
	// nothing is known, and no record differs from its file.
	Complete bool `json:"complete"`
	// Repeated says that something came more than once, or out of order.
	Repeated  bool        `json:"repeated"`
	Began     time.Time   `json:"began"`
	State     string      `json:"state,omitempty"` // the state directory that was used
	Running   bool        `json:"agent_runs"`
	Topics    []TopicRead `json:"topics"`
	Files     []FileProof `json:"files"`
	Gone      []GoneProof `json:"gone"` // sources whose files are not there
	Notes     []string    `json:"notes"`
	Records   int64       `json:"records"`
	Foreign   int64       `json:"foreign_records"`   // without the headers of shiplog
	Malformed int64       `json:"malformed_records"` // with headers that make no sense
}

// TopicRead is what was read of one partition.
type TopicRead struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Start     int64  `json:"start"` // offsets [start,end) were read
	End       int64  `json:"end"`
	LogStart  int64  `json:"log_start"` // what is before has left the topic
	Records   int64  `json:"records"`
}

// FileProof says what of a file has arrived. Counts are bytes of the raw file, of
// a compressed one those of its content; lines are counted from 1.
type FileProof struct {
	Path        string   `json:"path"`
	Compression string   `json:"compression,omitempty"`
	Matched     string   `json:"matched"` // how it was found in the topics
	Sources     []string `json:"sources"` // the ids under which it came
	CopyOf      string   `json:"copy_of,omitempty"`
	Problem     string   `json:"problem,omitempty"` // why it could not be verified
	Size        int64    `json:"size"`
	Covered     int64    `json:"covered"`
	Records     int64    `json:"records"`

	Blank        int64        `json:"blank"`         // blank lines, NUL bytes, a byte order mark: never sent
	Unfinished   int64        `json:"unfinished"`    // a last line without a newline: not sent yet
	Pending      int64        `json:"pending"`       // behind the checkpoint of the agent that runs
	DeadLettered int64        `json:"dead_lettered"` // in the dead letter file
	Skipped      []SkipProof  `json:"skipped"`       // left out on purpose
	Unknown      int64        `json:"unknown"`       // perhaps left out on purpose: the journal was too small, or damaged
	Unseen       int64        `json:"unseen"`        // perhaps in a part of the topic that is gone
	NotRead      int64        `json:"not_read"`      // perhaps in a part of the topic that was not to be read
	GapBytes     int64        `json:"gap_bytes"`
	GapLines     int64        `json:"gap_lines"`
	GapCount     int64        `json:"gap_count"`
	UnsentBytes  int64        `json:"unsent_bytes"` // of GapBytes: behind the checkpoint, no agent runs
	Gaps         []Gap        `json:"gaps"`
	RepeatBytes  int64        `json:"repeat_bytes"` // bytes that came more than once
	RepeatCount  int64        `json:"repeat_count"`
	Repeats      []Repeat     `json:"repeats"`
	LateCount    int64        `json:"late_count"` // came behind later bytes, within a partition
	Late         []Late       `json:"late"`
	Compared     int64        `json:"compared"`  // records whose value was compared with the file
	Otherwise    int64        `json:"otherwise"` // of these: the same message in an envelope that the configuration would not make today
	Unsure       int64        `json:"unsure"`    // of these: the parser's state at that place is not known
	DifferCount  int64        `json:"differ_count"`
	Differ       []Difference `json:"differ"`
}

// Gap is a range that never came.
type Gap struct {
	Start  int64    `json:"start"`
	End    int64    `json:"end"`
	Line   int64    `json:"line"` // number of its first line
	Lines  int64    `json:"lines"`
	Unsent bool     `json:"unsent"` // behind the checkpoint: it is sent when an agent runs
	Text   []string `json:"text"`   // the lines themselves, as far as they are shown
}

// Repeat is a range that came more than once.
type Repeat struct {
	Start int64  `json:"start"`
	End   int64  `json:"end"`
	Times uint32 `json:"times"` // how often it came in all
}

// Late is a range that came behind later bytes of its file.
type Late struct {
	Start     int64  `json:"start"`
	End       int64  `json:"end"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"` // of the record, in Kafka
}

// Difference is a record that does not say what the file has in its range.
type Difference struct {
	Start     int64  `json:"start"`
	End       int64  `json:"end"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Why       string `json:"why"`
}

// SkipProof is how much was left out for one reason.
type SkipProof struct {
	Reason string `json:"reason"`
	Bytes  int64  `json:"bytes"`
}

// GoneProof is a source that the topics, or the checkpoint, know, and whose file
// is not there.
type GoneProof struct {
	Source      string `json:"source"`
	Path        string `json:"path"`
	Host        string `json:"host,omitempty"`
	Records     int64  `json:"records"`
	Covered     int64  `json:"covered"`      // bytes
	End         int64  `json:"end"`          // the last byte that came
	Holes       int64  `json:"holes"`        // bytes before End that never came: blank lines, or a loss
	RepeatBytes int64  `json:"repeat_bytes"` // bytes that came more than once
	Checkpoint  int64  `json:"checkpoint"`   // the acknowledged offset; -1: it is not in the checkpoint
}

// Incomplete reports whether bytes of the file are missing, or may be.
func (f *FileProof) Incomplete() bool {
	return f.Problem != "" || f.GapBytes+f.Unknown+f.Unseen+f.DifferCount > 0
}

// Again reports whether something came more than once, or out of order.
func (f *FileProof) Again() bool { return f.RepeatCount+f.LateCount > 0 }

// SkippedBytes returns how much was left out on purpose.
func (f *FileProof) SkippedBytes() (n int64) {
	for _, s := range f.Skipped {
		n += s.Bytes
	}
	return n
}

// known counts bytes of which it is known why they did not come.
func (f *FileProof) known(k lack, n int64) {
	switch k.kind {
	case lackDead:
		f.DeadLettered += n
	case lackSkipped:
		f.skipped(k.reason, n)
	case lackDropped:
		f.Unknown += n
	case lackUnseen:
		f.Unseen += n
	case lackNotRead:
		f.NotRead += n
	case lackPending:
		f.Pending += n
	}
}

func (f *FileProof) skipped(r checkpoint.Reason, n int64) {
	for i := range f.Skipped {
		if f.Skipped[i].Reason == r.String() {
			f.Skipped[i].Bytes += n
			return
		}
	}
	f.Skipped = append(f.Skipped, SkipProof{r.String(), n})
}

// lineText makes a line fit to be shown: what a terminal would obey is taken out.
func lineText(prefix []byte, size int64) string {
	text := strings.TrimRight(string(prefix), "\r\n")
	text = strings.Map(func(r rune) rune {
		if r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, text)
	if size > int64(len(prefix)) {
		text += "…"
	}
	return text
}
