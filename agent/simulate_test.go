package agent

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"shiplog/agent/checkpoint"
	"shiplog/agent/config"
)

// TestSimulate plays seeded schedules: applications write, their files are
// rotated by renaming, replacing, copying and truncating, and compressed, the
// agent is stopped and killed, the broker errs. At each step the checkpoint on
// disk must not be ahead of what Kafka has; at the end each line has arrived
// once, after kills too, and in order.
//
//	SIMULATE_SEEDS=1000     how many seeds (20), from SIMULATE_FIRST on (1)
//
// A seed repeats the decisions of a schedule, not its timing: that is the real
// clock's, so that a rare failure may take several runs to come again.
func TestSimulate(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	first, seeds := simulateNumber(t, "SIMULATE_FIRST", 1), simulateNumber(t, "SIMULATE_SEEDS", 20)
	turns := make(chan struct{}, simulateParallel)
	var wg sync.WaitGroup
	for seed := first; seed < first+seeds; seed++ {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			if err := simulate(t.Context(), seed, t.TempDir()); err != nil {
				t.Errorf("SIMULATE_FIRST=%d SIMULATE_SEEDS=1: %v", seed, err)
			}
		})
	}
	wg.Wait()
}

const (
	simulateParallel = 24 // schedules at the same time: they mostly wait
	simulateSteps    = 25
	simulatePatience = 60 * time.Second
)

func simulateNumber(t *testing.T, name string, preset uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return preset
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// simulation is one schedule.
type simulation struct {
	rng     *rand.Rand
	dir     string
	kafka   *kfake.Cluster
	c       *config.Config
	said    strings.Builder // by the agent
	mu      sync.Mutex      // guards said
	steps   []string        // what was done
	logs    []*simulatedLog
	watcher *simulatedConsumer

	stopAgent context.CancelFunc // nil: it is down
	done      chan error
	ambiguous bool // the broker also errs after it took records
	// undone are the ids of files that the agent found only after the instant at
	// which it was killed, since it cannot be stopped at once, or of which it
	// sent anything only then: what it sent of them may come twice. A process
	// that is killed at that instant had not sent it.
	undone map[string]bool
}

// simulate plays the schedule of one seed in dir.
func simulate(ctx context.Context, seed uint64, dir string) (err error) {
	s := &simulation{rng: rand.New(rand.NewPCG(seed, 1)), dir: dir, undone: map[string]bool{}}
	s.ambiguous = s.rng.IntN(2) == 0
	if s.kafka, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1+int32(s.rng.IntN(3)), topic)); err != nil {
		return err
	}
	defer s.kafka.Close()
	if err := s.configure(); err != nil {
		return err
	}
	if s.watcher, err = newSimulatedConsumer(s.kafka); err != nil {
		return err
	}
	defer s.watcher.close()
	for i := range 1 + s.rng.IntN(3) {
		s.logs = append(s.logs, &simulatedLog{name: filepath.Join(dir, fmt.Sprintf("w%d.log", i)), id: i})
	}
	defer func() {
		if e := s.stop(); err == nil {
			err = e
		}
		if err != nil {
			err = fmt.Errorf("%w\nsteps: %s\nthe agent said:\n%s", err, strings.Join(s.steps, ", "), s.words())
		}
	}()
	if err := s.begin(ctx); err != nil {
		return err
	}
	for range simulateSteps {
		if err := s.step(ctx); err != nil {
			return err
		}
	}
	return s.finish(ctx)
}

func (s *simulation) configure() (err error) {
	text := fmt.Sprintf("application: A\ninputs:\n  - {paths: [%q], rotate_wait: 10ms}\nkafka: {brokers: [%q], topic: %s, linger: 1ms}\nstate_dir: %q\nadmin: {listen: \"\"}\ncheckpoint_interval: 10ms\nrescan_interval: 10ms\nshutdown_timeout: 5s\n",
		filepath.Join(s.dir, "*.log"), s.kafka.ListenAddrs()[0], topic, filepath.Join(s.dir, "state"))
	s.c, err = config.Decode(strings.NewReader(text), "simulate.yaml", nil)
	return err
}

// Write takes what the agent logs.
func (s *simulation) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said.Write(p)
}

func (s *simulation) words() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said.String()
}

func (s *simulation) start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.stopAgent, s.done = cancel, make(chan error, 1)
	log := slog.New(slog.NewTextHandler(s, nil))
	go func(done chan error) { done <- Run(ctx, s.c, Options{Log: log}) }(s.done)
}

func (s *simulation) stop() error {
	if s.stopAgent == nil {
		return nil
	}
	s.stopAgent()
	s.stopAgent = nil
	if err := <-s.done; err != nil {
		return fmt.Errorf("the agent: %w", err)
	}
	return nil
}

// kill ends the agent as SIGKILL would, as far as that is possible within one
// process: the state is as it was at an instant at which the agent was at work,
// and what it had handed to Kafka by then may arrive or not.
func (s *simulation) kill() error {
	if s.stopAgent == nil {
		return nil
	}
	kept, err := snapshot(s.c.StateDir)
	if err != nil {
		return err
	}
	if err := s.stop(); err != nil {
		return err
	}
	later, err := s.known()
	if err != nil {
		return err
	}
	if err := writeFolder(s.c.StateDir, kept); err != nil {
		return err
	}
	before, err := s.known()
	if err != nil {
		return err
	}
	ready, err := s.hadBegun(kept)
	for id := range later {
		if !before[id] || !ready {
			s.undone[id] = true
		}
	}
	return err
}

// hadBegun reports whether the agent of this state may have sent anything: it has
// saved before that where the topics end.
func (s *simulation) hadBegun(state map[string][]byte) (bool, error) {
	dir := filepath.Join(s.dir, "killed")
	if err := writeFolder(dir, state); err != nil {
		return false, err
	}
	store, err := checkpoint.Open(dir, checkpoint.Options{})
	if err != nil {
		return false, err
	}
	return len(store.Horizons()) > 0, store.Release()
}

// known returns the ids of the files in the checkpoint.
func (s *simulation) known() (map[string]bool, error) {
	entries, err := checkpoint.ReadOnly(s.c.StateDir)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	ids := map[string]bool{}
	for _, e := range entries {
		ids[fmt.Sprintf("%016x", e.ID)] = true
	}
	return ids, err
}

// snapshot reads a folder as it is at one instant: it is the same before and
// after.
func snapshot(dir string) (map[string][]byte, error) {
	same := func(a, b map[string][]byte) bool { return maps.EqualFunc(a, b, bytes.Equal) }
	files, err := readFolder(dir)
	for deadline := time.Now().Add(simulatePatience); err == nil; {
		var again map[string][]byte
		if again, err = readFolder(dir); err == nil && same(files, again) {
			break
		}
		if files = again; time.Now().After(deadline) {
			return nil, fmt.Errorf("%s changes all the time", dir)
		}
	}
	return files, err
}

func readFolder(dir string) (map[string][]byte, error) {
	files := map[string][]byte{}
	names, err := os.ReadDir(dir)
	if os.IsNotExist(err) {
		return files, nil
	}
	for _, n := range names {
		b, rerr := os.ReadFile(filepath.Join(dir, n.Name()))
		if os.IsNotExist(rerr) {
			continue // replaced between the two calls
		}
		if rerr != nil {
			return nil, rerr
		}
		files[n.Name()] = b
	}
	return files, err
}

func writeFolder(dir string, files map[string][]byte) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// begin has the agent see each log once: a file that is rotated before that
// leaves nothing to find it by.
func (s *simulation) begin(ctx context.Context) error {
	for _, l := range s.logs {
		if err := l.write(s.rng, 1); err != nil {
			return err
		}
	}
	s.start()
	for deadline := time.Now().Add(simulatePatience); ; {
		entries, err := checkpoint.ReadOnly(s.c.StateDir)
		if err == nil && len(entries) == len(s.logs) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the agent does not see its files: %w", err)
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
}

// step does one thing, chosen by the seed, and looks at the checkpoint.
func (s *simulation) step(ctx context.Context) error {
	l := s.logs[s.rng.IntN(len(s.logs))]
	var err error
	name := ""
	switch n := s.rng.IntN(100); {
	case n < 36:
		name, err = "write", l.write(s.rng, 1+s.rng.IntN(200))
	case n < 44:
		name, err = "rotate", l.rotate()
	case n < 48:
		name, err = "replace", l.replace(s.rng)
	case n < 53:
		name = "copytruncate"
		if s.begun(l.name) {
			err = l.copyTruncate()
		} else {
			name, err = "rotate", l.rotate()
		}
	case n < 58:
		name = "gzip"
		if len(l.plain) > 0 && s.begun(l.plain[0]) {
			err = l.compress()
		}
	case n < 66:
		name, err = "kill", s.kill()
	case n < 74:
		name, err = "stop", s.stop()
	case n < 90:
		name = s.disturb()
	default:
		name = "wait"
	}
	if s.stopAgent == nil && s.rng.IntN(3) > 0 {
		name += "+start"
		s.start()
	}
	s.steps = append(s.steps, name)
	if err != nil {
		return fmt.Errorf("step %d, %s: %w", len(s.steps), name, err)
	}
	if err := pause(ctx, time.Duration(s.rng.IntN(40))*time.Millisecond); err != nil {
		return err
	}
	if err := s.neverAhead(ctx); err != nil {
		return fmt.Errorf("after step %d, %s: %w", len(s.steps), name, err)
	}
	return nil
}

// begun reports whether the checkpoint knows that a part of this file is in
// Kafka. Of one of which nothing is, a copy or the compressed form is a new file:
// its lines come, but not always in order.
func (s *simulation) begun(path string) bool {
	entries, err := checkpoint.ReadOnly(s.c.StateDir)
	if err != nil {
		return false
	}
	for i := range entries {
		if e := &entries[i]; e.Offset > 0 && e.Head.Len > 0 && e.Tail.Len > 0 {
			if _, ok := prove(path, e); ok {
				return true
			}
		}
	}
	return false
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// disturb makes the broker err for some requests. REQUEST_TIMED_OUT and
// NOT_ENOUGH_REPLICAS_AFTER_APPEND come after the records were taken; where the
// next try is refused for good (a right that is missing), nobody can know that
// they were, so that these do not come in one schedule.
func (s *simulation) disturb() string {
	errs := []*kerr.Error{kerr.NotLeaderForPartition, kerr.NotEnoughReplicas, kerr.UnknownTopicOrPartition, kerr.KafkaStorageError, kerr.LeaderNotAvailable}
	if s.ambiguous {
		errs = append(errs, kerr.RequestTimedOut, kerr.NotEnoughReplicasAfterAppend)
	} else {
		errs = append(errs, kerr.TopicAuthorizationFailed)
	}
	e := errs[s.rng.IntN(len(errs))]
	count := 1 + s.rng.IntN(4)
	if e == kerr.TopicAuthorizationFailed {
		count = 1 // each is waited for longer than the one before
	}
	s.kafka.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: e, Count: count})
	return e.Message
}

// neverAhead reads the checkpoint, then what Kafka has: all that the checkpoint
// says is acknowledged must be there.
func (s *simulation) neverAhead(ctx context.Context) error {
	entries, err := checkpoint.ReadOnly(s.c.StateDir)
	if err != nil {
		if len(s.steps) > 0 && strings.Contains(err.Error(), "no agent has run") {
			return nil
		}
		return err
	}
	ends := s.ends()
	if err := s.watcher.reach(ctx, ends); err != nil {
		return err
	}
	for _, e := range entries {
		if at := s.watcher.prefix(fmt.Sprintf("%016x", e.ID)); e.Offset > at {
			return fmt.Errorf("the checkpoint of %s is at %d, Kafka has all before %d only", e.Path, e.Offset, at)
		}
	}
	return nil
}

func (s *simulation) ends() map[int32]int64 {
	ends := map[int32]int64{}
	for _, p := range s.kafka.PartitionInfos(topic) {
		ends[p.Partition] = p.HighWatermark
	}
	return ends
}

// finish lets the agent send all there is, stops it, and judges.
func (s *simulation) finish(ctx context.Context) error {
	if s.stopAgent == nil {
		s.start()
	}
	for _, l := range s.logs {
		if err := l.complete(); err != nil {
			return err
		}
	}
	for deadline, before := time.Now().Add(simulatePatience), 0; !s.arrived(); {
		if n := s.came(); n > before { // a loaded machine is slow
			deadline, before = time.Now().Add(simulatePatience), n
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("lost: %s", s.missing())
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
	if err := s.stop(); err != nil {
		return err
	}
	if err := s.neverAhead(ctx); err != nil {
		return fmt.Errorf("at the end: %w", err)
	}
	return s.watcher.judge(s.undone)
}

func (s *simulation) arrived() bool {
	for _, l := range s.logs {
		if s.watcher.count(l.id) < l.lines {
			return false
		}
	}
	return true
}

// came returns how many lines have arrived.
func (s *simulation) came() (n int) {
	for _, l := range s.logs {
		n += s.watcher.count(l.id)
	}
	return n
}

func (s *simulation) missing() string {
	var out []string
	for _, l := range s.logs {
		out = append(out, fmt.Sprintf("%s: %d of %d lines arrived, missing first %d", filepath.Base(l.name), s.watcher.count(l.id), l.lines, s.watcher.firstMissing(l.id, l.lines)))
	}
	return strings.Join(out, "; ")
}

// simulatedLog is an application that writes numbered lines.
type simulatedLog struct {
	name     string
	id       int
	lines    int
	open     string // the rest of a line of which a part is written
	rotated  int
	plain    []string // rotated files that are not compressed
	existing bool
}

func (l *simulatedLog) append(text string) error {
	f, err := os.OpenFile(l.name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	l.existing = true
	if _, err := io.WriteString(f, text); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// write adds n lines; the last may stay without its end until the next time.
func (l *simulatedLog) write(rng *rand.Rand, n int) error {
	var b strings.Builder
	b.WriteString(l.open)
	l.open = ""
	for range n {
		fmt.Fprintf(&b, "w%d %d %s\n", l.id, l.lines, strings.Repeat("x", rng.IntN(60)))
		l.lines++
	}
	text := b.String()
	if cut := rng.IntN(3) * rng.IntN(20); cut > 0 && cut < len(text) {
		l.open = text[len(text)-cut:]
		text = text[:len(text)-cut]
	}
	return l.append(text)
}

func (l *simulatedLog) complete() error {
	text := l.open
	l.open = ""
	return l.append(text)
}

// rotate renames the file to a name with the next date, as a rotator does that
// finds a whole line at its end.
func (l *simulatedLog) rotate() error {
	if !l.existing {
		return nil
	}
	if err := l.complete(); err != nil {
		return err
	}
	l.existing = false
	return os.Rename(l.name, l.nextName())
}

func (l *simulatedLog) nextName() string {
	l.rotated++
	name := fmt.Sprintf("%s-%04d", l.name, l.rotated)
	l.plain = append(l.plain, name)
	return name
}

// copyTruncate copies the file and truncates it, with nothing written between.
func (l *simulatedLog) copyTruncate() error {
	if !l.existing {
		return nil
	}
	if err := l.complete(); err != nil {
		return err
	}
	text, err := os.ReadFile(l.name)
	if err == nil {
		err = os.WriteFile(l.nextName(), text, 0o600)
	}
	if err == nil {
		err = os.Truncate(l.name, 0)
	}
	return err
}

// compress compresses the oldest rotated file that is not, as gzip does it.
func (l *simulatedLog) compress() error {
	if len(l.plain) == 0 {
		return nil
	}
	name := l.plain[0]
	l.plain = l.plain[1:]
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(text); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := os.WriteFile(name+".gz", b.Bytes(), 0o600); err != nil {
		return err
	}
	return os.Remove(name)
}

// replace rotates, and puts a new file with content in the name's place at once.
func (l *simulatedLog) replace(rng *rand.Rand) error {
	if err := l.rotate(); err != nil {
		return err
	}
	return l.write(rng, 1+rng.IntN(5))
}

// simulatedLine is a line that came.
type simulatedLine struct {
	number int
	src    string
}

// simulatedConsumer reads the topic beside the agent.
type simulatedConsumer struct {
	client *kgo.Client
	done   chan struct{}

	mu      sync.Mutex
	moved   chan struct{}
	offsets map[int32]int64
	ranges  map[string]*checkpoint.Prefix // by source
	seen    map[int][]simulatedLine       // by log, as they came
	bad     error
}

func newSimulatedConsumer(k *kfake.Cluster) (*simulatedConsumer, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(k.ListenAddrs()...), kgo.ConsumeTopics(topic), kgo.FetchMaxWait(20*time.Millisecond))
	if err != nil {
		return nil, err
	}
	w := &simulatedConsumer{client: cl, done: make(chan struct{}), moved: make(chan struct{}), offsets: map[int32]int64{}, ranges: map[string]*checkpoint.Prefix{}, seen: map[int][]simulatedLine{}}
	go w.run()
	return w, nil
}

func (w *simulatedConsumer) close() {
	w.client.Close()
	<-w.done
}

func (w *simulatedConsumer) run() {
	defer close(w.done)
	for {
		fs := w.client.PollFetches(context.Background())
		if fs.IsClientClosed() {
			return
		}
		w.mu.Lock()
		fs.EachRecord(w.take)
		close(w.moved)
		w.moved = make(chan struct{})
		w.mu.Unlock()
	}
}

func (w *simulatedConsumer) take(r *kgo.Record) {
	w.offsets[r.Partition] = r.Offset + 1
	var e struct{ Message string }
	var id, number int
	if err := json.Unmarshal(r.Value, &e); err != nil {
		w.bad = fmt.Errorf("%s: %w", r.Value, err)
		return
	}
	if _, err := fmt.Sscanf(e.Message, "w%d %d", &id, &number); err != nil {
		w.bad = fmt.Errorf("%q: %w", e.Message, err)
		return
	}
	src := header(r, headerSource)
	w.seen[id] = append(w.seen[id], simulatedLine{number, src})
	off, err1 := strconv.ParseInt(header(r, headerOffset), 10, 64)
	length, err2 := strconv.ParseInt(header(r, headerLength), 10, 64)
	if err1 != nil || err2 != nil {
		w.bad = fmt.Errorf("headers %v", r.Headers)
		return
	}
	p := w.ranges[src]
	if p == nil {
		fresh := checkpoint.NewPrefix(0)
		p = &fresh
		w.ranges[src] = p
	}
	p.Ack(off, off+length)
}

// reach waits until all before ends is read.
func (w *simulatedConsumer) reach(ctx context.Context, ends map[int32]int64) error {
	ctx, cancel := context.WithTimeout(ctx, simulatePatience)
	defer cancel()
	for {
		w.mu.Lock()
		moved, behind := w.moved, false
		for p, end := range ends {
			behind = behind || w.offsets[p] < end
		}
		w.mu.Unlock()
		if !behind {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("the consumer does not get to %v", ends)
		}
	}
}

// prefix returns the offset before which all of a source is in Kafka.
func (w *simulatedConsumer) prefix(src string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.ranges[src]; p != nil {
		return p.End()
	}
	return 0
}

// count returns how many different lines of a log have arrived.
func (w *simulatedConsumer) count(id int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.distinct(id))
}

func (w *simulatedConsumer) distinct(id int) []int {
	var numbers []int
	for _, l := range w.seen[id] {
		numbers = append(numbers, l.number)
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

func (w *simulatedConsumer) firstMissing(id, lines int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, n := range w.distinct(id) {
		if n != i {
			return i
		}
	}
	return min(len(w.distinct(id)), lines)
}

// judge says what is wrong with what came: a line repeated, or in another order
// than written. A log's lines go to one partition. What came of the files undone
// does not count as a repetition.
func (w *simulatedConsumer) judge(undone map[string]bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bad != nil {
		return w.bad
	}
	for id, lines := range w.seen {
		first, have := []int{}, map[int]bool{}
		counted, repeated := map[int]string{}, []string{}
		for _, l := range lines {
			if !have[l.number] {
				have[l.number] = true
				first = append(first, l.number)
			}
			if undone[l.src] {
				continue
			}
			if src, twice := counted[l.number]; twice {
				repeated = append(repeated, fmt.Sprintf("%d of %s and %s", l.number, src, l.src))
			}
			counted[l.number] = l.src
		}
		if n := len(repeated); n > 0 {
			return fmt.Errorf("repeated: %d lines of w%d: %s", n, id, strings.Join(repeated[:min(n, 3)], ", "))
		}
		for i := range first[:max(0, len(first)-1)] {
			if first[i] > first[i+1] {
				return fmt.Errorf("out of order: w%d: line %d before line %d", id, first[i], first[i+1])
			}
		}
	}
	return nil
}
