package shipper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// ScanOptions says what Scan reads.
type ScanOptions struct {
	// Brokers are the addresses to start from, host:port; at least one.
	Brokers []string
	// ClientID is what brokers write into their logs; "" is DefaultClientID.
	ClientID string
	// TLS and SASL as in Options.
	TLS  *TLS
	SASL *SASL
	Network
	// Topics to read; at least one. Each has to exist.
	Topics []string
	// Since, if not zero, leaves out the records before that time.
	Since time.Time
	// From, if above zero, leaves out the records before that offset in each
	// partition.
	From int64
	// Bounds, if not nil, is what an earlier Scan returned: the same records
	// are read again, and Topics, Since and From do not count.
	Bounds []Scanned
	// Progress, if not nil, is told now and then how many offsets are behind, of
	// all. It is called by one goroutine at a time.
	Progress func(done, all int64)
	// Log gets what an operator cares for; nil discards it.
	Log *slog.Logger
}

// Scanned is what Scan read of one partition: the records from Start up to End,
// without those of aborted transactions.
type Scanned struct {
	Topic     string
	Partition int32
	Start     int64 // the first offset that was asked for and there
	End       int64 // behind the last that was there when Scan began
	// LogStart is the first offset that was still there after Scan: above 0,
	// records have left the topic; above Start, even while they were read.
	LogStart int64
}

const (
	// scanFetch and scanPartition bound what is fetched at a time, in bytes
	// before decompression: of a broker, and of a partition.
	scanFetch     = 8 << 20
	scanPartition = 1 << 20
	// scanStill is how long nothing may come before it is looked whether what is
	// waited for has left the topic.
	scanStill = 5 * time.Second
)

// Scan hands the records that are in the topics now to take, those of one
// partition in their order and by one goroutine at a time, those of several
// partitions at the same time. The records are valid until take returns. It ends
// at the ends that the partitions had when it began, with ctx, whose error it
// returns then, or with a fault that waiting does not heal. Brokers that do not
// answer at first are an error, since somebody waits for the result.
func Scan(ctx context.Context, o ScanOptions, take func(topic string, partition int32, records []*kgo.Record)) ([]Scanned, error) {
	if o.ClientID == "" {
		o.ClientID = DefaultClientID
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &scanner{o: o, take: take, brokers: brokers{log: o.Log, tls: o.TLS, sasl: o.SASL}}
	out, err := s.run(ctx)
	if err != nil {
		return nil, fmt.Errorf("read %v: %w", o.topics(), err)
	}
	return out, nil
}

func (o *ScanOptions) topics() []string {
	if o.Bounds == nil {
		return o.Topics
	}
	var out []string
	for _, b := range o.Bounds {
		if !slices.Contains(out, b.Topic) {
			out = append(out, b.Topic)
		}
	}
	return out
}

// scanner is one run of Scan. Owned by its goroutine.
type scanner struct {
	o       ScanOptions
	take    func(string, int32, []*kgo.Record)
	brokers brokers
	client  *kgo.Client
	admin   *kadm.Client
	parts   []scanPart
	warned  time.Time
}

// scanPart is a partition that is being read.
type scanPart struct {
	Scanned
	at   int64 // the next offset
	done bool
}

func (s *scanner) run(ctx context.Context) ([]Scanned, error) {
	base, err := connection{s.o.Brokers, s.o.ClientID, &s.brokers}.optsOn(s.o.Network)
	if err != nil {
		return nil, err
	}
	asking, err := kgo.NewClient(base...)
	if err != nil {
		return nil, err
	}
	defer asking.Close()
	s.admin = kadm.NewClient(asking)
	if err := s.bounds(ctx); err != nil {
		return nil, err
	}
	s.client, err = kgo.NewClient(append(base,
		kgo.ConsumePartitions(s.offsets()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), // the retention has overtaken us: LogStart tells
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // the last record of a partition may be one
		kgo.FetchMaxBytes(scanFetch), kgo.FetchMaxPartitionBytes(scanPartition))...)
	if err != nil {
		return nil, err
	}
	defer s.client.Close()
	if err := s.read(ctx); err != nil {
		return nil, err
	}
	return s.result(ctx)
}

// bounds learns where each partition begins and ends.
func (s *scanner) bounds(ctx context.Context) error {
	if s.o.Bounds != nil {
		for _, b := range s.o.Bounds {
			s.parts = append(s.parts, scanPart{Scanned: b, at: b.Start, done: b.Start >= b.End})
		}
		return nil
	}
	ask, cancel := context.WithTimeout(ctx, 4*askTimeout)
	defer cancel()
	ends, err := s.admin.ListCommittedOffsets(ask, s.o.Topics...)
	if err != nil {
		return s.asked(ctx, "find the ends", err)
	}
	if err := s.complete(ends); err != nil {
		return err
	}
	starts, err := s.admin.ListStartOffsets(ask, s.o.Topics...)
	if err != nil {
		return s.asked(ctx, "find the beginnings", err)
	}
	since := starts
	if !s.o.Since.IsZero() {
		if since, err = s.admin.ListOffsetsAfterMilli(ask, s.o.Since.UnixMilli(), s.o.Topics...); err != nil {
			return s.asked(ctx, "find the offsets of that time", err)
		}
	}
	ends.Each(func(e kadm.ListedOffset) {
		first, _ := starts.Lookup(e.Topic, e.Partition)
		from, _ := since.Lookup(e.Topic, e.Partition)
		p := scanPart{Scanned: Scanned{Topic: e.Topic, Partition: e.Partition, End: e.Offset, LogStart: first.Offset}}
		p.Start = max(first.Offset, from.Offset, s.o.From)
		p.at, p.done = p.Start, p.Start >= p.End
		s.parts = append(s.parts, p)
	})
	slices.SortFunc(s.parts, func(a, b scanPart) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return nil
}

// complete returns why not all ends are known.
func (s *scanner) complete(ends kadm.ListedOffsets) error {
	for _, topic := range s.o.Topics {
		if len(ends[topic]) == 0 {
			return s.refused(topic, kerr.UnknownTopicOrPartition)
		}
		for _, o := range ends[topic] {
			if o.Err != nil {
				return cmp.Or(s.refused(topic, o.Err), o.Err)
			}
		}
	}
	return nil
}

// asked puts words to a question that failed.
func (s *scanner) asked(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if text := s.refused("", err); text != nil {
		return text
	}
	for _, b := range s.brokers.list() {
		if b.State == BrokerUnreachable {
			return fmt.Errorf("%s: broker %s cannot be reached: %s (%w) [kafka-unreachable]", what, b.Addr, b.LastError, err)
		}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// refused returns what waiting does not heal, in words; nil for all else.
func (s *scanner) refused(topic string, err error) error {
	code, _ := errors.AsType[*kerr.Error](err)
	switch {
	case code == kerr.TopicAuthorizationFailed:
		return s.brokers.mayNotRead(topic, err)
	case code == kerr.UnknownTopicOrPartition, code == kerr.UnknownTopicID, code == kerr.InvalidTopicException, isLogin(err):
		return errors.New(s.brokers.describe(topic, err))
	}
	return nil
}

func (s *scanner) offsets() map[string]map[int32]kgo.Offset {
	out := map[string]map[int32]kgo.Offset{}
	for _, p := range s.parts {
		if p.done {
			continue
		}
		if out[p.Topic] == nil {
			out[p.Topic] = map[int32]kgo.Offset{}
		}
		out[p.Topic][p.Partition] = kgo.NewOffset().At(p.Start)
	}
	return out
}

func (s *scanner) read(ctx context.Context) error {
	moved := time.Now()
	for s.left() {
		wait, cancel := context.WithTimeout(ctx, pollTimeout)
		fetches := s.client.PollFetches(wait)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for _, e := range fetches.Errors() {
			if err := s.fault(e); err != nil {
				return err
			}
		}
		s.handOut(fetches)
		now := time.Now()
		if fetches.NumRecords() > 0 {
			moved = now
		}
		s.tell()
		if now.Sub(moved) > scanStill {
			moved = now
			s.findGone(ctx)
		}
	}
	return nil
}

func (s *scanner) left() bool {
	return slices.ContainsFunc(s.parts, func(p scanPart) bool { return !p.done })
}

// fault returns an error that waiting does not heal, and logs others now and
// then.
func (s *scanner) fault(e kgo.FetchError) error {
	if errors.Is(e.Err, context.DeadlineExceeded) || errors.Is(e.Err, context.Canceled) || errors.Is(e.Err, kgo.ErrClientClosed) {
		return nil
	}
	if err := s.refused(e.Topic, e.Err); err != nil {
		return err
	}
	if time.Since(s.warned) > faultEvery {
		s.warned = time.Now()
		s.o.Log.Warn("cannot read, trying again [kafka-read]", "topic", e.Topic, "partition", e.Partition, "error", e.Err)
	}
	return nil
}

// handOut gives what came to take, the partitions side by side.
func (s *scanner) handOut(fetches kgo.Fetches) {
	var side sync.WaitGroup
	byPart := map[int][]*kgo.Record{} // a partition may come twice in one poll
	fetches.EachPartition(func(f kgo.FetchTopicPartition) {
		i := slices.IndexFunc(s.parts, func(p scanPart) bool { return p.Topic == f.Topic && p.Partition == f.Partition })
		if i >= 0 && !s.parts[i].done {
			byPart[i] = append(byPart[i], f.Records...)
		}
	})
	for i, records := range byPart {
		p := &s.parts[i]
		data := make([]*kgo.Record, 0, len(records))
		for _, r := range records {
			if r.Offset < p.at || r.Offset >= p.End {
				continue
			}
			if !r.Attrs.IsControl() {
				data = append(data, r)
			}
		}
		if n := len(records); n > 0 {
			p.at = max(p.at, records[n-1].Offset+1)
		}
		if p.at >= p.End {
			p.done = true
			s.client.RemoveConsumePartitions(map[string][]int32{p.Topic: {p.Partition}})
		}
		if len(data) > 0 {
			side.Go(func() { s.take(p.Topic, p.Partition, data) })
		}
	}
	side.Wait()
}

// tell reports the progress.
func (s *scanner) tell() {
	if s.o.Progress == nil {
		return
	}
	var done, all int64
	for _, p := range s.parts {
		all += max(0, p.End-p.Start)
		done += max(0, min(p.at, p.End)-p.Start)
	}
	s.o.Progress(done, all)
}

// findGone gives up partitions whose remaining records have left the topic.
func (s *scanner) findGone(ctx context.Context) {
	ask, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	starts, err := s.admin.ListStartOffsets(ask, s.o.topics()...)
	if err != nil {
		return // fetching fails as well, and tells why
	}
	for i := range s.parts {
		p := &s.parts[i]
		if o, ok := starts.Lookup(p.Topic, p.Partition); ok && o.Err == nil && o.Offset >= p.End {
			p.done, p.at = true, p.End
		}
	}
}

// result returns what was read.
func (s *scanner) result(ctx context.Context) ([]Scanned, error) {
	ask, cancel := context.WithTimeout(ctx, 4*askTimeout)
	defer cancel()
	starts, err := s.admin.ListStartOffsets(ask, s.o.topics()...)
	if err != nil {
		return nil, s.asked(ctx, "find the beginnings once more", err)
	}
	out := make([]Scanned, 0, len(s.parts))
	for _, p := range s.parts {
		if o, ok := starts.Lookup(p.Topic, p.Partition); ok && o.Err == nil {
			p.LogStart = o.Offset
		}
		out = append(out, p.Scanned)
	}
	return out, nil
}
