package shipper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// ReadBackOptions says what ReadBack reads.
type ReadBackOptions struct {
	// Brokers are the addresses to start from, host:port; at least one.
	Brokers []string
	// ClientID is what brokers write into their logs; "" is DefaultClientID.
	ClientID string
	// TLS and SASL as in Options.
	TLS  *TLS
	SASL *SASL
	Network
	// Topics to read, and from where.
	Topics []ReadBackTopic
	// Limit bounds the reading, from when a broker answers.
	Limit time.Duration
	// Still is how long after an end was found it is looked for again: a request
	// of a process that died may still be on its way; 0 is DefaultStill.
	Still time.Duration
	// Waiting, if not nil, is told what keeps the reading from beginning, and ""
	// when that is over.
	Waiting func(why string)
	// Log gets what an operator cares for; nil discards it.
	Log *slog.Logger
}

// ReadBackTopic says from where on a topic is read.
type ReadBackTopic struct {
	Topic string
	// From are the offsets to begin at, by partition.
	From map[int32]int64
	// Since is for the partitions that From does not name: they are read from
	// the first record that is not much older; zero is from their start.
	Since time.Time
}

// ReadBackResult is what ReadBack came to.
type ReadBackResult struct {
	// Records were read, of which Ours were wanted.
	Records, Ours int64
	// Ends are the partitions that were read to their ends, and these.
	Ends Offsets
	// Problems are why others were not, and what to do about it. None means that
	// all was read.
	Problems []string
}

// DefaultStill stands in for ReadBackOptions.Still.
const DefaultStill = time.Second

const (
	// readBackFetch bounds the bytes, as they are in Kafka, of one answer, of
	// which at most two are held.
	readBackFetch = 4 << 20
	readBackWait  = 100 * time.Millisecond // of a fetch at the end of a partition
	// sinceSlack is how much a broker's clock may be behind ours.
	sinceSlack = time.Minute
	// listPause is the time between two attempts at offsets.
	listPause = 200 * time.Millisecond
)

// ReadBack reads what is in the topics from the given offsets to their ends, as
// they are when nothing of ours comes in any more, and calls ours with each
// record, those of one partition in their order. ours reports whether it was one
// that the caller looks for.
//
// It waits for a broker, and for being logged in, as long as ctx lasts: nothing
// could be sent before either. From then on it takes at most about Limit. What
// keeps it from reading all is no error but in the result; the error is for
// options that can never work, and for the end of ctx.
func ReadBack(ctx context.Context, o ReadBackOptions, ours func(*kgo.Record) bool) (ReadBackResult, error) {
	if o.ClientID == "" {
		o.ClientID = DefaultClientID
	}
	if o.Still == 0 {
		o.Still = DefaultStill
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Waiting == nil {
		o.Waiting = func(string) {}
	}
	r := &readBack{opts: o, ours: ours, brokers: brokers{log: o.Log, tls: o.TLS, sasl: o.SASL}, parts: make(map[string]map[int32]*part)}
	if err := r.run(ctx); err != nil {
		return ReadBackResult{}, fmt.Errorf("read back: %w", err)
	}
	return r.result(), nil
}

// readBack is one run of ReadBack. Owned by its goroutine.
type readBack struct {
	opts    ReadBackOptions
	ours    func(*kgo.Record) bool
	brokers brokers

	client   *kgo.Client
	parts    map[string]map[int32]*part
	left     int // parts not at their ends yet
	late     int // wanted records behind the ends that were known when reading began, or began again
	records  int64
	wanted   int64
	problems []string
}

// part is a partition that is read.
type part struct {
	next   int64 // offset of the next record
	end    int64 // where to read to
	before int64 // the end that was known before that one
}

func (p *part) atEnd() bool { return p.next >= p.end }

func (r *readBack) run(ctx context.Context) error {
	if len(r.opts.Brokers) == 0 {
		return errors.New("no broker named: give at least one host:port")
	}
	base, err := connection{r.opts.Brokers, r.opts.ClientID, &r.brokers}.optsOn(r.opts.Network)
	if err != nil {
		return err
	}
	limited, cancel, err := r.prepare(ctx, base)
	if err != nil {
		return err
	}
	defer cancel()
	if r.client, err = kgo.NewClient(append(base, r.fetchOpts()...)...); err != nil {
		return err
	}
	defer r.client.Close()
	r.follow(limited)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case limited.Err() == nil:
	case r.left > 0:
		r.problem("it took longer than %s, and %d partitions were not read to their ends: allow it more time", r.opts.Limit, r.left)
	default:
		r.problem("within %s it could not be made sure that nothing is still on its way: allow it more time", r.opts.Limit)
	}
	return nil
}

// prepare waits for a broker and learns where to read. The context it returns
// ends with the limit.
func (r *readBack) prepare(ctx context.Context, base []kgo.Opt) (context.Context, context.CancelFunc, error) {
	client, err := kgo.NewClient(base...)
	if err != nil {
		return nil, nil, err
	}
	defer client.Close()
	if err := r.reach(ctx, client); err != nil {
		return nil, nil, err
	}
	limited, cancel := context.WithTimeout(ctx, r.opts.Limit)
	for _, t := range r.opts.Topics {
		r.locate(limited, kadm.NewClient(client), t)
	}
	return limited, cancel, nil
}

// reach waits until a broker answers.
func (r *readBack) reach(ctx context.Context, client *kgo.Client) error {
	for failures := 1; ; failures++ {
		ask, cancel := context.WithTimeout(ctx, askTimeout)
		err := client.Ping(ask)
		cancel()
		if err == nil {
			r.opts.Waiting("")
			return nil
		}
		if ctx.Err() == nil {
			r.opts.Waiting(r.brokers.unreachable(r.opts.Brokers, err))
		}
		if !sleep(ctx, backoff(failures)) {
			return ctx.Err()
		}
	}
}

// fetchOpts are for the client that reads. Read uncommitted: our records belong
// to no transaction, and another's open one must not hide them.
func (r *readBack) fetchOpts() []kgo.Opt {
	from := make(map[string]map[int32]kgo.Offset)
	for topic, ps := range r.parts {
		from[topic] = make(map[int32]kgo.Offset)
		for n, p := range ps {
			from[topic][n] = kgo.NewOffset().At(p.next)
		}
	}
	return []kgo.Opt{
		kgo.ConsumePartitions(from),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), // the retention has overtaken us: miss nothing that is left
		kgo.FetchIsolationLevel(kgo.ReadUncommitted()),
		kgo.KeepControlRecords(), // the last record of a partition may be one
		kgo.FetchMaxBytes(readBackFetch),
		kgo.FetchMaxPartitionBytes(readBackFetch / 4),
		kgo.MaxConcurrentFetches(2),
		kgo.FetchMaxWait(readBackWait),
	}
}

// problem notes why not all can be read.
func (r *readBack) problem(format string, args ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, args...))
}

// drop gives up reading a topic.
func (r *readBack) drop(topic string, err error) {
	for _, p := range r.parts[topic] {
		if !p.atEnd() {
			r.left--
		}
	}
	delete(r.parts, topic)
	text := r.brokers.describe(topic, err)
	if code, _ := errors.AsType[*kerr.Error](err); code == kerr.TopicAuthorizationFailed {
		text = r.brokers.mayNotRead(topic, err).Error()
	}
	r.problem("%s", text)
}

// follow reads to the ends, and on as long as something of ours came in meanwhile.
func (r *readBack) follow(ctx context.Context) {
	for len(r.parts) > 0 {
		found := time.Now()
		r.late = 0
		for r.left > 0 && ctx.Err() == nil {
			r.poll(ctx)
		}
		if !sleep(ctx, r.opts.Still-time.Since(found)) {
			return
		}
		if !r.moveEnds(ctx) {
			return
		}
		for r.left > 0 && ctx.Err() == nil {
			r.poll(ctx)
		}
		if r.late == 0 || ctx.Err() != nil {
			return
		}
	}
}

// poll takes what has been fetched.
func (r *readBack) poll(ctx context.Context) {
	fetches := r.client.PollFetches(ctx)
	for _, e := range fetches.Errors() {
		switch code, _ := errors.AsType[*kerr.Error](e.Err); code {
		case kerr.TopicAuthorizationFailed, kerr.UnknownTopicOrPartition, kerr.UnknownTopicID, kerr.InconsistentTopicID:
			if r.parts[e.Topic] != nil {
				r.client.PauseFetchTopics(e.Topic)
				r.drop(e.Topic, e.Err)
			}
		}
	}
	fetches.EachPartition(func(f kgo.FetchTopicPartition) {
		p := r.parts[f.Topic][f.Partition]
		if p == nil {
			return
		}
		was := p.atEnd()
		for _, rec := range f.Records {
			r.take(p, rec)
		}
		if p.atEnd() && !was {
			r.left--
		}
	})
}

func (r *readBack) take(p *part, rec *kgo.Record) {
	p.next = max(p.next, rec.Offset+1)
	r.records++
	// What belongs to a transaction is not ours, or was not kept.
	if rec.Attrs.IsControl() || rec.Attrs.IsTransactional() || !r.ours(rec) {
		return
	}
	r.wanted++
	if rec.Offset >= p.before {
		r.late++
	}
}

// moveEnds looks for the ends again, and reports whether any moved on.
func (r *readBack) moveEnds(ctx context.Context) bool {
	moved := false
	for topic, ps := range r.parts {
		ends, err := listOffsets(ctx, topic, kadm.NewClient(r.client).ListEndOffsets)
		switch {
		case ctx.Err() != nil:
			return false
		case err != nil:
			r.drop(topic, err)
			continue
		}
		for n, p := range ps {
			was := p.atEnd()
			p.before = p.end
			if end, ok := ends[n]; ok && end > p.end {
				p.end, moved = end, true
			}
			if was && !p.atEnd() {
				r.left++
			}
		}
	}
	return moved
}

func (r *readBack) result() ReadBackResult {
	out := ReadBackResult{Records: r.records, Ours: r.wanted, Ends: make(Offsets), Problems: r.problems}
	for topic, ps := range r.parts {
		for n, p := range ps {
			if p.atEnd() {
				out.Ends.set(topic, n, p.next)
			}
		}
	}
	return out
}
