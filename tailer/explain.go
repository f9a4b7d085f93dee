package tailer

import (
	"path/filepath"
	"strings"
)

// Match says whether the inputs want a path, and which pattern decides.
type Match struct {
	Wanted  bool
	Input   int    // index of the input that wants it, or would if nothing excluded it
	Pattern string // of that input, which matches
	Exclude string // the pattern that excludes it, if one does
	// Nearest is the pattern that comes closest where none matches, and Part is
	// the part of the path at which it differs: Want is the pattern's. An empty
	// Want says that the pattern ends before the path, an empty Part the
	// opposite.
	Nearest    string
	Part, Want string
}

// Explain says whether the inputs want the file at path, which is absolute, and
// why. It looks at no disk. Its error is a pattern that is not valid.
func Explain(inputs []Input, path string) (Match, error) {
	m, err := newMatcher(inputs)
	if err != nil {
		return Match{}, err
	}
	path = filepath.Clean(path)
	var left Match // what an exclude pattern keeps out
	for i, ps := range m.patterns {
		for _, p := range ps {
			if !MatchPath(p.glob, path) {
				continue
			}
			by := m.excludedBy(i, path)
			if by == "" {
				return Match{Wanted: true, Input: i, Pattern: p.glob}, nil
			}
			if left.Pattern == "" {
				left = Match{Input: i, Pattern: p.glob, Exclude: by}
			}
		}
	}
	if left.Pattern != "" {
		return left, nil
	}
	return m.nearest(path), nil
}

// excludedBy returns the pattern by which the input leaves path out, if any.
func (m *matcher) excludedBy(input int, path string) string {
	for _, g := range m.exclude[input] {
		if MatchPath(g, path) {
			return g
		}
	}
	return ""
}

// nearest returns the pattern that goes along with path the furthest.
func (m *matcher) nearest(path string) Match {
	best, bestScore := Match{}, -1
	for i, ps := range m.patterns {
		for _, p := range ps {
			depth, part, want := divergence(p.glob, path)
			score := depth<<8 + min(alike(part, want), 255)
			if score > bestScore {
				best, bestScore = Match{Input: i, Nearest: p.glob, Part: part, Want: want}, score
			}
		}
	}
	return best
}

// divergence returns how many parts of path a beginning of the pattern matches,
// at most, and the parts of both at which they differ.
func divergence(glob, path string) (depth int, part, want string) {
	ps, fs := splitParts(glob), splitParts(path)
	for f := len(fs); f > 0; f-- {
		for p := len(ps); p > 0; p-- {
			if !MatchPath(joinParts(ps[:p]), joinParts(fs[:f])) {
				continue
			}
			if f < len(fs) {
				part = fs[f]
			}
			if p < len(ps) {
				want = ps[p]
			}
			if part == "" && want != "" && ps[p-1] == "**" { // which takes all that is left
				part = fs[f-1]
			}
			return f, part, want
		}
	}
	if len(fs) > 0 {
		part = fs[0]
	}
	if len(ps) > 0 {
		want = ps[0]
	}
	return 0, part, want
}

func splitParts(path string) []string {
	return strings.Split(strings.TrimPrefix(filepath.ToSlash(path), "/"), "/")
}

func joinParts(parts []string) string {
	return string(filepath.Separator) + filepath.Join(parts...)
}

// alike counts the bytes at both ends of a and b that are the same.
func alike(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	a, b = a[n:], b[n:]
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
		n++
	}
	return n
}
