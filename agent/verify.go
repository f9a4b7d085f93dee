package agent

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"shiplog/agent/checkpoint"
	"shiplog/agent/config"
	"shiplog/shipper"
)

// VerifyOptions say what to verify.
type VerifyOptions struct {
	// Files to verify; none stands for all that the inputs want and all that the
	// checkpoint knows.
	Files []string
	// Topics to read; none stands for those of the configuration.
	Topics []string
	// Since and From leave out what is before, as in shipper.ScanOptions.
	Since time.Time
	From  int64
	// Host limits the records to those of one host, beside those of files that
	// the checkpoint knows. "" stands for this host where there is a state, and
	// for all where there is none; "*" for all.
	Host string
	// NoState leaves the state directory alone: files are found in the topics by
	// their content.
	NoState bool
	// Deep compares every record with the file, instead of a sample.
	Deep bool
	// MaxLines bounds what is told one by one, of each kind and file. Default 20.
	MaxLines int
	// Progress, if not nil, is told how many offsets are behind, of all.
	Progress func(done, all int64)
	Log      *slog.Logger // default: discard
}

// Verify reads the topics of the configuration and finds out what of the files
// has arrived there. It may be called while an agent runs. It changes nothing.
//
// What the checkpoint says is read before the ends of the topics are asked for,
// so that all that it calls acknowledged is among the records that are read.
func Verify(ctx context.Context, c *config.Config, o VerifyOptions) (*Verification, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxLines <= 0 {
		o.MaxLines = 20
	}
	v := &verifier{c: c, o: o, out: &Verification{Began: time.Now().UTC(), Topics: []TopicRead{}, Files: []FileProof{}, Gone: []GoneProof{}, Notes: []string{}}}
	for _, step := range []func(context.Context) error{v.look, v.listen, v.compare, v.deep} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	v.finish()
	return v.out, nil
}

// verifier is one verification on its way.
type verifier struct {
	c   *config.Config
	o   VerifyOptions
	out *Verification

	values  *valuer
	entries []checkpoint.Entry
	books   ledgers
	files   []*onDisk
	scan    shipper.ScanOptions
	scanned []shipper.Scanned
	sources map[uint64]*source
	matched []*matched
}

func (v *verifier) note(format string, args ...any) {
	v.out.Notes = append(v.out.Notes, fmt.Sprintf(format, args...))
}

// look reads what is on disk: the state first, then the files.
func (v *verifier) look(context.Context) (err error) {
	if v.values, err = newValuer(v.c); err != nil {
		return err
	}
	if err := v.readState(); err != nil {
		return err
	}
	inv, err := takeInventory(v.c, v.entries, v.o.Files)
	if err != nil {
		return err
	}
	v.files = inv.files
	for _, fault := range inv.faults {
		v.note("not looked at: %v", fault)
	}
	return nil
}

// listen reads the topics.
func (v *verifier) listen(ctx context.Context) error {
	conn, err := Connection(v.c)
	if err != nil {
		return err
	}
	topics := v.o.Topics
	if len(topics) == 0 {
		var partly bool
		if topics, partly, err = Topics(ctx, v.c, v.o.Log); err != nil {
			return err
		}
		if partly {
			v.note("a template leads to topics of any name: only those were read that the checkpoint knows; name others with --topic")
		}
	}
	v.scan = shipper.ScanOptions{
		Brokers: v.c.Kafka.Brokers, ClientID: v.c.Kafka.ClientID, TLS: conn.TLS, SASL: conn.SASL, Network: network(v.c),
		Topics: topics, Since: v.o.Since, From: v.o.From, Progress: v.o.Progress, Log: v.o.Log,
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	wanted, err := v.wanted()
	if err != nil {
		return err
	}
	h := &hearing{wanted: wanted, over: func() { stop(errTooManyPieces) }}
	v.scanned, err = shipper.Scan(ctx, v.scan, h.take)
	if err != nil {
		return cmp.Or(context.Cause(ctx), err)
	}
	v.sources = h.sources()
	v.books.cut = map[partitionKey]lackKind{}
	for _, s := range v.scanned {
		key := partitionKey{s.Topic, s.Partition}
		t := TopicRead{Topic: s.Topic, Partition: s.Partition, Start: s.Start, End: s.End, LogStart: s.LogStart}
		if p := h.parts[key]; p != nil {
			t.Records = p.records
			v.out.Records += p.records
			v.out.Foreign += p.foreign
			v.out.Malformed += p.malformed
		}
		v.out.Topics = append(v.out.Topics, t)
		if s.LogStart > 0 {
			v.note("offsets 0 to %d of %s, partition %d, are no longer in the topic: what they held cannot be seen", s.LogStart-1, s.Topic, s.Partition)
		}
		switch {
		case s.Start > s.LogStart:
			v.note("offsets %d to %d of %s, partition %d, were not to be read", s.LogStart, s.Start-1, s.Topic, s.Partition)
			v.books.cut[key] = lackNotRead
		case s.LogStart > 0:
			v.books.cut[key] = lackUnseen
		}
	}
	if v.out.Malformed > 0 {
		v.note("%d records have headers that make no sense", v.out.Malformed)
	}
	return nil
}

// wanted returns which sources are of interest: in a topic of many hosts they are
// few.
func (v *verifier) wanted() (func(id uint64, host []byte) bool, error) {
	host := v.o.Host
	if host == "" && v.out.State != "" {
		name, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("name of this host: %w", err)
		}
		host = name
	}
	if host == "" || host == "*" {
		return func(uint64, []byte) bool { return true }, nil
	}
	known := map[uint64]bool{}
	for i := range v.entries {
		known[v.entries[i].ID] = true
	}
	return func(id uint64, from []byte) bool { return string(from) == host || known[id] }, nil
}

// gone tells of the sources that have no file.
func (v *verifier) gone() {
	if len(v.o.Files) > 0 {
		return
	}
	has := map[uint64]bool{}
	for _, f := range v.matched {
		for _, id := range f.ids() {
			has[id] = true
		}
	}
	offsets := map[uint64]int64{}
	for i := range v.entries {
		e := &v.entries[i]
		offsets[e.ID] = e.Offset
		if !has[e.ID] && v.sources[e.ID] == nil && e.Offset > 0 {
			v.out.Gone = append(v.out.Gone, GoneProof{Source: fmt.Sprintf("%016x", e.ID), Path: e.Origin, Checkpoint: e.Offset})
		}
	}
	for id, s := range v.sources {
		if has[id] {
			continue
		}
		g := GoneProof{Source: fmt.Sprintf("%016x", id), Path: s.path, Host: s.host, Records: s.records, End: s.cover.end(), Checkpoint: -1}
		if o, ok := offsets[id]; ok {
			g.Checkpoint = o
		}
		g.Covered = s.cover.within(0, g.End)
		g.Holes = g.End - g.Covered
		for _, r := range s.cover.repeated() {
			g.RepeatBytes += r.end - r.start
		}
		v.out.Gone = append(v.out.Gone, g)
	}
	slices.SortFunc(v.out.Gone, func(a, b GoneProof) int { return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Source, b.Source)) })
}

// finish draws the sum.
func (v *verifier) finish() {
	v.out.Complete = true
	for i := range v.out.Files {
		f := &v.out.Files[i]
		v.out.Complete = v.out.Complete && !f.Incomplete()
		v.out.Repeated = v.out.Repeated || f.Again()
	}
	if len(v.out.Files) == 0 {
		v.note("no file was found that the configuration wants: there is nothing to prove")
	}
}
