package agent

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"shiplog/agent/transform"
	"shiplog/tailer"
)

// counts are what the inputs did since the start, by their names.
type counts struct {
	shortened atomic.Int64 // records that were cut to what their topic takes

	mu     sync.Mutex
	inputs map[string]*tally
	gone   Totals // of inputs that the configuration has no more
}

// tally is what one input did since the start. It is entered block by block.
type tally struct {
	bytes, entries, records, acknowledged, ackedBytes atomic.Int64
	truncated, partial, untransformed, known          atomic.Int64
	filtered, sampled, limited, undated               atomic.Int64
	lost                                              atomic.Int64 // bytes that were seen, and are nowhere any more

	mu        sync.Mutex // guards what follows
	unparsed  map[string]int64
	rotations map[tailer.Rotation]int64
	rates     meters
}

// meters are the recent rates of an input.
type meters struct{ bytes, entries, ackedBytes, acked meter }

// input returns the tally of an input, made when first asked for.
func (c *counts) input(name string) *tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.inputs[name]
	if t == nil {
		t = &tally{}
		if c.inputs == nil {
			c.inputs = map[string]*tally{}
		}
		c.inputs[name] = t
	}
	return t
}

// count makes the routes count for their inputs, which may have been there
// before.
func (a *Agent) count(rs []*route) {
	for _, r := range rs {
		r.tally = a.counts.input(r.input.Name)
	}
}

// retain drops the tallies of all inputs but those of the routes; what they
// counted stays in the total.
func (c *counts) retain(rs []*route) {
	names := map[string]bool{}
	for _, r := range rs {
		names[r.input.Name] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, t := range c.inputs {
		if !names[name] {
			c.gone.add(t.totals())
			delete(c.inputs, name)
		}
	}
}

// total returns what all inputs did together.
func (c *counts) total() Totals {
	c.mu.Lock()
	defer c.mu.Unlock()
	sum := c.gone
	for _, t := range c.inputs {
		sum.add(t.totals())
	}
	sum.Shortened = c.shortened.Load()
	return sum
}

// read counts what was handed over.
func (t *tally) read(b *tailer.Block) {
	t.bytes.Add(b.End - b.Start)
	t.entries.Add(int64(len(b.Entries)))
	for i := range b.Entries {
		if f := b.Entries[i].Flags; f != 0 {
			if f&tailer.Truncated != 0 {
				t.truncated.Add(1)
			}
			if f&tailer.Partial != 0 {
				t.partial.Add(1)
			}
		}
	}
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rates.bytes.add(b.End-b.Start, now)
	t.rates.entries.add(int64(len(b.Entries)), now)
}

// encoded counts what became of a block's entries, which were read by format.
func (t *tally) encoded(s *shipment, format string) {
	var unparsed, untransformed int64
	for i := range s.oddities {
		if s.oddities[i].failed != "" {
			unparsed++
		}
		if s.oddities[i].untransformed != "" {
			untransformed++
		}
	}
	for _, l := range s.left {
		switch l.why {
		case transform.Filtered:
			t.filtered.Add(l.entries)
		case transform.Sampled:
			t.sampled.Add(l.entries)
		case transform.Limited:
			t.limited.Add(l.entries)
		}
	}
	t.records.Add(int64(len(s.spans)))
	if s.undated > 0 {
		t.undated.Add(s.undated)
	}
	if s.known > 0 {
		t.known.Add(s.known)
	}
	if untransformed > 0 {
		t.untransformed.Add(untransformed)
	}
	if unparsed > 0 {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.unparsed == nil {
			t.unparsed = map[string]int64{}
		}
		t.unparsed[format] += unparsed
	}
}

// settled counts records that are in Kafka or dead letters, and the raw bytes
// they were made of.
func (t *tally) settled(records int, bytes int64) {
	t.acknowledged.Add(int64(records))
	t.ackedBytes.Add(bytes)
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rates.ackedBytes.add(bytes, now)
	t.rates.acked.add(int64(records), now)
}

// rotated counts a rotation.
func (t *tally) rotated(how tailer.Rotation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rotations == nil {
		t.rotations = map[tailer.Rotation]int64{}
	}
	t.rotations[how]++
}

// totals returns a copy of what was counted.
func (t *tally) totals() Totals {
	s := Totals{
		Bytes: t.bytes.Load(), Lines: t.entries.Load(), Records: t.records.Load(), Acknowledged: t.acknowledged.Load(), AcknowledgedBytes: t.ackedBytes.Load(),
		Truncated: t.truncated.Load(), Partial: t.partial.Load(), Filtered: t.filtered.Load(), Sampled: t.sampled.Load(),
		Limited: t.limited.Load(), AlreadySent: t.known.Load(), Untransformed: t.untransformed.Load(), LostBytes: t.lost.Load(), Undated: t.undated.Load(),
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, n := range t.unparsed {
		s.Unparsed += n
	}
	return s
}

// byKind returns copies of what is counted by kind: entries that did not parse
// by format, and rotations.
func (t *tally) byKind() (unparsed map[string]int64, rotations map[string]int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	rotations = make(map[string]int64, len(t.rotations))
	for how, n := range t.rotations {
		rotations[string(how)] = n
	}
	unparsed = make(map[string]int64, len(t.unparsed))
	maps.Copy(unparsed, t.unparsed)
	return unparsed, rotations
}

// recent returns the rates of now.
func (t *tally) recent(now time.Time) Rates {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Rates{
		ReadBytes: t.rates.bytes.rate(now), Lines: t.rates.entries.rate(now),
		AcknowledgedBytes: t.rates.ackedBytes.rate(now), Acknowledged: t.rates.acked.rate(now),
	}
}

// add adds what another counted.
func (t *Totals) add(o Totals) {
	t.Bytes += o.Bytes
	t.Lines += o.Lines
	t.Records += o.Records
	t.Acknowledged += o.Acknowledged
	t.AcknowledgedBytes += o.AcknowledgedBytes
	t.Unparsed += o.Unparsed
	t.Truncated += o.Truncated
	t.Partial += o.Partial
	t.Filtered += o.Filtered
	t.Sampled += o.Sampled
	t.Limited += o.Limited
	t.AlreadySent += o.AlreadySent
	t.Untransformed += o.Untransformed
	t.Shortened += o.Shortened
	t.Undated += o.Undated
	t.LostBytes += o.LostBytes
}

// add adds the rates of another.
func (r *Rates) add(o Rates) {
	r.ReadBytes += o.ReadBytes
	r.Lines += o.Lines
	r.AcknowledgedBytes += o.AcknowledgedBytes
	r.Acknowledged += o.Acknowledged
}
