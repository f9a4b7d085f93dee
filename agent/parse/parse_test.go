package parse

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"shiplog/agent/envelope"
)

// published is what legacy producers really write, and what it means.
const (
	published     = `{message: 'There was a connection error when attempting to gather data from SQL Server: [server_name].meag.org', payload: {application: 'Pool Cars', username: jpowell, operation: 'LoadVehicleUsages', params: {paramA: 'test_parameter_valueA', paramB: 'test_parameter_valueB'}}}`
	publishedJSON = `{"message":"There was a connection error when attempting to gather data from SQL Server: [server_name].meag.org","payload":{"application":"Pool Cars","username":"jpowell","operation":"LoadVehicleUsages","params":{"paramA":"test_parameter_valueA","paramB":"test_parameter_valueB"}}}`
)

// read parses entry as the agent does, with D as the configured application.
func read(t testing.TB, format, entry string) (string, error) {
	t.Helper()
	f, err := New(format, usualOptions(format))
	if err != nil {
		t.Fatal(err)
	}
	return parsed(f.NewParser(nil), entry)
}

// parsed returns what p makes of an entry, with D as the configured application.
func parsed(p Parser, entry string) (string, error) {
	var e envelope.Envelope
	err := p.Parse([]byte(entry), &e)
	if e.Application.Kind == envelope.None {
		e.Application = textValue("D")
	}
	return string(e.AppendJSON(nil)), err
}

// usualOptions are the options that a format cannot be without.
func usualOptions(format string) Options {
	o := Options{Location: time.UTC, Now: func() time.Time { return time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC) }}
	switch format {
	case "regex":
		o.Pattern = `^(?P<timestamp>\S+) (?P<level>\w+) (?:user=(?P<username>\w*) )?(?P<message>.*)$`
	case "grok":
		o.Pattern = "%{COMBINEDAPACHELOG}"
	}
	return o
}

func whole(entry string) string {
	return `{"message":` + string(envelope.AppendString(nil, []byte(entry))) + `,"payload":{"application":"D","params":{}}}`
}

func TestFormats(t *testing.T) {
	const env = `{"message":"m","payload":{"application":"A","username":"u","operation":"o","params":{"n":1.10,"deep":[{"x":null}]}}}`
	for _, c := range []struct {
		name, formats, in, want string // want "" stands for: shipped whole
		err                     error
	}{
		{"strict", "envelope json auto", env, env, nil},
		{"strict with space around", "envelope json auto", " \t" + env + "\r", env, nil},
		{"strict with space inside is untouched", "envelope auto", strings.ReplaceAll(env, ":", " : "), strings.ReplaceAll(env, ":", " : "), nil},
		{"byte order mark", "envelope json auto", "\ufeff" + env, env, nil},
		{"unknown members", "envelope auto", `{"v":2,"message":"m","payload":{"application":"A","params":{},"x":[]}}`, `{"v":2,"message":"m","payload":{"application":"A","params":{},"x":[]}}`, nil},
		{"escapes", "envelope auto", `{"message":"\ud800 \u00e9 \/","payload":{"application":"A","params":{}}}`, `{"message":"\ud800 \u00e9 \/","payload":{"application":"A","params":{}}}`, nil},
		{"no application", "envelope auto", `{"message":"m","payload":{"params":{"a":1}}}`, `{"message":"m","payload":{"application":"D","params":{"a":1}}}`, nil},
		{"no params", "envelope auto", `{"message":"m","payload":{"application":"A","username":"u"}}`, `{"message":"m","payload":{"application":"A","username":"u","params":{}}}`, nil},
		{"null user", "envelope auto", `{"message":"m","payload":{"application":"A","username":null,"params":{}}}`, `{"message":"m","payload":{"application":"A","params":{}}}`, nil},
		{"numbers for texts", "envelope auto", `{"message":1.50,"payload":{"application":7,"username":1e3,"operation":true,"params":{}}}`, `{"message":"1.50","payload":{"application":"7","username":"1e3","operation":"true","params":{}}}`, nil},
		{"object for a user", "envelope auto", `{"message":"m","payload":{"application":"A","username":{"id":1},"params":{"a":1}}}`, `{"message":"m","payload":{"application":"A","params":{"a":1,"username":{"id":1}}}}`, nil},
		{"list for params", "envelope auto", `{"message":"m","payload":{"application":"A","params":[1]}}`, `{"message":"m","payload":{"application":"A","params":{"params":[1]}}}`, nil},
		{"incomplete with unknown members", "envelope auto", `{"a":1,"message":"m","payload":{"b":2}}`, `{"message":"m","payload":{"application":"D","params":{},"b":2},"a":1}`, nil},
		{"message only", "envelope", `{"message":"m","x":1}`, `{"message":"m","payload":{"application":"D","params":{}},"x":1}`, nil},
		{"message only, as any object", "json auto", `{"message":"m","x":1}`, `{"message":"m","payload":{"application":"D","params":{"x":1}}}`, nil},
		{"payload is no object", "envelope", `{"message":"m","payload":3}`, `{"message":"m","payload":{"application":"D","params":{"payload":3}}}`, nil},
		{"member twice", "envelope json auto", `{"message":"a","message":"b","payload":{}}`, "", ErrTwice},
		{"escaped names", "envelope auto", `{"mess\u0061ge":"m","p\u0061yload":{"applic\u0061tion":"A","params":{}}}`, `{"mess\u0061ge":"m","p\u0061yload":{"applic\u0061tion":"A","params":{}}}`, nil},
		{"twice, once escaped", "envelope auto", `{"mess\u0061ge":"a","message":"b","payload":{}}`, "", ErrTwice},
		{"no message", "envelope", `{"a":1}`, "", ErrNoMessage},
		{"no object", "envelope json", `plain text`, "", ErrNotObject},
		{"list", "envelope json", `[1]`, "", ErrNotObject},
		{"plain in auto", "auto", `plain text`, "", nil},
		{"broken in auto", "auto", `{"message":"m"`, "", ErrRelaxed},
		{"cut off behind a second message", "json", `{"message":"a","message":`, "", ErrInvalidJSON},
		{"cut off behind a second message, in auto", "auto", `{"message":"a","message":`, "", ErrRelaxed},
		{"broken JSON", "json", `{"a":}`, "", ErrInvalidJSON},
		{"raw keeps space", "raw auto", "  a\tb ", "", nil},
		{"invalid UTF-8", "envelope auto", "{\"message\":\"a\xffb\xc3\",\"payload\":{\"application\":\"A\",\"params\":{}}}", "{\"message\":\"a\ufffdb\ufffd\",\"payload\":{\"application\":\"A\",\"params\":{}}}", nil},
		{"published relaxed", "envelope auto", published, publishedJSON, nil},
		{"relaxed words stay texts", "envelope auto", `{message: no, payload: {application: null, username: ~, operation: 0x1F, params: {a: 12, b: 1.50, c: 2026-11-24, d: true, e: ''}}}`,
			`{"message":"no","payload":{"application":"null","username":"~","operation":"0x1F","params":{"a":"12","b":"1.50","c":"2026-11-24","d":"true","e":""}}}`, nil},
		{"relaxed quotes", "envelope auto", `{'message': 'it''s', "payload": {"application": "A \"b\" \u00e9", params: {}}}`, `{"message":"it's","payload":{"application":"A \"b\" é","params":{}}}`, nil},
		{"relaxed nested", "envelope auto", `{message: m, payload: {application: A, params: {l: [1, 'b', {c: d}], o: {p: q}, x: []}}}`, `{"message":"m","payload":{"application":"A","params":{"l":["1","b",{"c":"d"}],"o":{"p":"q"},"x":[]}}}`, nil},
		{"relaxed unknown members", "envelope auto", `{message: m, v: 2, payload: {application: A, extra: [x], username: {id: 1}}}`, `{"message":"m","payload":{"application":"A","params":{"username":{"id":"1"}},"extra":["x"]},"v":"2"}`, nil},
		{"relaxed without payload", "envelope", `{message: m}`, `{"message":"m","payload":{"application":"D","params":{}}}`, nil},
		{"relaxed without payload", "auto", `{message: m, a: b}`, "", ErrNoPayload},
		{"relaxed without message", "envelope auto", `{msg: m, payload: {}}`, "", ErrNoMessage},
		{"relaxed twice", "envelope auto", `{message: a, message: b, payload: {}}`, "", ErrTwice},
		{"relaxed with an anchor", "envelope auto", `{message: &a b, payload: {c: *a}}`, "", ErrRelaxed},
		{"relaxed with a tag", "envelope auto", `{message: !!str b, payload: {}}`, "", ErrRelaxed},
		{"relaxed with a comment", "envelope auto", `{message: b, payload: {}} # more}`, "", ErrRelaxed},
		{"two documents", "envelope auto", "{message: b, payload: {}}\n---\n{message: c, payload: {}}", "", ErrRelaxed},
		{"a log line in braces", "auto", `{worker 7} started: ok}`, "", ErrRelaxed},
		{"usual names", "json auto", `{"level":"info","ts":1700000000.123456789,"msg":"hello","user":"bob","service":"pay","action":"save","n":12345678901234567890}`,
			`{"message":"hello","payload":{"application":"pay","username":"bob","operation":"save","params":{"level":"info","timestamp":"2023-11-14T22:13:20.123456789Z","n":12345678901234567890}}}`, nil},
		{"usual names in other letters", "json auto", `{"Message":"m","AppName":"x","UserName":"y"}`, `{"message":"m","payload":{"application":"x","username":"y","params":{}}}`, nil},
		{"the first of the names wins", "json auto", `{"text":"t","msg":"m","user_id":"7","user":"bob"}`, `{"message":"m","payload":{"application":"D","username":"bob","params":{"text":"t","user_id":"7"}}}`, nil},
		{"names of other types", "json auto", `{"msg":{"a":1},"user":{"id":7},"log":"l","op":3}`, `{"message":"l","payload":{"application":"D","params":{"msg":{"a":1},"user":{"id":7},"op":3}}}`, nil},
		{"no name at all", "json auto", `{"a":1}`, `{"message":"{\"a\":1}","payload":{"application":"D","params":{"a":1}}}`, nil},
		{"empty object", "json auto", `{}`, `{"message":"{}","payload":{"application":"D","params":{}}}`, nil},
	} {
		for _, format := range strings.Fields(c.formats) {
			t.Run(c.name+"/"+format, func(t *testing.T) {
				want := c.want
				if want == "" {
					want = whole(c.in)
				}
				got, err := read(t, format, c.in)
				if got != want || !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
					t.Errorf("\n got  %s (%v)\n want %s (%v)", got, err, want, c.err)
				}
			})
		}
	}
}

func TestApplicationOfAWholeEnvelope(t *testing.T) {
	var e envelope.Envelope
	if err := (braces{&settings{}}).Parse([]byte(publishedJSON), &e); err != nil || e.Raw == nil {
		t.Fatal(err, e.Raw)
	}
	if got := string(e.AppendApplication(nil)); got != "Pool Cars" {
		t.Errorf("application %q", got)
	}
}

func TestUnknownFormat(t *testing.T) {
	if _, err := New("yaml", Options{}); err == nil || !strings.Contains(err.Error(), "auto, envelope, json, logfmt, ") {
		t.Error(err)
	}
}

func TestDeepNesting(t *testing.T) {
	for _, c := range []struct{ open, end string }{{"[", "]"}, {`{"a":`, "}"}} {
		deep := `{"message":"m","payload":{"application":"A","params":{"d":` + strings.Repeat(c.open, 100_000) + "1" + strings.Repeat(c.end, 100_000) + `}}}`
		if got, err := read(t, "envelope", deep); err == nil || got != whole(deep) {
			t.Errorf("100,000 deep: %v", err)
		}
	}
	relaxedDeep := "{message: m, payload: {application: A, params: {a: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}}}"
	if got, err := read(t, "auto", relaxedDeep); err == nil || got != whole(relaxedDeep) {
		t.Errorf("5,000 deep, relaxed: %v", err)
	}
}

// TestRelaxedAgainstYAML makes many small flow mappings of pieces that meet in
// odd ways, and holds the fast reader against the library.
func TestRelaxedAgainstYAML(t *testing.T) {
	values := []string{"a", "'a b'", "\"a b\"", "''", "no", "1.5", "a b", "a  b", "a: b", "a:b", "a #b", "a#b", "- a", "-a", "~", "!x", "{}", "[]", "{b: c}", "[a, b]", "[a b, 'c']", "'it''s'", "a'b", "a\"b",
		"\"a\\nb\"", "é", "'é ü'", "a\\b", "?", "? a", "a ?", "*a", "&a", "|", ">", "%", "@a", "`a", "", " ", "a,", ",", "a}", "/x/y", ".5", "+1", "=", "a=b", "(a)", "a(b)", "a.", "...", "---", "'a", "\u00a0", "a\u00a0", "\u2028", "\ufeff", "<<", "http://x/y", "C:\\x", "\ta", "a\tb", "[a: b]", "{a}", "{? a}"}
	keys := []string{"k", "'k'", "\"k\"", "k k", "k:", "<<", "", "1", "é", "k.l", "?"}
	fast := 0
	for _, k := range keys {
		for _, v := range values {
			for _, format := range []string{"{message: m, payload: {application: A, params: {%k: %v}}}", "{message: %v, payload: {%k: %v}}", "{%k: %v, message: x, payload: {}}", "{message: %v , payload: { %k: %v } }", "{message: m, payload: {params: {a: %v, %k: [%v]}}}"} {
				if agrees(t, strings.NewReplacer("%k", k, "%v", v).Replace(format)) {
					fast++
				}
			}
		}
	}
	if fast < 300 {
		t.Errorf("the fast reader took only %d of them", fast)
	}
}

// agrees fails where the fast reader reads something else than the library, and
// reports whether it read it.
func agrees(t *testing.T, in string) bool {
	t.Helper()
	var a, b envelope.Envelope
	fast := fastReader{b: []byte(in), e: &a}
	if len(in) == 0 || in[0] != '{' {
		return false
	}
	ferr := fast.envelope()
	if ferr == errDeclined {
		return false
	}
	slow := fastReader{e: &b}
	serr := slow.fromYAML([]byte(in))
	got, want := string(a.AppendJSON(nil)), string(b.AppendJSON(nil))
	if !errors.Is(serr, ferr) || (ferr == nil) != (serr == nil) || ferr == nil && (got != want || fast.seen != slow.seen || fast.within != slow.within) {
		t.Errorf("%q:\n fast %s (%v)\n yaml %s (%v)", in, got, ferr, want, serr)
	}
	return true
}

func FuzzRelaxedAgainstYAML(f *testing.F) {
	f.Add(published)
	f.Add(`{message: 'it''s', payload: {application: "A", params: {a: [b, {c: d}], e: 1.5, f: /x y/z}}}`)
	f.Add(`{a: b, 'c': "d" , e: f }`)
	f.Fuzz(func(t *testing.T, in string) { agrees(t, in) })
}

// FuzzStrict holds the scanner against encoding/json.
func FuzzStrict(f *testing.F) {
	for _, s := range []string{publishedJSON, `{"a":[1,-0.5e+3,"\u00e9\n",{},[],null,true,false]}`, `{"a":01}`, `{"a":1.}`, `{"a":"\x"}`, `{"a" : [ ] , "b":{ } }`, `{}`, `{"a":1,}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		text := trim(in)
		if len(text) == 0 || text[0] != '{' {
			return
		}
		s := scanner{b: text}
		_, ok := s.value()
		ok = ok && s.end()
		if want := json.Valid(text); ok != want && !deep(text) {
			t.Fatalf("%q: valid is %v, want %v", text, ok, want)
		}
		if !ok {
			return
		}
		n := 0
		eachMember(text, func(key, value []byte) {
			n++
			if !json.Valid(key) || !json.Valid(value) {
				t.Fatalf("%q: member %q: %q", text, key, value)
			}
		})
	})
}

// deep reports whether text may be deeper than the scanner goes.
func deep(text []byte) bool {
	return bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) > maxDepth
}

// FuzzParse checks what holds for any entry and each format.
func FuzzParse(f *testing.F) {
	for _, c := range benchmarks {
		f.Add([]byte(c.entry))
	}
	for _, s := range []string{"", "plain", published, publishedJSON, `{"msg":"x","a":{"b":[1]}}`, "{a: {b: c}}", "\xff\xfe", `{"message":"","payload":{}}`} {
		f.Add([]byte(s))
	}
	check := validator(f)
	formats := map[string]Format{}
	for _, name := range Formats() {
		format, err := New(name, usualOptions(name))
		if err != nil {
			f.Fatal(err)
		}
		formats[name] = format
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, format := range Formats() { // always in the same order, or coverage would seem to change
			opened := formats[format]
			before := string(in)
			p := opened.NewParser(nil)
			if lines := bytes.SplitN(in, []byte("|"), 2); format == "csv" || format == "w3c" { // the first may name columns
				var e envelope.Envelope
				_ = p.Parse(lines[0], &e)
			}
			out, _ := parsed(p, string(in))
			if string(in) != before {
				t.Fatal("the entry was changed")
			}
			if !utf8.ValidString(out) || !json.Valid([]byte(out)) {
				t.Fatalf("%s of %q is not JSON in UTF-8: %q", format, in, out)
			}
			check(t, out)
			var e struct{ Message string }
			if err := json.Unmarshal([]byte(out), &e); err == nil && e.Message == "" && len(in) > 0 && in[0] != '{' {
				t.Fatalf("%s of %q has no message: %s", format, in, out)
			}
		}
	})
}

// validator returns a check against the published schema.
func validator(tb testing.TB) func(testing.TB, string) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(envelope.Schema()))
	if err != nil {
		tb.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("s.json", doc); err != nil {
		tb.Fatal(err)
	}
	s, err := c.Compile("s.json")
	if err != nil {
		tb.Fatal(err)
	}
	return func(tb testing.TB, out string) {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(out))
		if err == nil {
			err = s.Validate(v)
		}
		if err != nil {
			tb.Fatalf("%s: %v", out, err)
		}
	}
}

// benchmarks are an entry of each format, and where it matters the file's first
// line.
var benchmarks = map[string]struct{ format, entry, first string }{
	"strict":  {"auto", `{"message": "There was a connection error when attempting to gather data from SQL Server: db3.example.org", "payload": {"application": "Pool Cars", "username": "jpowell", "operation": "LoadVehicleUsages", "params": {"seq": 123456, "tookMs": 512, "paramA": "test_parameter_valueA", "paramB": "value \"7\""}}}`, ""},
	"relaxed": {"auto", published, ""},
	"json":    {"auto", `{"level":"info","ts":1700000000.1234,"caller":"http/server.go:123","msg":"request handled","user":"jpowell","status":200,"path":"/api/vehicles/4711","took_ms":118}`, ""},
	"serilog": {"json", `{"@t":"2026-01-25T10:10:10.1234567Z","@mt":"Loaded {Count} vehicles for {User} in {Elapsed:0.0} ms","@r":["12.3"],"Count":12,"User":"jpowell","Elapsed":12.345,"SourceContext":"PoolCars.Vehicles"}`, ""},
	"logfmt":  {"logfmt", `time=2026-01-25T10:10:10.123Z level=info msg="request handled" user=jpowell status=200 path=/api/vehicles/4711 took=118 note="a \"b\" c"`, ""},
	"clf":     {"clf", `192.0.2.7 - jpowell [25/Jan/2026:10:10:10 +0100] "GET /api/vehicles/4711 HTTP/1.1" 200 5316 "https://example.org/" "Mozilla/5.0 (X11; Linux x86_64)"`, ""},
	"syslog":  {"syslog", `<34>1 2026-01-25T10:10:10.003Z host.example.org poolcars 4711 ID47 - 'su root' failed for lonvick on /dev/pts/8`, ""},
	"w3c":     {"w3c", `2026-01-25 10:10:10 10.0.0.1 GET /vehicles id=4711 443 MEAG\jpowell 192.0.2.7 Mozilla/5.0+(Windows+NT+10.0;+Win64;+x64) - 200 0 0 118`, "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken"},
	"csv":     {"csv", `2026-01-25T10:10:10Z,INFO,jpowell,LoadVehicleUsages,118,"a ""quoted"" note"`, "time,level,user,operation,took,note"},
	"nginx":   {"nginx_error", `2026/01/25 10:10:10 [error] 1234#5678: *90 open() "/x" failed (2: No such file or directory), client: 192.0.2.7, server: example.org, request: "GET /x HTTP/1.1", host: "example.org"`, ""},
	"apache":  {"apache_error", `[Fri Sep 09 10:42:29.902022 2011] [core:error] [pid 35708:tid 4328636416] [client 72.15.99.187:1234] AH00035: access to / denied`, ""},
	"mssql":   {"sqlserver", `2026-01-25 10:10:10.12 spid5s      Starting up database 'master'.`, ""},
	"docker":  {"docker", `{"log":"{\"level\":\"info\",\"msg\":\"request handled\",\"status\":200}\n","stream":"stdout","time":"2026-01-25T10:10:10.123456789Z"}`, ""},
	"cri":     {"cri", `2026-01-25T10:10:10.123456789Z stdout F {"level":"info","msg":"request handled","status":200}`, ""},
	"regex":   {"regex", `2026-01-25T10:10:10Z ERROR user=jpowell could not load the vehicle usages of the last month`, ""},
	"grok":    {"grok", `192.0.2.7 - jpowell [25/Jan/2026:10:10:10 +0100] "GET /api/vehicles/4711 HTTP/1.1" 200 5316 "https://example.org/" "Mozilla/5.0 (X11; Linux x86_64)"`, ""},
	"text":    {"text", strings.Repeat("2026-11-23T10:00:00.000Z INFO [worker-7] ", 4)[:147], ""},
	"auto":    {"auto", strings.Repeat("2026-11-23T10:00:00.000Z INFO [worker-7] ", 4)[:147], ""},
	"pgsql":   {"text", `2026-03-02 10:15:07.123 UTC [1310] app@orders LOG:  duration: 1204.330 ms  statement: update vehicle set km = km + 1`, ""},
	"raw":     {"raw", strings.Repeat("2026-11-23T10:00:00.000Z INFO [worker-7] ", 4)[:147], ""},
}

// TestNoAllocation is the promise of the hot path: no allocation per line. Only
// the regular expressions of the standard library cannot keep it.
func TestNoAllocation(t *testing.T) {
	for name, b := range benchmarks {
		if b.format == "regex" || b.format == "grok" {
			continue
		}
		f, err := New(b.format, usualOptions(b.format))
		if err != nil {
			t.Fatal(err)
		}
		p := benchmarked(t, f, b.first)
		var e envelope.Envelope
		dst, entry := make([]byte, 0, 4096), []byte(b.entry)
		one := func() {
			e.Reset()
			if err := p.Parse(entry, &e); err != nil {
				t.Fatal(name, err)
			}
			dst = e.AppendJSON(dst[:0])
		}
		if n := testing.AllocsPerRun(200, one); n != 0 {
			t.Errorf("%s: %v allocations an entry", name, n)
		}
	}
}

// benchmarked returns a parser that has read the file's first line.
func benchmarked(tb testing.TB, f Format, first string) Parser {
	p := f.NewParser(nil)
	var e envelope.Envelope
	if err := p.Parse([]byte(first), &e); err != nil && first != "" {
		tb.Fatal(err)
	}
	return p
}

func BenchmarkParse(b *testing.B) {
	for name, c := range benchmarks {
		b.Run(name, func(b *testing.B) {
			f, err := New(c.format, usualOptions(c.format))
			if err != nil {
				b.Fatal(err)
			}
			p := benchmarked(b, f, c.first)
			var e envelope.Envelope
			var dst []byte
			entry := []byte(c.entry)
			b.ReportAllocs()
			b.SetBytes(int64(len(entry)))
			for b.Loop() {
				e.Reset()
				if err := p.Parse(entry, &e); err != nil {
					b.Fatal(err)
				}
				dst = e.AppendJSON(dst[:0])
			}
		})
	}
}
