package agent

import (
	"context"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"shiplog/agent/checkpoint"
	"shiplog/shipper"
	"shiplog/tailer"
)

const (
	// endsPatience is how long a start waits for the ends of the topics. Without
	// them it goes on: nothing may be sent for long anyway.
	endsPatience = 2 * time.Second
	endsRetry    = time.Second      // until they are known for the first time
	endsInterval = 30 * time.Second // later on: others write to the topics too
	endsTimeout  = 10 * time.Second
)

// begin makes the run ready to send: it finds out what the run before it had
// sent, if that ended in a crash, and where the topics end, and saves both. It
// reports false if ctx ended before; then nothing has changed.
func (a *Agent) begin(ctx context.Context) (bool, error) {
	ends := shipper.Offsets{}
	for _, topic := range a.fixedTopics() {
		ends[topic] = map[int32]int64{}
	}
	since, err := a.templated()
	if err != nil {
		return false, err
	}
	for topic := range since {
		ends[topic] = map[int32]int64{}
	}
	for _, h := range a.before.horizons { // partitions only grow: these are true still
		if ends[h.Topic] != nil {
			ends[h.Topic] = maps.Clone(h.From)
		}
	}
	var sent map[tailer.FileID][]checkpoint.Sent
	if a.before.crashed {
		f := newFinder(a.before.entries, a.config().MemoryLimit/2)
		read, err := a.readBack(ctx, f)
		if err != nil {
			return false, err
		}
		a.readLetters(f)
		sent = f.sent
		for topic, ps := range read {
			if ends[topic] != nil {
				maps.Copy(ends[topic], ps)
			}
		}
	}
	now, err := a.askEnds(ctx, endsPatience)
	switch {
	case ctx.Err() != nil:
		return false, nil
	case err != nil: // the producer says what is wrong with Kafka
		a.log.Debug("going on without the ends of the topics", "error", err)
	}
	a.reloading.Lock() // else a topic that comes with a reload is begun by nobody
	defer a.reloading.Unlock()
	for _, topic := range a.topics() {
		if ends[topic] == nil {
			ends[topic] = map[int32]int64{}
		}
	}
	a.before, a.begun = before{}, true // of no use any more, and perhaps large
	a.ledger.begin(sent, ends, since)
	a.ledger.learned(now)
	if a.exact != nil && sent == nil { // nothing that is sent depends on the disk
		a.saveSoon()
		return true, nil
	}
	a.saveOnce()
	return true, nil
}

// unusedTopic is how long a topic that a template led to keeps its place among
// max_topics, and is read back, while nothing comes to it. It counts at a start.
const unusedTopic = 7 * 24 * time.Hour

// templated returns the topics of earlier runs that templates led to, and since
// when nothing came to them. They have their places from the beginning.
func (a *Agent) templated() (map[string]time.Time, error) {
	patterns, _, err := templatePatterns(a.config())
	if err != nil {
		return nil, err
	}
	since := map[string]time.Time{}
	fixed := a.fixedTopics()
	hs := slices.SortedFunc(slices.Values(a.before.horizons), func(x, y checkpoint.Horizon) int { return y.Since.Compare(x.Since) })
	for _, h := range hs {
		if slices.Contains(fixed, h.Topic) || !matchesAny(patterns, h.Topic) || time.Since(h.Since) > unusedTopic {
			continue
		}
		if _, ok := a.names.add(h.Topic); ok {
			since[h.Topic] = h.Since
		}
	}
	return since, nil
}

// fixedTopics returns the topics that the configuration names.
func (a *Agent) fixedTopics() (out []string) {
	for _, r := range *a.routes.Load() {
		if r.to == nil {
			out = append(out, r.topic)
		} else if fallback := a.names.fallback; fallback != "" {
			out = append(out, fallback)
		}
	}
	return out
}

// topics returns the topics that something may be sent to.
func (a *Agent) topics() []string {
	all := append(a.fixedTopics(), a.names.list()...)
	slices.Sort(all)
	return slices.Compact(all)
}

// askEnds asks Kafka where the topics end, for as long as patience.
func (a *Agent) askEnds(ctx context.Context, patience time.Duration) (shipper.Offsets, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return a.producer.Ends(ctx, a.topics()...)
}

// endsOf asks where topics end that were met just now.
func (a *Agent) endsOf(ctx context.Context, topics []string) (shipper.Offsets, error) {
	ctx, cancel := context.WithTimeout(ctx, endsPatience)
	defer cancel()
	return a.producer.Ends(ctx, topics...)
}

// followEnds keeps up with the ends of the topics until ctx ends.
func (a *Agent) followEnds(ctx context.Context) {
	wait := endsRetry
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = endsRetry
		if ends, err := a.askEnds(ctx, endsTimeout); err == nil {
			a.ledger.learned(ends)
			if len(ends) == len(a.topics()) {
				wait = endsInterval
			}
		}
	}
}

// before is what the store said when it was opened.
type before struct {
	crashed  bool // the run before did not end in order, and may have sent more than it saved
	entries  []checkpoint.Entry
	horizons []checkpoint.Horizon
}

// readBack finds what the run before sent beyond what it saved, and the ends up to
// which it looked. The error is an option that can never work.
func (a *Agent) readBack(ctx context.Context, f *finder) (shipper.Offsets, error) {
	const then = "what it sent after its last save is sent again"
	hs := a.before.horizons
	switch {
	case a.config().ReadbackTimeout == 0:
		a.log.Warn("the last run did not end in order: "+then+" (readback_timeout is 0) [readback-off]", "state_dir", a.config().StateDir)
		return nil, nil
	case len(hs) == 0:
		a.log.Warn("the last run did not end in order, and the checkpoint does not say where to read back from: "+then+" [readback-none]", "state_dir", a.config().StateDir)
		return nil, nil
	}
	conn, err := Connection(a.config())
	if err != nil {
		return nil, err
	}
	o := shipper.ReadBackOptions{
		Brokers: a.config().Kafka.Brokers, ClientID: a.config().Kafka.ClientID, TLS: conn.TLS, SASL: conn.SASL, Network: network(a.config()), Limit: a.config().ReadbackTimeout, Log: a.log,
		Waiting: func(why string) {
			a.waiting.Store(nil)
			if why != "" {
				why = "after a crash, and before reading files, the last records have to be read back: " + why
				a.waiting.Store(&why)
			}
		},
	}
	for _, h := range hs {
		t := shipper.ReadBackTopic{Topic: h.Topic, From: h.From, Since: h.Since}
		if a.config().Kafka.Timestamp == "event" {
			t.Since = time.Time{} // records say nothing of when they were sent
		}
		o.Topics = append(o.Topics, t)
	}
	a.log.Info("the last run did not end in order: reading back what it sent after its last save", "at_most", o.Limit)
	began := time.Now()
	result, err := shipper.ReadBack(ctx, o, f.take)
	a.waiting.Store(nil)
	if err != nil {
		if ctx.Err() != nil {
			err = nil
		}
		return nil, err
	}
	log := a.log.With("records_read", result.Records, "own_records", result.Ours, "not_saved", f.count, "took", time.Since(began).Round(time.Millisecond))
	if f.full {
		result.Problems = append(result.Problems, "more of it was found than half of memory_limit has room for")
	}
	if len(result.Problems) > 0 {
		log.Warn("not everything was read back: "+then+" where it was not found [readback-partial]", "reasons", result.Problems)
	} else {
		log.Info("read back: nothing is sent again")
	}
	return result.Ends, nil
}

// lettersRead bounds how much of the end of the dead letter file is looked at,
// in bytes: what was not saved was written last.
const lettersRead = 64 << 20

// readLetters finds what the run before made dead letters of beyond what it
// saved. Where they cannot be read those entries get a second one.
func (a *Agent) readLetters(f *finder) {
	path := filepath.Join(a.config().StateDir, deadLetterName)
	if err := shipper.ReadLastDeadLetters(path, lettersRead, f.takeLetter); err != nil {
		a.log.Warn("what the run before made dead letters of after its last save may become one again [letter-again]", "error", err)
	}
}

// finder finds the records of our files in what is read back.
type finder struct {
	offsets map[tailer.FileID]int64 // what is saved of each file
	sent    map[tailer.FileID][]checkpoint.Sent
	count   int // of sent
	room    int // how many more may be kept
	full    bool
}

// sentMemory is about what a found record takes.
const sentMemory = 32

func newFinder(entries []checkpoint.Entry, memory int64) *finder {
	f := &finder{offsets: map[tailer.FileID]int64{}, sent: map[tailer.FileID][]checkpoint.Sent{}, room: int(memory / sentMemory)}
	for _, e := range entries {
		f.offsets[tailer.FileID(e.ID)] = e.Offset
	}
	return f
}

// take reports whether the record is of one of our files, and notes what lies
// beyond the saved prefix.
func (f *finder) take(r *kgo.Record) bool {
	id, start, end, ok := rangeOf(r)
	if !ok {
		return false
	}
	saved, ours := f.offsets[id]
	switch {
	case !ours:
		return false
	case end <= saved:
	case f.room == 0:
		f.full = true
	default:
		f.room--
		f.count++
		f.sent[id] = appendSent(f.sent[id], start, end, r.Value, r.Headers)
	}
	return true
}

// takeLetter notes a dead letter of one of our files that lies beyond the saved
// prefix: its entry needs no second one.
func (f *finder) takeLetter(l *shipper.Letter) error {
	id := tailer.FileID(l.SourceID())
	saved, ours := f.offsets[id]
	if end := l.Offset + l.Length; ours && end > saved && f.room > 0 {
		f.room--
		f.sent[id] = append(f.sent[id], checkpoint.Sent{Start: l.Offset, End: end, Sum: sumOfLetter(l.Bytes)})
	}
	return nil
}

// rangeOf returns which bytes of which file a record says it stands for.
func rangeOf(r *kgo.Record) (id tailer.FileID, start, end int64, ok bool) {
	var found int
	for i := range r.Headers {
		h := &r.Headers[i]
		var n uint64
		var err error
		switch h.Key {
		case headerSource:
			n, err = strconv.ParseUint(string(h.Value), 16, 64)
			id = tailer.FileID(n)
		case headerOffset:
			n, err = strconv.ParseUint(string(h.Value), 10, 63)
			start = int64(n)
		case headerLength:
			n, err = strconv.ParseUint(string(h.Value), 10, 63)
			end = int64(n)
		default:
			continue
		}
		if err != nil {
			return 0, 0, 0, false
		}
		found++
	}
	if found != 3 || end == 0 || end > math.MaxInt64-start {
		return 0, 0, 0, false
	}
	return id, start, start + end, true
}
