package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const topic = "test"

func produce(t *testing.T, addr string, values ...string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DefaultProduceTopic(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, v := range values {
		if err := client.ProduceSync(t.Context(), kgo.StringRecord(v)).FirstErr(); err != nil {
			t.Fatalf("produce %q: %v", v, err)
		}
	}
}

// consume returns the first n values of the topic.
func consume(t *testing.T, addr string, n int) []string {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var got []string
	for len(got) < n {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("consume, after %q: %v", got, err)
		}
		fetches.EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
	}
	return got
}

func TestBroker(t *testing.T) {
	b := Start(t, Options{
		Topics:     map[string]int32{topic: 1},
		Properties: map[string]string{"auto.create.topics.enable": "false"},
	})
	addr, pid := b.Addr(), b.PID()
	produce(t, addr, "one", "two")

	b.Restart()
	if b.Addr() != addr || b.PID() == pid || b.PID() == 0 {
		t.Errorf("restarted from %s, process %d to %s, process %d", addr, pid, b.Addr(), b.PID())
	}
	produce(t, addr, "three")
	b.Kill()
	if b.PID() != 0 {
		t.Errorf("the killed broker is process %d", b.PID())
	}
	b.Restart()
	want := []string{"one", "two", "three"}
	if got := consume(t, addr, 3); !slices.Equal(got, want) {
		t.Errorf("after two restarts the topic has %q, want %q", got, want)
	}
	t.Run("pause", func(t *testing.T) { testPause(t, b) })
	t.Run("librdkafka", func(t *testing.T) { testConsume(t, b, want) })
}

func testPause(t *testing.T, b *Broker) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be paused on Windows")
	}
	b.Pause()
	if err := ping(t, b.Addr(), 200*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ping of a paused broker: %v, want that it does not answer", err)
	}
	b.Resume()
	if err := ping(t, b.Addr(), 30*time.Second); err != nil {
		t.Errorf("ping of a resumed broker: %v", err)
	}
}

func ping(t *testing.T, addr string, timeout time.Duration) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.DialTimeout(timeout), kgo.RequestTimeoutOverhead(timeout))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	return client.Ping(ctx)
}

func testConsume(t *testing.T, b *Broker, want []string) {
	records := make(chan string, 100)
	stop := Consume(t, b.Addr(), topic, func(partition int32, offset int64, value []byte) {
		records <- fmt.Sprintf("%d %d %s", partition, offset, value)
	})
	defer stop()
	timeout := time.After(90 * time.Second)
	for i, v := range want {
		select {
		case got := <-records:
			if want := fmt.Sprintf("0 %d %s", i, v); got != want {
				t.Errorf("record %q, want %q", got, want)
			}
		case <-timeout:
			t.Fatalf("no record %d", i)
		}
	}
}

func TestRecordWriter(t *testing.T) {
	const in = "0 0 a\n1 12 b c \n0 1 \n"
	want := []string{`0 0 "a"`, `1 12 "b c "`, `0 1 ""`}
	for size := 1; size <= len(in); size++ {
		var got []string
		w := &recordWriter{each: func(p int32, o int64, v []byte) { got = append(got, fmt.Sprintf("%d %d %q", p, o, v)) }}
		for chunk := range slices.Chunk([]byte(in), size) {
			if n, err := w.Write(chunk); n != len(chunk) || err != nil {
				t.Fatalf("Write(%q) = %d, %v", chunk, n, err)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("in chunks of %d: %q, want %q", size, got, want)
		}
	}
	for _, bad := range []string{"\n", "0 0\n", "x 0 v\n", "0 x v\n"} {
		if _, err := new(recordWriter).Write([]byte(bad)); err == nil {
			t.Errorf("Write(%q) = nil, want an error", bad)
		}
	}
}

func TestCachedIsFilledOnce(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	t.Setenv("LocalAppData", t.TempDir())
	var fills atomic.Int32
	errs := make(chan error)
	for range 4 {
		go func() {
			dir, err := cached(t.Context(), "thing", func(_ context.Context, dir string) error {
				fills.Add(1)
				return os.WriteFile(filepath.Join(dir, "content"), nil, 0o600)
			})
			if err == nil {
				_, err = os.Stat(filepath.Join(dir, "content"))
			}
			errs <- err
		}()
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if n := fills.Load(); n != 1 {
		t.Errorf("filled %d times, want once", n)
	}
}

func TestCachedLeavesNothingHalf(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", cache)
	t.Setenv("LocalAppData", cache)
	broken := errors.New("no network")
	_, err := cached(t.Context(), "thing", func(_ context.Context, dir string) error {
		return errors.Join(broken, os.WriteFile(filepath.Join(dir, "half"), nil, 0o600))
	})
	if !errors.Is(err, broken) {
		t.Errorf("cached = %v, want %v", err, broken)
	}
	err = filepath.WalkDir(cache, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasSuffix(path, ".lock") {
			t.Errorf("%s was left behind", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// ending is a TB that notes how a test was ended.
type ending struct {
	testing.TB
	how string
}

func (e *ending) Helper()               {}
func (e *ending) Skipf(string, ...any)  { e.how = "skipped"; runtime.Goexit() }
func (e *ending) Fatalf(string, ...any) { e.how = "failed"; runtime.Goexit() }

func TestGiveUp(t *testing.T) {
	missing := fmt.Errorf("fetch: %w", &missingError{"mvn", "install it"})
	for _, c := range []struct {
		ci   string
		err  error
		want string
	}{
		{"", missing, "skipped"},
		{"true", missing, "failed"},
		{"", errors.New("no network"), "failed"},
	} {
		t.Setenv("CI", c.ci)
		e := &ending{TB: t}
		done := make(chan struct{})
		go func() {
			defer close(done)
			giveUp(e, c.err)
		}()
		<-done
		if e.how != c.want {
			t.Errorf("with CI=%q, %v: the test was %s, want %s", c.ci, c.err, e.how, c.want)
		}
	}
}
