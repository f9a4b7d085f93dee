package agent

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"shiplog/agent/config"
	"shiplog/agent/transform"
	"shiplog/tailer"
)

// transformer is a pipeline for the blocks of one input.
type transformer struct {
	*pipeline
	input *tailer.Input
}

func (p transformer) tally() *tally { return p.input.Tag.(*route).tally }

func (p transformer) encode(b *tailer.Block) *shipment {
	b.Input = p.input
	return p.pipeline.encode(b)
}

// transformed returns a pipeline for blocks of an input with transformations.
func transformed(t testing.TB, transforms string) transformer {
	t.Helper()
	c, err := config.Decode(strings.NewReader("application: Pool Cars\nkafka: {brokers: [b]}\ninputs:\n  - paths: [/x]\ntransforms:\n"+transforms), "f.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := routes(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	inputs, err := routedInputs(rs)
	if err != nil {
		t.Fatal(err)
	}
	return transformer{&pipeline{host: []byte("h"), ledger: newLedger(nil, time.Now), nudge: func() {}}, &inputs[0]}
}

// lines returns a block of raw lines.
func lines(texts ...string) *tailer.Block {
	b := &tailer.Block{File: 1, Stream: 1, Origin: "/home/jpowell/a.log"}
	for _, l := range texts {
		b.Entries = append(b.Entries, tailer.Entry{Start: b.End, End: b.End + int64(len(l)) + 1, Data: []byte(l)})
		b.End += int64(len(l)) + 1
	}
	return b
}

// TestLeftOut: what is left out makes no record, is counted with its reason and
// range, and does not hold up the prefix.
func TestLeftOut(t *testing.T) {
	p := transformed(t, "  - drop: message contains \"debug\"\n  - limit: {per_second: 0.001, burst: 2}\n")
	b := lines("debug 1", "debug 2", "one", `{"message":"debug","payload":{"application":"A","params":{}}}`, "two", "three")
	s := p.encode(b)
	if len(s.batch.Records) != 2 || s.batch.Records[0].Start != 16 || string(s.batch.Records[1].Value) != `{"message":"two","payload":{"application":"Pool Cars","params":{}}}` {
		t.Errorf("records %+v", s.batch.Records)
	}
	want := []leftOut{{0, 16, 2, transform.Filtered}, {20, b.Entries[3].End, 1, transform.Filtered}, {b.Entries[5].Start, b.End, 1, transform.Limited}}
	if fmt.Sprint(s.left) != fmt.Sprint(want) {
		t.Errorf("left out %v, want %v", s.left, want)
	}
	if p.tally().filtered.Load() != 3 || p.tally().limited.Load() != 1 {
		t.Errorf("counted %d, %d", p.tally().filtered.Load(), p.tally().limited.Load())
	}
	p.recycle(s)

	all := lines("debug", "debug")
	if s := p.encode(all); len(s.batch.Records) != 0 || len(s.left) != 1 {
		t.Errorf("%d records, left out %v", len(s.batch.Records), s.left)
	}
}

// TestRedactedEverywhere: no header and no value holds what is redacted.
func TestRedactedEverywhere(t *testing.T) {
	p := transformed(t, "  - redact: {patterns: [jpowell]}\n")
	s := p.encode(lines("jpowell came", `{"message":"m","payload":{"application":"A","username":"jpowell","params":{"a":["x jpowell"]}}}`, `{"broken jpowell`))
	for _, r := range s.batch.Records {
		text := string(r.Value)
		for _, h := range r.Headers {
			text += "\n" + h.Key + string(h.Value)
		}
		if strings.Contains(text, "jpowell") || !strings.Contains(text, "/home/***/a.log") {
			t.Error(text)
		}
	}
}

// TestFailedTransform: the entry goes on, and says so.
func TestFailedTransform(t *testing.T) {
	p := transformed(t, "  - drop: params.nothing > 3\n")
	s := p.encode(lines("a line"))
	last := s.batch.Records[0].Headers[usualHeaders]
	if last.Key != headerTransform || !strings.HasPrefix(string(last.Value), "step 1: ") || p.tally().untransformed.Load() != 1 {
		t.Errorf("%s: %s, counted %d", last.Key, last.Value, p.tally().untransformed.Load())
	}
}

func TestValidateNamesThePlace(t *testing.T) {
	c, err := config.Decode(strings.NewReader(`application: a
kafka: {brokers: [b]}
transforms:
  - remove: [lvl]
inputs:
  - paths: [/x]
    transforms:
      - sample: 0.5
      - keep: mesage == "x"
      - hash: {fields: [username], key_file: /nowhere}
`), "f.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	err = Validate(c)
	var errs config.Errors
	if !errors.As(err, &errs) {
		t.Fatalf("%T: %v", err, err)
	}
	if want := `f.yaml:10:9: inputs[0].transforms[2]: hash: key_file: open /nowhere`; !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	c.Inputs[0].Transforms = c.Inputs[0].Transforms[:2]
	err = Validate(c)
	for _, want := range []string{`f.yaml:4:5: transforms[0]: "lvl" is no field`, `f.yaml:9:9: inputs[0].transforms[1]: expression "mesage`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
