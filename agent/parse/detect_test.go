package parse

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"shiplog/agent/envelope"
)

// fruits is a format for the tests: lines that begin with the name of a fruit,
// which the file's first line tells.
type fruits struct{ name string }

type fruitParser struct {
	fruit      []byte
	generation uint32
}

var errNoFruit = errors.New("no fruit")

func (fruits) NewParser(state []byte) Parser { return &fruitParser{fruit: state} }

func (f fruits) Detect(entry []byte) int {
	if bytes.HasPrefix(entry, []byte("#"+f.name)) {
		return 100
	}
	return 0
}

func (p *fruitParser) Parse(entry []byte, e *envelope.Envelope) error {
	if entry[0] == '#' {
		p.fruit = bytes.Clone(entry[1:])
		p.generation++
	}
	if !bytes.Contains(entry, p.fruit) || len(p.fruit) == 0 {
		e.SetText(entry)
		return errNoFruit
	}
	e.Message = envelope.Value{Kind: envelope.JSON, Bytes: []byte(`"fruit"`)}
	return nil
}

func (p *fruitParser) Generation() uint32 { return p.generation }
func (p *fruitParser) State() []byte      { return p.fruit }

func fruitAuto() autoFormat {
	o := textOptions()
	f, err := New("auto", o)
	if err != nil {
		panic(err)
	}
	a := f.(autoFormat)
	a.candidates = []candidate{{"apples", fruits{"apple"}}, {"pears", fruits{"pear"}}}
	return a
}

func feed(t testing.TB, p Parser, lines ...string) (messages []string) {
	t.Helper()
	for _, line := range lines {
		var e envelope.Envelope
		if err := p.Parse([]byte(line), &e); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		messages = append(messages, strings.Trim(string(e.Message.Bytes), `"`))
	}
	return messages
}

func chosen(p Parser) string {
	name, why := p.(Chooser).Chosen()
	return name + ": " + why
}

// TestAutoChooses chooses by the first entries, stays with what reads them, and
// goes on with it after a restart.
func TestAutoChooses(t *testing.T) {
	a := fruitAuto()
	p := a.NewParser(nil)
	if got := chosen(p); got != ": " {
		t.Errorf("chosen before the first entry: %s", got)
	}
	feed(t, p, "#apple")
	if got := chosen(p); got != "apples: recognised in 1 of the first 1 entries" {
		t.Error(got)
	}
	got := feed(t, p, "an apple", "2026-01-25 10:10:10 INFO hello", `{"message":"m","payload":{"application":"A","params":{}}}`)
	if got[0] != "fruit" || got[1] != "hello" {
		t.Errorf("%q", got)
	}
	p = a.NewParser(p.(Stateful).State())
	if got := feed(t, p, "an apple"); got[0] != "fruit" {
		t.Errorf("after a restart: %q", got)
	}
	for i := range 49 {
		feed(t, p, fmt.Sprint("apple ", i))
	}
	if got := chosen(p); got != "apples: recognised in 50 of the first 50 entries" {
		t.Error(got)
	}
	g := p.(Stateful).Generation()
	feed(t, p, "apple", "#pear", "plain")
	if got := chosen(p); !strings.HasPrefix(got, "apples") {
		t.Errorf("a firm choice changed: %s", got)
	}
	p = a.NewParser(p.(Stateful).State())
	if got := chosen(p); !strings.HasPrefix(got, "apples") || g == 0 {
		t.Errorf("after a restart: %s", got)
	}
}

// TestAutoChangesItsMind says so when later entries tell another format.
func TestAutoChangesItsMind(t *testing.T) {
	p := fruitAuto().NewParser(nil)
	feed(t, p, "#apple")
	last, changes := p.(Stateful).Generation(), 0
	for range 20 {
		feed(t, p, "2026-01-25 10:10:10 INFO hello")
		if g := p.(Stateful).Generation(); g != last {
			last = g
			changes++
		}
	}
	if got := chosen(p); !strings.HasPrefix(got, "text: a time or a level in") || !strings.HasSuffix(got, "where it had been taken for apples") || changes != 1 {
		t.Errorf("%s, %d changes", got, changes)
	}
}

func TestAutoFallsBack(t *testing.T) {
	for _, c := range []struct{ name, line, want string }{
		{"text", "2026-01-25 10:10:10 INFO hello", "text: a time or a level in 50 of the first 50 entries"},
		{"raw", "hello", "raw: no time and no level in 50 of the first 50 entries"},
	} {
		p := fruitAuto().NewParser(nil)
		for range 60 {
			feed(t, p, c.line)
		}
		if got := chosen(p); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if g := p.(Stateful).Generation(); g != 2 {
			t.Errorf("%s: generation %d, want 2: chosen, and firm", c.name, g)
		}
	}
	for _, state := range []string{"", "x", "{}", `{"format":"gone","firm":true}`, `{"format":"apples","inner":"!"}`} {
		feed(t, fruitAuto().NewParser([]byte(state)), "2026-01-25 10:10:10 INFO hello")
	}
}
