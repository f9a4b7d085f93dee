package agent

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// TestTraceOverARotation ships a trace of which one half is in the rotated file
// as one message; both files' checkpoints end where the files do, and nothing is
// sent again.
func TestTraceOverARotation(t *testing.T) {
	t.Parallel()
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.c.Inputs[0].Multiline.Wait = time.Minute // nothing but what follows ends the trace
	r.start()
	r.append("a.log", "2026-11-23 10:00:00 INFO before\n2026-11-23 10:00:01 ERROR failed\njava.lang.Error: no car\n\tat a.B.c(B.java:1)\n")
	r.wait("the entry before", func() bool { return len(r.messages(topic)) == 1 })
	if err := os.Rename(r.path("a.log"), r.path("a.log.1")); err != nil {
		t.Fatal(err)
	}
	r.append("a.log", "\tat d.E.f(E.java:2)\nCaused by: x.Y\n{\"message\":\"after\"}\n")
	r.wait("all entries", func() bool { return len(r.messages(topic)) == 3 })
	r.wait("a lag of none", func() bool {
		for _, f := range r.status().Files {
			if f.Lag != 0 {
				return false
			}
		}
		return true
	})
	r.stop()
	for _, e := range r.entries() {
		if fi, err := os.Stat(e.Path); err != nil || fi.Size() != e.Offset {
			t.Errorf("%s: %d bytes are settled of %v, %v", e.Path, e.Offset, fi, err)
		}
	}
	r.start()
	r.append("a.log", "{\"message\":\"more\"}\n")
	r.wait("what comes after a restart", func() bool { return len(r.messages(topic)) >= 4 })
	r.stop()
	got := r.messages(topic)
	if len(got) != 4 || !strings.HasSuffix(got[1], "failed\njava.lang.Error: no car\n\tat a.B.c(B.java:1)\n\tat d.E.f(E.java:2)\nCaused by: x.Y") || got[3] != "more" {
		t.Errorf("messages %q", got)
	}
}
