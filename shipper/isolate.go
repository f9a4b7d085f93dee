package shipper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// soloBatchBytes lets any record into a batch that a broker might take:
	// one that is over the limit may be under it once compressed. Brokers
	// cut connections at 100 MiB (socket.request.max.bytes).
	soloBatchBytes = 64 << 20
	// batchOverhead and recordOverhead are bounds for the bytes that Kafka's
	// format adds: the header of a batch, and lengths and deltas of a record.
	batchOverhead  = 65
	recordOverhead = 36
	headerOverhead = 10
	// cutHeaderBytes is for the header that says that a record was cut.
	cutHeaderBytes = 64
)

// solo is the client for trying suspects. One lane uses it at a time, so
// nothing of another lane can be in a batch that is refused.
type solo struct {
	turn chan struct{} // holds a token while a lane has its turn

	mu     sync.Mutex // guards what follows
	client *kgo.Client
	closed bool
}

// acquire waits for the turn. It fails only if ctx ends first.
func (s *solo) acquire(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *solo) release() { <-s.turn }

// get returns the client, made when first needed, with more options beside
// those of o. Call it only in turn.
func (s *solo) get(o Options, b *brokers, more ...kgo.Opt) (*kgo.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, kgo.ErrClientClosed
	}
	if s.client != nil {
		return s.client, nil
	}
	o.Linger = 0 // each try is waited for
	opts, err := producerOpts(o, b, func(string) int32 { return soloBatchBytes })
	if err != nil {
		return nil, err
	}
	s.client, err = newClient(append(opts, more...))
	return s.client, err
}

// drop closes a client that cannot be used any more. Call it only in turn.
func (s *solo) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil {
		s.client.Close()
		s.client = nil
	}
}

// close ends the client for good, and with it what is being tried.
func (s *solo) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.client != nil {
		s.client.Close()
	}
}

// isolate settles records, one of which may be unacceptable: it sends them in
// order, in ever smaller groups where they are refused, and makes a dead
// letter of what is refused alone. It returns early when the Producer closes,
// and when what fails is no record's fault: recover waits that out, while the
// turn is another lane's.
func (p *Producer) isolate(l *lane, records []*Record) {
	if p.solo.acquire(p.ctx) != nil {
		return
	}
	inTurn := true
	defer func() {
		if inTurn {
			p.solo.release()
		}
	}()
	rest := records
	suspects := 0 // one of that many at the front was refused, if not 0
	for len(rest) > 0 && p.ctx.Err() == nil {
		client, err := p.solo.get(p.opts, &p.brokers)
		if err != nil {
			return // closed; the options were good for the first client
		}
		p.limits.refresh(p.ctx, client, l.topic)
		n, size := p.group(l.topic, rest)
		if suspects > 0 {
			n = min(n, max(suspects/2, 1))
		}
		if err = p.hopeless(l.topic, rest[:n]); err == nil {
			send(client, l.seq.holding(), rest[:n])
			err = cause(rest[:n])
		}
		tried := len(unsettled(rest[:n]))
		if tried < n {
			p.brake.accepted(l.topic)
		}
		switch {
		case tried == 0:
			suspects = max(suspects-n, 0)
		case err == nil: // only kept back; sent again with the next group
		case classify(err) == isolate && n > 1:
			suspects = tried
			if errors.Is(err, kerr.MessageTooLarge) && tried == n {
				p.limits.refused(l.topic, size)
			}
		case classify(err) == isolate && p.wantsKey(l.topic, rest[0], err):
			rest[0].err = fmt.Errorf("%w: %w", errWantsKey, err)
			return
		case classify(err) == isolate && rest[0].Refuse == nil && p.brake.holds(l.topic):
			rest[0].err = &brakeError{p.opts.DeadLettersInARow, err}
			return
		case classify(err) == isolate && p.cut(l.topic, rest[0], err):
			suspects = 1 // it is tried again, alone
		case classify(err) == isolate:
			// Meanwhile the turn is another lane's: a dead letter file without
			// room holds up only who needs it.
			p.solo.release()
			if rest[0].Refuse == nil {
				p.brake.refused(l.topic)
			}
			inTurn = p.bury(l, rest[0], err) && p.solo.acquire(p.ctx) == nil
			if !inTurn {
				return
			}
			suspects = 0
		default:
			if spoilsClient(err) {
				p.solo.drop()
			}
			return
		}
		rest = unsettled(rest)
		p.settleQueue(l)
	}
}

// wantsKey tells whether err is how a compacted topic refuses r, which has no
// key. Where the topic's policy cannot be read it is taken for that: a lane
// that waits is better than a dead letter for every record.
func (p *Producer) wantsKey(topic string, r *Record, err error) bool {
	return errors.Is(err, kerr.InvalidRecord) && r.Key == nil && p.limits.compaction(topic) != compactedNot
}

// hopeless returns an error if records is one record that need not be sent to
// learn that it becomes a dead letter.
func (p *Producer) hopeless(topic string, records []*Record) error {
	if len(records) == 1 && records[0].Refuse != nil {
		return records[0].err
	}
	return p.surelyTooLarge(topic, records)
}

// group is how many of rest, at least one, fit into one batch of the topic
// even if they cannot be compressed, and that batch's size. A record that may
// not be sent is a group of its own.
func (p *Producer) group(topic string, rest []*Record) (n, size int) {
	limit := int(p.limits.batchMax(topic))
	size = batchOverhead
	for i, r := range rest {
		more := recordSize(r)
		if i > 0 && (size+more > limit || r.Refuse != nil || rest[0].Refuse != nil) {
			return i, size
		}
		size += more
	}
	return len(rest), size
}

// recordSize is a bound for the bytes of r in a batch without compression.
func recordSize(r *Record) int {
	n := recordOverhead + len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += headerOverhead + len(h.Key) + len(h.Value)
	}
	return n
}

// surelyTooLarge returns an error if records is one record that the topic
// cannot take, as far as that is known, so that it need not be sent to learn
// so. The limit is for the compressed batch, hence it compresses.
func (p *Producer) surelyTooLarge(topic string, records []*Record) error {
	limit := int(p.limits.known(topic))
	if limit == 0 || len(records) != 1 {
		return nil
	}
	r := records[0]
	if len(r.Value) <= limit {
		return nil
	}
	size := len(r.Value)
	if c, err := compressor(p.opts.Compression); err == nil && c != nil {
		var buf bytes.Buffer
		if small, _ := c.Compress(&buf, r.Value); small != nil {
			size = min(size, len(small))
		}
	}
	// The value alone compresses to about what it takes in its batch; leave
	// the doubtful cases to the broker.
	if size <= limit+limit/8 {
		return nil
	}
	r.err = fmt.Errorf("%w: %d bytes, %d compressed, topic %q takes %d (max.message.bytes)",
		kerr.MessageTooLarge, len(r.Value), size, topic, limit)
	return r.err
}

// cut has r made smaller, if that is wanted and its size is why it was refused.
// It reports whether r is to be tried again.
func (p *Producer) cut(topic string, r *Record, err error) bool {
	if p.opts.Cut == nil || r.Refuse != nil || !errors.Is(err, kerr.MessageTooLarge) && !errors.Is(err, kerr.RecordListTooLarge) {
		return false
	}
	before := len(r.Value)
	fits := int(p.limits.known(topic)) - batchOverhead - (recordSize(r) - before) - cutHeaderBytes
	if fits <= 0 || fits >= before { // not known, or that was not why
		fits = before / 2
	}
	if !p.opts.Cut(r, fits) || len(r.Value) >= before {
		return false
	}
	p.opts.Log.Warn("a record was cut to what its topic takes [record-cut]", "topic", topic, "offset", r.Start, "length", r.End-r.Start, "bytes", before, "bytes_left", len(r.Value))
	return true
}

// bury makes r a dead letter, trying until that is on disk, and shows why it is
// not. It reports false if the Producer was closed before.
func (p *Producer) bury(l *lane, r *Record, reason error) bool {
	if p.opts.Refused != nil {
		p.opts.Refused(r, reason)
		r.err, r.Offset = nil, -1
		return true
	}
	letter := p.letter(p.batchOf(l, r), r, reason)
	for failures := 1; ; failures++ {
		err := p.letters.add(letter)
		if err == nil {
			break
		}
		p.setTrouble(l, err)
		if !sleep(p.ctx, p.tune.backoff(failures)) {
			return false
		}
	}
	p.setTrouble(l, nil)
	r.err, r.Offset = nil, -1 // it is nowhere in Kafka
	p.opts.Log.Warn("a record is a dead letter now [record-refused]", "topic", l.topic, "path", letter.Path, "offset", letter.Offset,
		"length", letter.Length, "reason", letter.Reason, "dead_letters", p.opts.DeadLetterPath)
	return true
}
