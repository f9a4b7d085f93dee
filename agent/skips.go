package agent

import (
	"shiplog/agent/checkpoint"
	"shiplog/agent/transform"
)

// skipReason returns why an entry that a transformation left out was left out;
// 0 where it was not on purpose.
func skipReason(why transform.Action) checkpoint.Reason {
	switch why {
	case transform.Filtered:
		return checkpoint.Filtered
	case transform.Sampled:
		return checkpoint.Sampled
	case transform.Limited:
		return checkpoint.Limited
	}
	return 0
}

// noteLeft enters into the journal what of the shipment was left out on purpose,
// up to offset end. It comes before the range counts as settled, so that the
// checkpoint never passes over what the journal does not have.
func (p *pipeline) noteLeft(s *shipment, end int64) {
	if len(s.left) == 0 || s.block.Volatile {
		return
	}
	for _, l := range s.left {
		if reason := skipReason(l.why); reason != 0 && l.end <= end {
			p.skips.Append(checkpoint.Skip{File: uint64(s.block.File), Start: l.start, End: l.end, Reason: reason})
			if first := &s.block.Entries[0]; first.Carry != nil && l.start == first.Start {
				p.skips.Append(checkpoint.Skip{File: uint64(first.Carry.File), Start: first.Carry.Start, End: first.Carry.End, Reason: reason})
			}
		}
	}
}
