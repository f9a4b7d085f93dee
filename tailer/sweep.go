package tailer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// The periodic scan is there for what events do not tell. Where they can be
// trusted, it need not list a folder in which no name has changed since it was
// listed last, nor look at each file in it: of tens of thousands that are known,
// most are never written to again. It then looks at the files that grew not long
// ago, and at some of the others, each in its turn.

// sweep says what such a scan has to look at.
type sweep struct {
	changed map[string]bool // folders of which an event told
	recent  []known         // files that grew not long ago
}

// known is a file that a scan has met.
type known struct {
	name  string
	input int
}

// listing is what is kept of a folder that was listed.
type listing struct {
	key    fileKey
	mtime  time.Time
	steady bool     // as long as key and mtime are these, no name in it is another
	below  []string // the folders in it
	files  []known
}

const (
	// steadyAfter is how long nothing has to have changed in a folder before its
	// time is trusted: two changes within one tick of the file system's clock
	// leave the same time.
	steadyAfter = 2 * time.Second
	// recentFor is how long after it grew a file is looked at more often than the
	// others: by each scan while it grows, ever less often after that.
	recentFor = 10 * time.Second
	// roundFiles is how many other files a scan looks at.
	roundFiles = 128
)

// keep keeps what a folder holds. It is steady if all that happens in it is told
// by events or shows in its time.
func (f *finder) keep(dir string, fi fs.FileInfo, began time.Time, trusted bool, below []string, cs []candidate) {
	if f.kept == nil {
		f.kept, f.named = map[string]*listing{}, map[fileKey]string{}
	}
	l := &listing{below: below}
	f.kept[dir] = l
	if !trusted || fi == nil || began.Sub(fi.ModTime()) < steadyAfter || !eventsAreTold(dir) {
		return
	}
	key, err := keyAt(dir, fi)
	if err != nil {
		return
	}
	for i := range cs {
		// What a link leads to changes elsewhere; the rest is asked for again.
		if c := &cs[i]; c.err != nil || c.name != c.path || !c.info.Mode().IsRegular() {
			return
		}
	}
	if o := f.kept[f.named[key]]; o != nil && o != l && o.steady && o.key == key { // by two names it has the events of one
		o.steady = false
		return
	}
	f.named[key] = dir
	l.key, l.mtime, l.steady = key, fi.ModTime(), true
	l.files = make([]known, len(cs))
	for i := range cs {
		l.files[i] = known{cs[i].name, cs[i].input}
	}
}

// asListed reports whether dir, which fi tells of, holds the names that it held
// when it was listed.
func (f *finder) asListed(dir string, fi fs.FileInfo) bool {
	l := f.kept[dir]
	if l == nil || !l.steady || !l.mtime.Equal(fi.ModTime()) {
		return false
	}
	key, err := keyAt(dir, fi)
	return err == nil && key == l.key && f.watch(dir)
}

// forget drops what is kept of folders that are not there any more, and returns
// how many that are.
func (f *finder) forget(listed map[string]bool) (gone int) {
	for dir, l := range f.kept {
		if !listed[dir] {
			gone++
			delete(f.kept, dir)
			if f.named[l.key] == dir {
				delete(f.named, l.key)
			}
		}
	}
	return gone
}

// lookAt adds the files to s that sw names, and the next ones of the round, as far
// as they were not met.
func (f *finder) lookAt(sw *sweep, s *scan) {
	for _, k := range sw.recent {
		s.look(k)
	}
	refilled := false
	for n := 0; n < roundFiles; n++ {
		if len(f.round) == 0 {
			if refilled {
				return
			}
			refilled = true
			for dir := range s.unlisted {
				f.round = append(f.round, f.kept[dir].files...)
			}
			if len(f.round) == 0 {
				return
			}
		}
		s.look(f.round[0])
		f.round = f.round[1:]
	}
}

// look adds a file of a folder that was not listed.
func (s *scan) look(k known) {
	if !s.unlisted[filepath.Dir(k.name)] {
		return
	}
	fi, err := os.Stat(k.name)
	if !errors.Is(err, fs.ErrNotExist) { // else it has gone just now: its folder tells the next time
		s.candidates = append(s.candidates, newCandidate(k.name, k.input, false, fi, err))
	}
}

// sweepNext returns what the next periodic scan has to look at, nil if that is
// everything: as long as a file is being looked for, or may be another's copy.
func (t *Tailer) sweepNext(now time.Time) *sweep {
	if !t.scanned || t.unmet || len(t.sought)+len(t.undecided)+len(t.doubtful)+len(t.ousted) > 0 {
		return nil
	}
	sw := &sweep{changed: t.dirty}
	for f := range t.recent {
		switch {
		case !f.here || now.Sub(f.grown) > recentFor:
			delete(t.recent, f)
		case now.Sub(f.grown) < f.sweepAge:
		case f.name != "" && f.name == f.src.path:
			if i := slices.Index(t.inputs, f.src.in); i >= 0 {
				sw.recent = append(sw.recent, known{f.name, i})
			}
			f.sweepAge = 2*now.Sub(f.grown) + t.o.RescanInterval/2
		}
	}
	return sw
}
