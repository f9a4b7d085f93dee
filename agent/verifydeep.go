package agent

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/cespare/xxhash/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"shiplog/shipper"
)

// maxReaders bounds the files that one partition holds open while all records
// are compared.
const maxReaders = 64

// deep reads the same records once more and compares each with its file.
func (v *verifier) deep(ctx context.Context) error {
	if !v.o.Deep {
		return nil
	}
	d := &deepComparison{v: v, bySource: map[uint64]*deepFile{}, parts: map[partitionKey]*deepPart{}}
	for i := range v.out.Files {
		r := &v.out.Files[i]
		for _, f := range v.matched {
			if f.path == r.Path && f.twin == nil && r.Problem == "" {
				r.Compared, r.Otherwise, r.Unsure = 0, 0, 0
				r.DifferCount, r.Differ = r.deepLeaves()
				file := &deepFile{onDisk: f.onDisk, proof: r}
				for _, s := range f.sources {
					file.sources = append(file.sources, s)
					d.bySource[s.id] = file
				}
			}
		}
	}
	scan := v.scan
	scan.Bounds = v.scanned
	_, err := shipper.Scan(ctx, scan, d.take)
	for _, p := range d.parts {
		p.close()
		err = errors.Join(err, p.err)
	}
	return err
}

// deepLeaves returns the differences that comparing every record does not find
// again: those of ranges that the file does not have.
func (r *FileProof) deepLeaves() (n int64, left []Difference) {
	left = []Difference{}
	for _, d := range r.Differ {
		if d.Offset < 0 {
			left = append(left, d)
		}
	}
	return int64(len(left)), left
}

// deepFile is a file whose records are compared.
type deepFile struct {
	*onDisk
	sources []*source

	mu    sync.Mutex // several partitions may have records of one file
	proof *FileProof
}

// deepComparison compares what the partitions say, each on its own.
type deepComparison struct {
	v        *verifier
	bySource map[uint64]*deepFile

	mu    sync.Mutex // guards parts
	parts map[partitionKey]*deepPart
}

// deepPart is one partition. One goroutine at a time has it.
type deepPart struct {
	key     partitionKey
	values  *valuer
	readers []*deepReader // the one that was used last comes last
	err     error
}

// deepReader is a file that is open at the place of the partition's last record
// of a source, with the parser that has seen what came before.
type deepReader struct {
	source  uint64
	input   int
	content *content
	encoder *FileEncoder
}

func (d *deepComparison) take(topic string, partition int32, records []*kgo.Record) {
	key := partitionKey{topic, partition}
	d.mu.Lock()
	p := d.parts[key]
	if p == nil {
		p = &deepPart{key: key, values: &valuer{c: d.v.c, cuts: d.v.values.cuts, encoders: d.v.values.encoders}}
		d.parts[key] = p
	}
	d.mu.Unlock()
	for _, r := range records {
		in := readHeaders(r)
		f := d.bySource[in.source]
		if f == nil || !in.valid || in.carried {
			continue
		}
		a, known, err := p.compare(f, &in, r)
		f.mu.Lock()
		switch {
		case err != nil:
			f.proof.Problem = err.Error()
		case known:
			f.proof.compared(a, in.own, place{key, r.Offset}, d.v.o.MaxLines)
		}
		f.mu.Unlock()
	}
}

// compare compares a record with its file. It is not known where the range is
// behind what there was of the file when the work began.
func (p *deepPart) compare(f *deepFile, in *headers, r *kgo.Record) (a agreement, known bool, err error) {
	rd, err := p.reader(f, in.source)
	if err != nil {
		return different, false, err
	}
	n := in.own.end - in.own.start
	if n > maxSampled {
		return unsure, true, nil
	}
	v := p.values
	if v.raw, err = rd.content.read(v.raw[:0], in.own.start, int(n)); err != nil || int64(len(v.raw)) < n {
		return different, false, err
	}
	entry, ok := v.entry(rd.input, f.onDisk, v.raw)
	if !ok {
		return different, true, nil
	}
	value := v.encode(rd.encoder, entry, in.own.start)
	if xxhash.Sum64(value) == xxhash.Sum64(r.Value) {
		return equal, true, nil
	}
	return compareMarks(markValue(value), markValue(r.Value), rd.encoder.stateful != nil, v.raw), true, nil
}

// reader returns the reader of a source.
func (p *deepPart) reader(f *deepFile, id uint64) (*deepReader, error) {
	if n := len(p.readers); n > 0 && p.readers[n-1].source == id {
		return p.readers[n-1], nil
	}
	if i := slices.IndexFunc(p.readers, func(r *deepReader) bool { return r.source == id }); i >= 0 {
		r := p.readers[i]
		p.readers = append(slices.Delete(p.readers, i, i+1), r)
		return r, nil
	}
	c, err := f.open()
	if err != nil {
		return nil, err
	}
	if len(p.readers) == maxReaders {
		if err := p.readers[0].content.close(); err != nil {
			return nil, errors.Join(err, c.close())
		}
		p.readers = slices.Delete(p.readers, 0, 1)
	}
	i := slices.IndexFunc(f.sources, func(s *source) bool { return s.id == id })
	input := p.values.inputs(f.sources[i], f.onDisk)[0]
	r := &deepReader{source: id, input: input, content: c, encoder: p.values.encoders[input].File(id, nil)}
	p.readers = append(p.readers, r)
	return r, nil
}

func (p *deepPart) close() {
	for _, r := range p.readers {
		if err := r.content.close(); err != nil {
			p.err = errors.Join(p.err, err)
		}
	}
}
