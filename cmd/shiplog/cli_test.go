package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shiplog/agent/checkpoint"
	"shiplog/agent/config"
	"shiplog/agent/envelope"
)

// call runs one command line.
func call(t *testing.T, stdin string, args ...string) (code int, out, errOut string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var o, e bytes.Buffer
	code = run(ctx, args, strings.NewReader(stdin), &o, &e)
	return code, o.String(), e.String()
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const goodConfig = "application: A\ninputs:\n  - paths: [/nowhere/*.log]\nkafka: {brokers: [localhost]}\n"

func TestExitStatus(t *testing.T) {
	good, bad := file(t, "good.yaml", goodConfig), file(t, "bad.yaml", strings.Replace(goodConfig, "inputs", "input", 1))
	for _, c := range []struct {
		name string
		args []string
		code int
		want string // in what is printed, wherever
	}{
		{"nothing", nil, 2, "shiplog run --config FILE"},
		{"unknown command", []string{"nope"}, 2, "nope"},
		{"unknown flag", []string{"run", "--nope"}, 2, "--nope"},
		{"no configuration", []string{"run"}, 2, "--config"},
		{"missing configuration", []string{"check", "-c", "/nowhere/x.yaml"}, 2, "/nowhere/x.yaml: cannot be read"},
		{"wrong configuration", []string{"check", "--config", bad}, 2, bad + ":2:1: input: unknown key; did you mean inputs?"},
		{"wrong configuration, run", []string{"run", "--config", bad}, 2, ":2:1: input: unknown key"},
		{"right configuration", []string{"check", "--config", good}, 0, "is right"},
		{"too many words", []string{"check", "--config", good, "more"}, 2, "more"},
		{"unknown format", []string{"parse", "--format", "nope"}, 2, "nope"},
		{"format and configuration", []string{"parse", "--format", "raw", "--config", good}, 2, "--format"},
		{"unknown input", []string{"parse", "--config", good, "--input", "nope"}, 2, "nope"},
		{"missing file", []string{"parse", "/nowhere/x.log"}, 1, "/nowhere/x.log"},
		{"the version, by a flag", []string{"--version"}, 0, "shiplog dev (go"},
		{"verify from nowhere", []string{"verify", "--config", good, "--from-offset", "-1"}, 2, "--from-offset -1 is below zero"},
		{"status of fewer than no files", []string{"status", "--config", good, "--limit", "-1"}, 2, "--limit -1 is below zero"},
		{"replay without a configuration", []string{"replay"}, 2, "--config"},
		{"replay to no topic", []string{"replay", "--config", good, "--topic", "a:b"}, 2, "--topic"},
		{"replay of a wrong pattern", []string{"replay", "--config", good, "--reason", "[a"}, 2, "--reason"},
		{"replay as JSON", []string{"replay", "--config", good, "--json"}, 2, "--dry-run"},
		{"no brokers", []string{"consume", "t"}, 2, "--brokers"},
		{"no topic", []string{"consume", "--brokers", "localhost"}, 2, "topic"},
		{"no broker's address", []string{"consume", "--brokers", "localhost:abc", "t"}, 2, `"localhost:abc" is not host:port`},
		{"a URL for a broker", []string{"consume", "--brokers", "http://localhost:9092", "t"}, 2, "without a scheme"},
		{"no legal topic", []string{"consume", "--brokers", "127.0.0.1:1", "t", "a:b"}, 2, "did you mean a.b?"},
		{"a topic of dots", []string{"consume", "--brokers", "127.0.0.1:1", ".."}, 2, `".." is not a topic name`},
		{"a topic too long", []string{"consume", "--brokers", "127.0.0.1:1", strings.Repeat("t", 250)}, 2, "at most 249"},
		{"from nowhere", []string{"consume", "--brokers", "localhost", "--from", "x", "t"}, 2, "beginning, end"},
		{"schema of nothing", []string{"schema"}, 2, "schema envelope, or shiplog schema config"},
		{"state of nothing", []string{"state"}, 2, "state list"},
		{"no state directory", []string{"state", "list"}, 2, "--state-dir"},
		{"state directory that is not there", []string{"state", "list", "--state-dir", "/nowhere"}, 1, "/nowhere"},
		{"state of which file", []string{"state", "show", "--state-dir", "/nowhere"}, 2, "accepts 1 arg"},
		{"rewind to nowhere", []string{"state", "rewind", "/l", "--state-dir", "/nowhere"}, 2, "--to OFFSET"},
		{"rewind to two places", []string{"state", "rewind", "/l", "--to", "1", "--to-line", "1", "--state-dir", "/nowhere"}, 2, "--to OFFSET"},
		{"rewind to a word", []string{"state", "rewind", "/l", "--to", "end", "--state-dir", "/nowhere"}, 2, "neither an offset"},
		{"rewind to line -1", []string{"state", "rewind", "/l", "--to-line", "-1", "--state-dir", "/nowhere"}, 2, "counted from 1"},
		{"rewind in a directory that is not there", []string{"state", "rewind", "/l", "--to", "0", "--state-dir", "/nowhere"}, 1, "/nowhere"},
		{"forget in a directory that is not there", []string{"state", "forget", "/l", "--state-dir", "/nowhere"}, 1, "/nowhere"},
		{"why which file", []string{"why", "--config", "x"}, 2, "accepts 1 arg"},
		{"why without a configuration", []string{"why", "/l"}, 2, "--config"},
		{"version", []string{"version"}, 0, "shiplog dev"},
		{"help", []string{"--help"}, 0, "Available Commands"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, errOut := call(t, "", c.args...)
			if code != c.code || !strings.Contains(out+errOut, c.want) {
				t.Errorf("exit %d, want %d with %q\nstdout %s\nstderr %s", code, c.code, c.want, out, errOut)
			}
			if code != 0 && out != "" {
				t.Errorf("an error on standard output: %s", out)
			}
		})
	}
}

const (
	relaxed = `{message: 'There was a connection error when attempting to gather data from SQL Server: [server_name].meag.org', payload: {application: 'Pool Cars', username: jpowell, operation: 'LoadVehicleUsages', params: {paramA: 'test_parameter_valueA', paramB: 'test_parameter_valueB'}}}`
	strict  = `{"message":"There was a connection error when attempting to gather data from SQL Server: [server_name].meag.org","payload":{"application":"Pool Cars","username":"jpowell","operation":"LoadVehicleUsages","params":{"paramA":"test_parameter_valueA","paramB":"test_parameter_valueB"}}}`
)

func TestSchema(t *testing.T) {
	for of, want := range map[string][]byte{"envelope": envelope.Schema(), "config": config.Schema()} {
		code, out, _ := call(t, "", "schema", of)
		if code != 0 || out != string(want) || !json.Valid([]byte(out)) {
			t.Errorf("%s: exit %d: %s", of, code, out)
		}
	}
}

func TestStateList(t *testing.T) {
	dir := t.TempDir()
	s, err := checkpoint.Open(dir, checkpoint.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Save([]checkpoint.Entry{{ID: 0xabc, Path: "/var/log/a b.log", Offset: 42}}, nil); err != nil {
		t.Fatal(err)
	}
	// While an agent holds the directory.
	code, out, errOut := call(t, "", "state", "list", "--state-dir", dir)
	if code != 0 || !strings.Contains(out, "0000000000000abc") || !strings.Contains(out, "42") || !strings.Contains(out, `"/var/log/a b.log"`) {
		t.Errorf("exit %d\n%s%s", code, out, errOut)
	}
	code, out, _ = call(t, "", "state", "list", "--json", "--state-dir", dir)
	var line map[string]any
	if err := json.Unmarshal([]byte(out), &line); code != 0 || err != nil || line["offset"] != 42.0 || line["path"] != "/var/log/a b.log" {
		t.Errorf("exit %d: %s (%v)", code, out, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestHelp wants a sentence for each command, and each flag in its help.
func TestHelp(t *testing.T) {
	for _, c := range newRoot().Commands() {
		if c.Short == "" {
			t.Errorf("%s says nothing of itself", c.Name())
		}
		if code, out, errOut := call(t, "", c.Name(), "--help"); code != 0 || !strings.Contains(out, "Usage:") {
			t.Errorf("%s --help: exit %d %s %s", c.Name(), code, out, errOut)
		}
	}
}
