package agent

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"shiplog/agent/checkpoint"
	"shiplog/agent/config"
	"shiplog/tailer"
)

// Why says whether a file is being read, and why not.
type Why struct {
	File      string `json:"file"`
	FileBytes []byte `json:"file_bytes,omitempty"` // the same in base64, where it is no UTF-8
	// Read says that the file is being read, or that all of it is done.
	Read bool `json:"read"`
	// State is one word: those of FileState.State, or done, excluded, unmatched,
	// missing, folder, irregular, denied, unreadable, alias, copy, unmet, or
	// stopped: no agent runs.
	State   string   `json:"state"`
	Because []string `json:"because"` // sentences
	Input   string   `json:"input,omitempty"`
	Pattern string   `json:"pattern,omitempty"` // that matches it, or excludes it
	ID      string   `json:"id,omitempty"`      // where the file is known
	Offset  *int64   `json:"offset,omitempty"`  // up to which it is acknowledged
	Size    *int64   `json:"size,omitempty"`    // bytes
	Running bool     `json:"running"`           // an agent runs
	// Format is how the file is read, as configured or as auto has chosen, and
	// FormatReason why; "" of a file that no input asks for, or that is not known.
	Format       string `json:"format,omitempty"`
	FormatReason string `json:"format_reason,omitempty"`
}

// question is all that an answer is drawn from.
type question struct {
	file    string // absolute
	c       *config.Config
	entries []checkpoint.Entry
	status  *Status // of the running agent; nil where it could not be asked
	running bool
	pid     int
	liveOf  func(tailer.FileID) (FileState, bool) // of the agent itself; nil: status has the files
}

// ExplainFile says whether a file is being read: the agent that runs is asked,
// else configuration, state and disk are.
func ExplainFile(ctx context.Context, c *config.Config, file string) (Why, error) {
	q := question{file: filepath.Clean(file), c: c}
	s, err := ReadState(ctx, c.StateDir)
	switch {
	case errors.Is(err, fs.ErrNotExist): // no agent has ever run
	case err != nil:
		return Why{}, err
	default:
		if s.Agent != nil {
			w := Why{}
			if err := s.Agent.Call(ctx, "/why?file="+url.QueryEscape(q.file), nil, &w); err == nil {
				return w, nil
			}
		}
		q.entries, q.status, q.running, q.pid = s.Entries, s.Status, s.Running, s.PID
	}
	return q.answer()
}

// Why says whether a file is being read. It may be called at any time.
func (a *Agent) Why(file string) (Why, error) {
	if !filepath.IsAbs(file) {
		return Why{}, fmt.Errorf("%s is not an absolute path", Printable(file))
	}
	s := a.Status(StatusQuery{Limit: -1})
	q := question{file: filepath.Clean(file), c: a.config(), entries: a.ledger.entries(), status: &s, running: true, pid: s.PID, liveOf: a.File}
	return q.answer()
}

// answer puts the answer together: what the configuration says, what lies on
// the disk, what is known of it, and what the agent does.
func (q *question) answer() (Why, error) {
	w := Why{File: q.file, Because: []string{}, Running: q.running}
	if !utf8.ValidString(q.file) {
		w.FileBytes = []byte(q.file)
	}
	inputs, err := tailerInputs(q.c)
	if err != nil {
		return Why{}, err
	}
	m, err := tailer.Explain(inputs, q.file)
	if err != nil {
		return Why{}, err
	}
	d := inspectPath(q.file)
	e, how := q.known(&d)
	if e != nil {
		w.ID = tailer.FileID(e.ID).String()
	}
	if d.kind == pathFile {
		w.Size = &d.size
	}
	q.matched(&w, &m, e)
	w.Because = append(w.Because, d.says...)
	switch {
	case e != nil:
		q.knownFile(&w, e, how, &d)
	case d.kind != pathFile:
		w.State = string(d.kind)
	case !m.Wanted:
	default:
		q.unknownFile(&w)
	}
	switch { // what keeps a file from being read stands above how far it is
	case w.Read:
	case e == nil && !m.Wanted && m.Exclude != "":
		w.State = "excluded"
	case e == nil && !m.Wanted:
		w.State = "unmatched"
	}
	q.agentSays(&w)
	return w, nil
}

// matched says which pattern decides.
func (q *question) matched(w *Why, m *tailer.Match, e *checkpoint.Entry) {
	name := func() string { return q.c.Inputs[m.Input].Name }
	say := func(format string, args ...any) { w.Because = append(w.Because, fmt.Sprintf(format, args...)) }
	switch {
	case m.Wanted:
		w.Input, w.Pattern = name(), m.Pattern
		say("Input %s asks for it, by %s.", Printable(name()), Printable(m.Pattern))
	case m.Exclude != "":
		w.Input, w.Pattern = name(), m.Exclude
		say("Input %s asks for it, by %s, but leaves it out, by exclude %s.", Printable(name()), Printable(m.Pattern), Printable(m.Exclude))
	case e != nil && e.Origin != q.file: // a rotated file need not match
	case m.Nearest == "":
		say("No input has a pattern.")
	case m.Part == "":
		say("No pattern matches it. The nearest, %s of input %s, goes on with %s where the path ends.", Printable(m.Nearest), Printable(name()), Printable(m.Want))
	case m.Want == "":
		say("No pattern matches it. The nearest, %s of input %s, ends before %s.", Printable(m.Nearest), Printable(name()), Printable(m.Part))
	default:
		say("No pattern matches it. The nearest, %s of input %s, wants %s where the path has %s.", Printable(m.Nearest), Printable(name()), Printable(m.Want), Printable(m.Part))
	}
}

// sameness says how a file is known.
type sameness int

const (
	byContent sameness = iota // another file holds the same bytes
	byName                    // it was there
	bySelf                    // device, inode and content agree
)

// known returns what the checkpoint knows of the file, nil for nothing.
func (q *question) known(d *pathInfo) (*checkpoint.Entry, sameness) {
	var named, copied *checkpoint.Entry
	for i := range q.entries {
		e := &q.entries[i]
		here := d.kind == pathFile
		if here && e.Dev == d.dev && e.Ino == d.ino {
			if size, ok := prove(q.file, e); ok {
				d.size = size
				return e, bySelf
			}
		}
		atName := e.Path == q.file || e.Path == d.real || e.Origin == q.file && !e.Rotated
		if atName && !here && (named == nil || named.Found.Before(e.Found)) {
			named = e
		}
		// As the tailer does: a short beginning that two files share is no proof.
		if here && e.Offset >= provable && e.Head.Len > 0 && e.Tail.Len > 0 {
			if size, ok := prove(q.file, e); ok {
				copied, d.size = e, size
			}
		}
	}
	if named != nil {
		return named, byName
	}
	return copied, byContent
}

// provable is the offset from which on content alone tells which file it is.
const provable = 256

// prove reports whether the content at path is that of the entry, and how much
// that is: of a compressed file that was not unpacked to its end, what is
// acknowledged.
func prove(path string, e *checkpoint.Entry) (size int64, ok bool) {
	p, err := tailer.Prove(path, tailerState(e))
	if err != nil {
		return 0, false
	}
	size = p.Size
	if size < 0 {
		size = e.Offset
	}
	return size, p.Close() == nil
}

// knownFile says how far a known file is.
func (q *question) knownFile(w *Why, e *checkpoint.Entry, how sameness, d *pathInfo) {
	say := func(format string, args ...any) { w.Because = append(w.Because, fmt.Sprintf(format, args...)) }
	live, offset := q.live(e)
	w.Offset = &offset
	other := e.Origin != q.file && e.Path != q.file && e.Path != d.real
	switch {
	case how == byContent && other:
		w.State, w.Read = "copy", d.size <= offset
		say("It is a copy: its first %d of %d bytes are those of the file %s, which was found first as %s, and are acknowledged.", offset, d.size, w.ID, Printable(e.Origin))
		return
	case how == bySelf && other:
		w.State = "alias"
		say("It is read under another name, %s: both lead to the same file.", Printable(e.Path))
	case e.Origin != q.file && e.Path != e.Origin:
		say("It is known as the file %s, which was found first as %s.", w.ID, Printable(e.Origin))
	default:
		say("It is known as the file %s.", w.ID)
	}
	if !e.Gone.IsZero() {
		w.State = "missing"
		say("It was acknowledged up to %d bytes, and found to be nowhere at %s.", offset, e.Gone.UTC().Format(time.RFC3339))
		return
	}
	size := d.size
	if d.kind != pathFile {
		size = offset
		if live != nil {
			size = live.Size
		}
		w.Size = &size
	}
	say("%d of %d bytes are acknowledged.", min(offset, size), size)
	q.format(w, e, live)
	q.leftOut(w, e)
	switch {
	case live != nil:
		q.liveFile(w, live)
	case size <= offset && d.kind == pathFile:
		w.Read = true
		w.setState("done")
	case d.kind != pathFile:
		w.setState(string(d.kind))
	default:
		w.setState("stopped")
	}
}

// format says how a known file is read.
func (q *question) format(w *Why, e *checkpoint.Entry, live *FileState) {
	if live != nil {
		w.Format, w.FormatReason = live.Format, live.FormatReason
	} else if in := q.inputOf(w, e); in != nil {
		w.Format = in.Format
		if enc, err := NewInputEncoder(q.c, in); err == nil && e.Parser != nil {
			format, reason := enc.File(e.ID, e.Parser).Chosen()
			w.Format, w.FormatReason = cmp.Or(format, w.Format), reason
		}
	}
	switch {
	case w.Format == "":
	case w.Format == "auto":
		w.Because = append(w.Because, "How it is read is chosen by its first entries (format: auto).")
	case w.FormatReason != "":
		w.Because = append(w.Because, fmt.Sprintf("It is read as %s: %s.", w.Format, w.FormatReason))
	default:
		w.Because = append(w.Because, fmt.Sprintf("It is read as %s, as configured.", w.Format))
	}
}

// inputOf returns the input that reads the file, nil if none is known: the one
// that asks for it, or, of a rotated file, for the name that it had.
func (q *question) inputOf(w *Why, e *checkpoint.Entry) *config.Input {
	name := w.Input
	if inputs, err := tailerInputs(q.c); name == "" && err == nil {
		if m, err := tailer.Explain(inputs, e.Origin); err == nil && m.Wanted {
			name = q.c.Inputs[m.Input].Name
		}
	}
	for i := range q.c.Inputs {
		if q.c.Inputs[i].Name == name && name != "" {
			return &q.c.Inputs[i]
		}
	}
	return nil
}

// leftOut says what of a file was not sent on purpose.
func (q *question) leftOut(w *Why, e *checkpoint.Entry) {
	list, err := checkpoint.ReadSkips(q.c.StateDir)
	if err != nil {
		w.Because = append(w.Because, fmt.Sprintf("What was left out of it cannot be told: %v.", err))
		return
	}
	left := map[checkpoint.Reason]int64{}
	for _, s := range list.Skips {
		if s.File == e.ID {
			left[s.Reason] += s.End - s.Start
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(left)) {
		w.Because = append(w.Because, fmt.Sprintf("%d bytes of it were not sent on purpose: %s.", left[reason], reason))
	}
}

// setState sets the state unless a stronger one is there.
func (w *Why) setState(s string) {
	if w.State == "" {
		w.State = s
	}
}

// live returns what the running agent says of a file, and up to where it is
// acknowledged.
func (q *question) live(e *checkpoint.Entry) (*FileState, int64) {
	if q.status == nil {
		return nil, e.Offset
	}
	if q.liveOf != nil {
		if f, ok := q.liveOf(tailer.FileID(e.ID)); ok {
			return &f, f.Acknowledged
		}
		return nil, e.Offset
	}
	id := tailer.FileID(e.ID).String()
	for i := range q.status.Files {
		if f := &q.status.Files[i]; f.ID == id {
			return f, f.Acknowledged
		}
	}
	return nil, e.Offset
}

// liveFile says what the agent does with a file.
func (q *question) liveFile(w *Why, f *FileState) {
	say := func(format string, args ...any) { w.Because = append(w.Because, fmt.Sprintf(format, args...)) }
	w.setState(f.State)
	w.Read = f.State == "reading" || f.State == "idle" || f.State == "finished" || f.State == "pipe"
	switch f.State {
	case "reading":
		say("It is being read.")
	case "idle":
		say("It is followed: what is added to it is read.")
	case "finished":
		say("It is rotated and read to its end; late lines are still read.")
	case "pipe":
		say("It is a named pipe, and is being read.")
	case "waiting":
		say("It waits: %s.", f.Reason)
	default:
		say("It is not read: %s.", f.Reason)
	}
	if f.Pinned {
		say("A pin keeps it until it is acknowledged, should it be removed.")
	}
	if f.ReadErrors > 0 {
		say("Reading it has failed %d times since the start; nothing is left out for that.", f.ReadErrors)
	}
	if f.CutLines > 0 {
		say("%d of its lines were longer than max_line_bytes, and cut.", f.CutLines)
	}
	if f.Read > f.Acknowledged {
		say("%d bytes that were read wait for Kafka's acknowledgement.", f.Read-f.Acknowledged)
		for _, p := range q.status.Problems {
			say("The agent is not well: %s.", strings.TrimSuffix(p, "."))
		}
	}
}

// unknownFile says what becomes of a file that an input asks for and that is
// not known.
func (q *question) unknownFile(w *Why) {
	say := func(format string, args ...any) { w.Because = append(w.Because, fmt.Sprintf(format, args...)) }
	w.State = "unmet"
	if q.status != nil {
		for _, s := range q.status.Skipped {
			if s.Path == q.file {
				w.State = "unreadable"
				say("The agent cannot look at it: %s.", s.Reason)
				return
			}
		}
		say("The agent has not met it yet: it lists the folders each %s.", q.c.RescanInterval)
		return
	}
	begin := "its beginning"
	for _, in := range q.c.Inputs {
		if in.Name == w.Input && in.Start == "end" {
			begin = "its end, since the input says start: end, if it is there when the agent starts for the first time, else from its beginning"
		}
	}
	say("It was never seen; it will be read from %s.", begin)
}

// agentSays says whether an agent runs.
func (q *question) agentSays(w *Why) {
	switch {
	case q.running && q.status == nil:
		who := "An agent"
		if q.pid > 0 {
			who = fmt.Sprintf("Process %d", q.pid)
		}
		w.Because = append(w.Because, who+" has the state directory, but could not be asked (admin.listen): this is what disk and checkpoint say.")
	case !q.running:
		w.Because = append(w.Because, fmt.Sprintf("No agent runs with state_dir %s: nothing is being read now.", Printable(q.c.StateDir)))
	}
}

// Text is the answer for people: a first line that says yes or no, and the
// sentences.
func (w *Why) Text() string {
	var b bytes.Buffer
	answer := "is not being read"
	switch {
	case w.Read && (w.State == "done" || w.State == "finished"):
		answer = "is read to its end"
	case w.Read:
		answer = "is being read"
	}
	name := w.File
	if len(w.FileBytes) > 0 {
		name = string(w.FileBytes)
	}
	fmt.Fprintf(&b, "%s %s (%s).\n", Printable(name), answer, w.State)
	for _, s := range w.Because {
		fmt.Fprintf(&b, "  %s\n", s)
	}
	return b.String()
}
