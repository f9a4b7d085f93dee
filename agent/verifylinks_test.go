package agent

import (
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// TestVerifyLinksThatLeadNowhere verifies the others beside a link that cannot be
// followed, of which nothing is proved; one that leads to nothing is no file.
func TestVerifyLinksThatLeadNowhere(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a right there")
	}
	t.Parallel()
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.append("a.log", "one\n")
	r.ship()
	r.must(os.Symlink(r.path("nothing"), r.path("b.log")))
	if v := r.verify(VerifyOptions{}); !v.Complete || len(v.Files) != 1 {
		t.Errorf("with a link to nothing: %+v", v)
	}
	r.must(os.Symlink(r.path("loop.log"), r.path("loop.log")))
	v := r.verify(VerifyOptions{})
	if a, loop := r.proof(v, "a.log"), r.proof(v, "loop.log"); v.Complete || a.Incomplete() || a.Covered != 4 || !strings.Contains(loop.Problem, r.path("loop.log")) {
		t.Errorf("with a link to itself: %+v", v)
	}
}
