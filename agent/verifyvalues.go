package agent

import (
	"bytes"
	"cmp"
	"log/slog"
	"slices"
	"strings"
	"time"

	"shiplog/agent/config"
	"shiplog/agent/envelope"
	"shiplog/tailer"
)

// agreement is how a record's value compares with the bytes that it stands for.
type agreement int

const (
	equal     agreement = iota // what the configuration makes of them today
	sameText                   // another envelope around the same message: the configuration was another
	unsure                     // a message of these bytes: what the file's parser knew at that place cannot be told
	different                  // another message
)

// valuer makes of bytes what the agent makes of them.
type valuer struct {
	c        *config.Config
	cuts     []tailer.Input // how entries are cut, by input
	encoders []*Encoder     // by input
	envelope envelope.Envelope
	raw      []byte
	clock    time.Time
}

func newValuer(c *config.Config) (*valuer, error) {
	o, err := tailerOptions(c, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	v := &valuer{c: c, cuts: o.Inputs}
	rs, err := routes(c, nil)
	if err != nil {
		return nil, err
	}
	for _, r := range rs {
		v.encoders = append(v.encoders, r.encoder)
	}
	return v, nil
}

// inputs returns the inputs by which a source's records may have been made: that
// of its path, else that of the file, else any.
func (v *valuer) inputs(s *source, f *onDisk) []int {
	if i := inputOf(v.c, s.path); i >= 0 {
		return []int{i}
	}
	if f.input >= 0 {
		return []int{f.input}
	}
	all := make([]int, len(v.encoders))
	for i := range all {
		all[i] = i
	}
	return all
}

// told returns the file's path as the records tell it: redacted, where the
// configuration asks for that.
func (v *valuer) told(f *onDisk) string {
	if f.input < 0 {
		return f.path
	}
	return string(v.encoders[f.input].redact(nil, f.path))
}

func sortSamples(s *source) {
	slices.SortFunc(s.samples, func(a, b sample) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end))
	})
	s.samples = slices.CompactFunc(s.samples, func(a, b sample) bool { return a.at == b.at })
}

// agree reports whether the sampled records of s are made of lines of f. lenient
// takes the same message in another envelope as well.
func (v *valuer) agree(f *onDisk, s *source, lenient bool) (bool, error) {
	c, err := f.open()
	if err != nil {
		return false, err
	}
	defer c.close()
	for _, sm := range s.samples {
		a, err := v.compare(c, f, s, sm)
		if err != nil {
			return false, err
		}
		if a == different || !lenient && a != equal {
			return false, nil
		}
	}
	return true, nil
}

// maxSampled bounds the bytes of one entry that are compared.
const maxSampled = 64 << 20

// compare reads the bytes that a sample stands for and compares.
func (v *valuer) compare(c *content, f *onDisk, s *source, sm sample) (agreement, error) {
	n := sm.end - sm.start
	if n > maxSampled {
		return unsure, nil
	}
	before := min(sm.start, 1) // to see that a line begins here
	var err error
	if v.raw, err = c.read(v.raw[:0], sm.start-before, int(n+before)); err != nil {
		return different, err
	}
	if int64(len(v.raw)) < n+before {
		return different, nil
	}
	if before == 1 && !v.newline(s, f, v.raw[0]) {
		return different, nil
	}
	best := different
	for _, i := range v.inputs(s, f) {
		best = min(best, v.value(i, f, s.id, sm.start, v.raw[before:], sm.value))
		if best == equal {
			break
		}
	}
	return best, nil
}

// value compares what input i makes of raw, which lies at offset in source id,
// with a record's value.
func (v *valuer) value(i int, f *onDisk, id uint64, offset int64, raw []byte, want valueMark) agreement {
	enc := v.encoders[i].File(id, nil)
	if enc.stateful != nil { // what it learns from the file's beginning, such as the names of columns
		before := f.head[:min(int64(len(f.head)), offset)]
		v.lines(i, before[:bytes.LastIndexByte(before, '\n')+1], func(line []byte) { v.encode(enc, line, 0) })
	}
	entry, ok := v.entry(i, f, raw)
	if !ok {
		return different
	}
	return compareMarks(markValue(v.encode(enc, entry, offset)), want, enc.stateful != nil, raw)
}

// compareMarks compares what the configuration makes of raw with a record's
// value. stateful says that the parser may have known more than we do.
func compareMarks(got, want valueMark, stateful bool, raw []byte) agreement {
	switch {
	case got.whole == want.whole:
		return equal
	case got.message == want.message && want.message != 0:
		return sameText
	case stateful && want.text != "" && bytes.Contains(raw, []byte(want.text)):
		return unsure
	}
	return different
}

// encode returns the value of the record of the entry at offset. The entry was
// sent, so that it does not matter whether it would be left out today.
func (v *valuer) encode(enc *FileEncoder, entry []byte, offset int64) []byte {
	// That an entry did not parse makes it a message, which is compared as such.
	_ = enc.Encode(entry, &v.envelope)
	v.clock = v.clock.Add(365 * 24 * time.Hour) // so that no limit is reached
	enc.Begin(v.clock)
	enc.Transform(&v.envelope, offset)
	return v.envelope.AppendJSON(nil)
}

// newline reports whether a line can begin behind the byte c.
func (v *valuer) newline(s *source, f *onDisk, c byte) bool {
	for _, i := range v.inputs(s, f) {
		switch strings.ToLower(v.c.Inputs[i].Encoding) {
		case "", "auto", "utf-8":
		default:
			return true // its newline may be another
		}
	}
	return c == '\n' || c == 0 // the second half of one in UTF-16
}

// lines cuts data as the tailer does.
func (v *valuer) lines(i int, data []byte, fn func(line []byte)) {
	// The stream is memory, and the configuration was checked: there is no error.
	_ = tailer.Lines(bytes.NewReader(data), v.cuts[i], func(e tailer.Entry) error {
		fn(e.Data)
		return nil
	})
}

// entry returns the data of the one entry in raw, its lines joined.
func (v *valuer) entry(i int, f *onDisk, raw []byte) (data []byte, ok bool) {
	for _, mark := range []string{"\xff\xfe", "\xfe\xff"} { // it tells the encoding of all that follows
		if bytes.HasPrefix(f.head, []byte(mark)) && !bytes.HasPrefix(raw, []byte(mark)) {
			raw = append([]byte(mark), raw...)
		}
	}
	v.lines(i, raw, func(line []byte) {
		if ok {
			data = append(data, '\n')
		}
		data, ok = append(data, line...), true
	})
	return data, ok
}
