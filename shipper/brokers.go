package shipper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
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
	// LastError is the last failure to connect, "" if there was none, and what to
	// do about it.
	LastError string
	// Failures counts failures to connect.
	Failures int64
}

// lostAgain keeps a broker that flaps from filling the log.
const lostAgain = 30 * time.Second

// brokers follows the connections of all clients of a Producer. kgo calls its
// methods from any goroutine.
type brokers struct {
	log  *slog.Logger
	tls  *TLS
	sasl *SASL

	pacer pacer

	mu     sync.Mutex // guards what follows
	byAddr map[string]*brokerEntry
}

type brokerEntry struct {
	Broker
	refused bool // the last failure was no matter of the network: certificates, login
	conns   int
	used    time.Time // when it was last connected to, or tried
	logged  time.Time // when its loss was last logged
	told    bool      // the present loss is in the log
}

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (b *brokers) OnBrokerConnect(meta kgo.BrokerMetadata, _ time.Duration, conn net.Conn, err error) {
	switch paced, ok := conn.(*pacedConn); {
	case errors.As(err, new(*pausedError)):
		return // nobody was dialled
	case errors.Is(err, context.Canceled):
		return // we gave up, as a stop does: that says nothing of the broker
	case err != nil:
		b.pacer.explained(addrOf(meta), err)
	case ok:
		paced.letIn()
	}
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
	text, refused := b.explain(err, now)
	e.LastError, e.refused = text, refused
	e.Failures++
	if e.State != BrokerUnreachable && now.Sub(e.logged) > lostAgain {
		b.log.Warn("broker cannot be reached, trying again [kafka-unreachable]", "broker", e.Addr, "id", e.ID, "error", text)
		e.told, e.logged = true, now
	}
	e.become(BrokerUnreachable, now)
}

// explain tells what a failed connection means and what to do, and whether it is
// a matter of certificates or login.
func (b *brokers) explain(err error, now time.Time) (text string, refused bool) {
	if text := cmp.Or(b.sasl.explain(err), b.tls.explain(err, now)); text != "" {
		return text, true
	}
	if errors.Is(err, io.EOF) {
		return "the broker closed the connection before we were logged in: " +
			"check that TLS and SASL, user name and password are what this listener expects", false
	}
	if b.tls == nil && strings.Contains(err.Error(), "tls alert record") { // kgo's words for the first bytes of an answer
		return "TLS is spoken at this port: set kafka.tls, or name the port of a listener without", true
	}
	return b.sasl.hide(err.Error()), false
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
	addr := addrOf(meta)
	e := b.byAddr[addr]
	if e == nil {
		e = &brokerEntry{Broker: Broker{ID: -1, Addr: addr}}
		b.byAddr[addr] = e
	}
	if meta.NodeID >= 0 {
		e.ID = meta.NodeID
	}
	e.used = time.Now()
	return e
}

func addrOf(meta kgo.BrokerMetadata) string {
	return net.JoinHostPort(meta.Host, strconv.Itoa(int(meta.Port)))
}

// dialer returns what opens all connections, within timeout each.
func (b *brokers) dialer(timeout time.Duration) dialFunc {
	dial := (&net.Dialer{Timeout: timeout}).DialContext
	if b.tls != nil {
		dial = b.tls.dialer(timeout)
	}
	return b.pacer.dialer(dial)
}

// unusedFor is how long a broker that nobody connects to is listed.
const unusedFor = time.Hour

// list returns a copy, sorted by address. Brokers that have left the cluster are
// forgotten after a while.
func (b *brokers) list() []Broker {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.byAddr, func(_ string, e *brokerEntry) bool { return e.conns == 0 && time.Since(e.used) > unusedFor })
	all := make([]Broker, 0, len(b.byAddr))
	for _, e := range b.byAddr {
		all = append(all, e.Broker)
	}
	slices.SortFunc(all, func(x, y Broker) int { return cmp.Compare(x.Addr, y.Addr) })
	return all
}

// unreachable tells why no broker answers; seeds are the addresses to start from.
func (b *brokers) unreachable(seeds []string, err error) string {
	if text := b.refusal(err); text != "" {
		return text
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
	return fmt.Sprintf("no broker of %s answers, is Kafka running, and are the addresses right? (%s) [kafka-unreachable]",
		strings.Join(seeds, ", "), strings.Join(why, "; "))
}

// refusal tells which brokers do not let us in, why, and what to do; "" where
// none was asked lately, or none refuses. err is what a request failed with.
func (b *brokers) refusal(err error) string {
	b.mu.Lock()
	var why []string
	for _, addr := range slices.Sorted(maps.Keys(b.byAddr)) {
		if e := b.byAddr[addr]; e.State == BrokerUnreachable && e.refused {
			why = append(why, fmt.Sprintf("%s: %s", addr, e.LastError))
		}
	}
	b.mu.Unlock()
	if len(why) > 0 {
		return "no way in to broker " + strings.Join(why, "; broker ") + " [kafka-access]"
	}
	if isLogin(err) {
		text, _ := b.explain(err, time.Now())
		return text + " [kafka-access]"
	}
	return ""
}

// describe is the function of that name, with who we are to which brokers where
// that matters.
func (b *brokers) describe(topic string, err error) string {
	if isLogin(err) {
		return b.refusal(err)
	}
	who := ""
	if isForbidden(err) {
		who = b.us()
	}
	return describeTo(topic, err, who)
}

// mayNotRead puts words to a refused fetch.
func (b *brokers) mayNotRead(topic string, err error) error {
	return fmt.Errorf("no right to read topic %q: allow this user READ and DESCRIBE on it%s: %w [kafka-forbidden]", topic, b.us(), err)
}

// us says who we are to which brokers.
func (b *brokers) us() string {
	var addrs []string
	for _, broker := range b.list() {
		addrs = append(addrs, broker.Addr)
	}
	return fmt.Sprintf(" (%s, at broker %s)", b.who(), strings.Join(addrs, ", "))
}

// who says who we are to the brokers.
func (b *brokers) who() string {
	switch {
	case b.sasl != nil:
		return b.sasl.who()
	case b.tls != nil && b.tls.CertFile != "":
		return "the subject of certificate " + LocateFile(b.tls.CertFile)
	}
	return "User:ANONYMOUS"
}
