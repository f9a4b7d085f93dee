package parse

import (
	"testing"
	"time"

	"shiplog/agent/envelope"
)

// secondsOfEntries are entries in the same second, or nearly, however it is
// written and whatever follows it.
func secondsOfEntries() (lines []string) {
	tails := []string{
		"", "Z", "z", " a", ".1", ".1 a", ",123 INFO a.b.C - x", ".123456789012Z", ":5 a", ":123 a", ":1234 a", ".", ".x", "x", "7",
		"+01:00 a", "-0730 a", "+01", " +0200 a", "+25:00 a", " UTC a", " UTC+2 a", " CET a", " EST x", " ABC x", " PM a", " AM a", " pm", " PMx",
		".5 PM a", ".5Z a", ".5+01:00 a", "/7 a", "|INFO|x|y", "] a", " 2026 a", "\xff",
	}
	for _, second := range []string{"2026-11-23T10:00:00", "2026-11-23 10:00:00", "2026-11-23 12:59:60", "2026-11-23_10:00:01", "2026-02-30T10:00:00", "2026-11-23 23:00:00", "23/11/2026 10:00:00"} {
		for _, tail := range tails {
			lines = append(lines, second+tail)
		}
	}
	return append(lines, "[2026-11-23T10:00:00.5] a", "INFO 2026-11-23T10:00:00 a", "Nov 23 10:00:00 host a[1]: b", "1764000000 a", "a b", "2026-11-23T10:00:0", "10:00:00.5 a", "01/02/03 10:00:00 x")
}

// What an entry is read as does not depend on the second of the entry before.
func TestSameSecond(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		berlin = time.FixedZone("", 3600)
	}
	lines := secondsOfEntries()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, loc := range []*time.Location{time.UTC, berlin} {
		format := textFormat{&Options{Location: loc, Now: func() time.Time { return now }, DateOrder: OrderDayFirst}}
		read := func(p Parser, line string) (string, time.Time) {
			var e envelope.Envelope
			if err := p.Parse([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			return string(e.AppendJSON(nil)), e.Time
		}
		alone, when := make([]string, len(lines)), make([]time.Time, len(lines))
		for i, line := range lines {
			alone[i], when[i] = read(format.NewParser(nil), line)
		}
		p := format.NewParser(nil)
		for _, before := range lines {
			for i, line := range lines {
				read(p, before)
				if got, at := read(p, line); got != alone[i] || !at.Equal(when[i]) {
					t.Fatalf("%q behind %q is\n%s %v, alone\n%s %v", line, before, got, at, alone[i], when[i])
				}
			}
		}
	}
}
