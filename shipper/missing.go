package shipper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// missing are the topics of which has to be found out whether they are there, so
// that those that are not are created. It is used only with Options.CreateTopics.
type missing struct {
	wake chan struct{} // has a token when a topic was met

	mu     sync.Mutex // guards what follows
	topics map[string]*missingTopic
}

// missingTopic is a topic that may be missing.
type missingTopic struct {
	failures int
	next     time.Time // when it is looked for again
	problem  string    // why it could not be created
}

func newMissing() missing {
	return missing{wake: make(chan struct{}, 1), topics: make(map[string]*missingTopic)}
}

// meet notes a topic that records are to go to.
func (m *missing) meet(topic string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.topics[topic] != nil {
		return
	}
	m.topics[topic] = &missingTopic{}
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// due returns those that are to be looked for now.
func (m *missing) due(now time.Time) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var due []string
	for topic, t := range m.topics {
		if !now.Before(t.next) {
			due = append(due, topic)
		}
	}
	slices.Sort(due)
	return due
}

// found notes that the topic is there.
func (m *missing) found(topic string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.topics, topic)
}

// failed notes that it is not known whether the topic is there, or why it cannot
// be created.
func (m *missing) failed(topic, problem string, now time.Time, pause func(failures int) time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.topics[topic]
	if t == nil {
		return
	}
	t.failures++
	t.next, t.problem = now.Add(pause(t.failures)), problem
}

// problems returns why topics could not be created.
func (m *missing) problems() map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make(map[string]string)
	for topic, t := range m.topics {
		if t.problem != "" {
			out[topic] = t.problem
		}
	}
	return out
}

// createStalled creates the topics that may be why records do not arrive, and adds
// to found why it cannot.
func (p *Producer) createStalled(v view, found map[string]string) {
	if p.opts.CreateTopics == nil {
		return
	}
	for topic := range v.stalled {
		p.missing.meet(topic)
	}
	for topic, err := range v.trouble {
		if errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kerr.UnknownTopicID) {
			p.missing.meet(topic)
		}
	}
	if p.letterTopicProblem() != "" {
		p.missing.meet(p.opts.DeadLetterTopic)
	}
	p.createMissing(time.Now())
	for topic, problem := range p.missing.problems() {
		found["topic "+topic] = problem
	}
}

// createMissing looks for the topics that are due, and creates those that are not
// there.
func (p *Producer) createMissing(now time.Time) {
	due := p.missing.due(now)
	if p.opts.CreateTopics == nil || len(due) == 0 {
		return
	}
	p.mu.Lock()
	client := p.current.client
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(p.ctx, p.tune.ask)
	defer cancel()
	admin := kadm.NewClient(client)
	listed, err := admin.ListTopics(ctx, due...)
	var absent []string
	for _, topic := range due {
		switch t, ok := listed[topic]; {
		case err != nil || !ok:
			p.missing.failed(topic, "", now, p.tune.backoff) // probe tells what is wrong with Kafka
		case errors.Is(t.Err, kerr.UnknownTopicOrPartition):
			absent = append(absent, topic)
		default:
			p.missing.found(topic)
		}
	}
	if len(absent) > 0 {
		p.create(ctx, admin, absent, now)
		client.ForceMetadataRefresh()
	}
}

// create creates topics.
func (p *Producer) create(ctx context.Context, admin *kadm.Client, topics []string, now time.Time) {
	partitions, replication := p.opts.CreateTopics.asked()
	created, err := admin.CreateTopics(ctx, partitions, replication, nil, topics...)
	for _, topic := range topics {
		why := notCreated(created, topic, err)
		switch {
		case p.ctx.Err() != nil:
			return
		case why == nil:
			p.opts.Log.Info("created a topic that was missing", "topic", topic, "partitions", p.opts.CreateTopics.Partitions, "replication", p.opts.CreateTopics.Replication)
			p.missing.found(topic)
		case errors.Is(why, kerr.TopicAlreadyExists): // another agent was faster
			p.missing.found(topic)
		default:
			p.missing.failed(topic, describeCreate(topic, why), now, p.tune.backoff)
		}
	}
}

// asked is how Kafka is asked for such a topic: -1 is the brokers' default, since
// Kafka 2.4 (KIP-464).
func (s TopicSpec) asked() (partitions int32, replication int16) {
	return cmp.Or(s.Partitions, -1), cmp.Or(s.Replication, -1)
}

// notCreated tells why a topic was not created; nil if it was. err is of the whole
// request.
func notCreated(created kadm.CreateTopicResponses, topic string, err error) error {
	c, ok := created[topic]
	switch {
	case err != nil || !ok:
		return err
	case c.Err != nil && c.ErrMessage != "":
		return fmt.Errorf("%w: %s", c.Err, c.ErrMessage)
	}
	return c.Err
}

// describeCreate tells an operator why a topic cannot be created.
func describeCreate(topic string, err error) string {
	return fmt.Sprintf("topic %q does not exist and cannot be created: %v; %s [kafka-topic-create]", topic, err, createRemedy(err))
}

// createRemedy tells what to do where a topic cannot be created.
func createRemedy(err error) string {
	code, _ := errors.AsType[*kerr.Error](err)
	switch code {
	case kerr.TopicAuthorizationFailed, kerr.ClusterAuthorizationFailed:
		return "allow this user CREATE on it, or create it by hand"
	case kerr.InvalidReplicationFactor, kerr.InvalidPartitions:
		return "correct kafka.create_topics, or bring enough brokers back"
	case kerr.InvalidTopicException:
		return "Kafka takes no topic of that name, or not beside one that differs from it in dots and underscores only"
	}
	return "create it by hand"
}
