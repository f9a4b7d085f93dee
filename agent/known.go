package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"shiplog/agent/admin"
	"shiplog/agent/checkpoint"
	"shiplog/tailer"
)

// KnownFile is what the checkpoint, the disk and, where one runs, the agent
// know of a file. Offsets and sizes are raw bytes.
type KnownFile struct {
	ID        string `json:"id"` // 16 hexadecimal digits, as in the header src
	Path      string `json:"path"`
	PathBytes []byte `json:"path_bytes,omitempty"` // the same in base64, where it is no UTF-8
	Origin    string `json:"origin"`               // the path under which it was found first
	Stream    string `json:"stream"`               // what it shares with the other files of its name
	// State is gone, replaced (another file lies there), unreadable, or else
	// rotated or there.
	State    string     `json:"state"`
	Reason   string     `json:"reason,omitempty"`
	Offset   int64      `json:"offset"`         // everything before it is acknowledged
	Saved    int64      `json:"saved_offset"`   // the same as the disk has it, which the tail mark belongs to
	Size     *int64     `json:"size,omitempty"` // where it can be told
	Lag      *int64     `json:"lag,omitempty"`  // size less offset
	Device   uint64     `json:"device"`
	Inode    uint64     `json:"inode"`
	Head     Mark       `json:"head"` // of the file's first bytes
	Tail     Mark       `json:"tail"` // of the bytes just before the offset
	Rotated  bool       `json:"rotated"`
	Pinned   bool       `json:"pinned,omitempty"`       // a pin under state_dir holds it
	Parser   int        `json:"parser_bytes,omitempty"` // length of what its parser keeps
	Seen     time.Time  `json:"seen,omitzero"`          // when it was last certainly at its path
	Found    time.Time  `json:"found,omitzero"`         // when it was found first
	Gone     time.Time  `json:"gone,omitzero"`          // when it was found to be nowhere
	LastAck  time.Time  `json:"last_ack,omitzero"`      // of the running agent
	Live     *FileState `json:"agent,omitempty"`        // what the running agent says of it
	AgentPID int        `json:"agent_pid,omitempty"`    // 0: none runs, or it is not known
	Open     []string   `json:"descriptors,omitempty"`  // of the running agent
}

// Mark is a fingerprint: the xxhash64 of so many bytes.
type Mark struct {
	Length int    `json:"length"`
	Hash   string `json:"hash"` // 16 hexadecimal digits
}

func newMark(m checkpoint.Mark) Mark { return Mark{m.Len, fmt.Sprintf("%016x", m.Hash)} }

// State is what a state directory holds, and the agent that uses it, if any.
type State struct {
	Dir     string
	Entries []checkpoint.Entry
	Running bool           // an agent uses the directory
	PID     int            // its process id; 0 where that is not known
	Agent   *admin.Access  // how to call it; nil where that is not known
	Status  *Status        // what it says of itself; nil where it could not be asked
	pins    map[uint64]pin // by file
}

// ReadState reads a state directory, and asks the agent that uses it. The
// directory is not changed.
func ReadState(ctx context.Context, dir string) (*State, error) {
	s := &State{Dir: dir}
	if fi, err := os.Stat(dir); err != nil || !fi.IsDir() {
		if err == nil {
			err = fmt.Errorf("%s is no directory", dir)
		}
		return nil, fmt.Errorf("state directory: %w", err)
	}
	var err error
	if s.Entries, err = checkpoint.ReadOnly(dir); err != nil {
		return nil, err
	}
	if s.pins, err = readPins(dir); err != nil && s.pins == nil { // of a damaged one the agent tells
		return nil, err
	}
	if access, err := admin.ReadAccess(dir); err == nil {
		// Another agent may listen at the address by now.
		if status, err := wholeStatus(ctx, access); err == nil && sameFile(dir, status.StateDir) {
			s.Running, s.PID, s.Agent, s.Status = true, status.PID, &access, status
			return s, nil
		}
	}
	s.PID, s.Running, err = checkpoint.Holder(dir)
	if err != nil {
		return nil, fmt.Errorf("lock of %s: %w", dir, err)
	}
	return s, nil
}

// wholeStatus asks an agent for its status with all files.
func wholeStatus(ctx context.Context, access admin.Access) (*Status, error) {
	var whole *Status
	q := StatusQuery{Limit: statusFilesMax, After: new(tailer.FileID)}
	for {
		var page Status
		if err := access.Call(ctx, "/status?"+q.Values().Encode(), nil, &page); err != nil {
			return nil, err
		}
		if whole == nil {
			whole = &page
		} else {
			whole.Files = append(whole.Files, page.Files...)
		}
		if len(page.Files) < q.Limit {
			return whole, nil
		}
		last, err := parseID(page.Files[len(page.Files)-1].ID)
		if err != nil {
			return nil, err
		}
		q.After = &last
	}
}

// sameFile reports whether both paths lead to the same file.
func sameFile(a, b string) bool {
	fa, err := os.Stat(a)
	if err != nil {
		return false
	}
	fb, err := os.Stat(b)
	return err == nil && os.SameFile(fa, fb)
}

// Files returns what is known of each file, sorted by ID.
func (s *State) Files() []KnownFile {
	out := make([]KnownFile, 0, len(s.Entries))
	for i := range s.Entries {
		out = append(out, s.known(&s.Entries[i]))
	}
	return out
}

// File returns what is known of one file, by its id or its path.
func (s *State) File(name string) (KnownFile, error) {
	e, err := selectEntry(s.Entries, name)
	if err != nil {
		return KnownFile{}, fmt.Errorf("state in %s: %w", s.Dir, err)
	}
	k := s.known(&e)
	if s.Running {
		k.Open = descriptors(s.PID, e.Dev, e.Ino)
	}
	return k, nil
}

// known joins what checkpoint, disk and agent know of a file.
func (s *State) known(e *checkpoint.Entry) KnownFile {
	_, pinned := s.pins[e.ID]
	k := KnownFile{
		ID: tailer.FileID(e.ID).String(), Path: e.Path, Origin: e.Origin, Stream: fmt.Sprintf("%016x", e.Stream), Offset: e.Offset, Saved: e.Offset,
		Device: e.Dev, Inode: e.Ino, Head: newMark(e.Head), Tail: newMark(e.Tail), Rotated: e.Rotated, Pinned: pinned, Parser: len(e.Parser),
		Seen: e.Seen, Found: e.Found, Gone: e.Gone,
	}
	if !utf8.ValidString(e.Path) {
		k.PathBytes = []byte(e.Path)
	}
	if s.Running {
		k.AgentPID = s.PID
	}
	if s.Status != nil {
		for i := range s.Status.Files {
			if f := &s.Status.Files[i]; f.ID == k.ID {
				k.Live, k.LastAck, k.Offset = f, f.LastAck, f.Acknowledged
			}
		}
	}
	k.look(e)
	return k
}

// look adds what the disk says.
func (k *KnownFile) look(e *checkpoint.Entry) {
	if !e.Gone.IsZero() {
		k.State, k.Reason = "gone", "not found under its name or beside it"
		return
	}
	p, err := tailer.Prove(e.Path, tailerState(e))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		k.State, k.Reason = "missing", "it is not at its path any more; the agent looks for it beside that"
		return
	case errors.Is(err, tailer.ErrOtherFile):
		k.State, k.Reason = "replaced", "its path leads to other content now: it was rotated, truncated or written anew"
		return
	case err != nil:
		k.State, k.Reason = "unreadable", err.Error()
		return
	}
	defer p.Close()
	k.State = "there"
	if e.Rotated {
		k.State = "rotated"
	}
	size := p.Size
	if size < 0 && k.Live != nil { // compressed, and not read to its end yet
		size = k.Live.Size
	}
	if size < 0 {
		return
	}
	lag := max(0, size-k.Offset)
	k.Size, k.Lag = &size, &lag
}

// tailerState is an entry as the tailer knows it.
func tailerState(e *checkpoint.Entry) tailer.State {
	return tailer.State{
		ID: tailer.FileID(e.ID), Stream: e.Stream, Origin: e.Origin, Path: e.Path, Dev: e.Dev, Ino: e.Ino,
		Head: tailer.Mark(e.Head), Offset: e.Offset, Tail: tailer.Mark(e.Tail),
		Rotated: e.Rotated, Seen: e.Seen, Gone: !e.Gone.IsZero(), Found: e.Found, Sealed: tailer.Seal(e.Sealed),
	}
}

// selectEntry returns the entry with the id or path name. Of several files
// that had a path, the one that lies there counts.
func selectEntry(entries []checkpoint.Entry, name string) (checkpoint.Entry, error) {
	if id, err := strconv.ParseUint(name, 16, 64); err == nil && len(name) == 16 {
		for _, e := range entries {
			if e.ID == id {
				return e, nil
			}
		}
		return checkpoint.Entry{}, fmt.Errorf("no file has the id %s; shiplog state list shows those that are known", name)
	}
	dev, ino, err := tailer.Identity(name)
	there := err == nil
	real := name
	if p, err := filepath.EvalSymlinks(name); err == nil {
		real = p
	}
	var same, by, gone []checkpoint.Entry
	for _, e := range entries {
		switch {
		case there && e.Dev == dev && e.Ino == ino && e.Gone.IsZero():
			same = append(same, e)
		case e.Path != name && e.Path != real:
		case e.Gone.IsZero():
			by = append(by, e)
		default:
			gone = append(gone, e)
		}
	}
	for _, found := range [][]checkpoint.Entry{same, by, gone} {
		switch len(found) {
		case 0:
		case 1:
			return found[0], nil
		default:
			ids := make([]string, len(found))
			for i, e := range found {
				ids[i] = tailer.FileID(e.ID).String()
			}
			return checkpoint.Entry{}, fmt.Errorf("several files were at %s: name one of them by its id: %s", Printable(name), strings.Join(ids, ", "))
		}
	}
	return checkpoint.Entry{}, fmt.Errorf("%s is not known; shiplog state list shows the files that are", Printable(name))
}

// descriptors returns the descriptors by which a process holds a file, where
// the system tells.
func descriptors(pid int, dev, ino uint64) []string {
	if pid == 0 {
		return nil
	}
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	fds, err := os.ReadDir(dir)
	if err != nil {
		return nil // another system, or another user's process
	}
	var out []string
	for _, fd := range fds {
		link := filepath.Join(dir, fd.Name())
		if d, i, err := tailer.Identity(link); err == nil && d == dev && i == ino {
			to, err := os.Readlink(link)
			if err != nil {
				to = "closed meanwhile"
			}
			out = append(out, fd.Name()+" -> "+Printable(to))
		}
	}
	return out
}

// Printable returns a path as it can be shown in a line of text: as it is, or
// quoted where it holds blanks, control characters or bytes that are no UTF-8.
func Printable(path string) string {
	if q := strconv.Quote(path); q != `"`+path+`"` || path == "" || strings.ContainsAny(path, " \u00a0") {
		return q
	}
	return path
}
