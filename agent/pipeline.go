package agent

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"shiplog/agent/checkpoint"
	"shiplog/agent/config"
	"shiplog/agent/envelope"
	"shiplog/agent/parse"
	"shiplog/agent/transform"
	"shiplog/shipper"
	"shiplog/tailer"
)

// The headers of a record, and what they say.
const (
	headerHost       = "host"            // the host that shiplog runs on
	headerPath       = "path"            // the path that the application writes to
	headerSource     = "src"             // our id of the file's content, 16 hexadecimal digits
	headerOffset     = "off"             // where the entry begins in the file, in raw bytes, decimal
	headerLength     = "len"             // how many raw bytes it takes, newline included
	headerParseError = "parse_error"     // why the line was shipped whole
	headerTruncated  = "truncated"       // "1": cut to max_line_bytes
	headerPartial    = "partial"         // "1": no newline ended it
	headerSplit      = "split"           // "1": a limit ended it, and the next goes on
	headerTransform  = "transform_error" // which transformation could not be carried out, and why
	// The range of an entry that began in the file before: its src, off and len.
	headerCarrySource = "carry_src"
	headerCarryOffset = "carry_off"
	headerCarryLength = "carry_len"
)

const (
	usualHeaders = 5 // that each record has
	carryHeaders = 3 // more of an entry that began in the file before
)

// route is what happens to the entries of one input. It does not change: a
// reload that changes the input makes another. The tag of the tailer's input
// leads to it.
type route struct {
	encoder *Encoder
	topic   string              // with a template: for what is not sent
	to      *transform.Template // of the topic; nil: there is one only
	topics  *topicSet           // with a template
	key     keyKind
	times   *eventTimes         // nil: records have the time of their sending
	keyOf   *transform.Template // with keyTemplate
	name    []byte              // of the input, for templates
	tally   *tally

	// What it was made of.
	input     *config.Input
	topicText string
	keyText   string
	common    []config.Transform // for all inputs
	secrets   [sha256.Size]byte  // of the key files of the transformations
}

// routeOf returns what happens to the entries of a block.
func routeOf(b *tailer.Block) *route { return b.Input.Tag.(*route) }

type keyKind int

const (
	keyNone keyKind = iota
	keyFile
	keyHost
	keyApplication
	keyTemplate
)

// pipeline turns blocks of entries into batches of records: parse, encode,
// produce. It runs on the goroutines that read, several at a time.
type pipeline struct {
	host     []byte
	producer *shipper.Producer
	ledger   *ledger
	skips    *checkpoint.Skips
	ready    chan struct{} // closed when blocks may be handed over; nil: from the beginning
	nudge    func()        // there is room again
	// acknowledged is told how long a block took from its reading to its
	// acknowledgement; nil: nobody is.
	acknowledged func(time.Duration)
	saveSoon     func() // asks for a save of the checkpoint
	// ends asks Kafka where topics end; nil: nobody is asked.
	ends    func(context.Context, []string) (shipper.Offsets, error)
	scratch sync.Pool // of *envelope.Envelope
	pool    sync.Pool // of *shipment

	mu    sync.Mutex
	files map[tailer.FileID]*fileWork
}

// fileWork is what is kept for a file from block to block.
type fileWork struct {
	*FileEncoder
	route *route // that made it
	// parked is what its parser has to know as long as no input asks for the
	// file; then it has no encoder.
	parked []byte
	sent   []checkpoint.Sent      // by earlier runs, and not passed yet; in order
	format atomic.Pointer[choice] // as after the last block
	name   []byte                 // of the topic, as a template makes it; scratch
	from   transform.Origin       // for templates
}

// choice is how a file is read, where its format was chosen.
type choice struct{ format, reason string }

// tellFormat notes for others what the file's parser has chosen.
func (f *fileWork) tellFormat() {
	format, reason := f.Chosen()
	if c := f.format.Load(); c == nil || c.format != format || c.reason != reason {
		f.format.Store(&choice{format, reason})
	}
}

// file returns what is kept for the block's file. The blocks of one file come one
// after the other, so that one goroutine uses it at a time.
func (p *pipeline) file(b *tailer.Block, r *route) *fileWork {
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.files[b.File]
	if f == nil {
		parser, sent := p.ledger.resumed(b.File)
		f = &fileWork{FileEncoder: r.encoder.File(uint64(b.File), parser), route: r, sent: sent}
		if p.files == nil {
			p.files = map[tailer.FileID]*fileWork{}
		}
		p.files[b.File] = f
	}
	if f.route != r { // what the parser has learnt of the file is true for the new one as well
		if f.FileEncoder != nil {
			f.parked = f.state()
		}
		f.FileEncoder, f.route, f.parked = r.encoder.File(uint64(b.File), f.parked), r, nil
	}
	return f
}

// format returns the format that was chosen for a file, which r reads, and why;
// of a file of which nothing was read in this run, what an earlier one has chosen.
// Both are "" where nothing is chosen.
func (p *pipeline) format(id tailer.FileID, r *route) (format, reason string) {
	p.mu.Lock()
	f := p.files[id]
	p.mu.Unlock()
	if f != nil {
		if c := f.format.Load(); c != nil {
			return c.format, c.reason
		}
	}
	state, _ := p.ledger.resumed(id)
	if state == nil {
		return "", ""
	}
	return r.encoder.File(uint64(id), state).Chosen()
}

// park keeps of a file that no input asks for only what it takes to go on.
func (p *pipeline) park(id tailer.FileID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.files[id]; f != nil && f.FileEncoder != nil {
		f.FileEncoder, f.route, f.parked = nil, nil, f.state()
	}
}

// forget drops what is kept for a file that cannot come back.
func (p *pipeline) forget(id tailer.FileID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.files, id)
}

var headerOne = []byte("1") //nolint:gochecknoglobals // a constant that Go cannot express

// foundWait is how long the first block of a file waits at most for the file to
// be in the checkpoint.
const foundWait = 5 * time.Second

// handle takes a block over. It fails only when ctx ends first.
func (p *pipeline) handle(ctx context.Context, b *tailer.Block) error {
	if p.ready != nil {
		select {
		case <-p.ready:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if len(b.Entries) == 0 { // blank lines, or NUL bytes
		p.ledger.handed(b)
		p.ledger.settled(b, b.End, nil)
		b.Release()
		return nil
	}
	s := p.encode(b)
	topics := s.topics
	if routeOf(b).to != nil {
		topics = topics[1:]
		p.meet(ctx, topics)
	}
	saved := p.ledger.handed(b, topics...)
	routeOf(b).tally.read(b)
	var err error
	if !saved {
		if p.saveSoon != nil {
			p.saveSoon()
		}
		err = p.ledger.awaitSaved(ctx, b.File, foundWait, topics...)
	}
	if err == nil {
		err = p.producer.Produce(ctx, &s.batch)
	}
	if err != nil {
		s.block = nil // not taken over: it stays the tailer's
		p.recycle(s)
		return err
	}
	return nil
}

// meet makes topics known to the ledger that it does not know, if it can be learnt
// soon with where they end now.
func (p *pipeline) meet(ctx context.Context, topics []string) {
	fresh := p.ledger.unbegun(topics)
	if len(fresh) == 0 {
		return
	}
	ends := shipper.Offsets{}
	if p.ends != nil {
		if known, err := p.ends(ctx, fresh); err == nil { // else all that comes there from now on is ours to look at
			ends = known
		}
	}
	p.ledger.meet(fresh, ends)
}

// encode makes the records of a block. Their values lie in one piece of memory
// that belongs to the shipment, or in the block's own where an entry is an
// envelope already.
func (p *pipeline) encode(b *tailer.Block) *shipment {
	s, _ := p.pool.Get().(*shipment)
	if s == nil {
		s = &shipment{}
	}
	s.block = b
	r := routeOf(b)
	f := p.file(b, r)
	if f.sent != nil {
		if f.sent = sentFrom(f.sent, b.Start); len(f.sent) == 0 {
			f.sent = nil
		}
	}
	s.source = append(s.source[:0], b.File.String()...)
	s.path = r.encoder.redact(s.path[:0], b.Origin)
	s.topics = append(s.topics[:0], r.topic)
	s.now = time.Now()
	f.Begin(s.now)
	e, _ := p.scratch.Get().(*envelope.Envelope)
	if e == nil {
		e = &envelope.Envelope{}
	}
	before := b.Start
	for i := range b.Entries {
		entry := &b.Entries[i]
		if why := p.encodeEntry(s, r, f, i, e); why != transform.Ship {
			s.leave(entry, before, why)
		}
		if state, ok := f.changed(); ok {
			s.states = append(s.states, parserState{entry.End, state})
		}
		before = entry.End
	}
	e.Reset()
	p.scratch.Put(e)
	f.tellFormat()
	r.tally.encoded(s, cmp.Or(f.format.Load().format, r.encoder.name))
	p.fill(s, r)
	return s
}

// encodeEntry adds the entry to what is shipped, or says why it is left out. One
// that an earlier run has sent is neither: it is shipped, and not again.
func (p *pipeline) encodeEntry(s *shipment, r *route, f *fileWork, i int, e *envelope.Envelope) transform.Action {
	entry := &s.block.Entries[i]
	sp := span{entry: i, value: len(s.values)}
	if err := f.Encode(entry.Data, e); err != nil {
		sp.failed = err.Error()
	}
	result := f.Transform(e, entry.Start)
	switch result.Action {
	case transform.Ship:
		sp.untransformed = result.Failed
	case transform.Refused:
		sp.refused = result.Failed
		e.Reset() // nothing of it goes into a value or a key
	default:
		return result.Action
	}
	if e.Raw != nil {
		sp.whole = e.Raw
	} else {
		s.values = e.AppendJSON(s.values)
	}
	if f.sent != nil && isSent(f.sent, entry.Start, entry.End, entry.Data, sp.bytes(s.values)) {
		s.values = s.values[:sp.value]
		s.known++
		return transform.Ship
	}
	sp.offset = len(s.values)
	s.values = strconv.AppendInt(s.values, entry.Start, 10)
	sp.length = len(s.values)
	s.values = strconv.AppendInt(s.values, entry.End-entry.Start, 10)
	sp.end = len(s.values)
	if r.times != nil {
		if sp.at = r.times.of(e, s.now); sp.at == 0 {
			s.undated++
		}
	}
	switch {
	case r.to != nil || r.keyOf != nil:
		p.template(s, r, f, e, &sp)
	case r.key == keyApplication:
		s.values = e.AppendApplication(s.values)
	}
	sp.key = len(s.values) - sp.end
	s.spans = append(s.spans, sp)
	return transform.Ship
}

// template makes the topic and the key of an entry by the route's templates. The
// key is appended to values. Of what a redaction keeps back nothing is used.
func (p *pipeline) template(s *shipment, r *route, f *fileWork, e *envelope.Envelope, sp *span) {
	if e.Raw != nil && (r.to != nil && r.to.Unfolded() || r.keyOf != nil && r.keyOf.Unfolded()) {
		parse.Unfold(e) // the value is written already
	}
	f.from = transform.Origin{Host: p.host, Path: s.path, Input: r.name}
	if r.key == keyApplication {
		s.values = e.AppendApplication(s.values)
	} else if r.keyOf != nil {
		key, found := r.keyOf.Append(s.values, e, &f.from, "")
		if found {
			s.values = key
		}
	}
	if r.to == nil || sp.refused != "" {
		return
	}
	f.name, _ = r.to.Append(f.name[:0], e, &f.from, absentField)
	f.name = legalTopic(f.name)
	if sp.topic = s.topic(f.name); sp.topic > 0 {
		return
	}
	topic, ok := r.topics.resolve(f.name)
	if topic == "" {
		sp.homeless = fmt.Sprintf("topic %q would be one more than kafka.max_topics (%d), or is the dead letter topic", f.name, r.topics.max)
		return
	}
	if !ok { // the fallback topic may be among them
		if sp.topic = s.topic([]byte(topic)); sp.topic > 0 {
			return
		}
	}
	s.topics = append(s.topics, topic)
	sp.topic = len(s.topics) - 1
}

// fill makes the records and their headers once it is known how much memory
// they take, so that nothing moves any more.
func (p *pipeline) fill(s *shipment, r *route) {
	b := s.block
	n, extra := len(s.spans), 0
	for i := range s.spans {
		extra += s.spans[i].extraHeaders(&b.Entries[s.spans[i].entry])
	}
	if cap(s.batch.Records) < n {
		s.batch.Records = make([]shipper.Record, 0, n+n/4)
	}
	if want := n*usualHeaders + extra; cap(s.headers) < want {
		s.headers = make([]kgo.RecordHeader, 0, want+want/4)
	}
	records, headers := s.batch.Records[:n], s.headers[:0]
	now := time.Now()
	for i := range records {
		sp, rec := &s.spans[i], &records[i]
		entry := &b.Entries[sp.entry]
		first := len(headers)
		headers = append(headers,
			kgo.RecordHeader{Key: headerHost, Value: p.host},
			kgo.RecordHeader{Key: headerPath, Value: s.path},
			kgo.RecordHeader{Key: headerSource, Value: s.source},
			kgo.RecordHeader{Key: headerOffset, Value: s.values[sp.offset:sp.length:sp.length]},
			kgo.RecordHeader{Key: headerLength, Value: s.values[sp.length:sp.end:sp.end]})
		if sp.failed != "" {
			headers = append(headers, kgo.RecordHeader{Key: headerParseError, Value: []byte(sp.failed)})
		}
		if sp.untransformed != "" {
			headers = append(headers, kgo.RecordHeader{Key: headerTransform, Value: []byte(sp.untransformed)})
		}
		if entry.Flags&tailer.Truncated != 0 {
			headers = append(headers, kgo.RecordHeader{Key: headerTruncated, Value: headerOne})
		}
		if entry.Flags&tailer.Partial != 0 {
			headers = append(headers, kgo.RecordHeader{Key: headerPartial, Value: headerOne})
		}
		if entry.Flags&tailer.Split != 0 {
			headers = append(headers, kgo.RecordHeader{Key: headerSplit, Value: headerOne})
		}
		if c := entry.Carry; c != nil {
			headers = append(headers,
				kgo.RecordHeader{Key: headerCarrySource, Value: []byte(c.File.String())},
				kgo.RecordHeader{Key: headerCarryOffset, Value: strconv.AppendInt(nil, c.Start, 10)},
				kgo.RecordHeader{Key: headerCarryLength, Value: strconv.AppendInt(nil, c.End-c.Start, 10)})
		}
		value := sp.whole
		if value == nil {
			value = s.values[sp.value:sp.offset:sp.offset]
		}
		*rec = shipper.Record{Start: entry.Start, End: entry.End, Raw: entry.Data}
		rec.Value, rec.Headers, rec.Topic, rec.Timestamp = value, headers[first:len(headers):len(headers)], s.topics[sp.topic], now
		if sp.at != 0 {
			rec.Timestamp = time.UnixMilli(sp.at)
		}
		if sp.refused != "" {
			rec.Refuse = fmt.Errorf("a redaction failed, it may not be sent: %s", sp.refused)
		}
		if sp.homeless != "" {
			rec.Refuse = fmt.Errorf("%s: %w", sp.homeless, shipper.ErrNoTopic)
		}
		switch {
		case r.key == keyFile:
			rec.Key = s.path
		case r.key == keyHost:
			rec.Key = p.host
		case r.key == keyApplication, r.key == keyTemplate && sp.key > 0:
			rec.Key = s.values[sp.end : sp.end+sp.key : sp.end+sp.key]
		}
	}
	s.headers = headers
	s.batch.Records = records
	s.batch.Stream, s.batch.Source, s.batch.Path, s.batch.Tag = b.Stream, uint64(b.File), b.Origin, s
	s.batch.Bytes = b.Memory() + s.memory()
}

// keep bounds what one shipment may keep for the next.
const keep = 4 << 20

// recycle gives the shipment's memory back.
func (p *pipeline) recycle(s *shipment) {
	if s.block != nil {
		s.block.Release()
	}
	clear(s.spans)
	clear(s.left)
	clear(s.headers)
	clear(s.states)
	clear(s.topics)
	clear(s.batch.Records)
	big := s.memory() > keep
	*s = shipment{values: s.values[:0], spans: s.spans[:0], headers: s.headers[:0], states: s.states[:0], left: s.left[:0], source: s.source, path: s.path, topics: s.topics[:0], landings: s.landings,
		batch: shipper.Batch{Records: s.batch.Records[:0]}}
	if !big {
		p.pool.Put(s)
	}
}
