package shipper

import (
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"shiplog/shipper/kafkatest"
)

// javaPartitions are the numbers of partitions in testdata/murmur2/murmur2.txt.
var javaPartitions = []int{1, 2, 3, 6, 12, 50, 1000} //nolint:gochecknoglobals // a constant that Go cannot express

// vector is a key and what Kafka's Java client makes of it.
type vector struct {
	key        []byte
	partitions []int // by the index of javaPartitions
}

// javaVectors reads what testdata/murmur2/Vectors.java printed.
func javaVectors(t *testing.T) []vector {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "murmur2", "murmur2.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var out []vector
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 2+len(javaPartitions) {
			t.Fatalf("line %q has %d fields", line, len(fields))
		}
		v := vector{}
		if v.key, err = hex.DecodeString(strings.Trim(fields[0], `"`)); err != nil {
			t.Fatal(err)
		}
		for _, f := range fields[2:] {
			n, err := strconv.Atoi(f)
			if err != nil {
				t.Fatal(err)
			}
			v.partitions = append(v.partitions, n)
		}
		out = append(out, v)
	}
	if len(out) < 200 {
		t.Fatalf("%d vectors", len(out))
	}
	return out
}

// A key goes where the Java client would send it.
func TestKeysGoWhereJavaSendsThem(t *testing.T) {
	for _, v := range javaVectors(t) {
		for i, n := range javaPartitions {
			seq := newSequence(7)
			got := partitioner{}.ForTopic("logs").Partition(&kgo.Record{Context: seq, Key: v.key}, n)
			seq.end()
			if got != v.partitions[i] {
				t.Errorf("key %x of %d partitions goes to %d, in Java to %d", v.key, n, got, v.partitions[i])
			}
		}
	}
}

// The same keys, sent by librdkafka and by us to topics of one broker, and what
// the Java client says of them, agree.
func TestRealKafkaKeysGoWhereLibrdkafkaSendsThem(t *testing.T) {
	const partitions = 12
	broker := kafkatest.Start(t, kafkatest.Options{Topics: map[string]int32{"theirs": partitions, "logs": partitions}})
	vectors := javaVectors(t)
	java, keys := map[string]int{}, ""
	b := batch(1)
	for _, v := range vectors {
		java[string(v.key)] = v.partitions[4]
		keys += hex.EncodeToString(v.key) + "\n"
		b.Records = append(b.Records, Record{Record: kgo.Record{Key: v.key, Value: []byte("-")}, End: 1})
	}
	r := newRig(t, Options{Brokers: []string{broker.Addr()}})
	r.settle(r.produce(b))
	for i := range b.Records {
		if rec := &b.Records[i]; int(rec.Partition) != java[string(rec.Key)] {
			t.Errorf("key %x went to %d, in Java to %d", rec.Key, rec.Partition, java[string(rec.Key)])
		}
	}
	name := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(name, []byte(keys), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), kafkatest.Python(t), filepath.Join("testdata", "murmur2", "librdkafka.py"), broker.Addr(), "theirs", name)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("librdkafka: %v", err)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) != len(vectors) {
		t.Fatalf("librdkafka sent %d keys, want %d", len(lines), len(vectors))
	}
	for _, line := range lines {
		text, where, _ := strings.Cut(line, " ")
		key, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(java[string(key)]); got != where {
			t.Errorf("librdkafka sent key %q to %s, we and Java to %s", text, where, got)
		}
	}
}
