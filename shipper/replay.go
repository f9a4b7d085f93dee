package shipper

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// ErrNoDeadLetters is returned by OpenReplay when there is nothing to send again.
var ErrNoDeadLetters = errors.New("there are no dead letters")

// ErrReplayRuns is returned by OpenReplay when another replay is at the file.
var ErrReplayRuns = errors.New("another shiplog replay is running")

// Replay holds the letters of a dead letter file while they are sent again. An
// agent may go on to write new ones meanwhile: the file is moved aside, and
// what was not sent is put back before the new ones. After a crash at any step
// no letter is missing; see the package comment.
type Replay struct {
	path, aside string
	fs          letterFS
	running     *os.File // its lock keeps other replays away

	mu   sync.Mutex // guards what follows
	sent map[int64]bool
}

// replayLockPath returns the file whose lock a replay holds from its beginning
// to its end.
func replayLockPath(path string) string { return path + ".replay.lock" }

// OpenReplay moves the letters of the file at path aside, with what an
// interrupted replay has left there. It waits while an agent writes a letter,
// until ctx ends. Call Finish in the end, or the letters stay aside.
func OpenReplay(ctx context.Context, path string) (*Replay, error) {
	return openReplay(ctx, path, osLetterFS{})
}

func openReplay(ctx context.Context, path string, fsys letterFS) (*Replay, error) {
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, ErrNoDeadLetters
		}
		return nil, fmt.Errorf("replay %s: %w", path, err)
	}
	running, err := lockFile(replayLockPath(path))
	if errors.Is(err, errLetterBusy) {
		return nil, fmt.Errorf("replay %s: %w; wait for it to end [replay-busy]", path, ErrReplayRuns)
	}
	if err != nil {
		return nil, fmt.Errorf("replay %s: %w", path, err)
	}
	r := &Replay{path: path, aside: asidePath(path), fs: fsys, running: running, sent: make(map[int64]bool)}
	if err := r.locked(ctx, r.takeAside); err != nil {
		running.Close() // nothing was written to it
		if errors.Is(err, ErrNoDeadLetters) {
			return nil, err
		}
		return nil, fmt.Errorf("replay %s: move the letters aside: %w", path, err)
	}
	return r, nil
}

// tmp is where a new content of either file is written.
func (r *Replay) tmp() string { return r.aside + ".tmp" }

// locked carries fn out while no agent is at the file, and waits for that.
func (r *Replay) locked(ctx context.Context, fn func() error) error {
	for failures := 1; ; failures++ {
		lock, err := lockFile(lockPath(r.path))
		if err == nil {
			defer lock.Close() // gives the lock back; nothing was written to it
			return fn()
		}
		if !errors.Is(err, errLetterBusy) || !sleep(ctx, backoff(failures)) {
			return err
		}
	}
}

// takeAside makes the aside file hold all letters. It needs the lock.
func (r *Replay) takeAside() error {
	if err := r.fs.Remove(r.tmp()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // what a crash has left; it holds nothing that is not elsewhere
	}
	for _, name := range []string{r.path, r.aside} {
		if err := r.repair(name); err != nil {
			return err
		}
	}
	main, err := r.exists(r.path)
	if err != nil {
		return err
	}
	aside, err := r.exists(r.aside)
	switch {
	case err != nil:
		return err
	case main && aside:
		return r.merge(r.aside)
	case main:
		if err := r.fs.Rename(r.path, r.aside); err != nil {
			return err
		}
		return r.fs.SyncDir(filepath.Dir(r.path))
	case aside:
		return nil
	}
	return ErrNoDeadLetters
}

// exists reports whether there is a letter in the file.
func (r *Replay) exists(path string) (bool, error) {
	f, err := r.fs.OpenFile(path, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	return err == nil && info.Size() > 0, err
}

// repair cuts what a crash has torn at the end of the file.
func (r *Replay) repair(path string) error {
	f, err := r.fs.OpenFile(path, os.O_RDWR)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	_, err = repair(f, info.Size())
	return err
}

// merge makes the file named to, one of the two, hold the letters of both: first
// those aside, then those that came meanwhile. The other file is removed then. A
// crash between leaves letters in both; they are recognised the next time, and
// taken once. It needs the lock.
func (r *Replay) merge(to string) error {
	seen := make(map[[sha256.Size]byte]bool)
	err := r.replace(to, func(w io.Writer) error {
		if err := r.copyLines(w, r.aside, func(_ int64, line []byte) bool {
			seen[letterSum(line)] = true
			return true
		}); err != nil {
			return err
		}
		return r.copyLines(w, r.path, func(_ int64, line []byte) bool { return !seen[letterSum(line)] })
	})
	if err != nil {
		return err
	}
	from := r.path
	if to == r.path {
		from = r.aside
	}
	return r.remove(from)
}

// letterSum tells letters apart, whether they are owed to the topic or not.
func letterSum(line []byte) [sha256.Size]byte {
	if rest, ok := bytes.CutPrefix(line, duePrefix[:len(duePrefix)-1]); ok && len(rest) > 0 {
		line = rest[1:]
	}
	return sha256.Sum256(line)
}

// replace makes what write writes the whole content of the file at path. After
// a crash at any point the file is the old one or the new one.
func (r *Replay) replace(path string, write func(io.Writer) error) error {
	tmp := r.tmp()
	f, err := r.fs.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(io.NewOffsetWriter(f, 0), scanChunk)
	err = write(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, r.fs.Remove(tmp))
	}
	if err := r.fs.Rename(tmp, path); err != nil {
		return err
	}
	return r.fs.SyncDir(filepath.Dir(path))
}

func (r *Replay) remove(path string) error {
	if err := r.fs.Remove(path); err != nil {
		return err
	}
	return r.fs.SyncDir(filepath.Dir(path))
}

// copyLines writes the lines of the file to w that keep wants, byte for byte.
func (r *Replay) copyLines(w io.Writer, path string, keep func(at int64, line []byte) bool) error {
	return r.open(path, func(f letterFile, size int64) error {
		return eachLine(f, 0, size, func(at int64, line []byte) error {
			if !keep(at, line) {
				return nil
			}
			if _, err := w.Write(line); err != nil {
				return err
			}
			_, err := w.Write([]byte{'\n'})
			return err
		})
	})
}

func (r *Replay) open(path string, fn func(f letterFile, size int64) error) error {
	f, err := r.fs.OpenFile(path, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return fn(f, info.Size())
}

// Each calls fn with each letter, the oldest first, until fn fails.
func (r *Replay) Each(fn func(*Letter) error) error {
	return r.open(r.aside, func(f letterFile, size int64) error { return eachLetter(f, size, fn) })
}

// Sent notes that the letter at this offset has been acknowledged. It may be
// called concurrently.
func (r *Replay) Sent(at int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent[at] = true
}

// Finish takes the letters that were sent out, and puts all others back, those
// that are no letters included. It waits while an agent writes a letter, until
// ctx ends. Where it fails no letter is missing, but what was sent may be sent
// again by the next replay.
func (r *Replay) Finish(ctx context.Context) error {
	defer r.running.Close() // ends the replay for others; nothing was written to it
	r.mu.Lock()
	defer r.mu.Unlock()
	left, err := r.takeOut()
	if err == nil && left {
		err = r.locked(ctx, r.putBack)
	}
	if err != nil {
		return fmt.Errorf("put back the dead letters that were not sent: they stay in %s, make room or correct its rights, and call shiplog replay again: %w [letter-unwritable]", r.aside, err)
	}
	return nil
}

// takeOut removes what was sent, before anything is put back: a crash then
// cannot bring it back. It reports whether letters are left.
func (r *Replay) takeOut() (left bool, err error) {
	if len(r.sent) == 0 {
		return true, nil
	}
	err = r.copyLines(io.Discard, r.aside, func(at int64, _ []byte) bool {
		left = left || !r.sent[at]
		return false
	})
	if err != nil {
		return false, err
	}
	if !left {
		return false, r.remove(r.aside)
	}
	return true, r.replace(r.aside, func(w io.Writer) error {
		return r.copyLines(w, r.aside, func(at int64, _ []byte) bool { return !r.sent[at] })
	})
}

// putBack needs the lock.
func (r *Replay) putBack() error {
	if err := r.repair(r.path); err != nil {
		return err
	}
	main, err := r.exists(r.path)
	if err != nil {
		return err
	}
	if main {
		return r.merge(r.path)
	}
	if err := r.fs.Rename(r.aside, r.path); err != nil {
		return err
	}
	return r.fs.SyncDir(filepath.Dir(r.path))
}
