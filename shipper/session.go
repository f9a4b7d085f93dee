package shipper

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// session is one kgo client and who uses it. A client that can never send
// again, or that cuts batches too large for a topic, is replaced: lanes move
// to the new one when nothing of theirs is in flight.
type session struct {
	client *kgo.Client
	born   time.Time
	lanes  int // that may have records in the client; guarded by Producer.mu

	answered atomic.Int64 // when a broker last answered to records, in ns since 1970

	mu    sync.Mutex
	sizes map[string]int32 // the largest batch, per topic; never changed
}

// minSessionAge keeps many failing lanes from making a client each.
const minSessionAge = time.Second

func (p *Producer) newSession() (*session, error) {
	s := &session{born: time.Now(), sizes: make(map[string]int32)}
	careful := p.txn != nil && p.txn.careful
	opts, err := producerOpts(p.opts, &p.brokers, func(topic string) int32 {
		limit := p.limits.batchMax(topic)
		if careful {
			limit = soloBatchBytes
		}
		if topic == "" { // kgo looks whether the answer is possible at all
			return limit
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		// kgo asks at each update of its metadata, but keeps to the first
		// answer for partitions that it knows.
		if _, ok := s.sizes[topic]; !ok {
			s.sizes[topic] = limit
		}
		return s.sizes[topic]
	})
	if err != nil {
		return nil, err
	}
	if p.txn != nil {
		s.client, err = p.txn.newClient(opts, s)
		return s, err
	}
	s.client, err = newClient(opts, s)
	return s, err
}

// OnBrokerE2E implements kgo.HookBrokerE2E. An answer that refuses is one, too.
func (s *session) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e2e kgo.BrokerE2E) {
	if key == int16(kmsg.Produce) && e2e.Err() == nil {
		s.answered.Store(time.Now().UnixNano())
	}
}

// batchSizes returns the largest batch per topic that the client was told of.
func (s *session) batchSizes() map[string]int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.sizes)
}

// renew replaces old, unless that was done already or was done just now.
func (p *Producer) renew(old *session, why string) {
	if p.txn != nil {
		p.txn.renew() // between two transactions
		return
	}
	if time.Since(old.born) < minSessionAge {
		return
	}
	if p.replace(old, p.closeUnusedLocked) {
		p.opts.Log.Info("made a new Kafka client", "reason", why)
	}
}

// replace makes a new session the current one in the place of old, and reports whether
// it did: not if that was done already, nor at the end. retireLocked is given old.
func (p *Producer) replace(old *session, retireLocked func(*session)) bool {
	fresh, err := p.newSession()
	if err != nil {
		p.opts.Log.Error("cannot make a new Kafka client, going on with the old one [kafka-client]", "error", err)
		return false
	}
	p.mu.Lock()
	mine := p.current == old && !p.stopped
	if mine {
		p.current = fresh
		p.sessions[fresh] = struct{}{}
		retireLocked(old)
	}
	p.mu.Unlock()
	if !mine {
		fresh.client.Close() // not under the lock: see Producer.mu
	}
	return mine
}

// attachLocked puts l, which has nothing in flight, on the current session.
func (p *Producer) attachLocked(l *lane) {
	if l.session == p.current {
		return
	}
	p.detachLocked(l)
	l.session = p.current
	l.session.lanes++
}

func (p *Producer) detachLocked(l *lane) {
	if l.session == nil {
		return
	}
	old := l.session
	l.session = nil
	old.lanes--
	p.closeUnusedLocked(old)
}

// closeUnusedLocked closes s if it was replaced and no lane is left on it.
func (p *Producer) closeUnusedLocked(s *session) {
	if s == p.current || s.lanes > 0 || p.stopped {
		return
	}
	p.closeLocked(s)
}

// closeLocked closes s, which lanes may still be on: they get their records back. It
// must not be called at the end, when all are closed.
func (p *Producer) closeLocked(s *session) {
	if _, ok := p.sessions[s]; ok {
		delete(p.sessions, s)
		p.wg.Go(s.client.Close)
	}
}
