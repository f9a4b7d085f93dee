package tailer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
)

// pattern is one glob of an input, cut into the folder that holds all it can
// match and how deep below that it can reach.
type pattern struct {
	glob  string
	base  string
	depth int  // folders below base that can hold a match; -1: any number
	plain bool // a path, without any meta character
}

func newPattern(glob string) (pattern, error) {
	glob = filepath.Clean(glob)
	if !doublestar.ValidatePathPattern(glob) {
		return pattern{}, fmt.Errorf("%q is not a valid path pattern", glob)
	}
	base, rest := doublestar.SplitPattern(filepath.ToSlash(glob))
	base = filepath.FromSlash(base)
	if volume := filepath.VolumeName(base); volume != "" && volume == base {
		base += string(filepath.Separator) // else C: is the drive's current folder
	}
	p := pattern{glob: glob, base: base, depth: strings.Count(rest, "/"), plain: !strings.ContainsAny(glob, "*?[{")}
	if strings.Contains(rest, "**") {
		p.depth = -1
	}
	return p, nil
}

// matcher answers which input a path belongs to.
type matcher struct {
	patterns [][]pattern // by input
	exclude  [][]string
}

func newMatcher(inputs []Input) (*matcher, error) {
	m := &matcher{}
	for _, in := range inputs {
		var ps []pattern
		for _, g := range in.Paths {
			p, err := newPattern(g)
			if err != nil {
				return nil, fmt.Errorf("input %s: %w", in.Name, err)
			}
			ps = append(ps, p)
		}
		for _, g := range in.Exclude {
			if !doublestar.ValidatePathPattern(g) {
				return nil, fmt.Errorf("input %s: exclude %q is not a valid path pattern", in.Name, g)
			}
		}
		m.patterns = append(m.patterns, ps)
		m.exclude = append(m.exclude, in.Exclude)
	}
	return m, nil
}

// input returns the first input that wants path.
func (m *matcher) input(path string) (int, bool) {
	for i, ps := range m.patterns {
		for _, p := range ps {
			if MatchPath(p.glob, path) && !m.excluded(i, path) {
				return i, true
			}
		}
	}
	return 0, false
}

// named reports whether path itself is written in the configuration.
func (m *matcher) named(path string) (int, bool) {
	for i, ps := range m.patterns {
		if slices.ContainsFunc(ps, func(p pattern) bool { return p.plain && p.glob == path }) {
			return i, true
		}
	}
	return 0, false
}

func (m *matcher) excluded(input int, path string) bool {
	return slices.ContainsFunc(m.exclude[input], func(g string) bool { return MatchPath(g, path) })
}

// candidate is a path that an input wants, and what lies there.
type candidate struct {
	name  string // the path that matched
	path  string // the same, symbolic links resolved
	input int
	key   fileKey
	info  fs.FileInfo
	dated bool      // it was asked when it was made: the first time its folder is listed, and when that decides what it is
	born  time.Time // if so: where the file system tells, else zero
	err   error     // it cannot be looked at
}

// errIsFolder is the answer to a folder where a file was named.
var errIsFolder = errors.New("is a directory: name the files in it, such as with /*.log at its end")

// scan is what one look at the folders found.
type scan struct {
	dirs       map[string]bool // the folders that were listed; nil stands for all
	unlisted   map[string]bool // of all, those that are as they were and were not listed; nil where none was left out
	listed     int             // how many were, or are gone
	matcher    *matcher        // by which they were found
	candidates []candidate     // files under their own name before symbolic links
	newDirs    bool
	errs       map[string]error // folders that cannot be listed
}

// whole reports whether the scan has met all there is.
func (s *scan) whole() bool { return s.dirs == nil && s.unlisted == nil }

// finder looks for files. It is used by one goroutine at a time.
type finder struct {
	matcher  *matcher
	births   map[fileKey]bool      // of scanRequest
	pins     string                // Options.PinDir
	watch    func(dir string) bool // called before a folder is listed; whether its events come
	unwatch  func(dir string)      // called for one that is listed no more
	known    map[string]bool       // folders that were listed before
	kept     map[string]*listing
	named    map[fileKey]string                           // the folder of kept that has the key
	siblings func(dir string) (out []sibling, still bool) // nil: siblingsIn; tests have folders that never stand still
	round    []known                                      // files to be looked at, as long as their folders are not listed
}

// use makes m what is looked for. What was kept of folders says nothing of files
// that only others asked for.
func (f *finder) use(m *matcher) {
	if m != f.matcher {
		f.matcher, f.kept, f.named, f.round = m, nil, nil, nil
	}
}

// all looks everywhere. With sw it leaves out the folders that need no listing.
func (f *finder) all(sw *sweep) scan {
	s := scan{matcher: f.matcher, errs: map[string]error{}}
	if sw != nil {
		s.unlisted = map[string]bool{}
	}
	listed := map[string]bool{}
	for _, ps := range f.matcher.patterns {
		for _, p := range ps {
			f.walk(p.base, p.depth, map[fileKey]bool{}, listed, sw, &s)
		}
	}
	for dir := range f.known {
		if !listed[dir] {
			f.unwatch(dir)
		}
	}
	f.known = listed
	s.listed += f.forget(listed) // nothing is left in those that have gone
	if len(s.unlisted) == 0 {
		s.unlisted = nil
	} else {
		f.lookAt(sw, &s)
	}
	sortCandidates(s.candidates)
	return s
}

// some looks into the given folders only.
func (f *finder) some(dirs map[string]bool) scan {
	s := scan{matcher: f.matcher, dirs: dirs, errs: map[string]error{}}
	for dir := range dirs {
		if f.known[dir] {
			fi, _ := os.Stat(dir) // if it fails, so does listing it
			f.list(dir, fi, &s)
		}
	}
	sortCandidates(s.candidates)
	return s
}

// sortCandidates puts links last, so that a file that has two names is known by
// its own.
func sortCandidates(cs []candidate) {
	slices.SortStableFunc(cs, func(a, b candidate) int {
		if la, lb := a.name != a.path, b.name != b.path; la != lb {
			if la {
				return 1
			}
			return -1
		}
		return strings.Compare(a.name, b.name)
	})
}

// walk lists dir and the folders below it. above holds the folders on the way
// down: a symbolic link to one of them would never end.
func (f *finder) walk(dir string, depth int, above map[fileKey]bool, listed map[string]bool, sw *sweep, s *scan) {
	fi, err := os.Stat(dir)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.errs[dir] = err
		}
		return
	}
	if !fi.IsDir() {
		return
	}
	if key, err := keyAt(dir, fi); err == nil && key != (fileKey{}) {
		if above[key] {
			return
		}
		above[key] = true
		defer delete(above, key)
	}
	if !listed[dir] {
		listed[dir] = true
		if sw != nil && !sw.changed[dir] && f.asListed(dir, fi) {
			s.unlisted[dir] = true
		} else {
			f.list(dir, fi, s)
		}
	}
	if l := f.kept[dir]; l != nil && depth != 0 {
		for _, d := range l.below {
			f.walk(d, depth-1, above, listed, sw, s)
		}
	}
}

// list adds what lies in dir, which fi tells of, to s, and keeps what it takes to
// leave that out the next time.
func (f *finder) list(dir string, fi fs.FileInfo, s *scan) {
	if dir == f.pins {
		return // pins are looked for by id, and are nobody's new files
	}
	began, first := time.Now(), len(s.candidates)
	watched := f.watch(dir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		s.errs[dir] = err
	}
	s.listed++
	below := f.sort(dir, entries, s)
	f.keep(dir, fi, began, watched && err == nil, below, s.candidates[first:])
}

// sort adds those of a folder's entries to s that are wanted, and returns the
// folders among them.
func (f *finder) sort(dir string, entries []fs.DirEntry, s *scan) (below []string) {
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		mode := e.Type()
		if mode.IsDir() {
			below = append(below, path)
			s.newDirs = s.newDirs || !f.known[path]
			if input, ok := f.matcher.named(path); ok {
				s.candidates = append(s.candidates, candidate{name: path, path: path, input: input, err: errIsFolder})
			}
			continue
		}
		link := mode&fs.ModeSymlink != 0
		input, wanted := f.matcher.input(path)
		if !wanted && !link {
			continue
		}
		fi, err := os.Stat(path) // follows links
		if err == nil && fi.IsDir() {
			below = append(below, path)
			continue
		}
		if wanted && !errors.Is(err, fs.ErrNotExist) {
			c := newCandidate(path, input, link, fi, err)
			if !f.known[dir] || f.births[c.key] {
				c.date()
			}
			s.candidates = append(s.candidates, c)
		}
	}
	return below
}

// date asks when the file was made.
func (c *candidate) date() {
	c.born, _ = birth(c.path)
	c.dated = true
}

func newCandidate(name string, input int, link bool, fi fs.FileInfo, err error) candidate {
	c := candidate{name: name, path: name, input: input, info: fi, err: err}
	if err == nil && link {
		c.path, c.err = filepath.EvalSymlinks(name)
	}
	if c.err == nil && fi.Mode().IsRegular() {
		c.key, c.err = keyAt(c.path, fi)
	}
	return c
}
