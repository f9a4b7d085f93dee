package agent

import (
	"context"
	"sync"
	"time"

	"shiplog/tailer"
)

// fileRow is what an overview needs of one file: with 100,000 files there are as
// many.
type fileRow struct {
	id           tailer.FileID
	input        string
	state        string
	path         string
	size         int64
	acknowledged int64
	pending      int64 // bytes at its end that are no complete entry
	rate         float32
	seconds      float32 // that it lags
	known        bool    // the ledger has it
	open         bool
	held         int64 // bytes on disk that only our descriptor keeps
}

// lag returns the bytes that are not acknowledged.
func (r *fileRow) lag() int64 {
	if !r.known {
		return 0 // a pipe
	}
	return max(0, r.size-r.acknowledged)
}

// due returns those of them that could be acknowledged now.
func (r *fileRow) due() int64 { return max(0, r.lag()-r.pending) }

// overview is what all files add up to at an instant.
type overview struct {
	at     time.Time
	all    sums
	inputs map[string]*sums // by the name of the input
	took   time.Duration
}

// sums are what files add up to.
type sums struct {
	files, open       int
	states            map[string]int
	size, acked       int64
	lag, due, pending int64
	held              int64
	seconds           float64 // the longest that one of them lags
	rate              float64
}

func (s *sums) add(r *fileRow) {
	if s.states == nil {
		s.states = map[string]int{}
	}
	s.files++
	s.states[r.state]++
	if r.open {
		s.open++
	}
	s.size += r.size
	s.acked += r.acknowledged
	s.lag += r.lag()
	s.due += r.due()
	s.pending += r.pending
	s.held += r.held
	s.seconds = max(s.seconds, float64(r.seconds))
	s.rate += float64(r.rate)
}

// observer looks at all files now and then. How long a file lags shows only over
// time: it keeps marks of the sizes of those that lag.
type observer struct {
	mu      sync.Mutex // guards what follows, while looking too
	rows    []fileRow  // reused
	marks   map[tailer.FileID]lagMarks
	history history
}

// lagMarks are sizes that a file was seen to have, and when: of those that are
// not acknowledged yet, the oldest first. They tell how old the oldest byte is
// that is not acknowledged, to within a third of that.
type lagMarks struct {
	n    int
	size [6]int64
	at   [6]int64 // unix nanoseconds
}

// note enters that the file had this size at that instant and is acknowledged up
// to acked, and returns since when it lags; zero if it does not.
func (m *lagMarks) note(size, acked, now int64) (since int64) {
	for m.n > 0 && m.size[0] <= acked {
		m.remove(0)
	}
	if size <= acked {
		return 0
	}
	last := m.n - 1
	if last < 0 || size > m.size[last] && now-m.at[last] >= (now-m.at[0])/int64(len(m.at)) {
		if m.n == len(m.at) { // the one goes that leaves the smallest gap
			least := 1
			for i := 2; i < last; i++ {
				if m.at[i+1]-m.at[i-1] < m.at[least+1]-m.at[least-1] {
					least = i
				}
			}
			m.remove(least)
		}
		m.size[m.n], m.at[m.n] = size, now
		m.n++
	}
	return m.at[0]
}

func (m *lagMarks) remove(i int) {
	copy(m.size[i:], m.size[i+1:m.n])
	copy(m.at[i:], m.at[i+1:m.n])
	m.n--
}

// look goes through all files. each, if not nil, is called with the rows before they
// are reused; it must keep none.
func (a *Agent) look(each func([]fileRow)) overview {
	v := &a.seen
	v.mu.Lock()
	defer v.mu.Unlock()
	began := time.Now()
	v.rows = v.rows[:0]
	a.tailer.Each(func(s *tailer.Status) {
		r := fileRow{id: s.ID, input: s.Input.Name, state: s.State, path: s.Path, size: s.Size, pending: s.Pending, open: s.Open}
		if s.Deleted {
			r.held = s.Disk
		}
		v.rows = append(v.rows, r)
	})
	a.ledger.observed(v.rows, began)
	v.age(began)
	s := overview{at: began, inputs: map[string]*sums{}}
	for i := range v.rows {
		r := &v.rows[i]
		s.all.add(r)
		in := s.inputs[r.input]
		if in == nil {
			in = &sums{}
			s.inputs[r.input] = in
		}
		in.add(r)
	}
	if each != nil {
		each(v.rows)
	}
	s.took = time.Since(began)
	return s
}

// age fills in how long each file lags.
func (v *observer) age(now time.Time) {
	at := now.UnixNano()
	if v.marks == nil {
		v.marks = map[tailer.FileID]lagMarks{}
	}
	lagging := 0
	for i := range v.rows {
		r := &v.rows[i]
		if r.due() == 0 {
			if len(v.marks) > 0 {
				delete(v.marks, r.id)
			}
			continue
		}
		lagging++
		m := v.marks[r.id]
		if since := m.note(r.size-r.pending, r.acknowledged, at); since > 0 {
			r.seconds = float32(time.Duration(at - since).Seconds())
		}
		v.marks[r.id] = m
	}
	if len(v.marks) > lagging { // of files that are no more
		here := make(map[tailer.FileID]bool, len(v.rows))
		for i := range v.rows {
			here[v.rows[i].id] = true
		}
		for id := range v.marks {
			if !here[id] {
				delete(v.marks, id)
			}
		}
	}
}

const (
	// observeInterval is the time between two looks at all files.
	observeInterval = time.Second
	// observeShare bounds what the looks cost: one part of so many of a core.
	observeShare = 100
)

// observe looks at all files each second until ctx ends, less often where
// there are so many that it takes long, and not while they are as they were.
func (a *Agent) observe(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var s overview
	for seen := uint64(0); ; timer.Reset(max(observeInterval, observeShare*s.took)) {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if posts := a.tailer.Posts(); posts != seen || s.all.due > 0 {
			seen, s = posts, a.look(nil)
		} else {
			s.at, s.took = time.Now(), 0
		}
		if a.seen.history.due(s.at) {
			a.seen.history.note(a.point(&s))
		}
	}
}
