package shipper

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
)

// Offsets are offsets by topic and partition.
type Offsets map[string]map[int32]int64

func (o Offsets) set(topic string, partition int32, offset int64) {
	if o[topic] == nil {
		o[topic] = make(map[int32]int64)
	}
	o[topic][partition] = offset
}

// Ends asks Kafka for the ends of the topics: what is produced from now on lies
// there or behind. Partitions of which nothing can be learnt now are left out.
func (p *Producer) Ends(ctx context.Context, topics ...string) (Offsets, error) {
	p.mu.Lock()
	client := p.current.client
	p.mu.Unlock()
	listed, err := kadm.NewClient(client).ListEndOffsets(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("find the ends of %v: %w", topics, err)
	}
	ends := make(Offsets)
	listed.Each(func(o kadm.ListedOffset) {
		if o.Err == nil && o.Offset >= 0 {
			ends.set(o.Topic, o.Partition, o.Offset)
		}
	})
	return ends, nil
}
