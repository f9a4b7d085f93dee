package main_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// tortureApplication is payload.application of every line.
const tortureApplication = "Torture"

// tortureLine is what writer k writes as its line number seq, without the
// newline. It follows from the two numbers, so that a line that was cut, joined
// or changed on its way does not pass for one that arrived.
func tortureLine(k, seq int) string {
	const pad = `the quick brown fox jumps over the lazy dog and then trots home to sleep; ` +
		`the lazy dog, who has seen it all before, turns round and does the same until dinner `
	return fmt.Sprintf("w%d %d %s\"naïve\" 12 µs \\.", k, seq, pad[:(seq*31+k*7)%len(pad)])
}

// oracle notes what arrives in the topic, by a bitmap of sequence numbers for
// each writer. It knows nothing of files, offsets or checkpoints. It may be used
// concurrently.
type oracle struct {
	mu       sync.Mutex
	writers  []arrivals
	records  int64
	bad      int       // values that are no line of a writer
	badFirst string    // the first of them, and why
	latest   time.Time // when a line arrived for the first time
}

// arrivals are the lines of one writer. Sequence numbers begin with 1.
type arrivals struct {
	seen        []uint64 // bit seq%64 of word seq/64
	distinct    int
	repeated    int
	disorder    int           // lines that arrived, for the first time, after a later one in the same partition
	early, late int           // the first two that arrived in the wrong order
	highest     map[int32]int // by partition
	prefix      int           // all of 1 to prefix have arrived
}

func newOracle(writers int) *oracle {
	return &oracle{writers: make([]arrivals, writers), latest: time.Now()}
}

// arrive notes the value of a record.
func (o *oracle) arrive(partition int32, value []byte) {
	k, seq, err := readTortureValue(value)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.records++
	if err == nil && (k < 0 || k >= len(o.writers) || seq < 1) {
		err = fmt.Errorf("there is no writer %d, or no line %d of it", k, seq)
	}
	if err != nil {
		if o.bad++; o.bad == 1 {
			o.badFirst = fmt.Sprintf("%.200q: %v", value, err)
		}
		return
	}
	if o.writers[k].arrive(partition, seq) {
		o.latest = time.Now()
	}
}

// readTortureValue takes an envelope apart and checks all of it.
func readTortureValue(value []byte) (k, seq int, err error) {
	var e struct {
		Message string
		Payload struct{ Application string }
	}
	if err := json.Unmarshal(value, &e); err != nil {
		return 0, 0, err
	}
	if e.Payload.Application != tortureApplication {
		return 0, 0, fmt.Errorf("application %q", e.Payload.Application)
	}
	if _, err := fmt.Sscanf(e.Message, "w%d %d", &k, &seq); err != nil {
		return 0, 0, err
	}
	if e.Message != tortureLine(k, seq) {
		return 0, 0, fmt.Errorf("not as it was written")
	}
	return k, seq, nil
}

// arrive reports whether seq is new.
func (a *arrivals) arrive(partition int32, seq int) bool {
	if a.has(seq) {
		a.repeated++
		return false
	}
	if missing := seq/64 + 1 - len(a.seen); missing > 0 {
		a.seen = append(a.seen, make([]uint64, missing)...)
	}
	a.seen[seq/64] |= 1 << (seq % 64)
	a.distinct++
	if a.highest == nil {
		a.highest = make(map[int32]int)
	}
	if highest := a.highest[partition]; seq < highest {
		if a.disorder++; a.disorder == 1 {
			a.early, a.late = highest, seq
		}
	}
	a.highest[partition] = max(a.highest[partition], seq)
	for a.has(a.prefix + 1) {
		a.prefix++
	}
	return true
}

func (a *arrivals) has(seq int) bool {
	return seq/64 < len(a.seen) && a.seen[seq/64]&(1<<(seq%64)) != 0
}

// missing describes the lines of 1 to written that have not arrived.
func (a *arrivals) missing(written int) string {
	const most = 8
	var ranges []string
	for seq := 1; seq <= written; seq++ {
		if a.has(seq) {
			continue
		}
		first := seq
		for seq < written && !a.has(seq+1) {
			seq++
		}
		if len(ranges) == most {
			return strings.Join(append(ranges, "…"), ", ")
		}
		ranges = append(ranges, fmt.Sprintf("%d–%d", first, seq))
	}
	return strings.Join(ranges, ", ")
}

// arrived reports whether line seq of writer k has arrived.
func (o *oracle) arrived(k, seq int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.writers[k].has(seq)
}

// allArrived reports whether the lines 1 to seq of writer k have arrived.
func (o *oracle) allArrived(k, seq int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.writers[k].prefix >= seq
}

// received returns the number of records, and when something new came last.
func (o *oracle) received() (records int64, latest time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.records, o.latest
}

// verdict is what the oracle has found.
type verdict struct {
	written, arrived, lost, repeated, disorder, bad int
	details                                         []string
}

func (v verdict) String() string {
	s := fmt.Sprintf("written %d, arrived %d, lost %d, repeated %d, out of order %d, not as written %d",
		v.written, v.arrived, v.lost, v.repeated, v.disorder, v.bad)
	return strings.Join(append([]string{s}, v.details...), "\n  ")
}

// judge compares what has arrived with how many lines each writer wrote.
func (o *oracle) judge(written []int) verdict {
	o.mu.Lock()
	defer o.mu.Unlock()
	v := verdict{bad: o.bad}
	if o.bad > 0 {
		v.details = append(v.details, "first that is not as written: "+o.badFirst)
	}
	for k := range o.writers {
		a := &o.writers[k]
		v.written += written[k]
		v.arrived += a.distinct
		v.repeated += a.repeated
		v.disorder += a.disorder
		if a.disorder > 0 {
			v.details = append(v.details, fmt.Sprintf("w%d: line %d came before line %d", k, a.early, a.late))
		}
		if lost := written[k] - a.distinct; lost != 0 {
			v.lost += lost
			v.details = append(v.details, fmt.Sprintf("w%d lost %d of %d: %s", k, lost, written[k], a.missing(written[k])))
		}
	}
	return v
}

func tortureValue(k, seq int) []byte {
	v, err := json.Marshal(map[string]any{
		"message": tortureLine(k, seq),
		"payload": map[string]any{"application": tortureApplication, "params": map[string]any{}},
	})
	if err != nil {
		panic(err) // strings can always be encoded
	}
	return v
}

// TestOracle plants faults for the oracle to find.
func TestOracle(t *testing.T) {
	type line struct{ k, seq int }
	in := func(k int, seqs ...int) (ls []line) {
		for _, s := range seqs {
			ls = append(ls, line{k, s})
		}
		return ls
	}
	for name, c := range map[string]struct {
		lines   []line
		written []int
		want    verdict
	}{
		"all":           {slices.Concat(in(0, 1, 2, 3), in(1, 1, 2)), []int{3, 2}, verdict{written: 5, arrived: 5}},
		"loss":          {slices.Concat(in(0, 1, 3), in(1, 1, 2)), []int{3, 2}, verdict{written: 5, arrived: 4, lost: 1}},
		"loss at end":   {in(0, 1, 2), []int{3, 0}, verdict{written: 3, arrived: 2, lost: 1}},
		"all lost":      {nil, []int{3, 2}, verdict{written: 5, lost: 5}},
		"repeat":        {in(0, 1, 2, 2, 3), []int{3, 0}, verdict{written: 3, arrived: 3, repeated: 1}},
		"repeated run":  {in(0, 1, 2, 3, 1, 2, 3), []int{3, 0}, verdict{written: 3, arrived: 3, repeated: 3}},
		"disorder":      {in(0, 1, 3, 2, 4), []int{4, 0}, verdict{written: 4, arrived: 4, disorder: 1}},
		"loss + repeat": {in(0, 1, 1, 3), []int{3, 0}, verdict{written: 3, arrived: 2, lost: 1, repeated: 1}},
		"no such line":  {slices.Concat(in(0, 1), in(2, 1)), []int{1, 0}, verdict{written: 1, arrived: 1, bad: 1}},
	} {
		o := newOracle(2)
		for _, l := range c.lines {
			o.arrive(0, tortureValue(l.k, l.seq))
		}
		got := o.judge(c.written)
		if text := got.String(); (got.lost > 0 || got.bad > 0 || got.disorder > 0) == (len(got.details) == 0) {
			t.Errorf("%s: details do not fit: %s", name, text)
		}
		got.details = nil
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: got  %v\nwant %v", name, got, c.want)
		}
	}
}

func TestOracleRefuses(t *testing.T) {
	good := string(tortureValue(0, 77))
	for name, value := range map[string]string{
		"no JSON":           good[1:],
		"cut message":       strings.Replace(good, ".\"", "\"", 1),
		"another number":    strings.Replace(good, "w0 77", "w0 78", 1),
		"another producer":  strings.Replace(good, tortureApplication, "Another", 1),
		"text of something": `{"message":"hello","payload":{"application":"Torture"}}`,
	} {
		o := newOracle(1)
		o.arrive(0, []byte(value))
		if v := o.judge([]int{0}); v.bad != 1 || v.arrived != 0 {
			t.Errorf("%s: %v, want it refused", name, v)
		}
	}
	o := newOracle(1)
	o.arrive(0, []byte(good))
	if v := o.judge([]int{1}); v.bad != 0 || v.arrived != 1 {
		t.Errorf("a good value: %v", v)
	}
}

func TestOracleMissing(t *testing.T) {
	var a arrivals
	for _, s := range []int{1, 2, 5, 64, 65} {
		a.arrive(0, s)
	}
	if got, want := a.missing(70), "3–4, 6–63, 66–70"; got != want {
		t.Errorf("missing %q, want %q", got, want)
	}
	if a.prefix != 2 {
		t.Errorf("prefix %d, want 2", a.prefix)
	}
}
