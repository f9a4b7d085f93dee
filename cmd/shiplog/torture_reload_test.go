package main_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	minReload, maxReload = 100 * time.Millisecond, 500 * time.Millisecond
	reloadPatience       = 30 * time.Second
)

// reloadInputs are configurations that an operator may go through, by what they
// add to the head that does not change. The first is where it ends.
var reloadInputs = []struct {
	text  string
	bad   string // what the log says of it, where it is no configuration
	confD string // conf.d/more.yaml
}{
	{text: "inputs:\n  - {name: all, paths: [\"DIR/logs/*.log\"], format: raw}\n"},
	// Files move from one input to two others, which change them differently.
	{text: "inputs:\n  - {name: first, paths: [\"DIR/logs/app[01].log\"], format: raw, transforms: [{set: {params.half: first}}]}\n  - {name: second, paths: [\"DIR/logs/*.log\"], format: raw, rotate_wait: 1500ms}\n"},
	// Nobody asks for half of the files.
	{text: "inputs:\n  - {name: second, paths: [\"DIR/logs/app[23].log\"], format: raw}\nlog: {level: debug}\n"},
	// Each last line is an open entry.
	{text: "include: conf.d/*.yaml\ninputs:\n  - {name: all, paths: [\"DIR/logs/app[01].log\"], format: raw, multiline: {start: \"^w\", wait: 300ms}}\n",
		confD: "inputs:\n  - {name: more, paths: [\"DIR/logs/app[23].log\"], format: raw, max_line_bytes: 64KiB}\n"},
	{text: "inputs:\n  - {name: all, paths: [\"DIR/logs/*.log\"], formatt: raw}\n", bad: "did you mean format?"},
	{text: "inputs: [\n", bad: "not valid YAML"},
	{text: "include: conf.d/*.yaml\ninputs:\n  - {name: all, paths: [\"DIR/logs/*.log\"], format: raw}\n",
		confD: "inputs:\n  - {name: worse, paths: [\"DIR/x.log\"], format: regex, pattern: \"(\"}\n", bad: "more.yaml:2:"},
	{text: "inputs:\n  - {name: all, paths: [\"DIR/logs/*.log\"], format: raw, transforms: [{drop: \"message ===\"}]}\n", bad: "shiplog.yaml:"},
}

// reloadAround starts the agent once, and has it reload one configuration after
// the other until ctx ends; then the first.
func (r *tortureRun) reloadAround(ctx context.Context) error {
	if err := r.reconfigure(0); err != nil {
		return err
	}
	if err := r.agent.start(); err != nil {
		return err
	}
	for turn := 1; ; turn++ {
		if err := r.agent.wait(ctx, r.between(minReload, maxReload)); err != nil {
			return err
		}
		i := turn % len(reloadInputs)
		if turn >= len(reloadInputs) {
			i = r.rng.IntN(len(reloadInputs))
		}
		over := ctx.Err() != nil
		if over {
			i = 0
		}
		if err := r.reload(i); err != nil || over {
			return err
		}
	}
}

// reload has the agent reload a configuration, and waits for what it says.
func (r *tortureRun) reload(i int) error {
	const done, refused = "configuration reloaded", "not reloaded"
	said, err := os.ReadFile(r.agent.log.Name())
	if err != nil {
		return err
	}
	before := len(said)
	if err := r.reconfigure(i); err != nil {
		return err
	}
	if err := r.agent.proc.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	want := done
	if reloadInputs[i].bad != "" {
		want = refused
	}
	for end := time.Now().Add(reloadPatience); ; {
		if said, err = os.ReadFile(r.agent.log.Name()); err != nil {
			return err
		}
		text := string(said[before:])
		if strings.Contains(text, done) || strings.Contains(text, refused) {
			if !strings.Contains(text, want) || !strings.Contains(text, reloadInputs[i].bad) {
				return fmt.Errorf("reload of configuration %d: want %q, %q; the agent said:\n%s", i, want, reloadInputs[i].bad, text)
			}
			r.reloaded[want]++
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("reload of configuration %d: the agent said nothing of it", i)
		}
		if err := r.agent.wait(context.Background(), drainPoll); err != nil {
			return err
		}
	}
}

// reconfigure writes a configuration to where the agent has it from.
func (r *tortureRun) reconfigure(i int) error {
	dir := filepath.Dir(r.agent.config)
	c := reloadInputs[i]
	confD := filepath.Join(dir, "conf.d")
	if err := os.MkdirAll(confD, 0o700); err != nil {
		return err
	}
	fill := func(text string) []byte { return []byte(strings.ReplaceAll(text, "DIR", dir)) }
	if err := os.WriteFile(filepath.Join(confD, "more.yaml"), fill(c.confD), 0o600); err != nil {
		return err
	}
	head := fmt.Sprintf("application: %s\nkafka: {brokers: [%q], topic: %s}\nstate_dir: \"DIR/state\"\nadmin: {listen: \"\"}\n", tortureApplication, r.broker.addr, r.topic)
	return os.WriteFile(r.agent.config, fill(head+c.text), 0o600)
}

// judgeReloads checks that the agent reloaded, and that the topic proves it.
func (r *tortureRun) judgeReloads(t *testing.T) {
	t.Helper()
	t.Logf("reloads: %v", r.reloaded)
	if len(r.reloaded) < 2 || r.agent.starts != 1 {
		t.Errorf("want reloads that went well, some that did not, and one start: %v, %d", r.reloaded, r.agent.starts)
	}
}
