package parse

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shiplog/agent/envelope"
)

var update = flag.Bool("update", false, "write the golden files anew") //nolint:gochecknoglobals // a flag

// goldenOptions are what some of the samples need beside the usual options.
func goldenOptions(name string) Options {
	o := usualOptions(strings.Split(name, "/")[0])
	switch name {
	case "csv/columns.log":
		o.Columns, o.Delimiter = []string{"time", "what", "who", "count"}, '\t'
		o.Map = map[string]string{"what": "operation", "who": "username", "count": "vehicles"}
	case "docker/docker.log":
		o.Inner = "auto"
	}
	return o
}

// TestGolden reads samples, written after each format's documentation, and
// holds what becomes of them to the files beside them. Each is an envelope of
// the published schema. A line that did not parse is followed by its reason.
func TestGolden(t *testing.T) {
	samples, err := filepath.Glob("testdata/*/*.log")
	if err != nil || len(samples) < 25 {
		t.Fatal(len(samples), err)
	}
	check := validator(t)
	for _, path := range samples {
		name := filepath.ToSlash(strings.TrimPrefix(path, "testdata"+string(filepath.Separator)))
		format := strings.Split(name, "/")[0]
		if format == "fuzz" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			got := golden(t, format, goldenOptions(name), path, check)
			file := strings.TrimSuffix(path, ".log") + ".golden.jsonl"
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s (write it anew with -update, and read the difference):\n got\n%s\n want\n%s", file, got, want)
			}
		})
	}
}

func golden(t *testing.T, format string, o Options, path string, check func(testing.TB, string)) []byte {
	t.Helper()
	f, err := New(format, o)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	p := f.NewParser(nil)
	var e envelope.Envelope
	var out bytes.Buffer
	for line := range bytes.Lines(text) {
		e.Reset()
		err := p.Parse(bytes.TrimSuffix(line, []byte("\n")), &e)
		if e.Application.Kind == envelope.None {
			e.Application = textValue("D")
		}
		json := e.AppendJSON(nil)
		check(t, string(json))
		out.Write(json)
		if err != nil {
			out.WriteString(" // " + err.Error())
		}
		out.WriteByte('\n')
	}
	return out.Bytes()
}
