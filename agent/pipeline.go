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

	"shiplog/agent/checkpoint"
	"shiplog/agent/config"
	"shiplog/agent/envelope"
	"shiplog/agent/parse"
	"shiplog/agent/transform"
	"shiplog/shipper"
	"shiplog/tailer"
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
	scratch sync.Pool // of *scratch
	pool    sync.Pool // of *shipment

	mu    sync.Mutex
	files map[tailer.FileID]*fileWork
}

// scratch is memory in which the blocks of any files are encoded, one at a time.
type scratch struct {
	envelope envelope.Envelope
	draft
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
	w, _ := p.scratch.Get().(*scratch)
	if w == nil {
		w = &scratch{}
	}
	s.draft = w.draft
	e, before := &w.envelope, b.Start
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
	f.tellFormat()
	r.tally.encoded(s, cmp.Or(f.format.Load().format, r.encoder.name))
	p.fill(s, r)
	e.Reset()
	w.draft, s.draft = s.draft.emptied(), draft{}
	p.scratch.Put(w)
	return s
}

// encodeEntry adds the entry to what is shipped, or says why it is left out. One
// that an earlier run has sent is neither: it is shipped, and not again.
func (p *pipeline) encodeEntry(s *shipment, r *route, f *fileWork, i int, e *envelope.Envelope) transform.Action {
	entry := &s.block.Entries[i]
	sp, odd := span{entry: int32(i), value: len(s.values)}, len(s.oddities)
	if err := f.Encode(entry.Data, e); err != nil {
		s.unusual(&sp).failed = err.Error()
	}
	if result := f.Transform(e, entry.Start); result.Failed != "" || result.Action != transform.Ship {
		switch result.Action {
		case transform.Ship:
			s.unusual(&sp).untransformed = result.Failed
		case transform.Refused:
			s.unusual(&sp).refused = result.Failed
			e.Reset() // nothing of it goes into a value or a key
		default:
			s.oddities = s.oddities[:odd]
			return result.Action
		}
	}
	if e.Raw != nil {
		sp.whole = e.Raw
	} else {
		s.values = e.AppendJSON(s.values)
	}
	if f.sent != nil && isSent(f.sent, entry.Start, entry.End, entry.Data, sp.bytes(s.values)) {
		s.values, s.oddities = s.values[:sp.value], s.oddities[:odd]
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
	if r.to == nil || sp.odd > 0 && s.oddities[sp.odd-1].refused != "" {
		return
	}
	f.name, _ = r.to.Append(f.name[:0], e, &f.from, absentField)
	f.name = legalTopic(f.name)
	if sp.topic = int32(s.topic(f.name)); sp.topic > 0 {
		return
	}
	topic, ok := r.topics.resolve(f.name)
	if topic == "" {
		s.unusual(sp).homeless = fmt.Sprintf("topic %q would be one more than kafka.max_topics (%d), or is the dead letter topic", f.name, r.topics.max)
		return
	}
	if !ok { // the fallback topic may be among them
		if sp.topic = int32(s.topic([]byte(topic))); sp.topic > 0 {
			return
		}
	}
	s.topics = append(s.topics, topic)
	sp.topic = int32(len(s.topics) - 1)
}
