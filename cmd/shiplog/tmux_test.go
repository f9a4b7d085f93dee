package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// terminal is a tmux of its own, in which one program runs.
type terminal struct {
	t      *testing.T
	socket string
}

// needTmux skips loudly where there is no tmux.
func needTmux(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the binary")
	}
	_, err := exec.LookPath("tmux")
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatalf("tmux is missing; install the package tmux: %v", err)
	case err != nil:
		t.Skip("NOT TESTED: tmux is missing; install the package tmux")
	}
}

// newTerminal runs a program in a terminal of 130 columns and 30 lines. What it
// says stays on the screen when it has ended.
func newTerminal(t *testing.T, env string, args ...string) *terminal {
	t.Helper()
	dir, err := os.MkdirTemp("", "tmux") // the path of a socket has to be short
	if err != nil {
		t.Fatal(err)
	}
	x := &terminal{t, filepath.Join(dir, "s")}
	t.Cleanup(func() {
		exec.Command("tmux", "-S", x.socket, "kill-server").Run() //nolint:errcheck // it may have ended
		os.RemoveAll(dir)
	})
	for i, a := range args {
		args[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
	}
	x.tmux("-f", "/dev/null", "new-session", "-d", "-x", "130", "-y", "30", "TERM=screen "+env+" "+strings.Join(args, " ")+"; echo ended $?; exec sleep 1000")
	return x
}

func (x *terminal) tmux(args ...string) string {
	x.t.Helper()
	cmd := exec.CommandContext(x.t.Context(), "tmux", append([]string{"-S", x.socket}, args...)...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "TMUX") || strings.HasPrefix(s, "NO_COLOR") })
	out, err := cmd.CombinedOutput()
	if err != nil {
		x.t.Fatalf("tmux %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// screen is what stands on the terminal.
func (x *terminal) screen() string { return x.tmux("capture-pane", "-p") }

func (x *terminal) press(keys ...string) { x.tmux(append([]string{"send-keys"}, keys...)...) }

// await waits for the screen to be so.
func (x *terminal) await(e *e2e, what string, ok func(screen string) bool) string {
	x.t.Helper()
	last := ""
	defer func() {
		if x.t.Failed() {
			x.t.Logf("the screen:\n%s", last)
		}
	}()
	e.wait(what, func() bool { last = x.screen(); return ok(last) })
	return last
}

// before reports whether a stands on the screen above b.
func before(screen, a, b string) bool {
	i, j := strings.Index(screen, a), strings.Index(screen, b)
	return i >= 0 && j > i
}

// TestTerminal looks at what an operator sees: the live screen of an agent, and
// the progress of run --once, which is shown on a terminal only.
func TestTerminal(t *testing.T) {
	t.Parallel()
	needTmux(t)
	binary := buildAgent(t)
	t.Run("watch", func(t *testing.T) { t.Parallel(); testWatch(t, newE2E(t, binary, newKafka(t))) })
	t.Run("progress", func(t *testing.T) { t.Parallel(); testProgress(t, newE2E(t, binary, "127.0.0.1:1")) })
}

func testWatch(t *testing.T, e *e2e) {
	e.append("alpha.log", "2026-03-02 10:15:04 INFO one line\n")
	e.append("beta.log", strings.Repeat("2026-03-02 10:15:04 INFO more lines\n", 100))
	e.background("run", "--config", e.config)
	e.wait("all lines to arrive", func() bool { return e.count() == 101 })

	x := newTerminal(t, "", e.binary, "status", "--config", e.config, "--watch")
	x.await(e, "both files", func(s string) bool {
		return strings.Contains(s, "alpha.log") && strings.Contains(s, "beta.log") && strings.Contains(s, "sorted by lag")
	})
	x.press("s")
	x.await(e, "the larger file above the other", func(s string) bool {
		return strings.Contains(s, "sorted by size") && before(s, "beta.log", "alpha.log")
	})
	x.press("n")
	x.await(e, "the files by name", func(s string) bool {
		return strings.Contains(s, "sorted by path") && before(s, "alpha.log", "beta.log")
	})
	x.press("Down")
	x.await(e, "the cursor on the second file", func(s string) bool {
		for line := range strings.Lines(s) {
			if strings.HasPrefix(line, "> ") {
				return strings.Contains(line, "beta.log")
			}
		}
		return false
	})
	x.press("Enter")
	size := fmt.Sprintf("%-20s %d bytes", "acknowledged", 100*len("2026-03-02 10:15:04 INFO more lines\n"))
	x.await(e, "the second file alone", func(s string) bool {
		return strings.Contains(s, "beta.log") && !strings.Contains(s, "alpha.log") && strings.Contains(s, size) && strings.Contains(s, "esc goes back")
	})
	x.press("Escape")
	x.await(e, "the list again", func(s string) bool { return strings.Contains(s, "alpha.log") && !strings.Contains(s, "esc goes back") })
	e.append("gamma.log", "2026-03-02 10:15:05 INFO a file that comes\n")
	x.await(e, "the new file, by itself", func(s string) bool { return strings.Contains(s, "gamma.log") })
	x.press("?")
	x.await(e, "the help", func(s string) bool { return strings.Contains(s, "sort by lag, rate, name, size") })
	x.press("q")
	x.await(e, "the end", func(s string) bool { return strings.Contains(s, "ended 0") && !strings.Contains(s, "sorted by") })
}

// testProgress has a run that cannot end, since no broker is there.
func testProgress(t *testing.T, e *e2e) {
	e.append("a.log", strings.Repeat("2026-03-02 10:15:04 INFO a line\n", 4000))
	x := newTerminal(t, "", e.binary, "run", "--once", "--config", e.config)
	x.await(e, "the bar, below what is logged", func(s string) bool {
		return strings.Contains(s, "shipping   0% ") && strings.Contains(s, "/125 KiB") && before(s, "msg=started", "shipping")
	})
	x.press("C-c")
	x.await(e, "the end", func(s string) bool { return strings.Contains(s, "ended 1") && !strings.Contains(s, "shipping   0%") })

	_, said := e.background("run", "--once", "--config", e.config)
	e.wait("what a run that no terminal sees says", func() bool { return strings.Contains(said(), "kafka-unreachable") })
	if strings.Contains(said(), "shipping") || strings.Contains(said(), "\r") {
		t.Errorf("a bar without a terminal:\n%s", said())
	}
}
