package shipper

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// rescues are how often the watchdog had to help.
type rescues struct {
	total atomic.Int64
	vain  int // since something was last acknowledged
	last  time.Time
}

// maxVain bounds how often the watchdog's patience doubles.
const maxVain = 4

// rescue makes a new client where the current one seems to be stuck: records wait,
// no broker has answered to any for long, not even with a refusal, and yet brokers
// answer, and those that lead can be reached. Closing the old one makes it give its
// records back, and each lane sends again what is not acknowledged, in order.
//
// What the old one had sent may have been stored, or may be yet: then it is there
// twice, since a broker takes the new client for another producer. So each time
// that this does not help the next one is twice as far away.
func (p *Producer) rescue(now time.Time) {
	s, topics := p.stuck(now)
	if s == nil || !p.wouldTake(s, topics) {
		return
	}
	if !p.replace(s, p.closeLocked) {
		return
	}
	p.rescues.total.Add(1)
	p.rescues.vain++
	p.rescues.last = now
	p.opts.Log.Warn("no broker has answered to records for long, though brokers answer: made a new Kafka client, which sends them again; what the old one had sent may be there twice [kafka-silent]",
		"waited", p.opts.Watchdog, "topics", topics)
}

// stuck returns the current session if it looks stuck, and the topics of what waits
// in it.
func (p *Producer) stuck(now time.Time) (*session, []string) {
	if p.opts.Watchdog <= 0 || p.txn != nil { // a transaction has a limit of its own
		return nil, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lastAck.After(p.rescues.last) {
		p.rescues.vain = 0
	}
	patience := p.opts.Watchdog << min(p.rescues.vain, maxVain)
	s := p.current
	if now.Sub(s.born) < patience || now.Sub(time.Unix(0, s.answered.Load())) < patience {
		return nil, nil
	}
	waiting := make(map[string]bool)
	var topics []string
	for _, st := range p.streams {
		for _, l := range st.lanes {
			if l.session == s && now.Sub(l.progress) >= patience && !waiting[l.topic] {
				waiting[l.topic] = true
				topics = append(topics, l.topic)
			}
		}
	}
	if len(topics) == 0 {
		return nil, nil
	}
	return s, topics
}

// metadata asks what a broker knows of the topics now.
func (p *Producer) metadata(client *kgo.Client, topics []string) (*kmsg.MetadataResponse, error) {
	req := kmsg.NewPtrMetadataRequest()
	for _, topic := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(topic)
		req.Topics = append(req.Topics, t)
	}
	ctx, cancel := context.WithTimeout(p.ctx, p.tune.ask)
	defer cancel()
	return req.RequestWith(ctx, client)
}

// wouldTake reports whether one of the topics is there, and all who lead it can be
// reached, as a broker says that answers now.
func (p *Producer) wouldTake(s *session, topics []string) bool {
	resp, err := p.metadata(s.client, topics)
	if err != nil {
		return false
	}
	away := make(map[int32]bool)
	for _, b := range p.brokers.list() {
		away[b.ID] = b.State == BrokerUnreachable
	}
	for _, t := range resp.Topics {
		ok := kerr.ErrorForCode(t.ErrorCode) == nil && len(t.Partitions) > 0
		for _, part := range t.Partitions {
			ok = ok && kerr.ErrorForCode(part.ErrorCode) == nil && !away[part.Leader]
		}
		if ok {
			return true
		}
	}
	return false
}
