package shipper

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"shiplog/shipper/kafkatest"
)

// createTopic makes a topic with one partition on a real broker.
func createTopic(t *testing.T, addr, topic string, configs map[string]string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	values := make(map[string]*string)
	for k, v := range configs {
		values[k] = &v
	}
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), 1, 1, values, topic); err != nil {
		t.Fatal(err)
	}
}

// readReal returns the values of a topic.
func readReal(t *testing.T, addr, topic string) []*kgo.Record {
	t.Helper()
	var all []*kgo.Record
	err := Consume(t.Context(), ConsumeOptions{Brokers: []string{addr}, Topics: []string{topic}, ExitAtEnd: true}, func(r *kgo.Record) error {
		all = append(all, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// What kfake is told to refuse, Kafka refuses by its own rules.
func TestRealKafkaRefusals(t *testing.T) {
	broker := kafkatest.Start(t, kafkatest.Options{})
	noise := make([]byte, 150_000)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	const n = 200
	for _, tc := range []struct {
		name, topic, code string
		configs           map[string]string
		all, bad          func(*Batch) // applied to each batch, to the one with the poisons
	}{
		{
			"too large", "small", "MESSAGE_TOO_LARGE", map[string]string{"max.message.bytes": "100000"},
			func(*Batch) {},
			func(b *Batch) {
				for _, i := range []int{7, 150} {
					b.Records[i].Value = []byte("s1-" + base64.StdEncoding.EncodeToString(noise))
					b.Records[i].Raw = []byte(poison)
				}
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			createTopic(t, broker.Addr(), tc.topic, tc.configs)
			r := newRig(t, Options{Brokers: []string{broker.Addr()}, Topic: tc.topic})
			var want []string
			var batches []*Batch
			poisons := 0
			for i := range 20 {
				values := numbered(1, i*n, n)
				b := batch(1, values...)
				tc.all(b)
				if i == 5 {
					tc.bad(b)
				}
				for j := range b.Records {
					if string(b.Records[j].Raw) == poison {
						poisons++
					} else {
						want = append(want, values[j])
					}
				}
				batches = append(batches, r.produce(b), r.produce(innocent(i, n, tc.all)))
			}
			r.settle(batches...)
			other := numbered(2, 0, 20*n)
			inOrder(t, readReal(t, broker.Addr(), tc.topic), map[uint64][]string{1: want, 2: other})
			got := letters(t, r.opts.DeadLetterPath)
			if len(got) != poisons {
				t.Errorf("%d dead letters, want %d", len(got), poisons)
			}
			for _, d := range got {
				if d.Code != tc.code || string(d.Bytes) != poison {
					t.Errorf("letter %.200v, want %s", d, tc.code)
				}
			}
		})
	}
}

// What speaks of the topic or of the host makes no dead letter: the lane waits,
// says why, and goes on when that is put right.
func TestRealKafkaRefusesEveryRecord(t *testing.T) {
	broker := kafkatest.Start(t, kafkatest.Options{})
	for _, tc := range []struct {
		name, topic, problem string
		configs, remedy      map[string]string
		before               func(*Batch)
	}{
		{
			"no key on a compacted topic", "compacted", "set kafka.key",
			map[string]string{"cleanup.policy": "compact"}, map[string]string{"cleanup.policy": "delete"},
			func(*Batch) {},
		},
		{
			"records of long ago", "timely", "", map[string]string{"message.timestamp.before.max.ms": "3600000"}, nil,
			func(b *Batch) {
				for i := range b.Records {
					b.Records[i].Timestamp = time.Now().Add(-48 * time.Hour)
				}
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			createTopic(t, broker.Addr(), tc.topic, tc.configs)
			r := newRig(t, Options{Brokers: []string{broker.Addr()}, Topic: tc.topic})
			values := numbered(1, 0, 200)
			b := batch(1, values...)
			tc.before(b)
			r.produce(b)
			if tc.problem != "" {
				r.problem(tc.topic, tc.problem)
				alterTopic(t, broker.Addr(), tc.topic, tc.remedy)
			}
			r.settle(b)
			inOrder(t, readReal(t, broker.Addr(), tc.topic), map[uint64][]string{1: values})
			if got := letters(t, r.opts.DeadLetterPath); len(got) != 0 {
				t.Errorf("%d dead letters, the first: %.300v", len(got), got[0])
			}
		})
	}
}

// alterTopic changes a topic of a real broker.
func alterTopic(t *testing.T, addr, topic string, configs map[string]string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var alter []kadm.AlterConfig
	for k, v := range configs {
		alter = append(alter, kadm.AlterConfig{Op: kadm.SetConfig, Name: k, Value: &v})
	}
	done, err := kadm.NewClient(client).AlterTopicConfigs(t.Context(), alter, topic)
	if err == nil && len(done) == 1 {
		err = done[0].Err
	}
	if err != nil {
		t.Fatal(err)
	}
}

// innocent is batch i of another stream.
func innocent(i, n int, all func(*Batch)) *Batch {
	b := batch(2, numbered(2, i*n, n)...)
	all(b)
	return b
}

func TestRealKafkaIsKilledPausedAndRestarted(t *testing.T) {
	broker := kafkatest.Start(t, kafkatest.Options{Topics: map[string]int32{"logs": 1}})
	r := newRig(t, Options{Brokers: []string{broker.Addr()}})
	want := make(map[uint64][]string)
	var batches []*Batch
	for i := range 60 {
		for s := uint64(1); s <= 3; s++ {
			values := numbered(s, 100*i, 100)
			want[s] = append(want[s], values...)
			batches = append(batches, r.produce(batch(s, values...)))
		}
		switch i {
		case 15:
			broker.Kill()
		case 20:
			broker.Restart()
		case 35:
			broker.Pause()
		case 40:
			broker.Resume()
		}
	}
	eventually(t, fmt.Sprintf("all is settled (%s)", strings.Join(r.Health().Problems, "; ")), func() bool { return r.Health().InFlightRecords == 0 })
	r.settle(batches...)
	inOrder(t, readReal(t, broker.Addr(), "logs"), want)
}
