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
