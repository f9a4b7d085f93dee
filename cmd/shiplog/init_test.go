package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestInit writes a configuration that check accepts, and overwrites nothing
// that it is not told to.
func TestInit(t *testing.T) {
	dir := t.TempDir()
	log, conf := filepath.Join(dir, "app.log"), filepath.Join(dir, "shiplog.yaml")
	write(t, log, strings.Repeat("2026-01-25 10:10:10 INFO hello\n", 60))
	code, out, errOut := call(t, "", "init", log)
	if code != 0 || !strings.Contains(out, "format: text") || !strings.Contains(errOut, "next: ") {
		t.Fatalf("exit %d\n%s\n%s", code, out, errOut)
	}
	if code, out, errOut = call(t, "", "init", "--brokers", "k1:9092,k2:9092", "--topic", "a.b", "--application", "Pool Cars", "-o", conf, log); code != 0 || out != "" || !strings.Contains(errOut, "shiplog check --connect --config "+conf) {
		t.Fatalf("exit %d\n%s\n%s", code, out, errOut)
	}
	if code, out, _ := call(t, "", "check", "--config", conf); code != 0 || !strings.Contains(out, "to [k1:9092 k2:9092]") || !strings.Contains(out, "as text, to topic a.b") {
		t.Errorf("check: exit %d, %s", code, out)
	}
	if code, out, _ := call(t, "", "parse", "-q", "--config", conf, log); code != 0 || strings.Count(out, `"message":"hello","payload":{"application":"Pool Cars"`) != 60 {
		t.Errorf("parse: exit %d, %s", code, out)
	}
	before, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	if code, _, errOut := call(t, "", "init", "-o", conf, log); code != 1 || !strings.Contains(errOut, "--force") {
		t.Errorf("over a file: exit %d, %s", code, errOut)
	}
	if after, err := os.ReadFile(conf); err != nil || string(after) != string(before) {
		t.Errorf("it was overwritten: %s, %v", after, err)
	}
	if code, _, errOut := call(t, "", "init", "--force", "-o", conf, log); code != 0 {
		t.Errorf("with --force: exit %d, %s", code, errOut)
	}
	if after, err := os.ReadFile(conf); err != nil || string(after) == string(before) {
		t.Errorf("it was not overwritten: %s, %v", after, err)
	}
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{2, "-o", []string{"--force", log}}, {1, "nothing matches", []string{filepath.Join(dir, "*.none")}}, {1, "no such file", []string{filepath.Join(dir, "none")}},
		{1, "no logs that can be read", []string{file(t, "a.bin", "\x00\x01\x02\x03\x04")}}, {2, "topic", []string{"--topic", "a:b", log}},
		{1, "which is never read", []string{os.DevNull}}, {1, "b.xz: xz: compression that is not read", []string{file(t, "b.xz", "\xfd7zXZ\x00 and so on\n")}},
	} {
		if code, out, errOut := call(t, "", append([]string{"init"}, c.args...)...); code != c.code || out != "" || !strings.Contains(errOut, c.want) {
			t.Errorf("%q: exit %d, %s, %s", c.args, code, out, errOut)
		}
	}
}
