package tailer

import (
	"os"
	"path/filepath"
)

// pinned returns where the pin of a missing file is: in the pin folder files have
// their ids as names.
func (f *finder) pinned(l *missing) place {
	if f.pins == "" {
		return place{}
	}
	path := filepath.Join(f.pins, l.id.String())
	fi, err := os.Lstat(path)
	if err != nil || !fi.Mode().IsRegular() {
		return place{}
	}
	key, err := keyAt(path, fi)
	if err != nil {
		return place{}
	}
	s := sibling{path, key, fi}
	answer, packed := l.agrees(&s)
	if answer != yes {
		return place{}
	}
	return s.place(packed)
}
