package agent

import (
	"bytes"
	"cmp"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"shiplog/agent/checkpoint"
)

// matched is a file, and the sources whose bytes are in it.
type matched struct {
	*onDisk
	entry   *checkpoint.Entry // what the checkpoint knows of it; nil: nothing
	sources []*source
	how     string   // in words
	twin    *matched // another file with the same content, which has the sources
}

// tier is how much a name speaks for a file and a source being one.
type tier int

const (
	strange  tier = iota // nothing in common
	sameName             // the names begin alike
	sameDir              // in the same folder, and the names begin alike
	samePath
)

// likeness compares the path that a source was found under with that of a file.
func likeness(origin, path string) tier {
	if origin == path {
		return samePath
	}
	base := filepath.Base(origin)
	stem := strings.TrimSuffix(base, filepath.Ext(base))
	if stem == "" || !strings.HasPrefix(filepath.Base(path), stem) {
		return strange
	}
	if filepath.Dir(origin) == filepath.Dir(path) {
		return sameDir
	}
	return sameName
}

// matcher finds out which sources are in which file.
type matcher struct {
	values  *valuer
	files   []*matched
	entries []checkpoint.Entry
	sources map[uint64]*source
	taken   map[uint64]bool // ids that have their file
}

// match joins the files with what the checkpoint and the topics know. Content
// decides; names only choose between files that have the same.
func match(values *valuer, files []*onDisk, entries []checkpoint.Entry, sources map[uint64]*source) ([]*matched, error) {
	m := &matcher{values: values, entries: entries, sources: sources, taken: map[uint64]bool{}}
	for _, f := range files {
		m.files = append(m.files, &matched{onDisk: f})
	}
	if err := m.byState(); err != nil {
		return nil, err
	}
	for _, near := range []bool{true, false} {
		if err := m.byContent(near); err != nil {
			return nil, err
		}
	}
	m.twins()
	return m.files, nil
}

// pair is a file and what may be it.
type pair struct {
	file   *matched
	entry  *checkpoint.Entry
	source *source
	tier   tier
}

// byState gives each entry of the checkpoint the file that it speaks of.
func (m *matcher) byState() error {
	var pairs []pair
	heads := headIndex{files: m.files, byLen: map[int]map[uint64][]*matched{}}
	for i := range m.entries {
		e := &m.entries[i]
		for _, f := range heads.find(e) {
			t := likeness(e.Origin, f.path)
			if e.Path == f.path {
				t = samePath
			} else if t == samePath {
				t = sameDir // its name has gone to another
			}
			fits, err := tailFits(f.onDisk, e)
			if err != nil {
				f.err = err
				continue
			}
			if fits {
				pairs = append(pairs, pair{file: f, entry: e, tier: t})
			}
		}
	}
	// One entry is one file. Where several begin alike, as generations with a
	// banner do, the name decides, then how much of the file is proved.
	slices.SortStableFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(b.tier, a.tier), cmp.Compare(b.entry.Offset, a.entry.Offset))
	})
	for _, p := range pairs {
		if m.taken[p.entry.ID] || p.file.entry != nil {
			continue
		}
		m.taken[p.entry.ID] = true
		p.file.entry = p.entry
		p.file.how = "by the checkpoint, confirmed by its content"
		if p.entry.Head.Len == 0 {
			p.file.how = "by the checkpoint"
		}
		if s := m.sources[p.entry.ID]; s != nil {
			p.file.sources = append(p.file.sources, s)
		}
	}
	return nil
}

// headIndex finds files by their beginning.
type headIndex struct {
	files []*matched
	byLen map[int]map[uint64][]*matched // by the length of the beginning, and its hash
}

// find returns the files that begin as the entry says. Where nothing was read of
// it, only its path tells.
func (x *headIndex) find(e *checkpoint.Entry) []*matched {
	n := e.Head.Len
	byHash, known := x.byLen[n]
	if !known {
		byHash = map[uint64][]*matched{}
		x.byLen[n] = byHash
		for _, f := range x.files {
			if f.err == nil && n <= len(f.head) {
				h := xxhash.Sum64(f.head[:n])
				byHash[h] = append(byHash[h], f)
			}
		}
	}
	if n > 0 {
		return byHash[e.Head.Hash]
	}
	for _, f := range x.files {
		if f.err == nil && f.path == e.Path {
			return []*matched{f}
		}
	}
	return nil
}

// tailFits reports whether the bytes before the entry's offset are what it says.
func tailFits(f *onDisk, e *checkpoint.Entry) (bool, error) {
	if f.size >= 0 && f.size < e.Offset {
		return false, nil
	}
	n := e.Tail.Len
	if n == 0 || int64(n) > e.Offset {
		return true, nil
	}
	c, err := f.open()
	if err != nil {
		return false, err
	}
	defer c.close()
	b, err := c.read(nil, e.Offset-int64(n), n)
	return len(b) == n && xxhash.Sum64(b) == e.Tail.Hash, err
}

// byContent gives the sources that have no file yet the files in which their
// records are found. near looks only where the names have something in common.
func (m *matcher) byContent(near bool) error {
	var pairs []pair
	for _, id := range slices.Sorted(maps.Keys(m.sources)) {
		s := m.sources[id]
		if m.taken[id] || len(s.samples) == 0 {
			continue
		}
		for _, f := range m.files {
			t := likeness(s.path, m.values.told(f.onDisk))
			if f.err != nil || (t > strange) != near || !m.mayBe(s, f) {
				continue
			}
			v, err := m.values.agree(f.onDisk, s, near)
			if err != nil {
				f.err = err
				continue
			}
			if v {
				pairs = append(pairs, pair{file: f, source: s, tier: t})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int {
		return cmp.Or(cmp.Compare(b.tier, a.tier), cmp.Compare(a.distance(), b.distance()))
	})
	for _, p := range pairs {
		if m.taken[p.source.id] || (p.file.entry != nil || len(p.file.sources) > 0) && !p.certain() {
			continue
		}
		m.taken[p.source.id] = true
		if p.file.how == "" {
			p.file.how = "by its content"
		}
		p.file.sources = append(p.file.sources, p.source)
	}
	return nil
}

// distance is how far the source's end is from the file's.
func (p *pair) distance() int64 {
	if p.file.size < 0 {
		return 0
	}
	d := p.file.size - p.source.cover.end()
	return max(d, -d)
}

// certain reports whether the source can be no other file that only begins like
// this one: a short generation that is gone would hide a gap here.
func (p *pair) certain() bool {
	return p.source.cover.end() >= 1024 || p.source.cover.end() == p.file.size
}

// mayBe looks at what is at hand before the file is opened.
func (m *matcher) mayBe(s *source, f *matched) bool {
	first := s.samples[0]
	if f.size >= 0 && f.size < s.samples[len(s.samples)-1].end {
		return false
	}
	head := int64(len(f.head))
	if f.whole && head < first.end {
		return false
	}
	if first.start > 0 && first.start <= head && !m.values.newline(s, f.onDisk, f.head[first.start-1]) {
		return false
	}
	return true
}

// twins finds the files that are copies of others: a rotated one beside its
// compressed form, or beside what copytruncate made of it.
func (m *matcher) twins() {
	for _, f := range m.files {
		if len(f.sources) > 0 || f.entry != nil || f.err != nil || len(f.head) == 0 {
			continue
		}
		for _, o := range m.files {
			if len(o.sources) > 0 && o.err == nil && bytes.Equal(f.head, o.head) && sameContent(f.onDisk, o.onDisk) {
				f.twin, f.how = o, "a copy of "+o.path
				break
			}
		}
	}
}

// sameContent compares two files byte by byte.
func sameContent(a, b *onDisk) bool {
	if a.size >= 0 && b.size >= 0 && a.size != b.size {
		return false
	}
	ca, err := a.open()
	if err != nil {
		return false
	}
	defer ca.close()
	cb, err := b.open()
	if err != nil {
		return false
	}
	defer cb.close()
	const step = 256 << 10
	var pa, pb []byte
	for at := int64(0); ; at += step {
		var ea, eb error
		pa, ea = ca.read(pa[:0], at, step)
		pb, eb = cb.read(pb[:0], at, step)
		if ea != nil || eb != nil || !bytes.Equal(pa, pb) {
			return false
		}
		if len(pa) < step {
			return true
		}
	}
}
