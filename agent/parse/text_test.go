package parse

import (
	"bytes"

	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"shiplog/agent/envelope"
)

func textOptions() Options { return at(noon, time.UTC) }

func TestText(t *testing.T) {
	for _, c := range []struct{ name, in, message, params string }{
		{"log4j", `2026-01-25 10:10:10,123 WARN  [http-nio-8080-exec-1] com.example.Foo - slow query`, "slow query", `"timestamp":"2026-01-25T10:10:10.123Z","level":"warn","thread":"http-nio-8080-exec-1","logger":"com.example.Foo"`},
		{"log4j, thread first", `2026-01-25 10:10:10,123 [main] DEBUG com.example.Foo - x`, "x", `"timestamp":"2026-01-25T10:10:10.123Z","thread":"main","level":"debug","logger":"com.example.Foo"`},
		{"log4net", `2026-01-25 10:10:10,123 [12] INFO  My.App.Foo - x`, "x", `"timestamp":"2026-01-25T10:10:10.123Z","thread":"12","level":"info","logger":"My.App.Foo"`},
		{"spring", `2026-01-25 10:10:10.123  INFO 12345 --- [           main] c.e.demo.DemoApplication                 : Started`, "Started", `"timestamp":"2026-01-25T10:10:10.123Z","level":"info","pid":12345,"thread":"main","logger":"c.e.demo.DemoApplication"`},
		{"wildfly", `2026-01-25 10:10:10,123 INFO  [org.jboss.as] (MSC service thread 1-2) WFLYSRV0049: starting`, "WFLYSRV0049: starting", `"timestamp":"2026-01-25T10:10:10.123Z","level":"info","logger":"org.jboss.as","thread":"MSC service thread 1-2"`},
		{"nlog", `2026-01-25 10:10:10.1234|INFO|My.App.Foo|user bob came | went`, "user bob came | went", `"timestamp":"2026-01-25T10:10:10.1234Z","level":"info","logger":"My.App.Foo"`},
		{"serilog", `2026-01-25 10:10:10.123 +01:00 [INF] Started`, "Started", `"timestamp":"2026-01-25T10:10:10.123+01:00","level":"info"`},
		{"tabs", "2026-01-25 10:10:10\tERROR\tdb\tno connection", "no connection", `"timestamp":"2026-01-25T10:10:10Z","level":"error","logger":"db"`},
		{"python", `2026-01-25 10:10:10,123 - my.module - ERROR - broken`, "broken", `"timestamp":"2026-01-25T10:10:10.123Z","logger":"my.module","level":"error"`},
		{"celery", `[2026-01-25 10:10:10,123: INFO/MainProcess] Connected`, "Connected", `"timestamp":"2026-01-25T10:10:10.123Z","level":"info","process":"MainProcess"`},
		{"gunicorn", `[2026-01-25 10:10:10 +0000] [1234] [INFO] Listening`, "Listening", `"timestamp":"2026-01-25T10:10:10Z","thread":"1234","level":"info"`},
		{"android brief", `I/ActivityManager(  585): Starting`, "Starting", `"level":"info","logger":"ActivityManager","pid":585`},
		{"severe", `2026-01-25 10:10:10 SEVERE: no`, "no", `"timestamp":"2026-01-25T10:10:10Z","level":"error","severity":"SEVERE"`},
		{"level only", `ERROR: no disk`, "no disk", `"level":"error"`},
		{"level in brackets only", `[warning] low`, "low", `"level":"warn"`},
		{"priority only", `<13>hello`, "hello", `"pri":13,"level":"info"`},
		{"small letters", `2026-01-25 10:10:10 error opening /x`, "error opening /x", `"timestamp":"2026-01-25T10:10:10Z","level":"error"`},
		{"small letters and colon", `2026-01-25 10:10:10 error: opening /x`, "opening /x", `"timestamp":"2026-01-25T10:10:10Z","level":"error"`},
		{"time only", `2026-01-25 10:10:10 hello`, "hello", `"timestamp":"2026-01-25T10:10:10Z"`},
		{"nothing but the time", `2026-01-25 10:10:10`, "2026-01-25 10:10:10", `"timestamp":"2026-01-25T10:10:10Z"`},
		{"nothing but time and level", `2026-01-25 10:10:10 INFO`, "2026-01-25 10:10:10 INFO", `"timestamp":"2026-01-25T10:10:10Z","level":"info"`},
		{"a number begins the message", `2026-01-25 10:10:10 12 files found`, "12 files found", `"timestamp":"2026-01-25T10:10:10Z"`},
		{"a host begins the message", `2026-01-25 10:10:10 ERROR www.example.com: refused`, "www.example.com: refused", `"timestamp":"2026-01-25T10:10:10Z","level":"error"`},
		{"dashes", `Jul  1 09:00:55 --- last message repeated 1 time ---`, "--- last message repeated 1 time ---", `"timestamp":"2025-07-01T09:00:55Z"`},
		{"a sentence with a time", `Backup finished at 2026-01-25 10:10:10 by bob`, `Backup finished at 2026-01-25 10:10:10 by bob`, ``},
		{"a word and a time", `node 2026-01-25 10:10:10 up`, `node 2026-01-25 10:10:10 up`, `"timestamp":"2026-01-25T10:10:10Z"`},
		{"no such date", `2026-02-30 10:10:10 x`, `2026-02-30 10:10:10 x`, ``},
		{"plain", `hello world`, `hello world`, ``},
		{"space", "  two  ", "  two  ", ``},
		{"several lines", "2026-01-25 10:10:10 ERROR boom\n\tat x\n\tat y", "boom\n\tat x\n\tat y", `"timestamp":"2026-01-25T10:10:10Z","level":"error"`},
		{"the message on the second line", "2026-01-25 10:10:10 ERROR\r\nboom", "boom", `"timestamp":"2026-01-25T10:10:10Z","level":"error"`},
		{"java.util.logging", "Jan 25, 2026 10:10:10 AM org.foo.Bar run\nSEVERE: boom", "org.foo.Bar run\nSEVERE: boom", `"timestamp":"2026-01-25T10:10:10Z","level":"error"`},
		{"times on other lines", "hello\n2026-01-25 10:10:10 x", "hello\n2026-01-25 10:10:10 x", ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readWith(t, "text", c.in, textOptions())
			want := `{"message":` + string(envelope.AppendString(nil, []byte(c.message))) + `,"payload":{"application":"D","params":{` + c.params + `}}}`
			if got != want || err != nil {
				t.Errorf("\n got  %s (%v)\n want %s", got, err, want)
			}
		})
	}
}

// readWith is read with options.
func readWith(t testing.TB, format, entry string, o Options) (string, error) {
	t.Helper()
	f, err := New(format, o)
	if err != nil {
		t.Fatal(err)
	}
	var e envelope.Envelope
	err = f.NewParser(nil).Parse([]byte(entry), &e)
	if e.Application.Kind == envelope.None {
		e.Application = envelope.Value{Kind: envelope.Text, Bytes: []byte("D")}
	}
	return string(e.AppendJSON(nil)), err
}

// TestTextOrder learns the order of the dates from those that show it, and
// keeps it.
func TestTextOrder(t *testing.T) {
	stampOf := func(p *textParser, line string) string {
		var e envelope.Envelope
		if err := p.Parse([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		return e.Time.UTC().Format("2006-01-02")
	}
	o := textOptions()
	p := newTextParser(&o, nil)
	for _, c := range []struct{ line, want string }{
		{"03/04/2026 10:00:00 x", "2026-03-04"}, {"25/04/2026 10:00:00 x", "2026-04-25"}, {"03/04/2026 10:00:00 x", "2026-04-03"},
	} {
		if got := stampOf(p, c.line); got != c.want {
			t.Errorf("%s: %s, want %s", c.line, got, c.want)
		}
	}
	if p.Generation() != 1 {
		t.Errorf("generation %d", p.Generation())
	}
	again := newTextParser(&o, p.State())
	if got := stampOf(again, "03/04/2026 10:00:00 x"); got != "2026-04-03" {
		t.Errorf("after a restart: %s", got)
	}
	o.DateOrder = OrderMonthFirst
	if got := stampOf(newTextParser(&o, p.State()), "03/04/2026 10:00:00 x"); got != "2026-03-04" {
		t.Errorf("the configuration does not win: %s", got)
	}
	o.DateOrder = OrderDayFirst
	if got := stampOf(newTextParser(&o, nil), "03/04/05 10:00:00 x"); got != "2005-04-03" {
		t.Errorf("day first, two digits: %s", got)
	}
}

// TestMissingParts fills in years and dates around the turns of years and days.
func TestMissingParts(t *testing.T) {
	loc := berlin(t)
	for _, c := range []struct{ now, line, want string }{
		{"2027-01-01T00:00:30+01:00", "Dec 31 23:59:59 x", "2026-12-31T23:59:59+01:00"},
		{"2026-12-31T23:59:30+01:00", "Jan  1 00:00:10 x", "2027-01-01T00:00:10+01:00"},
		{"2026-12-31T12:00:00+01:00", "Jan  2 00:00:10 x", "2026-01-02T00:00:10+01:00"},
		{"2028-02-29T12:00:00+01:00", "Feb 29 11:00:00 x", "2028-02-29T11:00:00+01:00"},
		{"2027-02-28T12:00:00+01:00", "Feb 29 11:00:00 x", "2024-02-29T11:00:00+01:00"},
		{"1904-01-28T12:00:00+01:00", "Feb 29 11:00:00 x", "1896-02-29T11:00:00+01:00"},
		{"2026-06-15T00:01:00+02:00", "23:59:59 x", "2026-06-14T23:59:59+02:00"},
		{"2026-06-14T23:59:59+02:00", "00:00:01 x", "2026-06-15T00:00:01+02:00"},
		{"2026-06-15T12:00:00+02:00", "11:00:00 x", "2026-06-15T11:00:00+02:00"},
		{"2026-06-15T00:30:00+02:00", "22:29:00Z x", "2026-06-14T22:29:00Z"},
		{"2026-06-15T12:15:00+02:00", "12:19:59.123 x", "2026-06-15T12:19:59.123+02:00"},
		{"2026-06-15T12:15:00+02:00", "12:21:00 x", "2026-06-14T12:21:00+02:00"},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		var s sighting
		if !s.find([]byte(c.line)) {
			t.Fatal(c.line)
		}
		o := at(now, loc)
		r := newTimeReader(&o)
		got, ok := r.resolve(&s.parts)
		if text := string(got.AppendRFC3339(nil)); !ok || text != c.want {
			t.Errorf("%s at %s: %s, want %s", c.line, c.now, text, c.want)
		}
	}
}

// checkPieces checks that nothing of an entry is lost: its pieces and its message
// stand in their order, and nothing but separators is between them.
func checkPieces(t failing, in []byte) {
	t.Helper()
	o := textOptions()
	p := newTextParser(&o, nil)
	var e envelope.Envelope
	if err := p.Parse(in, &e); err != nil {
		t.Fatalf("%v", err)
	}
	if len(in) > 0 && len(e.Message.Bytes) == 0 {
		t.Fatalf("%q: the message is empty", in)
	}
	in = withoutBOM(in)
	if bytes.Equal(e.Message.Bytes, in) {
		return
	}
	at := 0
	for _, piece := range p.layout.pieces[:p.layout.n] {
		start, end := int(piece.start), int(piece.end)
		if start < at || end <= start || end > len(in) {
			t.Fatalf("%q: a piece from %d to %d behind %d", in, start, end, at)
		}
		onlySeparators(t, in, at, start)
		at = end
	}
	message := len(in) - len(e.Message.Bytes)
	if message < at || !bytes.Equal(in[message:], e.Message.Bytes) {
		t.Fatalf("%q: the message is %q", in, e.Message.Bytes)
	}
	onlySeparators(t, in, at, message)
	found := string(e.AppendJSON(nil))
	for _, piece := range p.layout.pieces[:p.layout.n] {
		if piece.kind != pieceTime && piece.kind != pieceLevel {
			quoted := string(envelope.AppendString(nil, in[piece.start:piece.end]))
			if !strings.Contains(found, strings.Trim(quoted, `"`)) {
				t.Fatalf("%q: %q is not in %s", in, in[piece.start:piece.end], found)
			}
		}
	}
}

func onlySeparators(t failing, in []byte, from, to int) {
	t.Helper()
	for _, c := range in[from:to] {
		if !strings.ContainsRune(" \t\r\n-|:,;[](){}<>\"'*#/", rune(c)) {
			t.Fatalf("%q: %q is lost", in, in[from:to])
		}
	}
}

func TestNothingIsLost(t *testing.T) {
	for _, c := range entries {
		checkPieces(t, []byte(c.line))
	}
	parts := []string{
		"2026-01-25 10:10:10,123", "Jun  9 06:07:05", "1117838570", "10:10:10", "17/06/09 20:10:40", "INFO", "Info", "[error]", "SEVERE:", "D", "I/Tag( 12):", "<34>", "[main]", "[12]", "(7)", "1234", "host", "sshd[12]:", "com.example.Foo", "com.example.Foo:", "name:",
		"-", "--", "---", "|", ":", "\t", " - ", ",", "[", "]", "(", ")", "\"", "é", "\xff", "{", "}", "hello", "hello world", "a=b", "Foo - ", "*WARN*", "<info>", "#12]", "\n", "\r\n", "x.exe - ", "...", "INFO/Main]", "KERNEL FATAL",
	}
	rapid.Check(t, func(t *rapid.T) {
		var line strings.Builder
		for range rapid.IntRange(1, 9).Draw(t, "n") {
			line.WriteString(rapid.SampledFrom(parts).Draw(t, "part"))
			line.WriteString(rapid.SampledFrom([]string{"", " ", "  ", " "}).Draw(t, "blank"))
		}
		checkPieces(t, []byte(line.String()))
	})
}

// failing is what checkPieces needs of a test, which rapid's has too.
type failing interface {
	Helper()
	Fatalf(format string, args ...any)
}

func FuzzText(f *testing.F) {
	for _, c := range entries {
		f.Add([]byte(c.line))
	}
	f.Fuzz(func(t *testing.T, in []byte) { checkPieces(t, in) })
}

// TestAutoFindsTimes reads samples as sixteen systems and many loggers write
// them: each line is an envelope, and has its time. All but the mixture of
// loggers are read by one format from the first line on.
func TestAutoFindsTimes(t *testing.T) {
	check := validator(t)
	logs, err := filepath.Glob("testdata/text/*.log")
	if err != nil || len(logs) < 17 {
		t.Fatal(logs, err)
	}
	for _, name := range logs {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".log"), func(t *testing.T) {
			in, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			f, err := New("auto", usualOptions("auto"))
			if err != nil {
				t.Fatal(err)
			}
			p := f.NewParser(nil)
			first := ""
			for line := range bytes.Lines(in) {
				var e envelope.Envelope
				line = bytes.TrimRight(line, "\n")
				err := p.Parse(line, &e)
				out := string(e.AppendJSON(nil))
				if err != nil || !strings.Contains(out, `"timestamp":"20`) || len(e.Message.Bytes) == 0 {
					t.Errorf("%s: %s (%v)", line, out, err)
				}
				check(t, out)
				name, _ := p.(Chooser).Chosen()
				if first == "" {
					first = name
				}
				if name != first {
					t.Errorf("%s: %s, not %s", line, name, first)
				}
			}
		})
	}
}
