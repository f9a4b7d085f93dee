package parse

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"shiplog/agent/envelope"
)

// A fuzz target for each format. It reads a file: several lines, so that what a
// parser learns from one is used for the next.

func FuzzFormatAuto(f *testing.F)        { fuzzFormat(f, "auto") }
func FuzzFormatEnvelope(f *testing.F)    { fuzzFormat(f, "envelope") }
func FuzzFormatJSON(f *testing.F)        { fuzzFormat(f, "json") }
func FuzzFormatLogfmt(f *testing.F)      { fuzzFormat(f, "logfmt") }
func FuzzFormatCSV(f *testing.F)         { fuzzFormat(f, "csv") }
func FuzzFormatW3C(f *testing.F)         { fuzzFormat(f, "w3c") }
func FuzzFormatCLF(f *testing.F)         { fuzzFormat(f, "clf") }
func FuzzFormatNginxError(f *testing.F)  { fuzzFormat(f, "nginx_error") }
func FuzzFormatApacheError(f *testing.F) { fuzzFormat(f, "apache_error") }
func FuzzFormatSyslog(f *testing.F)      { fuzzFormat(f, "syslog") }
func FuzzFormatSQLServer(f *testing.F)   { fuzzFormat(f, "sqlserver") }
func FuzzFormatDocker(f *testing.F)      { fuzzFormat(f, "docker") }
func FuzzFormatCRI(f *testing.F)         { fuzzFormat(f, "cri") }
func FuzzFormatRegex(f *testing.F)       { fuzzFormat(f, "regex") }
func FuzzFormatGrok(f *testing.F)        { fuzzFormat(f, "grok") }
func FuzzFormatText(f *testing.F)        { fuzzFormat(f, "text") }

// mostState bounds what a parser keeps with the checkpoint, in bytes.
const mostState = 64 << 10

// fuzzFormat checks what holds for the entries of any file in a format: each
// becomes a JSON object in UTF-8 of bounded size, with a message; the parser's
// state is small, and a parser that goes on with it reads as the first would.
func fuzzFormat(f *testing.F, name string) {
	for _, b := range benchmarks {
		f.Add([]byte(strings.TrimPrefix(b.first+"\n"+b.entry, "\n")))
	}
	samples, err := filepath.Glob("testdata/*/*.log")
	if err != nil || len(samples) == 0 {
		f.Fatal("no samples", err)
	}
	for _, sample := range samples {
		if in, err := os.ReadFile(sample); err != nil {
			f.Fatal(err)
		} else if strings.Contains(sample, string(filepath.Separator)+name+string(filepath.Separator)) || name == "auto" {
			f.Add(in[:min(len(in), 2000)])
		}
	}
	format, err := New(name, usualOptions(name))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		open := func(state []byte) Parser {
			p := format.NewParser(state)
			if c, ok := p.(Clocked); ok {
				c.Begin(noon)
			}
			return p
		}
		p := open(nil)
		before, size := string(in), 0
		for i, line := range bytes.Split(in, []byte("\n")) {
			size += len(line)
			if d, ok := format.(Detector); ok {
				d.Detect(line)
			}
			var state []byte
			if s, ok := p.(Stateful); ok {
				if state = s.State(); len(state) > mostState {
					t.Fatalf("a state of %d bytes", len(state))
				}
			}
			out := fuzzEntry(t, p, line, size)
			if again := fuzzEntry(t, open(state), line, size); state != nil && name != "auto" && again != out {
				t.Fatalf("line %d: %q\n in one run      %s\n after a restart %s", i, line, out, again)
			}
		}
		if string(in) != before {
			t.Fatal("the file was changed")
		}
	})
}

func fuzzEntry(t *testing.T, p Parser, line []byte, size int) string {
	var e envelope.Envelope
	_ = p.Parse(line, &e) // an error has all of the line as the message
	if e.Application.Kind == envelope.None {
		e.Application = envelope.Value{Kind: envelope.Text, Bytes: []byte("D")}
	}
	out := e.AppendJSON(nil)
	var got struct {
		Message *string
		Payload struct{ Params map[string]json.RawMessage }
	}
	switch err := json.Unmarshal(out, &got); {
	case err != nil || !utf8.Valid(out) || got.Message == nil || got.Payload.Params == nil:
		t.Fatalf("%q becomes %q: %v", line, out, err)
	case *got.Message == "" && len(line) > 0 && bytes.IndexByte(line, '{') < 0: // an envelope may have an empty one
		t.Fatalf("%q has no message: %s", line, out)
	case len(out) > 8*size+1000:
		t.Fatalf("%d bytes of %.80q become %d", len(line), line, len(out))
	}
	return string(out)
}
