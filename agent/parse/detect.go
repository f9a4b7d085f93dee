package parse

import (
	"encoding/json"
	"fmt"
	"time"

	"shiplog/agent/envelope"
)

// Detector is a Format that knows its entries when it sees them.
type Detector interface {
	Format
	// Detect returns how surely an entry, as it stands in a file, is of this
	// format: from 0, it is not, to 100. It is cheap and allocates nothing.
	Detect(entry []byte) int
}

// Chooser is a Parser that chooses how to read its file.
type Chooser interface {
	Parser
	// Chosen returns the name of the format that was chosen, and why. Before
	// the first entry both are "". The goroutine that parses may call it.
	Chosen() (format, reason string)
}

// Clocked is a Parser for which the time matters.
type Clocked interface {
	Parser
	// Begin tells the time, once for the entries that follow.
	Begin(now time.Time)
}

const (
	sampleEntries = 50 // after which the choice is firm
	threshold     = 60 // a format is chosen if it is that sure, in the mean
	firstSure     = 70 // or that, as long as only few entries were seen
	fewEntries    = 5
	readWell      = 75 // what reading an entry without fault says about the format that was chosen
)

// candidate is a format that auto may choose.
type candidate struct {
	name string
	Detector
}

// autoFormat is the format auto: it chooses by the first entries of a file.
type autoFormat struct {
	o          *settings
	candidates []candidate
}

// newAuto returns the format auto. It chooses among all formats that can be
// opened with these options and know their entries. What a container's log
// carries is no container's log again.
func newAuto(o *settings) (Format, error) {
	a := autoFormat{o: o}
	inside := o.Options
	inside.inside = true
	for _, name := range Formats() {
		container := name == "docker" || name == "cri"
		if name == "auto" || name == "text" || name == "raw" || container && o.inside {
			continue
		}
		f, err := New(name, inside)
		if err != nil {
			continue // it needs what is not configured
		}
		if d, ok := f.(Detector); ok {
			a.candidates = append(a.candidates, candidate{name, d})
		}
	}
	return a, nil
}

// autoState is what a restart needs to know.
type autoState struct {
	Format string `json:"format"`
	Reason string `json:"reason"`
	Firm   bool   `json:"firm,omitempty"`
	Braces bool   `json:"braces,omitempty"`
	Inner  []byte `json:"inner,omitempty"` // the state of the parser of that format
	Text   []byte `json:"text,omitempty"`  // the state of the parser of format text
	Head   []byte `json:"head,omitempty"`  // the first line, while it may be a header of csv
}

// NewParser returns a parser for one file.
func (a autoFormat) NewParser(state []byte) Parser {
	var s autoState
	if json.Unmarshal(state, &s) != nil {
		s = autoState{}
	}
	p := &autoParser{candidates: a.candidates, braces: braces{a.o}, text: newTextParser(&a.o.Options, s.Text)}
	p.csv = p.candidate("csv")
	if s.Format == "" {
		return p
	}
	p.later = true
	if len(s.Head) > 0 && !s.Firm {
		p.guess.first(a.o, s.Head)
	}
	p.name, p.reason, p.firm, p.takesBraces = s.Format, s.Reason, s.Firm, s.Braces
	p.open(p.candidate(s.Format), s.Inner)
	return p
}

// autoParser is auto for one file. Its state is what it chose, and the states of
// the parsers that it uses.
type autoParser struct {
	candidates []candidate
	braces     braces      // envelopes and JSON
	text       *textParser // what nothing else reads
	inner      Parser      // of the format that was chosen; nil: one of those two
	stateful   Stateful    // inner, where it keeps a state
	chosen     int         // its candidate, -1: none
	now        time.Time

	name, reason string
	before       string // what it had been taken for
	firm         bool
	takesBraces  bool // inner reads entries that begin with a brace

	csv   int      // the candidate csv, -1 where there is none
	guess csvGuess // whether it is csv
	later bool     // an earlier run has seen the file's first entry

	scores  []int
	fits    []int
	entries int
	told    int // of them text with a time or a level

	generation uint32
}

// candidate returns the index of a candidate, -1 if there is none.
func (p *autoParser) candidate(name string) int {
	for i := range p.candidates {
		if p.candidates[i].name == name {
			return i
		}
	}
	return -1
}

// open makes a candidate's parser the one that is used.
func (p *autoParser) open(i int, state []byte) {
	if p.stateful != nil {
		p.generation += p.stateful.Generation() // so that the sum never goes back
	}
	p.inner, p.stateful, p.chosen = nil, nil, i
	if i < 0 || p.candidates[i].name == "envelope" || p.candidates[i].name == "json" {
		return
	}
	p.inner = p.candidates[i].NewParser(state)
	if c, ok := p.inner.(*csvHeader); ok {
		c.exact = true // what has other fields is no csv, but text
	}
	p.stateful, _ = p.inner.(Stateful)
	p.begin()
}

// Begin tells the time.
func (p *autoParser) Begin(now time.Time) {
	p.now = now
	p.text.Begin(now)
	p.begin()
}

func (p *autoParser) begin() {
	if c, ok := p.inner.(Clocked); ok && !p.now.IsZero() {
		c.Begin(p.now)
	}
}

// Chosen returns the format that was chosen, and why.
func (p *autoParser) Chosen() (format, reason string) {
	reason = p.reason
	if p.scores != nil { // else it is firm, or is as an earlier run said
		reason = p.because()
	}
	if c, ok := p.inner.(Chooser); ok {
		if _, within := c.Chosen(); within != "" {
			reason += "; " + within
		}
	}
	return p.name, reason
}

// Generation changes when another format is chosen, when the choice becomes
// firm, and with the states of the parsers that are used.
func (p *autoParser) Generation() uint32 {
	g := p.generation + p.text.Generation()
	if p.stateful != nil {
		g += p.stateful.Generation()
	}
	return g
}

// State returns the choice and the states of the parsers that are used.
func (p *autoParser) State() []byte {
	s := autoState{Format: p.name, Reason: p.reason, Firm: p.firm, Braces: p.takesBraces}
	if p.text.Generation() > 0 || p.text.times.learned != orderUnknown {
		s.Text = p.text.State()
	}
	if p.stateful != nil {
		s.Inner = p.stateful.State()
	}
	if !p.firm && p.chosen != p.csv {
		s.Head = p.guess.head
	}
	out, err := json.Marshal(s)
	if err != nil {
		return nil // texts and bytes can always be written
	}
	return out
}

// Parse reads an entry by the format that was chosen. What does not fit is an
// envelope, a JSON object or text.
func (p *autoParser) Parse(entry []byte, e *envelope.Envelope) error {
	if p.firm {
		if len(entry) > 0 && entry[0] == '{' && !p.takesBraces {
			return p.braces.Parse(entry, e)
		}
		_, err := p.parse(entry, e)
		return err
	}
	p.weigh(entry)
	told, err := p.parse(entry, e)
	if told {
		p.told++
	}
	p.decide()
	return err
}

// parse reads an entry. told says that it was text with a time or a level.
func (p *autoParser) parse(entry []byte, e *envelope.Envelope) (told bool, err error) {
	trimmed := trim(withoutBOM(entry))
	brace := len(trimmed) > 0 && trimmed[0] == '{'
	if p.inner != nil && (!brace || p.takesBraces) {
		if p.inner.Parse(entry, e) == nil {
			if !p.firm && p.chosen != p.csv && p.candidates[p.chosen].Detect(entry) < readWell {
				p.credit(entry)
			}
			return false, nil
		}
		e.Reset()
	}
	if brace {
		return false, p.braces.Parse(entry, e)
	}
	return p.text.read(withoutBOM(entry), e), nil
}

// credit counts an entry for the format that was chosen, which read it without
// fault: the lines of some formats show what they are by the first one only.
func (p *autoParser) credit(entry []byte) {
	d := p.candidates[p.chosen].Detect(entry)
	p.scores[p.chosen] += readWell - d
	if d < threshold {
		p.fits[p.chosen]++
	}
}

// weigh asks the candidates about an entry, and makes the best of them the one
// that is used.
func (p *autoParser) weigh(entry []byte) {
	if p.scores == nil {
		p.scores, p.fits = make([]int, len(p.candidates)), make([]int, len(p.candidates))
		if p.inner == nil {
			p.chosen = -1
		}
	}
	if p.entries++; p.entries == 1 && !p.later && p.csv >= 0 {
		p.guess.first(p.braces.o, entry)
	}
	best := -1
	for i := range p.candidates {
		d := p.detect(i, entry)
		p.scores[i] += d
		if d >= threshold {
			p.fits[i]++
		}
		if best < 0 || p.scores[i] > p.scores[best] {
			best = i
		}
	}
	sure := threshold
	if p.entries <= fewEntries {
		sure = firstSure
	}
	switch {
	case best < 0:
		return
	case p.chosen >= 0 && p.scores[p.chosen]+readWell > p.scores[best] && p.scores[p.chosen]+readWell >= threshold*p.entries:
		best = p.chosen // it may still read this entry well
	case p.scores[best] < sure*p.entries:
		best = -1
	}
	if best != p.chosen {
		p.takesBraces = false
		var state []byte
		if best == p.csv {
			state = p.guess.head
		}
		p.open(best, state)
	}
	if best >= 0 && p.inner != nil && !p.takesBraces {
		trimmed := trim(withoutBOM(entry))
		p.takesBraces = len(trimmed) > 0 && trimmed[0] == '{' && p.candidates[best].Detect(entry) >= threshold
	}
}

// detect asks a candidate about an entry. The first line below a header speaks
// for the header too.
func (p *autoParser) detect(i int, entry []byte) int {
	if i != p.csv {
		return p.candidates[i].Detect(entry)
	}
	proved := p.guess.proved
	d := p.guess.detect(entry)
	if p.entries > 1 && d > 0 && !proved && p.guess.proved {
		p.fits[i]++
		d += sureOfCSV
	}
	return d
}

// decide names what is used, and makes it firm after enough entries.
func (p *autoParser) decide() {
	name := "raw"
	switch {
	case p.chosen >= 0:
		name = p.candidates[p.chosen].name
	case 2*p.told >= p.entries:
		name = "text"
	}
	firm := p.entries >= sampleEntries
	if name == p.name && !firm {
		return
	}
	header := p.chosen >= 0 && p.chosen == p.csv && p.entries == 2 // alone it says nothing
	if p.name != "" && p.name != name && !header {
		p.before = p.name
	}
	p.name = name
	p.reason = p.because()
	p.generation++
	if firm {
		p.firm, p.scores, p.fits, p.guess = true, nil, nil, csvGuess{}
	}
}

// because says why the format is the one that is used.
func (p *autoParser) because() string {
	reason, count := "no time and no level", p.entries-p.told
	switch {
	case p.chosen >= 0:
		reason, count = "recognised", p.fits[p.chosen]
	case p.name == "text":
		reason, count = "a time or a level", p.told
	}
	reason = fmt.Sprintf("%s in %d of the first %d entries", reason, count, p.entries)
	if p.before != "" {
		reason += ", where it had been taken for " + p.before
	}
	return reason
}
