package shipper

import (
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"
)

// Health is a copy of a Producer's state at one instant.
type Health struct {
	// InFlightBytes and InFlightRecords are of the batches not settled yet.
	InFlightBytes   int64
	InFlightRecords int
	// Budget is Options.MemoryLimit, in bytes.
	Budget int64
	// Oldest is when the oldest batch not settled yet was taken over; zero if
	// there is none.
	Oldest time.Time
	// LastAck is when records were last settled; zero if none were.
	LastAck time.Time
	// Brokers are those that were talked to, by address.
	Brokers []Broker
	// Problems are what keeps records from arriving, and what to do about it.
	// Empty means healthy.
	Problems []string
	// Rebuilt is how often the watchdog has made a new client.
	Rebuilt int64
	// DeadLetters are in the dead letter file.
	DeadLetters LetterStats
	// Errors counts, since the start, attempts to produce that failed and are
	// repeated, and looks that found why nothing arrives, by reason: Kafka's name
	// of the error, or network, timeout, no_acknowledgement, key_missing,
	// dead_letter_file, other.
	Errors map[string]int64
	// LastErrors are the latest problems, over or not, the newest last.
	LastErrors []Event
}

// Event is something that happened once.
type Event struct {
	At   time.Time
	Text string
}

// Health returns the state of now. It asks nobody, so it is fast; Problems
// are at most some seconds old.
func (p *Producer) Health() Health {
	h := Health{Budget: p.opts.MemoryLimit, Brokers: p.brokers.list()}
	h.Problems, h.LastErrors = p.faults.list()
	h.DeadLetters = p.letters.state()
	h.Rebuilt = p.rescues.total.Load()
	p.mu.Lock()
	defer p.mu.Unlock()
	h.Errors = make(map[string]int64, len(p.failures))
	maps.Copy(h.Errors, p.failures)
	h.InFlightBytes, h.InFlightRecords, h.LastAck = p.charged, p.records, p.lastAck
	if p.open.first != nil {
		h.Oldest = p.open.first.accepted
	}
	return h
}

const (
	// faultReminder is when a fault that lasts is logged once more.
	faultReminder = time.Minute
	// faultQuiet keeps a fault that comes and goes from filling the log.
	faultQuiet = 30 * time.Second
	keptErrors = 10
)

// faults are the problems of now, each under a key. It writes one line when a
// fault begins, one when it is still there after a minute, and one when it is over.
type faults struct {
	log *slog.Logger

	mu     sync.Mutex // guards what follows
	active map[string]*fault
	logged map[string]time.Time // when the begin of a fault was last written
	events []Event
}

type fault struct {
	text     string
	began    time.Time
	told     bool  // its begin is in the log
	reminded bool  // so is that it lasts
	waited   int64 // most bytes that waited meanwhile
}

// update makes now the present faults, by key. waiting are the bytes in flight.
func (f *faults) update(now map[string]string, waiting int64, at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.active == nil {
		f.active, f.logged = make(map[string]*fault), make(map[string]time.Time)
	}
	for _, key := range slices.Sorted(maps.Keys(now)) {
		f.raise(key, now[key], waiting, at)
	}
	for key, was := range f.active {
		if _, ok := now[key]; ok {
			continue
		}
		delete(f.active, key)
		if was.told {
			f.log.Info("over: "+was.text, "lasted", at.Sub(was.began).Round(time.Millisecond), "waited_bytes", was.waited)
		}
	}
	maps.DeleteFunc(f.logged, func(_ string, t time.Time) bool { return at.Sub(t) > faultQuiet })
}

func (f *faults) raise(key, text string, waiting int64, at time.Time) {
	is := f.active[key]
	if is == nil {
		is = &fault{began: at}
		f.active[key] = is
		f.events = append(f.events, Event{at, text})
		f.events = f.events[max(0, len(f.events)-keptErrors):]
		if _, recent := f.logged[key]; !recent {
			f.logged[key], is.told = at, true
			f.log.Warn(text)
		}
	}
	is.text = text
	is.waited = max(is.waited, waiting)
	if !is.reminded && at.Sub(is.began) >= faultReminder {
		is.told, is.reminded = true, true
		f.log.Warn("still: "+text, "since", is.began.Round(time.Second), "waiting_bytes", waiting)
	}
}

// list returns copies.
func (f *faults) list() ([]string, []Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	problems := make([]string, 0, len(f.active))
	for _, key := range slices.Sorted(maps.Keys(f.active)) {
		problems = append(problems, f.active[key].text)
	}
	return problems, slices.Clone(f.events)
}
