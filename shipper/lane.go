package shipper

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// lane is the way of one stream into one topic. See the package comment for
// its states. All fields are guarded by Producer.mu, except producer, stream
// and topic, which never change.
type lane struct {
	producer *Producer
	stream   *stream
	topic    string

	session  *session // nil while nothing is in flight and nothing queued
	seq      *sequence
	inFlight int       // spans handed over that have not landed
	progress time.Time // when a span last arrived in an empty lane, or was settled
	met      bool      // its topic was looked for, where it would be created
	proven   bool      // something was settled, and it has not stalled since

	// While failing:
	failing bool
	queue   []*span       // not settled, not in flight
	landed  chan struct{} // closed when nothing is in flight any more
	trouble error         // what the last attempt died of; nil while there is hope
}

// stream is what the lanes of one stream share. Guarded by Producer.mu.
type stream struct {
	id      uint64
	lanes   []*lane
	held    int64 // bytes of the budget
	failing int   // lanes
	batches int   // open
}

// unprovenShare is which part of the budget a stream may hold while one of its
// lanes has settled nothing yet, or nothing for long.
const unprovenShare = 64

// unproven tells whether records wait in a lane of which it is not known that
// they will get through soon.
func (st *stream) unproven() bool {
	return slices.ContainsFunc(st.lanes, func(l *lane) bool { return l.session != nil && !l.proven })
}

// laneIdle is how long an empty lane is kept for its next batch.
const laneIdle = 10 * time.Second

func (p *Producer) laneLocked(id uint64, topic string, now time.Time) *lane {
	st := p.streams[id]
	if st == nil {
		st = &stream{id: id}
		p.streams[id] = st
	}
	for _, l := range st.lanes {
		if l.topic == topic {
			return l
		}
	}
	l := &lane{producer: p, stream: st, topic: topic, seq: newSequence(id), progress: now}
	st.lanes = append(st.lanes, l)
	return l
}

// forgetIdle drops lanes and streams that have been empty for a while.
func (p *Producer) forgetIdle(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, st := range p.streams {
		if st.batches > 0 {
			continue
		}
		st.lanes = slices.DeleteFunc(st.lanes, func(l *lane) bool {
			idle := l.session == nil && now.Sub(l.progress) > laneIdle
			if idle {
				l.seq.end()
			}
			return idle
		})
		if len(st.lanes) == 0 {
			delete(p.streams, id)
		}
	}
}

// dispatch hands s over, or queues it while its lane is failing.
func (p *Producer) dispatch(s *span) {
	l := s.lane
	p.mu.Lock()
	if l.failing {
		s.keepBack(0)
		l.queue = append(l.queue, s)
		p.mu.Unlock()
		return
	}
	if l.inFlight == 0 {
		p.attachLocked(l)
	}
	l.inFlight++
	p.inFlight++
	s.seq = l.seq
	client := l.session.client
	p.mu.Unlock()
	s.handOver(client)
}

// failing is called for the first failure in a lane's sequence.
func (p *Producer) failing(l *lane) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.failing = true
	l.stream.failing++
	l.landed = make(chan struct{})
	if !p.stopped {
		p.wg.Go(func() { p.recover(l) })
	}
}

// landed is called when all promises of s are in.
func (p *Producer) landed(s *span) {
	l := s.lane
	p.mu.Lock()
	l.inFlight--
	p.inFlight--
	if p.inFlight == 0 {
		p.quiet.Broadcast()
	}
	var finished *Batch
	if s.failed.Load() {
		l.queue = append(l.queue, s)
	} else {
		finished = p.settleLocked(s, time.Now())
		p.brake.accepted(l.topic)
	}
	if l.inFlight == 0 {
		if l.failing {
			close(l.landed)
		} else {
			l.seq.partitions.Store(0) // no record is left that could be overtaken
			p.detachLocked(l)
		}
	}
	p.mu.Unlock()
	p.report(finished)
}

// recover sends again what failed, and what queued up behind it, until the
// lane is empty. It ends early when the Producer is closed.
func (p *Producer) recover(l *lane) {
	<-l.landed
	failures := 0
	for p.ctx.Err() == nil {
		records, s := p.pending(l)
		if len(records) == 0 {
			return
		}
		err := cause(records)
		switch {
		case err == nil: // only kept back: there is nothing to wait for
		case classify(err) == stop && p.ctx.Err() != nil: // else the watchdog has closed our client
			return
		case classify(err) == isolate:
			p.isolate(l, records)
			p.settleQueue(l)
			if len(unsettled(records)) < len(records) {
				failures = 0
			}
			continue
		default:
			failures++
			p.setTrouble(l, err)
			if spoilsClient(err) {
				p.renew(s, err.Error())
			}
			if !sleep(p.ctx, p.tune.backoff(failures)) {
				return
			}
			if errors.Is(err, kerr.InvalidTimestamp) {
				restamp(records)
			}
			s = p.reattach(l)
			records = p.firstGroup(l, records)
		}
		send(s.client, l.seq.holding(), records)
		if len(unsettled(records)) < len(records) {
			p.brake.accepted(l.topic)
		}
		if cause(records) == nil {
			failures = 0
		}
		p.settleQueue(l)
	}
}

// restamp gives records, none of which is in flight, the time of now. They may
// have been made long ago, or before the clock of this host was corrected: with
// their old time the topic would refuse them for ever.
func restamp(records []*Record) {
	now := time.Now()
	for _, r := range records {
		r.Timestamp = now
	}
}

// pending returns what is to be sent again, in order, and the session for it.
// If there is nothing, the lane is healthy from then on.
func (p *Producer) pending(l *lane) ([]*Record, *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(l.queue) == 0 {
		l.failing = false
		l.stream.failing--
		l.trouble = nil
		l.seq = newSequence(l.stream.id)
		p.detachLocked(l)
		return nil, nil
	}
	p.attachLocked(l)
	// Spans land in any order if their keys lead to several partitions.
	slices.SortFunc(l.queue, func(a, b *span) int { return cmp.Compare(a.number, b.number) })
	var records []*Record
	for _, s := range l.queue {
		for i := range s.len() {
			if r := s.at(i); r.err != nil {
				records = append(records, r)
			}
		}
	}
	return records, l.session
}

// firstGroup keeps all but one batch back: while rights are missing, it is
// enough to be refused that much each time.
func (p *Producer) firstGroup(l *lane, records []*Record) []*Record {
	n, _ := p.group(l.topic, records)
	for _, r := range records[n:] {
		r.keepBack()
	}
	return records[:n]
}

// reattach moves l, which has nothing in flight, to the current session.
func (p *Producer) reattach(l *lane) *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.attachLocked(l)
	return l.session
}

func (p *Producer) setTrouble(l *lane, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.trouble = err
	if err != nil {
		p.failures[reasonOf(err)]++
	}
}

// settleQueue settles the spans of a failing lane whose records all are.
func (p *Producer) settleQueue(l *lane) {
	var finished []*Batch
	now := time.Now()
	p.mu.Lock()
	l.queue = slices.DeleteFunc(l.queue, func(s *span) bool {
		if !s.done() {
			return false
		}
		if b := p.settleLocked(s, now); b != nil {
			finished = append(finished, b)
		}
		l.trouble = nil
		return true
	})
	p.mu.Unlock()
	for _, b := range finished {
		p.report(b)
	}
}
