package shipper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"shiplog/shipper/kafkatest"
)

// scanned collects what Scan hands over.
type scannedRecords struct {
	mu     sync.Mutex
	t      *testing.T
	busy   map[scannedPart]bool
	byPart map[scannedPart][]string
	last   map[scannedPart]int64
}

type scannedPart struct {
	topic     string
	partition int32
}

func (s *scannedRecords) take(topic string, number int32, records []*kgo.Record) {
	partition := scannedPart{topic, number}
	s.mu.Lock()
	if s.byPart == nil {
		s.byPart, s.last, s.busy = map[scannedPart][]string{}, map[scannedPart]int64{}, map[scannedPart]bool{}
	}
	if s.busy[partition] {
		s.t.Errorf("%v is handed over by two at a time", partition)
	}
	s.busy[partition] = true
	s.mu.Unlock()
	for _, r := range records {
		s.mu.Lock()
		if last, ok := s.last[partition]; ok && r.Offset <= last {
			s.t.Errorf("%v: offset %d behind %d", partition, r.Offset, last)
		}
		s.last[partition] = r.Offset
		s.byPart[partition] = append(s.byPart[partition], string(r.Value))
		s.mu.Unlock()
	}
	s.mu.Lock()
	s.busy[partition] = false
	s.mu.Unlock()
}

func (s *scannedRecords) all() (out []string) {
	for _, v := range s.byPart {
		out = append(out, v...)
	}
	slices.Sort(out)
	return out
}

// scan runs Scan to its end, which must come.
func scan(t *testing.T, o ScanOptions) (*scannedRecords, []Scanned) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := &scannedRecords{t: t}
	parts, err := Scan(ctx, o, s.take)
	if err != nil {
		t.Fatal(err)
	}
	return s, parts
}

func TestScanReadsWhatIsThere(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(3, "logs"), kfake.SeedTopics(1, "other", "empty"))
	values := numbered(1, 0, 200)
	fill(t, c, "logs", values[:150]...)
	fill(t, c, "other", values[150:]...)
	var steps []int64
	o := ScanOptions{Brokers: c.ListenAddrs(), Topics: []string{"logs", "other", "empty"}, Progress: func(done, all int64) {
		if all != 200 || done < 0 || done > all {
			t.Errorf("progress %d of %d", done, all)
		}
		steps = append(steps, done)
	}}
	got, parts := scan(t, o)
	equal(t, "scan", got.all(), values)
	if len(parts) != 5 || len(steps) == 0 || steps[len(steps)-1] != 200 || !slices.IsSorted(steps) {
		t.Errorf("%+v, progress %v", parts, steps)
	}
	for _, p := range parts {
		if p.Start != 0 || p.LogStart != 0 || p.Topic == "other" && p.End != 50 {
			t.Errorf("%+v", p)
		}
	}
	// The same again, though more has come.
	fill(t, c, "other", "more")
	got, again := scan(t, ScanOptions{Brokers: c.ListenAddrs(), Bounds: parts})
	equal(t, "scan of the same bounds", got.all(), values)
	if !slices.Equal(parts, again) {
		t.Errorf("%+v, want %+v", again, parts)
	}
}

func TestScanFromTheMiddle(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "logs"))
	values := numbered(1, 0, 50)
	fill(t, c, "logs", values[:20]...)
	since := time.Now().Add(time.Millisecond)
	eventually(t, "the clock moves", func() bool { return time.Now().After(since.Add(2 * time.Millisecond)) })
	fill(t, c, "logs", values[20:]...)
	got, parts := scan(t, ScanOptions{Brokers: c.ListenAddrs(), Topics: []string{"logs"}, From: 30})
	equal(t, "from an offset", got.all(), values[30:])
	if parts[0].Start != 30 {
		t.Errorf("%+v", parts)
	}
	got, parts = scan(t, ScanOptions{Brokers: c.ListenAddrs(), Topics: []string{"logs"}, Since: since})
	equal(t, "since a time", got.all(), values[20:])
	if parts[0].Start != 20 {
		t.Errorf("%+v", parts)
	}
	got, _ = scan(t, ScanOptions{Brokers: c.ListenAddrs(), Topics: []string{"logs"}, From: 1000})
	equal(t, "from behind the end", got.all(), nil)
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var gone kadm.Offsets
	gone.AddOffset("logs", 0, 10, -1)
	if _, err := kadm.NewClient(client).DeleteRecords(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	got, parts = scan(t, ScanOptions{Brokers: c.ListenAddrs(), Topics: []string{"logs"}})
	equal(t, "what is left", got.all(), values[10:])
	if parts[0].Start != 10 || parts[0].LogStart != 10 {
		t.Errorf("%+v", parts)
	}
}

func TestScanFails(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "logs"))
	fill(t, c, "logs", "one")
	nothing := func(string, int32, []*kgo.Record) {}
	short, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := Scan(short, ScanOptions{Brokers: []string{closedAddr(t)}, Topics: []string{"logs"}}, nothing); err == nil {
		t.Error("no broker, no error")
	}
	if _, err := Scan(t.Context(), ScanOptions{Brokers: c.ListenAddrs(), Topics: []string{"logs", "missing"}}, nothing); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("missing topic: %v", err)
	}
	if _, err := Scan(ended(t), ScanOptions{Brokers: c.ListenAddrs(), Topics: []string{"logs"}}, nothing); !errors.Is(err, context.Canceled) {
		t.Errorf("ended: %v", err)
	}
	c.ControlKey(kmsg.Fetch.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		for _, rt := range req.(*kmsg.FetchRequest).Topics {
			st := kmsg.NewFetchResponseTopic()
			st.Topic, st.TopicID = rt.Topic, rt.TopicID
			for _, rp := range rt.Partitions {
				sp := kmsg.NewFetchResponseTopicPartition()
				sp.Partition, sp.ErrorCode = rp.Partition, kerr.TopicAuthorizationFailed.Code
				st.Partitions = append(st.Partitions, sp)
			}
			resp.Topics = append(resp.Topics, st)
		}
		return resp, nil, true
	})
	if _, err := Scan(t.Context(), ScanOptions{Brokers: c.ListenAddrs(), Topics: []string{"logs"}}, nothing); err == nil || !strings.Contains(err.Error(), "allow this user READ") {
		t.Errorf("no right: %v", err)
	}
}

// TestRealKafkaScan reads a compressed topic with aborted transactions in it.
func TestRealKafkaScan(t *testing.T) {
	broker := kafkatest.Start(t, kafkatest.Options{Topics: map[string]int32{"scanned": 2}})
	var want []string
	for round := range 6 {
		client, err := kgo.NewClient(kgo.SeedBrokers(broker.Addr()), kgo.DefaultProduceTopic("scanned"), kgo.TransactionalID("t"))
		if err != nil {
			t.Fatal(err)
		}
		if err := client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for i := range 300 {
			value := fmt.Sprintf("%d-%03d", round, i)
			if err := client.ProduceSync(t.Context(), kgo.StringRecord(value)).FirstErr(); err != nil {
				t.Fatal(err)
			}
			if round%2 == 0 {
				want = append(want, value)
			}
		}
		if err := client.EndTransaction(t.Context(), kgo.TransactionEndTry(round%2 == 0)); err != nil {
			t.Fatal(err)
		}
		client.Close()
	}
	slices.Sort(want)
	got, _ := scan(t, ScanOptions{Brokers: []string{broker.Addr()}, Topics: []string{"scanned"}})
	equal(t, "scan", got.all(), want)
}
