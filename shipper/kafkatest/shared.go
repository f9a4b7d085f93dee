package kafkatest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
)

// Shared is one broker for all tests of a package, started by the first that
// asks for it:
//
//	var kafka kafkatest.Shared
//
//	func TestMain(m *testing.M) { goleak.VerifyTestMain(kafka.Main(m)) }
//
//	func TestX(t *testing.T) { broker := kafka.Broker(t) … }
//
// Tests that share it use topics of their own and leave it running.
type Shared struct {
	// Options of the broker. Not to be changed once Broker was called.
	Options Options

	once   sync.Once
	server *server
	err    error
	failed bool // a test that used it failed
	mu     sync.Mutex
}

// Broker returns the shared broker, or ends the test where there is none, as
// Start does. It may be called by parallel tests.
func (s *Shared) Broker(tb testing.TB) *Broker {
	tb.Helper()
	gate(tb)
	// Not the first test's context: the broker outlives it.
	s.once.Do(func() { s.server, s.err = newServer(context.Background(), s.Options) })
	if s.err != nil {
		giveUp(tb, s.err)
	}
	b := &Broker{tb, s.server}
	b.logOnFailure()
	tb.Cleanup(func() {
		if tb.Failed() {
			s.mu.Lock()
			s.failed = true
			s.mu.Unlock()
		}
	})
	return b
}

// Main returns something to be run in place of m: it runs the tests and ends the
// broker after them.
func (s *Shared) Main(m *testing.M) *Main { return &Main{m, s} }

// Main is a testing.M that ends a shared broker.
type Main struct {
	m      *testing.M
	shared *Shared
}

// Run runs the tests, ends the broker and returns the exit status.
func (m *Main) Run() int {
	code := m.m.Run()
	if m.shared.server == nil {
		return code
	}
	if err := m.shared.server.close(m.shared.failed); err != nil {
		fmt.Fprintf(os.Stderr, "end of the broker: %v\n", err)
		return max(code, 1)
	}
	return code
}
