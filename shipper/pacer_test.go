package shipper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

var errRefused = errors.New("refused") //nolint:gochecknoglobals // a constant that Go cannot express

// host is an address that may be away, and counts who comes.
type host struct {
	mu    sync.Mutex
	away  bool
	takes time.Duration // to answer
	came  []time.Time
}

func (h *host) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	h.mu.Lock()
	h.came = append(h.came, time.Now())
	away, takes := h.away, h.takes
	h.mu.Unlock()
	if takes > 0 && !sleep(ctx, takes) {
		return nil, ctx.Err()
	}
	if away {
		return nil, errRefused
	}
	conn, other := net.Pipe()
	other.Close() //nolint:errcheck // nothing is said
	return conn, nil
}

func (h *host) attempts() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.came)
}

// An address is dialled at once; while it is away, seldom, whoever asks; and the first
// connection lets all others in.
func TestPacer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pacer
		h := &host{}
		dial := p.dialer(h.dial)
		for range 3 {
			conn, err := dial(t.Context(), "tcp", "k:1")
			if err != nil {
				t.Fatal(err)
			}
			conn.(*pacedConn).letIn()
			conn.Close() //nolint:errcheck // we end it: that is no loss
		}
		h.away, h.came = true, nil
		const outage = 10 * time.Minute
		var asked int
		for began := time.Now(); time.Since(began) < outage; time.Sleep(10 * time.Millisecond) {
			asked++
			if _, err := dial(t.Context(), "tcp", "k:1"); !errors.Is(err, errRefused) {
				t.Fatalf("%v, want the failure", err)
			}
		}
		// From 6 pauses that grow, and then one of 3 to 6 s after the other.
		if n := h.attempts(); n < int(outage/longestPause) || n > int(outage/(longestPause/2))+10 {
			t.Errorf("%d attempts in %s, asked for %d times", n, outage, asked)
		}
		if left, ok := p.until(time.Now()); !ok || left <= 0 || left > longestPause {
			t.Errorf("the pause has %s left, %t", left, ok)
		}
		if _, err := dial(t.Context(), "tcp", "k:2"); !errors.Is(err, errRefused) || h.came[len(h.came)-1] != time.Now() {
			t.Errorf("another address was not dialled at once: %v", err)
		}
		h.away = false
		began := time.Now()
		for {
			conn, err := dial(t.Context(), "tcp", "k:1")
			if err == nil {
				conn.(*pacedConn).letIn()
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if late := time.Since(began); late > longestPause {
			t.Errorf("it came back after %s", late)
		}
		if _, err := dial(t.Context(), "tcp", "k:1"); err != nil {
			t.Errorf("the second connection has to wait: %v", err)
		}
	})
}

// After a pause one attempt is made, and its outcome is that of all who came meanwhile.
func TestPacerTriesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, away := range []bool{true, false} {
			var p pacer
			h := &host{away: true}
			dial := p.dialer(h.dial)
			_, _ = dial(t.Context(), "tcp", "k:1")
			time.Sleep(longestPause)
			h.away, h.takes, h.came = away, time.Second, nil
			var good, bad atomic.Int32
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					conn, err := dial(t.Context(), "tcp", "k:1")
					if err != nil {
						bad.Add(1)
						return
					}
					good.Add(1)
					conn.(*pacedConn).letIn()
				})
			}
			time.Sleep(time.Second / 2)
			if n := h.attempts(); n != 1 {
				t.Errorf("%d attempts at once", n)
			}
			wg.Wait()
			if away && bad.Load() != 20 || !away && good.Load() != 20 {
				t.Errorf("away %t: %d were let in, %d not", away, good.Load(), bad.Load())
			}
			if away && h.attempts() != 1 {
				t.Errorf("%d attempts, though the first failed", h.attempts())
			}
		}
	})
}

// Who gives an attempt up says nothing of the address, and leaves it to another.
func TestPacerGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pacer
		h := &host{away: true}
		dial := p.dialer(h.dial)
		_, _ = dial(t.Context(), "tcp", "k:1")
		time.Sleep(longestPause)
		h.away, h.takes = false, time.Second
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second/2, cancel)
		if _, err := dial(ctx, "tcp", "k:1"); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want that it was cancelled", err)
		}
		conn, err := dial(t.Context(), "tcp", "k:1")
		if err != nil {
			t.Fatal(err)
		}
		conn.Close() //nolint:errcheck // before we were let in: that is a failure
		if _, err := dial(t.Context(), "tcp", "k:1"); err == nil || h.attempts() != 3 {
			t.Errorf("%d attempts, %v: an address that does not let us in is dialled at once", h.attempts(), err)
		}
	})
}

// ending is a connection whose other end does something.
type ending struct {
	net.Conn
	err error
}

func (e ending) Read([]byte) (int, error) { return 0, e.err }
func (e ending) Close() error             { return nil }

// How a connection ends says whether all may come back at once.
func TestPacerAfterAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			name   string
			good   bool
			err    error
			paused bool
		}{
			{"closed by us", true, net.ErrClosed, false},
			{"too slow", true, context.DeadlineExceeded, false},
			{"closed by the broker", true, io.EOF, true},
			{"reset", true, fmt.Errorf("read: %w", syscall.ECONNRESET), true},
			{"closed before we were let in", false, io.EOF, true},
			{"reset once before we were let in", false, syscall.ECONNRESET, false},
		} {
			var p pacer
			conn := &pacedConn{Conn: ending{err: c.err}, pacer: &p, addr: "k:1"}
			if c.good {
				conn.letIn()
			}
			_, _ = conn.Read(nil)
			conn.Close() //nolint:errcheck // it cannot fail
			conn.Close() //nolint:errcheck // again is nothing new
			_, paused := p.until(time.Now())
			if paused != c.paused {
				t.Errorf("%s: paused %t, want %t", c.name, paused, c.paused)
			}
			time.Sleep(lostPause)
			if err := p.wait(t.Context(), "k:1"); err != nil {
				t.Errorf("%s: after a second: %v", c.name, err)
			}
		}
		var p pacer
		for n := 1; n <= 2*quickResets; n++ { // kgo makes three attempts in a row, and the third is another
			if err := p.wait(t.Context(), "k:1"); err != nil {
				t.Fatalf("attempt %d: %v", n, err)
			}
			p.failed("k:1", syscall.ECONNRESET, time.Now())
			if n%quickResets == 0 {
				if err := p.wait(t.Context(), "k:1"); err == nil {
					t.Errorf("after %d resets there is no pause", n)
				}
				time.Sleep(longestPause)
			}
		}
	})
}

// gateway is a listener before a broker, which can be closed for a while.
type gateway struct {
	net.Listener

	mu     sync.Mutex // guards what follows
	closed bool
	came   []time.Time // while it was closed
	inside []net.Conn
}

func (g *gateway) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		g.mu.Lock()
		if !g.closed {
			g.inside = append(g.inside, c)
			g.mu.Unlock()
			return c, nil
		}
		g.came = append(g.came, time.Now())
		g.mu.Unlock()
		c.Close() //nolint:errcheck // it is turned away
	}
}

func (g *gateway) shut(closed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = closed
	if closed {
		for _, c := range g.inside {
			c.Close() //nolint:errcheck // the broker is gone
		}
		g.inside = nil
	}
}

func (g *gateway) attempts() []time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.came)
}

// A Producer, all of whose clients ask on, comes seldom to a broker that is away, and
// is well when it is back.
func TestProducerPacesItsDials(t *testing.T) {
	t.Parallel()
	var g *gateway
	c := cluster(t, kfake.SeedTopics(4, "logs"), kfake.ListenFn(func(network, address string) (net.Listener, error) {
		l, err := net.Listen(network, address)
		g = &gateway{Listener: l}
		return g, err
	}))
	r := newRig(t, Options{Brokers: c.ListenAddrs()})
	r.settle(r.produce(batch(1, numbered(1, 0, 5)...)))
	g.shut(true)
	var batches []*Batch
	for s := range uint64(20) {
		batches = append(batches, r.produce(batch(s, numbered(s, 5, 5)...)))
	}
	eventually(t, "it has come again and again", func() bool { return len(g.attempts()) >= 5 })
	r.problem("no broker of")
	// Each attempt is one that the pacer let through, and knows the failure of: the one
	// before it, and the loss of the first connection, may make a difference.
	p := &r.brokers.pacer
	p.mu.Lock()
	failures := p.addrs[c.ListenAddrs()[0]].failures
	p.mu.Unlock()
	if n := len(g.attempts()); n > failures+1 {
		t.Errorf("%d attempts, of which the pacer knows %d", n, failures)
	}
	g.shut(false)
	r.settle(batches...)
	r.healed()
}
