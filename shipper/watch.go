package shipper

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// watch looks at the Producer now and then, until Close: kgo waits in silence
// for a missing topic or an unreachable leader, so somebody has to ask why
// nothing arrives.
func (p *Producer) watch() {
	ticker := time.NewTicker(p.tune.tick)
	defer ticker.Stop()
	_ = p.countLetters() // so that Health knows of earlier runs early; the first tick tells what is wrong
	for {
		select {
		case <-ticker.C:
		case <-p.missing.wake:
			p.createMissing(time.Now())
			continue
		case <-p.ctx.Done():
			return
		}
		p.forgetIdle(time.Now())
		p.checkSizes()
		p.rescue(time.Now())
		letters := p.countLetters()
		v := p.look(time.Now())
		found := make(map[string]string)
		for topic, err := range v.trouble {
			if isLogin(err) {
				found["kafka"] = p.brokers.describe(topic, err)
			} else {
				found["topic "+topic] = p.brokers.describe(topic, err)
			}
		}
		for key, err := range map[string]error{"dead letters, count": letters, "dead letters": v.letters} {
			if err != nil {
				found[key] = err.Error()
			}
		}
		if text := p.letterTopicProblem(); text != "" {
			found["dead letter topic"] = text
		}
		if p.txn != nil {
			if text := p.txn.problem(); text != "" {
				found["transaction"] = text
			}
		}
		p.probe(v, found)
		p.createStalled(v, found)
		if p.ctx.Err() == nil {
			p.faults.update(found, v.waiting, time.Now())
		}
	}
}

// countLetters looks what is in the dead letter file, which others change too.
func (p *Producer) countLetters() error {
	if p.opts.DeadLetterPath == "" {
		return nil
	}
	if err := p.letters.look(); err != nil {
		return fmt.Errorf("dead letter file %s cannot be counted, see its rights: %w [letter-unwritable]", p.opts.DeadLetterPath, err)
	}
	return nil
}

func (p *Producer) letterTopicProblem() string {
	if p.letterTopic == nil {
		return ""
	}
	return p.letterTopic.problem()
}

// view is what the watch needs of the Producer's state.
type view struct {
	client  *kgo.Client
	waiting int64                    // bytes in flight
	trouble map[string]error         // by topic, what its failing lanes died of
	letters error                    // why lanes wait for the dead letter file
	stalled map[string]time.Duration // by topic, how long nothing was acknowledged, where that is too long
}

// stalledAfter is how long without progress makes the watch ask why. Between two
// commits there is none.
func (p *Producer) stalledAfter() time.Duration {
	if p.txn != nil {
		return p.tune.stalled + p.txn.o.Interval
	}
	return p.tune.stalled
}

func (p *Producer) look(now time.Time) view {
	v := view{trouble: make(map[string]error), stalled: make(map[string]time.Duration)}
	p.mu.Lock()
	defer p.mu.Unlock()
	v.client, v.waiting = p.current.client, p.charged
	for _, st := range p.streams {
		for _, l := range st.lanes {
			switch since := now.Sub(l.progress); {
			case l.session == nil: // empty
			case errors.As(l.trouble, new(*letterError)):
				v.letters = l.trouble
			case l.trouble != nil:
				v.trouble[l.topic] = l.trouble
			case since >= p.stalledAfter():
				v.stalled[l.topic] = max(v.stalled[l.topic], since)
				l.proven = false
			}
		}
	}
	return v
}

// probe asks Kafka about the stalled topics of v and adds what it finds.
func (p *Producer) probe(v view, found map[string]string) {
	if len(v.stalled) == 0 {
		return
	}
	req := kmsg.NewPtrMetadataRequest()
	for topic := range v.stalled {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(topic)
		req.Topics = append(req.Topics, t)
	}
	ctx, cancel := context.WithTimeout(p.ctx, p.tune.ask)
	defer cancel()
	resp, err := req.RequestWith(ctx, v.client)
	if err != nil {
		p.count(reasonOf(err))
		found["kafka"] = p.brokers.unreachable(p.opts.Brokers, err)
		return
	}
	for _, t := range resp.Topics {
		if t.Topic == nil {
			continue
		}
		key := "topic " + *t.Topic
		err := kerr.ErrorForCode(t.ErrorCode)
		for i := 0; err == nil && i < len(t.Partitions); i++ {
			err = kerr.ErrorForCode(t.Partitions[i].ErrorCode)
		}
		switch {
		case err != nil:
			p.count(reasonOf(err))
			found[key] = p.brokers.describe(*t.Topic, err)
		case found[key] == "":
			p.count("no_acknowledgement")
			found[key] = fmt.Sprintf("topic %q: Kafka has acknowledged nothing for %s%s [kafka-silent]",
				*t.Topic, v.stalled[*t.Topic].Round(time.Second), p.describeLeaders(t.Partitions))
		}
	}
}

// count counts something that keeps records from arriving, by its reason.
func (p *Producer) count(reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures[reason]++
}

// describeLeaders names the leaders that cannot be reached: addresses that
// brokers advertise may be closed to us though those we started from are not.
func (p *Producer) describeLeaders(partitions []kmsg.MetadataResponseTopicPartition) string {
	leaders := make(map[int32]bool)
	for _, part := range partitions {
		leaders[part.Leader] = true
	}
	var why []string
	for _, b := range p.brokers.list() {
		if b.State == BrokerUnreachable && leaders[b.ID] {
			why = append(why, fmt.Sprintf("broker %d at %s cannot be reached: %s", b.ID, b.Addr, b.LastError))
		}
	}
	if len(why) == 0 {
		return ": its brokers accept the connection but do not answer"
	}
	return ": " + strings.Join(why, "; ") + "; open the way to it, or correct its advertised.listeners"
}

// checkSizes learns the limits of the topics in use, and replaces a client
// that makes batches too large for one of them.
func (p *Producer) checkSizes() {
	p.mu.Lock()
	s := p.current
	answered := !p.lastAck.IsZero()
	p.mu.Unlock()
	if !answered {
		return // Kafka has not been reached yet; do not wait for it here
	}
	sizes := s.batchSizes()
	p.limits.refresh(p.ctx, s.client, slices.Collect(maps.Keys(sizes))...)
	for topic, size := range sizes {
		if limit := p.limits.batchMax(topic); limit < size {
			p.renew(s, fmt.Sprintf("topic %q takes batches of %d bytes only", topic, limit))
			return
		}
	}
}
