package main

import (
	"strings"
	"testing"
	"time"

	"shiplog/agent"
)

func TestVerifyUsage(t *testing.T) {
	good := file(t, "good.yaml", goodConfig)
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"no configuration", []string{"verify"}, "--config"},
		{"no time", []string{"verify", "--config", good, "--since", "yesterday"}, "write 2026-11-25T10:00:00Z"},
		{"no topic's name", []string{"verify", "--config", good, "--topic", "a:b"}, "did you mean a.b?"},
		{"unknown flag", []string{"verify", "--nope"}, "--nope"},
	} {
		if code, out, said := call(t, "", c.args...); code != 2 || !strings.Contains(said, c.want) || out != "" {
			t.Errorf("%s: exit %d: %s%s", c.name, code, out, said)
		}
	}
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.Local)
	for in, want := range map[string]time.Time{
		"":                     {},
		"36h":                  now.Add(-36 * time.Hour),
		"2026-11-25":           time.Date(2026, 11, 25, 0, 0, 0, 0, time.Local),
		"2026-11-25 10:00:00":  time.Date(2026, 11, 25, 10, 0, 0, 0, time.Local),
		"2026-11-25T10:00:00Z": time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC),
	} {
		if got, err := parseSince(in, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	if _, err := parseSince("-3h", now); err == nil {
		t.Error("a time to come is accepted")
	}
}

// TestPrintVerification looks at all that can be said of a file.
func TestPrintVerification(t *testing.T) {
	v := &agent.Verification{Repeated: true, Records: 9, Foreign: 2, Notes: []string{"a note"}, Topics: []agent.TopicRead{{Topic: "t"}},
		Files: []agent.FileProof{{
			Path: "/var/log/a b\x1b.log", Matched: "by its content", Sources: []string{"00000000000000aa"}, Compression: "gzip",
			Size: 1000, Covered: 900, Records: 9, Compared: 4, Blank: 1, Unfinished: 2, Pending: 3, DeadLettered: 4, Unknown: 5, Unseen: 6, NotRead: 7,
			Skipped:  []agent.SkipProof{{Reason: "filtered", Bytes: 8}},
			GapBytes: 20, GapLines: 7, GapCount: 3, Gaps: []agent.Gap{{Start: 10, End: 20, Line: 3, Lines: 2, Text: []string{"one", "two"}}, {Start: 30, End: 35, Line: 9, Lines: 1, Unsent: true, Text: []string{"three"}}},
			RepeatCount: 3, RepeatBytes: 9, Repeats: []agent.Repeat{{Start: 1, End: 5, Times: 2}},
			LateCount: 1, Late: []agent.Late{{Start: 1, End: 2, Topic: "t", Partition: 4, Offset: 77}},
			Otherwise: 11, Unsure: 12, DifferCount: 2, Differ: []agent.Difference{{Start: 5, End: 6, Topic: "t", Partition: 1, Offset: 8, Why: "is not it"}},
		}, {Path: "/b", Matched: "by its content", Problem: "permission denied"}},
		Gone: []agent.GoneProof{{Path: "/var/log/whole.log", Records: 1}, {Path: "/var/log/whole2.log", Records: 1}, {Source: "00000000000000bb", Path: "/var/log/old.log", Host: "h", Records: 3, End: 50, Holes: 5, RepeatBytes: 6, Checkpoint: -1}},
	}
	var out strings.Builder
	if err := printVerification(&out, v, 2); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"/var/log/a b\x1b.log"`, "GAP", "FAILED", "src 00000000000000aa", "gzip; 9 records, 4 compared", "1 bytes are blank", "2 bytes are a last line", "3 bytes lie behind", "4 bytes are in the dead letter",
		"8 bytes were left out on purpose: filtered", "5 bytes may have been left out", "6 bytes may have come in a part of the topic that is gone", "7 bytes may",
		"gap: lines 3 to 4, bytes 10 to 20: never came", "    3: one", "    4: two", "gap: line 9, bytes 30 to 35: not sent", "and 4 more lines, in 3 gaps",
		"repeat: bytes 1 to 5 came 2 times", "and 2 more repeats", "out of order: bytes 1 to 2 came behind later ones, at offset 77 of t/4", "11 records", "12 records",
		"differs: the record of bytes 5 to 6, at offset 8 of t/1, is not it", "and 1 more that differ", "could not be verified: permission denied",
		"/var/log/old.log (src 00000000000000bb, host h): 3 records, bytes 0 to 50, without 5 bytes in between: blank lines, or lost; 6 bytes more than once\n  /var/log/whole.log",
		"  and 1 more, of 0 of which something is missing or came twice; --all prints them\n",
		"note: a note", "NOT PROVED: 2 files, 9 records in 1 partitions, 2 of them not by shiplog; 7 lines (20 bytes) of 1 files never came",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not said in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("a control character of a file name is printed")
	}
}
