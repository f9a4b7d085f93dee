package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"shiplog/agent/config"
	"shiplog/shipper"
)

// limitTopic sets the size of records that the topic takes.
func (r *rig) limitTopic(topic, bytes string) {
	r.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.kafka.ListenAddrs()...))
	if err != nil {
		r.t.Fatal(err)
	}
	defer cl.Close()
	done, err := kadm.NewClient(cl).AlterTopicConfigs(r.t.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: &bytes}}, topic)
	if err == nil && len(done) == 1 {
		err = done[0].Err
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// replay calls Replay, and returns what stays, as path:offset.
func (r *rig) replay(o ReplayOptions) (ReplayResult, []string) {
	r.t.Helper()
	var stays []string
	o.Log = r.options(false).Log
	o.Stays = func(l *shipper.Letter, why error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		stays = append(stays, fmt.Sprintf("%s:%d: %v", filepath.Base(l.Path), l.Offset, why))
	}
	result, err := Replay(r.t.Context(), r.c, o)
	if err != nil {
		r.t.Fatal(err)
	}
	return result, stays
}

// letters returns what is in the dead letter file, as path:offset.
func (r *rig) letters() []string {
	r.t.Helper()
	var out []string
	err := shipper.ReadDeadLetters(filepath.Join(r.c.StateDir, deadLetterName), func(l *shipper.Letter) error {
		out = append(out, fmt.Sprintf("%s:%d", filepath.Base(l.Path), l.Offset))
		return l.Err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

// withLetters has an agent ship lines of which those with a # are too large.
func withLetters(t *testing.T, more string, logs map[string]string) *rig {
	t.Helper()
	r := newRig(t)
	r.configure(r.kafka.ListenAddrs()[0], ", compression: none"+more)
	if err := r.kafka.CreateTopic(topic, 1, map[string]string{"max.message.bytes": "20000"}); err != nil {
		t.Fatal(err)
	}
	for name, text := range logs {
		r.append(name, strings.ReplaceAll(text, "#", strings.Repeat("b", 50_000)))
	}
	if err := r.once(); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReplayAfterTheLimitWasRaised(t *testing.T) {
	r := withLetters(t, ", key: file", map[string]string{"a.log": "one\n{\"message\":\"two #\",\"level\":\"INFO\"}\nthree\nfour #\n"})
	if got := r.messages(topic); !slices.Equal(got, []string{"one", "three"}) {
		t.Fatalf("shipped %.50q", got)
	}
	first := r.records(topic)[0]
	want := r.letters()
	if len(want) != 2 {
		t.Fatalf("letters %q", want)
	}

	// Refused again: each stays, once.
	result, stays := r.replay(ReplayOptions{})
	if result != (ReplayResult{Selected: 2, Stayed: 2}) || len(stays) != 2 || !strings.Contains(stays[0], "MESSAGE_TOO_LARGE") {
		t.Errorf("below the limit: %+v, %.200q", result, stays)
	}
	if got := r.letters(); !slices.Equal(got, want) {
		t.Errorf("letters are %q, want %q", got, want)
	}

	r.limitTopic(topic, "1000000")
	result, stays = r.replay(ReplayOptions{Progress: func(done, selected int) {
		if done < 1 || done > 2 || selected != 2 {
			t.Errorf("progress %d of %d", done, selected)
		}
	}})
	if result != (ReplayResult{Selected: 2, Sent: 2}) || len(stays) != 0 {
		t.Errorf("above the limit: %+v, %.200q", result, stays)
	}
	recs := r.records(topic)
	if got := r.messages(topic); len(got) != 4 || !strings.HasPrefix(got[2], "two bbb") || !strings.HasPrefix(got[3], "four bbb") {
		t.Fatalf("shipped %.50q", got)
	}
	headers := func(rec *kgo.Record) map[string]string {
		m := map[string]string{}
		for _, h := range rec.Headers {
			m[h.Key] = string(h.Value)
		}
		return m
	}
	was, is := headers(first), headers(recs[2])
	if is["replayed"] != "1" || is["off"] != "4" || is["len"] == "" {
		t.Errorf("headers %v", is)
	}
	for _, same := range []string{"host", "path", "src"} {
		if is[same] != was[same] {
			t.Errorf("header %s was %q, is %q", same, was[same], is[same])
		}
	}
	if string(recs[2].Key) != string(first.Key) || recs[2].Partition != first.Partition {
		t.Errorf("key %q in partition %d, want %q in %d", recs[2].Key, recs[2].Partition, first.Key, first.Partition)
	}
	if got := r.letters(); len(got) != 0 {
		t.Errorf("letters are left: %q", got)
	}
	if result, _ := r.replay(ReplayOptions{}); result != (ReplayResult{}) {
		t.Errorf("without letters: %+v", result)
	}
}

func TestReplaySelects(t *testing.T) {
	logs := map[string]string{"a.log": "1 #\n2 #\n", "b.log": "3 #\n"}
	for _, tc := range []struct {
		name string
		o    ReplayOptions
		sent int
		left []string // in the file, however ordered
	}{
		{"all", ReplayOptions{}, 3, nil},
		{"by file", ReplayOptions{File: "a.log"}, 2, []string{"b.log:0"}},
		{"by path", ReplayOptions{File: "/**/b.*"}, 1, []string{"a.log:0", "a.log:50003"}},
		{"by code", ReplayOptions{Reason: "message_too_*"}, 3, nil},
		{"by reason", ReplayOptions{Reason: "*max.message.bytes*"}, 3, nil},
		{"by another reason", ReplayOptions{Reason: "INVALID*"}, 0, []string{"a.log:0", "a.log:50003", "b.log:0"}},
		{"limited", ReplayOptions{Limit: 1, File: "a.log"}, 1, []string{"a.log:50003", "b.log:0"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := withLetters(t, "", logs)
			r.limitTopic(topic, "1000000")
			before := r.letters()
			dry := tc.o
			dry.DryRun = true
			listed := 0
			dry.Item = func(i ReplayItem) {
				listed++
				if i.Topic != topic || i.Bytes < 50_000 {
					t.Errorf("item %s, %d bytes", i.Topic, i.Bytes)
				}
			}
			if result, _ := r.replay(dry); result.Selected != tc.sent || listed != tc.sent || result.Sent != 0 {
				t.Errorf("dry run: %+v, listed %d", result, listed)
			}
			if got := r.letters(); !slices.Equal(got, before) || len(r.records(topic)) != 0 {
				t.Errorf("a dry run changed something: letters %q", got)
			}
			if result, stays := r.replay(tc.o); result != (ReplayResult{Selected: tc.sent, Sent: tc.sent}) {
				t.Errorf("%+v, %q", result, stays)
			}
			got := r.letters()
			slices.Sort(got)
			if !slices.Equal(got, tc.left) || len(r.records(topic)) != tc.sent {
				t.Errorf("left are %q, want %q; %d records", got, tc.left, len(r.records(topic)))
			}
		})
	}
}

// What the configuration of now says decides: its transformations, its inputs.
func TestReplayReadsByTheConfigurationOfNow(t *testing.T) {
	for _, tc := range []struct {
		name, transforms, paths string
		o                       ReplayOptions
		topic, message          string // of what is sent; "" if it stays
		stays                   string
	}{
		{name: "shortened", transforms: "transforms: [{set: {message: short}}]\n", topic: topic, message: "short"},
		{name: "dropped", transforms: "transforms: [{drop: 'true'}]\n", stays: "transforms of its input leave it out"},
		{name: "no input any more", paths: "/elsewhere/*.log", topic: topic, message: `{"message":"one `},
		{name: "another topic", o: ReplayOptions{Topic: "other"}, topic: "other", message: "one "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := withLetters(t, "", map[string]string{"a.log": "{\"message\":\"one #\"}\n"})
			if err := r.kafka.CreateTopic("other", 1, nil); err != nil {
				t.Fatal(err)
			}
			r.limitTopic(topic, "1000000")
			if tc.paths == "" {
				tc.paths = filepath.Join(r.dir, "*.log")
			}
			text := fmt.Sprintf("application: A\ninputs: [{paths: [%q]}]\nkafka: {brokers: [%q], topic: %s}\nstate_dir: %q\n%s", tc.paths, r.kafka.ListenAddrs()[0], topic, r.c.StateDir, tc.transforms)
			var err error
			if r.c, err = config.Decode(strings.NewReader(text), "test.yaml", nil); err != nil {
				t.Fatal(err)
			}
			result, stays := r.replay(tc.o)
			if tc.stays != "" {
				if result != (ReplayResult{Selected: 1, Stayed: 1}) || len(stays) != 1 || !strings.Contains(stays[0], tc.stays) || len(r.letters()) != 1 {
					t.Errorf("%+v, stays %.200q, letters %q", result, stays, r.letters())
				}
				return
			}
			got := r.messages(tc.topic)
			if result.Sent != 1 || len(got) != 1 || !strings.HasPrefix(got[0], tc.message) {
				t.Errorf("%+v, sent %.50q, stays %.200q", result, got, stays)
			}
		})
	}
}

// Lines that are no letter are told, and stay.
func TestReplayKeepsWhatIsNoLetter(t *testing.T) {
	r := withLetters(t, "", map[string]string{"a.log": "one #\n"})
	r.limitTopic(topic, "1000000")
	name := filepath.Join(r.c.StateDir, deadLetterName)
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, append([]byte("rubbish\n"), data...), 0o600); err != nil {
		t.Fatal(err)
	}
	result, stays := r.replay(ReplayOptions{})
	if result != (ReplayResult{Selected: 1, Sent: 1, Corrupt: 1}) || len(stays) != 1 {
		t.Errorf("%+v, %q", result, stays)
	}
	if after, err := os.ReadFile(name); err != nil || string(after) != "rubbish\n" {
		t.Errorf("the file is %.100q (%v)", after, err)
	}
}

// A replay that is interrupted, here before Kafka answers, puts all back.
func TestReplayIsInterrupted(t *testing.T) {
	r := withLetters(t, "", map[string]string{"a.log": "one #\ntwo #\n"})
	before := r.letters()
	r.c.Kafka.Brokers = []string{newGate(t, "").addr}
	r.c.ShutdownTimeout = 0
	ctx, cancel := context.WithCancel(t.Context())
	o := ReplayOptions{Log: r.options(false).Log, Progress: func(int, int) {}}
	done := make(chan error, 1)
	go func() {
		_, err := Replay(ctx, r.c, o)
		done <- err
	}()
	r.wait("the letters to be set aside", func() bool {
		_, err := os.Stat(filepath.Join(r.c.StateDir, "dead-letters.replaying.jsonl"))
		return err == nil
	})
	cancel()
	if err := <-done; !errors.Is(err, shipper.ErrNotDrained) && !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	if got := r.letters(); !slices.Equal(got, before) {
		t.Errorf("letters are %q, want %q", got, before)
	}
}

// An agent ships, and makes new dead letters, while old ones are sent again.
func TestReplayBesideARunningAgent(t *testing.T) {
	t.Parallel()
	r := withLetters(t, ", dead_letter: {topic: dead}", map[string]string{"a.log": "one #\ntwo #\n"})
	if err := r.kafka.CreateTopic("dead", 1, nil); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.wait("the agent", func() bool { return r.status().Kafka.DeadLetters == 2 })
	for i := range 5 {
		r.append("a.log", strings.Repeat("c", 50_000)+fmt.Sprintf(" %d\nsmall %d\n", i, i))
		r.replay(ReplayOptions{}) // refused still
	}
	r.wait("all letters", func() bool { return len(r.letters()) == 7 })
	r.wait("what is no letter", func() bool { return len(r.messages(topic)) == 5 })
	// What is owed to the dead letter topic is sent in the background; a letter
	// that is replayed before that is owed no more.
	r.wait("seven letters in the dead letter topic", func() bool { return len(r.records("dead")) >= 7 })
	r.limitTopic(topic, "1000000")
	result, stays := r.replay(ReplayOptions{})
	if result.Sent != 7 || result.Stayed != 0 {
		t.Errorf("%+v, %.200q", result, stays)
	}
	r.wait("health to know", func() bool { s := r.status(); return s.Kafka.DeadLetters == 0 && s.Healthy })
	r.wait("the line behind the last letter", func() bool { return len(r.records(topic)) >= 12 })
	seen := map[string]int{}
	for _, m := range r.messages(topic) {
		seen[m[:min(8, len(m))]+m[max(0, len(m)-2):]]++
	}
	if len(seen) != 12 {
		t.Errorf("messages %v", seen)
	}
	for m, n := range seen {
		if n != 1 {
			t.Errorf("%q arrived %d times", m, n)
		}
	}
}

// Private things do not go to the dead letter topic where transformations take
// them out of envelopes.
func TestDisclosedLetters(t *testing.T) {
	const text = `application: A
kafka: {brokers: [b]}
inputs:
  - paths: [/plain/*.log]
  - {paths: [/home/*/*.log], transforms: [{redact: {patterns: [jpowell]}}, {remove: [params.pin]}]}
  - {paths: [/dropped/*.log], transforms: [{drop: 'true'}]}
`
	c, err := config.Decode(strings.NewReader(text), "f.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLetterReader(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		path, entry string
		withheld    bool
		want        shipper.Disclosure
	}{
		{"/plain/a.log", "jpowell", false, shipper.Disclosure{Reason: "for jpowell", Path: "/plain/a.log", Bytes: []byte("jpowell")}},
		{"/plain/a.log", "jpowell", true, shipper.Disclosure{Reason: "for jpowell", Path: "/plain/a.log", Withheld: true}},
		{"/home/jpowell/a.log", `{"message":"jpowell came","pin":1234}`, false,
			shipper.Disclosure{Reason: "for ***", Path: "/home/***/a.log", Bytes: []byte(`{"message":"*** came","payload":{"application":"A","params":{}}}`)}},
		{"/dropped/a.log", "jpowell", false, shipper.Disclosure{Reason: "for jpowell", Path: "/dropped/a.log", Withheld: true}},
		{"/unknown/jpowell", "jpowell", false, shipper.Disclosure{Reason: "for ***", Path: "/unknown/***", Withheld: true}},
	} {
		got := l.disclose(&shipper.DeadLetter{Path: tc.path, Reason: "for jpowell", Source: "0000000000000001", Bytes: []byte(tc.entry), Withheld: tc.withheld})
		if got.Withheld {
			got.Bytes = nil // not sent
		}
		if got.Reason != tc.want.Reason || got.Path != tc.want.Path || got.Withheld != tc.want.Withheld || string(got.Bytes) != string(tc.want.Bytes) {
			t.Errorf("%s: %+v %s, want %+v %s", tc.path, got, got.Bytes, tc.want, tc.want.Bytes)
		}
	}
}

func TestReplayOptionsThatReachNothing(t *testing.T) {
	for _, o := range []ReplayOptions{{Reason: "[a"}, {File: "{a"}, {Limit: -1}, {Topic: "a:b"}} {
		if err := o.Validate(); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

// An entry whose redaction fails stays on this host, and arrives once the
// configuration is put right.
func TestRefusedByARedaction(t *testing.T) {
	r := newRig(t, kfake.SeedTopics(1, topic, "dead"))
	configure := func(when string) {
		t.Helper()
		text := fmt.Sprintf("application: A\ninputs: [{paths: [%q]}]\nkafka: {brokers: [%q], topic: %s, key: application, dead_letter: {topic: dead}}\nstate_dir: %q\ntransforms: [{redact: {patterns: [secret]}, when: %q}]\n",
			filepath.Join(r.dir, "*.log"), r.kafka.ListenAddrs()[0], topic, r.path("state"), when)
		var err error
		if r.c, err = config.Decode(strings.NewReader(text), "test.yaml", nil); err != nil {
			t.Fatal(err)
		}
	}
	configure("params.n > 3")
	r.append("a.log", "{\"message\":\"secret 1\",\"n\":9}\n{\"message\":\"secret 2\"}\n{\"message\":\"secret 3\",\"n\":9}\n")
	if err := r.once(); err != nil {
		t.Fatal(err)
	}
	if got := r.messages(topic); !slices.Equal(got, []string{"*** 1", "*** 3"}) {
		t.Errorf("sent %q", got)
	}
	if got := r.records("dead"); len(got) != 1 || strings.Contains(fmt.Sprint(got[0]), "secret") || len(got[0].Value) != 0 {
		t.Errorf("in the dead letter topic: %v", got)
	}
	if es := r.entries(); len(es) != 1 || es[0].Offset < 70 {
		t.Errorf("the checkpoint waits: %+v", es)
	}
	if result, stays := r.replay(ReplayOptions{}); result != (ReplayResult{Selected: 1, Stayed: 1}) || len(stays) != 1 || !strings.Contains(stays[0], "redaction failed") {
		t.Errorf("replay: %+v, %q", result, stays)
	}
	configure("true")
	if result, stays := r.replay(ReplayOptions{Reason: "*redaction*"}); result != (ReplayResult{Selected: 1, Sent: 1}) {
		t.Errorf("replay: %+v, %q", result, stays)
	}
	if got := r.messages(topic); len(got) != 3 || got[2] != "*** 2" {
		t.Errorf("sent %q", got)
	}
}
