// Package transform changes envelopes between parsing and encoding: it filters,
// sets, renames, removes, redacts, hashes, samples and limits, in the order that
// the configuration writes.
//
// # What fails, and how
//
// An expression can fail at run time (a text compared with a number). The step
// then does nothing, the entry goes on, and [Result.Failed] names the step, so
// that the record is marked and the failure counted. Where the step is a
// redaction the entry must not go on: it is refused, and its bytes stay on this
// host.
//
// # What it costs
//
// set, rename, remove, sample and limit allocate nothing or little. An
// expression is evaluated over maps that are built for each entry (some
// microseconds). redact looks at each text of an entry for what could begin a
// match before it tries an expression.
package transform

import (
	"errors"
	"fmt"
	"time"

	"shiplog/agent/envelope"
)

// Step is one transformation. Exactly one of its fields is set, beside When.
type Step struct {
	// When, if not empty, is the expression that has to be true for the step to
	// be carried out. Drop and Keep are expressions themselves.
	When   string
	Drop   string // leaves out the entries for which it is true
	Keep   string // leaves out the entries for which it is not
	Set    []Pair // field -> text
	Rename []Pair // field -> field; an existing one is not overwritten
	Remove []string
	Redact *Redact
	Hash   *Hash
	Sample *float64 // the share of entries that stay, 0 to 1
	Limit  *Limit
}

// Pair is a name and what it gets. Pairs are carried out in their order.
type Pair struct{ Name, Value string }

// Limit bounds the entries of one file.
type Limit struct {
	PerSecond float64
	Burst     int // how many may come at once; PerSecond, rounded up, by default
}

// Action is what is to become of an entry.
type Action uint8

const (
	// Ship: it goes on.
	Ship Action = iota
	// Filtered, Sampled, Limited: it is left out on purpose, for that reason.
	Filtered
	Sampled
	Limited
	// Refused: a redaction failed, so that it may not leave this host.
	Refused
)

// Result is what a chain did with an entry.
type Result struct {
	Action Action
	// Failed names the step of which the expression failed, "" if none did.
	Failed string
}

// Chain is the transformations of one input. It is safe for concurrent use.
type Chain struct {
	steps    []step
	redactor redactor // all redactions without a condition, for texts beside the envelope
	redacts  bool
}

// step is a compiled Step. It returns Ship to go on.
type step interface {
	apply(f *File, e *envelope.Envelope, offset int64) (Action, error)
}

// New compiles the steps. Its error names the step by its place, from 1.
func New(steps []Step) (*Chain, error) {
	c := &Chain{}
	var errs []error
	for i := range steps {
		s, err := c.compile(&steps[i])
		if err != nil {
			errs = append(errs, &StepError{Index: i, Err: err})
			continue
		}
		c.steps = append(c.steps, s)
	}
	return c, errors.Join(errs...)
}

// StepError says which step cannot work.
type StepError struct {
	Index int // from 0
	Err   error
}

// Error names the step as a person counts.
func (e *StepError) Error() string { return fmt.Sprintf("step %d: %v", e.Index+1, e.Err) }

// Unwrap returns what is wrong with it.
func (e *StepError) Unwrap() error { return e.Err }

func (c *Chain) compile(s *Step) (step, error) {
	kinds := 0
	var out step
	var err error
	add := func(there bool, make func() (step, error)) {
		if !there {
			return
		}
		kinds++
		if kinds == 1 {
			out, err = make()
		}
	}
	add(s.Drop != "", func() (step, error) { return newFilter(s.Drop, true) })
	add(s.Keep != "", func() (step, error) { return newFilter(s.Keep, false) })
	add(len(s.Set) > 0, func() (step, error) { return newSetter(s.Set) })
	add(len(s.Rename) > 0, func() (step, error) { return newRenamer(s.Rename) })
	add(len(s.Remove) > 0, func() (step, error) { return newRemover(s.Remove) })
	add(s.Redact != nil, func() (step, error) { return c.newRedaction(s.Redact, s.When) })
	add(s.Hash != nil, func() (step, error) { return newHasher(s.Hash) })
	add(s.Sample != nil, func() (step, error) { return newSampler(*s.Sample) })
	add(s.Limit != nil, func() (step, error) { return newLimiter(*s.Limit) })
	switch {
	case kinds == 0:
		return nil, errors.New("says nothing to do")
	case kinds > 1:
		return nil, errors.New("says more than one thing to do: write a step for each")
	case err != nil || s.When == "":
		return out, err
	case s.Drop != "" || s.Keep != "":
		return nil, errors.New("when: is for other steps; drop and keep are conditions themselves")
	}
	return newConditional(s.When, out)
}

// Empty reports whether the chain does nothing.
func (c *Chain) Empty() bool { return c == nil || len(c.steps) == 0 }

// Redacts reports whether the chain redacts: what leaves the host beside the
// envelope (headers, dead letters) has to go through RedactText then.
func (c *Chain) Redacts() bool { return c != nil && c.redacts }

// RedactText appends text to dst, with what the chain's redactions find in it
// replaced, whatever their conditions say: nothing is known here that a
// condition could be about.
func (c *Chain) RedactText(dst, text []byte) []byte { return c.redactor.append(dst, text) }

// File returns the chain for one file. id is the file's for its whole life: an
// entry that is read again is sampled as it was before.
func (c *Chain) File(id uint64) *File {
	return &File{chain: c, id: id, limits: map[*limiter]*bucket{}}
}

// File transforms the entries of one file. One goroutine uses it at a time.
type File struct {
	chain  *Chain
	id     uint64
	now    time.Time
	limits map[*limiter]*bucket
	scope  scope
	text   []byte // scratch
	out    []byte // scratch
}

// Begin tells the time, once for the entries that follow.
func (f *File) Begin(now time.Time) { f.now = now }

// Apply transforms e, of which Raw has to be nil, in place. offset is where the
// entry begins in its file. What e holds afterwards may alias what it held
// before, the chain, and e's own memory.
func (f *File) Apply(e *envelope.Envelope, offset int64) Result {
	var r Result
	f.scope.built = false
	for i, s := range f.chain.steps {
		action, err := s.apply(f, e, offset)
		if err != nil && r.Failed == "" {
			r.Failed = fmt.Sprintf("step %d: %v", i+1, err)
		}
		if action != Ship {
			r.Action = action
			return r
		}
	}
	return r
}
