package agent

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"shiplog/shipper"
	"shiplog/tailer"
)

// finds wants a finding of a check for a subject, with that status and these words.
func finds(t *testing.T, found []shipper.Finding, check, subject string, status shipper.Status, words ...string) {
	t.Helper()
	for _, f := range found {
		if f.Check != check || f.Subject != subject {
			continue
		}
		if f.Status != status {
			t.Errorf("%s of %s is %s, want %s: %s", check, subject, f.Status, status, f.Says)
		}
		if status == shipper.Problem && CodeOf(f.Says) == "" {
			t.Errorf("%s of %s ends with no code: %s", check, subject, f.Says)
		}
		for _, w := range words {
			if !strings.Contains(f.Says+" -> "+f.Remedy, w) {
				t.Errorf("%s of %s does not say %q: %s -> %s", check, subject, w, f.Says, f.Remedy)
			}
		}
		return
	}
	t.Errorf("no %s of %s among %+v", check, subject, found)
}

// TestPreflight looks at a whole configuration, of which nothing may change.
func TestPreflight(t *testing.T) {
	r := newRig(t, kfake.SeedTopics(1, topic, "dead", "app.one"))
	r.append("a.log", "one\n")
	r.must(os.Mkdir(r.path("dir.log"), 0o755))
	r.append("zip.log", "PK\x03\x04 and so on\n")
	r.c.Inputs[0].Paths = append(r.c.Inputs[0].Paths, r.path("dir.log"))
	r.c.Kafka.DeadLetter.Topic = "dead"
	templated := r.c.Inputs[0]
	templated.Name, templated.Topic = "templated", "app.{{.application}}"
	templated.Paths = []string{r.path("none/*.log")}
	r.c.Inputs = append(r.c.Inputs, templated)
	found, err := Preflight(t.Context(), r.c)
	r.must(err)
	first := r.c.Inputs[0].Name
	finds(t, found, "kafka.bootstrap", r.c.Kafka.Brokers[0], shipper.OK)
	finds(t, found, "topic.rights", topic, shipper.OK)
	finds(t, found, "topic.rights", "dead (dead letters)", shipper.OK)
	finds(t, found, "topic.template", "app.{{.application}}", shipper.OK, "1 topics")
	finds(t, found, "topic.rights", "app.one (by template)", shipper.OK)
	finds(t, found, "state_dir", r.c.StateDir, shipper.OK, "can be made")
	finds(t, found, "input.files", first, shipper.Problem, "2 of 3 files cannot be read")
	finds(t, found, "input.file", r.path("dir.log"), shipper.Problem, "it is a folder", "name the files in it")
	finds(t, found, "input.file", r.path("zip.log"), shipper.Problem, "zip: compression that is not read", "leave it out by exclude")
	finds(t, found, "input.files", "templated", shipper.Warning, "none does not exist")
	finds(t, found, "limit.descriptors", "open files", shipper.OK, "3 files")
	finds(t, found, "limit.watches", "file system events", shipper.OK, "1 folder")
	if isThere(r.c.StateDir) {
		t.Error("the state directory was made")
	}
	for _, f := range found {
		if bad := f.Status == shipper.Problem || f.Status == shipper.Warning; bad != (f.Remedy != "") {
			t.Errorf("status and remedy do not fit: %+v", f)
		}
	}
}

func TestCheckStateDir(t *testing.T) {
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.append("a.log", "one\n")
	r.must(r.once())
	finds(t, checkStateDir(t.Context(), r.c), "state_dir", r.c.StateDir, shipper.OK, "can be written; 1 file known")
	left, err := os.ReadDir(r.c.StateDir)
	r.must(err)
	for _, e := range left {
		if strings.HasPrefix(e.Name(), ".check") {
			t.Errorf("%s was left behind", e.Name())
		}
	}
	r.c.StateDir = r.path("a.log")
	finds(t, checkStateDir(t.Context(), r.c), "state_dir", r.path("a.log"), shipper.Problem, "is no directory")
	if os.Geteuid() == 0 || runtime.GOOS == "windows" {
		return // root may write everywhere, and Windows has no such modes
	}
	r.c.StateDir = r.path("closed")
	r.must(os.Mkdir(r.path("closed"), 0o500))
	finds(t, checkStateDir(t.Context(), r.c), "state_dir", r.path("closed"), shipper.Problem, "cannot be written")
	r.c.StateDir = filepath.Join(r.path("closed"), "state")
	finds(t, checkStateDir(t.Context(), r.c), "state_dir", r.c.StateDir, shipper.Problem, "cannot be made")
}

func TestCheckLimits(t *testing.T) {
	for _, c := range []struct {
		name           string
		files, maxOpen int
		limit          uint64
		status         shipper.Status
		says           string
	}{
		{"enough", 10, 1024, 1024, shipper.OK, "1024 descriptors"},
		{"no limit", 1, 1024, math.MaxUint64, shipper.OK, "1 file"},
		{"in turns", 2000, 1024, 65536, shipper.OK, "read in turns"},
		{"too few", 2000, 1024, 1024, shipper.Warning, "not enough for 1024 files"},
	} {
		if f := checkDescriptors(c.files, c.maxOpen, c.limit); f.Status != c.status || !strings.Contains(f.Says, c.says) {
			t.Errorf("%s: %+v", c.name, f)
		}
	}
	reason := errors.New("the inotify watch limit is reached")
	for _, s := range []tailer.Sight{
		{NoEvent: reason},
		{Folders: []string{"/a", "/b"}, Blind: map[string]error{"/b": reason}},
	} {
		if f := checkEvents(&s); f.Status != shipper.Warning || !strings.Contains(f.Says, reason.Error()) || !strings.Contains(f.Remedy, "fs.inotify") {
			t.Errorf("%+v", f)
		}
	}
}
