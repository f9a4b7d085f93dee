package shipper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
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
	client, err := connection{c.opts.Brokers, c.opts.ClientID, &c.brokers}.client(Network{})
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
		log := c.opts.Log
		if topic != "" { // else it is asked about all, or about none yet
			log = log.With("topic", topic)
		}
		log.Warn("cannot read, trying again [kafka-read]", "error", err)
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
