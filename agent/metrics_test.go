package agent

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kfake"
)

// fullStatus is a status in which everything has happened.
func fullStatus() Status {
	sums := Sums{Files: 9, States: map[string]int{"reading": 7, "unreadable": 2}, Lag: 100, LagSeconds: 4.5}
	return Status{
		AgentVersion: "v1", Started: time.Unix(1_700_000_000, 0), Healthy: true,
		Inputs: []InputState{
			{Name: "app", Sums: sums, Totals: Totals{Bytes: 1000, Lines: 50, Filtered: 3}, Unparsed: map[string]int64{"json": 4}, Rotations: map[string]int64{"renamed": 2}},
			{Name: "a \"quoted\"\nname"},
		},
		Kafka:      KafkaState{Errors: map[string]int64{"network": 6}, Brokers: []BrokerState{{Addr: "k:9092", State: "idle", Failures: 3}}, MemoryLimit: 64 << 20},
		Checkpoint: CheckpointState{Saves: 12, LastSave: time.Unix(1_700_000_100, 500_000_000)},
		Logged:     LoggedErrors{Warnings: 8, Errors: 1},
	}
}

// scrape returns what /metrics answers.
func scrape(t *testing.T, s func() Status) string {
	t.Helper()
	w := httptest.NewRecorder()
	newMetrics(s).handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// names returns the names of shiplog's metrics in a text.
func names(text string) []string {
	found := regexp.MustCompile(`\bshiplog_[a-z_]+`).FindAllString(text, -1)
	slices.Sort(found)
	return slices.Compact(found)
}

func TestMetricsOfAStatus(t *testing.T) {
	s := fullStatus()
	text := scrape(t, func() Status { return s })
	for _, want := range []string{
		`shiplog_lines_total{input="app"} 50`, `shiplog_read_bytes_total{input="app"} 1000`, `shiplog_lag_seconds{input="app"} 4.5`,
		`shiplog_parse_failures_total{format="json",input="app"} 4`, `shiplog_dropped_lines_total{input="app",reason="filtered"} 3`,
		`shiplog_rotations_total{input="app",kind="renamed"} 2`, `shiplog_files{input="app",state="unreadable"} 2`, `shiplog_files{input="app",state="missing"} 0`,
		`shiplog_kafka_errors_total{reason="network"} 6`, `shiplog_kafka_broker_state{broker="k:9092",state="idle"} 1`, `shiplog_kafka_broker_state{broker="k:9092",state="connected"} 0`,
		`shiplog_checkpoint_last_save_timestamp_seconds 1.7000001005e+09`, `shiplog_healthy 1`, `shiplog_ready 0`, `shiplog_logged_errors_total{level="warn"} 8`,
		`shiplog_last_acknowledgement_timestamp_seconds 0`, `input="a \"quoted\"\nname"`, `shiplog_acknowledgement_seconds_bucket{le="0.005"} 0`, "go_goroutines ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if problems, err := testutil.GatherAndLint(newMetrics(func() Status { return s }).registry); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
	s.Inputs = s.Inputs[1:] // an input, a broker and a reason that are no more leave nothing behind
	s.Kafka.Brokers, s.Kafka.Errors = nil, nil
	text = scrape(t, func() Status { return s })
	for _, gone := range []string{`"app"`, "k:9092", `reason="network"`} {
		if strings.Contains(text, gone) {
			t.Errorf("%s is still there", gone)
		}
	}
}

// TestMetricsOfARun scrapes an agent: counts are right, and there is no series
// per file.
func TestMetricsOfARun(t *testing.T) {
	t.Parallel()
	r := newRig(t, kfake.SeedTopics(1, topic))
	r.append("a.log", "one\ntwo\n{broken\n")
	r.start()
	body := ""
	has := func(want ...string) func() bool {
		return func() bool {
			_, body = r.get("/metrics")
			return !slices.ContainsFunc(want, func(w string) bool { return !strings.Contains(body, w) })
		}
	}
	input := `{input="` + r.c.Inputs[0].Name + `"}`
	r.wait("three lines", has("shiplog_acknowledged_records_total"+input+" 3", "shiplog_acknowledged_bytes_total"+input+" 16", "shiplog_ready 1", "shiplog_acknowledgement_seconds_count 2"))
	series := func() int {
		return strings.Count(regexp.MustCompile(`(?m)^(shiplog_[^{ ]+)`).ReplaceAllString(body, "\x00"), "\x00")
	}
	before := series()
	for _, name := range []string{"b.log", "c.log", "d.log", "e.log"} {
		r.append(name, "three\n")
	}
	r.wait("more files", has("shiplog_acknowledged_records_total"+input+" 7", `state="idle"} 5`))
	if after := series(); after != before {
		t.Errorf("%d series with one file, %d with five", before, after)
	}
}

// TestRulesAndDashboard: what the alerts and the dashboard ask for exists, and
// the README names every metric.
func TestRulesAndDashboard(t *testing.T) {
	there := names(scrape(t, fullStatus))
	read := func(path ...string) string {
		b, err := os.ReadFile(filepath.Join(append([]string{".."}, path...)...))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, path := range []string{"packaging/prometheus/shiplog.rules.yaml", "packaging/prometheus/shiplog.rules.test.yaml", "packaging/grafana/shiplog.json"} {
		used := names(read(path))
		if len(used) < 10 {
			t.Errorf("%s uses %d metrics only", path, len(used))
		}
		for _, name := range used {
			if !slices.Contains(there, name) {
				t.Errorf("%s asks for %s, which does not exist", path, name)
			}
		}
	}
	if board := read("packaging", "grafana", "shiplog.json"); !json.Valid([]byte(board)) {
		t.Error("the dashboard is no JSON")
	}
	readme := names(read("README.md"))
	for _, name := range there {
		if !regexp.MustCompile(`_(bucket|sum|count)$`).MatchString(name) && !slices.Contains(readme, name) {
			t.Errorf("the README does not name %s", name)
		}
	}
}

// TestPromtool has Prometheus' own tool check the alerts, run their tests, and
// read a scrape.
func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("promtool is not installed: .ci/run fetches it")
		}
		t.Skip("PROMTOOL IS MISSING: the alert rules are not tested; it is part of the Debian package prometheus")
	}
	for _, args := range [][]string{{"check", "rules", "shiplog.rules.yaml"}, {"test", "rules", "shiplog.rules.test.yaml"}, {"check", "metrics"}} {
		c := exec.Command(promtool, args...)
		c.Dir = filepath.Join("..", "packaging", "prometheus")
		c.Stdin = strings.NewReader(scrape(t, fullStatus))
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
