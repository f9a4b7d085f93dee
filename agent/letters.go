package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strconv"
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

// headerReplayed marks a record that was a dead letter before.
const headerReplayed = "replayed" // "1"

// letterReader turns dead letters into envelopes again, as the input that their
// file belongs to does now. One goroutine uses it at a time.
type letterReader struct {
	c       *config.Config
	routes  []*route
	raw     *Encoder // for a file that no input matches any more
	topics  *topicSet
	parsers map[uint64][]byte // what the parsers of files knew last, by file
	e       envelope.Envelope
}

func newLetterReader(c *config.Config) (*letterReader, error) {
	topics := newTopicSet(c, slog.New(slog.DiscardHandler))
	rs, err := routes(c, topics)
	if err != nil {
		return nil, err
	}
	raw, err := NewEncoder("raw", c.Application, parse.Options{})
	if err != nil {
		return nil, err
	}
	return &letterReader{c: c, routes: rs, raw: raw, topics: topics}, nil
}

// learn takes what the checkpoint keeps of the parsers: the columns of a file,
// say, which stand at its head and in no letter. And the topics it has sent to.
func (l *letterReader) learn() error {
	entries, err := checkpoint.ReadOnly(l.c.StateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	l.parsers = make(map[uint64][]byte)
	for _, e := range entries {
		l.parsers[e.ID] = e.Parser
	}
	if err != nil {
		return err
	}
	patterns, _, err := templatePatterns(l.c)
	if err != nil || len(patterns) == 0 {
		return err
	}
	horizons, err := checkpoint.ReadOnlyHorizons(l.c.StateDir)
	for _, h := range horizons { // these have their places
		if matchesAny(patterns, h.Topic) {
			l.topics.add(h.Topic)
		}
	}
	return err
}

// input returns the first input that path belongs to, -1 if there is none.
func (l *letterReader) input(path string) int {
	matches := func(patterns []string) bool {
		for _, p := range patterns {
			if tailer.MatchPath(p, path) {
				return true
			}
		}
		return false
	}
	for i := range l.c.Inputs {
		if in := &l.c.Inputs[i]; matches(in.Paths) && !matches(in.Exclude) {
			return i
		}
	}
	return -1
}

// reading is a letter as it would be sent today.
type reading struct {
	topic  string
	value  []byte
	key    []byte
	path   []byte // for the header
	result transform.Result
	failed error     // why the entry did not parse; it is shipped whole
	at     time.Time // of the record
	stays  error     // why there is no topic for it
}

// read reads a letter. What it returns is the caller's.
func (l *letterReader) read(d *shipper.DeadLetter) reading {
	r := &route{encoder: l.raw, topic: d.Topic}
	if i := l.input(d.Path); i >= 0 {
		r = l.routes[i]
	}
	out := reading{topic: r.topic, path: r.encoder.redact(nil, d.Path), at: time.Now()}
	f := r.encoder.File(d.SourceID(), l.parsers[d.SourceID()])
	f.Begin(out.at)
	out.failed = f.Encode(d.Bytes, &l.e)
	out.result = f.Transform(&l.e, d.Offset)
	if out.result.Action == transform.Ship {
		out.value = l.e.AppendJSON(nil)
	}
	if r.times != nil && out.result.Action == transform.Ship {
		if ms := r.times.of(&l.e, out.at); ms != 0 {
			out.at = time.UnixMilli(ms)
		}
	}
	if r.keyOf != nil || r.to != nil {
		parse.Unfold(&l.e)
	}
	from := transform.Origin{Host: []byte(d.Host), Path: out.path, Input: r.name}
	switch r.key {
	case keyFile:
		out.key = out.path
	case keyHost:
		out.key = []byte(d.Host)
	case keyApplication:
		out.key = l.e.AppendApplication(nil)
	case keyTemplate:
		if key, found := r.keyOf.Append(nil, &l.e, &from, ""); found {
			out.key = key
		}
	}
	if r.to != nil {
		name, _ := r.to.Append(nil, &l.e, &from, absentField)
		if out.topic, _ = r.topics.resolve(legalTopic(name)); out.topic == "" {
			out.stays = fmt.Errorf("topic %q would be one more than kafka.max_topics (%d), or is the dead letter topic", legalTopic(name), r.topics.max)
		}
	}
	l.e.Reset()
	return out
}

// record makes the record that stands for the letter again.
func (r *reading) record(d *shipper.DeadLetter) shipper.Record {
	rec := shipper.Record{Start: d.Offset, End: d.Offset + d.Length, Raw: d.Bytes}
	rec.Topic, rec.Key, rec.Value, rec.Timestamp = r.topic, r.key, r.value, r.at
	rec.Headers = []kgo.RecordHeader{
		{Key: headerHost, Value: []byte(d.Host)},
		{Key: headerPath, Value: r.path},
		{Key: headerSource, Value: []byte(d.Source)},
		{Key: headerOffset, Value: strconv.AppendInt(nil, d.Offset, 10)},
		{Key: headerLength, Value: strconv.AppendInt(nil, d.Length, 10)},
	}
	if r.failed != nil {
		rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: headerParseError, Value: []byte(r.failed.Error())})
	}
	if r.result.Failed != "" {
		rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: headerTransform, Value: []byte(r.result.Failed)})
	}
	for _, key := range []string{headerTruncated, headerPartial} { // what only the tailer knew
		if v, ok := d.Headers[key]; ok {
			rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: key, Value: []byte(v)})
		}
	}
	rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: headerReplayed, Value: headerOne})
	return rec
}

// disclose says what of a letter may go to the dead letter topic. Where the
// input has transformations these are what takes private things out, so that
// the topic gets the envelope that they leave instead of the original bytes.
func (l *letterReader) disclose(d *shipper.DeadLetter) shipper.Disclosure {
	i := l.input(d.Path)
	if i < 0 {
		return l.discloseUnknown(d)
	}
	enc := l.routes[i].encoder
	if enc.chain.Empty() {
		return shipper.Disclosure{Reason: d.Reason, Path: d.Path, Bytes: d.Bytes, Withheld: d.Withheld}
	}
	r := l.read(d)
	return shipper.Disclosure{
		Reason: string(enc.redact(nil, d.Reason)), Path: string(r.path), Bytes: r.value,
		Withheld: d.Withheld || r.result.Action != transform.Ship,
	}
}

// discloseUnknown is for a letter of a file that no input matches any more:
// nobody knows what would have to be taken out of it.
func (l *letterReader) discloseUnknown(d *shipper.DeadLetter) shipper.Disclosure {
	out := shipper.Disclosure{Reason: d.Reason, Path: d.Path, Bytes: d.Bytes, Withheld: d.Withheld}
	for i := range l.routes {
		enc := l.routes[i].encoder
		out.Reason, out.Path = string(enc.redact(nil, out.Reason)), string(enc.redact(nil, out.Path))
		out.Withheld = out.Withheld || !enc.chain.Empty()
	}
	return out
}
