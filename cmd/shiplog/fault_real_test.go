package main_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"shiplog/shipper/kafkatest"
)

// TestRealKafkaFaults puts the built binary through what only a real broker can
// show. librdkafka counts what arrives.
func TestRealKafkaFaults(t *testing.T) {
	if !realKafka() {
		t.Skip("a real Kafka is asked for by SHIPLOG_REAL_KAFKA=1")
	}
	binary := buildAgent(t)
	for _, f := range []struct {
		name       string
		topic      bool // there from the start
		properties map[string]string
		run        func(t *testing.T, k *kafkatest.Broker, r *faultRig)
	}{
		{"the broker is killed and started again", true, nil, realKilled},
		{"the broker is down while logs rotate", true, nil, realDown},
		{"the broker hangs around acknowledgements", true, nil, realHangs},
		{"the topic is missing at the start", false, map[string]string{"auto.create.topics.enable": "false"}, realTopicMissing},
		{"the topic is deleted and created again", true, map[string]string{"auto.create.topics.enable": "false"}, realTopicRecreated},
		{"the right to write is taken away and given back", true, map[string]string{
			"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer", "allow.everyone.if.no.acl.found": "true",
		}, realRight},
		{"a message is larger than the topic takes", true, map[string]string{"message.max.bytes": "20000"}, realTooLarge},
	} {
		t.Run(f.name, func(t *testing.T) {
			o := kafkatest.Options{Properties: f.properties}
			if f.topic {
				o.Topics = map[string]int32{faultTopic: 1}
			}
			k := kafkatest.Start(t, o)
			consume := kafkatest.Consume
			if !f.topic {
				consume = lateConsumer
			}
			f.run(t, k, newFaultRig(t, binary, k.Addr(), consume, faultOptions{kafka: ", compression: none"}))
		})
	}
}

func realKilled(_ *testing.T, k *kafkatest.Broker, r *faultRig) {
	r.write(500)
	r.all()
	for range 2 {
		r.write(2000)
		k.Kill()
		r.write(500)
		r.red("")
		k.Restart()
		r.all()
		r.green()
	}
	r.judge()
}

// outage is how long the broker is down; minutes would show no more.
const outage = 20 * time.Second

func realDown(t *testing.T, k *kafkatest.Broker, r *faultRig) {
	r.write(500)
	r.all()
	k.Stop()
	tick := time.NewTicker(outage / 20)
	defer tick.Stop()
	for range 20 {
		<-tick.C
		r.write(1000)
		r.rotate()
	}
	r.write(100)
	r.red("Kafka")
	k.Restart()
	r.all()
	r.green()
	r.judge()
}

func realHangs(_ *testing.T, k *kafkatest.Broker, r *faultRig) {
	r.write(500)
	r.all()
	tick := time.NewTicker(700 * time.Millisecond)
	defer tick.Stop()
	for i := range 6 {
		r.write(3000)
		k.Pause()
		r.write(300)
		if i%2 == 1 {
			r.rotate()
		}
		<-tick.C
		k.Resume()
	}
	r.write(10)
	r.all()
	r.green()
	r.judge()
}

func (r *faultRig) admin(do func(context.Context, *kadm.Client) error) {
	r.t.Helper()
	tortureKafka{addr: r.broker}.admin(r.t, do)
}

func (r *faultRig) createTopic() {
	r.t.Helper()
	r.admin(func(ctx context.Context, c *kadm.Client) error {
		resp, err := c.CreateTopic(ctx, 1, 1, nil, faultTopic)
		if err == nil {
			err = resp.Err
		}
		return err
	})
}

func realTopicMissing(t *testing.T, k *kafkatest.Broker, r *faultRig) {
	r.write(500)
	r.red("does not exist")
	r.write(500)
	r.createTopic()
	kafkatest.Consume(t, k.Addr(), faultTopic, r.take)
	r.all()
	r.green()
	r.judge()
}

func realTopicRecreated(t *testing.T, k *kafkatest.Broker, r *faultRig) {
	r.write(500)
	r.all()
	r.admin(func(ctx context.Context, c *kadm.Client) error {
		_, err := c.DeleteTopic(ctx, faultTopic)
		return err
	})
	r.write(500)
	r.red(faultTopic)
	r.createTopic()
	kafkatest.Consume(t, k.Addr(), faultTopic, r.take)
	r.all()
	r.green()
	r.judge()
}

func realRight(_ *testing.T, _ *kafkatest.Broker, r *faultRig) {
	r.write(500)
	r.all()
	deny := kadm.NewACLs().Topics(faultTopic).ResourcePatternType(kadm.ACLPatternLiteral).Operations(kadm.OpWrite).Deny("User:ANONYMOUS").DenyHosts("*")
	r.admin(func(ctx context.Context, c *kadm.Client) error {
		// With one rule for the topic, what no rule allows is denied.
		allow := kadm.NewACLs().Topics(faultTopic).ResourcePatternType(kadm.ACLPatternLiteral).Operations(kadm.OpRead, kadm.OpDescribe, kadm.OpAlter).Allow("User:ANONYMOUS").AllowHosts("*")
		if _, err := c.CreateACLs(ctx, allow); err != nil {
			return err
		}
		_, err := c.CreateACLs(ctx, deny)
		return err
	})
	r.write(500)
	r.red("WRITE")
	r.rotate()
	r.write(500)
	r.admin(func(ctx context.Context, c *kadm.Client) error {
		if _, err := c.DeleteACLs(ctx, deny); err != nil {
			return err
		}
		allow := kadm.NewACLs().Topics(faultTopic).ResourcePatternType(kadm.ACLPatternLiteral).Operations(kadm.OpWrite).Allow("User:ANONYMOUS").AllowHosts("*")
		_, err := c.CreateACLs(ctx, allow)
		return err
	})
	r.all()
	r.green()
	r.judge()
}

func realTooLarge(t *testing.T, _ *kafkatest.Broker, r *faultRig) {
	r.write(300)
	r.append("logs/app.log", strings.Repeat("large ", 10_000)+"\n")
	r.write(300)
	r.all()
	r.await("the dead letter", func() bool { return strings.Contains(r.said(), "dead letter") }, r.said)
	r.judge()
}
