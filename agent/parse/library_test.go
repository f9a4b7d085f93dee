package parse

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/elastic/go-grok"
	golog "github.com/go-logfmt/logfmt"
	gosyslog "github.com/leodido/go-syslog/v4/rfc5424"
	"pgregory.net/rapid"

	"shiplog/agent/envelope"
)

// agreesWithLogfmt holds our reader of pairs against the library.
func agreesWithLogfmt(t interface{ Fatalf(string, ...any) }, line string) {
	if strings.ContainsAny(line, "\n\r") {
		return
	}
	dec := golog.NewDecoder(strings.NewReader(line))
	var want, got []string
	dec.ScanRecord()
	for dec.ScanKeyval() {
		want = append(want, fmt.Sprintf("%q=%q", dec.Key(), strings.ToValidUTF8(string(dec.Value()), "\uFFFD")))
	}
	s := pairs{b: []byte(line)}
	for s.next() {
		v := s.value
		if s.quoted {
			q, ok := quotedValue(s.value)
			if !ok {
				s.bad = true
				break
			}
			v = q.Bytes
			if q.Kind == envelope.JSON {
				var text string
				if err := json.Unmarshal(q.Bytes, &text); err != nil {
					t.Fatalf("%q: %q: %v", line, q.Bytes, err)
				}
				v = []byte(text)
			}
		}
		got = append(got, fmt.Sprintf("%q=%q", s.key, strings.ToValidUTF8(string(v), "\uFFFD")))
	}
	if s.bad != (dec.Err() != nil) {
		t.Fatalf("%q: bad is %v, the library says %v", line, s.bad, dec.Err())
	}
	if !s.bad && fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%q:\n got  %v\n want %v", line, got, want)
	}
}

func TestLogfmtAgainstLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.SampledFrom([]string{"a", "b=", "=", `"`, " ", "c=d", `e="f g"`, `\`, `\n`, `\u00e9`, "é", "\t", `h="\"`, "1", "\x01", "\x7f", `\ud800`}))
		agreesWithLogfmt(t, strings.Join(parts.Draw(t, "parts"), ""))
	})
}

func FuzzLogfmt(f *testing.F) {
	f.Add(`a=b c="d \"e\" é" f g= h=""`)
	f.Add(`a="\x"`)
	f.Fuzz(func(t *testing.T, line string) { agreesWithLogfmt(t, line) })
}

// FuzzCSV holds our cells against encoding/csv.
func FuzzCSV(f *testing.F) {
	f.Add(`a,"b ""c""",,"d,e"`)
	f.Fuzz(func(t *testing.T, line string) {
		if line == "" || strings.ContainsAny(line, "\n\r") {
			return
		}
		r := csv.NewReader(strings.NewReader(line))
		want, err := r.Read()
		var got []string
		var e envelope.Envelope
		c := cells{b: []byte(line), delimiter: ','}
		for c.next() {
			got = append(got, string(c.value(&e).Bytes))
		}
		if c.bad != (err != nil) || err == nil && fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
			t.Fatalf("%q:\n got  %q (%v)\n want %q (%v)", line, got, c.bad, want, err)
		}
	})
}

// FuzzSyslog holds the reader of RFC 5424 against leodido/go-syslog: what the
// library takes is read as it reads it.
func FuzzSyslog(f *testing.F) {
	for _, s := range []string{
		"<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - 'su root' failed",
		`<165>1 2003-10-11T22:14:15.003Z h evntslog 7 ID47 [exampleSDID@32473 iut="3" e="A\"\]\\" i="1011"][x@1 c="high"] An`,
		"<0>1 - - - - - -", `<13>1 - - - - - [a] m`,
	} {
		f.Add(s)
	}
	machine := gosyslog.NewParser()
	f.Fuzz(func(t *testing.T, line string) {
		m, err := machine.Parse([]byte(line))
		if err != nil || !utf8.ValidString(line) {
			return
		}
		want := m.(*gosyslog.SyslogMessage)
		if want.Version != 1 {
			return
		}
		var l syslogLine
		if !l.read([]byte(line)) {
			t.Fatalf("%q is not read", line)
		}
		text := func(s *string) string {
			if s == nil {
				return ""
			}
			return *s
		}
		for name, pair := range map[string][2]string{
			"host": {string(l.host), text(want.Hostname)}, "process": {string(l.process), text(want.Appname)},
			"pid": {string(l.pid), text(want.ProcID)}, "msgid": {string(l.msgID), text(want.MsgID)},
			"message": {string(l.message), strings.TrimPrefix(text(want.Message), "\ufeff")},
		} {
			if pair[0] != pair[1] {
				t.Fatalf("%q: %s is %q, want %q", line, name, pair[0], pair[1])
			}
		}
		if want.Priority == nil || l.priority != int(*want.Priority) || (l.time == nil) != (want.Timestamp == nil) {
			t.Fatalf("%q: priority %d, time %q", line, l.priority, l.time)
		}
		if want.StructuredData == nil {
			return
		}
		out, ok := appendStructured(nil, l.structured)
		var got map[string]map[string]string
		if err := json.Unmarshal(out, &got); !ok || err != nil {
			return // an id or a name twice: the library keeps the last
		}
		for id, params := range *want.StructuredData {
			for name, value := range params {
				if have := got[id]; len(have) == len(params) && have[name] != value {
					t.Fatalf("%q: %s %s is %q, want %q", line, id, name, got[id][name], value)
				}
			}
		}
	})
}

// TestGrokAgainstLibrary holds what a pattern captures against go-grok.
func TestGrokAgainstLibrary(t *testing.T) {
	own := map[string]string{"VEHICLE": `[A-Z]{2}-\d+`}
	for _, c := range []struct{ pattern, line string }{
		{"%{COMBINEDAPACHELOG}", `127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] "GET /x HTTP/1.0" 200 2326 "http://www.example.com/" "Mozilla"`},
		{`%{TIMESTAMP_ISO8601:timestamp} \[%{LOGLEVEL:level}\] %{VEHICLE:car} took %{NUMBER:took:float} %{GREEDYDATA:message}`, `2026-01-25T10:10:10 [WARN] AB-12 took 1.50 too long`},
		{"%{SYSLOGBASE} %{GREEDYDATA:message}", "Jan 25 10:10:10 host sshd[12]: hello"},
		{"%{IP:ip}", "none"}, {"%{IP:ip}", "from 192.0.2.7 to 192.0.2.8"},
	} {
		library, err := grok.NewComplete(own)
		if err != nil {
			t.Fatal(err)
		}
		if err := library.Compile(c.pattern, true); err != nil {
			t.Fatal(err)
		}
		want, err := library.ParseString(c.line)
		if err != nil {
			t.Fatal(err)
		}
		p := parser(t, "grok", Options{Pattern: c.pattern, Patterns: own}, nil).(matcher)
		got := map[string]string{}
		if at := p.pattern.match([]byte(c.line)); at != nil {
			for _, g := range p.groups {
				if from, to := at[2*g.index], at[2*g.index+1]; from >= 0 && to > from {
					got[string(g.name)] = c.line[from:to]
				}
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s:\n got  %v\n want %v", c.pattern, got, want)
		}
	}
}
