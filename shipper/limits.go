package shipper

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// limitAge is how long a topic's limit, or that it cannot be read, is believed.
	limitAge = 5 * time.Minute
	// minBatchBytes keeps a topic with an absurd limit usable by kgo.
	minBatchBytes = 512
	// minGuess is where guessing a limit ends.
	minGuess = 16 << 10
	// askTimeout bounds one question to the cluster.
	askTimeout = 5 * time.Second
)

// limits remembers the largest batch, in bytes after compression, that each
// topic takes. It may be used concurrently.
type limits struct {
	mu     sync.Mutex
	topics map[string]topicLimit
}

type topicLimit struct {
	bytes      int32 // 0: not known, most likely because the right to ask is missing
	compaction compaction
	guess      int32 // a batch of twice that size was refused; 0: none was
	asked      time.Time
}

// compaction is whether a topic is compacted, and so takes no record without a key.
type compaction uint8

const (
	compactedUnknown compaction = iota
	compactedNot
	compactedIs
)

func (l *limits) compaction(topic string) compaction {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.topics[topic].compaction
}

// known returns the limit of topic, or 0.
func (l *limits) known(topic string) int32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.topics[topic].bytes
}

// batchMax is how large a batch for topic may get before compression.
func (l *limits) batchMax(topic string) int32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	size := int32(maxBatchBytes)
	t := l.topics[topic]
	switch {
	case t.bytes > 0:
		size = min(size, t.bytes)
	case t.guess > 0:
		size = min(size, t.guess)
	}
	return max(size, minBatchBytes)
}

// refused notes that topic did not take a batch of several records with size
// bytes before compression. Where the limit cannot be read, batches get
// smaller from then on: else every full one would have to be taken apart.
func (l *limits) refused(topic string, size int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.topics[topic]
	t.guess = max(int32(min(size, maxBatchBytes)/2), minGuess)
	l.put(topic, t)
}

// due returns those of topics that should be asked for their limit.
func (l *limits) due(topics []string, now time.Time) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var due []string
	for _, topic := range topics {
		if t := l.topics[topic]; now.Sub(t.asked) > limitAge {
			due = append(due, topic)
		}
	}
	return due
}

func (l *limits) set(topic string, bytes int32, compacted compaction, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.topics[topic]
	t.bytes, t.compaction, t.asked = bytes, compacted, now
	l.put(topic, t)
}

// put needs the lock.
func (l *limits) put(topic string, t topicLimit) {
	if l.topics == nil {
		l.topics = make(map[string]topicLimit)
	}
	l.topics[topic] = t
}

// refresh asks for the limits of those topics where that is due. Not being
// allowed to ask is no error for anybody: limits are found by trying then.
func (l *limits) refresh(ctx context.Context, client *kgo.Client, topics ...string) {
	now := time.Now()
	due := l.due(topics, now)
	if len(due) == 0 {
		return
	}
	ask, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	resources, err := kadm.NewClient(client).DescribeTopicConfigs(ask, due...)
	if err != nil && ctx.Err() != nil {
		return
	}
	for _, topic := range due {
		resource, err := resources.On(topic, nil)
		if err != nil {
			resource = kadm.ResourceConfig{}
		}
		l.set(topic, maxMessageBytes(resource), cleanup(resource), now)
	}
}

// maxMessageBytes returns a topic's max.message.bytes, or 0 if it is not told.
func maxMessageBytes(topic kadm.ResourceConfig) int32 {
	for _, c := range topic.Configs {
		if c.Key == "max.message.bytes" && c.Value != nil {
			n, err := strconv.ParseInt(*c.Value, 10, 32)
			if err != nil {
				return 0
			}
			return int32(n)
		}
	}
	return 0
}

// cleanup returns whether a topic is compacted.
func cleanup(topic kadm.ResourceConfig) compaction {
	for _, c := range topic.Configs {
		if c.Key == "cleanup.policy" && c.Value != nil {
			if strings.Contains(*c.Value, "compact") {
				return compactedIs
			}
			return compactedNot
		}
	}
	return compactedUnknown
}
