package shipper

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// BrokerState says what is known of a broker.
type BrokerState string

// The states of a broker.
const (
	BrokerConnected   BrokerState = "connected"
	BrokerIdle        BrokerState = "idle"        // reached before, no connection is needed now
	BrokerUnreachable BrokerState = "unreachable" // the last attempt to connect failed
)

// Broker is what is known of one broker. One to which nothing was said yet is not listed.
type Broker struct {
	// ID is Kafka's number for it, -1 for an address of Options.Brokers
	// that has not told its number.
	ID int32
	// Addr is host:port.
	Addr  string
	State BrokerState
	// Since is when State began.
	Since time.Time
	// LastError is the last failure to connect, "" if there was none.
	LastError string
}

// lostAgain keeps a broker that flaps from filling the log.
const lostAgain = 30 * time.Second

// brokers follows the connections of all clients of a Producer. kgo calls its
// methods from any goroutine.
type brokers struct {
	log *slog.Logger

	mu     sync.Mutex // guards what follows
	byAddr map[string]*brokerEntry
}

type brokerEntry struct {
	Broker
	conns  int
	logged time.Time // when its loss was last logged
	told   bool      // the present loss is in the log
}

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (b *brokers) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entry(meta)
	now := time.Now()
	if err == nil {
		e.conns++
		if e.told {
			b.log.Info("broker is back", "broker", e.Addr, "id", e.ID, "after", now.Sub(e.Since).Round(time.Millisecond))
			e.told = false
		}
		e.become(BrokerConnected, now)
		return
	}
	text := explainConnect(err)
	e.LastError = text
	if e.State != BrokerUnreachable && now.Sub(e.logged) > lostAgain {
		b.log.Warn("broker cannot be reached, trying again", "broker", e.Addr, "id", e.ID, "error", text)
		e.told, e.logged = true, now
	}
	e.become(BrokerUnreachable, now)
}

// explainConnect tells what a failed connection means where the error itself does not.
func explainConnect(err error) string {
	if errors.Is(err, io.EOF) {
		return "the broker closed the connection before we were logged in: " +
			"check that TLS and SASL, user name and password are what this listener expects"
	}
	return err.Error()
}

// OnBrokerDisconnect implements kgo.HookBrokerDisconnect. That a connection
// ends is no fault: kgo closes those it does not use.
func (b *brokers) OnBrokerDisconnect(meta kgo.BrokerMetadata, _ net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entry(meta)
	e.conns = max(e.conns-1, 0)
	if e.conns == 0 && e.State == BrokerConnected {
		e.become(BrokerIdle, time.Now())
	}
}

func (e *brokerEntry) become(state BrokerState, now time.Time) {
	if e.State != state {
		e.State, e.Since = state, now
	}
}

// entry needs the lock. A broker is known by its address: first as a seed,
// without a number, then by its number.
func (b *brokers) entry(meta kgo.BrokerMetadata) *brokerEntry {
	if b.byAddr == nil {
		b.byAddr = make(map[string]*brokerEntry)
	}
	addr := net.JoinHostPort(meta.Host, strconv.Itoa(int(meta.Port)))
	e := b.byAddr[addr]
	if e == nil {
		e = &brokerEntry{Broker: Broker{ID: -1, Addr: addr}}
		b.byAddr[addr] = e
	}
	if meta.NodeID >= 0 {
		e.ID = meta.NodeID
	}
	return e
}

// list returns a copy, sorted by address.
func (b *brokers) list() []Broker {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]Broker, 0, len(b.byAddr))
	for _, e := range b.byAddr {
		all = append(all, e.Broker)
	}
	slices.SortFunc(all, func(x, y Broker) int { return cmp.Compare(x.Addr, y.Addr) })
	return all
}

// unreachable tells why no broker answers; seeds are the addresses to start from.
func (b *brokers) unreachable(seeds []string, err error) string {
	if isLogin(err) {
		return describe("", err)
	}
	why := []string{}
	for _, b := range b.list() {
		if b.State == BrokerUnreachable {
			why = append(why, fmt.Sprintf("%s: %s", b.Addr, b.LastError))
		}
	}
	if len(why) == 0 {
		why = append(why, err.Error())
	}
	return fmt.Sprintf("no broker of %s answers, is Kafka running, and are the addresses right? (%s)",
		strings.Join(seeds, ", "), strings.Join(why, "; "))
}
