//go:build unix

package main_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"shiplog/shipper/kafkatest/child"
)

// manager is a service manager's end of sd_notify(3).
type manager struct {
	socket string
	mu     sync.Mutex
	told   []string // one for each line of each message
}

func newManager(t *testing.T) *manager {
	t.Helper()
	dir, err := os.MkdirTemp("", "notify-") // t.TempDir's path may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	m := &manager{socket: filepath.Join(dir, "s")}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	var reader sync.WaitGroup
	reader.Go(func() {
		buf := make([]byte, 8<<10)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.told = append(m.told, strings.Split(strings.TrimSpace(string(buf[:n])), "\n")...)
			m.mu.Unlock()
		}
	})
	t.Cleanup(func() { c.Close(); reader.Wait() })
	return m
}

// count returns how many of the lines that were told begin with prefix.
func (m *manager) count(prefix string) (n int, last string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, line := range m.told {
		if strings.HasPrefix(line, prefix) {
			n, last = n+1, line
		}
	}
	return n, last
}

// TestServiceManager has the built binary tell a service manager that it has
// started, that it lives, how it stands, and that it stops.
func TestServiceManager(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds the binary")
	}
	e := newE2E(t, buildAgent(t), newKafka(t))
	m := newManager(t)
	log, err := os.Create(filepath.Join(e.dir, "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(e.binary, "run", "--config", e.config)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+m.socket, "WATCHDOG_USEC=1500000")
	e.append("a.log", "one\n")
	p, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Kill() })
	told := func(prefix string, n int) func() bool {
		return func() bool { got, _ := m.count(prefix); return got >= n }
	}
	e.wait("READY=1", told("READY=1", 1))
	e.wait("three pings of the watchdog", told("WATCHDOG=1", 3))
	e.wait("a status without lag", func() bool { _, last := m.count("STATUS="); return last == "STATUS=1 files, 0 B behind" })
	e.append("a.log", "no end yet")
	e.wait("a status with lag", func() bool { _, last := m.count("STATUS="); return last == "STATUS=1 files, 10 B behind" })
	if err := signal(p.PID(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	e.wait("RELOADING=1, and READY=1 after it", func() bool {
		reloads, _ := m.count("RELOADING=1")
		ready, _ := m.count("READY=1")
		return reloads == 1 && ready == 2
	})
	if err := signal(p.PID(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	e.wait("STOPPING=1", told("STOPPING=1", 1))
	e.wait("the time that the stop may take", told(fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", 23_000_000), 1))
	if n, _ := m.count("READY=1"); n != 2 {
		t.Errorf("READY=1 was told %d times: %q", n, m.told)
	}
}
