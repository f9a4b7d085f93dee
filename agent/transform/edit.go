package transform

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cespare/xxhash/v2"

	"shiplog/agent/envelope"
)

// setter gives fields fixed texts.
type setter struct {
	fields []field
	values [][]byte
}

func newSetter(pairs []Pair) (step, error) {
	s := &setter{}
	for _, p := range pairs {
		f, err := parseField(p.Name)
		if err != nil {
			return nil, err
		}
		s.fields, s.values = append(s.fields, f), append(s.values, []byte(p.Value))
	}
	return s, nil
}

func (s *setter) apply(f *File, e *envelope.Envelope, _ int64) (Action, error) {
	for i := range s.fields {
		s.fields[i].set(e, envelope.Value{Kind: envelope.Text, Bytes: s.values[i]})
	}
	f.scope.built = false
	return Ship, nil
}

// renamer moves values from one field to another.
type renamer struct{ from, to []field }

func newRenamer(pairs []Pair) (step, error) {
	r := &renamer{}
	for _, p := range pairs {
		from, err := parseField(p.Name)
		if err != nil {
			return nil, err
		}
		to, err := parseField(p.Value)
		if err != nil {
			return nil, err
		}
		r.from, r.to = append(r.from, from), append(r.to, to)
	}
	return r, nil
}

// apply leaves a field alone of which the new place is taken: the value there
// would be lost. message and application always exist, so that they are
// replaced; what they said goes where the new value came from.
func (r *renamer) apply(f *File, e *envelope.Envelope, _ int64) (Action, error) {
	for i := range r.from {
		v := r.from[i].get(e)
		if v.Kind == envelope.None {
			continue
		}
		old := r.to[i].get(e)
		if old.Kind != envelope.None && r.to[i].to == nil {
			continue
		}
		if r.to[i].to != nil {
			v = textOf(e, v)
		}
		r.from[i].remove(e)
		r.to[i].set(e, v)
		if old.Kind != envelope.None {
			r.from[i].set(e, old)
		}
	}
	f.scope.built = false
	return Ship, nil
}

// textOf returns v as a text, which message, application, username and
// operation have to be.
func textOf(e *envelope.Envelope, v envelope.Value) envelope.Value {
	if v.Kind == envelope.JSON && len(v.Bytes) > 0 && v.Bytes[0] != '"' {
		return envelope.Value{Kind: envelope.Text, Bytes: e.Keep(v.Bytes)}
	}
	return v
}

// remover takes fields away.
type remover struct{ fields []field }

func newRemover(names []string) (step, error) {
	fields, err := parseFields(names)
	return &remover{fields}, err
}

func (r *remover) apply(f *File, e *envelope.Envelope, _ int64) (Action, error) {
	for i := range r.fields {
		r.fields[i].remove(e)
	}
	f.scope.built = false
	return Ship, nil
}

// sampler lets a share of the entries through. Which ones depends on nothing
// but their place, so that an entry that is read again has the same fate.
type sampler struct{ below uint64 }

func newSampler(share float64) (step, error) {
	if !(share >= 0 && share <= 1) {
		return nil, fmt.Errorf("sample: %v is not between 0 and 1", share)
	}
	if share == 1 {
		return &sampler{math.MaxUint64}, nil
	}
	return &sampler{uint64(share * (1 << 63) * 2)}, nil
}

func (s *sampler) apply(f *File, _ *envelope.Envelope, offset int64) (Action, error) {
	var b [16]byte
	for i := range 8 {
		b[i], b[8+i] = byte(f.id>>(8*i)), byte(uint64(offset)>>(8*i))
	}
	if h := xxhash.Sum64(b[:]); h < s.below || s.below == math.MaxUint64 {
		return Ship, nil
	}
	return Sampled, nil
}

// limiter lets so many entries of a file through in a second.
type limiter struct{ rate, burst float64 }

func newLimiter(l Limit) (step, error) {
	if !(l.PerSecond > 0) || math.IsInf(l.PerSecond, 0) || l.Burst < 0 {
		return nil, errors.New("limit: say a number of lines a second above zero")
	}
	burst := float64(l.Burst)
	if l.Burst == 0 {
		burst = math.Ceil(l.PerSecond)
	}
	return &limiter{l.PerSecond, burst}, nil
}

// bucket is what a file has left of a limit.
type bucket struct {
	tokens float64
	at     time.Time
}

func (l *limiter) apply(f *File, _ *envelope.Envelope, _ int64) (Action, error) {
	b := f.limits[l]
	if b == nil {
		b = &bucket{tokens: l.burst, at: f.now}
		f.limits[l] = b
	}
	if d := f.now.Sub(b.at); d != 0 { // a clock that was set back starts the second anew
		b.tokens = min(l.burst, b.tokens+max(0, d.Seconds())*l.rate)
		b.at = f.now
	}
	if b.tokens < 1 {
		return Limited, nil
	}
	b.tokens--
	return Ship, nil
}
