package shipper

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// deadLetters is the dead letter file. A letter is in it as a whole line, on
// disk, or not at all.
//
// Other processes move the file and put it back: shiplog replay. So nobody
// keeps it open: who opens it, by its name, holds the lock at lockPath, and
// closes it before giving the lock back.
type deadLetters struct {
	path  string
	quota int64 // in bytes, with what a replay has set aside; 0: none
	owed  bool  // letters are to go to a topic too
	fs    letterFS
	wake  chan struct{} // has room for one; a letter is due

	op          sync.Mutex // one operation at a time
	main, aside census     // guarded by op

	mu    sync.Mutex // guards what follows
	stats LetterStats
}

// LetterStats is what is in the dead letter file.
type LetterStats struct {
	// Count and Bytes are of the letters in the file, those of earlier runs
	// and those that a replay is sending included.
	Count, Bytes int64
	// Due is how many are owed to the dead letter topic, without those that a
	// replay is sending.
	Due int64
	// Written is how many were added since the start.
	Written int64
}

// letterError says why records wait for the dead letter file.
type letterError struct {
	path string
	err  error
}

// errLetterQuota says that the file has no room for the letter.
var errLetterQuota = errors.New("has reached its limit (kafka.dead_letter.max_file_bytes): run shiplog replay, move the file away, or raise the limit")

// Error says what to do as well.
func (e *letterError) Error() string {
	switch {
	case errors.Is(e.err, errLetterQuota):
		return fmt.Sprintf("dead letter file %s %v; records wait for it [letter-full]", e.path, e.err)
	case errors.Is(e.err, errLetterBusy):
		return fmt.Sprintf("dead letter file %s is in use by another process, most likely shiplog replay; records wait for it [letter-busy]", e.path)
	}
	return fmt.Sprintf("dead letter file %s: make room or correct its rights, records wait for it: %v [letter-unwritable]", e.path, e.err)
}

// Unwrap returns the cause.
func (e *letterError) Unwrap() error { return e.err }

func newDeadLetters(o Options) *deadLetters {
	return &deadLetters{path: o.DeadLetterPath, quota: o.DeadLetterMaxBytes, owed: o.DeadLetterTopic != "" && o.Transaction == nil, fs: osLetterFS{}, wake: make(chan struct{}, 1)}
}

// add appends d and returns when it is on disk. Its error is a *letterError.
func (l *deadLetters) add(d DeadLetter) error {
	if l.owed {
		d.DueTopic = 1
	}
	line, err := d.line()
	if err == nil {
		l.op.Lock()
		defer l.op.Unlock()
		err = l.locked(func() error { return l.append(line) })
	}
	if err != nil {
		return &letterError{l.path, err}
	}
	l.publish(1)
	return nil
}

// locked carries fn out while no other process is at the file.
func (l *deadLetters) locked(fn func() error) error {
	lock, err := lockFile(lockPath(l.path))
	if err != nil {
		return err
	}
	defer lock.Close() // gives the lock back; nothing was written to it
	return fn()
}

// publish makes the stats what the censuses say, and wakes who sends letters
// to the topic if there are more of them. added letters are new.
func (l *deadLetters) publish(added int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.main.due > l.stats.Due {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
	l.stats.Count = l.main.count + l.aside.count
	l.stats.Bytes = l.main.size() + l.aside.size()
	l.stats.Due = l.main.due
	l.stats.Written += added
}

// append needs the lock.
func (l *deadLetters) append(line []byte) error {
	if err := l.count(asidePath(l.path), &l.aside); err != nil {
		return err
	}
	f, err := l.fs.OpenFile(l.path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return err
	}
	defer f.Close() // what was written was synced, or is not trusted
	end, err := l.prepare(f)
	if err != nil {
		return err
	}
	if size := end + int64(len(line)) + l.aside.size(); l.quota > 0 && size > l.quota {
		return fmt.Errorf("%w (%d of %d bytes)", errLetterQuota, end+l.aside.size(), l.quota)
	}
	_, err = f.WriteAt(line, end)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		// A part may be in the file, and after a failed sync nobody knows what
		// is on disk: all of it is written again, by the next try.
		l.main = census{}
		return errors.Join(err, f.Truncate(end))
	}
	l.added(f, end, bytes.HasPrefix(line, duePrefix))
	return nil
}

// prepare makes f, open for a letter, end with a whole line, counts it, and
// returns its length.
func (l *deadLetters) prepare(f letterFile) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := f.Chmod(0o600); err != nil {
			return 0, err
		}
	}
	if info.Size() == 0 { // perhaps just made
		if err := l.fs.SyncDir(filepath.Dir(l.path)); err != nil {
			return 0, err
		}
	}
	end, err := repair(f, info.Size())
	if err != nil {
		return 0, err
	}
	return end, l.main.update(f)
}

// added notes the letter at offset at, the last of f. It is on disk, so that
// this cannot fail any more: where the file cannot be looked at, its old size
// makes the next look count anew.
func (l *deadLetters) added(f letterFile, at int64, due bool) {
	c := &l.main
	if c.due == 0 {
		c.first = at
	}
	c.count++
	if due {
		c.due++
	}
	if info, err := f.Stat(); err == nil {
		c.info = info
	}
}

// count makes c true for the file at path, which need not be there.
func (l *deadLetters) count(path string, c *census) error {
	f, err := l.fs.OpenFile(path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		*c = census{}
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return c.update(f)
}

// look counts what is there, unless somebody is at the file just now. It keeps
// nobody waiting for long, but for the first look at a large file.
func (l *deadLetters) look() error {
	if !l.exists() || !l.op.TryLock() {
		return nil
	}
	defer l.op.Unlock()
	err := l.locked(func() error {
		return errors.Join(l.count(l.path, &l.main), l.count(asidePath(l.path), &l.aside))
	})
	if errors.Is(err, errLetterBusy) {
		return nil
	}
	if err == nil {
		l.publish(0)
	}
	return err
}

// exists reports whether there is a file to look at, or its folder at least.
func (l *deadLetters) exists() bool {
	_, err := os.Stat(filepath.Dir(l.path))
	return !errors.Is(err, fs.ErrNotExist)
}

// dueLetter is a letter on its way to the topic.
type dueLetter struct {
	DeadLetter
	at int64
}

// due returns the letters from offset from on that are owed to the topic, as
// many as fit into limit bytes but at least one, and where to go on. of is the
// file they are in. A line that is no letter any more is passed over.
func (l *deadLetters) due(of fs.FileInfo, from int64, limit int) (letters []dueLetter, in fs.FileInfo, next int64, err error) {
	if !l.exists() {
		return nil, nil, 0, nil
	}
	l.op.Lock()
	defer l.op.Unlock()
	err = l.locked(func() error {
		f, err := l.fs.OpenFile(l.path, os.O_RDONLY)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		defer f.Close()
		if err := l.main.update(f); err != nil {
			return err
		}
		in = l.main.info
		if of == nil || !os.SameFile(of, in) {
			from = 0
		}
		next = in.Size()
		err = eachLine(f, max(from, l.main.first), next, func(at int64, line []byte) error {
			if !bytes.HasPrefix(line, duePrefix) {
				return nil
			}
			if len(letters) > 0 && limit < len(line) {
				next = at
				return errEnough
			}
			limit -= len(line)
			if d, err := parseLetter(line); err == nil {
				letters = append(letters, dueLetter{d, at})
			}
			return nil
		})
		if errors.Is(err, errEnough) {
			return nil
		}
		return err
	})
	return letters, in, next, err
}

// errEnough ends a reading.
var errEnough = errors.New("enough")

// arrived notes that the letters at these offsets of the file are in the topic.
// Where a replay has moved the file meanwhile that is not noted: what it puts
// back is sent to the topic again.
func (l *deadLetters) arrived(in fs.FileInfo, at []int64) error {
	if len(at) == 0 {
		return nil
	}
	l.op.Lock()
	defer l.op.Unlock()
	err := l.locked(func() error {
		f, err := l.fs.OpenFile(l.path, os.O_RDWR)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		defer f.Close()
		if info, err := f.Stat(); err != nil || !os.SameFile(info, in) {
			return err
		}
		for _, offset := range at {
			prefix := make([]byte, len(duePrefix))
			if _, err := f.ReadAt(prefix, offset); err != nil {
				return err
			}
			if !bytes.Equal(prefix, duePrefix) {
				continue
			}
			if _, err := f.WriteAt([]byte("0"), offset+int64(len(duePrefix))-1); err != nil {
				return err
			}
			l.main.due--
		}
		return f.Sync()
	})
	l.publish(0)
	return err
}

// repair makes f, of that size, end with a whole line, and returns its length.
// A last line without a newline is completed if it is JSON, else cut: it was
// never on disk as a whole, so its record was not settled and is sent again.
func repair(f letterFile, size int64) (int64, error) {
	tail, err := lastLine(f, size)
	if err != nil || len(tail) == 0 {
		return size, err
	}
	if json.Valid(tail) {
		_, err = f.WriteAt([]byte("\n"), size)
		return size + 1, err
	}
	size -= int64(len(tail))
	return size, f.Truncate(size)
}

// lastLine returns what follows the last newline in the size bytes of f.
func lastLine(f io.ReaderAt, size int64) ([]byte, error) {
	for n := min(int64(1), size); n > 0; n = min(max(2*n, 64<<10), size) {
		tail := make([]byte, n)
		if _, err := f.ReadAt(tail, size-n); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if i := bytes.LastIndexByte(tail, '\n'); i >= 0 {
			return tail[i+1:], nil
		}
		if n == size {
			return tail, nil
		}
	}
	return nil, nil
}

// state returns what is in the file.
func (l *deadLetters) state() LetterStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stats
}
