package agent

import "testing"

func TestFigures(t *testing.T) {
	for want, got := range map[string]string{
		"300ms": Span(0.31), "4.2s": Span(4.2), "6m": Span(360), "1m30s": Span(90), "2h": Span(7200), "1h12m": Span(4320), "1h0m1s": Span(3601), "10h": Span(36000),
		"-": Behind(0), "2s": Behind(2),
		"0": Count(0), "999": Count(999), "1,000": Count(1000), "-1,234,567": Count(-1234567), "-123": Count(-123),
		"1023 B": ByteCount(1023), "1.0 KiB": ByteCount(1024), "8.0 EiB": ByteCount(1<<63 - 1),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
