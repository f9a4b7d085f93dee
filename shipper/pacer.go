package shipper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// firstPause and longestPause bound what is waited between two attempts to reach a
	// broker; a pause is drawn from the upper half of what it may be.
	firstPause   = 100 * time.Millisecond
	longestPause = 6 * time.Second
	// lostPause bounds what is waited when a connection that was good is lost: all
	// agents lose theirs at the same instant.
	lostPause = time.Second
	// quickResets is how often a connection that is reset while it is set up is made again
	// at once, by an address that always does so first: kgo makes the third attempt with
	// an older request, which is the one that Azure Event Hubs takes.
	quickResets = 3
)

// pacer stands before all dials of a Producer, whichever client makes them, so that
// many agents do not come to a broker at the same instant, nor each of them again and
// again while it is away. An address that was never tried, or is well, is dialled at
// once. After a failure it is left alone for a pause that doubles with each, and who
// wants to dial it meanwhile is given that failure; then one attempt is made, and the
// others wait for what comes of it. The first that succeeds ends all pauses.
type pacer struct {
	mu    sync.Mutex // guards what follows
	addrs map[string]*pace
}

// pace is how an address is.
type pace struct {
	failures int  // in a row
	resets   int  // of them, in a row, while a connection was set up
	plain    bool // it has let us in without a reset before: one means that it is away
	last     error
	next     time.Time     // when it may be dialled again
	trying   chan struct{} // closed when the attempt is over; nil: none is made, or all is well
	used     time.Time
}

// pausedError is given to who wants to dial an address that is left alone.
type pausedError struct{ last error }

func (e *pausedError) Error() string { return e.last.Error() }
func (e *pausedError) Unwrap() error { return e.last }

// errLost stands for the end of a good connection, until there is another failure.
var errLost = &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)} //nolint:gochecknoglobals // a constant that Go cannot express

// dialer returns what dials by dial, in time.
func (p *pacer) dialer(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if err := p.wait(ctx, addr); err != nil {
			return nil, err
		}
		conn, err := dial(ctx, network, addr)
		switch {
		case errors.Is(ctx.Err(), context.Canceled) && err != nil:
			p.left(addr, time.Now())
			return nil, err
		case err != nil:
			p.failed(addr, err, time.Now())
			return nil, err
		}
		return &pacedConn{Conn: conn, pacer: p, addr: addr}, nil
	}
}

// dialFunc is as kgo.Dialer wants it.
type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// wait returns nil as soon as the address may be dialled, and then who asked has to
// tell how that went.
func (p *pacer) wait(ctx context.Context, addr string) error {
	for {
		trying, err := p.enter(addr, time.Now())
		if trying == nil {
			return err
		}
		select {
		case <-trying:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// enter returns nothing if the address may be dialled now, the attempt to wait for if
// there is one, else why it has to be left alone.
func (p *pacer) enter(addr string, now time.Time) (trying <-chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.at(addr, now)
	switch {
	case a.failures == 0:
		return nil, nil
	case a.trying != nil:
		return a.trying, nil
	case now.Before(a.next):
		return nil, &pausedError{a.last}
	}
	a.trying = make(chan struct{})
	return nil, nil
}

// at needs the lock.
func (p *pacer) at(addr string, now time.Time) *pace {
	a := p.addrs[addr]
	if a == nil {
		if p.addrs == nil {
			p.addrs = make(map[string]*pace)
		}
		maps.DeleteFunc(p.addrs, func(_ string, a *pace) bool { return a.trying == nil && now.Sub(a.used) > unusedFor })
		a = new(pace)
		p.addrs[addr] = a
	}
	a.used = now
	return a
}

// over ends the attempt that is being made. It needs the lock.
func (a *pace) over() {
	if a.trying != nil {
		close(a.trying)
		a.trying = nil
	}
}

// failed notes that the address could not be reached, or let us in.
func (p *pacer) failed(addr string, err error, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.at(addr, now)
	a.last = err
	a.over()
	if isReset(err) && !a.plain {
		if a.resets++; a.resets%quickResets != 0 {
			a.failures = max(a.failures, 1)
			a.next = now
			return
		}
	} else {
		a.resets = 0
	}
	a.failures++
	a.next = now.Add(paceOf(a.failures))
}

// left notes that an attempt was given up, which tells nothing of the address.
func (p *pacer) left(addr string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at(addr, now).over()
}

// explained notes what made the last attempt fail, which is known a little later
// than that it did.
func (p *pacer) explained(addr string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.addrs[addr]; a != nil && a.failures > 0 {
		a.last = err
	}
}

// paceOf is how long an address is left alone after that many failures in a row.
func paceOf(failures int) time.Duration {
	d := min(firstPause<<min(failures-1, 10), longestPause)
	return d/2 + rand.N(d/2+1)
}

// reached notes that the address let us in.
func (p *pacer) reached(addr string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.at(addr, now)
	a.plain = a.plain || a.resets == 0
	a.failures, a.resets, a.last = 0, 0, nil
	a.over()
}

// lost notes that the other end closed a connection that was good. What may come of
// it is not known yet.
func (p *pacer) lost(addr string, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.at(addr, now); a.failures == 0 {
		a.failures, a.last, a.next = 1, errLost, now.Add(rand.N(lostPause))
	}
}

// until returns how long it takes until an address may be dialled again that is left
// alone, and whether there is one: the soonest of them.
func (p *pacer) until(now time.Time) (d time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.addrs {
		if a.failures == 0 || !now.Before(a.next) {
			continue
		}
		if left := a.next.Sub(now); !ok || left < d {
			d, ok = left, true
		}
	}
	return d, ok
}

// backoff is how long a request that has failed so often waits before it is made
// again: no longer than until a broker may be dialled again.
func (p *pacer) backoff(failures int) time.Duration {
	d := backoff(failures)
	if left, ok := p.until(time.Now()); ok {
		d = min(d, max(left, firstPause))
	}
	return d
}

// pacedConn is a connection of which the pacer has to know how it ends.
type pacedConn struct {
	net.Conn
	pacer *pacer
	addr  string

	mu   sync.Mutex // guards what follows
	good bool       // we were let in
	over bool
	last error // of the last Read
}

// Read reads, and remembers why it failed.
func (c *pacedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		c.mu.Lock()
		c.last = err
		c.mu.Unlock()
	}
	return n, err
}

// letIn notes that the broker has let us in.
func (c *pacedConn) letIn() {
	c.mu.Lock()
	c.good = true
	c.mu.Unlock()
	c.pacer.reached(c.addr, time.Now())
}

// Close closes the connection, and tells the pacer what that means.
func (c *pacedConn) Close() error {
	c.mu.Lock()
	first, good, last := !c.over, c.good, c.last
	c.over = true
	c.mu.Unlock()
	switch {
	case !first:
	case !good:
		if last == nil {
			last = fmt.Errorf("the connection to %s was given up before we were let in", c.addr)
		}
		c.pacer.failed(c.addr, last, time.Now())
	case errors.Is(last, io.EOF) || errors.Is(last, io.ErrUnexpectedEOF) || isReset(last):
		c.pacer.lost(c.addr, time.Now())
	}
	return c.Conn.Close()
}
