package agent

import (
	"cmp"
	"slices"

	"shiplog/agent/checkpoint"
)

// What the bytes of a file that never came are. Those of a lower kind are told
// apart first.
type lackKind int

const (
	lackDead    lackKind = iota // in the dead letter file
	lackSkipped                 // left out on purpose, says the journal
	lackDropped                 // perhaps left out on purpose: the journal had no room to remember
	lackUnseen                  // in a part of the topic that is gone
	lackNotRead                 // in a part of the topic that was not to be read
	lackPending                 // behind the checkpoint while the agent runs
	lackGap                     // none of these
)

// lack is a range that never came, before its bytes are looked at.
type lack struct {
	byteRange
	kind   lackKind
	reason checkpoint.Reason // of lackSkipped
}

// ledgers is what is known beside the topics of why bytes did not come.
type ledgers struct {
	skips   checkpoint.SkipList
	dead    map[uint64]*coverage
	running bool // an agent is at work in state_dir
	// cut are the partitions of which not all was read from the beginning:
	// lackUnseen or lackNotRead.
	cut map[partitionKey]lackKind
}

// lacks returns what of [0,size) never came, told apart as far as the books go.
func (l *ledgers) lacks(f *matched, cover *coverage, size int64) []lack {
	var left []lack
	for _, r := range cover.missing(0, size) {
		left = append(left, lack{r, lackGap, 0})
	}
	for _, id := range f.ids() {
		if dead := l.dead[id]; dead != nil {
			for _, r := range dead.runs {
				left = carve(left, byteRange{r.start, r.end}, lackDead, 0)
			}
		}
		i, _ := slices.BinarySearchFunc(l.skips.Skips, id, func(k checkpoint.Skip, id uint64) int { return cmp.Compare(k.File, id) })
		left = l.carveSkips(left, id, i)
		for _, d := range l.skips.Dropped {
			if d.File == id {
				left = carve(left, byteRange{d.Start, d.End}, lackDropped, 0)
			}
		}
	}
	for _, kind := range []lackKind{lackUnseen, lackNotRead} {
		if end := l.unseenBefore(f, size, kind); end > 0 {
			left = carve(left, byteRange{0, end}, kind, 0)
		}
	}
	if l.running {
		left = carve(left, byteRange{f.acknowledged(cover), size}, lackPending, 0)
	}
	return left
}

// carveSkips carves out what the journal says of one file, from its i-th record
// on. Both sides are sorted, and can be long: one pass does.
func (l *ledgers) carveSkips(left []lack, id uint64, i int) []lack {
	skips := l.skips.Skips
	var out []lack
	for _, k := range left {
		for k.start < k.end && i < len(skips) && skips[i].File == id {
			s := skips[i]
			if s.End <= k.start {
				i++
				continue
			}
			if s.Start >= k.end || k.kind != lackGap {
				break
			}
			if k.start < s.Start {
				out = append(out, lack{byteRange{k.start, s.Start}, lackGap, 0})
			}
			end := min(s.End, k.end)
			out = append(out, lack{byteRange{max(k.start, s.Start), end}, lackSkipped, s.Reason})
			k.start = end
		}
		if k.start < k.end {
			out = append(out, k)
		}
	}
	return out
}

// carve gives the parts of left that are gaps, and within r, another kind.
func carve(left []lack, r byteRange, kind lackKind, reason checkpoint.Reason) []lack {
	i, _ := slices.BinarySearchFunc(left, r.start+1, func(k lack, at int64) int { return cmp.Compare(k.end, at) })
	j := i
	var put []lack
	for ; j < len(left) && left[j].start < r.end; j++ {
		k := left[j]
		if k.kind != lackGap {
			put = append(put, k)
			continue
		}
		if k.start < r.start {
			put = append(put, lack{byteRange{k.start, r.start}, lackGap, 0})
		}
		put = append(put, lack{byteRange{max(k.start, r.start), min(k.end, r.end)}, kind, reason})
		if k.end > r.end {
			put = append(put, lack{byteRange{r.end, k.end}, lackGap, 0})
		}
	}
	return slices.Replace(left, i, j, put...)
}

// ids returns our ids of the file.
func (f *matched) ids() []uint64 {
	var out []uint64
	if f.entry != nil {
		out = append(out, f.entry.ID)
	}
	for _, s := range f.sources {
		if !slices.Contains(out, s.id) {
			out = append(out, s.id)
		}
	}
	return out
}

// acknowledged returns the offset up to which all has been acknowledged, as far
// as it is known.
func (f *matched) acknowledged(cover *coverage) int64 {
	if f.entry != nil {
		return f.entry.Offset
	}
	return cover.end() // found a moment ago, and not in the checkpoint yet
}

// unseenBefore returns the offset before which records may have been in a part
// of the topics that was not read, for the reason of kind. A file's records are
// in order within a partition, so that what was seen of it bounds that part; so
// does the checkpoint, since what lies behind was never acknowledged.
func (l *ledgers) unseenBefore(f *matched, size int64, kind lackKind) (end int64) {
	if f.entry != nil {
		defer func() { end = min(end, f.entry.Offset) }()
	}
	heardOf := false
	for _, s := range f.sources {
		for key, p := range s.parts {
			heardOf = true
			if k, cut := l.cut[key]; cut && k == kind && len(p.cover.runs) > 0 {
				end = max(end, p.cover.runs[0].start)
			}
		}
	}
	for _, k := range l.cut {
		if !heardOf && k == kind {
			end = size
		}
	}
	return end
}
