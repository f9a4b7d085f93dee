package parse

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"shiplog/agent/envelope"
)

// parser returns a parser of a new file.
func parser(t testing.TB, format string, o Options, state []byte) Parser {
	t.Helper()
	f, err := New(format, o)
	if err != nil {
		t.Fatal(err)
	}
	return f.NewParser(state)
}

// written returns what parsed does, the error's text behind the envelope.
func written(p Parser, entry string) string {
	out, err := parsed(p, entry)
	if err != nil {
		out += " " + err.Error()
	}
	return out
}

// TestMap has fields renamed to places and to other names.
func TestMap(t *testing.T) {
	for _, c := range []struct{ format, in, want string }{
		{"json", `{"who":"bob","id":7,"msg":"m","when":"2026-01-25T10:10:10Z","sev":"WARN","a":1}`,
			`{"message":"m","payload":{"application":"D","username":"bob","operation":"7","params":{"timestamp":"2026-01-25T10:10:10Z","level":"warn","b":1}}}`},
		{"json", `{"who":{"x":1},"when":"no time","msg":"m"}`,
			`{"message":"m","payload":{"application":"D","params":{"username":{"x":1},"timestamp":"no time"}}}`},
		{"json", `{"who":"bob","user":"sue","username":"zoe"}`,
			`{"message":"{\"who\":\"bob\",\"user\":\"sue\",\"username\":\"zoe\"}","payload":{"application":"D","username":"bob","params":{"user":"sue","username":"zoe"}}}`},
		{"logfmt", `who=bob id=7 msg=m sev=WARN`, `{"message":"m","payload":{"application":"D","username":"bob","operation":"7","params":{"level":"warn"}}}`},
		{"logfmt", `msg=1 user=7 service=x level=5 a=true`, `{"message":"1","payload":{"application":"x","username":"7","params":{"level":5,"b":true}}}`},
	} {
		p := parser(t, c.format, Options{Map: map[string]string{"who": "username", "id": "operation", "when": "timestamp", "sev": "level", "a": "b"}}, nil)
		if got := written(p, c.in); got != c.want {
			t.Errorf("%s:\n got  %s\n want %s", c.in, got, c.want)
		}
	}
}

// TestMapOfRequest has a field renamed that the message is made of as well.
func TestMapOfRequest(t *testing.T) {
	p := parser(t, "w3c", Options{Map: map[string]string{"cs-uri-stem": "operation", "c-user": "username", "date": "day"}}, nil)
	written(p, "#Fields: date time cs-method cs-uri-stem c-user")
	const want = `{"message":"GET /x","payload":{"application":"D","username":"7","operation":"/x","params":{"day":"2026-01-25","time":"10:10:10","cs-method":"GET"}}}`
	if got := written(p, "2026-01-25 10:10:10 GET /x 7"); got != want {
		t.Errorf("\n got  %s\n want %s", got, want)
	}
}

// TestOptionErrors has options that no format can be made with.
func TestOptionErrors(t *testing.T) {
	for want, c := range map[string]struct {
		format string
		o      Options
	}{
		"needs a pattern: with named":  {"regex", Options{}},
		"needs a pattern, such as":     {"grok", Options{}},
		"missing closing":              {"regex", Options{Pattern: "(?P<a>x"}},
		"has no named group":           {"regex", Options{Pattern: "(a)"}},
		"%{NOSUCH} is not known":       {"grok", Options{Pattern: "%{NOSUCH:x}"}},
		"is neither %{NAME}":           {"grok", Options{Pattern: "%{DATA:x y}"}},
		"go round in a circle":         {"grok", Options{Pattern: "%{A:x}", Patterns: map[string]string{"A": "%{B}", "B": "%{A}"}}},
		"it expands to more than":      {"grok", Options{Pattern: "%{A:x}", Patterns: map[string]string{"A": strings.Repeat("%{B}", 50), "B": strings.Repeat("%{C}", 50), "C": strings.Repeat("x", 50)}}},
		`"docker" cannot stand within`: {"cri", Options{Inner: "docker"}},
		`inner: format "x" is none of`: {"cri", Options{Inner: "x"}},
		`columns: "a" is there twice`:  {"csv", Options{Columns: []string{"a", "a"}}},
		"cannot separate fields":       {"csv", Options{Delimiter: '"'}},
		"map: a name is empty":         {"json", Options{Map: map[string]string{"a": ""}}},
	} {
		if _, err := New(c.format, c.o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v does not say %q", c.format, err, want)
		}
	}
}

// TestState goes on with a file after a restart at each line.
func TestState(t *testing.T) {
	for format, lines := range map[string][]string{
		"csv": {"a;b", "1;2", "a;b", "3;x"},
		"w3c": {"#Version: 1.0", "#Fields: a b", "1 2", "#Fields: b a", "1 2", "#Fields: b a", "x"},
	} {
		var want []string
		whole := parser(t, format, Options{}, nil).(Stateful)
		changes := 0
		for _, l := range lines {
			g := whole.Generation()
			want = append(want, written(whole, l))
			if whole.Generation() != g {
				changes++
			}
		}
		if changes != strings.Count(format, "csv")+2*strings.Count(format, "w3c") {
			t.Errorf("%s: %d changes of state", format, changes)
		}
		var state []byte
		for i, l := range lines {
			p := parser(t, format, Options{}, state).(Stateful)
			if got := written(p, l); got != want[i] {
				t.Errorf("%s line %d after a restart:\n got  %s\n want %s", format, i, got, want[i])
			}
			state = p.State()
		}
	}
	for _, format := range []string{"csv", "w3c"} { // a state that is none of ours
		p := parser(t, format, Options{}, []byte("\x00\"1,,")).(Stateful)
		if len(p.State()) != 0 {
			t.Errorf("%s takes any state", format)
		}
	}
}

// TestHeader has first lines that cannot name columns.
func TestHeader(t *testing.T) {
	for _, line := range []string{"1,2", "a,,b", "a,a", `"a`, strings.Repeat("a", maxHeader+1)} {
		p := parser(t, "csv", Options{}, nil)
		if got := written(p, line); !strings.HasSuffix(got, ErrNoHeader.Error()) {
			t.Errorf("%.20q: %.200s", line, got)
		}
		if got := written(p, "x,y"); strings.HasSuffix(got, ErrNoHeader.Error()) {
			t.Errorf("the next line of %.20q: %s", line, got)
		}
	}
}

// join cuts lines into entries, as the tailer does with a Joiner.
func join(lines []string, joiner func(uint32, []byte) (bool, uint32)) []string {
	var out []string
	state := uint32(0)
	for _, l := range lines {
		open := state != 0
		joins, next := joiner(state, []byte(l))
		if open && joins {
			out[len(out)-1] += "\n" + l
		} else {
			out = append(out, l)
		}
		state = next
	}
	return out
}

// TestJoin has lines of a container that came in parts.
func TestJoin(t *testing.T) {
	d := func(log, stream string) string {
		return fmt.Sprintf(`{"log":%q,"stream":%q,"time":"2026-01-25T10:10:10Z"}`, log, stream)
	}
	pieces := func(state uint32, line []byte) (bool, uint32) {
		piece, joins, next := PieceJoin(state, line)
		if IsPieceState(next) != (piece && next != 0) {
			t.Errorf("state %d after %s", next, line)
		}
		return piece && joins, next
	}
	c := func(text, tag, stream string) string {
		return "2026-01-25T10:10:10Z " + stream + " " + tag + " " + text
	}
	for _, test := range []struct {
		format string
		joiner func(uint32, []byte) (bool, uint32)
		lines  []string
		want   []string // the messages
	}{
		{"docker", DockerJoin, []string{d("a\n", "stdout"), d("b", "stdout"), d("c", "stdout"), d("d\n", "stdout"), d("e\n", "stdout")}, []string{"a", "bcd", "e"}},
		{"docker", DockerJoin, []string{d("a", "stdout"), d("x\n", "stderr"), d("b\n", "stdout")}, []string{"a", "x", "b"}},
		{"docker", DockerJoin, []string{d("{\"msg\":\"in", "stdout"), d("ner\"}\n", "stdout")}, []string{"inner"}},
		{"docker", DockerJoin, []string{d("a", "stdout"), "broken", d("b\n", "stdout")}, []string{"a", "broken", "b"}},
		{"docker", DockerJoin, []string{d(`back\n`, "stdout"), d("b\n", "stdout")}, []string{`back\nb`}},
		{"cri", CRIJoin, []string{c("a", "F", "stdout"), c("b", "P", "stdout"), c("c", "P", "stdout"), c("d", "F", "stdout"), c("e", "F", "stderr")}, []string{"a", "bcd", "e"}},
		{"cri", CRIJoin, []string{c("a", "P", "stdout"), c("x", "F", "stderr"), c("b", "F", "stdout")}, []string{"a", "x", "b"}},
		{"cri", CRIJoin, []string{c("a", "P:t", "stdout"), "broken", c("b", "F:t", "stdout")}, []string{"a", "broken", "b"}},
		{"auto", pieces, []string{d("a\n", "stdout"), d("b", "stdout"), d("c\n", "stdout"), d("d\n", "stdout")}, []string{"a", "bc", "d"}},
		{"auto", pieces, []string{c("a", "F", "stderr"), c("b", "P", "stderr"), c("c", "F", "stderr"), c("d", "F", "stderr")}, []string{"a", "bc", "d"}},
		{"auto", pieces, []string{d("a", "stdout"), c("b", "F", "stdout"), d("c\n", "stdout")}, []string{"a", "stdout F b", "c"}},
		{"auto", pieces, []string{`{"log":"a"}`, `{"log":"b"}`}, []string{"a", "b"}},
	} {
		p := parser(t, test.format, Options{}, nil)
		var got []string
		for _, entry := range join(test.lines, test.joiner) {
			var e struct{ Message string }
			out, _ := parsed(p, entry)
			if err := json.Unmarshal([]byte(out), &e); err != nil {
				t.Fatal(out, err)
			}
			got = append(got, e.Message)
		}
		if fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("%s %q:\n got  %q\n want %q", test.format, test.lines, got, test.want)
		}
	}
}

// TestDetect holds that each format knows its own samples, and takes no
// other's for its own with as much confidence.
func TestDetect(t *testing.T) {
	samples := map[string]string{
		"envelope": published, "json": `{"level":"info","msg":"x"}`, "logfmt": `time=2026-01-25T10:10:10Z level=info msg="a b"`,
		"w3c": "#Fields: date time", "clf": `1.2.3.4 - - [25/Jan/2026:10:10:10 +0100] "GET / HTTP/1.1" 200 1`,
		"nginx_error":  "2026/01/25 10:10:10 [error] 1#1: *1 x",
		"apache_error": "[Sun Jan 25 10:10:10 2026] [core:error] [pid 1] x", "syslog": "<34>Oct 11 22:14:15 host su: x",
		"sqlserver": "2026-01-25 10:10:10.12 spid5s      Starting up.",
		"docker":    `{"log":"x\n","stream":"stdout","time":"2026-01-25T10:10:10Z"}`, "cri": "2016-10-06T00:17:09.669794202Z stdout F x",
	}
	for of, sample := range samples {
		best, most := "", 0
		for _, name := range Formats() {
			f, err := New(name, usualOptions(name))
			if err != nil {
				t.Fatal(err)
			}
			d, ok := f.(Detector)
			if !ok {
				continue // what is left over for it
			}
			n := d.Detect([]byte(sample))
			if n < 0 || n > 100 {
				t.Errorf("%s: %d", name, n)
			}
			if n > most {
				best, most = name, n
			}
			for _, other := range []string{"", "plain text with = signs", "\xff", "{", "<", "[", "#", "a=b"} {
				if n := d.Detect([]byte(other)); n > 50 {
					t.Errorf("%s is sure (%d) of %q", name, n, other)
				}
			}
		}
		if best != of {
			t.Errorf("%q is taken for %s (%d)", sample, best, most)
		}
	}
}

// TestManyMembers has more names, and more of the same, than are compared one
// by one.
func TestManyMembers(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"level":"info"`)
	for i := range 5000 {
		fmt.Fprintf(&b, `,"k%d":1,"same":2,"level":%d`, i%100, i)
	}
	b.WriteString(`}`)
	var e envelope.Envelope
	if err := parser(t, "json", Options{}, nil).Parse([]byte(b.String()), &e); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, m := range e.Params {
		name := string(textOfKey(m.Key))
		if seen[name] {
			t.Fatalf("%s is there twice", name)
		}
		seen[name] = true
	}
	if len(seen) != 1+5000*3 {
		t.Errorf("%d members", len(seen))
	}
}

// FuzzJoin joins any lines, and has each part of what was joined in the entry.
func FuzzJoin(f *testing.F) {
	f.Add(`{"log":"a","stream":"stdout","time":"x"}`, `{"log":"b\n","stream":"stdout","time":"x"}`)
	f.Add("2016-10-06T00:17:09Z stdout P a", "2016-10-06T00:17:09Z stdout F b")
	f.Fuzz(func(t *testing.T, a, b string) {
		for format, joiner := range map[string]func(uint32, []byte) (bool, uint32){"docker": DockerJoin, "cri": CRIJoin} {
			_, state := joiner(0, []byte(a))
			joins, _ := joiner(state, []byte(b))
			if joins && state == 0 {
				t.Fatal("joined to nothing")
			}
			if !joins || strings.Contains(a+b, "\n") {
				continue
			}
			out := written(parser(t, format, Options{Inner: "raw"}, nil), a+"\n"+b)
			if !bytes.HasPrefix([]byte(out), []byte(`{"message":`)) {
				t.Fatal(out)
			}
		}
	})
}

// TestPieceJoinAllocatesNothing is for each line of each file that auto reads.
func TestPieceJoinAllocatesNothing(t *testing.T) {
	for _, line := range pieceLines {
		in := []byte(line)
		if n := testing.AllocsPerRun(100, func() { PieceJoin(0, in) }); n != 0 {
			t.Errorf("%v allocations: %s", n, line)
		}
	}
}

var pieceLines = map[string]string{ //nolint:gochecknoglobals // a constant table
	"docker": `{"log":"request handled\n","stream":"stdout","time":"2026-01-25T10:10:10.123456789Z"}`,
	"cri":    "2026-01-25T10:10:10.123456789Z stdout P request handled",
	"text":   "2026-01-25T10:10:10.123456789Z INFO request handled",
	"plain":  "request handled",
}

func BenchmarkPieceJoin(b *testing.B) {
	for name, line := range pieceLines {
		b.Run(name, func(b *testing.B) {
			in := []byte(line)
			b.ReportAllocs()
			for b.Loop() {
				PieceJoin(0, in)
			}
		})
	}
}
