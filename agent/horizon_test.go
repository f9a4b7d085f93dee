package agent

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"shiplog/agent/checkpoint"
	"shiplog/shipper"
	"shiplog/tailer"
)

// modelRecord is a record of ours in the model's Kafka.
type modelRecord struct {
	file      tailer.FileID
	end       int64
	partition int32
	offset    int64
	at        time.Time
}

// modelBlock is a block of one record for each of its bytes.
type modelBlock struct {
	block    *tailer.Block
	landings []shipper.Landing // of the attempt that is acknowledged
	landed   bool
}

// horizonModel is a Kafka to which several clients append, and what a crash would
// leave on disk.
type horizonModel struct {
	*rapid.T
	l       *ledger
	now     time.Time
	ends    []int64
	records []modelRecord
	next    map[tailer.FileID]int64
	open    []*modelBlock

	saved    map[uint64]int64
	horizons []checkpoint.Horizon
}

// TestHorizonMeetsWhatIsNotSaved plays any interleaving of blocks that are handed
// over, appended, appended once more by another client, and acknowledged, of
// saves, and of others that write: whenever the agent crashes, each record that
// the saved prefixes do not cover lies at or behind the saved horizon.
func TestHorizonMeetsWhatIsNotSaved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &horizonModel{T: t, now: time.Unix(1000, 0), ends: make([]int64, rapid.IntRange(1, 3).Draw(t, "partitions")),
			next: map[tailer.FileID]int64{}, saved: map[uint64]int64{}}
		m.l = newLedger(nil, func() time.Time { return m.now })
		begin := shipper.Offsets{"t": {}}
		for p := range m.ends {
			m.ends[p] = rapid.Int64Range(0, 5).Draw(t, "others' records")
			if rapid.Bool().Draw(t, "known") {
				begin["t"][int32(p)] = m.ends[p]
			}
		}
		m.l.begin(nil, begin, nil)
		m.save(nil)
		t.Repeat(map[string]func(*rapid.T){
			"": m.check, "hand": m.hand, "append": m.append, "again": m.append, "acknowledge": m.acknowledge, "acknowledge more": m.acknowledge,
			"save": m.save, "others": m.others, "learn": m.learn,
		})
	})
}

func (m *horizonModel) check(t *rapid.T) {
	h := checkpoint.Horizon{}
	if len(m.horizons) > 0 {
		h = m.horizons[0]
	}
	for _, r := range m.records {
		if r.end <= m.saved[uint64(r.file)] {
			continue
		}
		if from, ok := h.From[r.partition]; ok && r.offset < from || !ok && r.at.Before(h.Since) {
			t.Fatalf("record that ends at %d of file %d is at %d/%d, made at %d; saved %v, horizon %v since %d", r.end, r.file, r.partition, r.offset, r.at.Unix(), m.saved, h.From, h.Since.Unix())
		}
	}
}

func (m *horizonModel) hand(t *rapid.T) {
	m.now = m.now.Add(time.Second)
	id := tailer.FileID(rapid.IntRange(1, 2).Draw(t, "file"))
	b := &tailer.Block{File: id, Stream: uint64(id), Start: m.next[id], End: m.next[id] + rapid.Int64Range(1, 4).Draw(t, "records")}
	m.next[id] = b.End
	m.l.handed(b, "t")
	m.open = append(m.open, &modelBlock{block: b})
}

// append has Kafka take a block that is on its way, perhaps not for the first time.
func (m *horizonModel) append(t *rapid.T) {
	if len(m.open) == 0 {
		t.Skip("nothing is on its way")
	}
	b := rapid.SampledFrom(m.open).Draw(t, "block")
	b.landed = true
	batch := shipper.Batch{}
	for end := b.block.Start + 1; end <= b.block.End; end++ {
		p := int32(rapid.IntRange(0, len(m.ends)-1).Draw(t, "partition"))
		r := modelRecord{b.block.File, end, p, m.ends[p], m.now}
		m.ends[p]++
		m.records = append(m.records, r)
		rec := shipper.Record{}
		rec.Topic, rec.Partition, rec.Offset = "t", p, r.offset
		batch.Records = append(batch.Records, rec)
	}
	b.landings = batch.Landings(nil)
}

func (m *horizonModel) acknowledge(t *rapid.T) {
	var landed []int
	for i, b := range m.open {
		if b.landed {
			landed = append(landed, i)
		}
	}
	if len(landed) == 0 {
		t.Skip("nothing to acknowledge")
	}
	i := rapid.SampledFrom(landed).Draw(t, "block")
	b := m.open[i]
	m.open = append(m.open[:i:i], m.open[i+1:]...)
	m.l.landed(b.landings)
	m.l.settled(b.block, b.block.End, nil)
}

func (m *horizonModel) save(*rapid.T) {
	changed, _ := m.l.take()
	if m.l.moved != nil {
		m.horizons = m.l.moved
	}
	for _, e := range changed {
		m.saved[e.ID] = e.Offset
	}
}

func (m *horizonModel) others(t *rapid.T) {
	m.ends[rapid.IntRange(0, len(m.ends)-1).Draw(t, "partition")] += rapid.Int64Range(1, 9).Draw(t, "records")
}

func (m *horizonModel) learn(*rapid.T) {
	ends := shipper.Offsets{"t": {}, "another": {0: 5}}
	for p, end := range m.ends {
		ends["t"][int32(p)] = end
	}
	m.l.learned(ends)
}

// TestHorizonFollows sees that the horizon does not stay behind for ever.
func TestHorizonFollows(t *testing.T) {
	l := newLedger(nil, time.Now)
	l.begin(nil, shipper.Offsets{"t": {0: 100}, "u": {0: 7}}, nil)
	at := func() map[string]int64 {
		l.take()
		out := map[string]int64{}
		for _, h := range l.moved {
			out[h.Topic] = h.From[0]
		}
		return out
	}
	want := func(what string, topics map[string]int64) {
		t.Helper()
		if got := at(); fmt.Sprint(got) != fmt.Sprint(topics) {
			t.Errorf("%s: horizon %v, want %v", what, got, topics)
		}
	}
	land := func(first, last int64) { l.landed([]shipper.Landing{{Topic: "t", First: first, Last: last}}) }
	want("at the start", map[string]int64{"t": 100, "u": 7})
	want("nothing happened", map[string]int64{})
	first, second := &tailer.Block{File: 1, End: 5}, &tailer.Block{File: 1, Start: 5, End: 9}
	l.handed(first, "t")
	land(100, 104)
	l.settled(first, 5, nil)
	l.handed(second, "t")
	want("two blocks since the start, of which the second may be anywhere", map[string]int64{})
	l.learned(shipper.Offsets{"t": {0: 500}})
	land(110, 113)
	l.settled(second, 9, nil)
	want("all is covered", map[string]int64{"t": 500, "u": 7})
	stuck := &tailer.Block{File: 2, End: 1}
	l.handed(stuck, "t")
	for i := range int64(10 * maxEpochs) {
		b := &tailer.Block{File: 1, Start: 9 + i, End: 10 + i}
		l.handed(b, "t")
		land(500+i, 500+i)
		l.settled(b, b.End, nil)
		want("a block is stuck", map[string]int64{})
	}
	if n := len(l.horizon.topics["t"].epochs); n > maxEpochs {
		t.Errorf("%d epochs", n)
	}
	l.settled(stuck, 1, nil)
	l.take()
	l.learned(shipper.Offsets{"t": {0: 2000}})
	want("it is no longer", map[string]int64{"t": 2000, "u": 7})
	l.handed(&tailer.Block{File: 1, Start: 1000, End: 1001}, "t")
	land(3, 3)
	want("the topic was made anew", map[string]int64{"t": 3, "u": 7})
	l.learned(shipper.Offsets{"t": {0: 1}})
	want("and again", map[string]int64{"t": 0, "u": 7})
}
