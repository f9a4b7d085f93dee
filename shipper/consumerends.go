package shipper

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// findEnds learns how far to read.
func (c *consumer) findEnds(ctx context.Context) error {
	admin := kadm.NewClient(c.client)
	var ends, starts kadm.ListedOffsets
	if err := c.findTopics(ctx, admin); err != nil {
		return err
	}
	if err := c.ask(ctx, "find the ends", func() (err error) {
		ends, err = admin.ListCommittedOffsets(ctx, c.opts.Topics...)
		return err
	}); err != nil {
		return err
	}
	for _, topic := range c.opts.Topics {
		if _, ok := ends[topic]; !ok {
			return errors.New(describe(topic, kerr.UnknownTopicOrPartition))
		}
	}
	if err := c.ask(ctx, "find where to begin", func() (err error) {
		switch {
		case c.opts.FromEnd:
			starts = ends
		case !c.opts.FromTime.IsZero():
			starts, err = admin.ListOffsetsAfterMilli(ctx, c.opts.FromTime.UnixMilli(), c.opts.Topics...)
		default:
			starts, err = admin.ListStartOffsets(ctx, c.opts.Topics...)
		}
		return err
	}); err != nil {
		return err
	}
	var bad error
	ends.Each(func(o kadm.ListedOffset) {
		if o.Err != nil && bad == nil {
			bad = errors.New(describe(o.Topic, o.Err))
		}
	})
	if bad != nil {
		return bad
	}
	c.ends = ends
	if c.opts.Group != "" {
		return c.skipCommitted(ctx, starts)
	}
	starts.Each(func(o kadm.ListedOffset) { c.passed(o.Topic, o.Partition, o.Offset) })
	return nil
}

// findTopics makes Topics those that are there and match the pattern, if there is one.
func (c *consumer) findTopics(ctx context.Context, admin *kadm.Client) error {
	if c.opts.Pattern == nil {
		return nil
	}
	var there kadm.TopicDetails
	if err := c.ask(ctx, "find the topics", func() (err error) {
		there, err = admin.ListTopics(ctx)
		return err
	}); err != nil {
		return err
	}
	c.opts.Topics = slices.DeleteFunc(there.Names(), func(topic string) bool {
		return !c.opts.Pattern.MatchString(topic) || slices.Contains(c.opts.Except, topic)
	})
	if len(c.opts.Topics) == 0 {
		return errors.New("no topic is there that matches, or none that we may see [kafka-topic-missing]")
	}
	return nil
}

// ask puts a question again and again while no broker answers it, or one that is
// not ready: the first group of a cluster has it make a topic of its own.
func (c *consumer) ask(ctx context.Context, what string, question func() error) error {
	for failures := 1; ; failures++ {
		err := question()
		if err == nil {
			return nil
		}
		if code, ok := errors.AsType[*kerr.Error](err); ok && !code.Retriable {
			return fmt.Errorf("%s: %w", what, err)
		}
		if err := c.fault("", err); err != nil {
			return err
		}
		if !sleep(ctx, backoff(failures)) {
			return ctx.Err()
		}
	}
}

// skipCommitted strikes out what the group has read already, by us or another
// member. A partition without a commit is read from starts.
func (c *consumer) skipCommitted(ctx context.Context, starts kadm.ListedOffsets) error {
	var commits kadm.OffsetResponses
	err := c.ask(ctx, "find what group "+c.opts.Group+" has read", func() (err error) {
		commits, err = kadm.NewClient(c.client).FetchOffsetsForTopics(ctx, c.opts.Group, c.opts.Topics...)
		return err
	})
	if errors.Is(err, kerr.GroupIDNotFound) { // nobody was in it ever
		starts.Each(func(o kadm.ListedOffset) { c.passed(o.Topic, o.Partition, o.Offset) })
		return nil
	}
	if err != nil {
		return err
	}
	commits.Each(func(o kadm.OffsetResponse) {
		if o.At < 0 {
			if s, ok := starts.Lookup(o.Topic, o.Partition); ok {
				o.At = s.Offset
			}
		}
		c.passed(o.Topic, o.Partition, o.At)
	})
	return nil
}

// passed notes that everything before offset was read.
func (c *consumer) passed(topic string, partition int32, offset int64) {
	if end, ok := c.ends.Lookup(topic, partition); ok && offset >= end.Offset {
		delete(c.ends[topic], partition)
	}
}

func (c *consumer) atEnd() bool {
	if !c.opts.ExitAtEnd {
		return false
	}
	for _, partitions := range c.ends {
		if len(partitions) > 0 {
			return false
		}
	}
	return true
}
