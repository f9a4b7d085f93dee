package parse

import (
	"strings"
	"testing"

	"shiplog/agent/envelope"
)

// TestAutoCSV knows csv by its first line and those below it, and takes no prose
// for it.
func TestAutoCSV(t *testing.T) {
	for _, c := range []struct{ name, lines, format, last string }{
		{"usual names", "time;level;user;msg\n2026-01-01 10:00:00;INFO;bob;\"hello; x\"", "csv",
			`{"message":"hello; x","payload":{"application":"D","username":"bob","params":{"timestamp":"2026-01-01T10:00:00Z","level":"info"}}}`},
		{"date and time", "Date,Time,What\n2026-01-01,10:00:00.5,x", "csv",
			`{"message":"2026-01-01,10:00:00.5,x","payload":{"application":"D","params":{"Date":"2026-01-01","Time":"10:00:00.5","What":"x","timestamp":"2026-01-01T10:00:00.5Z"}}}`},
		{"names of loggers only other loggers have", "id\tname\tchannel\n1\ta\tb", "csv", `{"message":"1\ta\tb","payload":{"application":"D","params":{"id":1,"name":"a","channel":"b"}}}`},
		{"numbers below unusual names", "kind,count,size\nfoo,1,2\nbar,3,4", "csv", `{"message":"bar,3,4","payload":{"application":"D","params":{"kind":"bar","count":3,"size":4}}}`},
		{"the header again", "time,msg\n2026-01-01 10:00:00,a\ntime,msg", "csv", `{"message":"time,msg","payload":{"application":"D","params":{}}}`},
		{"another line between", "time,msg\n2026-01-01 10:00:00,a\n2026-01-01 10:00:00,b\n2026-01-01 10:00:00 odd", "csv",
			`{"message":"odd","payload":{"application":"D","params":{"timestamp":"2026-01-01T10:00:00Z"}}}`},
		{"words only", "alice,login,ok\nbob,logout,ok", "raw", `{"message":"bob,logout,ok","payload":{"application":"D","params":{}}}`},
		{"prose", "Starting, please wait, now\n2026-01-01 10:00:00, INFO, y", "text", ""},
		{"no line below", "time,level,msg", "raw", `{"message":"time,level,msg","payload":{"application":"D","params":{}}}`},
		{"a sentence below", "time,level,msg\nnothing but words", "raw", ""},
		{"text below", "user,level\n2026-01-01 10:00:00 INFO a\n2026-01-01 10:00:00 INFO b", "text", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := New("auto", textOptions())
			if err != nil {
				t.Fatal(err)
			}
			// Once in one go, once with a restart after each line.
			for _, restart := range []bool{false, true} {
				p, last := f.NewParser(nil), ""
				for line := range strings.SplitSeq(c.lines, "\n") {
					var e envelope.Envelope
					if err := p.Parse([]byte(line), &e); err != nil {
						t.Fatal(err)
					}
					e.Application = envelope.Value{Kind: envelope.Text, Bytes: []byte("D")}
					last = string(e.AppendJSON(nil))
					if restart {
						p = f.NewParser(p.(Stateful).State())
					}
				}
				format, reason := p.(Chooser).Chosen()
				if format != c.format || c.last != "" && last != c.last || strings.Contains(reason, "raw") && c.format == "csv" && !restart {
					t.Errorf("restart %t: %s, %s\n got  %s\n want %s", restart, format, reason, last, c.last)
				}
			}
		})
	}
}

// TestAutoCSVOnlyAtTheBeginning takes no later line for a header: an earlier run
// saw the file's first one.
func TestAutoCSVOnlyAtTheBeginning(t *testing.T) {
	f, err := New("auto", textOptions())
	if err != nil {
		t.Fatal(err)
	}
	p := f.NewParser(nil)
	feed(t, p, "hello")
	p = f.NewParser(p.(Stateful).State())
	feed(t, p, "time,level,msg", "2026-01-01 10:00:00,info,x", "2026-01-01 10:00:00,info,x")
	if format, _ := p.(Chooser).Chosen(); format == "csv" {
		t.Error("taken for csv")
	}
}

// TestAutoSaysHowAContainerIsRead names the container's format, and that of what
// it carries.
func TestAutoSaysHowAContainerIsRead(t *testing.T) {
	for _, c := range []struct{ format, want string }{
		{"auto", "docker: recognised in 1 of the first 1 entries; its text is json, recognised in 1 of the first 1 entries"},
		{"docker", ": its text is json, recognised in 1 of the first 1 entries"},
	} {
		f, err := New(c.format, textOptions())
		if err != nil {
			t.Fatal(err)
		}
		p := f.NewParser(nil)
		feed(t, p, `{"log":"{\"level\":\"info\",\"msg\":\"m\"}\n","stream":"stdout","time":"2026-01-01T10:00:00Z"}`)
		if got := chosen(p); got != c.want {
			t.Errorf("%s\nwant %s", got, c.want)
		}
	}
}
