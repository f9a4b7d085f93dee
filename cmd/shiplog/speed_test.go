package main_test

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"shiplog/shipper/kafkatest/child"
)

// TestSpeed measures the built binary as a whole process, against a broker that
// stores nothing, and prints a table. It asserts that everything arrives, never
// how fast: make bench.
//
//	SPEED=1         or it is skipped
//	SPEED_ROW       a regular expression: the rows to measure
//	SPEED_ROUNDS    how often each is measured (3); the best of them is printed
//	SPEED_BINARY    the binary of shiplog; else it is built
//	SPEED_AGAINST   another binary of shiplog, measured in turn with this one
func TestSpeed(t *testing.T) {
	if os.Getenv("SPEED") == "" {
		t.Skip("make bench runs it: it takes minutes")
	}
	if runtime.GOOS != "linux" {
		t.Skip("what another process uses is only known on Linux")
	}
	wanted, err := regexp.Compile("^(" + os.Getenv("SPEED_ROW") + ")")
	if err != nil {
		t.Fatalf("SPEED_ROW: %v", err)
	}
	s := &speed{rounds: int(tortureNumber(t, "SPEED_ROUNDS", 3)), dir: t.TempDir()}
	if binary := os.Getenv("SPEED_BINARY"); binary != "" {
		s.binaries = []string{binary}
	} else {
		s.binaries = []string{buildAgent(t)}
	}
	if other := os.Getenv("SPEED_AGAINST"); other != "" {
		if other, err = filepath.Abs(other); err != nil {
			t.Fatal(err)
		}
		s.binaries = append(s.binaries, other)
	}
	var results []speedResult
	for _, row := range speedRows() {
		if wanted.MatchString(row.name) {
			s.T = t
			results = append(results, row.measure(s)...)
		}
	}
	if len(results) == 0 {
		t.Fatalf("no row is called %q", os.Getenv("SPEED_ROW"))
	}
	printSpeed(results)
}

// speedRow is one kind of work.
type speedRow struct {
	name    string
	measure func(*speed) []speedResult
}

// speedRows are those of the table in README.md.
func speedRows() []speedRow {
	const million = 1_000_000
	return []speedRow{
		{"plain", shipping("plain", plainKind, million)},
		{"envelope", shipping("envelope", envelopeKind, million)},
		{"relaxed", shipping("relaxed", relaxedKind, million)},
		{"stack", shipping("stack", stackKind, million)},
		{"live", following("live", following10, 100_000, 0)},
		{"idle", following("idle", 0, 0, 1000)},
		{"slow", following("slow", 1000, 10_000, 0)},
		{"known", known},
		{"longline", longLine},
		{"burst", burst},
		{"outage", longOutage},
	}
}

// following10 is how many files the live row writes to.
const following10 = 10

// speedResult is what one contestant did in a row; NaN is not measured.
type speedResult struct {
	row, who string
	rate     float64          // lines a second
	cpuLine  float64          // microseconds of processor time a line
	ratio    float64          // of cpuLine to the bare producer's
	cpuCore  float64          // processor time, per cent of one core
	behind   [2]time.Duration // median and 99th percentile
	peak     float64          // MiB resident
	note     string
}

func newResult(row, who string) speedResult {
	return speedResult{row: row, who: who, rate: math.NaN(), cpuLine: math.NaN(), ratio: math.NaN(), cpuCore: math.NaN(), peak: math.NaN()}
}

// printSpeed prints the table.
func printSpeed(rs []speedResult) {
	number := func(format string, v float64) string {
		if math.IsNaN(v) || v == 0 {
			return "-"
		}
		return fmt.Sprintf(format, v)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "row\t\tk lines/s\tCPU-us/line\tratio\t% of a core\tbehind ms: median\t99 %\tpeak MiB\t")
	for _, r := range rs {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t %s\n", r.row, r.who, number("%.0f", r.rate/1e3), number("%.2f", r.cpuLine), number("%.2f", r.ratio),
			number("%.2f", r.cpuCore), number("%.0f", float64(r.behind[0].Milliseconds())), number("%.0f", float64(r.behind[1].Milliseconds())), number("%.0f", r.peak), r.note)
	}
	w.Flush()
}

// speed is what the rows have in common.
type speed struct {
	*testing.T
	rounds   int
	dir      string
	binaries []string // of shiplog; the first one is this tree's
}

// speedPatience bounds each wait.
const speedPatience = 5 * time.Minute

// contestant is a running process that ships to a broker of its own.
type contestant struct {
	s      *speed
	broker *nullBroker
	proc   *child.Process
	log    *os.File
	began  time.Time
}

// start runs what ships to b; its input is a pipe that stays open until it is
// stopped.
func (s *speed) start(b *nullBroker, cmd *exec.Cmd) *contestant {
	s.Helper()
	log, err := os.CreateTemp(s.dir, "said-")
	if err != nil {
		s.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if _, err := cmd.StdinPipe(); err != nil {
		s.Fatal(err)
	}
	c := &contestant{s: s, broker: b, log: log, began: time.Now()}
	if c.proc, err = child.Start(cmd); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = c.proc.Kill() })
	return c
}

// shiplog starts binary on files that a pattern names.
func (s *speed) shiplog(b *nullBroker, binary, pattern, state string) *contestant {
	s.Helper()
	return s.start(b, exec.Command(binary, "run", "--config", s.configure(b, pattern, state)))
}

// configure writes what an operator would, and returns where.
func (s *speed) configure(b *nullBroker, pattern, state string) (path string) {
	s.Helper()
	path = filepath.Join(s.dir, "speed.yaml")
	text := fmt.Sprintf("application: Pool Cars\ninputs:\n  - paths: [%q]\nkafka: {brokers: [%q], topic: %s}\nstate_dir: %q\nadmin: {listen: \"\"}\n", pattern, b.addr, speedTopic, state)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
	return path
}

// bare starts the bare producer on a file.
func (s *speed) bare(b *nullBroker, path string) *contestant {
	s.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), bareEnv+"="+b.addr, bareFileEnv+"="+path)
	return s.start(b, cmd)
}

// arrived waits until the broker has so many records, and returns how long that
// took from the start of the process.
func (c *contestant) arrived(records int) time.Duration {
	c.s.Helper()
	for c.broker.records.Load() < int64(records) {
		select {
		case <-c.proc.Done():
			c.s.Fatalf("the process ended after %d of %d records: %v\n%s", c.broker.records.Load(), records, c.proc.Wait(), c.said())
		case <-time.After(time.Millisecond):
		}
		if time.Since(c.began) > speedPatience {
			c.s.Fatalf("%d of %d records after %v\n%s", c.broker.records.Load(), records, speedPatience, c.said())
		}
	}
	return time.Since(c.began)
}

func (c *contestant) said() string {
	text, err := os.ReadFile(c.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}

func (c *contestant) cpu() time.Duration {
	c.s.Helper()
	cpu, err := cpuOf(c.proc.PID())
	if err != nil {
		c.s.Fatal(err)
	}
	return cpu
}

func (c *contestant) number(of func(pid int) (float64, error)) float64 {
	c.s.Helper()
	n, err := of(c.proc.PID())
	if err != nil {
		c.s.Fatal(err)
	}
	return n
}

// stop ends the process in order.
func (c *contestant) stop() {
	c.s.Helper()
	if err := c.proc.Stop(stopGrace); err != nil {
		c.s.Fatalf("%v\n%s", err, c.said())
	}
	c.log.Close()
}

// best returns the least of what was measured, number by number: what the
// machine does beside it only ever adds.
func best(rounds []speedResult) speedResult {
	out := rounds[0]
	for _, r := range rounds[1:] {
		out.rate = max(out.rate, r.rate)
		out.cpuLine, out.cpuCore, out.peak = min(out.cpuLine, r.cpuLine), min(out.cpuCore, r.cpuCore), max(out.peak, r.peak)
		out.behind[0], out.behind[1] = min(out.behind[0], r.behind[0]), min(out.behind[1], r.behind[1])
	}
	return out
}

// names of the binaries in the table.
func (s *speed) name(i int) string { return []string{"shiplog", "the other"}[i] }

// shipping measures how a file of so many lines is shipped, in turn with the bare
// producer.
func shipping(name string, kind logKind, lines int) func(*speed) []speedResult {
	return func(s *speed) []speedResult {
		path := filepath.Join(s.dir, name+".log")
		entries, err := writeLog(path, kind, lines)
		if err != nil {
			s.Fatal(err)
		}
		defer os.Remove(path)
		one := func(who string, c *contestant, records int) speedResult {
			took := c.arrived(records)
			r := newResult(name, who)
			r.cpuLine = float64(c.cpu().Nanoseconds()) / 1e3 / float64(lines)
			r.rate, r.peak = float64(lines)/took.Seconds(), c.number(peakOf)
			c.stop()
			return r
		}
		all := make([][]speedResult, len(s.binaries)+1)
		for range s.rounds {
			all[0] = append(all[0], one("bare producer", s.bare(startNullBroker(s.T), path), lines))
			for i, binary := range s.binaries {
				all[i+1] = append(all[i+1], one(s.name(i), s.shiplog(startNullBroker(s.T), binary, path, s.TempDir()), entries))
			}
		}
		var out []speedResult
		for _, rounds := range all {
			r := best(rounds)
			if len(out) > 0 {
				r.ratio = r.cpuLine / out[0].cpuLine
				ratios := make([]string, 0, len(rounds))
				for k := range rounds {
					ratios = append(ratios, fmt.Sprintf("%.2f", rounds[k].cpuLine/all[0][k].cpuLine))
				}
				slices.Sort(ratios)
				r.note = "ratios of the rounds: " + strings.Join(ratios, " ")
			}
			out = append(out, r)
		}
		return out
	}
}
