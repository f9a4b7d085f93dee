package agent

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"shiplog/agent/checkpoint"
	"shiplog/agent/config"
	"shiplog/tailer"
)

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
	if e := q.unreadable(d); e != nil {
		return e, bySelf
	}
	return copied, byContent
}

// unreadable returns the entry of a file that the agent has met there and cannot
// read: its content can prove nothing.
func (q *question) unreadable(d *pathInfo) *checkpoint.Entry {
	for i := range q.entries {
		e := &q.entries[i]
		if d.kind != pathFile || e.Dev != d.dev || e.Ino != d.ino {
			continue
		}
		if f, _ := q.live(e); f != nil && f.State == "unreadable" && (f.Path == q.file || f.Path == d.real) {
			return e
		}
	}
	return nil
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
	kept, pinned := q.pins[e.ID]
	if d.kind != pathFile {
		size = max(offset, kept.size)
		if live != nil {
			size = live.Size
		}
		w.Size = &size
	}
	say("%d of %d bytes are acknowledged.", min(offset, size), size)
	if pinned && live == nil {
		say("A pin keeps it in the state directory, from where an agent reads on: %s.", Printable(kept.path))
	}
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
