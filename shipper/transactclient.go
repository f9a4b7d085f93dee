package shipper

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// newClient makes a client that sends in transactions. The gate of other clients
// is not needed: what overtakes a record that failed is never committed.
func (t *transactor) newClient(opts []kgo.Opt, hooks ...kgo.Hook) (*kgo.Client, error) {
	client, err := kgo.NewClient(append(opts[:len(opts):len(opts)],
		kgo.TransactionalID(t.o.ID), kgo.TransactionTimeout(transactionTimeout),
		kgo.RecordPartitioner(transactPartitioner{sticky: t.p.opts.Partitioner == PartitionerSticky, own: t.o.Topic}),
		kgo.WithHooks(hooks...))...)
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	return client, nil
}

// transactPartitioner chooses as partitioner does. All records of the own topic
// go where their stream leads.
type transactPartitioner struct {
	sticky bool
	own    string
}

// ForTopic implements kgo.Partitioner.
func (p transactPartitioner) ForTopic(topic string) kgo.TopicPartitioner {
	if p.sticky || topic == p.own {
		return byStream{}
	}
	return byStream{keyed: kgo.StickyKeyPartitioner(nil).ForTopic(topic)}
}

type byStream struct{ keyed kgo.TopicPartitioner } // nil: keys do not count

// RequiresConsistency implements kgo.TopicPartitioner, see topicPartitioner.
func (byStream) RequiresConsistency(*kgo.Record) bool { return true }

// Partition implements kgo.TopicPartitioner.
func (b byStream) Partition(r *kgo.Record, n int) int {
	if r.Key != nil && b.keyed != nil {
		return b.keyed.Partition(r, n)
	}
	return hashPartition(r.Context.(*transactStream).hash, n)
}
