//go:build !windows

package main_test

import (
	"os"
	"os/exec"
	"syscall"
)

// asNobody has a command run without the rights of root, which may do
// everything.
func asNobody(cmd *exec.Cmd) {
	if os.Geteuid() == 0 {
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
}
