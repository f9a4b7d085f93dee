package main_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
	"time"

	"shiplog/shipper/kafkatest/child"
)

// stopGrace is more than the agent's shutdown_timeout.
const stopGrace = 30 * time.Second

// buildAgent builds the command, with the race detector if TORTURE_RACE=1.
func buildAgent(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "shiplog")
	args := []string{"build", "-o", path}
	if os.Getenv("TORTURE_RACE") == "1" {
		args = append(args, "-race")
	}
	if out, err := child.Run(t.Context(), exec.Command("go", append(args, ".")...)); err != nil {
		t.Fatalf("build shiplog: %v\n%s", err, out)
	}
	return path
}

// agentConfig is what an operator would write.
var agentConfig = template.Must(template.New("").Parse(`application: {{.Application}}
inputs:
  - paths: ["{{.Dir}}/logs/*.log", "{{.Dir}}/logs/moved/*.log"]
    format: raw
    rotate_wait: 1s
kafka:
  brokers: ["{{.Broker}}"]
  topic: {{.Topic}}
{{.More}}state_dir: "{{.Dir}}/state"
admin: {listen: ""}
`))

// testAgent runs the built binary, again and again. One goroutine uses it.
type testAgent struct {
	binary, config string
	log            *os.File
	proc           *child.Process // nil while it is down
	starts         int
}

// newTestAgent writes the configuration for an agent that follows dir/logs; more is
// added to its kafka section, lines of two spaces in front.
func newTestAgent(dir, binary, broker, topic, more string) (*testAgent, error) {
	a := &testAgent{binary: binary, config: filepath.Join(dir, "shiplog.yaml")}
	var text strings.Builder
	err := agentConfig.Execute(&text, map[string]string{"Application": tortureApplication, "Dir": dir, "Broker": broker, "Topic": topic, "More": more})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(a.config, []byte(text.String()), 0o600); err != nil {
		return nil, err
	}
	a.log, err = os.Create(filepath.Join(dir, "agent.log"))
	return a, err
}

func (a *testAgent) start() (err error) {
	a.starts++
	fmt.Fprintf(a.log, "---- start %d\n", a.starts)
	cmd := exec.Command(a.binary, "run", "--config", a.config)
	cmd.Stdout, cmd.Stderr = a.log, a.log
	cmd.Env = append(os.Environ(), "GORACE=halt_on_error=1")
	a.proc, err = child.Start(cmd)
	return err
}

// wait waits until d is over or ctx ends; it fails if the agent ends meanwhile.
func (a *testAgent) wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-a.proc.Done():
		return fmt.Errorf("the agent ended by itself: %w", errors.Join(a.proc.Wait(), a.down()))
	}
	return nil
}

// terminate stops the agent in order (SIGTERM), which has to end it with status 0.
func (a *testAgent) terminate() error {
	fmt.Fprintln(a.log, "---- SIGTERM")
	err := errors.Join(a.proc.Stop(stopGrace), a.proc.Wait())
	if err != nil {
		err = fmt.Errorf("after SIGTERM: %w", err)
	}
	return errors.Join(err, a.down())
}

// kill ends the agent at once (SIGKILL).
func (a *testAgent) kill() error {
	fmt.Fprintln(a.log, "---- SIGKILL")
	return errors.Join(a.proc.Kill(), a.down())
}

// freezeAndKill has the agent hang for a moment (SIGSTOP) and then ends it at once.
func (a *testAgent) freezeAndKill() error {
	fmt.Fprintln(a.log, "---- SIGSTOP, SIGKILL")
	err := a.proc.Pause()
	time.Sleep(frozen)
	return errors.Join(err, a.kill())
}

// freeze has the agent hang for a moment (SIGSTOP) and go on (SIGCONT), in which it
// sees that time has passed, and then ends it at once.
func (a *testAgent) freeze() error {
	fmt.Fprintln(a.log, "---- SIGSTOP, SIGCONT")
	err := a.proc.Pause()
	time.Sleep(frozen)
	err = errors.Join(err, a.proc.Resume())
	time.Sleep(frozen)
	return errors.Join(err, a.kill())
}

// frozen is how long the agent hangs, and how long it goes on after that.
const frozen = 400 * time.Millisecond

func (a *testAgent) down() error {
	a.proc = nil
	return nil
}

// close ends the agent however it is.
func (a *testAgent) close() error {
	var err error
	if a.proc != nil {
		err = a.proc.Kill()
	}
	return errors.Join(err, a.log.Close())
}

// said returns what the agent has said.
func (a *testAgent) said() string {
	out, err := os.ReadFile(a.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(out)
}

// logTail returns the last lines of what the agent said.
func (a *testAgent) logTail() string {
	const most = 25
	lines := strings.Split(strings.TrimSpace(a.said()), "\n")
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}
