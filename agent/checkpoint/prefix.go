package checkpoint

import (
	"cmp"
	"slices"
)

// Prefix is the contiguous acknowledged prefix of one file, and what was
// acknowledged beyond it. It is a plain value for one owner at a time.
type Prefix struct {
	end   int64
	ahead []span // sorted by start, beyond end
}

type span struct{ start, end int64 }

// NewPrefix returns a prefix that ends at offset end.
func NewPrefix(end int64) Prefix { return Prefix{end: end} }

// End returns the offset before which everything is settled.
func (p *Prefix) End() int64 { return p.end }

// Ahead returns how many separate ranges are settled beyond the prefix.
func (p *Prefix) Ahead() int { return len(p.ahead) }

// Ack records that [start,end) is settled (in Kafka, dead-lettered, or nothing
// to ship) and reports whether the prefix grew. Ranges may come in any order,
// again, and overlapping.
func (p *Prefix) Ack(start, end int64) bool {
	if end <= p.end || end <= start {
		return false
	}
	if start > p.end {
		i, _ := slices.BinarySearchFunc(p.ahead, start, func(s span, at int64) int { return cmp.Compare(s.start, at) })
		p.ahead = slices.Insert(p.ahead, i, span{start, end})
		return false
	}
	p.end = end
	n := 0
	for n < len(p.ahead) && p.ahead[n].start <= p.end {
		p.end = max(p.end, p.ahead[n].end)
		n++
	}
	p.ahead = slices.Delete(p.ahead, 0, n) // in place: slicing would leave the front of the array behind for ever
	return true
}
