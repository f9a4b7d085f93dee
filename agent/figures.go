package agent

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ByteCount writes a number of bytes for a person.
func ByteCount(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	x, i := float64(n)/unit, 0
	for ; x >= unit && i < 5; i++ {
		x /= unit
	}
	return fmt.Sprintf("%.1f %ciB", x, "KMGTPE"[i])
}

// Span writes seconds for a person: 300ms, 4.2s, 6m, 1h12m.
func Span(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d < time.Minute {
		return d.Round(100 * time.Millisecond).String()
	}
	text := d.Round(time.Second).String()
	for _, none := range []string{"m0s", "h0m"} { // of 6m0s and 2h0m the end says nothing
		if strings.HasSuffix(text, none) {
			text = text[:len(text)-2]
		}
	}
	return text
}

// Behind writes a lag in seconds; none is a dash.
func Behind(seconds float64) string {
	if seconds <= 0 {
		return "-"
	}
	return Span(seconds)
}

// Count writes a number with its thousands apart.
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
