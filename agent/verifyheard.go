package agent

import (
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The headers by which an entry that spans two files names its first part, in
// the file before.
const ()

const (
	// maxPieces bounds what is remembered of the topics: the runs of bytes of all
	// sources, 24 bytes each.
	maxPieces = 8 << 20
	// sourcePieces is what a source costs beside its runs, in their size.
	sourcePieces = 128
	// keptLate bounds the order violations that are told one by one, of a source
	// in a partition.
	keptLate = 20
	// keptSamples is between how many, and half as many, records of a source in a
	// partition are compared with the file.
	keptSamples = 16
)

// partitionKey names a partition.
type partitionKey struct {
	topic     string
	partition int32
}

// place is where a record lies.
type place struct {
	partitionKey
	offset int64
}

// heard is what came of one source in one partition, in order of arrival.
type heard struct {
	path, host string
	cover      coverage
	records    int64
	high       int64  // the highest end that came
	late       []late // ranges that came behind later ones of their file
	lateCount  int64
	samples    []sample // evenly spread over the records
	stride     int64    // of the samples
	last       sample   // the last record
	lastRecord *kgo.Record
}

// late is a range that came for the first time behind later bytes of its file.
type late struct {
	byteRange
	at place
}

// sample is a record that is compared with the bytes that it stands for.
type sample struct {
	byteRange
	value valueMark
	at    place
}

// valueMark is a fingerprint of a record's value: of all, of its message alone,
// and how the message begins.
type valueMark struct {
	whole, message uint64
	text           string
}

// keptMessage bounds what is kept of a message, in bytes.
const keptMessage = 64

func markValue(value []byte) valueMark {
	var e struct {
		Message json.RawMessage `json:"message"`
	}
	m := valueMark{whole: xxhash.Sum64(value)}
	var text string
	if json.Unmarshal(value, &e) == nil && json.Unmarshal(e.Message, &text) == nil {
		m.message = xxhash.Sum64(e.Message)
		m.text = strings.Clone(text[:min(len(text), keptMessage)])
	}
	return m
}

// hearing gathers what the topics say of each source.
type hearing struct {
	// wanted tells whether a source is of interest, by its id and host.
	wanted func(id uint64, host []byte) bool
	// over is called when it takes more memory than it may.
	over func()

	mu     sync.Mutex // guards parts
	parts  map[partitionKey]*partHearing
	pieces atomic.Int64
}

// partHearing is what one partition says. One goroutine at a time has it.
type partHearing struct {
	key       partitionKey
	sources   map[uint64]*heard
	records   int64
	foreign   int64 // records without the headers of shiplog
	malformed int64 // with headers that make no sense
	touched   []*heard
}

var errTooManyPieces = errors.New("what the topics say takes more memory than verify may use: name fewer files, or limit what is read by --host, --topic or --since")

// take notes records of one partition, in order.
func (h *hearing) take(topic string, partition int32, records []*kgo.Record) {
	key := partitionKey{topic, partition}
	h.mu.Lock()
	if h.parts == nil {
		h.parts = map[partitionKey]*partHearing{}
	}
	p := h.parts[key]
	if p == nil {
		p = &partHearing{key: key, sources: map[uint64]*heard{}}
		h.parts[key] = p
	}
	h.mu.Unlock()
	grown := 0
	for _, r := range records {
		grown += p.record(h, r)
	}
	for _, s := range p.touched {
		r := s.lastRecord
		in := readHeaders(r)
		s.last = sample{in.own, markValue(r.Value), place{key, r.Offset}}
		s.lastRecord = nil
	}
	p.touched = p.touched[:0]
	if h.pieces.Add(int64(grown)) > maxPieces {
		h.over()
	}
}

// record notes one record and returns the pieces of memory that it took.
func (p *partHearing) record(h *hearing, r *kgo.Record) (grown int) {
	p.records++
	in := readHeaders(r)
	switch {
	case !in.ours:
		p.foreign++
		return 0
	case !in.valid:
		p.malformed++
		return 0
	}
	if in.carried && h.wanted(in.carrySource, in.host) {
		s, n := p.source(in.carrySource, &in)
		grown += n + s.arrived(in.carry, place{p.key, r.Offset})
	}
	if !h.wanted(in.source, in.host) {
		return grown
	}
	s, n := p.source(in.source, &in)
	grown += n + s.arrived(in.own, place{p.key, r.Offset})
	if !in.carried { // its value is made of more than the range
		s.sample(p, r, in.own)
	}
	s.records++
	return grown
}

func (p *partHearing) source(id uint64, in *headers) (s *heard, grown int) {
	if s = p.sources[id]; s == nil {
		s = &heard{path: string(in.path), host: string(in.host), stride: 1}
		p.sources[id] = s
		grown = sourcePieces
	}
	return s, grown
}

// arrived counts a range and returns by how many runs the memory grew.
func (s *heard) arrived(in byteRange, at place) (grown int) {
	before := len(s.cover.runs)
	fresh := s.cover.add(in.start, in.end)
	if fresh > 0 && in.start < s.high {
		if s.lateCount++; len(s.late) < keptLate {
			s.late = append(s.late, late{in, at})
		}
	}
	s.high = max(s.high, in.end)
	return len(s.cover.runs) - before
}

// sample keeps a mark of every so many records, of fewer the more there are.
func (s *heard) sample(p *partHearing, r *kgo.Record, in byteRange) {
	if s.records%s.stride == 0 {
		if len(s.samples) == keptSamples {
			for i := range keptSamples / 2 {
				s.samples[i] = s.samples[2*i]
			}
			s.samples = s.samples[:keptSamples/2]
			s.stride *= 2
		}
		if s.records%s.stride == 0 {
			s.samples = append(s.samples, sample{in, markValue(r.Value), place{p.key, r.Offset}})
		}
	}
	if s.lastRecord == nil {
		p.touched = append(p.touched, s)
	}
	s.lastRecord = r
}

// headers are those of a record of shiplog.
type headers struct {
	ours, valid bool
	host, path  []byte
	source      uint64
	own         byteRange
	carried     bool
	carrySource uint64
	carry       byteRange
}

// readHeaders reads the headers of a record. The slices are the record's.
func readHeaders(r *kgo.Record) headers {
	var in headers
	var off, length, carryOff, carryLength int64 = -1, -1, -1, -1
	source := false
	for i := range r.Headers {
		v := r.Headers[i].Value
		switch r.Headers[i].Key {
		case headerHost:
			in.host = v
		case headerPath:
			in.path = v
		case headerSource:
			in.source, source = parseHex(v)
			in.ours = true
		case headerOffset:
			off = parseDecimal(v)
		case headerLength:
			length = parseDecimal(v)
		case headerCarrySource:
			in.carrySource, in.carried = parseHex(v)
		case headerCarryOffset:
			carryOff = parseDecimal(v)
		case headerCarryLength:
			carryLength = parseDecimal(v)
		}
	}
	in.own, in.carry = byteRange{off, off + length}, byteRange{carryOff, carryOff + carryLength}
	in.valid = source && possible(off, length) && (!in.carried || possible(carryOff, carryLength))
	return in
}

// maxRange is beyond any file, and far from where sums overflow.
const maxRange = 1 << 60

func possible(off, length int64) bool {
	return off >= 0 && length > 0 && off < maxRange && length < maxRange
}

// parseHex reads the 16 hexadecimal digits of a source.
func parseHex(b []byte) (v uint64, ok bool) {
	if len(b) != 16 {
		return 0, false
	}
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}

// parseDecimal reads a number, or returns -1.
func parseDecimal(b []byte) (v int64) {
	if len(b) == 0 || len(b) > 18 {
		return -1
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return -1
		}
		v = 10*v + int64(c-'0')
	}
	return v
}

// source is all that came of one source.
type source struct {
	id         uint64
	path, host string
	cover      coverage
	records    int64
	samples    []sample // sorted by start
	parts      map[partitionKey]*heard
}

// sources joins what the partitions say.
func (h *hearing) sources() map[uint64]*source {
	out := map[uint64]*source{}
	for key, p := range h.parts {
		for id, s := range p.sources {
			all := out[id]
			if all == nil {
				all = &source{id: id, path: s.path, host: s.host, parts: map[partitionKey]*heard{}}
				out[id] = all
			}
			if len(all.parts) == 0 {
				all.cover.runs = s.cover.runs // nearly always the only one: not to be held twice
			} else {
				all.cover.merge(&s.cover)
			}
			all.records += s.records
			all.parts[key] = s
			all.samples = append(all.samples, s.samples...)
			if s.last.end > 0 {
				all.samples = append(all.samples, s.last)
			}
		}
	}
	for _, s := range out {
		sortSamples(s)
	}
	return out
}
