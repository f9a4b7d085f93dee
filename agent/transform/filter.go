package transform

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"

	"shiplog/agent/envelope"
)

// condition is an expression over an envelope that is true or false, in the
// language of expr-lang.org.
type condition struct{ program *vm.Program }

// newCondition compiles text. The names that it may use are message,
// application, username, operation (texts, "" where there is none), params (a
// map) and payload, which holds all but the message.
func newCondition(text string) (condition, error) {
	var empty scope
	p, err := expr.Compile(text, expr.Env(empty.of(&envelope.Envelope{})), expr.AsBool())
	if err != nil {
		return condition{}, fmt.Errorf("expression %q: %w", text, err)
	}
	return condition{p}, nil
}

// scope is an entry as expressions see it, built when one asks.
type scope struct {
	built   bool
	names   map[string]any
	payload map[string]any
	params  map[string]any
	vm      vm.VM
}

// holds evaluates the condition.
func (c condition) holds(f *File, e *envelope.Envelope) (bool, error) {
	if !f.scope.built {
		f.scope.of(e)
		f.scope.built = true
	}
	v, err := f.scope.vm.Run(c.program, f.scope.names)
	if err != nil {
		return false, fmt.Errorf("the expression failed: %w", err)
	}
	b, ok := v.(bool)
	if !ok {
		return false, fmt.Errorf("the expression is %T, not true or false", v)
	}
	return b, nil
}

// of fills the scope from e, and returns the names that expressions see.
func (s *scope) of(e *envelope.Envelope) map[string]any {
	if s.names == nil {
		s.names, s.payload, s.params = map[string]any{}, map[string]any{}, map[string]any{}
	}
	clear(s.params)
	for i := range e.Params {
		s.params[text(e.Params[i].Key)] = plain(e.Params[i].Value)
	}
	s.names["message"], s.names["params"], s.names["payload"] = text(e.Message), s.params, s.payload
	s.payload["params"] = s.params
	for name, v := range map[string]envelope.Value{"application": e.Application, "username": e.Username, "operation": e.Operation} {
		t := text(v)
		s.names[name], s.payload[name] = t, t
	}
	return s.names
}

func text(v envelope.Value) string { return string(appendText(nil, v)) }

// plain returns a value as expressions know it: whole numbers as int, others as
// float64.
func plain(v envelope.Value) any {
	switch {
	case v.Kind == envelope.None:
		return nil
	case v.Kind == envelope.Text || len(v.Bytes) > 0 && v.Bytes[0] == '"':
		return text(v)
	}
	d := json.NewDecoder(bytes.NewReader(v.Bytes))
	d.UseNumber()
	var a any
	if err := d.Decode(&a); err != nil {
		return string(v.Bytes) // not JSON after all
	}
	return numbers(a)
}

// numbers turns json.Number into numbers, all the way down.
func numbers(a any) any {
	switch a := a.(type) {
	case json.Number:
		if n, err := strconv.Atoi(a.String()); err == nil {
			return n
		}
		f, err := a.Float64()
		if err != nil {
			return a.String() // beyond all numbers that can be compared
		}
		return f
	case map[string]any:
		for k, v := range a {
			a[k] = numbers(v)
		}
	case []any:
		for i, v := range a {
			a[i] = numbers(v)
		}
	}
	return a
}

// filter leaves entries out.
type filter struct {
	condition
	drop bool // those for which the condition holds, else those for which not
}

func newFilter(expression string, drop bool) (step, error) {
	c, err := newCondition(expression)
	return &filter{c, drop}, err
}

func (s *filter) apply(f *File, e *envelope.Envelope, _ int64) (Action, error) {
	yes, err := s.holds(f, e)
	if err != nil || yes != s.drop {
		return Ship, err
	}
	return Filtered, nil
}

// conditional carries a step out where a condition holds.
type conditional struct {
	condition
	step
}

func newConditional(expression string, s step) (step, error) {
	c, err := newCondition(expression)
	return &conditional{c, s}, err
}

func (s *conditional) apply(f *File, e *envelope.Envelope, offset int64) (Action, error) {
	yes, err := s.holds(f, e)
	if err != nil {
		if _, ok := s.step.(*redaction); ok {
			return Refused, err // nobody knows whether it holds what must not leave
		}
		return Ship, err
	}
	if !yes {
		return Ship, nil
	}
	return s.step.apply(f, e, offset)
}
