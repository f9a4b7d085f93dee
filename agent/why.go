package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"
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
	pins    map[uint64]pin // by file; the agent itself has their files open
	status  *Status        // of the running agent; nil where it could not be asked
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
		q.entries, q.pins, q.status, q.running, q.pid = s.Entries, s.pins, s.Status, s.Running, s.PID
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

// setState sets the state unless a stronger one is there.
func (w *Why) setState(s string) {
	if w.State == "" {
		w.State = s
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
