package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestUnderWine runs shiplog.exe, the whole of it, under wine: make test-wine
// builds it and says where wine is. Kafka is a process of this system.
//
// The files are renamed and removed by wine's own commands, which wine refuses,
// as Windows does, where somebody has opened them without sharing that.
func TestUnderWine(t *testing.T) {
	wine, exe := os.Getenv("SHIPLOG_WINE"), os.Getenv("SHIPLOG_EXE")
	if wine == "" || exe == "" {
		t.Skip("make test-wine runs this")
	}
	script := filepath.Join(t.TempDir(), "shiplog")
	if err := os.WriteFile(script, fmt.Appendf(nil, "#!/bin/sh\nexec %q %q \"$@\"\n", wine, exe), 0o700); err != nil {
		t.Fatal(err)
	}
	e := newE2E(t, script, newKafka(t))
	cmd := func(args ...string) {
		t.Helper()
		c := exec.Command(wine, append([]string{"cmd.exe", "/c"}, args...)...)
		c.Dir = e.dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	once := func() {
		t.Helper()
		if code, _, said := e.call("run", "--once", "--config", e.config); code != 0 {
			t.Fatalf("run --once: %d\n%s", code, said)
		}
	}

	e.append("app.log", "line 1\r\nline 2\n")
	e.append("other.log", "line 3\n")
	once()
	once() // nothing comes twice
	e.append("app.log", "line 4\n")
	cmd("ren", "app.log", "app.log.1")
	e.append("app.log", "line 5\n")
	once()
	e.eachOnce(5)

	// It follows, while files are renamed, made anew and removed.
	p, said := e.background("run", "--config", e.config)
	e.append("app.log", "line 6\n")
	e.wait("line 6", func() bool { return e.count() == 6 })
	cmd("ren", "app.log", "app.log.2")
	e.append("app.log", "line 7\n")
	e.wait("line 7", func() bool { return e.count() == 7 })
	cmd("del", "app.log.2")
	e.append("app.log", "line 8\n")
	e.wait("line 8", func() bool { return e.count() == 8 })
	if err := p.Kill(); err != nil { // wine passes no signal on: this is a crash
		t.Fatal(err)
	}
	if text := said(); strings.Contains(text, "level=ERROR") {
		t.Errorf("it said:\n%s", text)
	}
	e.append("app.log", "line 9\n")
	once() // what was sent before the crash is read back
	e.eachOnce(9)

	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"check", "--config", e.config}, 0, "is right"},
		{[]string{"verify", "--config", e.config}, 0, ""},
		{[]string{"state", "list", "--config", e.config}, 0, "app.log"},
		{[]string{"service"}, 2, "install"},
		{[]string{"run", "--config", filepath.Join(e.dir, "none.yaml")}, 2, "none.yaml"},
	} {
		code, out, errOut := e.call(c.args...)
		if code != c.code || !strings.Contains(out+errOut, c.want) {
			t.Errorf("%v: %d, want %d and %q\n%s%s", c.args, code, c.code, c.want, out, errOut)
		}
	}
}
