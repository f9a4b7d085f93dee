package agent

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/klauspost/compress/gzip"

	"shiplog/agent/config"
)

func TestLogNameOf(t *testing.T) {
	for _, c := range []struct {
		name, others, pattern string
		old, dated            bool
	}{
		{"app.log", "", "app.log", false, false},
		{"app.log.1", "app.log", "app.log", true, false},
		{"app.log.12.gz", "app.log", "app.log", true, false},
		{"app.log.1", "", "app.log", true, false},
		{"app.log.old", "", "app.log", true, false},
		{"app.1.log", "app.log", "app.log", true, false},
		{"Xorg.0.log", "", "Xorg.0.log", false, false},
		{"messages-20260125", "messages", "messages", true, false},
		{"messages-20260125.gz", "messages", "messages", true, false},
		{"app.log.2026-01-25", "app.log", "app.log", true, false},
		{"app.log.2026-01-25", "", "app.log.[0-9]*", false, true},
		{"app-2026-01-25.log", "app.log", "app.log", true, false},
		{"app-2026-01-25.log", "", "app-[0-9]*.log", false, true},
		{"app-2026-01-25.1.log", "", "app-[0-9]*.log", false, true},
		{"app-2026-01-25.log.gz", "", "app-[0-9]*.log", true, true},
		{"app20260125.log", "", "app20260125.log", false, false},
		{"localhost_access_log.2026-01-25.txt", "", "localhost_access_log.[0-9]*.txt", false, true},
		{"postgresql-2026-01-25_000000.log", "", "postgresql-[0-9]*.log", false, true},
		{"postgresql-Mon.log", "", "postgresql-???.log", false, true},
		{"u_ex260125.log", "", "u_ex[0-9]*.log", false, true},
		{"ERRORLOG.1", "ERRORLOG", "ERRORLOG", true, false},
		{"a[1].log", "", `a\[1\].log`, false, false},
		{"12345678", "", "12345678", false, false},
	} {
		n := logNameOf(c.name, func(other string) bool { return slices.Contains(strings.Fields(c.others), other) })
		if n != (logName{c.pattern, c.old, c.dated}) {
			t.Errorf("%s beside %q: %+v, want %s, old %v, dated %v", c.name, c.others, n, c.pattern, c.old, c.dated)
		}
		if ok, err := doublestar.Match(n.pattern, c.name); err != nil || ok == n.old {
			t.Errorf("%s: does %s match? %v, %v", c.name, n.pattern, ok, err)
		}
	}
}

// surveyedTree is a folder of logs as applications leave them.
func surveyedTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	put := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lines := func(n int, format string) (text string) {
		for i := range n {
			text += fmt.Sprintf(format, i) + "\n"
		}
		return text
	}
	const plain = "2026-01-25 10:10:10 INFO line %d"
	var gz, wide bytes.Buffer
	z := gzip.NewWriter(&gz)
	if _, err := z.Write([]byte(lines(60, plain))); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	for _, u := range utf16.Encode([]rune("\ufeff" + lines(60, "2026-01-25 10:10:10.12 spid51      Starting up database %d."))) {
		wide.Write([]byte{byte(u), byte(u >> 8)})
	}
	put("poolcars/app.log", lines(60, plain)+"java.lang.Error: x\n\tat a.B.c(B.java:1)\n")
	put("poolcars/app.log.1", lines(60, plain))
	put("poolcars/app.log.2.gz", gz.String())
	put("poolcars/jobs.log", lines(60, plain))
	put("json/events.log", lines(60, `{"level":"info","time":"2026-01-25T10:10:10Z","msg":"m%d"}`))
	put("web/access.log", lines(60, `10.0.0.1 - - [25/Jan/2026:10:10:10 +0000] "GET /%d HTTP/1.1" 200 12`))
	put("web/error-20260124.log", lines(5, plain))
	put("web/error-20260125.log", lines(5, plain))
	put("mssql/ERRORLOG", wide.String())
	put("old/latin.log", lines(60, plain)+"2026-01-25 10:10:10 INFO caf\xe9\n")
	put("old/core", "\x7fELF\x00\x01\x02\x03\x00\x00\x00\x00\x00\x01")
	put("old/empty.log", "")
	put("old/${HOME}.log", lines(3, plain))
	return dir
}

// TestSurvey recognises what is in a tree of logs, and writes a configuration
// that is right and reads the same files.
func TestSurvey(t *testing.T) {
	dir := surveyedTree(t)
	s, err := TakeSurvey([]string{dir})
	if err != nil {
		t.Fatal(err)
	}
	text := string(s.AppendYAML(nil, SurveyConfig{}))
	c, err := config.Decode(strings.NewReader(text), "new.yaml", os.LookupEnv)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if err := Validate(c); err != nil || len(c.Warnings) > 0 {
		t.Fatalf("%v, %q\n%s", err, c.Warnings, text)
	}
	var got []string
	for _, in := range c.Inputs {
		var names []string
		for _, p := range in.Paths {
			names = append(names, strings.TrimPrefix(p, filepath.ToSlash(dir)+"/"))
		}
		got = append(got, fmt.Sprintf("%s: %s %s %s", in.Name, strings.Join(names, " "), in.Format, in.Encoding))
	}
	want := []string{
		"events: json/events.log json auto",
		"ERRORLOG: mssql/ERRORLOG sqlserver auto",
		"${HOME}: old/$\\{HOME\\}.log auto auto",
		"latin: old/latin.log text windows-1252",
		"poolcars: poolcars/*.log text auto",
		"access: web/access.log clf auto",
		"error: web/error-[0-9]*.log auto auto",
	}
	if !slices.Equal(got, want) {
		t.Errorf("\n got %s\nwant %s\n%s", strings.Join(got, "\n     "), strings.Join(want, "\n     "), text)
	}
	for _, part := range []string{"1 of 120 entries have several lines, the longest 3", "2 rotated ones", "application: \"web\"", "each period has its own"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in\n%s", part, text)
		}
	}
	if len(s.Skipped) != 1 || !strings.HasSuffix(s.Skipped[0].Path, "core") {
		t.Errorf("skipped %+v", s.Skipped)
	}
}

// TestSurveyPlaces takes files, folders and patterns, and says what is not there.
func TestSurveyPlaces(t *testing.T) {
	dir := surveyedTree(t)
	for _, c := range []struct {
		place  string
		inputs int // -1: an error
	}{
		{"poolcars/app.log", 1}, {"poolcars", 1}, {"*/*.log", 6}, {"old/empty.log", 1}, {"nothing", -1}, {"*.none", -1}, {"[", -1}, {"old/core", 0},
	} {
		s, err := TakeSurvey([]string{filepath.Join(dir, c.place)})
		if (err != nil) != (c.inputs < 0) || err == nil && len(s.Inputs) != c.inputs {
			t.Errorf("%s: %+v, %v", c.place, s, err)
		}
	}
}

func TestSurveyUnreadable(t *testing.T) {
	if os.Getuid() <= 0 {
		t.Skip("everything can be read, or rights are other ones")
	}
	dir := surveyedTree(t)
	if err := os.Chmod(filepath.Join(dir, "web/access.log"), 0); err != nil {
		t.Fatal(err)
	}
	s, err := TakeSurvey([]string{dir})
	if err != nil || len(s.Skipped) != 2 || s.Skipped[1].Reason != "permission denied" {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestSurveyContainers makes one input of the logs of all containers.
func TestSurveyContainers(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		id := strings.Repeat(fmt.Sprint(i), 64)
		path := filepath.Join(dir, "docker/containers", id, id+"-json.log")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		line := `{"log":"hello\n","stream":"stdout","time":"` + time.Unix(int64(i), 0).UTC().Format(time.RFC3339Nano) + `"}` + "\n"
		if err := os.WriteFile(path, []byte(strings.Repeat(line, 60)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := TakeSurvey([]string{dir})
	if err != nil || len(s.Inputs) != 1 || s.Inputs[0].Live != 3 || s.Inputs[0].Format != "docker" || s.Inputs[0].Application != "docker" || !strings.HasSuffix(s.Inputs[0].Paths[0], "containers/*/*-json.log") {
		t.Errorf("%+v, %v", s, err)
	}
}
