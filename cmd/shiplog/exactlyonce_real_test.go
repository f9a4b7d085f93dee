package main_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"shiplog/shipper/kafkatest"
)

// TestRealKafkaExactlyOnce puts an agent that sends in transactions through what
// only a real broker can show: a transaction that it aborts, rights, fencing. One
// broker serves all; librdkafka counts what is committed.
func TestRealKafkaExactlyOnce(t *testing.T) {
	if !realKafka() {
		t.Skip("a real Kafka is asked for by SHIPLOG_REAL_KAFKA=1")
	}
	x := &transacting{binary: buildAgent(t), k: kafkatest.Start(t, kafkatest.Options{
		Properties: map[string]string{
			"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users": "User:ANONYMOUS",
			"allow.everyone.if.no.acl.found": "false", "auto.create.topics.enable": "false",
			// How often the broker looks for transactions that are open for too long.
			"transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
		},
		Listeners: []kafkatest.Listener{{Name: "LOGIN", Protocol: "SASL_PLAINTEXT", Properties: map[string]string{
			"sasl.enabled.mechanisms": "PLAIN",
			"plain.sasl.jaas.config":  `org.apache.kafka.common.security.plain.PlainLoginModule required user_shiplog="secret";`,
		}}},
	})}
	tortureKafka{addr: x.k.Addr()}.createCompacted(t, "checkpoints")
	for _, f := range []struct {
		name string
		run  func(*testing.T, *transacting)
	}{
		{"it hangs for longer than a transaction may be open", transactHangs},
		{"rights are missing", transactRights},
		{"another agent has the same transactional id", transactFenced},
		{"a pinned file", transactPinned},
		{"dead letters are sent again", transactReplay},
		{"it drains at its stop", transactDrained},
	} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			f.run(t, x)
		})
	}
}

// transacting is what the tests of an agent that sends in transactions share.
type transacting struct {
	binary string
	k      *kafkatest.Broker
}

// topic makes one of that name.
func (x *transacting) topic(t *testing.T, name string) {
	tortureKafka{addr: x.k.Addr()}.createTopic(t, name, 1)
}

// rig starts an agent that ships to topic, which is there, in transactions with
// the transactional.id of the same name.
func (x *transacting) rig(t *testing.T, topic string, o faultOptions) *faultRig {
	t.Helper()
	o.topic = topic
	o.kafka = fmt.Sprintf(", delivery: exactly-once, exactly_once: {checkpoint_topic: checkpoints, transactional_id: %s}", topic) + o.kafka
	return newFaultRig(t, x.binary, x.k.Addr(), kafkatest.Consume, o)
}

// transactHangs stops the agent while it has a transaction open, for so long that
// the broker aborts that, and has it go on.
func transactHangs(t *testing.T, x *transacting) {
	x.topic(t, "hangs")
	r := x.rig(t, "hangs", faultOptions{})
	r.write(500)
	r.all()
	transaction := func(is string) bool {
		var state string
		r.admin(func(ctx context.Context, c *kadm.Client) error {
			all, err := c.DescribeTransactions(ctx, "hangs")
			state = all["hangs"].State
			return errors.Join(err, all["hangs"].Err)
		})
		return state == is
	}
	for open := false; !open; open = transaction("Ongoing") { // else it was stopped between two of them
		if err := r.proc.Resume(); err != nil {
			t.Fatal(err)
		}
		sent := r.distinct()
		r.write(200)
		r.await("lines to be on their way", func() bool { return r.distinct() > sent || transaction("Ongoing") }, r.said)
		if err := r.proc.Pause(); err != nil {
			t.Fatal(err)
		}
	}
	r.write(300)
	r.await("the broker to abort the transaction", func() bool { return transaction("CompleteAbort") }, r.said)
	if err := r.proc.Resume(); err != nil {
		t.Fatal(err)
	}
	r.write(200)
	r.all()
	r.green()
	r.judge()
}

// transactRights gives a user one right after the other: health says each time
// which is the next.
func transactRights(t *testing.T, x *transacting) {
	x.topic(t, "rights")
	allow := func(acls *kadm.ACLBuilder, operations ...kadm.ACLOperation) {
		t.Helper()
		tortureKafka{addr: x.k.Addr()}.admin(t, func(ctx context.Context, c *kadm.Client) error {
			_, err := c.CreateACLs(ctx, acls.ResourcePatternType(kadm.ACLPatternLiteral).Operations(operations...).Allow("User:shiplog").AllowHosts("*"))
			return err
		})
	}
	allow(kadm.NewACLs().Topics("rights"), kadm.OpWrite, kadm.OpDescribe)
	plaintext := func(t testing.TB, _, topic string, each func(int32, int64, []byte)) func() {
		return kafkatest.Consume(t, x.k.Addr(), topic, each)
	}
	r := newFaultRig(t, x.binary, x.k.ListenerAddr("LOGIN"), plaintext, faultOptions{topic: "rights",
		kafka: ", delivery: exactly-once, exactly_once: {checkpoint_topic: checkpoints, transactional_id: rights}, sasl: {mechanism: PLAIN, username: shiplog, password: secret}"})
	r.write(100)
	r.red(`no right to the checkpoint topic "checkpoints" (TOPIC_AUTHORIZATION_FAILED`)
	r.red("allow this user READ, WRITE and DESCRIBE on it")
	allow(kadm.NewACLs().Topics("checkpoints"), kadm.OpRead, kadm.OpDescribe)
	r.red(`no right to the transactional.id "rights"`)
	r.red("allow this user WRITE and DESCRIBE on it")
	allow(kadm.NewACLs().TransactionalIDs("rights"), kadm.OpWrite, kadm.OpDescribe)
	r.red(`no right to the checkpoint topic "checkpoints"`)
	if strings.Contains(r.said(), "file found") || r.distinct() > 0 {
		t.Errorf("files are read before the last commit is known: %s", r.said())
	}
	allow(kadm.NewACLs().Topics("checkpoints"), kadm.OpWrite)
	r.all()
	r.green()

	// And away again, while it runs.
	write := kadm.NewACLs().TransactionalIDs("rights").ResourcePatternType(kadm.ACLPatternLiteral).Operations(kadm.OpWrite).Deny("User:shiplog").DenyHosts("*")
	admin := tortureKafka{addr: x.k.Addr()}
	admin.admin(t, func(ctx context.Context, c *kadm.Client) error { _, err := c.CreateACLs(ctx, write); return err })
	r.write(100)
	r.red(`no right to the transactional.id "rights"`)
	r.write(100)
	admin.admin(t, func(ctx context.Context, c *kadm.Client) error { _, err := c.DeleteACLs(ctx, write); return err })
	r.all()
	r.green()
	r.judge()
}

// transactFenced starts a second agent with the id of one that runs.
func transactFenced(t *testing.T, x *transacting) {
	x.topic(t, "fenced")
	first := x.rig(t, "fenced", faultOptions{})
	first.write(200)
	first.all()
	second := x.rig(t, "fenced", faultOptions{})
	second.await("the second agent to begin", func() bool { return strings.Contains(second.said(), "what was committed last is known") }, second.said)
	first.write(50)
	first.red("uses the transactional.id fenced since")
	first.red("stop one of the two; if its state_dir is a copy of the other's, remove the file transactional-id in the copy, and start it again")
	if said := first.said(); !strings.Contains(said, "[kafka-fenced]") {
		t.Errorf("the log has no code: %s", said)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	first.red(fmt.Sprintf("on host %q", host))
	second.write(300)
	second.await("the lines of the second", func() bool { return second.distinct() == 300 }, second.said)
	second.green()
	if err := second.proc.Stop(stopGrace); err != nil {
		t.Error(err)
	}
	if n := (tortureKafka{addr: x.k.Addr()}).committed(t, "fenced"); n != 500 {
		t.Errorf("%d records, want the 200 of the first agent and the 300 of the second", n)
	}
	// The operator stops the first one too, and starts it again.
	if err := first.proc.Stop(stopGrace); err != nil {
		t.Error(err)
	}
	first.launch()
	first.await("the rest of the first", func() bool { return tortureKafka{addr: x.k.Addr()}.committed(t, "fenced") == 550 }, first.said)
	first.green()
}

// set changes an option of a topic.
func (x *transacting) set(t *testing.T, topic, name, value string) {
	t.Helper()
	tortureKafka{addr: x.k.Addr()}.admin(t, func(ctx context.Context, c *kadm.Client) error {
		_, err := c.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: name, Value: &value}}, topic)
		return err
	})
}

// transactPinned has a file rotated and removed while its topic takes nothing, and
// kills the agent then: what is left of the file is the pin.
func transactPinned(t *testing.T, x *transacting) {
	x.topic(t, "pinned")
	r := x.rig(t, "pinned", faultOptions{input: ", pin: true"})
	r.write(300)
	r.all()
	x.set(t, "pinned", "min.insync.replicas", "2") // of one
	r.write(300)
	r.rotate()
	pins := func() int {
		names, err := filepath.Glob(filepath.Join(r.state, "pins", "*.json"))
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	r.await("the pin", func() bool { return pins() == 1 }, r.said)
	if err := os.Remove(fmt.Sprintf("%s-%08d", r.path(), 20261000+r.rotated)); err != nil {
		t.Fatal(err)
	}
	r.write(300)
	if err := r.proc.Kill(); err != nil {
		t.Fatal(err)
	}
	x.set(t, "pinned", "min.insync.replicas", "1")
	r.launch()
	r.all()
	r.await("the pin to be removed", func() bool { return pins() == 0 }, r.said)
	r.green()
	r.judge()
}

// transactReplay sends a dead letter again beside the agent, which it belongs to:
// outside of its transactions, and without ending them.
func transactReplay(t *testing.T, x *transacting) {
	x.topic(t, "replayed")
	x.set(t, "replayed", "max.message.bytes", "20000")
	r := x.rig(t, "replayed", faultOptions{kafka: ", compression: none"})
	large := strings.Repeat("large ", 10_000)
	r.write(300)
	r.append("logs/app.log", large+"\n")
	r.write(300)
	r.all()
	x.set(t, "replayed", "max.message.bytes", "1000000")
	if code, out, said := r.call("replay", "--config", r.config); code != 0 {
		t.Errorf("replay: exit status %d\n%s%s", code, out, said)
	}
	r.write(300)
	r.all()
	r.green()
	r.judge()
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := r.arrived[large]; n != 1 {
		t.Errorf("the letter came %d times", n)
	}
	if said := r.said(); strings.Contains(said, "kafka-fenced") {
		t.Errorf("the replay ended the agent's transactions: %s", said)
	}
}

// transactDrained has lines written just before the agent is told to stop, which
// ships them in transactions of its own.
func transactDrained(t *testing.T, x *transacting) {
	x.topic(t, "drained")
	r := x.rig(t, "drained", faultOptions{wrapper: []string{"sh", "-c", `exec "$@" --drain`, "sh"}})
	r.write(300)
	r.all()
	r.write(300)
	if err := r.proc.Stop(stopGrace); err != nil {
		t.Errorf("%v\n%s", err, r.said())
	}
	if n := (tortureKafka{addr: x.k.Addr()}).committed(t, "drained"); n != 600 {
		t.Errorf("%d records, want 600", n)
	}
	r.launch()
	r.green()
	r.judge()
}
