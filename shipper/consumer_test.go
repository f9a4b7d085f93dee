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
)

// printed collects what Consume prints.
type printed struct {
	mu     sync.Mutex
	values []string
}

func (p *printed) print(r *kgo.Record) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.values = append(p.values, string(r.Value))
	return nil
}

func (p *printed) sorted() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(slices.Values(p.values))
}

// fill puts values into a topic.
func fill(t *testing.T, c *kfake.Cluster, topic string, values ...string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, v := range values {
		if err := client.ProduceSync(t.Context(), kgo.StringRecord(v)).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// consume runs Consume to its end, which must come.
func consume(t *testing.T, o ConsumeOptions) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var p printed
	if err := Consume(ctx, o, p.print); err != nil {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatal("Consume did not end by itself")
	}
	return p.sorted()
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestConsumeToTheEnd(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(3, "a", "b", "empty"))
	fill(t, c, "a", "a1", "a2", "a3", "a4")
	fill(t, c, "b", "b1")
	for _, group := range []string{"", "readers"} {
		t.Run("group "+group, func(t *testing.T) {
			o := ConsumeOptions{Brokers: c.ListenAddrs(), Topics: []string{"a", "b", "empty"}, ExitAtEnd: true, Group: group}
			equal(t, "first run", consume(t, o), []string{"a1", "a2", "a3", "a4", "b1"})
			fromEnd := o
			fromEnd.FromEnd = true
			fromEnd.Group = ""
			equal(t, "from the end", consume(t, fromEnd), nil)
			if group != "" {
				equal(t, "second run of the group", consume(t, o), nil)
			}
		})
	}
}

func TestConsumeToTheEndLeavesOutWhatComesLater(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "a"))
	fill(t, c, "a", "1", "2")
	var p printed
	err := Consume(t.Context(), ConsumeOptions{Brokers: c.ListenAddrs(), Topics: []string{"a"}, ExitAtEnd: true}, func(r *kgo.Record) error {
		if string(r.Value) == "1" {
			fill(t, c, "a", "3", "4")
		}
		return p.print(r)
	})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "printed", p.sorted(), []string{"1", "2"})
}

// The last thing in a partition may be the mark of a transaction's end.
func TestConsumeToTheEndOfATransaction(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "a"))
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic("a"), kgo.TransactionalID("tx"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for i, commit := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		if err := client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := client.ProduceSync(t.Context(), kgo.StringRecord(fmt.Sprint(i))).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := client.EndTransaction(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "printed", consume(t, ConsumeOptions{Brokers: c.ListenAddrs(), Topics: []string{"a"}, ExitAtEnd: true}), []string{"0"})
}

func TestConsumeCommitsWhatWasPrintedAndLeaves(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "a"))
	fill(t, c, "a", "1", "2", "3")
	full := errors.New("no more room")
	err := Consume(t.Context(), ConsumeOptions{Brokers: c.ListenAddrs(), Topics: []string{"a"}, Group: "g"}, func(r *kgo.Record) error {
		if string(r.Value) == "3" {
			return full
		}
		return nil
	})
	if !errors.Is(err, full) {
		t.Fatalf("Consume: %v", err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	offsets, err := kadm.NewClient(client).FetchOffsets(t.Context(), "g")
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := offsets.Lookup("a", 0); !ok || o.At != 2 {
		t.Errorf("committed %+v, want 2", o)
	}
	if g := c.GroupInfo("g"); g != nil && len(g.Members) != 0 {
		t.Errorf("the group still has members: %+v", g.Members)
	}
}

func TestConsumeFollowsUntilItsContextEnds(t *testing.T) {
	c := cluster(t) // the topic does not exist yet
	ctx, cancel := context.WithCancel(t.Context())
	var p printed
	result := make(chan error)
	go func() {
		result <- Consume(ctx, ConsumeOptions{Brokers: c.ListenAddrs(), Topics: []string{"later"}}, p.print)
	}()
	if err := c.CreateTopic("later", 1, nil); err != nil {
		t.Fatal(err)
	}
	fill(t, c, "later", "1")
	eventually(t, "the record is printed", func() bool { return len(p.sorted()) == 1 })
	fill(t, c, "later", "2")
	eventually(t, "the next record is printed", func() bool { return len(p.sorted()) == 2 })
	cancel()
	if err := <-result; err != nil {
		t.Errorf("Consume: %v", err)
	}
}

func TestConsumeFailsWhereWaitingIsInVain(t *testing.T) {
	for _, tc := range []struct {
		name, want string
		prepare    func(*kfake.Cluster, *ConsumeOptions)
	}{
		{"missing topic", `topic "a" does not exist`, func(c *kfake.Cluster, o *ConsumeOptions) { o.ExitAtEnd = true }},
		{"no right to read", "allow this user READ", func(c *kfake.Cluster, o *ConsumeOptions) {
			_ = c.CreateTopic("a", 1, nil)
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Err: kerr.TopicAuthorizationFailed, Count: -1})
		}},
		{"no right to join", "join group", func(c *kfake.Cluster, o *ConsumeOptions) {
			_ = c.CreateTopic("a", 1, nil)
			o.Group = "g"
			c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.JoinGroup}, Err: kerr.GroupAuthorizationFailed, Count: -1, TopLevel: true})
		}},
		{"nothing named", "at least one", func(_ *kfake.Cluster, o *ConsumeOptions) { o.Topics = nil }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := cluster(t)
			o := ConsumeOptions{Brokers: c.ListenAddrs(), Topics: []string{"a"}}
			tc.prepare(c, &o)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			err := Consume(ctx, o, func(*kgo.Record) error { return nil })
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Consume: %v, want something with %q", err, tc.want)
			}
		})
	}
}

func TestConsumeWithAWrongPassword(t *testing.T) {
	c := cluster(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "shiplog", "right"))
	c.ControlKey(int16(kmsg.SASLAuthenticate), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
		return resp, nil, true
	})
	err := Consume(t.Context(), ConsumeOptions{Brokers: c.ListenAddrs(), Topics: []string{"a"}, SASL: &SASL{
		Mechanism: "PLAIN", Username: "shiplog", Password: Secret{Value: "wr0ng"},
	}}, func(*kgo.Record) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "password") || strings.Contains(err.Error(), "wr0ng") {
		t.Errorf("Consume: %v", err)
	}
}

func TestConsumeEndsWhileNoBrokerAnswers(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	for _, o := range []ConsumeOptions{{}, {Group: "g"}, {ExitAtEnd: true}} {
		o.Brokers, o.Topics = []string{closedAddr(t)}, []string{"a"}
		if err := Consume(ctx, o, func(*kgo.Record) error { return nil }); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
