package shipper

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// transactions looks whether records could be sent in transactions: what the
// brokers can do, and the topic for the checkpoints. Rights to a transactional.id
// are told to nobody who does not use it.
func (i *inspection) transactions(ctx context.Context) {
	topic := i.o.CheckpointTopic
	if topic == "" {
		return
	}
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "shiplog", "check" // Kafka wants both (KIP-511)
	f := Finding{Check: "kafka.transactions", Subject: "cluster", Status: OK, Says: "transactions as delivery: exactly-once needs them"}
	switch resp, err := ask[*kmsg.ApiVersionsResponse](ctx, i, req); {
	case err != nil:
		f.Status, f.Says = Unknown, err.Error()
	default:
		if err := supportsTransactions(resp); err != nil {
			f.Status = Problem
			const code = " [kafka-too-old]"
			f.Says, f.Remedy, _ = strings.Cut(strings.TrimSuffix(err.Error(), code), ": ")
			f.Says += code
		}
	}
	i.add(f, i.checkpoints(ctx, topic))
}

// checkpoints looks at the topic for the checkpoints.
func (i *inspection) checkpoints(ctx context.Context, topic string) Finding {
	f := Finding{Check: "kafka.checkpoint", Subject: topic, Status: OK}
	err := i.at(ctx, i.entry, func(ctx context.Context, client *kgo.Client) error {
		admin := kadm.NewClient(client)
		topics, err := admin.ListTopics(ctx, topic)
		if err == nil {
			err = topics[topic].Err
		}
		if err != nil {
			return err
		}
		f.Says = fmt.Sprintf("there, with %d partitions", len(topics[topic].Partitions))
		if err := keepsCheckpoints(ctx, admin, topic); err != nil {
			f.Status, f.Says, f.Remedy = Problem, err.Error(), "kafka-configs.sh --bootstrap-server … --topic "+topic+" --alter --add-config cleanup.policy=compact"
		}
		return nil
	})
	switch {
	case err == nil:
	case errors.Is(err, kerr.UnknownTopicOrPartition) && i.o.CreateTopics != nil:
		f.Says = "is missing, and is created at the first start (kafka.create_topics)"
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		f.Status, f.Says, f.Remedy = Problem, "is missing [kafka-topic-missing]", CreateCheckpointTopic(topic)+"; or set kafka.create_topics"
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		f.Status, f.Says, f.Remedy = Problem, "no right to it [kafka-forbidden]", "allow "+i.brokers.who()+" READ, WRITE and DESCRIBE on it"
	default:
		f.Status, f.Says = Unknown, err.Error()
	}
	return f
}
