package shipper

import (
	"context"
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/twmb/franz-go/pkg/kgo"
)

// sequence is the way of one lane's records into one client. It lets them in
// only as a prefix: once one of them has failed, no later one gets in, so that
// all that failed can be sent again in the old order.
//
// It is the context of its records. That is how the partitioner and the gate,
// which kgo calls with a record only, find it; and when it ends, kgo drops
// what it has not sent yet.
type sequence struct {
	context.Context
	end    context.CancelFunc
	stream uint64
	broken atomic.Bool

	handed int32 // number of the next record; owned by the goroutine that hands over

	// partitions is how many the topic has for what of the lane is not settled;
	// 0: not known. Its sequences share it until the lane is empty.
	partitions *atomic.Int32
	holds      bool        // it stays with that number when there are more
	outgrown   atomic.Bool // it broke because there are more

	// Guarded by kgo's lock on the partitioner of the sequence's only topic.
	entered int32 // number of the only record that may enter next
	opened  bool  // the record being partitioned begins a new batch
	chosen  int   // the partition of the stream among so many:
	among   int
}

func newSequence(stream uint64) *sequence {
	s := &sequence{stream: stream, partitions: new(atomic.Int32)}
	s.Context, s.end = context.WithCancel(context.Background())
	return s
}

// holding returns the sequence of an attempt to send again what failed in s, or
// was kept back behind that.
func (s *sequence) holding() *sequence {
	next := newSequence(s.stream)
	next.partitions, next.holds = s.partitions, true
	return next
}

// produce hands r over to client. The number is carried where kgo later puts
// the partition. It must not be called while holding a lock that a promise
// could need, see gate.
func (s *sequence) produce(client *kgo.Client, r *kgo.Record, promise func(*kgo.Record, error)) {
	r.Context = s
	r.Partition = s.handed
	s.handed++
	client.Produce(s, r, promise)
}

// fail lets nothing more in. It reports whether it was the first to do so.
func (s *sequence) fail() bool {
	if s.broken.Swap(true) {
		return false
	}
	s.end()
	return true
}

// partitionsFor returns of how many partitions a record may choose, when the topic
// has n.
//
// With more partitions a key, or a stream, has another one. A record that failed
// would then be sent behind later ones that were acknowledged there. So what of a
// lane is on its way at the same time chooses of as many: the first record behind
// more of them breaks the sequence, what failed stays with the old number, and the
// new one counts from when the lane is empty. A topic with fewer was made anew.
func (s *sequence) partitionsFor(n int) (int, bool) {
	have := int(s.partitions.Load())
	switch {
	case have == n:
	case have == 0 || n < have:
		s.partitions.Store(int32(n))
	case s.holds:
		return have, true
	default:
		s.outgrown.Store(true)
		return 0, false
	}
	return n, true
}

// partitioner gives a record with a key to the partition that the Java client
// would choose (murmur2), unless it is sticky, and all others to the partition of
// their stream.
type partitioner struct{ sticky bool }

// ForTopic implements kgo.Partitioner.
func (p partitioner) ForTopic(topic string) kgo.TopicPartitioner {
	if p.sticky {
		return &topicPartitioner{}
	}
	return &topicPartitioner{keyed: kgo.StickyKeyPartitioner(nil).ForTopic(topic)}
}

// topicPartitioner also refuses records that would overtake one that failed.
// kgo calls its methods, the buffering and the gate for one record after the
// other, under one lock, because it has OnNewBatch.
type topicPartitioner struct {
	keyed kgo.TopicPartitioner // nil: keys do not count
	last  *sequence            // of the last record seen
	again bool                 // the next call is for the same record as the last
}

// refused is no partition: kgo fails the record.
const refused = -1

// RequiresConsistency implements kgo.TopicPartitioner: a stream must not
// change its partition because that partition has no leader at the moment.
func (*topicPartitioner) RequiresConsistency(*kgo.Record) bool { return true }

// OnNewBatch implements kgo.TopicPartitionerOnNewBatch. kgo calls it between
// two calls of Partition for the same record.
func (t *topicPartitioner) OnNewBatch() {
	t.last.opened = true
	t.again = true
}

// Partition implements kgo.TopicPartitioner.
func (t *topicPartitioner) Partition(r *kgo.Record, n int) int {
	s := r.Context.(*sequence)
	t.last = s
	// In the second call for a record its number is overwritten already.
	inTurn := t.again || r.Partition == s.entered
	t.again = false
	if s.broken.Load() || !inTurn {
		return refused
	}
	if n, inTurn = s.partitionsFor(n); !inTurn {
		return refused
	}
	if r.Key != nil && t.keyed != nil {
		return t.keyed.Partition(r, n)
	}
	if n != s.among {
		s.chosen, s.among = streamPartition(s.stream, n), n
	}
	return s.chosen
}

// streamPartition spreads streams over n partitions, the same way in every run.
func streamPartition(stream uint64, n int) int { return hashPartition(streamHash(stream), n) }

// hashPartition is streamPartition for who keeps the stream's hash.
func hashPartition(hash uint64, n int) int { return int(hash % uint64(n)) }

func streamHash(stream uint64) uint64 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], stream)
	return xxhash.Sum64(b[:])
}

// gate makes a sequence learn of a failure before anything behind it is sent.
//
// When Kafka refuses a batch, kgo fails all that is buffered for the
// partition, but our promises are called later, by another goroutine. What is
// handed over in between would open a new batch, and overtake. So for the
// first record of each batch, while kgo still holds the partition's lock and
// cannot send it, the gate waits until all promises so far were called. If one
// of them broke the record's sequence, kgo finds its context ended and fails
// the new batch instead of sending it. Records that join the batch later are
// refused by Partition, which sees the broken sequence too.
type gate struct{ client *kgo.Client }

// OnNewClient implements kgo.HookNewClient.
func (g *gate) OnNewClient(client *kgo.Client) { g.client = client }

// OnProduceRecordPartitioned implements kgo.HookProduceRecordPartitioned. kgo
// calls it with the record in its batch and the partition locked.
func (g *gate) OnProduceRecordPartitioned(r *kgo.Record, _ int32) {
	s := r.Context.(*sequence)
	s.entered++
	if !s.opened {
		return
	}
	s.opened = false
	// kgo calls promises one after the other, in the order of the outcomes.
	// A record without a topic fails at once, so its promise is the last of
	// all that are due.
	reached := make(chan struct{})
	marker := &kgo.Record{Timestamp: time.Unix(0, 0)}
	g.client.Produce(context.Background(), marker, func(*kgo.Record, error) { close(reached) })
	<-reached
}
