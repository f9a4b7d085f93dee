package shipper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// transactionFeature is the feature of a cluster that KIP-890 brought, and
	// transactionLevel the level from which on each transaction has an epoch of its
	// own, so that no request of an earlier one can get into a later one.
	transactionFeature = "transaction.version"
	transactionLevel   = 2
	// endTxnVersion and initVersion are those of the requests that came with it.
	endTxnVersion = 5
	initVersion   = 5
)

// checkpointTopic is the topic that checkpoints are in. One goroutine uses it at
// a time.
type checkpointTopic struct {
	p    *Producer
	id   string // transactional.id
	name string

	partition int32
	all       []int32 // partitions
	next      int64   // our partition was read up to there
	moved     bool    // ours is perhaps in another partition than before: all have to be read
}

// stream chooses the partition of all records of an agent.
func (c *checkpointTopic) stream() uint64 { return xxhash.Sum64String(c.id) }

// supported returns an error that wraps ErrTooOld where the brokers cannot keep a
// late request of one transaction out of the next.
func (c *checkpointTopic) supported(ctx context.Context, client *kgo.Client) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "shiplog", "1"
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return errors.New(c.p.brokers.unreachable(c.p.opts.Brokers, err))
	}
	return supportsTransactions(resp)
}

// supportsTransactions is supported for what a broker says that it can do.
func supportsTransactions(resp *kmsg.ApiVersionsResponse) error {
	reaches := func(key kmsg.Key, version int16) bool {
		return slices.ContainsFunc(resp.ApiKeys, func(k kmsg.ApiVersionsResponseApiKey) bool {
			return k.ApiKey == int16(key) && k.MaxVersion >= version
		})
	}
	if !reaches(kmsg.EndTxn, endTxnVersion) || !reaches(kmsg.InitProducerID, initVersion) {
		return fmt.Errorf("%w: it needs Apache Kafka 4.0 or later (KIP-890: EndTxn 5 and InitProducerId 5); upgrade them, or set delivery: at-least-once [kafka-too-old]", ErrTooOld)
	}
	for _, f := range resp.FinalizedFeatures {
		if f.Name == transactionFeature && f.MaxVersionLevel >= transactionLevel {
			return nil
		}
	}
	return fmt.Errorf("%w: the cluster has not switched on %[2]s=%[3]d (KIP-890), though its brokers know it: "+
		"run kafka-features.sh --bootstrap-server … upgrade --feature %[2]s=%[3]d, or set delivery: at-least-once [kafka-too-old]", ErrTooOld, transactionFeature, transactionLevel)
}

// find makes sure that the topic is there and compacted, and learns which
// partition is ours.
func (c *checkpointTopic) find(ctx context.Context, client *kgo.Client) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	admin := kadm.NewClient(client)
	details, err := admin.ListTopics(ctx, c.name)
	if errors.Is(err, kerr.TopicAuthorizationFailed) { // where it is of all topics that were asked for, kadm says it so
		return c.describe(kerr.TopicAuthorizationFailed)
	}
	if err != nil {
		return errors.New(c.p.brokers.unreachable(c.p.opts.Brokers, err))
	}
	t := details[c.name]
	switch {
	case errors.Is(t.Err, kerr.UnknownTopicOrPartition):
		return c.create(ctx, admin)
	case t.Err != nil:
		return c.describe(t.Err)
	case len(t.Partitions) == 0:
		return c.describe(kerr.UnknownTopicOrPartition)
	}
	if err := keepsCheckpoints(ctx, admin, c.name); err != nil {
		return err
	}
	if len(c.all) > 0 && len(c.all) != len(t.Partitions) {
		c.moved, c.next = true, 0
	}
	c.all = c.all[:0]
	for n := range t.Partitions {
		c.all = append(c.all, n)
	}
	slices.Sort(c.all)
	c.partition = int32(streamPartition(c.stream(), len(c.all)))
	return nil
}

// keepsCheckpoints returns an error where a topic is seen to forget what is old.
// Without the right to look, it is taken to be right.
func keepsCheckpoints(ctx context.Context, admin *kadm.Client, topic string) error {
	configs, err := admin.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return nil
	}
	r, err := configs.On(topic, nil)
	if err != nil || r.Err != nil {
		return nil
	}
	for _, k := range r.Configs {
		if k.Key == "cleanup.policy" && k.Value != nil && *k.Value != "compact" {
			return fmt.Errorf("checkpoint topic %q has cleanup.policy=%s and would forget checkpoints: set it to compact [kafka-checkpoint]", topic, *k.Value)
		}
	}
	return nil
}

// checkpointConfigs are those of a checkpoint topic that we create: many small
// records, of which only the last of each key counts.
func checkpointConfigs() map[string]*string {
	return map[string]*string{
		"cleanup.policy": kadm.StringPtr("compact"), "compression.type": kadm.StringPtr("producer"),
		"segment.ms": kadm.StringPtr("3600000"), "segment.bytes": kadm.StringPtr("67108864"), "min.cleanable.dirty.ratio": kadm.StringPtr("0.1"),
	}
}

// CreateCheckpointTopic is how an operator creates a checkpoint topic of that name.
func CreateCheckpointTopic(name string) string {
	return "kafka-topics.sh --bootstrap-server … --create --topic " + name + " --partitions 8 --replication-factor 3 " +
		"--config cleanup.policy=compact --config segment.ms=3600000 --config segment.bytes=67108864 --config min.cleanable.dirty.ratio=0.1"
}

// create makes the topic where that is wanted.
func (c *checkpointTopic) create(ctx context.Context, admin *kadm.Client) error {
	spec := c.p.opts.CreateTopics
	if spec == nil {
		return fmt.Errorf("checkpoint topic %q does not exist: create it (%s), or set kafka.create_topics [kafka-topic-missing]", c.name, CreateCheckpointTopic(c.name))
	}
	const partitions = 8
	resp, err := admin.CreateTopic(ctx, partitions, replicationOf(spec), checkpointConfigs(), c.name)
	if err == nil {
		err = resp.Err
	}
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("checkpoint topic %q cannot be created: %w; create it by hand: %s [kafka-topic-create]", c.name, err, CreateCheckpointTopic(c.name))
	}
	c.p.opts.Log.Info("created the checkpoint topic", "topic", c.name, "partitions", partitions)
	return fmt.Errorf("checkpoint topic %q has just been created: waiting for its leaders [kafka-leader]", c.name)
}

// replicationOf returns the replication factor, -1 for the brokers' default.
func replicationOf(spec *TopicSpec) int16 {
	if spec.Replication == 0 {
		return -1
	}
	return spec.Replication
}

// describedError is an error in the words of describe.
type describedError struct{ error }

func (e *describedError) Unwrap() error { return e.error }

// describe tells an operator what err means, and what to do about it.
func (c *checkpointTopic) describe(err error) error {
	if _, is := errors.AsType[*describedError](err); is {
		return err
	}
	return &describedError{c.words(err)}
}

// words is what describe says.
func (c *checkpointTopic) words(err error) error {
	code, _ := errors.AsType[*kerr.Error](err)
	switch code {
	case kerr.TopicAuthorizationFailed:
		return fmt.Errorf("no right to the checkpoint topic %q (%w): allow this user READ, WRITE and DESCRIBE on it [kafka-forbidden]", c.name, err)
	case kerr.TransactionalIDAuthorizationFailed:
		return fmt.Errorf("no right to the transactional.id %q (%w): allow this user WRITE and DESCRIBE on it (kafka-acls.sh --transactional-id …) [kafka-forbidden]", c.id, err)
	case kerr.ClusterAuthorizationFailed:
		return fmt.Errorf("no right to produce with idempotence (%w): allow this user IDEMPOTENT_WRITE on the cluster [kafka-forbidden]", err)
	case kerr.InvalidTransactionTimeout:
		return fmt.Errorf("the brokers allow no transaction of %s (%w): raise their transaction.max.timeout.ms [kafka-transaction]", transactionTimeout, err)
	}
	if isLogin(err) {
		return errors.New(c.p.brokers.describe(c.name, err))
	}
	return fmt.Errorf("checkpoint topic %q: %w [kafka-error]", c.name, err)
}

// read adds what was committed to the topic since the last read to into, and the
// newest head to last. With all it waits until nothing before the present end is
// open any more, which takes others' transactions as long as theirs take; else it
// reads what is decided now.
func (c *checkpointTopic) read(ctx context.Context, client *kgo.Client, all bool, into *Checkpoint, last *head) error {
	if err := c.readFrom(ctx, client, []int32{c.partition}, c.next, all, into, last); err != nil {
		return err
	}
	if len(c.all) > 1 && (c.moved || last.number == 0) { // before us, too, the topic may have got more partitions
		others := slices.DeleteFunc(slices.Clone(c.all), func(n int32) bool { return n == c.partition })
		if err := c.readFrom(ctx, client, others, 0, all, into, last); err != nil {
			return err
		}
	}
	c.moved = c.moved && !all
	return nil
}

// wrote notes where the head of the last transaction is: what is before it is known.
func (c *checkpointTopic) wrote(partition int32, offset int64) {
	if partition == c.partition {
		c.next = max(c.next, offset)
	}
}

func (c *checkpointTopic) readFrom(ctx context.Context, client *kgo.Client, parts []int32, from int64, all bool, into *Checkpoint, last *head) error {
	admin := kadm.NewClient(client)
	list := admin.ListEndOffsets
	if !all {
		list = admin.ListCommittedOffsets
	}
	ask, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	ends, err := list(ask, c.name)
	if err != nil {
		return c.describe(err)
	}
	starts, err := admin.ListStartOffsets(ask, c.name)
	if err != nil {
		return c.describe(err)
	}
	o := ScanOptions{Brokers: c.p.opts.Brokers, ClientID: c.p.opts.ClientID, TLS: c.p.opts.TLS, SASL: c.p.opts.SASL, Network: c.p.opts.Network, Log: c.p.opts.Log, Bounds: []Scanned{}}
	for _, n := range parts {
		end, ok := ends.Lookup(c.name, n)
		start, found := starts.Lookup(c.name, n)
		switch {
		case !ok || !found:
			return c.describe(kerr.UnknownTopicOrPartition)
		case end.Err != nil || start.Err != nil:
			return c.describe(errors.Join(end.Err, start.Err))
		}
		o.Bounds = append(o.Bounds, Scanned{Topic: c.name, Partition: n, Start: max(from, start.Offset), End: end.Offset})
	}
	var wrong error
	var mu sync.Mutex // several partitions are handed out side by side
	_, err = Scan(ctx, o, func(_ string, _ int32, records []*kgo.Record) {
		mu.Lock()
		defer mu.Unlock()
		for _, r := range records {
			wrong = errors.Join(wrong, into.take(c.id, last, r))
		}
	})
	if err = errors.Join(err, wrong); err != nil {
		return err
	}
	if len(parts) == 1 && parts[0] == c.partition {
		c.next = max(c.next, o.Bounds[0].End)
	}
	return nil
}

// readLimit bounds a read that waits for others' transactions.
const readLimit = 2*time.Minute + transactionTimeout
