package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// commandEnv has this test be a shiplog that carries the command out which it holds.
const commandEnv = "SHIPLOG_TEST_COMMAND"

// TestAsksNoTerminal runs commands on a terminal: what comes is what they print,
// coloured where that was not refused, and nothing that a terminal would answer.
func TestAsksNoTerminal(t *testing.T) {
	if command := os.Getenv(commandEnv); command != "" {
		os.Exit(run(t.Context(), strings.Fields(command), os.Stdin, os.Stdout, os.Stderr))
	}
	log := file(t, "a.log", "{message: broken\n")
	const red = "\x1b[31m"
	for _, c := range []struct {
		command, env, want string
		coloured           bool
	}{
		{"version", "", "shiplog dev", false},
		{"parse --format json " + log, "", red + `{"message":"{message: broken"`, true},
		{"parse --format json " + log, "NO_COLOR=1", `{"message":"{message: broken"`, false},
		{"parse --format json " + log, "TERM=dumb", `{"message":"{message: broken"`, false},
	} {
		out := onTerminal(t, c.command, c.env)
		if !strings.Contains(out, c.want) || strings.Contains(out, "\x1b") != c.coloured {
			t.Errorf("%s %s: %q", c.env, c.command, out)
		}
		for _, query := range []string{"\x1b]", "\x1b[6n", "\x1b[c", "\x1bP"} {
			if strings.Contains(out, query) {
				t.Errorf("%s %s asks the terminal: %q", c.env, c.command, out)
			}
		}
	}
}

// onTerminal returns all that a command writes to the terminal on which it runs.
func onTerminal(t *testing.T, command, env string) string {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAsksNoTerminal$")
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", "NO_COLOR=", env, commandEnv+"="+command)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true} // a library may look whether it is in the foreground
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	var out bytes.Buffer
	_, _ = io.Copy(&out, master) // that the other side has closed is an error here
	if err := cmd.Wait(); err != nil {
		t.Errorf("%s: %v", command, err)
	}
	return out.String()
}
