package agent

import (
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"shiplog/shipper"
	"shiplog/tailer"
)

var update = flag.Bool("update", false, "write the golden files anew")

// shape replaces each value of a JSON document by its type, and a list by one
// thing that has the members of all of them.
func shape(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			out[k] = shape(x)
		}
		return out
	case []any:
		members := map[string]any{}
		for _, x := range v {
			s, ok := shape(x).(map[string]any)
			if !ok {
				return []any{shape(x)}
			}
			maps.Copy(members, s)
		}
		if len(v) == 0 {
			return v
		}
		return []any{members}
	case string:
		if _, err := time.Parse(time.RFC3339, v); err == nil {
			return "time"
		}
		return "text"
	case float64:
		return "number"
	case bool:
		return "boolean"
	}
	return v
}

// TestStatusGolden holds the members of /status and /history, and their types,
// to testdata/status.golden: who reads them relies on it. A member may be
// added, none may go.
func TestStatusGolden(t *testing.T) {
	t.Parallel()
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.c.Inputs[0].MaxLineBytes = 80
	r.append("a.log", "one\n{broken\n"+strings.Repeat("x", 100)+"\n"+strings.Repeat("two\n", 60)+"three")
	r.start()
	var whole map[string]any
	r.wait("a file that is read up to its last line", func() bool {
		_, body := r.get("/status")
		var s Status // of the same answer
		whole = nil
		if json.Unmarshal([]byte(body), &whole) != nil || json.Unmarshal([]byte(body), &s) != nil {
			return false
		}
		return s.Kafka.InFlightRecords == 0 && s.Ready && s.Totals.Acknowledged == 63 && s.Checkpoint.Saves > 0 && len(s.Files) == 1 && s.Files[0].Pending == 5 && len(s.Kafka.Brokers) > 0
	})
	_, body := r.get("/history")
	var past any
	if err := json.Unmarshal([]byte(body), &past); err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(shape(map[string]any{"/status": whole, "/history": past}), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "status.golden")
	if *update {
		if err := os.WriteFile(golden, append(got, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != strings.TrimSpace(strings.ReplaceAll(string(want), "\r", "")) {
		t.Errorf("the shape has changed; if nothing went, run go test ./agent -run StatusGolden -update\n%s", got)
	}
}

// TestStatusSays looks at what a status says of a run.
func TestStatusSays(t *testing.T) {
	t.Parallel()
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.append("a.log", "one\n{broken\ntwo\nhalf")
	r.append("b.log", "three\n")
	r.start()
	var s Status
	r.wait("all to be acknowledged", func() bool {
		s = r.status()
		return s.Totals.Acknowledged == 4 && s.Phase == "running" && s.Sums.Pending == 4 && s.Checkpoint.Saves > 0
	})
	if s.Version != StatusVersion || !s.Healthy || !s.Ready || s.AgentVersion != "v-test" || s.Config != "/etc/test.yaml" || s.Uptime <= 0 || s.PID != os.Getpid() {
		t.Errorf("%+v", s)
	}
	if len(s.Inputs) != 1 || len(s.Files) != 2 || s.FilesMatching != 2 || s.Sums.Files != 2 || s.Sums.Lag != 4 || s.Sums.LagSeconds != 0 {
		t.Fatalf("inputs %+v, files %+v, sums %+v", s.Inputs, s.Files, s.Sums)
	}
	in := s.Inputs[0]
	if in.Topic != topic || in.Format != "auto" || in.Sums.Files != 2 || in.Totals != s.Totals || in.Unparsed["raw"] != 1 || in.Rates.Lines <= 0 {
		t.Errorf("input %+v", in)
	}
	a := s.Files[0] // it lags by its last line
	if a.Path != r.path("a.log") || a.Lag != 4 || a.Pending != 4 || a.LagSeconds != 0 || a.State != "idle" || a.Reason == "" || a.Format != "raw" || a.FormatReason == "" || a.Rate <= 0 || a.LastAck.IsZero() {
		t.Errorf("a.log %+v", a)
	}
	if b := s.Files[1]; b.Lag != 0 || b.State != "idle" || b.Reason != "" || b.Encoding != "utf-8" {
		t.Errorf("b.log %+v", b)
	}
	if s.Kafka.InFlightBytes != 0 || s.Kafka.OldestSeconds != 0 || s.Kafka.MemoryLimit == 0 || len(s.Kafka.Errors) != 0 {
		t.Errorf("kafka %+v", s.Kafka)
	}
	code, body := r.get("/status?match=b.log&limit=1&sort=path")
	var one Status
	if err := json.Unmarshal([]byte(body), &one); err != nil || code != 200 || len(one.Files) != 1 || one.Files[0].Path != r.path("b.log") || one.FilesMatching != 1 || one.Sums.Files != 2 {
		t.Errorf("%d %s", code, body)
	}
	if code, body := r.get("/status?colour=red"); code != 400 || !strings.Contains(body, "colour") {
		t.Errorf("%d %s", code, body)
	}
}

// TestStatusOfAnOutage: Kafka is away, so that all lags and the last errors say
// why.
func TestStatusOfAnOutage(t *testing.T) {
	t.Parallel()
	r := newRig(t) // without the topic
	r.append("a.log", "one\ntwo\n")
	r.start()
	var s Status
	r.wait("the missing topic to be told", func() bool {
		s = r.status()
		return !s.Healthy && len(s.LastErrors) > 0 && s.Sums.LagSeconds > 1
	})
	if f := s.Files[0]; f.Lag != 8 || f.LagSeconds <= 0 || s.Sums.Lag != 8 || s.Kafka.InFlightRecords != 2 || s.Kafka.OldestSeconds <= 0 || s.Kafka.Errors["UNKNOWN_TOPIC_OR_PARTITION"] == 0 {
		t.Errorf("%+v, %+v", f, s.Kafka)
	}
	if !slices.ContainsFunc(s.LastErrors, func(e LastError) bool {
		return strings.Contains(e.Text, "does not exist") && e.Level == "warn" && !e.At.IsZero() && e.Count >= 1
	}) {
		t.Errorf("last errors %+v", s.LastErrors)
	}
}

func rowsFor(n int) []fileRow {
	rows := make([]fileRow, n)
	for i := range rows {
		rows[i] = fileRow{id: tailer.FileID(i + 1), path: fmt.Sprintf("/var/log/%06d.log", n-i), input: string("ab"[i%2]), state: "idle", size: int64(i), acknowledged: int64(i), known: true}
	}
	return rows
}

// TestStatusPages goes through 25,000 files, all of them and some.
func TestStatusPages(t *testing.T) {
	rows := rowsFor(25_000)
	rows[700].acknowledged -= 5
	rows[800].acknowledged -= 50
	rows[900].state = "unreadable"
	rows[17].rate = 9

	page, n := (&StatusQuery{}).page(rows)
	if n != len(rows) || len(page) != statusFiles || page[0].id != 901 || page[1].id != 801 || page[2].id != 701 || page[3].id != 18 {
		t.Errorf("%d of %d, first %v", len(page), n, page[:4])
	}
	seen := map[tailer.FileID]bool{}
	q := StatusQuery{Limit: 9000, After: new(tailer.FileID)}
	for pages := 1; ; pages++ {
		page, _ = q.page(rows)
		for _, r := range page {
			seen[r.id] = true
		}
		if len(page) < q.Limit {
			if pages != 3 || len(seen) != len(rows) {
				t.Errorf("%d pages have %d files", pages, len(seen))
			}
			break
		}
		q.After = &page[len(page)-1].id
	}
	for _, c := range []struct {
		query           string
		first, matching int
		length          int
	}{
		{"limit=10&offset=24995&sort=path", 5, 25_000, 5},
		{"sort=rate&limit=1", 18, 25_000, 1},
		{"sort=size&limit=1", 25_000, 25_000, 1},
		{"input=b&sort=id&limit=3", 2, 12_500, 3},
		{"state=unreadable", 901, 1, 1},
		{"match=/000017.log", 25_000 - 16, 1, 1},
		{"file=00000000000003e8", 1000, 1, 1},
		{"offset=30000", 0, 25_000, 0},
		{"limit=0", 0, 25_000, 0},
	} {
		v, err := url.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		q, err := ParseStatusQuery(v)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseStatusQuery(q.Values()); err != nil || fmt.Sprint(again) != fmt.Sprint(q) {
			t.Errorf("%s comes back as %+v (%v)", c.query, again, err)
		}
		page, matching := q.page(rows)
		if matching != c.matching || len(page) != c.length || c.length > 0 && page[0].id != tailer.FileID(c.first) {
			t.Errorf("%s: %d of %d, first %v", c.query, len(page), matching, page[:min(1, len(page))])
		}
	}
	for _, bad := range []string{"limit=10001", "limit=-1", "limit=x", "offset=-1", "sort=name", "after=1", "file=xyz", "nothing=1"} {
		v, err := url.ParseQuery(bad)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseStatusQuery(v); err == nil || !strings.Contains(err.Error(), strings.Split(bad, "=")[0]) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestMeter(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var m meter
	if m.rate(start) != 0 {
		t.Error("an unused meter measures something")
	}
	now := start
	for range 600 { // a minute of 1000 a second
		m.add(100, now)
		now = now.Add(100 * time.Millisecond)
	}
	if r := m.rate(now); math.Abs(r-1000) > 20 {
		t.Errorf("steady: %f", r)
	}
	if r := m.rate(now.Add(30 * time.Second)); r < 40 || r > 60 {
		t.Errorf("half a minute later: %f", r)
	}
	if r := m.rate(now.Add(time.Hour)); r != 0 {
		t.Errorf("an hour later: %f", r)
	}
	m.add(500, now.Add(time.Hour)) // young again: all of it came within this second
	if r := m.rate(now.Add(time.Hour)); r < 400 || r > 600 {
		t.Errorf("again: %f", r)
	}
}

// TestLagMarks plays a file that is written steadily and acknowledged later.
func TestLagMarks(t *testing.T) {
	second := int64(time.Second)
	for _, lag := range []int64{2, 10, 60, 600} {
		var m lagMarks
		for now := int64(1); now <= 5*lag; now++ {
			since := m.note(1000*now, 1000*max(0, now-lag), now*second)
			if got := now - since/second; now > lag && (got > lag || float64(got) < float64(lag)*2/3-2) {
				t.Fatalf("lag of %d s measured as %d s after %d s", lag, got, now)
			}
		}
		if since := m.note(5000*lag, 5000*lag, 6*lag*second); since != 0 || m.n != 0 {
			t.Errorf("nothing lags, and %d", since)
		}
	}
	var m lagMarks
	for now := int64(1); now < 100; now++ { // a backlog that nobody takes
		if since := m.note(5000, 0, now*second); since != second {
			t.Fatalf("since %d", since)
		}
	}
}

func TestHistory(t *testing.T) {
	var h history
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 2 * 3600 {
		if at := start.Add(time.Duration(i) * time.Second); h.due(at) {
			h.note(Point{At: at, Lag: int64(i)})
		}
	}
	ps := h.list()
	if len(ps) != historyPoints || ps[0].Lag != 3600 || ps[len(ps)-1].Lag != 7190 {
		t.Errorf("%d points from %d to %d", len(ps), ps[0].Lag, ps[len(ps)-1].Lag)
	}
	for i := range ps[1:] {
		if ps[i+1].At.Sub(ps[i].At) != historyStep {
			t.Fatalf("%v after %v", ps[i+1].At, ps[i].At)
		}
	}
}

func TestRecentErrors(t *testing.T) {
	var r recentErrors
	log := slog.New(r.handler(slog.NewTextHandler(&strings.Builder{}, &slog.HandlerOptions{Level: slog.LevelError}))).With("path", "/a b")
	log.Info("fine")
	log.Warn("disk is slow", "error", fs.ErrPermission)
	for range 3 {
		log.Error("disk is full", "n", 7)
	}
	got := r.list(10)
	if len(got) != 2 || got[0].Text != "disk is full n=7" || got[0].Count != 3 || got[0].Level != "error" || got[0].Path != `"/a b"` || got[1].Text != "disk is slow error=permission denied" || got[1].Level != "warn" {
		t.Errorf("%+v", got)
	}
	for i := range 3 * recentMax {
		log.Warn(fmt.Sprint(i, strings.Repeat("ä", recentText)))
	}
	got = r.list(recentMax + 1)
	if len(got) != recentMax || len(got[0].Text) > recentText+4 || len(r.list(3)) != 3 {
		t.Errorf("%d kept, text of %d bytes", len(got), len(got[0].Text))
	}
}

// health is that of a producer with a problem.
func health(oldest, lastAck time.Time) shipper.Health {
	return shipper.Health{Oldest: oldest, LastAck: lastAck, Problems: []string{"no broker"}}
}

// TestNotReady: ready while Kafka acknowledges or nothing waits, or not for long.
func TestNotReady(t *testing.T) {
	now := time.Now()
	a := &Agent{started: now.Add(-time.Hour)}
	h := health(time.Time{}, time.Time{})
	if got := a.notReady(&h, &overview{at: now}); len(got) != 1 || !strings.Contains(got[0], "starting") {
		t.Errorf("starting: %v", got)
	}
	a.phase.Store(int32(running))
	for _, c := range []struct {
		name    string
		oldest  time.Duration // 0: nothing is in flight
		lastAck time.Duration // 0: never
		lag     float64
		ready   bool
	}{
		{"nothing to send, Kafka never seen", 0, 0, 0, true},
		{"just taken over", time.Second, 0, 0, true},
		{"long in flight, never acknowledged", time.Minute, 0, 0, false},
		{"long in flight, others are acknowledged", time.Minute, time.Second, 0, true},
		{"a backlog, nothing in flight, acknowledged lately", 0, time.Second, 600, true},
		{"a backlog that stands", 0, time.Minute, 600, false},
	} {
		ago := func(d time.Duration) time.Time {
			if d == 0 {
				return time.Time{}
			}
			return now.Add(-d)
		}
		h := health(ago(c.oldest), ago(c.lastAck))
		got := a.notReady(&h, &overview{at: now, all: sums{due: 5, seconds: c.lag}})
		if (len(got) == 0) != c.ready || !c.ready && (!strings.Contains(got[0], "5 bytes wait") || !strings.Contains(got[0], "no broker")) {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	a.phase.Store(int32(stopping))
	if got := a.notReady(&h, &overview{at: now}); len(got) != 1 || !strings.Contains(got[0], "stopping") {
		t.Errorf("stopping: %v", got)
	}
}
