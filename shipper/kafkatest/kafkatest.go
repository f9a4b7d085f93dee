// Package kafkatest gives tests a real Apache Kafka: one KRaft node on loopback
// ports, fetched once into the user's cache folder, that can be killed, paused
// and started again. It also gives them librdkafka, as a consumer that shares no
// code with ours.
//
// What it gives is slow to start, so a test gets it only where the environment
// has SHIPLOG_REAL_KAFKA=1, and is skipped elsewhere. Where a program that it
// needs is not installed the test is skipped too; with CI=true it fails.
package kafkatest

import (
	"errors"
	"fmt"
	"os"
	"testing"
)

// DefaultVersion is the Kafka that is started where Options name none.
const DefaultVersion = "4.4.0"

// Options say what broker a test wants. The zero value is a usual one.
type Options struct {
	// Version of Apache Kafka: 4.1.0 or later, or LegacyVersion; DefaultVersion if empty.
	Version string
	// Properties are added to server.properties, or replace what stands there.
	Properties map[string]string
	// Topics to create: name to number of partitions.
	Topics map[string]int32
	// Listeners are added to the plaintext one.
	Listeners []Listener
	// JVM are options of java, as -Dname=value.
	JVM []string
}

// Listener is one more port of a broker.
type Listener struct {
	// Name is one that Kafka takes: letters and underscores.
	Name string
	// Protocol is PLAINTEXT, SSL, SASL_SSL or SASL_PLAINTEXT.
	Protocol string
	// Advertised is what the broker tells clients to connect to, host:port; "" is
	// where it listens.
	Advertised string
	// Properties of this listener: listener.name.NAME. goes before their names.
	Properties map[string]string
}

// Broker is a running Kafka, in the hands of one test. Its methods end the test
// when they fail, so only the test's own goroutine may call them, as with
// tb.Fatal; Addr and PID are for all.
type Broker struct {
	tb     testing.TB
	server *server
}

// Start starts a broker that ends with the test. It returns when the broker
// answers. Should the test fail, it prints the end of the broker's log and
// leaves the log behind.
func Start(tb testing.TB, o Options) *Broker {
	tb.Helper()
	gate(tb)
	s, err := newServer(tb.Context(), o)
	if err != nil {
		giveUp(tb, err)
	}
	tb.Cleanup(func() {
		if err := s.close(tb.Failed()); err != nil {
			tb.Errorf("end of the broker: %v", err)
		}
	})
	b := &Broker{tb, s}
	b.logOnFailure()
	return b
}

// Addr returns the address of the plaintext listener as host:port. It stays the
// same over Restart.
func (b *Broker) Addr() string { return b.server.addr }

// ListenerAddr returns the address of one of Options.Listeners, with the host
// localhost. It stays the same over Restart.
func (b *Broker) ListenerAddr(name string) string {
	addr := b.server.listeners[name]
	if addr == "" {
		b.tb.Fatalf("the broker has no listener %s", name)
	}
	return addr
}

// PID returns the broker's process id, 0 while it is down.
func (b *Broker) PID() int { return b.server.pid() }

// Stop shuts the broker down in order (SIGTERM). Its data stays.
func (b *Broker) Stop() {
	b.tb.Helper()
	b.check("stop", b.server.stop())
}

// Kill ends the broker at once (SIGKILL). Its data stays.
func (b *Broker) Kill() {
	b.tb.Helper()
	b.check("kill", b.server.kill())
}

// Restart starts the broker again on the same ports and data, after stopping it
// if it is up. It returns when the broker answers.
func (b *Broker) Restart() {
	b.tb.Helper()
	err := b.server.stop()
	if err == nil {
		err = b.server.start(b.tb.Context())
	}
	b.check("restart", err)
}

// Pause freezes the broker (SIGSTOP): connections stay open and nothing answers.
// There is no such thing on Windows, where the test is skipped.
func (b *Broker) Pause() {
	b.tb.Helper()
	err := b.server.pause()
	if errors.Is(err, errors.ErrUnsupported) {
		b.tb.Skipf("a process cannot be paused here: %v", err)
	}
	b.check("pause", err)
}

// Resume lets a paused broker go on (SIGCONT).
func (b *Broker) Resume() {
	b.tb.Helper()
	b.check("resume", b.server.resume())
}

func (b *Broker) check(what string, err error) {
	b.tb.Helper()
	if err != nil {
		b.tb.Fatalf("%s the broker: %v", what, err)
	}
}

func (b *Broker) logOnFailure() {
	b.tb.Cleanup(func() {
		if b.tb.Failed() {
			b.tb.Logf("end of the broker's log, %s:\n%s", b.server.logPath(), b.server.logTail())
		}
	})
}

// gateEnv switches the tests on that need what this package gives.
const gateEnv = "SHIPLOG_REAL_KAFKA"

// gate skips a test where real Kafka was not asked for.
func gate(tb testing.TB) {
	tb.Helper()
	if os.Getenv(gateEnv) != "1" {
		tb.Skipf("needs a real Kafka: set %s=1, or run make test-kafka", gateEnv)
	}
}

// missingError says what is not installed, and how to get it.
type missingError struct{ program, remedy string }

func (e *missingError) Error() string {
	return fmt.Sprintf("%s IS MISSING: %s", e.program, e.remedy)
}

// giveUp ends a test that cannot have what it asked for.
func giveUp(tb testing.TB, err error) {
	tb.Helper()
	if missing := (*missingError)(nil); errors.As(err, &missing) && os.Getenv("CI") != "true" {
		tb.Skipf("SKIPPED, %v", err)
	}
	tb.Fatalf("real Kafka for tests: %v", err)
}
