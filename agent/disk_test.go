package agent

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// brokenFile cannot be read while broken is set.
type brokenFile struct {
	*os.File
	broken *atomic.Bool
}

func (b brokenFile) ReadAt(p []byte, at int64) (int, error) {
	if b.broken.Load() {
		return 0, syscall.EIO
	}
	return b.File.ReadAt(p, at)
}

// TestReadErrors has the disk give errors, over a rotation: the agent is not
// well as long as that lasts, says which file and why, and goes on by itself.
// Nothing is lost or sent twice.
func TestReadErrors(t *testing.T) {
	t.Parallel()
	r := newRig(t, kfake.SeedTopics(1, topic))
	var broken atomic.Bool
	o := r.options(false)
	o.readThrough = func(f *os.File) io.ReaderAt { return brokenFile{f, &broken} }
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel, r.done = cancel, make(chan error, 1)
	go func() { r.done <- Run(ctx, r.c, o) }()
	var want []string
	write := func(name string, n int) {
		var b strings.Builder
		for range n {
			line := fmt.Sprintf("line %d", len(want))
			want = append(want, line)
			b.WriteString(line + "\n")
		}
		r.append(name, b.String())
	}
	write("a.log", 100)
	r.wantMessages(want...)
	r.wait("health", r.healthy)

	broken.Store(true)
	write("a.log", 100)
	r.wait("the fault to be seen", func() bool {
		s := r.status()
		return len(s.Files) == 1 && s.Files[0].State == "unreadable" && !r.healthy()
	})
	if err := os.Rename(r.path("a.log"), r.path("a.log.1")); err != nil {
		t.Fatal(err)
	}
	write("a.log", 100)
	r.wait("another attempt", func() bool {
		s := r.status()
		for _, f := range s.Files {
			if f.ReadErrors > 1 {
				return strings.Contains(strings.Join(s.Problems, "\n"), f.Path+" cannot be read: ") && strings.Contains(f.Reason, syscall.EIO.Error())
			}
		}
		return false
	})
	if r.healthy() {
		t.Error("the agent says that it is well")
	}

	broken.Store(false)
	r.wantMessages(want...)
	r.wait("health", r.healthy)
}
