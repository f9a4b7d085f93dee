package checkpoint

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Options may be left zero.
type Options struct {
	Log *slog.Logger // default: discard
	FS  FS           // default: the system's
	// CompactAt is how many bytes may be appended before a new snapshot is
	// written, beside twice its size. Default 1 MiB.
	CompactAt int64
}

// Store keeps the entries on disk. It has one owner, which makes all calls.
type Store struct {
	dir  string
	o    Options
	lock *os.File

	entries   map[uint64]Entry
	horizons  []Horizon
	committed Committed
	clean     bool
	damaged   []string

	// unsaved are the entries that an error kept from the disk; true stands
	// for those that are to be there, false for those that are to go.
	unsaved map[uint64]bool
	moved   bool   // the horizons on disk are older ones
	file    File   // the newest generation; nil after an error
	current uint64 // its number
	next    uint64
	base    int64 // its size when its snapshot was written
	size    int64 // its intact size
	older   []uint64
}

// Open takes the directory for this process, making it if need be, reads what is
// there, and marks on disk that a run has begun. Damage never fails it: it goes
// on from the last good state and says so. Nor does a full disk. It fails where
// the directory cannot be used: a *LockedError where another process has it, a
// *VersionError where a newer version wrote it.
func Open(dir string, o Options) (*Store, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.FS == nil {
		o.FS = osFS{}
	}
	if o.CompactAt <= 0 {
		o.CompactAt = 1 << 20
	}
	_, there := os.Stat(dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state directory: %w; create it for this user, or choose another by state_dir [state-unusable]", err)
	}
	if errors.Is(there, fs.ErrNotExist) {
		if err := makePrivate(dir); err != nil { // of a file system without access lists, say
			o.Log.Warn("the state directory is open to whoever its parent is open to [state-open]", "error", err)
		}
	}
	l, err := lock(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, o: o, lock: l, unsaved: map[uint64]bool{}}
	if err := s.recover(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return s, nil
}

func (s *Store) recover() error {
	if fi, err := os.Stat(s.dir); err == nil && fi.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(s.dir, 0o700); err != nil {
			s.o.Log.Warn("others may read the state directory [state-open]", "dir", s.dir, "mode", fi.Mode().Perm(), "error", err)
		}
	}
	r, err := recoverDir(s.o.FS, s.dir)
	if err != nil {
		return fmt.Errorf("state in %s: %w", s.dir, err)
	}
	s.entries, s.horizons, s.committed, s.clean, s.next, s.older = r.entries, r.horizons, r.committed, r.clean, r.next, r.files
	for _, d := range r.damage {
		if d.torn {
			s.o.Log.Warn("the checkpoint's end was cut off by a crash; going on from what is whole before it [state-cut]", "file", d.path, "reason", d.reason)
			continue
		}
		s.damaged = append(s.damaged, fmt.Sprintf("%s: %v", d.path, d.reason))
		s.o.Log.Error("the checkpoint is damaged; going on from the last good state, some lines may be sent again [state-damaged]", "file", d.path, "reason", d.reason, "files_known", len(s.entries))
		s.older = slices.DeleteFunc(s.older, func(g uint64) bool { return g == d.generation })
	}
	if err := s.snapshot(); err != nil {
		// The damaged files keep their names: what is intact in them is nowhere else.
		s.o.Log.Error("the checkpoint cannot be written; going on, and trying again [state-unwritable]", "dir", s.dir, "error", err)
		s.unmark(r)
		return nil
	}
	for _, d := range r.damage {
		if !d.torn {
			s.setAside(d)
		}
	}
	return nil
}

// unmark takes the mark of a clean end off the newest file, which needs no room
// on the disk: this run may end otherwise.
func (s *Store) unmark(r recovered) {
	if !r.clean {
		return
	}
	f, err := s.o.FS.Append(fileName(s.dir, r.files[0]))
	if err == nil {
		err = f.Truncate(r.size - int64(len(appendFrame(nil, typeClean, nil))))
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err != nil {
		s.o.Log.Warn("the checkpoint still says that the last run ended in order: after a crash before it can be written, lines may be sent again unnoticed [state-unwritable]", "dir", s.dir, "error", err)
	}
}

const (
	asidePrefix = "checkpoint-damaged."
	keptAside   = 5
)

// setAside keeps a damaged file under another name, for whoever wants to know;
// the newest few of them.
func (s *Store) setAside(d damage) {
	if err := s.o.FS.Rename(d.path, filepath.Join(s.dir, fmt.Sprintf("%s%08d", asidePrefix, d.generation))); err != nil {
		s.o.Log.Warn("the damaged checkpoint cannot be set aside [state-unwritable]", "file", d.path, "error", err)
		return
	}
	names, err := s.o.FS.ReadDir(s.dir) // sorted
	if err != nil {
		return // the next time
	}
	names = slices.DeleteFunc(names, func(e fs.DirEntry) bool { return !strings.HasPrefix(e.Name(), asidePrefix) })
	for _, n := range names[:max(0, len(names)-keptAside)] {
		if err := s.o.FS.Remove(filepath.Join(s.dir, n.Name())); err != nil {
			s.o.Log.Debug("an old damaged checkpoint cannot be removed", "error", err)
		}
	}
}

// Entries returns what the store holds, sorted by ID.
func (s *Store) Entries() []Entry { return sorted(s.entries) }

func sorted(entries map[uint64]Entry) []Entry {
	return slices.SortedFunc(maps.Values(entries), func(a, b Entry) int { return cmp.Compare(a.ID, b.ID) })
}

// Horizons returns from where on the topics have to be read to meet each record
// that the entries do not cover. None may be known: then all there was may be
// sent again.
func (s *Store) Horizons() []Horizon { return s.horizons }

// SetHorizons makes hs all horizons there are, from the next Save on: together
// with that Save's entries, for which they have to be true. hs becomes the
// store's.
func (s *Store) SetHorizons(hs []Horizon) { s.horizons, s.moved = hs, true }

// Committed returns which transaction was the last that the entries know of.
func (s *Store) Committed() Committed { return s.committed }

// SetCommitted sets what Committed returns, from the next Save on: together with
// that Save's entries, for which it has to be true.
func (s *Store) SetCommitted(c Committed) {
	if c != s.committed {
		s.committed, s.moved = c, true
	}
}

// Clean reports whether the run before this one ended by Close. The mark of that
// end does not outlive Open.
func (s *Store) Clean() bool { return s.clean }

// Damaged returns what was found damaged by Open, a line each.
func (s *Store) Damaged() []string { return s.damaged }

// Save makes the changes durable: one append and one fsync, or now and then a
// new snapshot. After an error nothing is lost: the next Save writes what this
// one could not. It may be called without changes, to try again.
func (s *Store) Save(changed []Entry, removed []uint64) error {
	for _, e := range changed {
		s.entries[e.ID] = e
		s.unsaved[e.ID] = true
	}
	for _, id := range removed {
		delete(s.entries, id)
		s.unsaved[id] = false
	}
	if len(s.unsaved) == 0 && !s.moved && s.file != nil {
		return nil
	}
	if s.file == nil || s.size-s.base > max(s.o.CompactAt, 2*s.base) {
		return s.snapshot()
	}
	return s.append(s.changes(), true)
}

// changes returns the records of what is not on disk yet.
func (s *Store) changes() []byte {
	data := appendEntries(nil, func(yield func(*Entry) bool) {
		for id, there := range s.unsaved {
			if e := s.entries[id]; there && !yield(&e) {
				return
			}
		}
	})
	var gone []uint64
	for id, there := range s.unsaved {
		if !there {
			gone = append(gone, id)
		}
	}
	data = appendRemoved(data, gone)
	if s.moved { // last: in what a crash leaves of this, they are not ahead of the entries
		data = appendHorizons(data, s.horizons, s.committed)
	}
	return data
}

// append writes data behind what is there. After a failure the file is cut
// back to what is known to be whole, or given up.
func (s *Store) append(data []byte, settles bool) error {
	n, err := s.file.Write(data)
	if err == nil && n < len(data) {
		err = io.ErrShortWrite
	}
	if err != nil {
		if cut := s.file.Truncate(s.size); cut != nil {
			s.abandon()
		}
		return fmt.Errorf("write checkpoint %s: %w", fileName(s.dir, s.current), err)
	}
	if err := s.file.Sync(); err != nil {
		// After a failed fsync the system may hold what the disk does not, and
		// say nothing the next time: only another file can be trusted.
		s.abandon()
		return fmt.Errorf("fsync checkpoint %s: %w", fileName(s.dir, s.current), err)
	}
	s.size += int64(len(data))
	if settles {
		clear(s.unsaved)
		s.moved = false
	}
	return nil
}

// abandon gives the current file up: the next Save writes a snapshot.
func (s *Store) abandon() {
	if err := s.file.Close(); err != nil {
		s.o.Log.Debug("close checkpoint", "error", err)
	}
	s.file = nil
	s.older = append([]uint64{s.current}, s.older...)
}

// snapshot writes everything into a new generation. After a crash at any point
// the newest whole file is the old one or the new one.
func (s *Store) snapshot() error {
	data := appendHeader(nil)
	data = appendEntries(data, func(yield func(*Entry) bool) {
		for _, e := range s.entries {
			if !yield(&e) {
				return
			}
		}
	})
	data = appendHorizons(data, s.horizons, s.committed)
	data = appendFrame(data, typeComplete, nil)
	path := fileName(s.dir, s.next)
	f, err := s.replace(path, data)
	if err != nil {
		return err
	}
	if s.file != nil {
		s.abandon()
	}
	s.file, s.current, s.base, s.size = f, s.next, int64(len(data)), int64(len(data))
	s.next++
	s.moved = false
	clear(s.unsaved)
	s.removeOld()
	return nil
}

// replace makes data the whole content of path, durably, and returns the file
// open at its end.
func (s *Store) replace(path string, data []byte) (File, error) {
	tmp := filepath.Join(s.dir, "checkpoint-new")
	f, err := s.o.FS.Create(tmp)
	if err != nil {
		return nil, fmt.Errorf("create checkpoint: %w", err)
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, errors.Join(fmt.Errorf("write checkpoint %s: %w", tmp, err), s.o.FS.Remove(tmp))
	}
	if err := s.o.FS.Rename(tmp, path); err != nil {
		return nil, fmt.Errorf("rename checkpoint: %w", err)
	}
	if err := s.o.FS.SyncDir(s.dir); err != nil {
		s.next++ // the file may be there: its number is used
		return nil, fmt.Errorf("fsync %s: %w", s.dir, err)
	}
	f, err = s.o.FS.Append(path)
	if err != nil {
		s.next++
		return nil, fmt.Errorf("open checkpoint: %w", err)
	}
	return f, nil
}

// kept is how many generations stay on disk beside the current one.
const kept = 1

func (s *Store) removeOld() {
	slices.Sort(s.older)
	for len(s.older) > kept {
		if err := s.o.FS.Remove(fileName(s.dir, s.older[0])); err != nil && !errors.Is(err, os.ErrNotExist) {
			s.o.Log.Debug("an old checkpoint cannot be removed", "error", err)
			return
		}
		s.older = s.older[1:]
	}
}

// Close marks the end as clean and gives the directory back. What earlier saves
// could not write is tried once more.
func (s *Store) Close() error {
	err := s.Save(nil, nil)
	if err == nil {
		err = s.append(appendFrame(nil, typeClean, nil), false)
	}
	if s.file != nil {
		err = errors.Join(err, s.file.Close())
		s.file = nil
	}
	return errors.Join(err, s.lock.Close())
}

// Abandon gives the directory back without the mark of a clean end: what is in
// flight has not been acknowledged.
func (s *Store) Abandon() error {
	err := s.Save(nil, nil)
	if s.file != nil {
		err = errors.Join(err, s.file.Close())
		s.file = nil
	}
	return errors.Join(err, s.lock.Close())
}

// Release gives the directory back without having run: the next Open finds a
// clean end where this one did.
func (s *Store) Release() error {
	if s.clean {
		return s.Close()
	}
	return s.Abandon()
}
