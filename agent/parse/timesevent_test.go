package parse

import (
	"testing"
	"time"

	"shiplog/agent/envelope"
)

func TestEventTime(t *testing.T) {
	want := time.Date(2026, 1, 25, 10, 10, 10, 123e6, time.UTC)
	for _, c := range []struct {
		format, entry string
		want          time.Time
	}{
		{"text", "2026-01-25 10:10:10,123 INFO x", want},
		{"text", "no time", time.Time{}},
		{"auto", `{"message":"m","payload":{"application":"A","params":{"timestamp":"2026-01-25 11:10:10.123 +0100"}}}`, want},
		{"auto", `{"message":"m","payload":{"application":"A","params":{"timestamp":{}}}}`, time.Time{}},
		{"auto", `{"message":"m","payload":{"application":"A","params":{}}}`, time.Time{}},
		{"auto", `{message: m, payload: {application: A, params: {timestamp: '2026-01-25T10:10:10.123Z'}}}`, want},
		{"json", `{"msg":"m","time":1769335810.123}`, want},
		{"clf", `1.2.3.4 - - [25/Jan/2026:11:10:10 +0100] "GET / HTTP/1.1" 200 1`, want.Truncate(time.Second)},
	} {
		f, err := New(c.format, textOptions())
		if err != nil {
			t.Fatal(err)
		}
		var e envelope.Envelope
		if err := f.NewParser(nil).Parse([]byte(c.entry), &e); err != nil {
			t.Errorf("%s: %v", c.entry, err)
		}
		got, ok := EventTime(&e, textOptions())
		if ok != !c.want.IsZero() || ok && !got.Equal(c.want) {
			t.Errorf("%s: %v (%v), want %v", c.entry, got, ok, c.want)
		}
	}
}
