package agent

import (
	"errors"
	"fmt"

	"shiplog/agent/envelope"
	"shiplog/agent/parse"
	"shiplog/agent/transform"
)

// ValueFilter chooses among the values of records, by an expression over the
// envelope as transforms have them. One goroutine uses it at a time.
type ValueFilter struct {
	parser parse.Parser
	file   *transform.File
	e      envelope.Envelope
}

// NewValueFilter compiles the expression.
func NewValueFilter(expression string) (*ValueFilter, error) {
	c, err := transform.New([]transform.Step{{Keep: expression}})
	if err != nil {
		if at, ok := errors.AsType[*transform.StepError](err); ok {
			err = at.Err // of the only step
		}
		return nil, err
	}
	format, err := parse.New("envelope", parse.Options{})
	if err != nil {
		return nil, err
	}
	return &ValueFilter{parser: format.NewParser(nil), file: c.File(0)}, nil
}

// Keep reports whether the expression holds for value. It does not for what is
// no envelope. The error tells that it could not be evaluated for this one.
func (f *ValueFilter) Keep(value []byte) (bool, error) {
	f.e.Reset()
	if err := f.parser.Parse(value, &f.e); err != nil {
		return false, nil
	}
	parse.Unfold(&f.e)
	r := f.file.Apply(&f.e, 0)
	if r.Failed != "" {
		return false, fmt.Errorf("the filter: %s", r.Failed)
	}
	return r.Action == transform.Ship, nil
}
