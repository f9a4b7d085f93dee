package tailer

import (
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/fsnotify/fsnotify"
)

// Sight is what Run would find at its start.
type Sight struct {
	Files   []Sighted        // by input, then by name; those under another name last
	Folders []string         // that would be listed and watched
	Denied  map[string]error // folders that cannot be looked into
	Blind   map[string]error // of Folders, those whose events do not come: they are polled
	NoEvent error            // why no folder's events come; nil: they do
}

// Sighted is a path that an input wants.
type Sighted struct {
	Name  string
	Input int         // index
	Mode  fs.FileMode // of what lies there, symbolic links followed
	Size  int64       // bytes
	Err   error       // it cannot be looked at
}

// Look looks for the files of inputs as Run does at its start, and whether the
// system would tell of events in all their folders, which it does by asking for
// them. It opens no file. Its error is a pattern that is not valid.
func Look(inputs []Input) (Sight, error) {
	m, err := newMatcher(inputs)
	if err != nil {
		return Sight{}, err
	}
	s := Sight{Blind: map[string]error{}}
	events, err := fsnotify.NewWatcher()
	if err != nil {
		s.NoEvent = limitHint(err)
	} else {
		var taken sync.WaitGroup
		taken.Go(func() { discard(events) })
		defer func() {
			events.Close() //nolint:errcheck // nothing is lost with it
			taken.Wait()
		}()
	}
	f := &finder{matcher: m, unwatch: func(string) {}, watch: func(dir string) bool {
		if events == nil {
			return false
		}
		if err := events.Add(dir); err != nil {
			s.Blind[dir] = limitHint(err)
			return false
		}
		return true
	}}
	found := f.all(nil)
	s.Denied = found.errs
	for dir := range f.known {
		if found.errs[dir] == nil {
			s.Folders = append(s.Folders, dir)
		} else {
			delete(s.Blind, dir) // that it cannot be read says more
		}
	}
	slices.Sort(s.Folders)
	for _, c := range found.candidates {
		one := Sighted{Name: c.name, Input: c.input, Err: c.err}
		if c.info != nil {
			one.Mode, one.Size = c.info.Mode(), c.info.Size()
		}
		s.Files = append(s.Files, one)
	}
	slices.SortStableFunc(s.Files, func(a, b Sighted) int {
		if a.Input != b.Input {
			return a.Input - b.Input
		}
		return strings.Compare(a.Name, b.Name)
	})
	return s, nil
}

// discard takes events until w is closed, so that it can go on.
func discard(w *fsnotify.Watcher) {
	for ok := true; ok; {
		select {
		case _, ok = <-w.Events:
		case _, ok = <-w.Errors:
		}
	}
}
