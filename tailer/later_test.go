package tailer

import (
	"path/filepath"
	"testing"
	"time"
)

// TestLaterGenerationWasSeenWhenItWasMade meets a file that was rotated unseen.
// It was under its own name when it was made, not when it was met: a file that
// took the name in between, and was renamed before it was met, would be taken
// for an old one, and lost.
func TestLaterGenerationWasSeenWhenItWasMade(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("a.log", "a\n")
	r.start()
	r.want("a")
	r.stop()
	r.rename("a.log", "a.log-0001")
	r.write("a.log", "b\n")
	r.rename("a.log", "a.log-0002")
	made := time.Now()
	r.start()
	r.want("a", "b")
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Kind == Found && filepath.Base(e.File.Path) == "a.log-0002" {
			if e.File.Seen.After(made) {
				t.Errorf("seen %s after it was renamed", e.File.Seen.Sub(made))
			}
			return
		}
	}
	t.Errorf("it was not met: %+v", r.events)
}

// TestRotatedTwiceDuringATurn rotates a file twice while its block waits, as it
// does as long as Kafka is away. What the file was seen as before the turn says
// nothing of the time after it.
func TestRotatedTwiceDuringATurn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	gate := make(chan struct{})
	r.gate = gate
	r.write("a.log", "a\n")
	r.start()
	r.wait("the file to be found", func() bool { return len(r.tailer.Files()) == 1 })
	scans := time.Now().Add(10 * r.o.RescanInterval)
	r.wait("the file to be seen while it has its turn", func() bool { return time.Now().After(scans) })
	r.rename("a.log", "a.log-0001")
	r.write("a.log", "b\n")
	r.rename("a.log", "a.log-0002")
	r.write("a.log", "c\n")
	old := time.Now().Add(clockSlack + 500*time.Millisecond)
	r.wait("the files to be old", func() bool { return time.Now().After(old) })
	r.mu.Lock()
	r.gate = nil
	r.mu.Unlock()
	close(gate)
	r.want("a", "b", "c")
}
