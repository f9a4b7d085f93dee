package tailer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

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
	p := pattern{glob: glob, base: filepath.FromSlash(base), depth: strings.Count(rest, "/"), plain: !strings.ContainsAny(glob, "*?[{")}
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
			if doublestar.PathMatchUnvalidated(p.glob, path) && !m.excluded(i, path) {
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
	return slices.ContainsFunc(m.exclude[input], func(g string) bool { return doublestar.PathMatchUnvalidated(g, path) })
}

// candidate is a path that an input wants, and what lies there.
type candidate struct {
	name  string // the path that matched
	path  string // the same, symbolic links resolved
	input int
	key   fileKey
	info  fs.FileInfo
	err   error // it cannot be looked at
}

// errIsFolder is the answer to a folder where a file was named.
var errIsFolder = errors.New("is a directory: name the files in it, such as with /*.log at its end")

// scan is what one look at the folders found.
type scan struct {
	dirs       map[string]bool // the folders that were listed; nil stands for all
	candidates []candidate     // files under their own name before symbolic links
	newDirs    bool
	errs       map[string]error // folders that cannot be listed
}

// finder looks for files. It is used by one goroutine at a time.
type finder struct {
	matcher *matcher
	pins    string           // Options.PinDir
	watch   func(dir string) // called before a folder is listed
	known   map[string]bool  // folders that were listed before
}

// all looks everywhere.
func (f *finder) all() scan {
	s := scan{errs: map[string]error{}}
	listed := map[string]bool{}
	for _, ps := range f.matcher.patterns {
		for _, p := range ps {
			f.walk(p.base, p.depth, map[fileKey]bool{}, listed, &s)
		}
	}
	f.known = listed
	sortCandidates(s.candidates)
	return s
}

// some looks into the given folders only.
func (f *finder) some(dirs map[string]bool) scan {
	s := scan{dirs: dirs, errs: map[string]error{}}
	for dir := range dirs {
		if f.known[dir] {
			f.list(dir, &s)
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
func (f *finder) walk(dir string, depth int, above map[fileKey]bool, listed map[string]bool, s *scan) {
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
	var below []string
	if listed[dir] {
		below = f.folders(dir)
	} else {
		listed[dir] = true
		below = f.list(dir, s)
	}
	if depth == 0 {
		return
	}
	for _, d := range below {
		f.walk(d, depth-1, above, listed, s)
	}
}

// folders returns the folders in dir.
func (f *finder) folders(dir string) []string {
	s := scan{errs: map[string]error{}}
	return f.list(dir, &s)
}

// list adds what lies in dir to s and returns the folders in it.
func (f *finder) list(dir string, s *scan) (below []string) {
	if dir == f.pins {
		return nil // pins are looked for by id, and are nobody's new files
	}
	f.watch(dir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		s.errs[dir] = err
	}
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
			s.candidates = append(s.candidates, newCandidate(path, input, link, fi, err))
		}
	}
	return below
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
