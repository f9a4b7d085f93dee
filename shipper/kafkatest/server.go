package kafkatest

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"shiplog/shipper/kafkatest/child"
)

const (
	startTimeout  = 90 * time.Second // a few seconds, on a machine that has nothing else to do
	stopGrace     = 30 * time.Second // from SIGTERM to SIGKILL
	probeInterval = 100 * time.Millisecond
	probeTimeout  = time.Second
	portAttempts  = 5 // another process may take a port between choosing and using it
)

// server is one Kafka node: its files and, while it is up, its process.
type server struct {
	java    string
	libs    string // folder of jars
	dir     string // configuration, data and log
	cluster string // id
	addr    string
	jvm     []string

	listeners map[string]string // addresses of further ones, by name

	keeper     string         // address of its ZooKeeper; "": it needs none
	keeperProc *child.Process // nil before it is started

	mu   sync.Mutex
	proc *child.Process // nil while down
}

// newServer fetches, formats and starts a Kafka. The caller closes it.
func newServer(ctx context.Context, o Options) (_ *server, err error) {
	java, err := program("java", "install Java 17 or later, e.g. apt-get install default-jre-headless")
	if err != nil {
		return nil, err
	}
	version := o.Version
	if version == "" {
		version = DefaultVersion
	}
	libs, err := fetchKafka(ctx, version)
	if err != nil {
		return nil, err
	}
	for range portAttempts {
		var s *server
		if s, err = startOn(ctx, java, libs, o); err == nil || !errors.Is(err, errPortTaken) {
			return s, err
		}
	}
	return nil, err
}

// startOn starts a Kafka in a new folder, on ports that are free now.
func startOn(ctx context.Context, java, libs string, o Options) (_ *server, err error) {
	dir, err := os.MkdirTemp("", "shiplog-kafkatest-")
	if err != nil {
		return nil, err
	}
	s := &server{java: java, libs: libs, dir: dir, cluster: newClusterID(), jvm: o.JVM, listeners: map[string]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close(false))
		}
	}()
	if err := s.configure(o); err != nil {
		return nil, fmt.Errorf("configure: %w", err)
	}
	if s.keeper != "" {
		if err := s.startKeeper(); err != nil {
			return nil, fmt.Errorf("start ZooKeeper: %w", err)
		}
	} else if err := s.format(ctx); err != nil {
		return nil, err
	}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	if err := s.createTopics(ctx, o.Topics); err != nil {
		return nil, fmt.Errorf("create topics: %w", err)
	}
	return s, nil
}

// format makes the folder of a KRaft node.
func (s *server) format(ctx context.Context) error {
	format := s.javaCommand("kafka.tools.StorageTool", "format", "-t", s.cluster, "-c", s.path("server.properties"))
	if err := run(ctx, format); err != nil {
		return fmt.Errorf("format storage: %w", err)
	}
	return nil
}

func (s *server) path(name string) string { return filepath.Join(s.dir, name) }
func (s *server) logPath() string         { return s.path("server.log") }

func (s *server) logTail() string {
	out, err := os.ReadFile(s.logPath())
	if err != nil {
		return err.Error()
	}
	return tail(out)
}

func (s *server) javaCommand(args ...string) *exec.Cmd {
	cmd := exec.Command(s.java, slices.Concat([]string{"-Xmx1g", "-Dlog4j2.level=INFO"}, s.jvm, []string{"-cp", filepath.Join(s.libs, "*")}, args)...)
	cmd.Dir = s.dir
	return cmd
}

// configure chooses ports and writes server.properties.
func (s *server) configure(o Options) error {
	client, err := freePort()
	if err != nil {
		return err
	}
	controller, err := freePort()
	if err != nil {
		return err
	}
	if client == controller {
		return errPortTaken
	}
	s.addr = client
	p := map[string]string{
		"process.roles":                            "broker,controller",
		"broker.session.timeout.ms":                "3000", // a killed broker comes back after this, 9 s by default
		"broker.heartbeat.interval.ms":             "500",
		"node.id":                                  "1",
		"controller.quorum.voters":                 "1@" + controller,
		"listeners":                                "PLAINTEXT://" + client + ",CONTROLLER://" + controller,
		"advertised.listeners":                     "PLAINTEXT://" + client,
		"controller.listener.names":                "CONTROLLER",
		"listener.security.protocol.map":           "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
		"log.dirs":                                 filepath.ToSlash(s.path("data")),
		"offsets.topic.replication.factor":         "1",
		"offsets.topic.num.partitions":             "1", // fifty take seconds to make
		"transaction.state.log.replication.factor": "1",
		"transaction.state.log.num.partitions":     "1",
		"transaction.state.log.min.isr":            "1",
		"group.initial.rebalance.delay.ms":         "0",
	}
	if legacy(o.Version) {
		s.keeper = controller
		s.cluster = "" // ZooKeeper has it
		s.legacyProperties(p)
	}
	for _, l := range o.Listeners {
		if err := s.addListener(p, l); err != nil {
			return err
		}
	}
	maps.Copy(p, o.Properties)
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(p)) {
		fmt.Fprintf(&b, "%s=%s\n", k, strings.ReplaceAll(p[k], `\`, `\\`))
	}
	return os.WriteFile(s.path("server.properties"), []byte(b.String()), 0o600)
}

// addListener adds one to the properties. Brokers talk to each other by the
// plaintext one.
func (s *server) addListener(p map[string]string, l Listener) error {
	addr, err := freePort()
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	s.listeners[l.Name] = net.JoinHostPort("localhost", port)
	p["listeners"] += "," + l.Name + "://" + addr
	p["advertised.listeners"] += "," + l.Name + "://" + cmp.Or(l.Advertised, s.listeners[l.Name])
	p["listener.security.protocol.map"] += "," + l.Name + ":" + l.Protocol
	p["inter.broker.listener.name"] = "PLAINTEXT"
	for k, v := range l.Properties {
		p["listener.name."+strings.ToLower(l.Name)+"."+k] = v
	}
	return nil
}

var errPortTaken = errors.New("another process took the port")

// freePort returns a loopback address that nobody listens on. Its port is below
// those that systems give to outgoing connections: one of them could otherwise
// take the port of a broker that is down for a moment, and even connect to itself.
func freePort() (string, error) {
	const low, high = 20000, 32000
	var err error
	for range 100 {
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(low+mathrand.IntN(high-low)))); err == nil {
			return l.Addr().String(), l.Close()
		}
	}
	return "", fmt.Errorf("no free port: %w", err)
}

// newClusterID returns 16 random bytes as Kafka writes them. It never begins
// with a dash, which a command line would take for a flag.
func newClusterID() string {
	var id [16]byte
	rand.Read(id[:]) //nolint:errcheck // never fails
	id[0] &= 0x7f
	return base64.RawURLEncoding.EncodeToString(id[:])
}

func (s *server) pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return 0
	}
	return s.proc.PID()
}

// start starts the process, which must be down, and waits until it answers.
func (s *server) start(ctx context.Context) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc != nil {
		return fmt.Errorf("it is running as process %d", s.proc.PID())
	}
	logFile, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, logFile.Close()) }() // the process has its own descriptor
	cmd := s.javaCommand("kafka.Kafka", s.path("server.properties"))
	cmd.Stdout, cmd.Stderr = logFile, logFile
	proc, err := child.Start(cmd)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.ready(ctx, proc); err != nil {
		err = errors.Join(err, proc.Kill())
		if strings.Contains(s.logTail(), "Address already in use") {
			err = errors.Join(errPortTaken, err)
		}
		return fmt.Errorf("start: %w; end of its log:\n%s", err, s.logTail())
	}
	s.proc = proc
	return nil
}

// ready waits until the broker answers a metadata request with itself in it.
func (s *server) ready(ctx context.Context, proc *child.Process) error {
	// The client's own timeouts too: it opens a connection regardless of a
	// request's context, and a broker that starts may let the first one hang.
	client, err := kgo.NewClient(kgo.SeedBrokers(s.addr), kgo.RequestRetries(0),
		kgo.DialTimeout(probeTimeout), kgo.RequestTimeoutOverhead(probeTimeout))
	if err != nil {
		return err
	}
	defer client.Close()
	again := time.NewTicker(probeInterval)
	defer again.Stop()
	for {
		err := s.probe(ctx, client)
		if err == nil {
			return nil
		}
		select {
		case <-again.C:
		case <-proc.Done():
			return fmt.Errorf("it ended by itself: %w", errors.Join(proc.Wait(), err))
		case <-ctx.Done():
			return fmt.Errorf("it did not answer in time: %w; last answer: %w", ctx.Err(), err)
		}
	}
}

func (s *server) probe(ctx context.Context, client *kgo.Client) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	m, err := kadm.NewClient(client).BrokerMetadata(ctx)
	switch {
	case err != nil:
		return err
	case s.keeper == "" && m.Cluster != s.cluster:
		return fmt.Errorf("%w: cluster %s answers on %s", errPortTaken, m.Cluster, s.addr)
	case len(m.Brokers) != 1:
		return fmt.Errorf("it knows %d brokers, want 1", len(m.Brokers))
	}
	return nil
}

func (s *server) createTopics(ctx context.Context, topics map[string]int32) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(s.addr))
	if err != nil {
		return err
	}
	defer client.Close()
	for name, partitions := range topics {
		if _, err := kadm.NewClient(client).CreateTopic(ctx, partitions, 1, nil, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (s *server) stop() error {
	return s.end(func(p *child.Process) error { return p.Stop(stopGrace) })
}

func (s *server) kill() error { return s.end((*child.Process).Kill) }

// end brings the process down; it is no error if it is down.
func (s *server) end(how func(*child.Process) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return nil
	}
	err := how(s.proc)
	s.proc = nil
	return err
}

func (s *server) pause() error  { return s.signal((*child.Process).Pause) }
func (s *server) resume() error { return s.signal((*child.Process).Resume) }

func (s *server) signal(send func(*child.Process) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return errors.New("it is down")
	}
	return send(s.proc)
}

// close ends the broker and removes its folder, all but the log if that is to
// be kept.
func (s *server) close(keepLog bool) error {
	err := s.stop()
	if s.keeperProc != nil {
		err = errors.Join(err, s.keeperProc.Stop(stopGrace))
	}
	if keepLog {
		return errors.Join(err, os.RemoveAll(s.path("data")))
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
