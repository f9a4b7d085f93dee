package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"shiplog/agent"
	"shiplog/agent/transform"
)

func TestParse(t *testing.T) {
	for _, format := range []string{"envelope", "auto"} {
		for name, args := range map[string][]string{"stdin": {}, "dash": {"-"}, "file": {file(t, "a.log", relaxed)}} {
			code, out, errOut := call(t, relaxed+"\n", append([]string{"parse", "--quiet", "--format", format}, args...)...)
			if code != 0 || out != strict+"\n" || errOut != "" {
				t.Errorf("%s, %s: exit %d\n%s\n%s", format, name, code, out, errOut)
			}
		}
	}
	spaced := strings.ReplaceAll(strict, `","`, `" , "`)
	if _, out, _ := call(t, spaced, "parse"); out != spaced+"\n" {
		t.Errorf("an envelope is not as it was: %s", out)
	}
	code, out, errOut := call(t, "{a\nb\n", "parse", "--config", file(t, "c.yaml", goodConfig))
	want := `{"message":"{a","payload":{"application":"A","params":{}}}` + "\n" + `{"message":"b","payload":{"application":"A","params":{}}}` + "\n"
	if code != 0 || out != want || !strings.Contains(errOut, "2 entries, 1 parsed, 1 not") || !strings.Contains(errOut, "1 of 2 shipped whole: neither JSON nor a relaxed envelope") {
		t.Errorf("exit %d\n%s\n%s", code, out, errOut)
	}
}

// TestParseSummary says what was recognised in each of several files, and names
// at the end the one that cannot be read.
func TestParseSummary(t *testing.T) {
	dir := t.TempDir()
	trace := filepath.Join(dir, "trace.log")
	access := filepath.Join(dir, "access.log")
	write(t, trace, "2026-01-25 10:10:10 INFO a\n2026-01-25 10:10:11 ERROR b\njava.lang.Error: c\n\tat d.E.f(E.java:2)\n")
	write(t, access, "")
	code, out, errOut := call(t, "", "parse", trace, "/nowhere/x.log", access)
	if code != 1 || strings.Count(out, "\n") != 2 || !strings.Contains(out, `"message":"b\njava.lang.Error: c\n\tat d.E.f(E.java:2)"`) {
		t.Errorf("exit %d\n%s", code, out)
	}
	for _, want := range []string{
		trace + ": text (a time or a level in 2 of the first 2 entries), utf-8\n", "  2 entries, 2 parsed, 0 not; a time in 2\n", "  levels: error 1 info 1\n",
		"  1 of several lines, the longest of 3\n", access + ": no entries\n", "/nowhere/x.log",
	} {
		if !strings.Contains(errOut, want) {
			t.Errorf("%q is not in\n%s", want, errOut)
		}
	}
	if _, out, _ := call(t, "", "parse", "--multiline", "none", trace); strings.Count(out, "\n") != 4 {
		t.Errorf("each line an entry:\n%s", out)
	}
}

// TestParseFlags reads as the flags say, and refuses those that say nothing.
func TestParseFlags(t *testing.T) {
	for _, c := range []struct {
		in, want string
		args     []string
	}{
		{"2026-01-25 10:10:10 a", `"timestamp":"2026-01-25T10:10:10+01:00"`, []string{"--timezone", "Europe/Berlin"}},
		{"2026-01-25 10:10:10 a", `"timestamp":"2026-01-25T10:10:10Z"`, []string{"--timezone", "UTC"}},
		{"03/04/2026 10:10:10 a", `"timestamp":"2026-04-03T`, []string{"--date-order", "day_first"}},
		{"caf\xe9", `"message":"café"`, []string{"--encoding", "windows-1252"}},
		{"a 7", `"params":{"n":"7"}`, []string{"--format", "regex", "--pattern", `(?P<message>\w) (?P<n>\d)`}},
		{"abcdef", `"message":"abc"`, []string{"--max-line-bytes", "3", "--format", "raw"}},
		{"a", `"application":"Pool Cars"`, []string{"--application", "Pool Cars"}},
	} {
		if code, out, errOut := call(t, c.in, append([]string{"parse"}, c.args...)...); code != 0 || !strings.Contains(out, c.want) {
			t.Errorf("%q: exit %d, %s, %s; want %s", c.args, code, out, errOut, c.want)
		}
	}
	good := file(t, "good.yaml", goodConfig)
	for _, args := range [][]string{
		{"--multiline", "cobol"}, {"--encoding", "utf-9"}, {"--timezone", "Mars"}, {"--date-order", "x"}, {"--max-line-bytes", "0"}, {"--pattern", "x"},
		{"--format", "regex"}, {"--format", "regex", "--pattern", "("}, {"--input", "x"}, {"--config", good, "--encoding", "utf-8"}, {"--follow"},
	} {
		if code, out, errOut := call(t, "x\n", append([]string{"parse"}, args...)...); code != 2 || out != "" || strings.Contains(errOut, ":0:") {
			t.Errorf("%q: exit %d, %s, %s", args, code, out, errOut)
		}
	}
}

// TestParseReads reads compressed files, and encodings by recognition.
func TestParseReads(t *testing.T) {
	const text = "2026-01-25 10:10:10 INFO one\n2026-01-25 10:10:11 INFO two\n"
	var gz, zst, wide bytes.Buffer
	for range 2 { // gzip -c a >> b; gzip -c c >> b
		z := gzip.NewWriter(&gz)
		if _, err := io.WriteString(z, text); err != nil || z.Close() != nil {
			t.Fatal(err)
		}
	}
	z, err := zstd.NewWriter(&zst)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(z, text); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	bz, err := os.ReadFile("../../agent/testdata/lines.bz2") // numbered lines
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // as cat a.bz2 a.bz2 makes it
		code, out, errOut := call(t, "", "parse", "--multiline", "none", file(t, "a.log.bz2", string(bz)+string(bz)))
		if code != 0 || strings.Count(out, "\n") != 6000 || !strings.Contains(errOut, "6000 entries, 6000 parsed, 0 not") {
			t.Errorf("bzip2: exit %d, %d entries\n%s", code, strings.Count(out, "\n"), errOut)
		}
	}
	for _, u := range utf16.Encode([]rune(text)) {
		wide.Write([]byte{byte(u), byte(u >> 8)})
	}
	for _, c := range []struct {
		name, content string
		entries       int
		encoding      string
	}{
		{"a.log.1.gz", gz.String(), 4, "utf-8"}, {"a.zst", zst.String(), 2, "utf-8"}, {"ERRORLOG", wide.String(), 2, "utf-16le"},
		{"other.log", "\xff\xfe" + wide.String(), 2, "utf-16le"},
	} {
		path := file(t, c.name, c.content)
		for _, args := range [][]string{{"parse", path}, {"parse"}} {
			code, out, errOut := call(t, c.content, args...)
			if code != 0 || strings.Count(out, `"message":"two"`) != c.entries/2 || !strings.Contains(errOut, c.encoding+"\n") || !strings.Contains(errOut, fmt.Sprintf("%d entries, %d parsed", c.entries, c.entries)) {
				t.Errorf("%s: exit %d\n%s\n%s", c.name, code, out, errOut)
			}
		}
	}
	if code, _, errOut := call(t, "", "parse", file(t, "b.gz", gz.String()[:gz.Len()-6])); code != 1 || !strings.Contains(errOut, "b.gz: unexpected EOF") {
		t.Errorf("a torn file: exit %d, %s", code, errOut)
	}
	if code, out, errOut := call(t, "", "parse", file(t, "b.zip", "PK\x03\x04 and so on\n")); code != 1 || out != "" || !strings.Contains(errOut, "zip: compression that is not read") {
		t.Errorf("a zip: exit %d, %s%s", code, out, errOut)
	}
	for _, name := range []string{"c.gz", "c.bz2"} {
		content := map[string]string{"c.gz": gz.String(), "c.bz2": string(bz)}[name]
		if code, out, errOut := call(t, "", "parse", "--follow", file(t, name, content)); code != 1 || out != "" || !strings.Contains(errOut, "without --follow") {
			t.Errorf("%s is followed: exit %d, %.100s, %s", name, code, out, errOut)
		}
	}
	if code, _, errOut := call(t, "", "parse", t.TempDir()); code != 1 || !strings.Contains(errOut, "is a folder") {
		t.Errorf("a folder: exit %d, %s", code, errOut)
	}
}

// TestParseSurvives reads what is no log: each line of output is an envelope of
// bounded size all the same.
func TestParseSurvives(t *testing.T) {
	schema := schemaOf(t)
	rng := rand.NewChaCha8([32]byte{1})
	binary := make([]byte, 300_000)
	if _, err := rng.Read(binary); err != nil {
		t.Fatal(err)
	}
	const huge = 6 << 20 // of which a MiB is kept
	for name, content := range map[string]string{
		"NUL bytes": strings.Repeat("\x00", 1<<20), "NUL bytes among lines": "one\n" + strings.Repeat("\x00", 1<<20) + "two\nthree\n", "binary": string(binary),
		"one line": strings.Repeat("x", huge), "one line and its end": strings.Repeat("x", huge) + "\nnext\n", "braces": strings.Repeat("{", 200_000) + "\n",
		"a JSON string without end": `{"message":"` + strings.Repeat("a", huge) + "\n", "newlines": strings.Repeat("\n", 100_000), "returns": strings.Repeat("\r\n", 100_000),
		"half of UTF-16": "\xff\xfe" + strings.Repeat("a\x00", 1000) + "b", "empty": "",
	} {
		t.Run(name, func(t *testing.T) {
			path := file(t, "x.log", content)
			for _, format := range []string{"auto", "json", "text", "csv", "logfmt"} {
				code, out, errOut := call(t, "", "parse", "--format", format, path)
				if code != 0 || !utf8.ValidString(out) {
					t.Fatalf("%s: exit %d, %.300s", format, code, errOut)
				}
				n := 0
				for line := range strings.Lines(out) {
					if len(line) > 8<<20 {
						t.Errorf("%s: a record of %d bytes", format, len(line))
					}
					if n++; n > 100 { // the schema is slow
						continue
					}
					doc, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
					if err == nil {
						err = schema.Validate(doc)
					}
					if err != nil {
						t.Errorf("%s: %.200s: %v", format, line, err)
					}
				}
			}
		})
	}
}

// TestParseFollow shows what is appended, an entry when it is quiet, also over a
// rotation.
func TestParseFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	write(t, path, "2026-01-25 10:10:10 INFO one\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, errOut lockedBuffer
	done := make(chan int, 1)
	go func() { done <- run(ctx, []string{"parse", "--follow", path}, strings.NewReader(""), &out, &errOut) }()
	await := func(want string) {
		t.Helper()
		for end := time.Now().Add(90 * time.Second); !strings.Contains(out.String(), want); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("waited in vain for %s:\n%s\n%s", want, out.String(), errOut.String())
			}
		}
	}
	await(`"message":"one"`)
	write(t, path, "2026-01-25 10:10:11 ERROR two\n\tat a.B.c(B.java:1)\n")
	await(`"message":"two\n\tat a.B.c(B.java:1)"`)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, path, "2026-01-25 10:10:12 INFO three\n")
	await(`"message":"three"`)
	cancel()
	if code := <-done; code != 0 || !strings.Contains(errOut.String(), "3 entries, 3 parsed, 0 not") || strings.Count(out.String(), "\n") != 3 {
		t.Errorf("exit %d\n%s\n%s", code, out.String(), errOut.String())
	}
	if code, _, said := call(t, "", "parse", "--follow", path+".none"); code != 1 || !strings.Contains(said, path+".none") {
		t.Errorf("a file that is not there: exit %d, %s", code, said)
	}
}

// TestParseColours marks what did not parse, on a terminal only.
func TestParseColours(t *testing.T) {
	var out bytes.Buffer
	b := &bench{}
	for _, coloured := range []bool{false, true} {
		out.Reset()
		b.printTo(&out, coloured)
		for _, one := range []agent.Inspected{
			{JSON: []byte(`{"a":1}`), Level: "info"}, {JSON: []byte(`{"b":1}`), Level: "warn"}, {JSON: []byte(`{"c":1}`), Unparsed: "not an object"},
			{Action: transform.Refused, Failed: "step 1"}, {Action: transform.Filtered},
		} {
			if err := b.print(&one); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.flush(); err != nil {
			t.Fatal(err)
		}
		want := "{\"a\":1}\n{\"b\":1}\n{\"c\":1}\n"
		if coloured {
			want = "{\"a\":1}\n\x1b[33m{\"b\":1}\x1b[m\n\x1b[31m{\"c\":1}\x1b[m\n\x1b[3;31m  ^ shipped whole: not an object\x1b[m\n\x1b[3;31m  ^ it would be a dead letter: step 1\x1b[m\n"
		}
		if out.String() != want {
			t.Errorf("coloured %v:\n got %q\nwant %q", coloured, out.String(), want)
		}
	}
}

// TestParseTransforms leaves out what run would leave out, and hides what it
// would hide.
func TestParseTransforms(t *testing.T) {
	conf := strings.Replace(goodConfig, "kafka", "    transforms:\n      - drop: payload.params.level == \"debug\"\n      - redact: {presets: [password]}\nkafka", 1)
	code, out, errOut := call(t, `{"level":"debug","msg":"a"}`+"\n"+`{"level":"info","msg":"password=x"}`+"\n", "parse", "--config", file(t, "c.yaml", conf))
	if code != 0 || strings.Count(out, "\n") != 1 || strings.Contains(out, "=x") || !strings.Contains(errOut, "1 left out by transforms") || !json.Valid([]byte(out)) {
		t.Errorf("exit %d\n%s\n%s", code, out, errOut)
	}
}

// write appends text to the file at path.
func write(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err != nil || f.Close() != nil {
		t.Fatal(err)
	}
}

// lockedBuffer is a buffer that one goroutine writes and another reads.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns what was written.
func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
