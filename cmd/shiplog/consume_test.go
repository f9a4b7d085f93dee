package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// filled makes a Kafka of which the topic t has these records.
func filled(t *testing.T, records ...*kgo.Record) string {
	t.Helper()
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(k.ListenAddrs()...), kgo.DefaultProduceTopic("t"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	return k.ListenAddrs()[0]
}

func value(text string) *kgo.Record { return &kgo.Record{Value: []byte(text)} }

const (
	bad  = `{"message":"disk full","payload":{"application":"A","params":{"level":"error","n":1}}}`
	good = `{"message":"hello","payload":{"application":"A","params":{"level":"info"}}}`
)

func TestConsumeJSON(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 25, 10, 0, 0, 123e6, time.UTC)
	broker := filled(t,
		&kgo.Record{Key: []byte("k"), Value: []byte(bad), Timestamp: at, Headers: []kgo.RecordHeader{
			{Key: "path", Value: []byte(`/var/log/"a".log`)}, {Key: "twice", Value: []byte("1")}, {Key: "off", Value: []byte("0")}, {Key: "twice", Value: []byte("2")}}},
		&kgo.Record{Key: []byte{0xff}, Value: []byte("plain \x1b text"), Timestamp: at},
		&kgo.Record{Value: []byte{0xfe}, Timestamp: at},
		&kgo.Record{Timestamp: at}, &kgo.Record{Value: []byte("{\n \"a\": 1.50}"), Timestamp: at}, &kgo.Record{Value: []byte("{broken"), Timestamp: at})
	code, out, said := call(t, "", "consume", "--brokers", broker, "--exit-at-end", "--json", "t")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	want := []string{
		`{"topic":"t","partition":0,"offset":0,"time":"2026-01-25T10:00:00.123Z","key":"k","headers":{"path":"/var/log/\"a\".log","twice":["1","2"],"off":"0"},"value":` + bad + `}`,
		`{"topic":"t","partition":0,"offset":1,"time":"2026-01-25T10:00:00.123Z","key_base64":"/w==","headers":{},"value":"plain \u001b text"}`,
		`{"topic":"t","partition":0,"offset":2,"time":"2026-01-25T10:00:00.123Z","key":null,"headers":{},"value_base64":"/g=="}`,
		`{"topic":"t","partition":0,"offset":3,"time":"2026-01-25T10:00:00.123Z","key":null,"headers":{},"value":null}`,
		`{"topic":"t","partition":0,"offset":4,"time":"2026-01-25T10:00:00.123Z","key":null,"headers":{},"value":{"a":1.50}}`,
		`{"topic":"t","partition":0,"offset":5,"time":"2026-01-25T10:00:00.123Z","key":null,"headers":{},"value":"{broken"}`,
	}
	if code != 0 || !slices.Equal(lines, want) {
		t.Errorf("exit %d, %s\n%s\nwant\n%s", code, said, out, strings.Join(want, "\n"))
	}
	for _, l := range lines {
		if !json.Valid([]byte(l)) {
			t.Errorf("no JSON: %s", l)
		}
	}
}

func TestConsumeChooses(t *testing.T) {
	t.Parallel()
	now := time.Now()
	record := func(text string, ago time.Duration) *kgo.Record {
		return &kgo.Record{Value: []byte(text), Timestamp: now.Add(-ago)}
	}
	broker := filled(t, record(bad, 3*time.Hour), record("no envelope", 3*time.Hour), record(good, time.Minute), record(bad, time.Minute))
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, bad + "\nno envelope\n" + good + "\n" + bad + "\n"},
		{[]string{"--filter", `params.level == "error"`}, bad + "\n" + bad + "\n"},
		{[]string{"--filter", `message startsWith "h"`}, good + "\n"},
		{[]string{"--filter", "params.n > 0"}, bad + "\n" + bad + "\n"}, // one has no n
		{[]string{"--from", "1h"}, good + "\n" + bad + "\n"},
		{[]string{"--from", now.Add(-time.Hour).Format(time.RFC3339)}, good + "\n" + bad + "\n"},
		{[]string{"--from", "end"}, ""},
	} {
		code, out, said := call(t, "", append([]string{"consume", "--brokers", broker, "--exit-at-end", "t"}, c.args...)...)
		if code != 0 || out != c.want {
			t.Errorf("%q: exit %d, %q, want %q; %s", c.args, code, out, c.want, said)
		}
		if failed := strings.Contains(said, "1 messages were left out"); failed != slices.Contains(c.args, "params.n > 0") {
			t.Errorf("%q: %s", c.args, said)
		}
	}
	// The configuration of a reader has no inputs.
	conf := file(t, "kafka.yaml", "kafka: {brokers: ["+broker+"], topic: t}\n")
	if code, out, said := call(t, "", "consume", "--config", conf, "--exit-at-end"); code != 0 || strings.Count(out, "\n") != 4 {
		t.Errorf("by configuration: exit %d, %q, %s", code, out, said)
	}
}

func TestConsumeUsage(t *testing.T) {
	t.Parallel()
	key := file(t, "key.pem", "no key")
	for want, args := range map[string][]string{
		"--from \"yesterday\" is none of": {"--brokers", "b", "--from", "yesterday", "t"},
		"--filter: ":                      {"--brokers", "b", "--filter", "level ==", "t"},
		"name the brokers":                {"t"},
		"name at least one topic":         {"--brokers", "b"},
		"--exec-retries -2":               {"--brokers", "b", "--exec", "true", "--exec-retries", "-2", "t"},
		"need --sasl-mechanism":           {"--brokers", "b", "--sasl-username", "u", "t"},
		"needs a user name":               {"--brokers", "b", "--sasl-mechanism", "PLAIN", "--sasl-username", "u", "t"},
		"is none of":                      {"--brokers", "b", "--sasl-mechanism", "X", "t"},
		"belong together":                 {"--brokers", "b", "--tls-key", key, "t"},
		"holds no certificate":            {"--brokers", "b", "--tls-ca", key, "t"},
	} {
		if code, _, said := call(t, "", append([]string{"consume"}, args...)...); code != exitUsage || !strings.Contains(said, want) {
			t.Errorf("%q: exit %d, %s; want %q", args, code, said, want)
		}
	}
}

func TestConsumeRunsACommand(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("written for /bin/sh")
	}
	broker := filled(t, &kgo.Record{Key: []byte("k"), Value: []byte("one\ntwo")}, value("three"), value("four"), value(bad))
	dir := t.TempDir()
	got := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return string(b)
	}
	consume := func(args ...string) (int, string, string) {
		return call(t, "", append([]string{"consume", "--brokers", broker, "--exit-at-end", "t"}, args...)...)
	}
	// What fails ends it, and is the next one's first.
	log := filepath.Join(dir, "log")
	code, _, said := consume("--group", "g", "--exec-retries", "0", "--exec", `v=$(cat); echo "$SHIPLOG_TOPIC/$SHIPLOG_PARTITION/$SHIPLOG_OFFSET/$SHIPLOG_KEY: $v" >> `+log+`; test "$v" != four`)
	if want := "t/0/0/k: one\ntwo\nt/0/1/: three\nt/0/2/: four\n"; code != exitFailed || got("log") != want || !strings.Contains(said, "offset 2 of partition 0 of t, 1 times; nothing of the message is committed: exit status 1") {
		t.Errorf("exit %d, %q, %s", code, got("log"), said)
	}
	code, out, said := consume("--group", "g", "--exec", "cat")
	if code != 0 || out != "four"+bad {
		t.Errorf("exit %d, %q, %s", code, out, said)
	}
	// A command that fails once is run again.
	code, _, said = consume("--json", "--filter", "true", "--exec", "cat > "+dir+"/in; test -e "+dir+"/again || { touch "+dir+"/again; exit 7; }")
	if code != 0 || !strings.Contains(got("in"), `"offset":3`) || !strings.Contains(said, "run again in 1s: exit status 7") {
		t.Errorf("exit %d, %q, %s", code, got("in"), said)
	}
	// One that does not read its input is no failure.
	if code, _, said = consume("--exec", "true"); code != 0 {
		t.Errorf("exit %d, %s", code, said)
	}
}

// TestConsumeStopsAfterTheCommand ends while a command runs, which is let end.
func TestConsumeStopsAfterTheCommand(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("written for /bin/sh")
	}
	broker := filled(t, value("one"), value("two"))
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, said bytes.Buffer
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"consume", "--brokers", broker, "--group", "g", "--exec",
			"touch " + dir + "/running; until test -e " + dir + "/go; do sleep 0.05; done; cat", "t"}, strings.NewReader(""), &out, &said)
	}()
	for _, err := os.Stat(dir + "/running"); err != nil; _, err = os.Stat(dir + "/running") {
		if t.Context().Err() != nil {
			t.Fatal("no command is run")
		}
		<-time.After(10 * time.Millisecond)
	}
	cancel()
	if err := os.WriteFile(dir+"/go", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if c := <-code; c != 0 || out.String() != "one" {
		t.Errorf("exit %d, %q, %s", c, out.String(), said.String())
	}
	if c, out, said := call(t, "", "consume", "--brokers", broker, "--group", "g", "--exit-at-end", "t"); c != 0 || out != "two\n" {
		t.Errorf("after it: exit %d, %q, %s", c, out, said)
	}
}

func TestExecutorGivesUpWaitingWhenItIsToStop(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("written for /bin/sh")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	x := &executor{command: "exit 1", retries: -1, out: io.Discard, errOut: io.Discard}
	if err := x.take(ctx, value("x"), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestConsumeTemplate reads all topics that the template of a configuration leads to.
func TestConsumeTemplate(t *testing.T) {
	t.Parallel()
	topics := []string{"app.one", "app.two", "app.dead", "apples"}
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, topics...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(k.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, topic := range topics {
		if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte("in " + topic)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	conf := func(topic string) string {
		return file(t, "k.yaml", "kafka: {brokers: [\""+k.ListenAddrs()[0]+"\"], dead_letter: {topic: app.dead}, topic: \""+topic+"\"}\n")
	}
	for _, c := range []struct {
		topic string
		args  []string
		code  int
		out   []string
		said  string
	}{
		{"app.{{.application}}", nil, 0, []string{"in app.one", "in app.two"}, ""},
		{"app.{{.application}}", []string{"--group", "g"}, 0, []string{"in app.one", "in app.two"}, ""},
		{"app.{{.application}}", []string{"apples"}, 0, []string{"in apples"}, ""}, // who names topics means these
		{"none.{{.application}}", nil, 1, nil, "no topic is there that matches"},
		{"{{.application}}", nil, 2, nil, "nothing in it is fixed: name the topics"},
		{"app.{{.application", nil, 2, nil, "kafka.topic"},
	} {
		args := append([]string{"consume", "--exit-at-end", "--config", conf(c.topic)}, c.args...)
		code, out, said := call(t, "", args...)
		lines := strings.FieldsFunc(out, func(r rune) bool { return r == '\n' })
		slices.Sort(lines)
		if code != c.code || !slices.Equal(lines, c.out) || !strings.Contains(said, c.said) {
			t.Errorf("%s %q: exit %d, %q, want %d, %q: %s", c.topic, c.args, code, lines, c.code, c.out, said)
		}
	}
}
