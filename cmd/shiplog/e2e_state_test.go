package main_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"shiplog/agent"
)

// TestStateBinary looks at the state, and changes it, with the built binary:
// while an agent runs and while none does.
func TestStateBinary(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds the binary")
	}
	binary := buildAgent(t)
	t.Run("stopped", func(t *testing.T) { testState(t, newE2E(t, binary, newKafka(t)), false) })
	t.Run("running", func(t *testing.T) { testState(t, newE2E(t, binary, newKafka(t)), true) })
	t.Run("odd names", func(t *testing.T) { testOddNames(t, newE2E(t, binary, newKafka(t))) })
	t.Run("rights", func(t *testing.T) { testRights(t, newE2E(t, binary, newKafka(t))) })
	t.Run("pin", func(t *testing.T) { testPin(t, newE2E(t, binary, newKafka(t))) })
}

// want runs the binary and wants an exit status and texts.
func (e *e2e) want(args []string, code int, texts ...string) string {
	e.t.Helper()
	got, out, said := e.call(append(args, "--config", e.config)...)
	for _, want := range texts {
		if !strings.Contains(out+said, want) {
			e.t.Errorf("%q: %q is not said", args, want)
		}
	}
	if got != code || e.t.Failed() {
		e.t.Fatalf("%q: exit %d, want %d\n%s%s", args, got, code, out, said)
	}
	return out
}

// files returns what state list --json shows.
func (e *e2e) files() (out []agent.KnownFile) {
	e.t.Helper()
	d := json.NewDecoder(strings.NewReader(e.want([]string{"state", "list", "--json"}, 0)))
	for d.More() {
		k := agent.KnownFile{}
		if err := d.Decode(&k); err != nil {
			e.t.Fatal(err)
		}
		out = append(out, k)
	}
	return out
}

func testState(t *testing.T, e *e2e, running bool) {
	file := filepath.Join(e.dir, "a.log")
	e.append("a.log", "one\ntwo\nthree\n")
	sent := int64(3)
	start := func() {}
	if running {
		e.background("run", "--config", e.config)
	} else {
		start = func() { e.want([]string{"run", "--once"}, 0) }
	}
	settled := func(what string) {
		t.Helper()
		start()
		e.wait(what, func() bool { fs := e.files(); return e.count() == sent && len(fs) == 1 && fs[0].Saved == 14 })
	}
	e.wait("an agent", func() bool { _, err := os.Stat(filepath.Join(e.dir, "state")); return !running || err == nil })
	start()
	e.wait("the lines", func() bool { return e.count() == sent })
	settled("the checkpoint")
	e.want([]string{"state", "list"}, 0, "14", "there", file)
	who := "none runs"
	if running {
		who = "process "
	}
	show := e.want([]string{"state", "show", file}, 0, "14 bytes are acknowledged", "head mark", "of 14 bytes", who)
	if held := strings.Contains(show, "descriptor"); running && runtime.GOOS == "linux" && !held {
		t.Errorf("no descriptor: %s", show)
	}
	e.want([]string{"state", "rewind", file, "--to", "5"}, 1, "the next ones are 4 and 8")
	e.want([]string{"state", "rewind", file, "--to", "99"}, 1, "beyond 14")
	e.want([]string{"state", "show", file + "x"}, 1, "is not known")
	e.want([]string{"state", "rewind", file, "--to", "4"}, 0, "set back from 14 to 4: 10 bytes are sent again")
	sent += 2
	settled("two lines again")
	e.want([]string{"state", "rewind", e.files()[0].ID, "--to-line", "3"}, 0, "6 bytes are sent again")
	sent++
	settled("one line again")
	e.want([]string{"state", "rewind", file, "--to", "beginning", "--json"}, 0, `"bytes":14`)
	sent += 3
	settled("all lines again")
	id := e.files()[0].ID
	e.want([]string{"state", "forget", file}, 0, "is forgotten; 14 bytes", "with a new id")
	sent += 3
	settled("all lines once more")
	if e.files()[0].ID == id {
		t.Error("the forgotten file has its old id")
	}
	e.want([]string{"why", file}, 0, "14 of 14 bytes")
	if out := e.want([]string{"why", file, "--json"}, 0); !strings.Contains(out, `"read":true`) {
		t.Error(out)
	}
	e.want([]string{"why", file + ".txt"}, 1, "wants *.log where the path has a.log.txt")
}

// testOddNames wants names that would spoil a terminal or a line printed safely.
func testOddNames(t *testing.T, e *e2e) {
	if runtime.GOOS != "linux" {
		t.Skip("not every system takes such names")
	}
	odd := "a b\n\x1b[31m\xff.log"
	e.append(odd, "one\n")
	e.want([]string{"run", "--once"}, 0)
	path := filepath.Join(e.dir, odd)
	quoted := `a b\n\x1b[31m\xff.log"`
	for _, args := range [][]string{{"state", "list"}, {"state", "show", path}, {"why", path}, {"state", "rewind", path, "--to", "0"}, {"state", "list", "--json"}, {"state", "forget", path}} {
		out := e.want(args, 0)
		if strings.Contains(out, "\x1b") || strings.Contains(out, "\xff") || strings.Contains(out, "a b\n") {
			t.Errorf("%q prints %q", args, out)
		}
		if args[len(args)-1] != "--json" && !strings.Contains(out, quoted) {
			t.Errorf("%q does not name the file: %q", args, out)
		}
		if args[1] == "rewind" {
			e.want([]string{"run", "--once"}, 0)
		}
	}
	if n := e.count(); n != 2 {
		t.Errorf("%d records, want 2", n)
	}
}

// testRights asks as a user who may not do everything.
func testRights(t *testing.T, e *e2e) {
	if runtime.GOOS == "windows" {
		t.Skip("other rights")
	}
	ask := func(want string, args ...string) {
		t.Helper()
		cmd := exec.Command(e.binary, append(args, "--config", e.config)...)
		asNobody(cmd)
		out, err := cmd.CombinedOutput()
		if err == nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), want) {
			t.Errorf("%v: %v: %q is not said\n%s", args, err, want, out)
		}
	}
	for _, dir := range []string{filepath.Dir(filepath.Dir(e.binary)), filepath.Dir(e.binary), filepath.Dir(e.dir), e.dir} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(e.config, 0o644); err != nil {
		t.Fatal(err)
	}
	e.append("a.log", "one\n")
	locked := filepath.Join(e.dir, "locked dir")
	if err := os.Mkdir(locked, 0o700); err != nil {
		t.Fatal(err)
	}
	e.append("locked dir/b.log", "one\n")
	if err := os.Chmod(locked, 0o000); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(e.dir, "a.log"), 0o000); err != nil {
		t.Fatal(err)
	}
	ask(":r "+filepath.Join(e.dir, "a.log"), "why", filepath.Join(e.dir, "a.log"))
	ask(":x '"+locked+"'", "why", filepath.Join(locked, "b.log"))
	ask(":r "+filepath.Join(e.dir, "a.log"), "check", "--connect")
}

// testPin keeps a rotated file over its removal and a restart, with Kafka away.
func testPin(t *testing.T, e *e2e) {
	broker := e.broker
	e.broker = "127.0.0.1:1"
	e.configure("")
	config, err := os.ReadFile(e.config)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		if err := os.WriteFile(e.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := strings.Replace(string(config), "  - paths", "  - pin: true\n    paths", 1)
	text = strings.Replace(text, "shutdown_timeout: 3s", "shutdown_timeout: 100ms", 1)
	write(text)
	e.append("a.log", "one\ntwo\n")
	p, said := e.background("run", "--config", e.config)
	pinned := func() bool { fs := e.files(); return len(fs) == 1 && fs[0].Pinned }
	e.wait("the file to be found", func() bool { return strings.Contains(said(), "file found") })
	e.wait("the file to be read", func() bool { fs := e.files(); return len(fs) == 1 && fs[0].Live != nil && fs[0].Live.Read == 8 })
	if err := os.Rename(filepath.Join(e.dir, "a.log"), filepath.Join(e.dir, "a.log.1")); err != nil {
		t.Fatal(err)
	}
	e.wait("a pin", pinned)
	e.want([]string{"why", filepath.Join(e.dir, "a.log.1")}, 0, "A pin keeps it")
	if err := os.Remove(filepath.Join(e.dir, "a.log.1")); err != nil {
		t.Fatal(err)
	}
	p.Kill()
	if err := p.Wait(); err == nil {
		t.Fatal("a killed agent ended well")
	}
	e.broker = broker
	write(strings.Replace(text, "127.0.0.1:1\"", broker+"\"", 1))
	e.background("run", "--config", e.config)
	e.wait("the lines", func() bool { return e.count() == 2 })
	e.wait("the pin to go", func() bool {
		names, err := os.ReadDir(filepath.Join(e.dir, "state", "pins"))
		return err == nil && len(names) == 0
	})
	if n := e.count(); n != 2 {
		t.Errorf("%d records, want 2", n)
	}
}
