package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// TestCheckConnect runs the command against a Kafka in this process.
func TestCheckConnect(t *testing.T) {
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "there"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.log"), []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	conf := func(topic string) string {
		return file(t, "c.yaml", fmt.Sprintf("application: A\nstate_dir: %q\ninputs:\n  - paths: [%q]\nkafka: {brokers: [%q], topic: %s}\n",
			filepath.Join(dir, "state"), filepath.Join(dir, "*.log"), kafka.ListenAddrs()[0], topic))
	}
	there, missing := conf("there"), conf("missing")
	if code, out, errOut := call(t, "", "check", "--connect", "--config", there); code != 0 || !strings.Contains(out, "problems: 0,") || !strings.Contains(out, "1 file, 4 B, can be read") {
		t.Errorf("exit %d, %s%s", code, out, errOut)
	}
	if code, out, errOut := call(t, "", "check", "--connect", "--config", missing); code != 1 || !strings.Contains(out, "-> create it, or set kafka.create_topics") {
		t.Errorf("without its topic: exit %d, %s%s", code, out, errOut)
	}
	code, out, errOut := call(t, "", "check", "--connect", "--json", "--config", missing)
	var got struct {
		Config             string
		OK                 *bool
		Problems, Warnings int
		Findings           []map[string]string
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 1 || got.OK == nil || *got.OK || got.Problems != 1 || got.Config != missing {
		t.Fatalf("--json: exit %d, %v, %+v: %s", code, err, got, errOut)
	}
	for _, f := range got.Findings {
		if f["status"] == "problem" && (f["check"] != "topic" || f["code"] != "kafka-topic-missing" || !strings.HasSuffix(f["says"], " [kafka-topic-missing]")) {
			t.Errorf("the problem is told as %v", f)
		}
		if f["check"] == "" || f["subject"] == "" || f["says"] == "" || !strings.Contains("ok unknown warning problem", f["status"]) {
			t.Errorf("finding %v", f)
		}
	}
	if code, _, errOut := call(t, "", "check", "--json", "--config", there); code != 2 || !strings.Contains(errOut, "--connect") {
		t.Errorf("--json alone: exit %d, %s", code, errOut)
	}
	if _, err := os.Stat(filepath.Join(dir, "state")); !os.IsNotExist(err) {
		t.Errorf("the state directory was made: %v", err)
	}
}
