package checkpoint

import (
	"cmp"
	"slices"
)

// Prefix is the contiguous acknowledged prefix of one file, and what was
// acknowledged beyond it. It has one owner at a time; a copy shares memory with
// the original, so that only one of the two may be used on.
type Prefix struct {
	end   int64
	ahead []span // sorted, apart from one another and beyond end
}

// span is [start,end) in bytes of the raw file.
type span struct{ start, end int64 }

// NewPrefix returns a prefix that ends at offset end, with nothing beyond it.
func NewPrefix(end int64) Prefix { return Prefix{end: end} }

// Clone returns a prefix that shares no memory with p.
func (p *Prefix) Clone() Prefix { return Prefix{end: p.end, ahead: slices.Clone(p.ahead)} }

// End returns the offset, in bytes, before which everything is settled.
func (p *Prefix) End() int64 { return p.end }

// Ahead returns how many separate ranges are settled beyond the prefix. What is
// in flight bounds it.
func (p *Prefix) Ahead() int { return len(p.ahead) }

// Covered reports whether all of [start,end) is settled. An empty range is.
func (p *Prefix) Covered(start, end int64) bool {
	if end <= p.end || end <= start {
		return true
	}
	start = max(start, p.end)
	i := p.reaching(start + 1)
	return i < len(p.ahead) && p.ahead[i].start <= start && end <= p.ahead[i].end
}

// Ack records that [start,end) is settled (in Kafka, dead-lettered, or nothing
// to ship) and reports whether the prefix grew. Ranges may come in any order,
// again, and overlapping.
func (p *Prefix) Ack(start, end int64) bool {
	if end <= p.end || end <= start {
		return false
	}
	// The ranges i to j touch the new one and become one with it. They are
	// deleted in place: slicing the front off would keep it in memory for ever.
	i := p.reaching(start)
	j := i
	for j < len(p.ahead) && p.ahead[j].start <= end {
		start, end = min(start, p.ahead[j].start), max(end, p.ahead[j].end)
		j++
	}
	if start > p.end {
		p.ahead = slices.Replace(p.ahead, i, j, span{start, end})
		return false
	}
	p.ahead = slices.Delete(p.ahead, i, j)
	p.end = end
	return true
}

// reaching returns the index of the first range beyond the prefix that ends at
// offset at or later.
func (p *Prefix) reaching(at int64) int {
	i, _ := slices.BinarySearchFunc(p.ahead, at, func(s span, at int64) int { return cmp.Compare(s.end, at) })
	return i
}
