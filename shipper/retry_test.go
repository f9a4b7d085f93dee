package shipper

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestFaultsOfTheClusterAreWaitedOut(t *testing.T) {
	for _, tc := range []struct {
		err     *kerr.Error
		key     kmsg.Key
		top     bool
		problem string
	}{
		{kerr.TopicAuthorizationFailed, kmsg.Produce, false, "WRITE"},
		{kerr.ClusterAuthorizationFailed, kmsg.Produce, false, "IDEMPOTENT_WRITE"},
		{kerr.ClusterAuthorizationFailed, kmsg.InitProducerID, true, "IDEMPOTENT_WRITE"}, // kgo keeps this one for good
		{kerr.TopicAuthorizationFailed, kmsg.Metadata, false, "WRITE"},
		{kerr.InvalidTopicException, kmsg.Metadata, false, "does not allow"},
		{kerr.UnsupportedCompressionType, kmsg.Produce, false, "compression"},
		{kerr.UnknownServerError, kmsg.Produce, false, "UNKNOWN_SERVER_ERROR"},
		{kerr.NotEnoughReplicas, kmsg.Produce, false, "acknowledged nothing"}, // kgo retries it by itself
		{kerr.NotLeaderForPartition, kmsg.Produce, false, "acknowledged nothing"},
		{kerr.KafkaStorageError, kmsg.Produce, false, "acknowledged nothing"},
		{kerr.LeaderNotAvailable, kmsg.Metadata, false, "without a leader"},
	} {
		t.Run(fmt.Sprintf("%s in %s", tc.err.Message, tc.key.Name()), func(t *testing.T) {
			t.Parallel()
			c := cluster(t, kfake.SeedTopics(1, "logs"))
			fault := c.Fault(kfake.Fault{Keys: []kmsg.Key{tc.key}, Err: tc.err, Count: -1, TopLevel: tc.top})
			r := newRig(t, Options{Brokers: c.ListenAddrs()})
			first := r.produce(batch(1, numbered(1, 0, 50)...))
			second := r.produce(batch(1, numbered(1, 50, 50)...))
			r.problem(tc.problem)
			if r.isDone(first) || r.isDone(second) {
				t.Error("done, though Kafka has taken nothing")
			}
			if h := r.Health(); h.InFlightRecords != 100 || h.Oldest.IsZero() || len(h.LastErrors) == 0 || len(h.Errors) == 0 {
				t.Errorf("health: %+v", h)
			}
			fault.Remove()
			r.settle(first, second)
			r.healed()
			inOrder(t, read(t, c, "logs", 100), map[uint64][]string{1: numbered(1, 0, 100)})
			if d := letters(t, r.opts.DeadLetterPath); len(d) != 0 {
				t.Errorf("%d dead letters", len(d))
			}
			if log := r.log.String(); strings.Count(log, "over: ") != strings.Count(log, "WARN") || !strings.Contains(log, "lasted=") {
				t.Errorf("each fault has to begin and end once in the log:\n%s", log)
			}
		})
	}
}

func TestAdmitIsFalseWhileTheLaneFails(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "logs"))
	fault := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	r := newRig(t, Options{Brokers: c.ListenAddrs()})
	b := r.produce(batch(1, numbered(1, 0, 5)...))
	eventually(t, "the lane fails", func() bool { return !r.Admit(1) })
	if !r.Admit(2) {
		t.Error("another stream is not admitted")
	}
	fault.Remove()
	r.settle(b)
	eventually(t, "the lane is healthy", func() bool { return r.Admit(1) })
}

func TestMissingTopicIsWaitedForAndFoundSoon(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "there"))
	r := newRig(t, Options{Brokers: c.ListenAddrs()})
	there := batch(2, numbered(2, 0, 10)...)
	for i := range there.Records {
		there.Records[i].Topic = "there"
	}
	b := r.produce(batch(1, numbered(1, 0, 10)...))
	r.settle(r.produce(there)) // is not held up
	r.problem(`topic "logs" does not exist`, "create it")
	if err := c.CreateTopic("logs", 1, nil); err != nil {
		t.Fatal(err)
	}
	created := time.Now()
	r.settle(b)
	if took := time.Since(created); took > 5*time.Second {
		t.Errorf("the topic was found after %s", took)
	}
	r.healed()
	read(t, c, "logs", 10)
}

func TestTopicDeletedAndCreatedAgain(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(3, "logs"))
	r := newRig(t, Options{Brokers: c.ListenAddrs()})
	r.settle(r.produce(batch(1, numbered(1, 0, 10)...)))
	if err := c.DeleteTopic("logs"); err != nil {
		t.Fatal(err)
	}
	if err := c.CreateTopic("logs", 1, nil); err != nil {
		t.Fatal(err)
	}
	r.settle(r.produce(batch(1, numbered(1, 10, 10)...)))
	r.settle(r.produce(batch(2, numbered(2, 0, 10)...)))
	inOrder(t, read(t, c, "logs", 20), map[uint64][]string{1: numbered(1, 10, 10), 2: numbered(2, 0, 10)})
}

func TestBrokerThatIsDownAtStart(t *testing.T) {
	addr := closedAddr(t)
	r := newRig(t, Options{Brokers: []string{addr}})
	b := r.produce(batch(1, numbered(1, 0, 10)...))
	r.problem("no broker of "+addr, "refused")
	if h := r.Health(); len(h.Brokers) != 1 || h.Brokers[0].State != BrokerUnreachable || h.Brokers[0].Addr != addr || h.Brokers[0].LastError == "" {
		t.Errorf("brokers: %+v", h.Brokers)
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	c := cluster(t, kfake.Ports(n), kfake.SeedTopics(1, "logs"))
	r.settle(b)
	r.healed()
	read(t, c, "logs", 10)
	for _, line := range []string{"broker cannot be reached", "broker is back"} {
		if got := strings.Count(r.log.String(), line); got != 1 {
			t.Errorf("%q is %d times in the log", line, got)
		}
	}
}

// cutter is a listener whose connections lose what the broker answers.
type cutter struct {
	net.Listener
	cut *atomic.Int64 // so many answers to produce requests are lost yet
}

type cutConn struct {
	net.Conn
	cut *atomic.Int64
}

func (c cutter) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	return cutConn{conn, c.cut}, err
}

func (c cutConn) Write(p []byte) (int, error) {
	if c.cut.Load() > 0 && c.cut.Add(-1) >= 0 {
		return 0, c.Conn.Close()
	}
	return c.Conn.Write(p)
}

// The broker has appended, its answer is lost: idempotence must prevent that
// the same batch is there twice.
func TestLostAcknowledgementsRepeatNothing(t *testing.T) {
	t.Parallel()
	cut := new(atomic.Int64)
	c := cluster(t, kfake.SeedTopics(1, "logs"), kfake.ListenFn(func(network, addr string) (net.Listener, error) {
		l, err := net.Listen(network, addr)
		return cutter{l, cut}, err
	}))
	r := newRig(t, Options{Brokers: c.ListenAddrs()})
	r.settle(r.produce(batch(1, numbered(1, 0, 10)...)))
	var batches []*Batch
	for i := range 20 {
		cut.Store(1)
		batches = append(batches, r.produce(batch(1, numbered(1, 10+10*i, 10)...)))
		if i%4 == 0 {
			r.settle(batches...)
		}
	}
	r.settle(batches...)
	inOrder(t, read(t, c, "logs", 210), map[uint64][]string{1: numbered(1, 0, 210)})
}

func TestLeadersMove(t *testing.T) {
	c := cluster(t, kfake.NumBrokers(3), kfake.SeedTopics(3, "logs"))
	r := newRig(t, Options{Brokers: c.ListenAddrs()})
	want := make(map[uint64][]string)
	var batches []*Batch
	for i := range 40 {
		for s := range uint64(3) {
			values := numbered(s, 10*i, 10)
			want[s] = append(want[s], values...)
			batches = append(batches, r.produce(batch(s, values...)))
		}
		if i%5 == 0 {
			c.ShufflePartitionLeaders()
		}
	}
	r.settle(batches...)
	inOrder(t, read(t, c, "logs", 40*3*10), want)
}

func TestDeadLetterFileThatCannotBeWritten(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "logs"))
	refusePoison(c, kerr.InvalidRecord)
	dir := t.TempDir()
	block := filepath.Join(dir, "dead") // a file where the directory has to be
	if err := os.WriteFile(block, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, Options{Brokers: c.ListenAddrs(), Compression: "none", DeadLetterPath: filepath.Join(block, "letters.jsonl")})
	b := r.produce(batch(1, "s1-1", "s1-2"+poison, "s1-3"))
	r.problem("dead letter file", "make room")
	if r.isDone(b) {
		t.Error("done, though the dead letter is not written")
	}
	other := r.produce(batch(2, "s2-1")) // is not held up
	r.settle(other)
	if err := os.Remove(block); err != nil {
		t.Fatal(err)
	}
	r.settle(b)
	r.healed()
	if got := letters(t, r.opts.DeadLetterPath); len(got) != 1 || string(got[0].Bytes) != "s1-2"+poison {
		t.Errorf("dead letters %+v", got)
	}
	inOrder(t, read(t, c, "logs", 3), map[uint64][]string{1: {"s1-1", "s1-3"}, 2: {"s2-1"}})
}

func TestCloseWhileALaneFails(t *testing.T) {
	c := cluster(t, kfake.SeedTopics(1, "logs"))
	refusePoison(c, kerr.TopicAuthorizationFailed)
	r := newRig(t, Options{Brokers: c.ListenAddrs(), Compression: "none"})
	r.settle(r.produce(batch(1, "s1-0")))
	b := r.produce(batch(1, "s1-1"+poison, "s1-2"))
	queued := r.produce(batch(1, "s1-3"))
	r.problem("WRITE")
	if err := r.Close(ended(t)); err == nil {
		t.Error("Close tells nothing of the records that are left")
	}
	for _, b := range []*Batch{b, queued} {
		if !r.isDone(b) || b.Settled() != 0 {
			t.Errorf("done %v, settled %d", r.isDone(b), b.Settled())
		}
	}
	read(t, c, "logs", 1)
}

func TestWrongPasswordIsShownAndRetried(t *testing.T) {
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			c := cluster(t, kfake.EnableSASL(), kfake.Superuser(mechanism, "shiplog", "right"), kfake.SeedTopics(1, "logs"))
			password := write(t, filepath.Join(t.TempDir(), "password"), []byte("wr0ng\n"))
			r := newRig(t, Options{Brokers: c.ListenAddrs(), SASL: &SASL{
				Mechanism: mechanism, Username: "shiplog",
				Password: Secret{File: password, Key: "kafka.sasl.password_file"},
			}})
			b := r.produce(batch(1, numbered(1, 0, 3)...))
			r.problem("check that TLS and SASL, user name and password")
			write(t, password, []byte("right\n"))
			r.settle(b)
			r.healed()
			if strings.Contains(r.log.String(), "wr0ng") {
				t.Error("the password is in the log")
			}
		})
	}
}

// Kafka says so, where kfake just hangs up.
func TestRefusedLoginIsShownAndRetried(t *testing.T) {
	c := cluster(t, kfake.EnableSASL(), kfake.Superuser("PLAIN", "shiplog", "right"), kfake.SeedTopics(1, "logs"))
	var right atomic.Bool
	c.ControlKey(int16(kmsg.SASLAuthenticate), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		resp.ErrorCode = kerr.SaslAuthenticationFailed.Code
		return resp, nil, !right.Load()
	})
	r := newRig(t, Options{Brokers: c.ListenAddrs(), SASL: &SASL{
		Mechanism: "PLAIN", Username: "shiplog", Password: Secret{Value: "right"},
	}})
	b := r.produce(batch(1, numbered(1, 0, 3)...))
	r.problem(c.ListenAddrs()[0], `refuses the login of user "shiplog" by PLAIN`, "password")
	right.Store(true)
	r.settle(b)
	r.healed()
}
