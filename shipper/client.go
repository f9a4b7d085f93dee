package shipper

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// metadataMinAge is how soon a missing topic or a lost leader is looked
	// for again; a topic created while data waits is found within it.
	metadataMinAge = time.Second
	metadataMaxAge = time.Minute
	// requestOverhead is added to a request's own time limit; a broker that
	// accepted a connection and then hangs is given up after the sum.
	requestOverhead = 5 * time.Second
	// dialTimeout and requestTimeout stand in for zero fields of Network.
	dialTimeout    = 5 * time.Second
	requestTimeout = 10 * time.Second

	minBackoff = 100 * time.Millisecond
	maxBackoff = 10 * time.Second
)

// connection is what producers and consumers have in common.
type connection struct {
	addrs    []string // to start from
	clientID string
	brokers  *brokers // follows and paces what is dialled, and says how it is secured
}

// Network says how patient connections are, and where this host is. The zero value
// is a usual one.
type Network struct {
	// Rack is where this host is, as broker.rack says it of brokers: what is read
	// back or verified comes from a replica there. Records go to leaders anyway.
	Rack string
	// DialTimeout is for making a connection; 0 is 5 s.
	DialTimeout time.Duration
	// RequestTimeout is what a broker has to store records; after half as much
	// more, at least a second, the connection is given up; 0 is 10 s.
	RequestTimeout time.Duration
}

func (n Network) opts() []kgo.Opt {
	opts := []kgo.Opt{
		kgo.ProduceRequestTimeout(cmp.Or(n.RequestTimeout, requestTimeout)),
		kgo.RequestTimeoutOverhead(n.overhead()),
	}
	if n.Rack != "" {
		opts = append(opts, kgo.Rack(n.Rack))
	}
	return opts
}

func (n Network) overhead() time.Duration {
	if n.RequestTimeout == 0 {
		return requestOverhead
	}
	return max(n.RequestTimeout/2, time.Second)
}

func (c connection) opts() ([]kgo.Opt, error) { return c.optsOn(Network{}) }

func (c connection) optsOn(n Network) ([]kgo.Opt, error) {
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.addrs...),
		kgo.ClientID(c.clientID),
		kgo.WithLogger(clientLog{c.brokers.log}),
		kgo.WithHooks(c.brokers),
		kgo.Dialer(c.brokers.dialer(cmp.Or(n.DialTimeout, dialTimeout))),
		kgo.MetadataMinAge(metadataMinAge),
		kgo.MetadataMaxAge(metadataMaxAge),
		kgo.RetryBackoffFn(c.brokers.pacer.backoff),
		// An end of file on the first read is mostly a broker that starts or
		// stops, or a wrong port. None of these may fail records.
		kgo.AlwaysRetryEOF(),
		kgo.DisableClientMetrics(),
	}
	opts = append(opts, n.opts()...)
	if c.brokers.sasl != nil {
		m, err := c.brokers.sasl.mechanism()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.SASL(m))
	}
	return opts, nil
}

// client makes a client that only asks. It dials nothing.
func (c connection) client(n Network) (*kgo.Client, error) {
	opts, err := c.optsOn(n)
	if err != nil {
		return nil, err
	}
	return kgo.NewClient(opts...)
}

// producerOpts are those of every client that a Producer makes. batchMax
// tells the largest batch for a topic, before compression. b is of the Producer.
func producerOpts(o Options, b *brokers, batchMax func(topic string) int32) ([]kgo.Opt, error) {
	opts, err := connection{o.Brokers, o.ClientID, b}.optsOn(o.Network)
	if err != nil {
		return nil, err
	}
	compress, err := compression(o.Compression)
	if err != nil {
		return nil, fmt.Errorf("compression %q: %w", o.Compression, err)
	}
	return append(opts,
		kgo.RequiredAcks(kgo.AllISRAcks()), // and idempotent, which is kgo's default
		compress,
		kgo.ProducerLinger(o.Linger),
		kgo.ProducerBatchMaxBytesFn(batchMax),
		kgo.RecordPartitioner(partitioner{sticky: o.Partitioner == PartitionerSticky}),
		// kgo's default fails records of a missing topic after four tries.
		kgo.UnknownTopicRetries(-1),
		// The budget is ours. kgo's own must never be what blocks, because
		// its wait could not be ended without ending records.
		kgo.MaxBufferedRecords(math.MaxInt32),
		// No DefaultProduceTopic: gate relies on a record without a topic
		// failing at once.
	), nil
}

// newClient makes a client for producing, with the gate that keeps order. It dials nothing.
func newClient(opts []kgo.Opt, hooks ...kgo.Hook) (*kgo.Client, error) {
	all := append(opts[:len(opts):len(opts)], kgo.WithHooks(append(hooks, &gate{})...))
	client, err := kgo.NewClient(all...)
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	return client, nil
}

// backoff is how long to wait after that many failures in a row: doubling,
// with jitter, so that many agents do not come back at the same instant.
func backoff(failures int) time.Duration {
	d := minBackoff << min(max(failures-1, 0), 10)
	d = min(d, maxBackoff)
	return d/2 + rand.N(d/2+1)
}

// sleep waits for d and reports whether ctx let it.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// clientLog passes kgo's own words on, as debug lines. They hold no secrets,
// but they are many, and written for developers.
type clientLog struct{ log *slog.Logger }

// Level implements kgo.Logger.
func (l clientLog) Level() kgo.LogLevel {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		return kgo.LogLevelInfo
	}
	return kgo.LogLevelNone
}

// Log implements kgo.Logger.
func (l clientLog) Log(_ kgo.LogLevel, msg string, keyvals ...any) {
	l.log.Debug("kgo: "+msg, keyvals...)
}
