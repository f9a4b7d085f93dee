//go:build !windows

package tailer

import (
	"os"
	"syscall"
)

const pipeFlags = os.O_RDWR | syscall.O_NONBLOCK | syscall.O_CLOEXEC
