package tailer

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// missing is a file that is no longer where it was, and what it is known by.
type missing struct {
	id     FileID
	origin string
	path   string // where it was
	key    fileKey
	off    int64
	head   Mark
	tail   Mark
	seen   time.Time // when it was there for certain
	input  int
}

// found is the answer to a missing file.
type found struct {
	id   FileID
	path string // "" where it is nowhere
	key  fileKey
	size int64
	// later are files that took its name after it and have been renamed in
	// their turn, unseen.
	later []generation
}

// generation is a rotated file that was never seen under its own name.
type generation struct {
	origin string // the name that it had
	name   string // the path, if it is the missing file's own name
	path   string
	key    fileKey
	input  int
	born   time.Time // creation, where the file system tells, else last change
	size   int64
}

// sibling is a regular file in the folder of a missing one.
type sibling struct {
	path string
	key  fileKey
	info fs.FileInfo
}

// clockSlack is how much a file system's times may lag behind the clock.
const clockSlack = 2 * time.Second

// look searches the folders of the missing files for them, by inode and
// content, then for generations between them and today's file.
func (f *finder) look(lost []missing) []found {
	dirs := map[string][]sibling{}
	list := func(dir string) []sibling {
		ss, ok := dirs[dir]
		if !ok {
			ss = siblingsIn(dir)
			dirs[dir] = ss
		}
		return ss
	}
	var out []found
	taken := map[fileKey]bool{} // one file on disk is one file of ours
	for _, l := range lost {
		ss := list(filepath.Dir(l.path))
		if od := filepath.Dir(l.origin); od != filepath.Dir(l.path) {
			ss = slices.Concat(ss, list(od))
		}
		r := found{id: l.id}
		if s, ok := l.among(ss, taken); ok {
			r.path, r.key, r.size = s.path, s.key, s.info.Size()
			taken[s.key] = true
		}
		r.later = f.generations(l, r.key, ss)
		out = append(out, r)
	}
	return out
}

// relists bounds how often a folder is listed until it stands still.
const relists = 4

// siblingsIn returns the regular files in dir. Listing a folder and looking at
// its files takes two steps, and a file that is renamed between them shows under
// neither name: so the folder is listed until two listings in a row agree.
func siblingsIn(dir string) []sibling {
	last := listSiblings(dir)
	for range relists {
		next := listSiblings(dir)
		if slices.EqualFunc(last, next, func(a, b sibling) bool { return a.path == b.path && a.key == b.key }) {
			return next
		}
		last = next
	}
	return last
}

func listSiblings(dir string) []sibling {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // as good as empty: the file is not to be found there now
	}
	var out []sibling
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		fi, err := e.Info()
		if err != nil {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if key, err := keyAt(path, fi); err == nil {
			out = append(out, sibling{path, key, fi})
		}
	}
	return out
}

// among finds the missing file: by device and inode, else by inode (device
// numbers change with a reboot), else by content alone (moved between file
// systems, or copied before it was truncated). Content has to agree each time.
func (l *missing) among(ss []sibling, taken map[fileKey]bool) (sibling, bool) {
	tests := []func(sibling) bool{
		func(s sibling) bool { return s.key == l.key },
		func(s sibling) bool { return s.key.ino == l.key.ino && l.key.ino != 0 },
		func(s sibling) bool { return l.provable() && !s.info.ModTime().Before(l.seen.Add(-clockSlack)) },
	}
	for _, possible := range tests {
		for _, s := range ss {
			if !taken[s.key] && possible(s) && s.info.Size() >= l.off && l.agrees(s.path) {
				return s, true
			}
		}
	}
	return sibling{}, false
}

// provable reports whether the marks are proof without an inode: that two logs
// begin with the same short banner must not be enough.
func (l *missing) provable() bool { return l.off >= 4*tailMax && l.tail.Len > 0 && l.head.Len > 0 }

// agrees compares the content at path with the marks.
func (l *missing) agrees(path string) bool {
	f, err := openShared(path)
	if err != nil {
		return false
	}
	defer f.Close()
	if l.head.Len > 0 {
		if m, err := markAt(f, 0, l.head.Len); err != nil || m != l.head {
			return false
		}
	}
	if l.tail.Len == 0 {
		return true
	}
	m, err := markAt(f, l.off-int64(l.tail.Len), l.tail.Len)
	return err == nil && m == l.tail
}

// generations returns the files that had the missing file's name after it and
// that no pattern finds: they carry its name with something added, were made and
// written after it was last seen, and are no copy of it.
func (f *finder) generations(l missing, self fileKey, ss []sibling) []generation {
	base := filepath.Base(l.origin)
	var out []generation
	for _, s := range ss {
		name := filepath.Base(s.path)
		if s.key == self || !rotatedName(base, name) && s.path != l.origin || s.info.ModTime().Before(l.seen.Add(-clockSlack)) {
			continue
		}
		taken := s.key == l.key && s.path == l.origin
		if _, wanted := f.matcher.input(s.path); wanted && !taken {
			continue // found by its own name
		}
		if l.head.Len > 0 && l.provable() && l.agrees(s.path) {
			continue
		}
		since := l.seen.Add(-clockSlack)
		born, known := birth(s.path)
		if !known || s.key == l.key && born.Before(since) { // the missing file's own inode, written anew and renamed
			born = s.info.ModTime()
		}
		if born.Before(since) {
			continue // it was there before, under its own name: not a rotated file
		}
		g := generation{origin: l.origin, path: s.path, key: s.key, input: l.input, born: born, size: s.info.Size()}
		if taken {
			g.name = s.path
		}
		out = append(out, g)
	}
	return out
}

// older orders generations as they were written.
func older(a, b generation) int {
	if a.name != b.name { // the one that has the name now is the youngest
		return strings.Compare(a.name, b.name)
	}
	if c := a.born.Compare(b.born); c != 0 {
		return c
	}
	// A coarse clock: their names have to tell.
	na, nb := rotationNumber(a.path), rotationNumber(b.path)
	if na > 0 && nb > 0 {
		return cmp.Compare(nb, na) // app.log.2 is older than app.log.1
	}
	return strings.Compare(a.path, b.path) // dates grow
}

// rotationNumber returns the number that logrotate gives a file, 0 if its name
// ends otherwise.
func rotationNumber(path string) int {
	const most = 9999 // a greater one is a date
	n, err := strconv.Atoi(strings.TrimPrefix(filepath.Ext(path), "."))
	if err != nil || n > most {
		return 0
	}
	return n
}

// compressedSuffixes are the endings that log rotators give compressed files.
var compressedSuffixes = []string{".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip", ".Z"}

// rotatedName reports whether name looks like base after a rotation:
// app.log -> app.log.1, app.log-20261124, app-2026-11-24.log, app.1.log.
// Compressed and temporary files do not count.
func rotatedName(base, name string) bool {
	for _, c := range append([]string{".tmp", ".swp", "~"}, compressedSuffixes...) {
		if strings.HasSuffix(name, c) {
			return false
		}
	}
	if rest, ok := strings.CutPrefix(name, base); ok {
		return rest != "" && strings.ContainsRune(".-_", rune(rest[0])) && strings.ContainsFunc(rest, unicode.IsDigit)
	}
	ext := filepath.Ext(base)
	middle, ok := strings.CutPrefix(name, strings.TrimSuffix(base, ext))
	if !ok || ext == "" {
		return false
	}
	middle, ok = strings.CutSuffix(middle, ext)
	return ok && middle != "" && strings.ContainsRune(".-_", rune(middle[0])) && strings.ContainsFunc(middle, unicode.IsDigit)
}
