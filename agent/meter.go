package agent

import (
	"math"
	"time"
)

// meterSpan is the time over which a meter averages: older amounts fade, to a
// third for each span.
const meterSpan = 10 * time.Second

// meter measures a rate as a fading average. It is not safe for concurrent use.
type meter struct {
	weight float64 // amounts, faded to the instant last
	last   int64   // unix nanoseconds of the last amount
	first  int64   // and of the first since it began
}

// add counts an amount at an instant.
func (m *meter) add(amount int64, now time.Time) {
	at := now.UnixNano()
	if m.first == 0 || at-m.last > int64(10*meterSpan) { // nothing is left of what was before
		m.first, m.weight = at, 0
	} else {
		m.weight *= fade(at - m.last)
	}
	m.weight += float64(amount)
	m.last = at
}

// rate returns the amount per second, about over the last meterSpan.
func (m *meter) rate(now time.Time) float64 {
	if m.first == 0 {
		return 0
	}
	at := now.UnixNano()
	// What a young meter has not seen yet is not to count as nothing.
	age := max(at-m.first, int64(time.Second))
	r := m.weight * fade(max(0, at-m.last)) / (meterSpan.Seconds() * (1 - fade(age)))
	if r < 1e-3 {
		return 0
	}
	return r
}

// fade returns what is left of an amount after so many nanoseconds.
func fade(ns int64) float64 { return math.Exp(-float64(ns) / float64(meterSpan)) }
