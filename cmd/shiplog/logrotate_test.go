package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"shiplog/shipper/kafkatest/child"
)

// TestLogrotate rotates with the real logrotate, in each of the ways that
// administrators configure, while the built binary follows, and once while it
// is down.
func TestLogrotate(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes several seconds")
	}
	logrotate, err := exec.LookPath("logrotate")
	if err != nil { // not in everybody's PATH
		logrotate, err = exec.LookPath("/usr/sbin/logrotate")
	}
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatalf("logrotate is missing; install the package logrotate: %v", err)
	case err != nil || runtime.GOOS == "windows":
		t.Skip("NOT TESTED: logrotate is missing; install the package logrotate")
	}
	binary := buildAgent(t)
	for _, c := range []struct {
		pattern, name, directives string
		pauses                    bool // the application writes nothing meanwhile: logrotate itself would lose it
	}{
		{"app.log", "create", "create", false},
		{"app.log", "copytruncate", "copytruncate", true},
		{"app.log*", "copytruncate", "copytruncate", true},
		{"app.log*", "compress", "create\ncompress", true},
		{"app.log", "delaycompress", "create\ncompress\ndelaycompress", false},
		{"app.log*", "dateext", "create\ndateext\ndateformat -%Y%m%d-%s", false},
		{"app.log", "copytruncate and compress", "copytruncate\ncompress", true},
	} {
		t.Run(c.name+" "+c.pattern, func(t *testing.T) {
			t.Parallel()
			e := newE2E(t, binary, newKafka(t))
			e.pattern = c.pattern
			e.configure("")
			w := &rotatedWriter{path: filepath.Join(e.dir, "app.log"), ended: make(chan struct{})}
			e.withLogrotate(logrotate, c.directives, c.pauses, w)
		})
	}
}

// rotatedWriter is an application that logs numbered lines, and opens its file
// anew when it finds it renamed.
type rotatedWriter struct {
	path  string
	ended chan struct{}

	mu      sync.Mutex // held while logrotate runs, where the application pauses
	file    *os.File
	written int
}

func (w *rotatedWriter) run() error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-w.ended:
			return w.file.Close()
		}
		if err := w.write(); err != nil {
			return err
		}
	}
}

func (w *rotatedWriter) write() (err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.written%16 == 0 { // a rotated file gets some lines more
		if w.file != nil {
			w.file.Close()
		}
		if w.file, err = os.OpenFile(w.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
			return err
		}
	}
	w.written++
	_, err = fmt.Fprintf(w.file, "line %d\n", w.written)
	return err
}

// reopen has the next line go to a newly opened file.
func (w *rotatedWriter) reopen() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	old := w.file
	f, err := os.OpenFile(w.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	w.file = f
	return old.Close()
}

func (w *rotatedWriter) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.written
}

func (e *e2e) withLogrotate(logrotate, directives string, pauses bool, w *rotatedWriter) {
	const rotations = 4
	conf := filepath.Join(e.dir, "logrotate.conf")
	text := fmt.Sprintf("%q {\nrotate 20\n%s\n}\n", w.path, directives)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		e.t.Fatal(err)
	}
	if err := w.write(); err != nil {
		e.t.Fatal(err)
	}
	wrote := make(chan error, 1)
	go func() { wrote <- w.run() }()
	p, said := e.background("run", "--config", e.config)
	for i := range rotations {
		down := i == 1 || i == 2 // two rotations while it is down
		if i == 1 {
			e.terminate(p, said)
		}
		from := w.count()
		e.wait("lines to be rotated", func() bool { return w.count() > from+100 && (down || e.count() > int64(from)) })
		e.nextSecond() // dates have to differ
		if pauses {
			w.mu.Lock()
		}
		out, err := child.Run(e.t.Context(), exec.Command(logrotate, "--force", "--state", filepath.Join(e.dir, "logrotate.state"), conf))
		if pauses {
			w.mu.Unlock()
		}
		if err == nil {
			err = w.reopen()
		}
		if err != nil {
			e.t.Fatalf("logrotate: %v\n%s", err, out)
		}
		if i == 2 {
			p, said = e.background("run", "--config", e.config)
		}
	}
	close(w.ended)
	if err := <-wrote; err != nil {
		e.t.Fatal(err)
	}
	e.wait(fmt.Sprintf("%d lines", w.written), func() bool { return e.count() >= int64(w.written) })
	e.terminate(p, said)
	if code, _, errOut := e.call("run", "--once", "--config", e.config); code != 0 {
		e.t.Errorf("run --once: exit %d: %s", code, errOut)
	}
	e.eachOnce(w.written)
	if e.t.Failed() {
		files, _ := filepath.Glob(filepath.Join(e.dir, "app.log*"))
		e.t.Logf("files %v; the agent said:\n%s", files, said())
	}
}

// eachOnce fails the test unless each line from 1 to n is in the topic once.
func (e *e2e) eachOnce(n int) {
	e.t.Helper()
	code, out, errOut := e.call("consume", "--brokers", e.broker, "--exit-at-end", "t")
	if code != 0 {
		e.t.Fatalf("consume: exit %d: %s", code, errOut)
	}
	times := make([]int, n+1)
	for l := range strings.Lines(out) {
		var v struct{ Message string }
		var k int
		if err := json.Unmarshal([]byte(l), &v); err != nil {
			e.t.Fatalf("%s: %v", l, err)
		}
		if _, err := fmt.Sscanf(v.Message, "line %d", &k); err != nil || k < 1 || k > n {
			e.t.Fatalf("%q is no line that was written", v.Message)
		}
		times[k]++
	}
	lost, repeated := 0, 0
	for _, k := range times[1:] {
		lost += max(0, 1-k)
		repeated += max(0, k-1)
	}
	e.t.Logf("written %d, lost %d, repeated %d", n, lost, repeated)
	if lost != 0 || repeated != 0 {
		e.t.Errorf("lost %d, repeated %d of %d", lost, repeated, n)
	}
}

func (e *e2e) terminate(p *child.Process, said func() string) {
	e.t.Helper()
	err := signal(p.PID(), syscall.SIGTERM)
	if err == nil {
		err = p.Wait()
	}
	if err != nil {
		e.t.Fatalf("SIGTERM: %v\n%s", err, said())
	}
}

// nextSecond waits until the clock shows another second, to those too who look at
// it by time(2), which lags by a tick.
func (e *e2e) nextSecond() {
	now := time.Now().Unix()
	e.wait("the next second", func() bool { return time.Now().Add(-50*time.Millisecond).Unix() > now })
}
