package shipper

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Record is one Kafka record and the bytes of its source that it stands for.
// From Produce until done it belongs to the Producer.
type Record struct {
	// Record has Value, Headers, Key, Topic ("" is Options.Topic) and
	// Timestamp set by the caller. A zero Timestamp costs a clock call each.
	kgo.Record
	// Start and End are the raw byte range in the source.
	Start, End int64
	// Raw are the entry's original bytes, for the dead letter. It may alias
	// memory that the caller keeps until done.
	Raw []byte
	// Refuse, if not nil, is why the record may not be sent: it becomes a dead
	// letter instead, in its turn, whose bytes stay on this host. What Kafka
	// would be sent (Value and so on) is not looked at then.
	Refuse error

	// err is nil once the record is settled. In flight it means nothing;
	// else it is why the record is not settled. Written by the promise, or by
	// whoever owns the record's span; read when no promise is due.
	err error
}

// Batch is what was read together; it is paid for, and reported, together.
// From Produce until done it belongs to the Producer; after that it may be
// used again.
type Batch struct {
	// Stream names what keeps its order: the records of one stream that go to
	// one partition are in Kafka in the order of Produce. It also chooses the
	// partition of records without a key.
	Stream uint64
	// Source is the file's id, for dead letters. Opaque.
	Source uint64
	// Path is for dead letters and messages. Opaque.
	Path string
	// Records in the order of the source.
	Records []Record
	// Bytes is the memory to charge to the budget.
	Bytes int64
	// Tag is the caller's, handed back untouched.
	Tag any

	charge   int64     // taken from the budget
	accepted time.Time // when Produce took it over
	settled  int       // valid once reported
	first    span      // saves an allocation: most batches have one topic
	spans    int       // not settled yet; guarded by Producer.mu

	prev, next *Batch // list of open batches; guarded by Producer.mu
}

// Settled is the number of leading records that are settled: acknowledged by
// all in-sync replicas, or dead-lettered. It is len(Records) unless the
// Producer was closed before. Valid once done was called with b.
func (b *Batch) Settled() int { return b.settled }

// countSettled sets settled. No promise of b may be due.
func (b *Batch) countSettled() {
	b.settled = 0
	for i := range b.Records {
		if b.Records[i].err != nil {
			return
		}
		b.settled++
	}
}

// unsettle marks all records as not settled.
func (b *Batch) unsettle() {
	for i := range b.Records {
		b.Records[i].err = errUncommitted
	}
}

// Settled reports whether the record is acknowledged or dead-lettered. Valid
// once done was called with its batch.
func (r *Record) Settled() bool { return r.err == nil }

// Landing is where records of a batch are in one partition.
type Landing struct {
	Topic       string
	Partition   int32
	First, Last int64 // the lowest and the highest offset
}

// Landings appends to dst where the settled records are, an element for each
// partition. A dead letter is nowhere, and so is a record whose offset Kafka has
// not told. Valid once done was called with b.
func (b *Batch) Landings(dst []Landing) []Landing {
	known := len(dst)
	at := known // the landing of the record before
	for i := range b.Records {
		r := &b.Records[i]
		if r.err != nil || r.Offset < 0 {
			continue
		}
		is := func(l Landing) bool { return l.Partition == r.Partition && l.Topic == r.Topic }
		if at == len(dst) || !is(dst[at]) {
			if at = known + slices.IndexFunc(dst[known:], is); at < known {
				at = len(dst)
				dst = append(dst, Landing{r.Topic, r.Partition, r.Offset, r.Offset})
			}
		}
		l := &dst[at]
		l.First, l.Last = min(l.First, r.Offset), max(l.Last, r.Offset)
	}
	return dst
}

// span is those of a batch's records that go to one topic, and so one lane.
type span struct {
	batch   *Batch
	lane    *lane
	seq     *sequence    // the lane's when s was handed over
	number  uint64       // grows in the order of Produce
	records []Record     // of the batch
	picked  []*Record    // those of them that are meant, in order; nil: all
	open    atomic.Int64 // promises due, and one for the goroutine that hands over
	failed  atomic.Bool
	hint    int // where the next failed record is looked for; owned by the promises
	clean   int // records before it are settled; owned by the lane's recovery
}

// len is how many records s has.
func (s *span) len() int {
	if s.picked != nil {
		return len(s.picked)
	}
	return len(s.records)
}

// at returns the record with that index.
func (s *span) at(i int) *Record {
	if s.picked != nil {
		return s.picked[i]
	}
	return &s.records[i]
}

// sends tells whether a record of s may be sent.
func (s *span) sends() bool {
	for i := range s.len() {
		if s.at(i).Refuse == nil {
			return true
		}
	}
	return false
}

// promise is called by kgo for each record, one after the other.
func (s *span) promise(r *kgo.Record, err error) {
	if err != nil {
		if s.seq.outgrown.Load() {
			err = errUnsent // it is for the lane's recovery, which has not to wait
		}
		s.find(r).err = err
		s.failed.Store(true)
		if s.seq.fail() {
			s.lane.producer.failing(s.lane)
		}
	}
	s.release(1)
}

// find returns our record around r. Failures come in order, per partition.
func (s *span) find(r *kgo.Record) *Record {
	for range s.len() {
		mine := s.at(s.hint)
		s.hint = (s.hint + 1) % s.len()
		if &mine.Record == r {
			return mine
		}
	}
	return &Record{} // not reached: kgo calls a promise with the record it was given
}

func (s *span) release(n int64) {
	if s.open.Add(-n) == 0 {
		s.lane.producer.landed(s)
	}
}

// handOver gives the records to the lane's client. s may be settled, and its
// memory used again, when it returns.
func (s *span) handOver(client *kgo.Client) {
	n := s.len()
	s.open.Store(int64(n) + 1)
	promise := s.promise // one closure for all of them
	unsent := 0
	for i := range n {
		r := s.at(i)
		if r.Refuse != nil && s.seq.fail() {
			// What may not be sent is for the lane's recovery, as what was refused.
			s.lane.producer.failing(s.lane)
		}
		if s.seq.broken.Load() {
			s.keepBack(i)
			unsent = n - i
			s.failed.Store(true)
			break
		}
		s.seq.produce(client, &r.Record, promise)
	}
	s.release(int64(unsent) + 1)
}

// keepBack marks the records from index from on as not sent.
func (s *span) keepBack(from int) {
	for i := from; i < s.len(); i++ {
		s.at(i).keepBack()
	}
}

// keepBack marks r as not sent. One that may not be sent shows that instead,
// as long as it is not settled.
func (r *Record) keepBack() {
	r.err = errUnsent
	if r.Refuse != nil {
		r.err = &refusal{r.Refuse}
	}
}

// done reports whether all records are settled. Only the lane's recovery may
// ask, while no promise is due.
func (s *span) done() bool {
	for s.clean < s.len() && s.at(s.clean).err == nil {
		s.clean++
	}
	return s.clean == s.len()
}

// attempt is one try to send records of a failing lane: unlike a span it
// notes each outcome.
type attempt struct {
	records []*Record
	open    atomic.Int64
	over    chan struct{}
	hint    int
	seq     *sequence
}

// send tries records in order through client and returns when each has an
// outcome in its err: nil, or why it is not in Kafka. It ends seq, which is new.
func send(client *kgo.Client, seq *sequence, records []*Record) {
	a := &attempt{records: records, over: make(chan struct{}), seq: seq}
	defer a.seq.end()
	a.open.Store(int64(len(records)) + 1)
	promise := a.promise
	for i, r := range records {
		if a.seq.broken.Load() {
			for _, r := range records[i:] {
				r.err = errUnsent
			}
			a.release(int64(len(records) - i))
			break
		}
		a.seq.produce(client, &r.Record, promise)
	}
	a.release(1)
	<-a.over
}

func (a *attempt) promise(r *kgo.Record, err error) {
	for range a.records {
		mine := a.records[a.hint]
		a.hint = (a.hint + 1) % len(a.records)
		if &mine.Record == r {
			mine.err = err
			break
		}
	}
	if err != nil {
		a.seq.fail()
	}
	a.release(1)
}

func (a *attempt) release(n int64) {
	if a.open.Add(-n) == 0 {
		close(a.over)
	}
}

// unsettled returns those of records that are not settled, in order.
func unsettled(records []*Record) []*Record {
	var left []*Record
	for _, r := range records {
		if r.err != nil {
			left = append(left, r)
		}
	}
	return left
}
