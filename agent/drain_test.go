package agent

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// drains runs as startWith does, but by RunAndDrain.
func (r *rig) drains() {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel, r.done = cancel, make(chan error, 1)
	go func(done chan error) { done <- RunAndDrain(ctx, r.c, r.options(false)) }(r.done)
}

// TestDrain has an application write its last lines at the very end, one of them
// in a file that is new, one without its newline.
func TestDrain(t *testing.T) {
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.append("a.log", "one\n")
	r.drains()
	r.wait("the first line", func() bool { return len(r.messages(topic)) == 1 })
	r.append("a.log", "two\nthree")
	r.append("b.log", "four\n")
	r.stop()
	got := r.messages(topic)
	slices.Sort(got)
	if !slices.Equal(got, []string{"four", "one", "three", "two"}) {
		t.Errorf("messages %q", got)
	}
}

// TestDrainIsBounded stops while no broker is there: the end comes in time, and
// says that not all was shipped.
func TestDrainIsBounded(t *testing.T) {
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.c.ShutdownTimeout = 100 * time.Millisecond
	r.append("a.log", "one\n")
	r.drains()
	r.wait("the first line", func() bool { return len(r.messages(topic)) == 1 })
	r.kafka.Close()
	r.append("a.log", "two\n")
	r.cancel()
	r.cancel = nil
	if err := <-r.done; err == nil || !strings.Contains(err.Error(), "before everything was read and acknowledged") {
		t.Errorf("error %v", err)
	}
}
