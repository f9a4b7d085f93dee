package agent

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// why asks about a file, and wants the state and each of the texts.
func (r *rig) why(path string, read bool, state string, texts ...string) {
	r.t.Helper()
	w, err := ExplainFile(r.t.Context(), r.c, path)
	if err != nil {
		r.t.Fatal(err)
	}
	text := w.Text()
	for _, want := range texts {
		if !strings.Contains(text, want) {
			r.t.Errorf("%s: %q is not said: %s", path, want, text)
		}
	}
	if w.Read != read || w.State != state {
		r.t.Errorf("%s: read %t, state %s; want %t, %s: %s", path, w.Read, w.State, read, state, text)
	}
}

// TestWhyWithoutAnAgent asks configuration, state and disk.
func TestWhyWithoutAnAgent(t *testing.T) {
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.c.Inputs[0].Exclude = []string{"**/debug-*"}
	none := "No agent runs"
	r.why(r.path("a.log"), false, "missing", "asks for it, by", "It is not there.", none) // not even a state directory
	r.append("a.log", "one\ntwo\n")
	r.why(r.path("a.log"), false, "unmet", "never seen", "from its beginning", none)
	r.must(r.once())
	r.why(r.path("a.log"), true, "done", "8 of 8 bytes", none)
	r.append("a.log", "three\n")
	r.why(r.path("a.log"), false, "stopped", "8 of 14 bytes", none)
	r.must(os.Rename(r.path("a.log"), r.path("a.log.1")))
	r.why(r.path("a.log.1"), false, "alias", "under another name", "8 of 14", none)
	r.why(r.path("a.log"), false, "missing", "It is known as the file", none)
	r.append("a.log", "quite another\n")
	r.why(r.path("a.log"), false, "unmet", none)

	r.append("debug-a.log", "x\n")
	r.why(r.path("debug-a.log"), false, "excluded", "leaves it out, by exclude **/debug-*")
	r.append("a.txt", "x\n")
	r.why(r.path("a.txt"), false, "unmatched", "No pattern matches it", "wants *.log where the path has a.txt")
	r.must(os.Mkdir(r.path("dir.log"), 0o755))
	r.why(r.path("dir.log"), false, "folder", "It is a folder")
	r.why(r.path("none/of/these.log"), false, "unmatched", "the path has none", "none does not exist")
	r.append("empty.log", "")
	r.why(r.path("empty.log"), false, "unmet", "It is empty")
	r.append("binary.log", "a\x00b")
	r.why(r.path("binary.log"), false, "unmet", "NUL bytes")
	r.c.Inputs[0].Start = "end"
	r.why(r.path("empty.log"), false, "unmet", "from its end")
	r.c.StateDir = r.path("another state")
	r.append("end.log", "before the start\n")
	r.must(r.once())
	r.why(r.path("end.log"), true, "done", "17 bytes of it were not sent on purpose: there before the first start")
}

func TestWhyLooksThroughLinks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a right there")
	}
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.must(os.MkdirAll(r.path("data"), 0o755))
	r.append("data/real", "one\n")
	r.must(os.Symlink(r.path("data/real"), r.path("link.log")))
	r.must(os.Symlink(r.path("data/none"), r.path("broken.log")))
	r.must(r.once())
	l, err := net.Listen("unix", r.path("socket.log"))
	r.must(err)
	defer l.Close()
	r.why(r.path("link.log"), true, "done", "symbolic link to "+r.path("data/real"))
	r.why(r.path("data/real"), true, "done", "found first as "+r.path("link.log"))
	r.why(r.path("broken.log"), false, "missing", "symbolic link to", "It is not there")
	r.why(r.path("socket.log"), false, "irregular", "a socket")
	r.must(os.Link(r.path("data/real"), r.path("second.log")))
	r.why(r.path("second.log"), true, "alias", "both lead to the same file")
}

// TestWhyOfARunningAgent asks the agent.
func TestWhyOfARunningAgent(t *testing.T) {
	t.Parallel()
	r := newRig(t, kfake.SeedTopics(1, topic))
	g := newGate(t, r.kafka.ListenAddrs()[0])
	r.c.Kafka.Brokers = []string{g.addr}
	r.append("a.log", "one\n")
	r.start()
	r.wait("the line to be read", func() bool { return r.status().Totals.Lines == 1 })
	r.wait("red health", func() bool { return !r.healthy() })
	r.why(r.path("a.log"), true, "idle", "4 bytes that were read wait for Kafka's acknowledgement", "The agent is not well", "It is followed")
	g.open()
	r.acknowledged()
	r.why(r.path("a.log"), true, "idle", "4 of 4 bytes")
	r.must(os.WriteFile(r.path("odd \n\xff.log"), []byte("x\n"), 0o600))
	r.wait("the odd file", func() bool { return len(r.messages(topic)) == 2 })
	r.why(r.path("odd \n\xff.log"), true, "idle", `odd \n\xff.log" is being read`)
	r.must(os.Mkdir(r.path("dir.log"), 0o755))
	r.why(r.path("dir.log"), false, "folder")
	r.why(r.path("b.txt"), false, "unmatched")
	r.append("zip.log", "PK\x03\x04 and so on\n")
	r.wait("the agent to meet what it cannot read", func() bool { return strings.Contains(r.said(), "zip: compression that is not read") })
	r.why(r.path("zip.log"), false, "unreadable", "It is not read: ", "zip: compression that is not read")
	r.must(os.Rename(r.path("a.log"), r.path("a.log.1")))
	r.wait("the rotated file", func() bool {
		for _, f := range r.status().Files {
			if filepath.Base(f.Path) == "a.log.1" && f.State == "finished" {
				return true
			}
		}
		return false
	})
	r.why(r.path("a.log.1"), true, "finished", "found first as "+r.path("a.log"), "rotated and read to its end")
	r.stop()
	r.why(r.path("a.log.1"), true, "done", "No agent runs")
}
