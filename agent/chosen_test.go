package agent

import (
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// TestChosenFormat has the containers' lines joined where auto has recognised
// them, and says in the status, and where a file is asked about, how each is
// read: also after a restart, when nothing of it was read again.
func TestChosenFormat(t *testing.T) {
	t.Parallel()
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.append("docker.log", `{"log":"one ","stream":"stdout","time":"2026-01-25T10:10:10.1Z"}`+"\n"+
		`{"log":"line\n","stream":"stdout","time":"2026-01-25T10:10:10.1Z"}`+"\n"+`{"log":"2\n","stream":"stdout","time":"2026-01-25T10:10:10.2Z"}`+"\n")
	r.append("cri.log", "2026-01-25T10:10:10.1Z stdout P another \n2026-01-25T10:10:10.1Z stdout F line\n2026-01-25T10:10:10.2Z stdout F 4\n")
	r.append("table.log", "time,user,msg\n2026-01-25 10:10:10,bob,in a table\n")
	formats := map[string]string{"docker.log": "docker", "cri.log": "cri", "table.log": "csv"}
	wanted := func() bool {
		n := 0
		for _, f := range r.status().Files {
			if f.Format == formats[filepath.Base(f.Path)] && f.FormatReason != "" {
				n++
			}
		}
		return n == len(formats)
	}
	r.start()
	r.wait("the formats", wanted)
	r.acknowledged()
	r.why(r.path("docker.log"), true, "idle", "It is read as docker: recognised in 2 of the first 2 entries; its text is raw")
	r.stop()
	r.why(r.path("table.log"), true, "done", "It is read as csv: recognised in 2 of the first 2 entries")
	r.start()
	r.wait("the formats after a restart", wanted)
	r.stop()
	got := map[string]bool{}
	for _, m := range r.messages(topic) {
		got[m] = true
	}
	for _, want := range []string{"one line", "2", "another line", "4", "time,user,msg", "in a table"} {
		if !got[want] {
			t.Errorf("no %q in %v", want, got)
		}
	}
	r.c.Inputs[0].Format = "text"
	r.why(r.path("table.log"), true, "done", "It is read as text, as configured")
}
