//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// shell returns what runs a command line. It is a process group of its own, so
// that ^C on a terminal reaches shiplog alone, which lets the command end.
func shell(command string) *exec.Cmd {
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}
