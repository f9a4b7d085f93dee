package tailer

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

// begins stands in for the recogniser of timestamps that the agent passes in.
func begins(line []byte) bool {
	return len(line) > 10 && isDigit(line[0]) && line[4] == '-' && line[7] == '-' || line[0] == '[' && len(line) > 5 && isDigit(line[1])
}

// javaTrace is an entry of Java: a message and a trace of twelve frames.
const javaTrace = `2026-11-23 10:00:00,123 ERROR [worker-7] o.m.Cars - booking failed
java.lang.IllegalStateException: no car left
	at org.meag.cars.Pool.take(Pool.java:41)
	at org.meag.cars.Pool.<init>(Pool.java:12)
	at org.meag.cars.Booking.book(Booking.java:77)
	at org.meag.cars.Booking$$Lambda$14/0x0000.run(Unknown Source)
	at java.base/java.lang.Thread.run(Thread.java:829)
	... 3 common frames omitted
Caused by: java.sql.SQLException: connection refused
	at org.meag.db.Pool.get(Pool.java:99)
	at org.meag.db.Pool.open(Pool.java:14)
	at org.meag.db.Jdbc.call(Jdbc.java:5)
	Suppressed: java.io.IOException: closed
		at org.meag.io.File.close(File.java:3)
	at org.meag.db.Jdbc.main(Jdbc.java:1)
	... 12 more`

const dotnetTrace = `2026-11-23 10:00:00.123 [ERR] booking failed
System.InvalidOperationException: no car left
 ---> System.Data.SqlClient.SqlException (0x80131904): connection refused
   at Meag.Db.Pool.Get(String name) in C:\src\Pool.cs:line 99
   at Meag.Db.Pool.Open()
   --- End of inner exception stack trace ---
   at Meag.Cars.Pool.Take(Int32 n) in C:\src\Cars.cs:line 41
   at Meag.Cars.Booking.<Book>d__7.MoveNext()
--- End of stack trace from previous location where exception was thrown ---
   at System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw()
   at System.Runtime.CompilerServices.TaskAwaiter.HandleNonSuccess(Task task)
   bei Meag.Cars.Program.Main(String[] args) in C:\src\Program.cs:Zeile 7
   at Meag.A.B()
   at Meag.A.C()
   at Meag.A.D()
   at Meag.A.E()
   at Meag.A.F()`

const pythonTrace = `2026-11-23 10:00:00,123 ERROR cars: booking failed
Traceback (most recent call last):
  File "/srv/cars/pool.py", line 41, in take
    return self.cars[n]
           ~~~~~~~~~^^^
KeyError: 3

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/cars/book.py", line 7, in <module>
    main()
  File "/srv/cars/book.py", line 5, in main
    book(3)
  [Previous line repeated 995 more times]
  File "/srv/cars/book.py", line 1, in book
    raise cars.Error("no car left")
cars.Error: no car left`

const goTrace = `panic: no car left [recovered]
	panic: again

goroutine 1 [running]:
main.(*Pool).take(0xc000012120, {0x1, 0x2})
	/src/pool.go:41 +0x1d
main.main()
	/src/main.go:7 +0x25
created by main.serve in goroutine 7
	/src/main.go:9 +0x1

goroutine 18 [chan receive, 2 minutes]:
main.wait(...)
	/src/main.go:12
exit status 2`

const rubyTrace = "pool.rb:41:in `take': no car left (RuntimeError)\n\tfrom book.rb:7:in `book'\n\tfrom book.rb:12:in `<main>'"

const nodeTrace = `/srv/cars/pool.js:41
    throw new Error('no car left');
    ^

Error: no car left
    at Pool.take (/srv/cars/pool.js:41:7)
    at async /srv/cars/book.js:7:3 {
  code: 'ENOCAR',
  [cause]: TypeError: x
}

Node.js v20.1.0`

const phpTrace = `PHP Fatal error:  Uncaught Exception: no car left in /srv/pool.php:41
Stack trace:
#0 /srv/book.php(7): Pool->take()
#1 {main}

Next RuntimeException: again in /srv/book.php:9
Stack trace:
#0 {main}
  thrown in /srv/pool.php on line 41`

// join runs a joiner over lines in the plainest way.
func join(j Joiner, text string) []string {
	var out []string
	var open []string
	state := uint32(0)
	flush := func() {
		if len(open) > 0 {
			out = append(out, strings.TrimRight(strings.Join(open, "\n"), "\n"))
		}
		open, state = nil, 0
	}
	for _, l := range strings.Split(text, "\n") {
		if l == "" && state == 0 {
			continue
		}
		joins, next := j.Join(state, []byte(l))
		if state != 0 && !joins {
			flush() // next is what it is as a first line: TestJoinersAgreeOnFirstLines
		}
		open = append(open, l)
		if state = next; state == 0 {
			flush()
		}
	}
	flush()
	return out
}

func preset(t testing.TB, name string) Joiner {
	t.Helper()
	j, err := NewPresetJoiner(name)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// TestTraces joins each trace, between other lines and twice over, by its
// language and without being told.
func TestTraces(t *testing.T) {
	auto := NewAutoJoiner(begins)
	for _, c := range []struct{ preset, trace string }{
		{"java", javaTrace}, {"dotnet", dotnetTrace}, {"python", pythonTrace}, {"go", goTrace},
		{"ruby", rubyTrace}, {"node", nodeTrace}, {"php", phpTrace},
		{"go", "2026-11-23 10:00:00 http: panic serving 1.2.3.4:5: boom\n" + strings.TrimPrefix(goTrace, "panic: no car left [recovered]\n\tpanic: again\n\n")},
		{"ruby", "2026-11-23 10:00:00 NoMethodError (undefined method `x'):\n\napp/models/car.rb:41:in `take'\napp/models/car.rb:7:in `block in book'"},
		{"ruby", "booking failed\nTraceback (most recent call last):\n\t1: from book.rb:12:in `<main>'\npool.rb:41:in `take': no car left (RuntimeError)"},
		{"php", "[2026-11-23 10:00:00] production.ERROR: no car left {\"exception\":\"[object] (Exception(code: 0): no car left at /srv/pool.php:41)\n[stacktrace]\n#0 /srv/book.php(7): Pool->take()\n#1 {main}\n\"}"},
		{"python", "ERROR:root:booking failed\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\nKeyError"},
		{"java", "Exception in thread \"main\" java.lang.Error\n\tat a.B.c(B.java:1)"},
	} {
		text := "plain line\n" + c.trace + "\n" + c.trace + "\n2026-11-23 10:00:01 INFO next\nat last"
		want := []string{"plain line", c.trace, c.trace, "2026-11-23 10:00:01 INFO next", "at last"}
		if got := join(preset(t, c.preset), text); strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%s:\n got  %q\n want %q", c.preset, got, want)
		}
		want = append(want[:3], "2026-11-23 10:00:01 INFO next\nat last")
		if got := join(auto, text); strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("auto, %s:\n got  %q\n want %q", c.preset, got, want)
		}
	}
	if _, err := NewPresetJoiner("cobol"); err == nil || !strings.Contains(err.Error(), "dotnet, go, java") {
		t.Errorf("an unknown preset: %v", err)
	}
}

func TestAutoJoiner(t *testing.T) {
	auto := NewAutoJoiner(begins)
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"timestamps begin":          {"2026-11-23 10:00:00 a\nb\n\n  c\n2026-11-23 10:00:00 d", []string{"2026-11-23 10:00:00 a\nb\n\n  c", "2026-11-23 10:00:00 d"}},
		"no timestamps":             {"a\nb\n  c\n\nError: d", []string{"a", "b", "  c", "Error: d"}},
		"an exception without time": {"SEVERE: x\njava.lang.Error: y\n\tat a.b(c:1)\njava.lang.Error: z", []string{"SEVERE: x\njava.lang.Error: y\n\tat a.b(c:1)", "java.lang.Error: z"}},
		"JSON":                      {"{\"a\":1}\n{\"b\":2}\nc\n  at x.y(z)", []string{"{\"a\":1}", "{\"b\":2}", "c\n  at x.y(z)"}},
		"JSON after a timestamp":    {"2026-11-23 10:00:00 a\n{\"b\":2}\nc", []string{"2026-11-23 10:00:00 a", "{\"b\":2}", "c"}},
		"directives":                {"2026-11-23 10:00:00 a\n#Fields: date time\n#Date: x\n2026-11-23 10:00:00 b\n# c", []string{"2026-11-23 10:00:00 a", "#Fields: date time", "#Date: x", "2026-11-23 10:00:00 b\n# c"}},
		"JSON over lines":           {"{\n  \"a\": {\n  }\n}\n{\n  \"b\": 1\n}\nx", []string{"{\n  \"a\": {\n  }\n}", "{\n  \"b\": 1\n}", "x"}},
	} {
		if got := join(auto, c.text); strings.Join(got, "|") != strings.Join(c.want, "|") {
			t.Errorf("%s:\n got  %q\n want %q", name, got, c.want)
		}
	}
	if _, next := auto.Join(0, []byte(`{"a":1}`)); next != 0 {
		t.Error("a whole JSON object waits for more")
	}
}

func TestPatternJoiner(t *testing.T) {
	re := regexp.MustCompile
	for name, c := range map[string]struct {
		j    Joiner
		text string
		want []string
	}{
		"start":              {NewPatternJoiner(re(`^#`), nil, nil), "a\nb\n#c\nd\n#e", []string{"a\nb", "#c\nd", "#e"}},
		"continue":           {NewPatternJoiner(nil, re(`^\s`), nil), "a\n b\nc\n\td", []string{"a\n b", "c\n\td"}},
		"end":                {NewPatternJoiner(nil, nil, re(`;$`)), "a\nb;\nc;\nd", []string{"a\nb;", "c;", "d"}},
		"start and end":      {NewPatternJoiner(re(`^#`), nil, re(`^end$`)), "#a\nb\nend\n#c\n#d\nend", []string{"#a\nb\nend", "#c", "#d\nend"}},
		"start and continue": {NewPatternJoiner(re(`^#`), re(`^[#+]`), nil), "#a\n+b\nc\n+d\n#e", []string{"#a\n+b", "c\n+d", "#e"}},
		"blank lines end":    {NewPatternJoiner(nil, nil, re(`^$`)), "a\nb\n\n\nc", []string{"a\nb", "c"}},
	} {
		if got := join(c.j, c.text); strings.Join(got, "|") != strings.Join(c.want, "|") {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// TestJoinAllocatesNothing is about each line of each file. (Regular expressions
// have memory of their own, which the race detector takes from them.)
func TestJoinAllocatesNothing(t *testing.T) {
	lines := bytes.Split([]byte(javaTrace+"\n"+goTrace+"\n"+phpTrace+"\n"+nodeTrace), []byte("\n"))
	for name, j := range map[string]Joiner{
		"auto": NewAutoJoiner(begins), "java": preset(t, "java"), "ruby": preset(t, "ruby"),
	} {
		if n := testing.AllocsPerRun(100, func() {
			state := uint32(0)
			for _, l := range lines {
				_, state = j.Join(state, l)
			}
		}); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// firstLinesAgree checks that what a joiner says to a line that does not join is
// what it says to it where no entry is open.
func firstLinesAgree(t *testing.T, j Joiner, text string) {
	t.Helper()
	state := uint32(0)
	for _, l := range strings.Split(text, "\n") {
		if l == "" && state == 0 {
			continue
		}
		joins, next := j.Join(state, []byte(l))
		if _, first := j.Join(0, []byte(l)); state != 0 && !joins && next != first {
			t.Fatalf("%T: %q after state %#x: next is %#x, as a first line %#x", j, l, state, next, first)
		}
		state = next
	}
}

// TestJoinersAgreeOnFirstLines: a line that does not join is not asked for again.
func TestJoinersAgreeOnFirstLines(t *testing.T) {
	all := []string{javaTrace, dotnetTrace, pythonTrace, goTrace, rubyTrace, nodeTrace, phpTrace, "{\n a\n}", "2026-11-23 10:00:00 one", "panic: x", "no trace"}
	js := []Joiner{NewAutoJoiner(begins), NewPatternJoiner(regexp.MustCompile("^2"), nil, regexp.MustCompile("x$"))}
	for name := range presets() {
		js = append(js, preset(t, name))
	}
	for _, j := range js {
		for _, a := range all {
			lines := strings.Split(a, "\n")
			for n := 1; n <= len(lines); n++ { // each trace broken off by each other
				for _, b := range all {
					firstLinesAgree(t, j, strings.Join(lines[:n], "\n")+"\n"+b)
				}
			}
		}
	}
}

func FuzzJoiners(f *testing.F) {
	for _, s := range []string{javaTrace, dotnetTrace, pythonTrace, goTrace, rubyTrace, nodeTrace, phpTrace, "{\n}\n", "#\n\"}\nPHP \n...\n"} {
		f.Add(s)
	}
	js := []Joiner{NewAutoJoiner(func(l []byte) bool { return len(l) > 0 && isDigit(l[0]) })}
	for name := range presets() {
		js = append(js, preset(f, name))
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, j := range js {
			firstLinesAgree(t, j, text)
			nonBlank := func(s string) string {
				var out []string
				for _, l := range strings.Split(s, "\n") {
					if !blank([]byte(l)) {
						out = append(out, l)
					}
				}
				return strings.Join(out, "\n")
			}
			if got := strings.Join(join(j, text), "\n"); nonBlank(got) != nonBlank(text) {
				t.Fatalf("%T: %q became %q", j, text, got)
			}
		}
	})
}
