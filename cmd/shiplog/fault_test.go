package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"shiplog/shipper/kafkatest/child"
)

// faultTopic is where the agent under test ships to.
const faultTopic = "t"

// faultRig is the built binary at work, a log that is written to, and a count of
// what arrives. Each fault is one test on it: lines before the fault, lines while
// it lasts, lines after it; and at the end all have arrived, each once, from one
// process that was never restarted.
type faultRig struct {
	*e2e
	logs    string // the folder of the logs
	state   string
	proc    *child.Process
	said    func() string
	written int
	rotated int

	mu      sync.Mutex
	arrived map[string]int // messages
	order   []string
}

// faultOptions change what the agent is started with.
type faultOptions struct {
	input   string   // more keys of the input
	kafka   string   // more of kafka's
	more    string   // more lines of the configuration
	logs    string   // the folder of the logs, instead of one in the test's own
	state   string   // likewise
	wrapper []string // what runs the command line that follows
	paths   string   // patterns, instead of logs/*.log
	topic   string   // instead of faultTopic
}

// consumer hands over what comes to a topic, until the test ends.
type consumer func(t testing.TB, addr, topic string, each func(partition int32, offset int64, value []byte)) (stop func())

func newFaultRig(t *testing.T, binary, broker string, consume consumer, o faultOptions) *faultRig {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("written for Unix")
	}
	r := &faultRig{e2e: newE2E(t, binary, broker), arrived: map[string]int{}}
	r.logs, r.state = filepath.Join(r.dir, "logs"), filepath.Join(r.dir, "state")
	if o.logs != "" {
		r.logs = o.logs
	}
	if o.state != "" {
		r.state = o.state
	}
	if err := os.MkdirAll(r.logs, 0o700); err != nil {
		t.Fatal(err)
	}
	if o.topic == "" {
		o.topic = faultTopic
	}
	if o.paths == "" {
		o.paths = fmt.Sprintf("[%q]", filepath.Join(r.logs, "*.log"))
	}
	text := fmt.Sprintf("application: A\ninputs:\n  - {paths: %s, format: raw, rotate_wait: 100ms%s}\nkafka: {brokers: [%q], topic: %s%s}\nstate_dir: %q\nadmin: {listen: \"unix://%s\"}\ncheckpoint_interval: 100ms\nshutdown_timeout: 20s\n%s",
		o.paths, o.input, broker, o.topic, o.kafka, r.state, r.socket(), o.more)
	if err := os.WriteFile(r.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	consume(t, broker, o.topic, r.take)
	r.launch(o.wrapper...)
	return r
}

func (r *faultRig) socket() string { return filepath.Join(r.dir, "admin.sock") }

// launch starts the agent, through a wrapper where one is given.
func (r *faultRig) launch(wrapper ...string) {
	r.t.Helper()
	log, err := os.Create(filepath.Join(r.dir, "agent.out"))
	if err != nil {
		r.t.Fatal(err)
	}
	args := append(wrapper[:len(wrapper):len(wrapper)], r.binary, "run", "--config", r.config)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	if r.proc, err = child.Start(cmd); err != nil {
		r.t.Fatal(err)
	}
	r.said = func() string {
		b, err := os.ReadFile(log.Name())
		if err != nil {
			r.t.Fatal(err)
		}
		return string(b)
	}
	r.t.Cleanup(func() {
		r.proc.Kill()
		log.Close()
		if r.t.Failed() {
			said := r.said()
			r.t.Logf("the agent said:\n%s", said[max(0, len(said)-6000):])
		}
	})
}

func (r *faultRig) take(_ int32, _ int64, value []byte) {
	var e struct{ Message string }
	if err := json.Unmarshal(value, &e); err != nil {
		e.Message = "not an envelope: " + string(value)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.arrived[e.Message]++
	r.order = append(r.order, e.Message)
}

// path returns where the log lies.
func (r *faultRig) path() string { return filepath.Join(r.logs, "app.log") }

// write adds n numbered lines to the log.
func (r *faultRig) write(n int) {
	r.t.Helper()
	if err := r.tryWrite(n); err != nil {
		r.t.Fatal(err)
	}
}

// tryWrite is write where the disk may be full; a line is written whole or not
// at all.
func (r *faultRig) tryWrite(n int) error {
	f, err := os.OpenFile(r.path(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for range n {
		line := fmt.Sprintf("line %d %s\n", r.written, strings.Repeat("x", 40))
		k, err := f.WriteString(line)
		if err != nil && k > 0 {
			fi, serr := f.Stat()
			if serr != nil {
				return serr
			}
			return f.Truncate(fi.Size() - int64(k))
		}
		if err != nil {
			return err
		}
		r.written++
	}
	return nil
}

// rotate renames the log to a name with a date, of which a later one is greater;
// the next write makes a new one.
func (r *faultRig) rotate() {
	r.t.Helper()
	r.rotated++
	if err := os.Rename(r.path(), fmt.Sprintf("%s-%08d", r.path(), 20261000+r.rotated)); err != nil {
		r.t.Fatal(err)
	}
}

// health asks the agent how it is: 0 where it does not answer.
func (r *faultRig) health() (int, string) {
	client := http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", r.socket())
		}}}
	resp, err := client.Get("http://localhost/healthz")
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(body)
}

// red waits until the agent is not well, for a reason that holds text.
func (r *faultRig) red(text string) {
	r.t.Helper()
	last := ""
	r.await("health to be red with "+text, func() bool {
		code, body := r.health()
		last = fmt.Sprint(code, " ", body)
		return code == http.StatusServiceUnavailable && strings.Contains(body, text)
	}, func() string { return last })
}

// green waits until it is well again.
func (r *faultRig) green() {
	r.t.Helper()
	last := ""
	r.await("health to be green", func() bool {
		code, body := r.health()
		last = fmt.Sprint(code, " ", body)
		return code == http.StatusOK
	}, func() string { return last })
}

// faultPatience is how long a recovery may take: back-offs grow to 10 s.
const faultPatience = 60 * time.Second

func (r *faultRig) await(what string, ok func() bool, last func() string) {
	r.t.Helper()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for deadline := time.Now().Add(faultPatience); !ok(); <-poll.C {
		select {
		case <-r.proc.Done():
			r.t.Fatalf("the agent ended by itself while it was waited for %s: %v", what, r.proc.Wait())
		default:
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("waited in vain for %s: %s", what, last())
		}
	}
}

// all waits until every line that was written has arrived.
func (r *faultRig) all() {
	r.t.Helper()
	r.await("all lines", func() bool { return r.distinct() >= r.written }, func() string { return fmt.Sprintf("%d of %d", r.distinct(), r.written) })
}

func (r *faultRig) distinct() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for m := range r.arrived {
		if strings.HasPrefix(m, "line ") {
			n++
		}
	}
	return n
}

// judge stops the agent in order and compares what arrived with what was
// written: nothing lost, nothing repeated, and in order.
func (r *faultRig) judge() {
	r.t.Helper()
	r.all()
	if err := r.proc.Stop(stopGrace); err != nil {
		r.t.Error(err)
	}
	if err := r.proc.Wait(); err != nil {
		r.t.Errorf("the agent's end: %v", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	next := 0
	for _, m := range r.order {
		var n int
		if _, err := fmt.Sscanf(m, "line %d", &n); err != nil {
			continue // the test's own business
		}
		if n != next {
			r.t.Errorf("line %d where line %d is due: lost, repeated or out of order", n, next)
			return
		}
		next++
	}
	if next != r.written {
		r.t.Errorf("%d lines arrived, %d were written", next, r.written)
	}
}

// TestFaults puts the built binary through what can go wrong around it. It
// needs no Kafka but the one in this process.
func TestFaults(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs the built binary through many faults")
	}
	binary := buildAgent(t)
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			f.run(t, binary)
		})
	}
}

// fault is one thing that goes wrong.
type fault struct {
	name string
	run  func(t *testing.T, binary string)
}

func faults() []fault {
	return append(append(kfakeFaults(), fileFaults()...), hostFaults()...)
}
