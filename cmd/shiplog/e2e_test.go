package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"shiplog/agent"
	"shiplog/agent/envelope"
	"shiplog/shipper/kafkatest"
	"shiplog/shipper/kafkatest/child"
)

// e2e is the built binary, a Kafka, and a folder with a configuration.
type e2e struct {
	t              *testing.T
	binary, broker string
	dir, config    string
	pattern        string // of the logs in dir
}

func newE2E(t *testing.T, binary, broker string) *e2e {
	t.Helper()
	e := &e2e{t: t, binary: binary, broker: broker, dir: t.TempDir(), pattern: "*.log"}
	e.config = filepath.Join(e.dir, "shiplog.yaml")
	e.configure("")
	return e
}

// configure writes the configuration; more is added to its kafka section.
func (e *e2e) configure(more string) {
	e.t.Helper()
	e.configureText(fmt.Sprintf("kafka: {brokers: [%q], topic: t%s}", e.broker, more))
}

// configureText writes the configuration with another kafka section.
func (e *e2e) configureText(kafka string) {
	e.t.Helper()
	text := fmt.Sprintf("application: A\ninputs:\n  - paths: [%q]\n%s\nstate_dir: %q\nadmin: {listen: \"127.0.0.1:0\"}\nshutdown_timeout: 3s\n",
		filepath.Join(e.dir, e.pattern), kafka, filepath.Join(e.dir, "state"))
	if err := os.WriteFile(e.config, []byte(text), 0o600); err != nil {
		e.t.Fatal(err)
	}
}

// call runs the binary to its end.
func (e *e2e) call(args ...string) (code int, out, errOut string) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, e.binary, args...)
	var o, eo bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &eo
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		e.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), o.String(), eo.String()
}

// background starts the binary; what it says goes to a file.
func (e *e2e) background(args ...string) (p *child.Process, said func() string) {
	e.t.Helper()
	log, err := os.CreateTemp(e.dir, "said-")
	if err != nil {
		e.t.Fatal(err)
	}
	cmd := exec.Command(e.binary, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if p, err = child.Start(cmd); err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { p.Kill(); log.Close() })
	return p, func() string {
		b, err := os.ReadFile(log.Name())
		if err != nil {
			e.t.Fatal(err)
		}
		return string(b)
	}
}

func (e *e2e) append(name, text string) {
	e.t.Helper()
	f, err := os.OpenFile(filepath.Join(e.dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		e.t.Fatal(err)
	}
}

func (e *e2e) wait(what string, ok func() bool) {
	e.t.Helper()
	for end := time.Now().Add(90 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			e.t.Fatalf("waited in vain for %s", what)
		}
	}
}

func signal(pid int, s os.Signal) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return p.Signal(s)
}

// count returns how many records the topic has.
func (e *e2e) count() int64 {
	e.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(e.broker))
	if err != nil {
		e.t.Fatal(err)
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListEndOffsets(e.t.Context(), "t")
	if err != nil {
		return -1
	}
	n := int64(0)
	ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
	return n
}

func newKafka(t *testing.T) string {
	t.Helper()
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	return k.ListenAddrs()[0]
}

// TestBinary uses the built binary as an operator does.
func TestBinary(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds the binary")
	}
	binary := buildAgent(t)
	t.Run("once", func(t *testing.T) { testOnce(t, newE2E(t, binary, newKafka(t))) })
	t.Run("signals", func(t *testing.T) { testSignals(t, newE2E(t, binary, newKafka(t))) })
	t.Run("second signal", func(t *testing.T) { testSecondSignal(t, newE2E(t, binary, newKafka(t))) })
	t.Run("two agents", func(t *testing.T) { testTwoAgents(t, newE2E(t, binary, newKafka(t))) })
	t.Run("secrets", func(t *testing.T) { testSecrets(t, binary) })
	t.Run("group", func(t *testing.T) { testGroup(t, newE2E(t, binary, newKafka(t))) })
	t.Run("verify", func(t *testing.T) { testVerify(t, newE2E(t, binary, newKafka(t))) })
	t.Run("demo", func(t *testing.T) { testDemo(t, newE2E(t, binary, newKafka(t))) })
	t.Run("admin", func(t *testing.T) { t.Parallel(); testAdmin(t, newE2E(t, binary, newKafka(t))) })
	t.Run("status page", func(t *testing.T) { testPage(t, binary) })
}

func testOnce(t *testing.T, e *e2e) {
	const lines = 200_000
	var text strings.Builder
	for i := range lines {
		fmt.Fprintf(&text, `{"message":"line %d","payload":{"application":"A","username":"u","operation":"o","params":{"n":%d}}}`+"\n", i, i)
	}
	e.append("a.log", text.String())
	for i, want := range []int64{lines, lines, lines + 7} {
		if i == 2 {
			e.append("a.log", strings.Repeat("more\n", 7))
		}
		if code, _, said := e.call("run", "--once", "--config", e.config); code != 0 {
			t.Fatalf("run %d: exit %d: %s", i, code, said)
		}
		if n := e.count(); n != want {
			t.Errorf("after run %d: %d records, want %d", i, n, want)
		}
	}
	code, out, said := e.call("consume", "--brokers", e.broker, "--exit-at-end", "t")
	if code != 0 || strings.Count(out, "\n") != lines+7 {
		t.Errorf("consume: exit %d, %d lines: %s", code, strings.Count(out, "\n"), said)
	}
}

func testSignals(t *testing.T, e *e2e) {
	if runtime.GOOS == "windows" {
		t.Skip("no signals")
	}
	sent := int64(0)
	for _, s := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		e.append("a.log", "one\ntwo\n")
		sent += 2
		p, said := e.background("run", "--config", e.config)
		e.wait("the lines", func() bool { return e.count() == sent })
		if err := signal(p.PID(), s); err != nil {
			t.Fatal(err)
		}
		if err := p.Wait(); err != nil {
			t.Errorf("%v: %v\n%s", s, err, said())
		}
	}
}

// testSecondSignal has a Kafka that is not there, so that a stop would take all
// of shutdown_timeout.
func testSecondSignal(t *testing.T, e *e2e) {
	if runtime.GOOS == "windows" {
		t.Skip("no signals")
	}
	e.broker = "127.0.0.1:1"
	e.configure("")
	e.append("a.log", "{\"message\":\"one\"}\n") // complete: it is not waited for
	p, said := e.background("run", "--config", e.config)
	e.wait("a line in flight", func() bool {
		s, err := agent.ReadState(t.Context(), filepath.Join(e.dir, "state"))
		return err == nil && s.Status != nil && s.Status.Kafka.InFlightRecords == 1
	})
	for _, until := range []string{"stopping", ""} {
		if err := signal(p.PID(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		e.wait("the signal to be heard", func() bool { return strings.Contains(said(), until) })
	}
	if err := p.Wait(); err == nil || strings.Contains(said(), "msg=stopped") {
		t.Errorf("it stopped in order (%v): %s", err, said())
	}
}

func testTwoAgents(t *testing.T, e *e2e) {
	p, said := e.background("run", "--config", e.config)
	e.wait("the first agent", func() bool { return strings.Contains(said(), "started") })
	code, _, errOut := e.call("run", "--config", e.config)
	if code != 1 || !strings.Contains(errOut, fmt.Sprintf("in use by process %d", p.PID())) {
		t.Errorf("exit %d: %s", code, errOut)
	}
	if code, out, errOut := e.call("state", "list", "--config", e.config); code != 0 {
		t.Errorf("state list beside an agent: exit %d %s %s", code, out, errOut)
	}
}

func testGroup(t *testing.T, e *e2e) {
	e.append("a.log", "one\ntwo\n")
	if code, _, said := e.call("run", "--once", "--config", e.config); code != 0 {
		t.Fatal(said)
	}
	for i, want := range []int{2, 0} {
		code, out, said := e.call("consume", "--config", e.config, "--group", "g", "--exit-at-end")
		if code != 0 || strings.Count(out, "\n") != want {
			t.Errorf("member %d: exit %d, %q, want %d lines; %s", i, code, out, want, said)
		}
	}
	if runtime.GOOS == "windows" {
		return
	}
	p, said := e.background("consume", "--config", e.config, "--group", "h")
	e.wait("both lines", func() bool { return strings.Count(said(), "\n") == 2 })
	if err := signal(p.PID(), os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("^C: %v", err)
	}
	if _, out, _ := e.call("consume", "--config", e.config, "--group", "h", "--exit-at-end"); out != "" {
		t.Errorf("printed again: %q", out)
	}
}

func testDemo(t *testing.T, e *e2e) {
	began := time.Now()
	code, out, said := e.call("demo")
	if code != 0 || !strings.Contains(said, "written 400, arrived 400, lost 0, repeated 0") {
		t.Fatalf("exit %d after %v: %s", code, time.Since(began), said)
	}
	schema := compileSchema(t)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 400 {
		t.Errorf("%d lines", len(lines))
	}
	for _, l := range lines {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(l))
		if err == nil {
			err = schema.Validate(v)
		}
		if err != nil {
			t.Fatalf("%s: %v", l, err)
		}
	}
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	var doc any
	if err := json.Unmarshal(envelope.Schema(), &doc); err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("s.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("s.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRealKafkaDies ships while a real broker is killed and comes back.
func TestRealKafkaDies(t *testing.T) {
	k := kafkatest.Start(t, kafkatest.Options{Topics: map[string]int32{"t": 1}})
	e := newE2E(t, buildAgent(t), k.Addr())
	_, said := e.background("run", "--config", e.config)
	const rounds, lines = 3, 2000
	for round := range rounds {
		if round == 1 {
			k.Kill()
		}
		for i := range lines {
			e.append("a.log", fmt.Sprintf("line %d\n", round*lines+i))
		}
		if round == 1 {
			e.wait("the loss to be noticed", func() bool { return strings.Contains(said(), "level=WARN") })
			k.Restart()
		}
	}
	e.wait("all lines", func() bool { return e.count() >= rounds*lines })
	if n := e.count(); n != rounds*lines {
		t.Errorf("%d records of %d lines", n, rounds*lines)
	}
}
