package parse

import (
	"bytes"
	"time"

	"shiplog/agent/envelope"
)

// The members of params that the format text fills, as JSON.
var pieceKeys = [pieceKinds]envelope.Value{ //nolint:gochecknoglobals // a constant table
	pieceTime: ours(`"timestamp"`), pieceLevel: ours(`"level"`), piecePriority: ours(`"pri"`), piecePrefix: ours(`"prefix"`), pieceHost: ours(`"hostname"`),
	pieceProcess: ours(`"process"`), piecePID: ours(`"pid"`), pieceThread: ours(`"thread"`), pieceLogger: ours(`"logger"`), pieceField: ours(`"fields"`),
}

// textSeverity is for the word that stood for the level, where it says more.
var textSeverity = ours(`"severity"`) //nolint:gochecknoglobals // a constant

// textFormat reads plain lines: see the package comment.
type textFormat struct{ o *Options }

// NewParser returns a parser for one file.
func (f textFormat) NewParser(state []byte) Parser { return newTextParser(f.o, state) }

// textParser is textFormat for one file. Its state is the order of the file's dates.
type textParser struct {
	times      timeReader
	last       lastSecond
	layout     layout
	stamp      []byte // the timestamp of the last entry, as JSON
	fields     []byte // the fields of the last entry, as JSON
	generation uint32
}

func newTextParser(o *Options, state []byte) *textParser {
	p := &textParser{times: newTimeReader(o)}
	if len(state) == 1 && learnedOrder(state[0]) <= orderYear && p.times.learned == orderUnknown {
		p.times.learned = learnedOrder(state[0])
	}
	return p
}

// Begin tells the time, for the entries that follow: a year or a date that is
// missing is filled in by it.
func (p *textParser) Begin(now time.Time) { p.times.begun = now }

// Generation changes when a date has shown the order of the file's dates.
func (p *textParser) Generation() uint32 { return p.generation }

// State returns the order of the file's dates.
func (p *textParser) State() []byte { return []byte{byte(p.times.learned)} }

// Parse reads an entry. It always succeeds: what has neither time nor level is
// the message.
func (p *textParser) Parse(entry []byte, e *envelope.Envelope) error {
	p.read(withoutBOM(entry), e)
	return nil
}

// read is Parse. It reports whether a time or a level was found.
func (p *textParser) read(entry []byte, e *envelope.Envelope) bool {
	l := &p.layout
	line := headLine(entry)
	var s sighting
	again := p.last.find(line, &s)
	timed := again || s.find(line)
	if timed {
		l.read(line, &s)
	} else {
		l.read(line, nil)
	}
	e.Message = envelope.Value{Kind: envelope.Text, Bytes: entry}
	if l.n == 0 {
		return false
	}
	if again && p.last.resolves(&s.parts) {
		p.stamp = p.last.stamp(p.stamp, &s.parts)
		e.Time = time.Unix(p.last.unix, int64(s.nanos))
	} else if timed && !p.setTime(line, &s.parts, e) {
		return false // 31 June
	}
	p.secondLine(entry)
	p.fill(e)
	if message := withoutBreak(entry[min(l.message, len(entry)):]); len(message) > 0 {
		e.Message.Bytes = message
	}
	return true
}

// setTime resolves the time of an entry.
func (p *textParser) setTime(line []byte, parts *parts, e *envelope.Envelope) bool {
	learned := p.times.learned
	t, ok := p.times.resolve(parts)
	if p.times.learned != learned {
		p.generation++
	}
	p.last.known = false
	if ok {
		p.stamp = append(t.AppendRFC3339(append(p.stamp[:0], '"')), '"')
		e.Time = t.Time()
		p.last.note(line, parts, &t)
	}
	return ok
}

// headLine returns the first line of an entry.
func headLine(entry []byte) []byte {
	if n := bytes.IndexByte(entry, '\n'); n >= 0 {
		entry = entry[:n]
	}
	if n := len(entry); n > 0 && entry[n-1] == '\r' {
		entry = entry[:n-1]
	}
	return entry
}

// withoutBreak takes the line break off with which a message begins whose first
// line has nothing but the time and what belongs to it.
func withoutBreak(message []byte) []byte {
	if len(message) > 0 && message[0] == '\r' {
		message = message[1:]
	}
	if len(message) > 0 && message[0] == '\n' {
		message = message[1:]
	}
	return message
}

// secondLine looks for the level where java.util.logging writes it.
func (p *textParser) secondLine(entry []byte) {
	l := &p.layout
	if l.level != noSeverity || len(l.b) == len(entry) {
		return
	}
	next := withoutBreak(entry[len(l.b):])
	colon := bytes.IndexByte(next[:min(len(next), longestSeverity+1)], ':')
	if colon > 0 {
		if v, exact := severityOf(next[:colon]); v != noSeverity && next[0] <= 'Z' {
			l.setLevel(v, exact)
			l.exact = true // the word stays in the message
		}
	}
}

// fill adds the pieces to params, in the order in which they stand in the line.
func (p *textParser) fill(e *envelope.Envelope) {
	l := &p.layout
	levelled := false
	for _, piece := range l.pieces[:l.n] {
		v := envelope.Value{Kind: envelope.Text, Bytes: l.text(piece)}
		switch piece.kind {
		case pieceTime:
			v = envelope.Value{Kind: envelope.JSON, Bytes: p.stamp}
		case pieceLevel:
			p.addLevel(e, v)
			levelled = true
			continue
		case piecePriority, piecePID:
			if len(v.Bytes) == 1 || v.Bytes[0] != '0' { // a number in JSON has no leading zero
				v.Kind = envelope.JSON
			}
		case pieceField:
			continue
		}
		e.Params = append(e.Params, envelope.Member{Key: pieceKeys[piece.kind], Value: v})
	}
	if l.level != noSeverity && !levelled {
		e.Params = append(e.Params, envelope.Member{Key: pieceKeys[pieceLevel], Value: levelValues[l.level]})
	}
	if l.has[pieceField] {
		p.addFields(e)
	}
}

func (p *textParser) addLevel(e *envelope.Envelope, word envelope.Value) {
	l := &p.layout
	e.Params = append(e.Params, envelope.Member{Key: pieceKeys[pieceLevel], Value: levelValues[l.level]})
	if !l.exact {
		e.Params = append(e.Params, envelope.Member{Key: textSeverity, Value: word})
	}
}

func (p *textParser) addFields(e *envelope.Envelope) {
	l := &p.layout
	p.fields = append(p.fields[:0], '[')
	for _, piece := range l.pieces[:l.n] {
		if piece.kind == pieceField {
			if len(p.fields) > 1 {
				p.fields = append(p.fields, ',')
			}
			p.fields = envelope.AppendString(p.fields, l.text(piece))
		}
	}
	p.fields = append(p.fields, ']')
	e.Params = append(e.Params, envelope.Member{Key: pieceKeys[pieceField], Value: envelope.Value{Kind: envelope.JSON, Bytes: p.fields}})
}
