//go:build !windows

package child

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// roleEnv makes the test binary act as a child.
const roleEnv = "SHIPLOG_CHILD_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "obedient": // says that it is there, ends on SIGTERM with status 3
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		fmt.Fprintln(os.Stderr, "ready")
		<-c
		os.Exit(3)
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
		fmt.Fprintln(os.Stderr, "ready")
		<-time.After(time.Minute)
		os.Exit(4)
	case "parent": // starts a deaf one and waits
		p, err := Start(self("deaf", os.Stderr))
		if err != nil {
			os.Exit(5)
		}
		<-p.Done()
		os.Exit(6)
	case "talker":
		fmt.Fprint(os.Stderr, "out and about")
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// self is this test binary in a role, its output going to w.
func self(role string, w *os.File) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"="+role)
	if w != nil {
		cmd.Stderr = w
	}
	return cmd
}

// start starts this binary in a role and returns when it has said "ready".
// The pipe ends when all that inherited it have ended.
func start(t *testing.T, role string) (*Process, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	p, err := Start(self(role, w))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
	})
	w.Close()
	if err := r.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var got [6]byte
	if _, err := r.Read(got[:]); err != nil || string(got[:5]) != "ready" {
		t.Fatalf("the child said %q, %v", got, err)
	}
	return p, r
}

func TestStop(t *testing.T) {
	p, _ := start(t, "obedient")
	if err := p.Stop(20 * time.Second); err != nil {
		t.Errorf("Stop: %v", err)
	}
	var exit *exec.ExitError
	if err := p.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("ended with %v, want status 3", err)
	}
	if err := p.Stop(time.Second); err != nil {
		t.Errorf("Stop of an ended process: %v", err)
	}
}

func TestStopPaused(t *testing.T) {
	p, _ := start(t, "obedient")
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(20 * time.Second); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

func TestStopKillsTheDeaf(t *testing.T) {
	p, _ := start(t, "deaf")
	if err := p.Stop(50 * time.Millisecond); err == nil || !strings.Contains(err.Error(), "was killed") {
		t.Errorf("Stop = %v, want that it was killed", err)
	}
	select {
	case <-p.Done():
	default:
		t.Error("Stop returned before the end")
	}
}

func TestStartOfNothing(t *testing.T) {
	if _, err := Start(exec.Command("/no/such/program")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Start = %v, want that it does not exist", err)
	}
}

func TestRun(t *testing.T) {
	out, err := Run(t.Context(), self("talker", nil))
	if err != nil || string(out) != "out and about" {
		t.Errorf("Run = %q, %v", out, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Run(ctx, self("deaf", nil)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run of one that does not end = %v", err)
	}
}
