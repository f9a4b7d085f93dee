package main

import (
	"os/exec"
	"syscall"
)

// shell returns what runs a command line, whose quotes are cmd's own. It is a
// process group of its own, so that ^C reaches shiplog alone, which lets the
// command end.
func shell(command string) *exec.Cmd {
	cmd := exec.Command("cmd.exe")
	cmd.SysProcAttr = &syscall.SysProcAttr{CmdLine: `cmd.exe /S /C "` + command + `"`, CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP}
	return cmd
}
