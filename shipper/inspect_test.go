package shipper

import (
	"math"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"shiplog/shipper/kafkatest"
)

// finding wants one of a check, for a subject that begins so, with that status and
// these words.
func finding(t *testing.T, found []Finding, check, subject string, status Status, words ...string) {
	t.Helper()
	for _, f := range found {
		if f.Check != check || !strings.HasPrefix(f.Subject, subject) {
			continue
		}
		if f.Status != status {
			t.Errorf("%s of %s is %s, want %s: %s", check, subject, f.Status, status, f.Says)
		}
		for _, w := range words {
			if !strings.Contains(f.Says+" -> "+f.Remedy, w) {
				t.Errorf("%s of %s does not say %q: %s -> %s", check, subject, w, f.Says, f.Remedy)
			}
		}
		return
	}
	t.Errorf("no %s of %s among %+v", check, subject, found)
}

// endsWithCode is what the table in README explains.
var endsWithCode = regexp.MustCompile(` \[kafka(-[a-z]+)+\]$`)

// inspect looks, and checks what holds for whatever is found: nothing is written, and
// what is wrong comes with a remedy.
func inspect(t *testing.T, c *kfake.Cluster, o InspectOptions) []Finding {
	t.Helper()
	if c != nil {
		for _, key := range []kmsg.Key{kmsg.Produce, kmsg.InitProducerID} {
			c.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
				c.KeepControl()
				t.Errorf("request %s was made", key.Name())
				return nil, nil, false
			})
		}
	}
	found := Inspect(t.Context(), o)
	for _, f := range found {
		if bad := f.Status == Problem || f.Status == Warning; bad != (f.Remedy != "") {
			t.Errorf("status and remedy do not fit: %+v", f)
		}
		if f.Status == Problem && !endsWithCode.MatchString(f.Says) {
			t.Errorf("a problem ends with no code: %+v", f)
		}
	}
	return found
}

// alter changes the configuration of a topic.
func alter(t *testing.T, c *kfake.Cluster, topic string, configs map[string]string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var all []kadm.AlterConfig
	for k, v := range configs {
		all = append(all, kadm.AlterConfig{Op: kadm.SetConfig, Name: k, Value: &v})
	}
	got, err := kadm.NewClient(client).AlterTopicConfigs(t.Context(), all, topic)
	if err == nil {
		_, err = got.On(topic, func(r *kadm.AlterConfigsResponse) error { return r.Err })
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	c := cluster(t, kfake.NumBrokers(3), kfake.SeedTopics(4, "logs", "small", "compacted", "stamped", "app.one", "app.two", "app.dead"))
	alter(t, c, "small", map[string]string{"max.message.bytes": "1000"})
	alter(t, c, "compacted", map[string]string{"cleanup.policy": "compact"})
	alter(t, c, "stamped", map[string]string{"message.timestamp.type": "LogAppendTime"})
	nobody := closedAddr(t)
	found := inspect(t, c, InspectOptions{
		Brokers: append(c.ListenAddrs()[:1:1], nobody),
		Topics: []InspectTopic{
			{Name: "logs", Largest: 1 << 20, ReadBack: true}, {Name: "small", Largest: 5000}, {Name: "compacted"},
			{Name: "stamped", EventTime: true}, {Name: "missing"},
		},
		Templates: []InspectTemplate{
			{Text: "app.{{.application}}", Pattern: regexp.MustCompile(`^app\..*$`), Example: "app.unknown", Except: []string{"app.dead"}, Topic: InspectTopic{Role: "by template"}},
			{Text: "none.{{.application}}", Pattern: regexp.MustCompile(`^none\..*$`), Example: "none.unknown"},
		},
	})
	finding(t, found, "kafka.bootstrap", c.ListenAddrs()[0], OK, "3 brokers")
	finding(t, found, "kafka.bootstrap", nobody, Warning, "refused", "kafka.brokers")
	for _, n := range []string{"0 at", "1 at", "2 at"} {
		finding(t, found, "kafka.broker", n, OK, "Kafka")
	}
	finding(t, found, "clock", "cluster", Unknown, "date -u")
	finding(t, found, "topic.rights", "logs", OK)
	finding(t, found, "topic.replicas", "logs", Warning, "min.insync.replicas")
	finding(t, found, "topic.max_message_bytes", "logs", OK, "1048588")
	finding(t, found, "topic.timestamps", "logs", OK)
	finding(t, found, "topic.max_message_bytes", "small", Warning, "1000", "5000", "dead letter", "raise the topic's max.message.bytes")
	finding(t, found, "topic.cleanup", "compacted", Problem, "kafka.key")
	finding(t, found, "topic.timestamps", "stamped", Warning, "CreateTime")
	finding(t, found, "topic", "missing", Problem, "does not exist", "kafka.create_topics")
	finding(t, found, "topic.template", "app.", OK, "2 topics")
	finding(t, found, "topic.rights", "app.two (by template)", OK)
	finding(t, found, "topic.template", "none.", Warning, "create the topics")
	if slices.ContainsFunc(found, func(f Finding) bool { return strings.HasPrefix(f.Subject, "app.dead") }) {
		t.Error("a topic is looked at to which the template does not lead")
	}
}

// Whether a topic would be created is asked without creating it.
func TestInspectCreatesNothing(t *testing.T) {
	t.Parallel()
	c := cluster(t)
	o := InspectOptions{
		Brokers: c.ListenAddrs(), Topics: []InspectTopic{{Name: "logs"}}, CreateTopics: &TopicSpec{Partitions: 3, Replication: 1},
		Templates: []InspectTemplate{{Text: "app.{{.application}}", Pattern: regexp.MustCompile(`^app\..*$`), Example: "app.unknown"}},
	}
	found := inspect(t, c, o)
	finding(t, found, "topic", "logs", OK, "may be created")
	finding(t, found, "topic", "app.unknown", OK, "may be created")
	o.CreateTopics = &TopicSpec{Replication: 7}
	finding(t, inspect(t, c, o), "topic", "logs", Problem, "cannot be created", "correct kafka.create_topics")
	if n := len(c.PartitionInfos("logs")) + len(c.PartitionInfos("app.unknown")); n != 0 {
		t.Errorf("%d partitions were created", n)
	}
}

// Of a user who may not do all, each missing right is told.
func TestInspectRights(t *testing.T) {
	t.Parallel()
	may := func(topic string, ops ...kmsg.ACLOperation) (out []kfake.ACL) {
		for _, op := range ops {
			out = append(out, kfake.ACL{Resource: kmsg.ACLResourceTypeTopic, Name: topic, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: op, Allow: true})
		}
		return out
	}
	acls := slices.Concat(
		may("written", kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe, kmsg.ACLOperationDescribeConfigs, kmsg.ACLOperationRead),
		may("unread", kmsg.ACLOperationWrite, kmsg.ACLOperationDescribe), may("known", kmsg.ACLOperationDescribe))
	c := cluster(t, kfake.EnableSASL(), kfake.EnableACLs(), kfake.Superuser("PLAIN", "root", "root"), kfake.User("SCRAM-SHA-512", "shiplog", "secret-word", acls...),
		kfake.SeedTopics(1, "written", "unread", "known", "hidden"))
	o := InspectOptions{
		Brokers: c.ListenAddrs(), SASL: &SASL{Mechanism: "SCRAM-SHA-512", Username: "shiplog", Password: Secret{Value: "secret-word"}},
		Topics: []InspectTopic{{Name: "written", ReadBack: true}, {Name: "unread", ReadBack: true}, {Name: "known"}, {Name: "hidden"}},
	}
	found := inspect(t, c, o)
	finding(t, found, "topic.rights", "written", OK)
	finding(t, found, "topic.max_message_bytes", "written", OK)
	finding(t, found, "topic.rights", "unread", Warning, `allow user "shiplog" by SCRAM-SHA-512 READ`)
	finding(t, found, "topic.config", "unread", Unknown, "DESCRIBE_CONFIGS")
	finding(t, found, "topic.rights", "known", Problem, "no right to write", `allow user "shiplog" by SCRAM-SHA-512 WRITE and DESCRIBE`)
	finding(t, found, "topic.rights", "hidden", Problem, "DESCRIBE and WRITE")
	o.SASL.Password.Value = "wrong-word"
	found = inspect(t, c, o)
	finding(t, found, "kafka.bootstrap", c.ListenAddrs()[0], Problem, "kafka.sasl")
	if len(found) != 1 {
		t.Errorf("asked on without a login: %+v", found)
	}
	for _, f := range found {
		if strings.Contains(f.Says+f.Remedy, "-word") {
			t.Errorf("a secret is told: %+v", f)
		}
	}
}

// A broker whose address leads nowhere is told, and what it leads.
func TestInspectUnreachableAdvertised(t *testing.T) {
	t.Parallel()
	c, here, gone := halfReachable(t, kfake.SeedTopics(8, "logs"))
	found := inspect(t, c, InspectOptions{Brokers: []string{here}, Topics: []InspectTopic{{Name: "logs"}}})
	away := 0
	for _, f := range found {
		if f.Check == "kafka.broker" && strings.HasSuffix(f.Subject, gone) {
			away++
			if f.Status != Problem || !strings.Contains(f.Remedy, "advertised.listeners") {
				t.Errorf("%+v", f)
			}
		}
	}
	if away != 1 {
		t.Errorf("the broker is told of %d times: %+v", away, found)
	}
	finding(t, found, "topic.replicas", "logs", Problem, "of 8 partitions are led by a broker that cannot be used")
}

// Who takes the connection and says nothing does not hold the check up for long.
func TestInspectSilence(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	found := inspect(t, nil, InspectOptions{Brokers: []string{l.Addr().String()}, Network: Network{DialTimeout: time.Second}})
	finding(t, found, "kafka.bootstrap", l.Addr().String(), Problem, "does not answer within")
	if len(found) != 1 {
		t.Errorf("asked on: %+v", found)
	}
}

func TestJudgeReplicas(t *testing.T) {
	three := []int32{1, 2, 3}
	part := func(leader int32, replicas, isr []int32) kmsg.MetadataResponseTopicPartition {
		return kmsg.MetadataResponseTopicPartition{Leader: leader, Replicas: replicas, ISR: isr}
	}
	good := part(1, three, three)
	for _, c := range []struct {
		name, least string
		parts       []kmsg.MetadataResponseTopicPartition
		status      Status
		says        string
	}{
		{"all is well", "2", []kmsg.MetadataResponseTopicPartition{good, good}, OK, "2 partitions with 3 replicas each"},
		{"no partition", "2", nil, Problem, "no partition"},
		{"no leader", "2", []kmsg.MetadataResponseTopicPartition{good, part(-1, three, three[:1])}, Problem, "1 of 2 partitions have no leader"},
		{"led from afar", "2", []kmsg.MetadataResponseTopicPartition{part(9, three, three)}, Problem, "cannot be used from here"},
		{"too few in sync", "2", []kmsg.MetadataResponseTopicPartition{part(1, three, three[:1]), good}, Problem, "fewer in-sync replicas"},
		{"can never be", "4", []kmsg.MetadataResponseTopicPartition{good}, Problem, "it can take nothing"},
		{"one is behind", "1", []kmsg.MetadataResponseTopicPartition{part(1, three, three[:2])}, Warning, "away or behind"},
		{"one copy", "1", []kmsg.MetadataResponseTopicPartition{part(1, three[:1], three[:1])}, Warning, "on one disk only"},
		{"one is enough", "1", []kmsg.MetadataResponseTopicPartition{good}, Warning, "on one broker only"},
		{"all are wanted", "3", []kmsg.MetadataResponseTopicPartition{good}, Warning, "when one broker is away"},
		{"not told", "", []kmsg.MetadataResponseTopicPartition{good}, OK, "3 replicas"},
	} {
		v := &topicView{partitions: c.parts, away: map[int32]bool{9: true}, config: topicConfig{"min.insync.replicas": c.least}}
		topic := InspectTopic{Name: "logs"}
		if f := topic.judgeReplicas(v); f.Status != c.status || !strings.Contains(f.Says, c.says) {
			t.Errorf("%s: %+v, want %s, %q", c.name, f, c.status, c.says)
		}
	}
}

func TestJudgeTime(t *testing.T) {
	day := topicConfig{"message.timestamp.type": "CreateTime", "message.timestamp.before.max.ms": "9223372036854775807", "message.timestamp.after.max.ms": "3600000"}
	skew := func(ahead time.Duration) *clockSkew { return &clockSkew{ahead, time.Second} }
	for _, c := range []struct {
		name   string
		topic  InspectTopic
		view   topicView
		status Status
		says   string
	}{
		{"usual", InspectTopic{}, topicView{config: day}, OK, "to 1 h after"},
		{"the clocks agree", InspectTopic{}, topicView{config: day, skew: skew(0)}, OK, ""},
		{"this host is ahead", InspectTopic{}, topicView{config: day, skew: skew(-2 * time.Hour)}, Problem, "ahead"},
		{"this host is behind, without a bound", InspectTopic{}, topicView{config: day, skew: skew(2 * time.Hour)}, OK, ""},
		{"this host is behind", InspectTopic{}, topicView{config: topicConfig{"message.timestamp.difference.max.ms": "60000"}, skew: skew(2 * time.Hour)}, Problem, "behind"},
		{"old events", InspectTopic{EventTime: true}, topicView{config: topicConfig{"retention.ms": "604800000"}}, Warning, "7 days"},
		{"kept for ever", InspectTopic{EventTime: true}, topicView{config: topicConfig{"retention.ms": "-1"}}, OK, ""},
		{"its own time", InspectTopic{}, topicView{config: topicConfig{"message.timestamp.type": "LogAppendTime"}}, OK, "its own time"},
	} {
		if f := c.topic.judgeTime(&c.view); f.Status != c.status || !strings.Contains(f.Says, c.says) {
			t.Errorf("%s: %+v, want %s, %q", c.name, f, c.status, c.says)
		}
	}
}

func TestRightsOfOldKafka(t *testing.T) {
	topic := InspectTopic{Name: "logs"}
	if f := topic.judgeRights(&topicView{rights: math.MinInt32}); f.Status != Unknown {
		t.Errorf("%+v", f)
	}
}

func TestMeasureSkew(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000)
	answer := func(leader int32, fetched int64) *kmsg.DescribeQuorumResponse {
		return &kmsg.DescribeQuorumResponse{Topics: []kmsg.DescribeQuorumResponseTopic{{Partitions: []kmsg.DescribeQuorumResponseTopicPartition{{
			LeaderID: leader, CurrentVoters: []kmsg.DescribeQuorumResponseTopicPartitionReplicaState{{ReplicaID: 1, LastFetchTimestamp: fetched}},
		}}}}}
	}
	got := measureSkew(answer(1, at.Add(time.Minute).UnixMilli()), at.Add(-20*time.Millisecond), at.Add(20*time.Millisecond))
	if got == nil || got.ahead != time.Minute || got.within != 21*time.Millisecond {
		t.Errorf("%+v, want a minute, within 21 ms", got)
	}
	for name, resp := range map[string]*kmsg.DescribeQuorumResponse{"not told": answer(1, -1), "another leads": answer(2, 5), "nothing": {}} {
		if got := measureSkew(resp, at, at); got != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// What a real Kafka tells: its clock, its version, its topics' limits, and an address
// that it advertises and that leads nowhere.
func TestRealKafkaInspect(t *testing.T) {
	nowhere := closedAddr(t)
	broker := kafkatest.Start(t, kafkatest.Options{
		Topics:    map[string]int32{"logs": 3},
		Listeners: []kafkatest.Listener{{Name: "FAR", Protocol: "PLAINTEXT", Advertised: nowhere}},
	})
	createTopic(t, broker.Addr(), "small", map[string]string{"max.message.bytes": "2000", "message.timestamp.type": "LogAppendTime"})
	o := InspectOptions{Brokers: []string{broker.Addr()}, Topics: []InspectTopic{{Name: "logs", Largest: 1 << 20, ReadBack: true}, {Name: "small", Largest: 5000}, {Name: "new"}}}
	o.CreateTopics = &TopicSpec{Partitions: 2}
	eventually(t, "the broker knows the topics", func() bool {
		names, err := TopicNames(t.Context(), ScanOptions{Brokers: o.Brokers})
		return err == nil && len(names) == 2
	})
	found := inspect(t, nil, o)
	finding(t, found, "kafka.bootstrap", broker.Addr(), OK, "Kafka v4.")
	finding(t, found, "kafka.broker", "1 at "+broker.Addr(), OK)
	finding(t, found, "clock", "cluster", OK, "the controller's clock agrees")
	finding(t, found, "topic.rights", "logs", OK)
	finding(t, found, "topic.replicas", "logs", Warning, "3 partitions, with one replica each")
	finding(t, found, "topic.timestamps", "logs", OK, "1 h after")
	finding(t, found, "topic.max_message_bytes", "small", Warning, "2000")
	finding(t, found, "topic.timestamps", "small", OK, "its own time")
	finding(t, found, "topic", "new", OK, "may be created")
	for _, name := range []string{"logs", "small"} {
		if got := readReal(t, broker.Addr(), name); len(got) != 0 {
			t.Errorf("%d records were written to %s", len(got), name)
		}
	}
	o.Brokers = []string{broker.ListenerAddr("FAR")}
	found = inspect(t, nil, o)
	finding(t, found, "kafka.bootstrap", o.Brokers[0], OK)
	finding(t, found, "kafka.broker", "1 at "+nowhere, Problem, "refused", "advertised.listeners")
	finding(t, found, "topic.replicas", "logs", Problem, "led by a broker that cannot be used from here")
}

func TestInspectTransactions(t *testing.T) {
	t.Parallel()
	old := cluster(t, kfake.MaxVersions(kversion.V3_9_0()))
	found := inspect(t, old, InspectOptions{Brokers: old.ListenAddrs(), CheckpointTopic: "checkpoints"})
	finding(t, found, "kafka.transactions", "cluster", Problem, "too old", "KIP-890", "at-least-once")
	finding(t, found, "kafka.checkpoint", "checkpoints", Problem, "missing", "kafka-topics.sh")
	c := cluster(t)
	create(t, c, "checkpoints", "compact")
	create(t, c, "other", "delete")
	found = inspect(t, c, InspectOptions{Brokers: c.ListenAddrs(), CheckpointTopic: "checkpoints"})
	finding(t, found, "kafka.transactions", "cluster", OK)
	finding(t, found, "kafka.checkpoint", "checkpoints", OK, "3 partitions")
	found = inspect(t, c, InspectOptions{Brokers: c.ListenAddrs(), CheckpointTopic: "other"})
	finding(t, found, "kafka.checkpoint", "other", Problem, "compact", "kafka-configs.sh")
}
