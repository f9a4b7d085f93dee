package shipper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// ConsumeOptions says what Consume reads.
type ConsumeOptions struct {
	// Brokers are the addresses to start from, host:port; at least one.
	Brokers []string
	// ClientID is what brokers write into their logs; "" is DefaultClientID.
	ClientID string
	// TLS and SASL as in Options.
	TLS  *TLS
	SASL *SASL
	// Group, if not empty, is the consumer group to join: what it has read
	// is committed, and its members share the partitions.
	Group string
	// Topics to read; at least one, unless Pattern is set.
	Topics []string
	// Pattern, if not nil, has the topics be read whose names it matches, but for those
	// of Except, instead of Topics: also those that are created later, which are found
	// within a minute.
	Pattern *regexp.Regexp
	Except  []string
	// FromEnd leaves out what is in the topics already, FromTime, if not zero,
	// what has an earlier timestamp. Where a group has committed, it goes on from
	// there instead.
	FromEnd  bool
	FromTime time.Time
	// Skip, if not nil, tells which records are left out; they count as read.
	Skip func(*kgo.Record) bool
	// CommitEach has each record of a group be committed before the next is taken,
	// else what was taken is committed once a second.
	CommitEach bool
	// ExitAtEnd ends Consume when all was read that was there when it began.
	ExitAtEnd bool
	// Log gets what an operator cares for; nil discards it.
	Log *slog.Logger
}

const (
	// leaveTimeout bounds the last commit and leaving the group.
	leaveTimeout = 5 * time.Second
	commitEvery  = time.Second
	// takeTimeout is how long a record may be in work: other members wait for it
	// when the partitions are shared anew, and then go on without us.
	takeTimeout = 10 * time.Minute
	// pollRecords bounds what is in work when they are shared anew.
	pollRecords = 500
	// pollTimeout is how often a reader that gets nothing looks up.
	pollTimeout = 500 * time.Millisecond
	// faultEvery bounds how often a fault while reading is logged.
	faultEvery = time.Minute
)

// Consume calls print with the records of the topics, those of one partition
// in their order, until ctx ends, which is no error, or print fails, whose
// error it returns. In a group, a record is committed after print has
// succeeded with it; before partitions go to another member, and before Consume
// returns, all that was printed is committed, so that nothing is repeated. A
// process that is killed repeats what it has not committed, nothing is left out.
//
// A topic that does not exist is waited for, unless ExitAtEnd is set, and so is
// a broker. A missing right, a refused login or certificate is an error at once.
func Consume(ctx context.Context, o ConsumeOptions, print func(*kgo.Record) error) error {
	if len(o.Brokers) == 0 || len(o.Topics) == 0 && o.Pattern == nil {
		return errors.New("consume: name at least one broker and one topic")
	}
	if o.ClientID == "" {
		o.ClientID = DefaultClientID
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := &consumer{opts: o, print: print, brokers: brokers{log: o.Log, tls: o.TLS, sasl: o.SASL}}
	if err := c.run(ctx); err != nil {
		if o.Pattern != nil {
			return fmt.Errorf("consume topics that match %s: %w", o.Pattern, err)
		}
		return fmt.Errorf("consume %v: %w", o.Topics, err)
	}
	return nil
}

// consumer is one run of Consume. Owned by its goroutine.
type consumer struct {
	opts    ConsumeOptions
	print   func(*kgo.Record) error
	brokers brokers
	client  *kgo.Client
	ends    kadm.ListedOffsets // with ExitAtEnd: partitions that are not read up to there yet
	warned  time.Time
}

func (c *consumer) run(ctx context.Context) error {
	opts, err := c.options()
	if err != nil {
		return err
	}
	if err = c.dial(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	if c.client, err = kgo.NewClient(opts...); err != nil {
		return err
	}
	defer c.leave(ctx)
	if c.opts.ExitAtEnd {
		if err := c.findEnds(ctx); err != nil {
			return stopped(ctx, err)
		}
	}
	for ctx.Err() == nil && !c.atEnd() {
		if err := c.poll(ctx); err != nil {
			return stopped(ctx, err)
		}
	}
	return nil
}

// stopped returns err, unless it only tells that ctx ended.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

func (c *consumer) options() ([]kgo.Opt, error) {
	o := c.opts
	opts, err := connection{o.Brokers, o.ClientID, &c.brokers}.opts()
	if err != nil {
		return nil, err
	}
	from := kgo.NewOffset().AtStart()
	if o.FromEnd {
		from = kgo.NewOffset().AtEnd()
	} else if !o.FromTime.IsZero() {
		from = kgo.NewOffset().AfterMilli(o.FromTime.UnixMilli())
	}
	opts = append(opts,
		kgo.ConsumeStartOffset(from),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), // the retention has overtaken us: miss nothing that is left
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // the last record of a partition may be one
	)
	if o.Pattern == nil {
		opts = append(opts, kgo.ConsumeTopics(o.Topics...))
	} else {
		opts = append(opts, kgo.ConsumeRegex(), kgo.ConsumeTopics(o.Pattern.String()))
		for _, topic := range o.Except {
			opts = append(opts, kgo.ConsumeExcludeTopics("^"+regexp.QuoteMeta(topic)+"$"))
		}
	}
	if o.Group != "" {
		opts = append(opts,
			kgo.ConsumerGroup(o.Group), kgo.AutoCommitMarks(), kgo.AutoCommitInterval(commitEvery),
			// What was polled is done before its partition goes to another member,
			// which would do it again.
			kgo.BlockRebalanceOnPoll(), kgo.RebalanceTimeout(takeTimeout),
			kgo.OnPartitionsRevoked(func(ctx context.Context, client *kgo.Client, _ map[string][]int32) {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
				defer cancel()
				c.commit(ctx, client)
			}),
		)
	}
	return opts, nil
}

// commit commits what was printed. Any goroutine may call it.
func (c *consumer) commit(ctx context.Context, client *kgo.Client) {
	if err := client.CommitMarkedOffsets(ctx); err != nil {
		c.opts.Log.Warn("cannot commit what was read, it will be read again [kafka-group]", "group", c.opts.Group, "error", err)
	}
}

// dial finds out, before a group is joined, whether we may come in at all.
// That no broker answers is no error: they may be up later.
func (c *consumer) dial(ctx context.Context) error {
	base, err := connection{c.opts.Brokers, c.opts.ClientID, &c.brokers}.opts()
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(base...)
	if err != nil {
		return err
	}
	defer client.Close()
	ask, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if err := client.Ping(ask); err != nil && ctx.Err() == nil {
		if text := c.brokers.refusal(err); text != "" {
			return errors.New(text)
		}
		c.opts.Log.Warn(c.brokers.unreachable(c.opts.Brokers, err))
	}
	return nil
}

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

// poll waits a little for records and prints them.
func (c *consumer) poll(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	most := pollRecords
	if c.opts.CommitEach {
		most = 1
	}
	fetches := c.client.PollRecords(wait, most)
	if c.opts.Group != "" {
		defer c.client.AllowRebalance()
	}
	for _, e := range fetches.Errors() {
		if err := c.fault(e.Topic, e.Err); err != nil {
			return err
		}
	}
	for it := fetches.RecordIter(); !it.Done() && ctx.Err() == nil; {
		if err := c.take(ctx, it.Next()); err != nil {
			return err
		}
	}
	if fetches.NumRecords() == 0 && c.opts.ExitAtEnd && c.opts.Group != "" && ctx.Err() == nil {
		// Other members read as well. If it cannot be asked now, then later.
		if err := c.skipCommitted(ctx, nil); err != nil {
			return c.fault("", err)
		}
	}
	return nil
}

func (c *consumer) take(ctx context.Context, r *kgo.Record) error {
	end, toEnd := c.ends.Lookup(r.Topic, r.Partition)
	if c.opts.ExitAtEnd && (!toEnd || r.Offset >= end.Offset) {
		c.passed(r.Topic, r.Partition, r.Offset)
		return nil // came after we began: for the next run
	}
	left := r.Attrs.IsControl() || c.opts.Skip != nil && c.opts.Skip(r)
	if !left {
		if err := c.print(r); err != nil {
			return err
		}
	}
	if c.opts.Group != "" {
		c.client.MarkCommitRecords(r)
		if c.opts.CommitEach && !left {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
			defer cancel()
			c.commit(ctx, c.client)
		}
	}
	c.passed(r.Topic, r.Partition, r.Offset+1)
	return nil
}

// fault decides what a failed fetch means: it returns an error that waiting
// cannot heal, and logs others now and then.
func (c *consumer) fault(topic string, err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, kgo.ErrClientClosed) {
		return nil
	}
	if isLogin(err) {
		return errors.New(c.brokers.describe(topic, err))
	}
	code, _ := errors.AsType[*kerr.Error](err)
	switch code {
	case kerr.TopicAuthorizationFailed:
		return c.brokers.mayNotRead(topic, err)
	case kerr.GroupAuthorizationFailed:
		return fmt.Errorf("no right to join group %q: allow this user READ on it: %w [kafka-forbidden]", c.opts.Group, err)
	case kerr.InvalidTopicException, kerr.InvalidGroupID:
		return err
	}
	if time.Since(c.warned) > faultEvery {
		c.warned = time.Now()
		c.opts.Log.Warn("cannot read, trying again [kafka-read]", "topic", topic, "error", err)
	}
	return nil
}

// leave commits what was printed, leaves the group and closes the client. It
// is done also after ctx has ended.
func (c *consumer) leave(ctx context.Context) {
	if c.opts.Group != "" {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
		defer cancel()
		c.commit(ctx, c.client)
		if err := c.client.LeaveGroupContext(ctx); err != nil {
			c.opts.Log.Warn("cannot leave the group, it will notice [kafka-group]", "group", c.opts.Group, "error", err)
		}
	}
	c.client.CloseAllowingRebalance()
}
