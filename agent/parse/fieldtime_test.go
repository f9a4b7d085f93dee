package parse

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"shiplog/agent/envelope"
)

func TestAppendUTC(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.Int64Range(0, 99_999_999_999).Draw(t, "seconds")
		if got, want := string(appendUTC(nil, s)), time.Unix(s, 0).UTC().Format("2006-01-02T15:04:05"); got != want {
			t.Fatalf("%d: %s, want %s", s, got, want)
		}
	})
}

// TestTimestamps has fields that are times, and some that only look so; want ""
// stands for those.
func TestTimestamps(t *testing.T) {
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Skip(err)
	}
	o := &settings{Options: Options{Location: paris, Now: func() time.Time { return time.Date(2026, 1, 1, 0, 30, 0, 0, paris) }}}
	for in, want := range map[string]string{
		"2026-01-25T10:10:10Z":                 "2026-01-25T10:10:10Z",
		"2026-01-25T10:10:10.1234567890Z":      "2026-01-25T10:10:10.1234567890Z",
		"2026-01-25T10:10:10.10+01:30":         "2026-01-25T10:10:10.10+01:30",
		"2026-01-25T10:10:10.100-0130":         "2026-01-25T10:10:10.100-01:30",
		"2026-01-25 10:10:10,123":              "2026-01-25T10:10:10.123+01:00",
		"2026-07-25 10:10:10":                  "2026-07-25T10:10:10+02:00",
		"2026/01/25 10:10:10.5 UTC":            "2026-01-25T10:10:10.5Z",
		"25/Jan/2026:10:10:10 +0100":           "2026-01-25T10:10:10+01:00",
		"Dec 31 23:59:59":                      "2025-12-31T23:59:59+01:00",
		"Jan  1 00:29:59":                      "2026-01-01T00:29:59+01:00",
		"Fri Sep 09 10:42:29.902022 2011":      "2011-09-09T10:42:29.902022+02:00",
		"1700000000":                           "2023-11-14T22:13:20Z",
		"1700000000.100":                       "2023-11-14T22:13:20.100Z",
		"1700000000123":                        "2023-11-14T22:13:20.123Z",
		"1700000000123.4":                      "2023-11-14T22:13:20.1234Z",
		"1700000000123456":                     "2023-11-14T22:13:20.123456Z",
		"1700000000123456789":                  "2023-11-14T22:13:20.123456789Z",
		"118":                                  "",
		"12.5":                                 "",
		"1.7e9":                                "",
		"-1700000000":                          "",
		"17000000001234567890123":              "",
		"":                                     "",
		"2026-02-30 10:10:10":                  "",
		"2026-13-01T10:10:10Z":                 "",
		"2026-01-25T24:10:10Z":                 "",
		"2026-01-25T10:10:10+25:00":            "",
		"yesterday":                            "",
		"2026-01-25 10:10:10 somewhere":        "",
		"Feb 29 10:10:10":                      "2024-02-29T10:10:10+01:00",
		"2026-01-25":                           "",
		"2026-01-25T10:10:10.Z":                "",
		"99/Jan/2026:10:10:10 +0100":           "",
		"Jan  x 00:29:59":                      "",
		"2026-01-25T10:10:10 more than a time": "",
	} {
		var e envelope.Envelope
		f := fields{e: &e, o: o}
		v, ok := f.timestamp(envelope.Value{Kind: envelope.Text, Bytes: []byte(in)})
		got := string(v.Bytes)
		if v.Kind == envelope.JSON {
			got = got[1 : len(got)-1]
		}
		if !ok {
			got = ""
		}
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
