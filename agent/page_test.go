package agent

import (
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// TestVerdict: one sentence says whether lines are shipped.
func TestVerdict(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		s                     Status
		state, sentence, says string
	}{
		"well":           {Status{Healthy: true, Ready: true}, "good", "Shipping: all is well.", ""},
		"behind":         {Status{Healthy: true, Ready: true, Sums: Sums{LagSeconds: 31}}, "good", "Shipping, and catching up.", ""},
		"no files":       {Status{Healthy: true, Ready: true, Sums: Sums{Files: -1}, Config: "/c d"}, "warn", "Nothing to ship", `shiplog why FILE --config "/c d"`},
		"a problem":      {Status{Ready: true, Problems: []string{"x cannot be read"}}, "warn", "Shipping, but one thing is wrong.", "x cannot be read"},
		"problems":       {Status{Ready: true, Problems: []string{"x", "y"}}, "warn", "Shipping, but 2 things are wrong.", "y"},
		"away for long":  {Status{Problems: []string{"no broker"}, NotReady: []string{"9 bytes wait"}}, "bad", "Not shipping", "no broker"},
		"away of late":   {Status{Ready: true, Problems: []string{"no broker"}, Sums: Sums{LagSeconds: 6}, Kafka: KafkaState{LastAck: now.Add(-6 * time.Second)}}, "bad", "Not shipping", "no broker"},
		"just acked":     {Status{Ready: true, Problems: []string{"no broker"}, Sums: Sums{LagSeconds: 6}, Kafka: KafkaState{LastAck: now.Add(-4 * time.Second)}}, "warn", "Shipping, but one thing is wrong.", "no broker"},
		"never acked":    {Status{Ready: true, Uptime: 9, Problems: []string{"no broker"}, Kafka: KafkaState{OldestSeconds: 8}}, "bad", "Not shipping", "no broker"},
		"without reason": {Status{Healthy: true, NotReady: []string{"9 bytes wait"}}, "bad", "Not shipping", "9 bytes wait"},
		"starting":       {Status{Healthy: true, NotReady: []string{"it is starting: no broker"}}, "warn", "Starting", "no broker"},
		"stopping":       {Status{Problems: []string{"no broker"}, NotReady: []string{"it is stopping"}}, "warn", "Stopping", "no broker"},
	} {
		s := c.s
		s.At, s.Phase = now, "running"
		if name == "starting" || name == "stopping" {
			s.Phase = name
		}
		s.Sums.Files++ // of most
		state, sentence, reasons := verdict(&s)
		if state != c.state || !strings.HasPrefix(sentence, c.sentence) || !strings.Contains(strings.Join(reasons, "|"), c.says) || c.says == "" && len(reasons) > 0 {
			t.Errorf("%s: %s, %q, %q", name, state, sentence, reasons)
		}
	}
}

// TestPageOfManyFiles: the page has a bounded number of files, and leads to all.
func TestPageOfManyFiles(t *testing.T) {
	s := Status{At: time.Now(), Sums: Sums{Files: 100_000}, FilesMatching: 12_000, SkippedTotal: 300}
	for i := range 100 {
		s.Files = append(s.Files, FileState{ID: fmt.Sprintf("%016x", i), Path: "/l/a b", State: "unreadable", Reason: "permission denied"})
		s.Skipped = append(s.Skipped, Skipped{"/x", "loop"})
	}
	f := filesOf(&s, StatusQuery{Limit: pageFiles, Offset: 200, Match: "a b&c", Sort: "path"})
	if f.Summary != "201 to 300 of 12,000 files that match, of 100,000, by path." {
		t.Errorf("%q", f.Summary)
	}
	if f.Next != "/?match=a+b%26c&offset=300&sort=path#files" || f.Previous != "/?match=a+b%26c&offset=100&sort=path#files" || f.All != "/?sort=path#files" {
		t.Errorf("next %s, previous %s, all %s", f.Next, f.Previous, f.All)
	}
	if f.SkippedMore != "and 200 more." || len(f.Table.Rows) != 100 {
		t.Errorf("%q, %d rows", f.SkippedMore, len(f.Table.Rows))
	}
	if c := f.Table.Rows[0].Cells[1]; f.Table.Rows[0].State != "bad" || c.Text != `"/l/a b"` || c.Note != "permission denied" || c.Href != "/?file=0000000000000000#files" {
		t.Errorf("%+v", f.Table.Rows[0])
	}
	sorted := 0
	for _, c := range f.Table.Columns {
		if c.Sorted != "" {
			sorted++
		}
		if q, err := url.Parse(c.Href); c.Href != "" && (err != nil || q.Query().Get("match") != "a b&c" || q.Query().Has("offset")) {
			t.Errorf("%s leads to %s", c.Name, c.Href)
		}
	}
	if sorted != 1 {
		t.Errorf("sorted by %d columns", sorted)
	}
}

func TestCharts(t *testing.T) {
	now := time.Now()
	h := History{StepSeconds: 10}
	if c := charts(&h, now); len(c) != 2 || c[0].Summary != "nothing is known yet" || len(c[0].Rows.Rows) != 0 {
		t.Errorf("of nothing: %+v", c)
	}
	for i := range 31 {
		p := Point{At: now.Add(-time.Duration(300-10*i) * time.Second), Healthy: true}
		if i >= 10 && i < 16 {
			p.LagSeconds, p.Healthy = float64(i), false
		}
		h.Points = append(h.Points, p)
	}
	c := charts(&h, now)
	if c[0].Summary != "now nothing; at most 15s, 2 min ago; not healthy for 1m (shaded)" || c[0].Top != "30s" || c[0].Points[15].Value != 0.5 || !c[0].Points[10].Bad {
		t.Errorf("behind: %q of %s, %+v", c[0].Summary, c[0].Top, c[0].Points[15])
	}
	if c[1].Summary != "0 B/s in the 5 min since the start; not healthy for 1m (shaded)" {
		t.Errorf("shipped: %q", c[1].Summary)
	}
	if rows := c[0].Rows.Rows; len(rows) != 2 || rows[0].Cells[4].Text != "at times" || rows[1].Cells[4].Text != "yes" {
		t.Errorf("table: %+v", rows)
	}
	for most, want := range map[float64]float64{0: 1, 1: 1, 61: 120, 50_000: 86_400, 90_000: 172_800} {
		if got := timeScale(most); got != want {
			t.Errorf("scale of %v s: %v, want %v", most, got, want)
		}
	}
	if byteScale(0) != 1024 || byteScale(1025) != 2048 {
		t.Error("scale of bytes")
	}
}

// TestPage has the running agent serve its page.
func TestPage(t *testing.T) {
	t.Parallel()
	r := newRig(t, kfake.SeedTopics(1, topic))
	name := "a\xff\n<b>.log"
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		name = "a&lt;b.log"
	}
	r.append(name, "one\ntwo\n")
	r.start()
	var text string
	r.wait("the lines on the page", func() bool {
		_, text = r.get("/")
		return strings.Contains(text, "2 since the start") && strings.Contains(text, "Shipping: all is well.")
	})
	for _, want := range []string{"<h1>Shipping: all is well.</h1>", "checkpoint_interval:", filepath.Base(r.path("state")), "connected"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, "<b>.log") || strings.Contains(text, "\xff") || !strings.Contains(text, ".log") {
		t.Errorf("the name is not escaped:\n%s", text)
	}
	for query, want := range map[string]string{"?match=nothing": "No file is as asked for.", "?limit=100000": "is not a number", "?limit=10000": "<h1>", "?file=" + r.status().Files[0].ID: "All that is known of it", "?after=x": "is not an id"} {
		if _, text := r.get("/" + query); !strings.Contains(text, want) {
			t.Errorf("%s: %q is missing in %.300s", query, want, text)
		}
	}
	r.stop()
}
