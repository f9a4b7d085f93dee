package shipper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"golang.org/x/sync/errgroup"
)

// InspectOptions says what Inspect looks at. Brokers to Network are as in Options.
type InspectOptions struct {
	Brokers  []string
	ClientID string
	TLS      *TLS
	SASL     *SASL
	Network
	// Topics are those that records go to.
	Topics []InspectTopic
	// Templates lead to topics that are not known before there are lines.
	Templates []InspectTemplate
	// CreateTopics as in Options.
	CreateTopics *TopicSpec
	// CheckpointTopic is that of a Transaction; "" where there is none.
	CheckpointTopic string
}

// inspectors bounds how many brokers are dialled at a time.
const inspectors = 16

// Inspect looks whether records could be sent as o says, and what may stand in the
// way: the addresses to start from, all brokers that these tell of, clocks, topics.
// It connects as a Producer does, writes nothing and creates nothing. Each question
// has a time limit, so it ends, also where nobody answers.
func Inspect(ctx context.Context, o InspectOptions) []Finding {
	o.ClientID = cmp.Or(o.ClientID, DefaultClientID)
	// A lost broker is a finding, not a line of the log.
	i := &inspection{o: o, brokers: brokers{log: slog.New(slog.DiscardHandler), tls: o.TLS, sasl: o.SASL}}
	if i.bootstrap(ctx) {
		i.advertised(ctx)
		i.clock(ctx)
		i.topics(ctx)
		i.transactions(ctx)
	}
	return i.findings
}

// inspection is one run of Inspect. It belongs to its goroutine.
type inspection struct {
	o        InspectOptions
	brokers  brokers
	findings []Finding

	cluster *kmsg.MetadataResponse // as the first address that answered has it
	entry   string                 // that address
	away    map[int32]bool         // brokers that cannot be reached
	skew    *clockSkew             // nil: not known
}

func (i *inspection) add(f ...Finding) { i.findings = append(i.findings, f...) }

// visit is what one address has answered.
type visit struct {
	addr     string
	took     time.Duration
	version  string // of Kafka, guessed from what it can do
	metadata *kmsg.MetadataResponse
	err      error
}

// patience bounds one question, a connection included.
func (i *inspection) patience() time.Duration {
	return cmp.Or(i.o.DialTimeout, dialTimeout) + askTimeout
}

// at has do use a client that knows of one address only.
func (i *inspection) at(ctx context.Context, addr string, do func(context.Context, *kgo.Client) error) error {
	client, err := connection{[]string{addr}, i.o.ClientID, &i.brokers}.client(i.o.Network)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, i.patience())
	defer cancel()
	return do(ctx, client)
}

// ask puts one question to the address that answered first: nothing else has to be
// reachable for it.
func ask[R kmsg.Response](ctx context.Context, i *inspection, req kmsg.Request) (resp R, err error) {
	err = i.at(ctx, i.entry, func(ctx context.Context, client *kgo.Client) error {
		got, err := client.SeedBrokers()[0].Request(ctx, req)
		if err == nil {
			resp = got.(R)
		}
		return err
	})
	return resp, err
}

// visit dials an address, and asks it what it is and whom it knows.
func (i *inspection) visit(ctx context.Context, addr string) visit {
	v := visit{addr: addr}
	began := time.Now()
	v.err = i.at(ctx, addr, func(ctx context.Context, client *kgo.Client) error {
		req := kmsg.NewPtrMetadataRequest()
		req.Topics = []kmsg.MetadataRequestTopic{} // none; nil would be all
		req.IncludeClusterAuthorizedOperations = true
		resp, err := client.SeedBrokers()[0].Request(ctx, req)
		if err != nil {
			return err
		}
		v.took, v.metadata = time.Since(began), resp.(*kmsg.MetadataResponse)
		ask := kmsg.NewPtrApiVersionsRequest()
		ask.ClientSoftwareName, ask.ClientSoftwareVersion = "shiplog", "check" // Kafka wants both (KIP-511)
		able, err := client.SeedBrokers()[0].Request(ctx, ask)
		if err == nil {
			v.version = kversion.FromApiVersionsResponse(able.(*kmsg.ApiVersionsResponse)).VersionGuess()
		}
		return err
	})
	if v.err != nil {
		v.took = time.Since(began)
	}
	return v
}

// visitAll visits addresses, several at a time.
func (i *inspection) visitAll(ctx context.Context, addrs []string) []visit {
	out := make([]visit, len(addrs))
	var g errgroup.Group
	g.SetLimit(inspectors)
	for n, addr := range addrs {
		g.Go(func() error {
			out[n] = i.visit(ctx, addr)
			return nil
		})
	}
	_ = g.Wait() // what went wrong is in the visits
	return out
}

// whyNot tells why an address did not answer, and what to do.
func (i *inspection) whyNot(v visit) (says, remedy string) {
	says, refused := i.brokers.explain(v.err, time.Now())
	for _, b := range i.brokers.list() {
		if b.Addr == v.addr && b.State == BrokerUnreachable {
			says = b.LastError
			refused = refused || i.brokers.refuses(v.addr)
		}
	}
	const noWay, away = " [kafka-access]", " [kafka-unreachable]"
	switch {
	case isLogin(v.err):
		return says + noWay, "correct kafka.sasl, or this user's password or ticket on the brokers"
	case errors.Is(v.err, io.EOF):
		return says + noWay, "correct kafka.tls and kafka.sasl, or the port"
	case refused:
		return says + noWay, "correct kafka.tls, the certificates, or the port"
	case errors.Is(v.err, errNoHandshake):
		return says + noWay, "correct kafka.tls, or the port"
	case (errors.Is(v.err, context.DeadlineExceeded) || errors.Is(v.err, os.ErrDeadlineExceeded)) && !isDial(v.err):
		says = fmt.Sprintf("it takes the connection, and does not answer within %s", roundTook(v.took))
		return says + away, "look at the broker, and at what stands between: a proxy or a firewall may answer in its place"
	}
	if op, ok := errors.AsType[*net.OpError](v.err); ok && op.Err != nil { // without the address, which is told beside it
		says = strings.TrimPrefix(op.Err.Error(), "connect: ")
	}
	return says + away, "start the broker, and open the way to it (firewall, DNS)"
}

// isDial tells whether no connection was made.
func isDial(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// bootstrap dials the configured addresses. It reports whether one has answered.
func (i *inspection) bootstrap(ctx context.Context) bool {
	var addrs []string
	for _, addr := range i.o.Brokers {
		if !slices.Contains(addrs, addr) {
			addrs = append(addrs, addr)
		}
	}
	visits := i.visitAll(ctx, addrs)
	for _, v := range visits {
		if v.err == nil && i.cluster == nil {
			i.cluster, i.entry = v.metadata, v.addr
		}
	}
	for _, v := range visits {
		f := Finding{Check: "kafka.bootstrap", Subject: v.addr, Status: OK}
		switch {
		case v.err == nil && clusterID(v.metadata) != clusterID(i.cluster):
			f.Status = Problem
			f.Says = fmt.Sprintf("belongs to another cluster (%s) than %s (%s) [kafka-cluster]", clusterID(v.metadata), i.entry, clusterID(i.cluster))
			f.Remedy = "name the brokers of one cluster in kafka.brokers"
		case v.err == nil:
			f.Says = fmt.Sprintf("answers in %s: Kafka %s, %d brokers", roundTook(v.took), v.version, len(v.metadata.Brokers))
		default:
			f.Status = Problem
			if i.cluster != nil {
				f.Status = Warning // the others lead to all brokers as well
			}
			f.Says, f.Remedy = i.whyNot(v)
			f.Remedy += "; or correct kafka.brokers"
		}
		i.add(f)
	}
	if i.cluster != nil {
		i.mayProduce()
	}
	return i.cluster != nil
}

// mayProduce looks for a right that only Kafka before 2.8 asks for, and which it
// tells by versions of the answer that end there.
func (i *inspection) mayProduce() {
	if v := i.cluster.Version; v < 8 || v > 10 || !rights(i.cluster.AuthorizedOperations).told() ||
		rights(i.cluster.AuthorizedOperations).has(kmsg.ACLOperationIdempotentWrite) {
		return
	}
	i.add(Finding{Check: "kafka.rights", Subject: "cluster", Status: Problem,
		Says:   "no right to produce with idempotence, which Kafka before 2.8 asks for [kafka-forbidden]",
		Remedy: "allow " + i.brokers.who() + " IDEMPOTENT_WRITE on the cluster"})
}

func roundTook(d time.Duration) time.Duration {
	if d < 10*time.Millisecond {
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(time.Millisecond)
}

func clusterID(m *kmsg.MetadataResponse) string {
	if m.ClusterID == nil {
		return ""
	}
	return *m.ClusterID
}

// advertised dials all brokers that the cluster tells of.
func (i *inspection) advertised(ctx context.Context) {
	told := slices.Clone(i.cluster.Brokers)
	slices.SortFunc(told, func(a, b kmsg.MetadataResponseBroker) int { return cmp.Compare(a.NodeID, b.NodeID) })
	var addrs []string
	for _, b := range told {
		addrs = append(addrs, net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port))))
	}
	i.away = make(map[int32]bool)
	for n, v := range i.visitAll(ctx, addrs) {
		f := Finding{Check: "kafka.broker", Subject: fmt.Sprintf("%d at %s", told[n].NodeID, v.addr), Status: OK}
		switch {
		case v.err != nil:
			i.away[told[n].NodeID] = true
			f.Status = Problem
			f.Says, f.Remedy = i.whyNot(v)
			f.Says = "advertised, but cannot be used from here: " + f.Says
			f.Remedy += "; or correct its advertised.listeners"
		case clusterID(v.metadata) != clusterID(i.cluster):
			i.away[told[n].NodeID] = true
			f.Status = Problem
			f.Says = fmt.Sprintf("the address leads to another cluster (%s) than the one that advertises it (%s) [kafka-cluster]", clusterID(v.metadata), clusterID(i.cluster))
			f.Remedy = "correct its advertised.listeners, or this host's DNS"
		default:
			f.Says = fmt.Sprintf("answers in %s: Kafka %s", roundTook(v.took), v.version)
			if told[n].Rack != nil {
				f.Says += ", rack " + *told[n].Rack
			}
		}
		i.add(f)
	}
}

// refuses tells whether the last failure at the address was a matter of
// certificates or login.
func (b *brokers) refuses(addr string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.byAddr[addr]
	return e != nil && e.refused
}

// clockSkew is how far the cluster's clock is ahead of ours, more or less.
type clockSkew struct{ ahead, within time.Duration }

// skewed is from which difference on clocks are worth a warning: what Kafka refuses
// by default is an hour, but times in logs that differ by more mislead.
const skewed = 10 * time.Second

// clock compares clocks. Kafka tells its time in two ways only: it puts it on
// records, and none is written here; and the controller of a cluster without
// ZooKeeper says when its followers asked last (KIP-836), of itself now.
func (i *inspection) clock(ctx context.Context) {
	f := Finding{Check: "clock", Subject: "cluster", Status: Unknown}
	defer func() { i.add(f) }()
	req := kmsg.NewPtrDescribeQuorumRequest()
	part := kmsg.NewDescribeQuorumRequestTopicPartition()
	topic := kmsg.NewDescribeQuorumRequestTopic()
	topic.Topic, topic.Partitions = "__cluster_metadata", append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	var before, after time.Time
	var resp *kmsg.DescribeQuorumResponse
	err := i.at(ctx, i.entry, func(ctx context.Context, client *kgo.Client) error {
		if err := client.Ping(ctx); err != nil { // so that the connection is there
			return err
		}
		before = time.Now()
		got, err := client.SeedBrokers()[0].Request(ctx, req)
		after = time.Now()
		if err == nil {
			resp = got.(*kmsg.DescribeQuorumResponse)
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		return err
	})
	byHand := "; compare `date -u` here and on a broker, if in doubt"
	if err == nil {
		i.skew = measureSkew(resp, before, after)
	}
	switch {
	case isForbidden(err):
		f.Says = "cannot be compared without a right: DESCRIBE on the cluster would let the controller's clock be read" + byHand
		return
	case i.skew == nil:
		f.Says = "cannot be compared: this Kafka tells its time only on records, and none is written here" + byHand
		return
	}
	f.Status = OK
	f.Says = fmt.Sprintf("the controller's clock agrees with this host's, within %s", roundTook(i.skew.within))
	if d := i.skew.ahead.Abs(); d > i.skew.within {
		way := "ahead of"
		if i.skew.ahead < 0 {
			way = "behind"
		}
		f.Says = fmt.Sprintf("the controller's clock is %s %s this host's, give or take %s", roundTook(d), way, roundTook(i.skew.within))
		if d-i.skew.within >= skewed {
			f.Says += " [kafka-clock]"
			f.Status, f.Remedy = Warning, "set the clocks by NTP, here and on the brokers"
		}
	}
}

// measureSkew reads the clock of the controller from its answer, nil if it is not
// told. It was asked after before, and the answer was there at after.
func measureSkew(resp *kmsg.DescribeQuorumResponse, before, after time.Time) *clockSkew {
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			for _, v := range p.CurrentVoters {
				if v.ReplicaID != p.LeaderID || v.LastFetchTimestamp <= 0 {
					continue
				}
				half := after.Sub(before) / 2
				return &clockSkew{
					ahead:  time.UnixMilli(v.LastFetchTimestamp).Sub(before.Add(half)),
					within: half + time.Millisecond, // it tells whole milliseconds
				}
			}
		}
	}
	return nil
}
