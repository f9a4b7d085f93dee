package agent

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// compare joins files and sources, and examines each file.
func (v *verifier) compare(ctx context.Context) (err error) {
	if v.matched, err = match(v.values, v.files, v.entries, v.sources); err != nil {
		return err
	}
	var beside []string
	for _, f := range v.matched {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !f.asked && f.entry == nil && len(f.sources) == 0 {
			if f.twin == nil && !excluded(v.c, f.path) {
				beside = append(beside, f.path)
			}
			continue
		}
		v.out.Files = append(v.out.Files, v.examine(f))
	}
	if n := len(beside); n > 0 {
		v.note("%d files lie beside these, have names like theirs, and are not in the topics: %q; name them to see what is in them", n, beside[:min(n, keptBeside)])
	}
	v.gone()
	return nil
}

// keptBeside bounds the files that are named in a note.
const keptBeside = 5

// recently is how new a file may be that a running agent has not met yet.
const recently = 10 * time.Second

// examine proves one file.
func (v *verifier) examine(f *matched) FileProof {
	r := FileProof{Path: f.path, Compression: f.compression, Matched: f.how, Sources: []string{}, Skipped: []SkipProof{},
		Gaps: []Gap{}, Repeats: []Repeat{}, Late: []Late{}, Differ: []Difference{}, Size: f.size}
	from := f
	if f.twin != nil {
		from, r.CopyOf = f.twin, f.twin.path
	}
	for _, id := range from.ids() {
		r.Sources = append(r.Sources, fmt.Sprintf("%016x", id))
	}
	if r.Matched == "" {
		r.Matched = "not found in the topics"
	}
	if f.err != nil {
		r.Problem = f.err.Error()
		return r
	}
	cover := &coverage{}
	for i, s := range from.sources {
		if r.Records += s.records; i == 0 {
			cover.runs = s.cover.runs
		} else {
			cover.merge(&s.cover)
		}
	}
	if err := v.walk(f, from, cover, &r); err != nil {
		r.Problem = err.Error()
		return r
	}
	r.Covered = cover.within(0, r.Size)
	r.repeats(cover, v.o.MaxLines)
	r.lates(from.sources, v.o.MaxLines)
	if err := v.sampled(f, from, &r); err != nil {
		r.Problem = err.Error()
	}
	return r
}

// walk reads the content where something is missing.
func (v *verifier) walk(f, from *matched, cover *coverage, r *FileProof) error {
	c, err := f.open()
	if err != nil {
		return err
	}
	defer c.close()
	size := f.size
	if size < 0 {
		size = maxRange
	}
	books := v.books
	if from.entry == nil && len(from.sources) == 0 && v.out.Began.Sub(f.info.ModTime()) > recently {
		books.running = false // the agent had time enough to meet it
	}
	x := &examination{proof: r, lacks: books.lacks(from, cover, size), size: f.size, maxLines: v.o.MaxLines, acked: -1, utf16: looksUTF16(f.head)}
	if from.entry != nil && !v.books.running {
		x.acked = from.entry.Offset
	}
	r.Size, err = x.run(c)
	f.size = r.Size
	return err
}

// looksUTF16 reports whether NUL bytes are a part of the file's characters.
func looksUTF16(head []byte) bool {
	if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		return true
	}
	head = head[:min(len(head), 256)]
	return len(head) >= 4 && bytes.Count(head, []byte{0})*3 > len(head) && !bytes.Contains(head, []byte{0, 0})
}

// repeats tells what came more than once.
func (r *FileProof) repeats(cover *coverage, most int) {
	for _, p := range cover.repeated() {
		r.RepeatCount++
		r.RepeatBytes += p.end - p.start
		if len(r.Repeats) < most {
			r.Repeats = append(r.Repeats, Repeat{p.start, p.end, p.times})
		}
	}
}

// lates tells what came out of order.
func (r *FileProof) lates(sources []*source, most int) {
	for _, s := range sources {
		for _, p := range s.parts {
			r.LateCount += p.lateCount
			for _, l := range p.late {
				r.Late = append(r.Late, Late{l.start, l.end, l.at.topic, l.at.partition, l.at.offset})
			}
		}
	}
	slices.SortFunc(r.Late, func(a, b Late) int { return cmp.Compare(a.Start, b.Start) })
	r.Late = r.Late[:min(len(r.Late), most)]
}

// sampled compares the sampled records with the file.
func (v *verifier) sampled(f, from *matched, r *FileProof) error {
	c, err := f.open()
	if err != nil {
		return err
	}
	defer c.close()
	now := r.Size
	if f.compression == "" { // it may have grown since, and the topic with it
		if fi, err := c.file.Stat(); err == nil {
			now = fi.Size()
		}
	}
	for _, s := range from.sources {
		for _, over := range s.cover.behind(now) {
			r.differ(Difference{Start: over.start, End: over.end, Partition: -1, Offset: -1, Why: "lies behind the end of the file"}, v.o.MaxLines)
		}
		for _, sm := range s.samples {
			if sm.end > now {
				continue
			}
			a, err := v.values.compare(c, f.onDisk, s, sm)
			if err != nil {
				return err
			}
			r.compared(a, sm.byteRange, sm.at, v.o.MaxLines)
		}
	}
	return nil
}

// compared counts a comparison.
func (r *FileProof) compared(a agreement, in byteRange, at place, most int) {
	r.Compared++
	switch a {
	case sameText:
		r.Otherwise++
	case unsure:
		r.Unsure++
	case different:
		r.differ(Difference{in.start, in.end, at.topic, at.partition, at.offset, "its value is not what the file has there"}, most)
	}
}

func (r *FileProof) differ(d Difference, most int) {
	if r.DifferCount++; len(r.Differ) < most {
		r.Differ = append(r.Differ, d)
	}
}
