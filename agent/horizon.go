package agent

import (
	"maps"
	"time"

	"shiplog/agent/checkpoint"
	"shiplog/shipper"
)

// horizon tells from where on each topic has to be read, after a crash, to meet
// all records that the saved prefixes do not cover. It belongs to the ledger.
//
// Kafka appends: what is handed over now will lie at or behind every end that is
// known now, whichever client sends it, however often, and in whatever order
// that is acknowledged. So each block is stamped, when it is handed over, with
// the ends known then, and holds these until the prefix of its file covers it.
// The oldest ends that a block holds are the horizon. Ends become known by
// acknowledgements, and by asking now and then, because others write to the
// topic too.
//
// Blocks that are handed over between two saves share their ends: an epoch.
type horizon struct {
	topics  map[string]*topicEnds
	changed bool // since the last take
}

// topicEnds are the ends of one topic.
type topicEnds struct {
	known  map[int32]int64 // by partition
	grown  bool            // since the last epoch began
	epochs []*epoch        // the oldest first; blocks enter the last one
	taken  bool            // it was in a take
	saved  bool            // that take is on disk, or could not be written
}

// epoch is a time between two saves.
type epoch struct {
	from  map[int32]int64 // the ends that were known when it began
	since time.Time       // when it began
	open  int             // blocks that entered it and are not covered yet
}

// maxEpochs bounds the epochs of a topic. While that many are held by a block
// that cannot be sent, all later ones share the last.
const maxEpochs = 64

func newHorizon() horizon { return horizon{topics: map[string]*topicEnds{}} }

// begin makes a topic known, with ends that were learnt before anything of this
// run is handed over.
func (h *horizon) begin(topic string, ends map[int32]int64, now time.Time) {
	known := map[int32]int64{}
	maps.Copy(known, ends)
	h.topics[topic] = &topicEnds{known: known, epochs: []*epoch{{from: maps.Clone(known), since: now}}}
	h.changed = true
}

// enter returns the epoch of a block that is about to be handed over. A topic that
// was not begun begins now, without ends: all that comes to it from now on is ours
// to look at. saved tells whether the topic is in the checkpoint.
func (h *horizon) enter(topic string, now time.Time) (e *epoch, saved bool) {
	if h.topics[topic] == nil {
		h.begin(topic, nil, now)
	}
	t := h.topics[topic]
	e = t.epochs[len(t.epochs)-1]
	e.open++
	return e, t.saved
}

// finished notes that the last take is on disk, or could not be written.
func (h *horizon) finished() {
	for _, t := range h.topics {
		t.saved = t.saved || t.taken
	}
}

// landed notes where records were acknowledged.
func (h *horizon) landed(l shipper.Landing) {
	t := h.topics[l.Topic]
	if t == nil {
		return
	}
	if before, ok := t.epochs[0].from[l.Partition]; ok && l.First < before {
		// Before an end that was known earlier: the topic was made anew.
		t.lower(l.Partition, l.First)
		h.changed = true
		t.known[l.Partition], t.grown = l.Last+1, true
	} else if end, ok := t.known[l.Partition]; !ok || l.Last >= end {
		t.known[l.Partition], t.grown = l.Last+1, true
	}
}

// learned notes ends that Kafka told.
func (h *horizon) learned(ends shipper.Offsets) {
	for topic, ps := range ends {
		t := h.topics[topic]
		if t == nil {
			continue
		}
		for p, end := range ps {
			was, ok := t.known[p]
			if ok && end < was {
				t.lower(p, 0) // made anew, or cut: what is in flight may be anywhere
				h.changed = true
			}
			if !ok || end != was {
				t.known[p], t.grown = end, true
			}
		}
	}
}

// lower makes all epochs begin at offset at or before.
func (t *topicEnds) lower(partition int32, at int64) {
	for _, e := range t.epochs {
		if from, ok := e.from[partition]; ok {
			e.from[partition] = min(from, at)
		}
	}
}

// take begins new epochs, and returns the horizons, nil if none has moved since
// the last call. They are true for the prefixes of this moment.
func (h *horizon) take(now time.Time) []checkpoint.Horizon {
	for _, t := range h.topics {
		if t.rotate(now) {
			h.changed = true
		}
	}
	if !h.changed {
		return nil
	}
	h.changed = false
	out := make([]checkpoint.Horizon, 0, len(h.topics))
	for topic, t := range h.topics {
		e := t.epochs[0]
		t.taken = true
		out = append(out, checkpoint.Horizon{Topic: topic, From: maps.Clone(e.from), Since: e.since})
	}
	return out
}

// rotate drops the epochs that no block holds and begins a new one if there are
// new ends. It reports whether the first one is another.
func (t *topicEnds) rotate(now time.Time) bool {
	first := t.epochs[0]
	if t.grown && len(t.epochs) < maxEpochs {
		t.grown = false
		t.epochs = append(t.epochs, &epoch{from: maps.Clone(t.known), since: now})
	}
	free := 0
	for free < len(t.epochs)-1 && t.epochs[free].open == 0 {
		free++
	}
	t.epochs = append(t.epochs[:0:0], t.epochs[free:]...)
	return t.epochs[0] != first
}
