package tailer

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/fsnotify/fsnotify"
)

// eventBuffer is how many events may wait for the loop, so that what reads them
// from the system hands over a burst of them at once.
const eventBuffer = 256

// waker tells when files may have changed, where the system can: it watches
// folders, never single files. All it says is a hint; the periodic scan finds
// what it misses.
type waker struct {
	w   *fsnotify.Watcher // nil: polling only
	log *slog.Logger

	mu     sync.Mutex
	denied map[string]bool // folders that could not be watched; said once
}

// newWaker starts watching nothing. Where the system has no more watchers to
// give it says so and leaves everything to polling.
func newWaker(off bool, log *slog.Logger) *waker {
	k := &waker{log: log, denied: map[string]bool{}}
	if off {
		return k
	}
	w, err := fsnotify.NewBufferedWatcher(eventBuffer)
	if err != nil {
		log.Warn("no file system events: files are looked at by polling only [watch-none]", "reason", limitHint(err))
		return k
	}
	k.w = w
	return k
}

// watch adds a folder; again is harmless. It reports whether its events come.
func (k *waker) watch(dir string) bool {
	if k.w == nil {
		return false
	}
	err := k.w.Add(dir)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil {
		delete(k.denied, dir)
		return true
	}
	if !k.denied[dir] {
		k.denied[dir] = true
		if !errors.Is(err, fsnotify.ErrClosed) && !errors.Is(err, syscall.ENOENT) {
			k.log.Warn("no file system events for this folder: it is looked at by polling only [watch-none]", "dir", dir, "reason", limitHint(err))
		}
	}
	return false
}

// unwatch takes a folder back; one that is not watched is none the worse.
func (k *waker) unwatch(dir string) {
	if k.w == nil {
		return
	}
	if err := k.w.Remove(dir); err != nil && !errors.Is(err, fsnotify.ErrNonExistentWatch) && !errors.Is(err, fsnotify.ErrClosed) {
		k.log.Debug("file system events of a folder cannot be switched off", "dir", dir, "error", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.denied, dir)
}

func (k *waker) events() <-chan fsnotify.Event {
	if k.w == nil {
		return nil
	}
	return k.w.Events
}

func (k *waker) errors() <-chan error {
	if k.w == nil {
		return nil
	}
	return k.w.Errors
}

func (k *waker) close() error {
	if k.w == nil {
		return nil
	}
	return k.w.Close()
}

// limitHint names the limit behind an error of the watcher: the system reports
// used-up watches as a full disk.
func limitHint(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("the inotify watch limit is reached: raise fs.inotify.max_user_watches (%w)", err)
	case errors.Is(err, syscall.EMFILE):
		return fmt.Errorf("the limit of inotify instances or open files is reached: raise fs.inotify.max_user_instances or the descriptor limit (%w)", err)
	}
	return err
}

// contentOnly reports whether an event can mean nothing but more bytes in the
// file, so that no folder needs listing.
func contentOnly(e fsnotify.Event) bool {
	return e.Op == fsnotify.Write
}

func eventDir(e fsnotify.Event) string { return filepath.Dir(e.Name) }
