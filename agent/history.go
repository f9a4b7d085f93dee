package agent

import (
	"sync"
	"time"
)

const (
	// HistoryVersion is the version of History as JSON.
	HistoryVersion = 1
	// historyStep is the time between two points.
	historyStep = 10 * time.Second
	// historyPoints is how many are kept: an hour.
	historyPoints = 360
)

// History is how the agent stood over the last hour, as /history shows it.
type History struct {
	Version int `json:"version"`
	// StepSeconds is the time between two points; with very many files it may be
	// more.
	StepSeconds float64 `json:"step_seconds"`
	Points      []Point `json:"points"` // the oldest first, 360 at most
}

// Point is how the agent stood at one instant.
type Point struct {
	At         time.Time `json:"at"`
	Lag        int64     `json:"lag"`         // bytes that are in files and not acknowledged
	LagSeconds float64   `json:"lag_seconds"` // the longest of a file
	// Rates are those of the last ten seconds.
	Rates         Rates `json:"rates"`
	InFlightBytes int64 `json:"in_flight_bytes"`
	Healthy       bool  `json:"healthy"`
}

// history is a ring of points.
type history struct {
	mu     sync.Mutex
	points []Point
	next   int // of the ring, once it is full
	last   time.Time
}

// due reports whether it is time for another point.
func (h *history) due(now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last.IsZero() || now.Sub(h.last) >= historyStep-observeInterval/2
}

// note keeps a point.
func (h *history) note(p Point) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last = p.At
	if len(h.points) < historyPoints {
		h.points = append(h.points, p)
		return
	}
	h.points[h.next] = p
	h.next = (h.next + 1) % historyPoints
}

// list returns the points, the oldest first.
func (h *history) list() []Point {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]Point, 0, len(h.points))
	out = append(out, h.points[h.next:]...)
	return append(out, h.points[:h.next]...)
}

// History returns how the agent stood over the last hour. It may be called at
// any time.
func (a *Agent) History() History {
	return History{Version: HistoryVersion, StepSeconds: historyStep.Seconds(), Points: a.seen.history.list()}
}

// point is how the agent stands, for the history.
func (a *Agent) point(s *overview) Point {
	p := Point{At: s.at.UTC(), Lag: s.all.lag, LagSeconds: s.all.seconds, InFlightBytes: a.producer.Health().InFlightBytes, Healthy: len(a.Problems()) == 0}
	for _, r := range *a.routes.Load() {
		p.Rates.add(r.tally.recent(s.at))
	}
	return p
}
