package main_test

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// agentsOutage is how long the broker of TestAgents is away.
const agentsOutage = 30 * time.Second

// TestAgents has many agents, each a process with a file of its own, ship to one
// broker, which goes away for a while and comes back. It prints what each takes,
// and when they come back; it asserts that all lines arrive, and never how fast:
// make agents.
//
//	AGENTS   how many; or it is skipped
func TestAgents(t *testing.T) {
	if os.Getenv("AGENTS") == "" {
		t.Skip("make agents runs it: it takes minutes, and 25 MiB for each agent")
	}
	agents := int(tortureNumber(t, "AGENTS", 200))
	door := &door{}
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(12, "t"), kfake.ListenFn(door.listen))
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	watcher, err := kgo.NewClient(kgo.SeedBrokers(k.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Close()
	arrived := func() (n int64) {
		ends, err := kadm.NewClient(watcher).ListEndOffsets(t.Context(), "t")
		if err == nil {
			ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
		}
		return n
	}
	binary := buildAgent(t)
	var all []*e2e
	var pids []int
	const lines = 20
	write := func() {
		for i, e := range all {
			e.append("a.log", strings.Repeat(fmt.Sprintf("a line of agent %d\n", i), lines))
		}
	}
	for range agents {
		e := newE2E(t, binary, k.ListenAddrs()[0])
		p, _ := e.background("run", "--config", e.config)
		all, pids = append(all, e), append(pids, p.PID())
	}
	write()
	all[0].wait("all lines", func() bool { return arrived() >= int64(agents*lines) })
	t.Logf("%d agents: %d connections in all", agents, door.open())
	report(t, pids, "with little to do")
	before := make([]time.Duration, len(pids))
	for i, pid := range pids {
		before[i], _ = cpuOf(pid)
	}
	door.shut()
	write()
	began := time.Now()
	all[0].wait("the outage to be over", func() bool { return time.Since(began) > agentsOutage })
	tries := door.knocks()
	var cpu time.Duration
	for i, pid := range pids {
		now, err := cpuOf(pid)
		if err != nil {
			t.Fatal(err)
		}
		cpu += now - before[i]
	}
	t.Logf("in an outage of %s: %d attempts to connect, %.2f a second and agent, at most %d in 100 ms; %.2f %% of a core each",
		agentsOutage, len(tries), float64(len(tries))/agentsOutage.Seconds()/float64(agents), most(tries, 100*time.Millisecond), 100*cpu.Seconds()/agentsOutage.Seconds()/float64(agents))
	back := time.Now()
	door.unlock()
	all[0].wait("all lines after the outage", func() bool { return arrived() >= int64(2*agents*lines) })
	t.Logf("all lines of the outage had arrived %s after it", time.Since(back).Round(100*time.Millisecond))
	came := door.knocks()
	var seconds []int
	for _, at := range came {
		s := int(at.Sub(back).Seconds())
		for len(seconds) <= s {
			seconds = append(seconds, 0)
		}
		seconds[s]++
	}
	t.Logf("connections made after it, by second: %v; at most %d in 100 ms", seconds, most(came, 100*time.Millisecond))
	report(t, pids, "after the outage")
	if n := arrived(); n != int64(2*agents*lines) {
		t.Errorf("%d lines arrived, %d were written", n, 2*agents*lines)
	}
}

// report prints the memory of the processes.
func report(t *testing.T, pids []int, when string) {
	t.Helper()
	var mib []float64
	for _, pid := range pids {
		m, err := procNumber(fmt.Sprintf("/proc/%d/status", pid), "VmRSS:", 1.0/1024)
		if err != nil {
			t.Fatal(err)
		}
		mib = append(mib, m)
	}
	slices.Sort(mib)
	t.Logf("resident memory of an agent %s: median %.1f MiB, most %.1f MiB", when, mib[len(mib)/2], mib[len(mib)-1])
}

// most returns how many of the times, at most, lie within span.
func most(times []time.Time, span time.Duration) (n int) {
	slices.SortFunc(times, time.Time.Compare)
	from := 0
	for i := range times {
		for times[i].Sub(times[from]) > span {
			from++
		}
		n = max(n, i-from+1)
	}
	return n
}

// door is the listener of a broker, which can be closed for a while: who knocks
// then is turned away at once, as by a host without that broker.
type door struct {
	net.Listener

	mu     sync.Mutex // guards what follows
	closed bool
	times  []time.Time // of connections made, or tried, since knocks was called
	inside map[net.Conn]bool
}

func (d *door) listen(network, address string) (l net.Listener, err error) {
	d.Listener, err = net.Listen(network, address)
	d.inside = map[net.Conn]bool{}
	return d, err
}

// Accept lets the next connection in.
func (d *door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		d.mu.Lock()
		d.times = append(d.times, time.Now())
		if !d.closed {
			d.inside[c] = true
			d.mu.Unlock()
			return &guest{c, d}, nil
		}
		d.mu.Unlock()
		c.Close() //nolint:errcheck // it was turned away
	}
}

func (d *door) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed, d.times = true, nil
	for c := range d.inside {
		c.Close() //nolint:errcheck // the broker is gone
	}
	clear(d.inside)
}

func (d *door) unlock() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = false
}

func (d *door) open() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.inside)
}

func (d *door) knocks() []time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := d.times
	d.times = nil
	return out
}

// guest is a connection that was let in.
type guest struct {
	net.Conn
	door *door
}

// Close ends the connection.
func (g *guest) Close() error {
	g.door.mu.Lock()
	delete(g.door.inside, g.Conn)
	g.door.mu.Unlock()
	return g.Conn.Close()
}
