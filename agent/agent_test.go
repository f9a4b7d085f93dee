package agent

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"shiplog/agent/checkpoint"
	"shiplog/agent/config"
	"shiplog/agent/parse"
	"shiplog/tailer"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if flag.Lookup("test.parallel").Value.String() == strconv.Itoa(runtime.GOMAXPROCS(0)) { // the default
		flag.Set("test.parallel", "8") //nolint:errcheck // it exists: these tests wait more than they work
	}
	goleak.VerifyTestMain(m)
}

const topic = "logs"

// rig is a folder of logs, a Kafka, and an agent between them.
type rig struct {
	t     *testing.T
	dir   string
	kafka *kfake.Cluster
	c     *config.Config

	mu     sync.Mutex
	log    bytes.Buffer
	admin  string
	cancel context.CancelFunc
	done   chan error
}

func newRig(t *testing.T, opts ...kfake.Opt) *rig {
	t.Helper()
	k, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	r := &rig{t: t, dir: t.TempDir(), kafka: k}
	r.configure(k.ListenAddrs()[0], "")
	t.Cleanup(r.stop)
	return r
}

// configure makes the configuration; more is added to its kafka section.
func (r *rig) configure(broker, more string) {
	r.t.Helper()
	text := fmt.Sprintf("application: Pool Cars\ninputs:\n  - {paths: [%q], rotate_wait: 50ms}\nkafka: {brokers: [%q], topic: %s%s}\nstate_dir: %q\nadmin: {listen: \"127.0.0.1:0\"}\ncheckpoint_interval: 20ms\nrescan_interval: 50ms\nshutdown_timeout: 5s\n",
		filepath.Join(r.dir, "*.log"), broker, topic, more, filepath.Join(r.dir, "state"))
	c, err := config.Decode(strings.NewReader(text), "test.yaml", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	r.c = c
}

func (r *rig) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func (r *rig) options(once bool) Options {
	return Options{Once: once, Version: "v-test", ConfigPath: "/etc/test.yaml", Log: slog.New(slog.NewTextHandler(r, nil)), Listening: func(a net.Addr) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.admin = a.String()
	}}
}

func (r *rig) start() { r.startWith(r.options(false)) }

func (r *rig) startWith(o Options) {
	r.mu.Lock()
	r.admin = "" // of the run before
	r.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel, r.done = cancel, make(chan error, 1)
	go func(done chan error) { done <- Run(ctx, r.c, o) }(r.done)
}

func (r *rig) stop() {
	if r.cancel == nil {
		return
	}
	r.cancel()
	r.cancel = nil
	if err := <-r.done; err != nil {
		r.t.Errorf("Run: %v", err)
	}
}

func (r *rig) once() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return Run(ctx, r.c, r.options(true))
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) append(name, text string) {
	r.t.Helper()
	f, err := os.OpenFile(r.path(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		r.t.Fatal(err)
	}
}

// records reads what is in a topic now, by a client of its own.
func (r *rig) records(topic string) []*kgo.Record {
	r.t.Helper()
	want := int64(0)
	for _, p := range r.kafka.PartitionInfos(topic) {
		want += p.HighWatermark - p.LogStartOffset
	}
	if want == 0 {
		return nil
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(r.kafka.ListenAddrs()...), kgo.ConsumeTopics(topic), kgo.FetchMaxWait(50*time.Millisecond))
	if err != nil {
		r.t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var out []*kgo.Record
	for int64(len(out)) < want && ctx.Err() == nil {
		out = append(out, cl.PollFetches(ctx).Records()...)
	}
	return out
}

func (r *rig) messages(topic string) []string {
	r.t.Helper()
	var out []string
	for _, rec := range r.records(topic) {
		var e struct{ Message string }
		if err := json.Unmarshal(rec.Value, &e); err != nil {
			r.t.Fatalf("%s: %v", rec.Value, err)
		}
		out = append(out, e.Message)
	}
	return out
}

func (r *rig) wait(what string, ok func() bool) {
	r.t.Helper()
	for end := time.Now().Add(90 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.t.Fatalf("waited in vain for %s; the agent said:\n%s", what, r.log.String())
		}
	}
}

// get asks the admin server.
func (r *rig) get(page string) (int, string) {
	r.mu.Lock()
	addr := r.admin
	r.mu.Unlock()
	if addr == "" {
		return 0, ""
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	resp, err := client.Get("http://" + addr + page)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func (r *rig) status() Status {
	r.t.Helper()
	var s Status
	if _, body := r.get("/status"); body != "" {
		if err := json.Unmarshal([]byte(body), &s); err != nil {
			return Status{}
		}
	}
	return s
}

func (r *rig) healthy() bool {
	code, _ := r.get("/healthz")
	return code == http.StatusOK
}

func (r *rig) entries() []checkpoint.Entry {
	r.t.Helper()
	es, err := checkpoint.ReadOnly(r.c.StateDir)
	if err != nil {
		r.t.Fatal(err)
	}
	return es
}

func header(rec *kgo.Record, key string) string {
	for _, h := range rec.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

// TestRecords looks at all that a record says of its line.
func TestRecords(t *testing.T) {
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.c.Inputs[0].MaxLineBytes = 80
	lines := []string{"plain\r\n", "\n", `{"message":"m","payload":{"application":"A","params":{"n":1.10}}}` + "\n", "{broken\n", strings.Repeat("x", 100) + "\n", "no newline"}
	r.append("a.log", strings.Join(lines, ""))
	if err := r.once(); err != nil {
		t.Fatal(err)
	}
	want := []struct{ value, parseError, truncated, partial string }{
		{`{"message":"plain","payload":{"application":"Pool Cars","params":{}}}`, "", "", ""},
		{`{"message":"m","payload":{"application":"A","params":{"n":1.10}}}`, "", "", ""},
		{`{"message":"{broken","payload":{"application":"Pool Cars","params":{}}}`, parse.ErrRelaxed.Error(), "", ""},
		{`{"message":"` + strings.Repeat("x", 80) + `","payload":{"application":"Pool Cars","params":{}}}`, "", "1", ""},
		{`{"message":"no newline","payload":{"application":"Pool Cars","params":{}}}`, "", "", "1"},
	}
	raw, err := os.ReadFile(r.path("a.log"))
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	recs := r.records(topic)
	if len(recs) != len(want) {
		t.Fatalf("%d records, want %d", len(recs), len(want))
	}
	id := fmt.Sprintf("%016x", r.entries()[0].ID)
	kept := []string{lines[0], lines[2], lines[3], lines[4], lines[5]}
	for i, rec := range recs {
		w := want[i]
		if string(rec.Value) != w.value || header(rec, "parse_error") != w.parseError || header(rec, "truncated") != w.truncated || header(rec, "partial") != w.partial {
			t.Errorf("record %d: %s %v", i, rec.Value, rec.Headers)
		}
		if header(rec, "host") != host || header(rec, "path") != r.path("a.log") || header(rec, "src") != id || rec.Key != nil {
			t.Errorf("record %d: headers %v, key %q", i, rec.Headers, rec.Key)
		}
		off, _ := strconv.Atoi(header(rec, "off"))
		n, _ := strconv.Atoi(header(rec, "len"))
		if got := string(raw[off : off+n]); got != kept[i] {
			t.Errorf("record %d stands for %q, want %q", i, got, kept[i])
		}
		if time.Since(rec.Timestamp) > time.Minute {
			t.Errorf("record %d has the time %v", i, rec.Timestamp)
		}
	}
	if e := r.entries()[0]; e.Offset != int64(len(raw)) {
		t.Errorf("the checkpoint is at %d of %d", e.Offset, len(raw))
	}
	if err := r.once(); err != nil || len(r.records(topic)) != len(want) {
		t.Errorf("a second run sends again (%v)", err)
	}
}

func TestKeysAndTopics(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]func(r *rig) string{
		"file": func(r *rig) string { return r.path("a.log") }, "host": func(*rig) string { return host }, "application": func(*rig) string { return "A B" },
	} {
		t.Run(key, func(t *testing.T) {
			r := newRig(t, kfake.SeedTopics(3, topic, "other"))
			r.configure(r.kafka.ListenAddrs()[0], ", key: "+key)
			r.c.Inputs[0].Topic = "other"
			r.append("a.log", `{"message":"m","payload":{"application":"A\u0020B","params":{}}}`+"\n")
			if err := r.once(); err != nil {
				t.Fatal(err)
			}
			recs := r.records("other")
			if len(recs) != 1 || string(recs[0].Key) != want(r) {
				t.Errorf("records %v", recs)
			}
		})
	}
}

// TestStopAndStart stops in the middle of writing, over a rotation.
func TestStopAndStart(t *testing.T) {
	t.Parallel()
	r := newRig(t, kfake.SeedTopics(1, topic))
	var want []string
	for round := range 5 {
		r.start()
		for i := range 200 {
			text := fmt.Sprintf("line %d of %d", i, round)
			want = append(want, text)
			r.append("a.log", text+"\n")
		}
		// A file that comes and goes between two looks, the first of its name,
		// leaves nothing to find it by.
		r.wait("the file to be seen", func() bool { return r.status().Totals.Lines > 0 })
		if round%2 == 1 {
			if err := os.Rename(r.path("a.log"), r.path(fmt.Sprintf("a.log.%d", round))); err != nil {
				t.Fatal(err)
			}
		}
		r.stop()
	}
	r.start()
	r.wait("all lines", func() bool { return len(r.messages(topic)) >= len(want) })
	r.wait("a lag of none", func() bool {
		s := r.status()
		for _, f := range s.Files {
			if f.Lag != 0 {
				return false
			}
		}
		return s.Version == StatusVersion && s.Healthy && s.Kafka.InFlightBytes == 0
	})
	r.stop()
	got := r.messages(topic)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%d lines arrived of %d, or in another order", len(got), len(want))
	}
}

// TestKafkaComesLate starts without a broker.
func TestKafkaComesLate(t *testing.T) {
	t.Parallel()
	r := newRig(t, kfake.SeedTopics(1, topic))
	addr := r.kafka.ListenAddrs()[0]
	gate := newGate(t, addr)
	r.configure(gate.addr, "")
	r.append("a.log", "one\n")
	r.start()
	r.wait("red health", func() bool { code, body := r.get("/healthz"); return code == 503 && strings.Contains(body, gate.addr) })
	gate.open()
	r.wait("green health", r.healthy)
	r.wait("the line", func() bool { return len(r.messages(topic)) == 1 })
	r.stop() // before the gate, which waits for its connections to end
}

// gate is an address at which nobody answers until it is opened; then it leads
// to a broker's.
type gate struct {
	t           *testing.T
	addr, leads string
	wg          sync.WaitGroup
}

func newGate(t *testing.T, leads string) *gate {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return &gate{t: t, addr: l.Addr().String(), leads: leads}
}

func (g *gate) open() {
	l, err := net.Listen("tcp", g.addr)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { l.Close(); g.wg.Wait() })
	g.wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", g.leads)
			if err != nil {
				in.Close()
				continue
			}
			g.wg.Go(func() { io.Copy(out, in); out.Close(); in.Close() })
			g.wg.Go(func() { io.Copy(in, out); in.Close(); out.Close() })
		}
	})
}

func TestTopicComesLate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.append("a.log", "one\n")
	r.start()
	r.wait("red health", func() bool { code, body := r.get("/healthz"); return code == 503 && strings.Contains(body, topic) })
	admin, err := kgo.NewClient(kgo.SeedBrokers(r.kafka.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	createTopic(t, admin, topic)
	r.wait("green health", r.healthy)
	if got := r.messages(topic); len(got) != 1 {
		t.Errorf("messages %q", got)
	}
}

// TestRefusedRecord has a line that Kafka can never take between good ones.
func TestRefusedRecord(t *testing.T) {
	r := newRig(t, kfake.SeedTopics(1, topic), kfake.BrokerConfigs(map[string]string{"message.max.bytes": "20000", "max.message.bytes": "20000"}))
	r.configure(r.kafka.ListenAddrs()[0], ", compression: none")
	big := strings.Repeat("b", 50_000)
	r.append("a.log", "one\n"+big+"\ntwo\n")
	r.start()
	r.wait("the good lines", func() bool { return strings.Join(r.messages(topic), " ") == "one two" })
	r.wait("the checkpoint", func() bool { es := r.entries(); return len(es) == 1 && es[0].Offset == int64(len(big)+9) })
	if s := r.status(); s.Kafka.DeadLetters != 1 {
		t.Errorf("dead letters %d, want 1", s.Kafka.DeadLetters)
	}
	r.stop()
	data, err := os.ReadFile(filepath.Join(r.c.StateDir, deadLetterName))
	if err != nil {
		t.Fatal(err)
	}
	var letter map[string]any
	if err := json.Unmarshal(data, &letter); err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(fmt.Sprint(letter["bytes"]))
	if err != nil || string(raw) != big || letter["path"] != r.path("a.log") {
		t.Errorf("dead letter %v (%v)", letter, err)
	}
	fi, err := os.Stat(filepath.Join(r.c.StateDir, deadLetterName))
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v (%v)", fi.Mode(), err)
	}
}

// TestStopWhileKafkaHangs has a broker that takes nothing.
func TestStopWhileKafkaHangs(t *testing.T) {
	r := newRig(t)
	r.configure(newGate(t, "").addr, "")
	r.c.ShutdownTimeout = 100 * time.Millisecond
	r.append("a.log", "one\n")
	r.start()
	r.wait("the line to be read", func() bool { s := r.status(); return len(s.Files) == 1 && s.Files[0].Read == 4 })
	r.stop()
	if es := r.entries(); len(es) != 1 || es[0].Offset != 0 {
		t.Errorf("the checkpoint is ahead: %+v", es)
	}
}

func TestOnceSaysWhatItCouldNotRead(t *testing.T) {
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.append("a.log", "one\n")
	if err := os.Mkdir(r.path("b"), 0o700); err != nil {
		t.Fatal(err)
	}
	r.c.Inputs[0].Paths = append(r.c.Inputs[0].Paths, r.path("b"))
	if err := r.once(); err == nil || !strings.Contains(err.Error(), r.path("b")) {
		t.Errorf("error %v", err)
	}
	if got := r.messages(topic); len(got) != 1 {
		t.Errorf("messages %q", got)
	}
}

// diskFS is a file system that is full while full is set.
type diskFS struct {
	full bool
	dir  string
}

func (d *diskFS) open(path string, flags int) (checkpoint.File, error) {
	if d.full {
		return nil, &os.PathError{Op: "open", Path: path, Err: syscall.ENOSPC}
	}
	f, err := os.OpenFile(path, flags|os.O_WRONLY, 0o600)
	return &diskFile{f, d}, err
}

func (d *diskFS) Create(path string) (checkpoint.File, error) {
	return d.open(path, os.O_CREATE|os.O_TRUNC)
}
func (d *diskFS) Append(path string) (checkpoint.File, error) { return d.open(path, os.O_APPEND) }
func (d *diskFS) ReadDir(dir string) ([]fs.DirEntry, error)   { return os.ReadDir(dir) }
func (d *diskFS) ReadFile(path string) ([]byte, error)        { return os.ReadFile(path) }
func (d *diskFS) Rename(from, to string) error                { return os.Rename(from, to) }
func (d *diskFS) Remove(path string) error                    { return os.Remove(path) }
func (d *diskFS) SyncDir(string) error                        { return nil }

type diskFile struct {
	*os.File
	disk *diskFS
}

func (f *diskFile) Write(b []byte) (int, error) {
	if f.disk.full {
		return 0, &os.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC}
	}
	return f.File.Write(b)
}

// TestFullStateDisk saves to a disk that is full for a while.
func TestFullStateDisk(t *testing.T) {
	disk := &diskFS{dir: t.TempDir()}
	store, err := checkpoint.Open(disk.dir, checkpoint.Options{FS: disk})
	if err != nil {
		t.Fatal(err)
	}
	skips, err := checkpoint.OpenSkips(disk.dir, checkpoint.SkipsOptions{FS: disk})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	a := &Agent{log: slog.New(slog.NewTextHandler(&log, nil)), store: store, skips: skips, ledger: newLedger(nil, time.Now)}
	a.conf.Store(&config.Config{StateDir: disk.dir})
	change := func(id tailer.FileID) {
		a.skips.Append(checkpoint.Skip{File: uint64(id), End: int64(id), Reason: checkpoint.StartedAtEnd})
		a.ledger.event(tailer.Event{Kind: tailer.Found, File: tailer.State{ID: id, Path: "/x", Offset: int64(id)}})
		a.saveOnce()
	}
	change(1)
	if fault := a.saver.state().Error; fault != "" {
		t.Fatalf("fault %s", fault)
	}
	disk.full = true
	change(2)
	change(3)
	fault := a.saver.state().Error
	if !strings.Contains(fault, "no space left") || !strings.Contains(fault, disk.dir) {
		t.Fatalf("fault %q", fault)
	}
	if n := strings.Count(log.String(), "cannot be written"); n != 1 {
		t.Errorf("said %d times: %s", n, log.String())
	}
	disk.full = false
	a.saveOnce() // nothing new, but what failed is written
	if s := a.saver.state(); s.Error != "" || s.Saves != 2 || s.Failures != 2 || !strings.Contains(log.String(), "can be written again") {
		t.Errorf("still red; log %s", log.String())
	}
	if err := errors.Join(skips.Close(), store.Close()); err != nil {
		t.Fatal(err)
	}
	if l, err := checkpoint.ReadSkips(disk.dir); err != nil || len(l.Skips) != 3 {
		t.Errorf("journal %v, %v", l, err)
	}
	if es, err := checkpoint.ReadOnly(disk.dir); err != nil || len(es) != 3 {
		t.Errorf("entries %v, %v", es, err)
	}
}

func createTopic(t *testing.T, cl *kgo.Client, topic string) {
	t.Helper()
	if _, err := kadm.NewClient(cl).CreateTopic(context.Background(), 1, 1, nil, topic); err != nil {
		t.Fatal(err)
	}
}
