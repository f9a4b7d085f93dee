package parse

import (
	"bytes"

	"shiplog/agent/envelope"
)

// place numbers the places that a field may have by its name.
type place uint8

const (
	atNoPlace place = iota
	atMessage
	atApplication
	atUsername
	atOperation
	atTimestamp // params.timestamp, and those below in params too
	atLevel
	atLogger
	atThread
	places
)

// Keys in params that are ours.
var ( //nolint:gochecknoglobals // constants that Go cannot express
	keyTimestamp = ours(`"timestamp"`)
	keyLevel     = ours(`"level"`)
	keyLogger    = ours(`"logger"`)
	keyThread    = ours(`"thread"`)
)

// ours returns a key or a value that this package writes, as JSON.
func ours(s string) envelope.Value { return envelope.Value{Kind: envelope.JSON, Bytes: []byte(s)} }

// exactPlace returns the place that has this very name, or this name in the
// Elastic Common Schema.
func exactPlace(name []byte) place {
	switch string(name) {
	case "message":
		return atMessage
	case "application", "service.name":
		return atApplication
	case "username", "user.name":
		return atUsername
	case "operation":
		return atOperation
	case "timestamp", "@timestamp":
		return atTimestamp
	case "level", "log.level":
		return atLevel
	case "logger", "log.logger":
		return atLogger
	case "thread", "process.thread.name":
		return atThread
	}
	return atNoPlace
}

// Ranks of the names for one place: the lowest that an entry has wins.
const (
	rankMapped   = 1  // the configuration says so
	rankExact    = 2  // it has the name of the place; the usual names follow
	rankService  = 7  // "service", which in some logs is how long one took
	rankTemplate = 50 // a message template, which the message is rendered from
)

// choice is the best field for a place so far.
type choice struct {
	index int32 // in Params
	rank  uint8 // 0: none
}

// fields collects the named fields of one entry in Params, and finds the places
// of those that have one. It lives on the stack of a call of Parse. A member of
// Params that has no key is a value for a place, or was taken out, and is
// dropped in the end.
type fields struct {
	e       *envelope.Envelope
	o       *settings
	renames map[string]target // nil: none
	escaped bool              // a key has an escape
	usual   bool              // the usual names have places, not only those of the places
	typed   bool              // values have types: a number is no text
	hints   hints
	keyless bool // there are members without a key
	name    int  // index+1 of a member "name" or "channel", which hints may make the logger
	best    [places]choice
	time    envelope.Value // the timestamp, as RFC 3339
}

// newFields returns the fields of an entry that is read into e.
func newFields(e *envelope.Envelope, o *settings, usual bool) fields {
	return fields{e: e, o: o, renames: o.renames, usual: usual}
}

// add takes a field. name is its key as text.
func (f *fields) add(name []byte, key, value envelope.Value) {
	m := f.grow()
	m.Key, m.Value = key, value
	f.find(name)
}

// grow returns a new member of Params.
func (f *fields) grow() *envelope.Member {
	n := len(f.e.Params)
	if n < cap(f.e.Params) {
		f.e.Params = f.e.Params[:n+1]
	} else {
		f.e.Params = append(f.e.Params, envelope.Member{})
	}
	return &f.e.Params[n]
}

// find offers the last member for the place that its name has.
func (f *fields) find(name []byte) {
	last := len(f.e.Params) - 1
	if f.renames != nil {
		if to, ok := f.renames[string(name)]; ok {
			f.e.Params[last].Key = to.key
			f.offer(to.place, rankMapped, last)
			return
		}
	}
	p, rank := atNoPlace, uint8(rankExact)
	if f.usual {
		p, rank = f.usualPlace(name)
	} else {
		p = exactPlace(name)
	}
	if p != atNoPlace {
		f.offer(p, rank, last)
	}
}

// named adds a field if it is there. The key is one of this package's.
func (f *fields) named(key envelope.Value, b []byte) {
	if len(b) > 0 {
		f.add(key.Bytes[1:len(key.Bytes)-1], key, bareValue(b))
	}
}

// param takes a field that goes to params whatever its name says.
func (f *fields) param(key, value envelope.Value) {
	f.e.Params = append(f.e.Params, envelope.Member{Key: key, Value: value})
}

// give takes a value for a place that is no field of its own.
func (f *fields) give(p place, rank uint8, v envelope.Value) {
	f.e.Params = append(f.e.Params, envelope.Member{Value: v})
	f.keyless = true
	f.offer(p, rank, len(f.e.Params)-1)
}

// offer takes a member of Params for a place, if it fits there and no better one
// is known.
func (f *fields) offer(p place, rank uint8, index int) {
	b := &f.best[p]
	if p == atNoPlace || b.rank != 0 && b.rank <= rank {
		return
	}
	v := f.e.Params[index].Value
	switch p {
	case atTimestamp:
		t, ok := f.timestamp(v)
		if !ok {
			return
		}
		f.time = t
	case atLevel, atLogger, atThread:
		if !scalar(v) {
			return
		}
	case atApplication:
		if !f.fits(v, rank) || rank == rankService && startsWithDigit(v) {
			return
		}
	default:
		if !f.fits(v, rank) {
			return
		}
	}
	*b = choice{int32(index), rank}
}

// fits reports whether v can be what is a text in an envelope: a text, or a
// number where the configuration says so or the format knows no types.
func (f *fields) fits(v envelope.Value, rank uint8) bool {
	return filledText(v) || (!f.typed || rank == rankMapped) && scalar(v)
}

// filledText reports whether v is a text, and not an empty one.
func filledText(v envelope.Value) bool {
	if v.Kind == envelope.JSON {
		return len(v.Bytes) > 2 && v.Bytes[0] == '"'
	}
	return v.Kind == envelope.Text && len(v.Bytes) > 0
}

func startsWithDigit(v envelope.Value) bool {
	text := bytes.TrimPrefix(v.Bytes, []byte(`"`))
	return len(text) > 0 && text[0]-'0' <= 9
}

// scalar reports whether v is a text that is not empty, a number, or a boolean.
func scalar(v envelope.Value) bool {
	if v.Kind != envelope.JSON || v.Bytes[0] == '"' {
		return filledText(v)
	}
	return v.Bytes[0] != '{' && v.Bytes[0] != '[' && v.Bytes[0] != 'n'
}

// done puts the fields where they belong. Without a message the entry itself is
// the message.
func (f *fields) done(entry []byte) {
	e := f.e
	e.Message = envelope.Value{Kind: envelope.Text, Bytes: entry}
	if b := f.best[atMessage]; b.rank >= rankTemplate {
		e.Message = e.Params[b.index].Value
		if !f.render(&e.Message) {
			f.take(atMessage, &e.Message)
		}
	} else {
		f.take(atMessage, &e.Message)
	}
	f.take(atApplication, &e.Application)
	f.take(atUsername, &e.Username)
	f.take(atOperation, &e.Operation)
	if f.best[atLogger].rank == 0 && f.name > 0 && f.hints.loggerByName() {
		f.offer(atLogger, rankExact, f.name-1)
	}
	if b := f.best[atTimestamp]; b.rank != 0 {
		e.Params[b.index] = envelope.Member{Key: keyTimestamp, Value: f.time}
	}
	if f.best[atLevel].rank != 0 {
		f.level(&f.best[atLevel])
	}
	if b := f.best[atLogger]; b.rank != 0 {
		e.Params[b.index].Key = keyLogger
	}
	if b := f.best[atThread]; b.rank != 0 {
		e.Params[b.index].Key = keyThread
	}
	f.unique()
	if f.keyless {
		f.compact()
	}
}

// take moves the member for a place out of Params.
func (f *fields) take(p place, to *envelope.Value) {
	b := f.best[p]
	if b.rank == 0 {
		return
	}
	m := &f.e.Params[b.index]
	*to = m.Value
	if m.Value.Kind == envelope.JSON {
		*to = asText(m.Value.Bytes)
	}
	*m = envelope.Member{}
	f.keyless = true
}

// level puts the level into params. Where the word says more than the level
// does, as NOTICE does, it stays beside it.
func (f *fields) level(b *choice) {
	m := &f.e.Params[b.index]
	word := m.Value.Bytes
	if m.Value.Kind == envelope.JSON && word[0] == '"' {
		word = word[1 : len(word)-1]
	}
	level, exact := levelOf(word)
	switch {
	case level.Kind == envelope.None:
		m.Key = keyLevel
	case exact:
		*m = envelope.Member{Key: keyLevel, Value: level}
	default:
		b.index = int32(len(f.e.Params))
		f.e.Params = append(f.e.Params, envelope.Member{Key: keyLevel, Value: level})
	}
}
