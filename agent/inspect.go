package agent

import (
	"encoding/json"
	"errors"
	"io"
	"time"

	"shiplog/agent/config"
	"shiplog/agent/envelope"
	"shiplog/agent/parse"
	"shiplog/agent/transform"
	"shiplog/tailer"
)

// Inspector reads logs as the agent does with an input of the configuration, and
// sends nothing. It is safe for concurrent use.
type Inspector struct {
	encoder *Encoder
	format  string
	input   tailer.Input
}

// NewInspector returns an inspector for an input of the configuration. Its error
// is of type config.Errors where the configuration is at fault.
func NewInspector(c *config.Config, in *config.Input) (*Inspector, error) {
	enc, err := NewInputEncoder(c, in)
	if err != nil {
		return nil, err
	}
	input, err := TailerInput(in)
	return &Inspector{enc, in.Format, input}, err
}

// Inspected is what would become of one entry.
type Inspected struct {
	JSON     []byte           // what would be sent, without a newline; nil where nothing would be
	Unparsed string           // why it is shipped whole
	Failed   string           // the transformation that failed
	Action   transform.Action // why it is not sent, unless it is Ship
	Level    string           // "" where none is told
}

// Inspection is what was found in one file or stream.
type Inspection struct {
	Format   string // that was used, as configured or chosen
	Reason   string // why it was chosen; "" where it was configured
	Encoding string // as recognised, or as configured
	Entries  int
	Unparsed map[string]int // entries shipped whole, by reason
	Failed   map[string]int // entries of which a transformation failed, sent or not, by reason
	Refused  int            // entries that would be dead letters
	Left     int            // entries left out on purpose
	Cut      int            // entries of which a limit took something off
	Joined   int            // entries of several lines
	Longest  int            // lines of the longest entry
	Times    int            // entries that tell when they were written
	Levels   map[string]int // entries by level
}

// Whole returns the number of entries that did not parse.
func (i *Inspection) Whole() (n int) {
	for _, m := range i.Unparsed {
		n += m
	}
	return n
}

// Read reads a stream to its end, and hands what would become of each entry to
// fn, which may use it until it returns. It ends with the stream's error, or
// with that of fn, and tells what was found until then. See tailer.ErrQuiet for
// streams that wait.
func (n *Inspector) Read(r io.Reader, fn func(*Inspected) error) (*Inspection, error) {
	found := &Inspection{Unparsed: map[string]int{}, Failed: map[string]int{}, Levels: map[string]int{}}
	h := &headReader{r: r}
	file := n.encoder.File(0, nil)
	var e, whole envelope.Envelope
	var line []byte
	err := tailer.Lines(h, n.input, func(entry tailer.Entry) error {
		if found.Entries%clockEvery == 0 {
			file.Begin(time.Now())
		}
		one := Inspected{}
		if err := file.Encode(entry.Data, &e); err != nil {
			one.Unparsed = err.Error()
		}
		seen := &e
		if e.Raw != nil { // it is sent as it stands, and looked at in another
			whole.Reset()
			whole.Raw = e.Raw
			parse.Unfold(&whole)
			seen = &whole
		}
		timed := false
		one.Level, timed = told(seen)
		result := file.Transform(&e, entry.Start)
		one.Action, one.Failed = result.Action, result.Failed
		if one.Action == transform.Ship {
			line = e.AppendJSON(line[:0])
			one.JSON = line
		}
		found.count(&entry, &one, timed)
		return fn(&one)
	})
	found.Format, found.Reason = file.Chosen()
	if found.Format == "" {
		found.Format = n.format
	}
	var encErr error
	found.Encoding, encErr = tailer.EncodingOf(n.input, h.head)
	return found, errors.Join(err, encErr)
}

// clockEvery is after how many entries the time is asked for.
const clockEvery = 256

func (i *Inspection) count(entry *tailer.Entry, one *Inspected, timed bool) {
	i.Entries++
	lines := 1
	for _, c := range entry.Data {
		if c == '\n' {
			lines++
		}
	}
	if lines > 1 {
		i.Joined++
	}
	i.Longest = max(i.Longest, lines)
	if entry.Flags&(tailer.Truncated|tailer.Split) != 0 {
		i.Cut++
	}
	if one.Unparsed != "" {
		increase(i.Unparsed, one.Unparsed)
	}
	if one.Failed != "" {
		increase(i.Failed, one.Failed)
	}
	switch one.Action {
	case transform.Ship:
	case transform.Refused:
		i.Refused++
	default:
		i.Left++
	}
	if timed {
		i.Times++
	}
	if one.Level != "" {
		increase(i.Levels, one.Level)
	}
}

// countedNames bounds the texts from a log that are counted by themselves.
const countedNames = 100

func increase(counts map[string]int, name string) {
	if _, known := counts[name]; !known && len(counts) >= countedNames {
		name = "others"
	}
	counts[name]++
}

// told returns the level that an envelope tells, and whether it tells a time.
func told(e *envelope.Envelope) (level string, timed bool) {
	for i := range e.Params {
		m := &e.Params[i]
		switch textOf(m.Key) {
		case "level":
			level = textOf(m.Value)
		case "timestamp":
			timed = true
		}
	}
	return level, timed || !e.Time.IsZero()
}

// textOf returns the text that a value is, "" where it is none.
func textOf(v envelope.Value) string {
	if v.Kind != envelope.JSON {
		return string(v.Bytes)
	}
	var s string
	if json.Unmarshal(v.Bytes, &s) != nil {
		return ""
	}
	return s
}

// headReader keeps the beginning of what it reads.
type headReader struct {
	r    io.Reader
	head []byte
}

// Read implements io.Reader.
func (h *headReader) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	if more := tailer.EncodingHead - len(h.head); more > 0 {
		h.head = append(h.head, p[:min(n, more)]...)
	}
	return n, err
}
