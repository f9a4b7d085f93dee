package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Reason says why bytes of a file were not sent, on purpose. The numbers are on
// disk: none is ever used for anything else.
type Reason uint8

const (
	StartedAtEnd Reason = 1 // there before the first start, and the input says start: end
	Filtered     Reason = 2 // a filter of the configuration left them out
	Sampled      Reason = 3 // sampling left them out
	Limited      Reason = 4 // they were beyond a rate limit
	Rewound      Reason = 5 // the offset was moved over them by hand
)

// String returns the reason in words.
func (r Reason) String() string {
	switch r {
	case StartedAtEnd:
		return "there before the first start"
	case Filtered:
		return "filtered"
	case Sampled:
		return "left out by sampling"
	case Limited:
		return "over the rate limit"
	case Rewound:
		return "passed over by hand"
	}
	return fmt.Sprintf("reason %d", uint8(r))
}

// Skip is a range of raw bytes of a file that was left out on purpose.
type Skip struct {
	File       uint64 // our id
	Start, End int64  // bytes
	Reason     Reason
}

// SkipsOptions may be left zero.
type SkipsOptions struct {
	Log *slog.Logger // default: discard
	FS  FS           // default: the system's
	// MaxBytes bounds the journal on disk: when it is reached, the older half
	// is dropped, and that is noted. Default 16 MiB.
	MaxBytes int64
	Now      func() time.Time // default time.Now
}

// Skips is the journal of what was left out on purpose, for those who compare
// the files with what arrived. Append may be called from any goroutine; the
// other calls belong to the owner of the Store in the same directory, whose lock
// keeps other processes out.
//
// The checkpoint passes over skipped ranges like over acknowledged ones. So that
// there is no instant in which they are in neither book, Append comes before the
// range counts as settled, and Flush before the Save that passes over it.
type Skips struct {
	dir string
	o   SkipsOptions

	mu      sync.Mutex
	pending pendingSkips

	unsaved pendingSkips // taken out of pending, not on disk yet
	file    File         // nil after an error, or before the first flush
	size    int64        // its intact size
}

// OpenSkips reads what is there. Damage never fails it: it keeps what is intact,
// notes in the journal that it is not all, and says so.
func OpenSkips(dir string, o SkipsOptions) (*Skips, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.FS == nil {
		o.FS = osFS{}
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 16 << 20
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Skips{dir: dir, o: o}
	data, err := o.FS.ReadFile(skipsPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	var j journal
	if err == nil {
		j, err = readJournal(skipsPath(dir), data)
	}
	var tooNew *VersionError
	switch {
	case errors.As(err, &tooNew):
		return nil, err
	case err != nil:
		o.Log.Error("the journal of what was left out on purpose is damaged; what is intact is kept [skips-damaged]", "file", skipsPath(dir), "reason", err)
		s.mend(j)
	default:
		s.open(j.size, int64(len(data)))
	}
	return s, nil
}

// mend keeps the damaged file under another name, for whoever wants to know, and
// begins a new one with what is intact.
func (s *Skips) mend(j journal) {
	err := s.o.FS.Rename(skipsPath(s.dir), skipsPath(s.dir)+"-damaged")
	if err == nil {
		err = s.rewrite(j.frames, j.list.Dropped, append(j.list.Lost, s.o.Now()))
	}
	if err != nil {
		s.o.Log.Warn("the journal of what was left out on purpose cannot be mended yet [skips-unwritable]", "error", err)
	}
}

// open goes on with a file of which size bytes are intact.
func (s *Skips) open(size, there int64) {
	f, err := s.o.FS.Append(skipsPath(s.dir))
	if err == nil && size < there { // a crash cut the last record short
		if err = f.Truncate(size); err != nil {
			err = errors.Join(err, f.Close())
		}
	}
	if err != nil {
		s.o.Log.Warn("the journal of what was left out on purpose cannot be appended to yet [skips-unwritable]", "error", err)
		return
	}
	s.file, s.size = f, size
}

// Append notes ranges that are left out. It is not on disk before Flush.
// Neighbours with one reason become one range.
func (s *Skips) Append(skips ...Skip) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range skips {
		s.pending.add(k)
	}
}

// Flush makes durable what was appended before the call: nothing to do, or one
// write and one fsync. After an error nothing is lost: the next Flush writes it.
func (s *Skips) Flush() error {
	s.mu.Lock()
	for _, k := range s.pending.list() {
		s.unsaved.add(k)
	}
	s.pending = pendingSkips{}
	s.mu.Unlock()
	if len(s.unsaved.order) == 0 {
		return nil
	}
	if s.file == nil {
		if err := s.reopen(); err != nil {
			return fmt.Errorf("write %s: %w", skipsPath(s.dir), err)
		}
	}
	data := appendSkips(nil, s.unsaved.list())
	if err := s.append(data); err != nil {
		return fmt.Errorf("write %s: %w", skipsPath(s.dir), err)
	}
	s.unsaved = pendingSkips{}
	if s.size > s.o.MaxBytes {
		if err := s.dropOlder(); err != nil {
			return fmt.Errorf("shorten %s: %w", skipsPath(s.dir), err)
		}
	}
	return nil
}

func (s *Skips) append(data []byte) error {
	n, err := s.file.Write(data)
	if err == nil && n < len(data) {
		err = io.ErrShortWrite
	}
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil { // only another file can be trusted: see Store.append
		err = errors.Join(err, s.file.Close())
		s.file = nil
		return err
	}
	s.size += int64(len(data))
	return nil
}

// reopen writes what is intact on disk into a new file, and goes on with that.
func (s *Skips) reopen() error {
	data, err := s.o.FS.ReadFile(skipsPath(s.dir))
	if errors.Is(err, fs.ErrNotExist) {
		return s.rewrite(nil, nil, nil)
	}
	if err != nil {
		return err
	}
	j, err := readJournal(skipsPath(s.dir), data)
	var tooNew *VersionError
	if errors.As(err, &tooNew) {
		return err
	}
	if err != nil {
		j.list.Lost = append(j.list.Lost, s.o.Now())
	}
	return s.rewrite(j.frames, j.list.Dropped, j.list.Lost)
}

// dropOlder drops the older half of the records. What remains of each of their
// files is the range in which something was known.
func (s *Skips) dropOlder() error {
	data, err := s.o.FS.ReadFile(skipsPath(s.dir))
	if err != nil {
		return err
	}
	j, err := readJournal(skipsPath(s.dir), data)
	if err != nil {
		j.list.Lost = append(j.list.Lost, s.o.Now())
	}
	kept, size := j.frames, int64(0)
	for i := len(kept) - 1; i >= 0; i-- {
		if size += int64(len(kept[i])); size > s.o.MaxBytes/2 {
			kept = kept[i+1:]
			break
		}
	}
	var gone journal
	for _, f := range j.frames[:len(j.frames)-len(kept)] {
		if err := gone.apply(typeSkips, f); err != nil {
			return err
		}
	}
	dropped := mergeDropped(j.list.Dropped, gone.list.Skips, s.o.Now())
	if len(dropped) > maxDropped {
		dropped, j.list.Lost = dropped[:maxDropped], append(j.list.Lost, s.o.Now())
	}
	s.o.Log.Info("the journal of what was left out on purpose is full: its older half is dropped", "file", skipsPath(s.dir), "files", len(dropped))
	return s.rewrite(kept, dropped, j.list.Lost)
}

// rewrite replaces the file, durably, and goes on with the new one.
func (s *Skips) rewrite(frames [][]byte, dropped []Dropped, lost []time.Time) error {
	if s.file != nil {
		f := s.file
		s.file = nil
		if err := f.Close(); err != nil {
			return err
		}
	}
	data := appendSkipsHeader(nil)
	for _, d := range dropped {
		data = appendFrame(data, typeDropped, appendDropped(nil, d))
	}
	for _, t := range lost {
		data = appendFrame(data, typeLost, protowire.AppendVarint(nil, nanos(t)))
	}
	for _, f := range frames {
		data = appendFrame(data, typeSkips, f)
	}
	tmp := skipsPath(s.dir) + "-new"
	f, err := s.o.FS.Create(tmp)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, s.o.FS.Remove(tmp))
	}
	if err := s.o.FS.Rename(tmp, skipsPath(s.dir)); err != nil {
		return err
	}
	if err := s.o.FS.SyncDir(s.dir); err != nil {
		return err
	}
	if s.file, err = s.o.FS.Append(skipsPath(s.dir)); err != nil {
		s.file = nil
		return err
	}
	s.size = int64(len(data))
	return nil
}

// Close flushes, and closes the file.
func (s *Skips) Close() error {
	err := s.Flush()
	if s.file != nil {
		err = errors.Join(err, s.file.Close())
		s.file = nil
	}
	return err
}

func skipsPath(dir string) string { return filepath.Join(dir, "skips") }

// pendingSkips are ranges that wait for the disk, in order, neighbours joined.
// Their number is bounded by what is handed over in one checkpoint_interval.
type pendingSkips struct {
	order []skipKey
	spans map[skipKey][]span
}

type skipKey struct {
	file   uint64
	reason Reason
}

func (p *pendingSkips) add(k Skip) {
	if k.End <= k.Start {
		return
	}
	key := skipKey{k.File, k.Reason}
	spans, known := p.spans[key]
	if !known {
		if p.spans == nil {
			p.spans = map[skipKey][]span{}
		}
		p.order = append(p.order, key)
	}
	if n := len(spans); n > 0 && spans[n-1].end == k.Start {
		spans[n-1].end = k.End
		return
	}
	p.spans[key] = append(spans, span{k.Start, k.End})
}

func (p *pendingSkips) list() []Skip {
	var out []Skip
	for _, k := range p.order {
		for _, s := range p.spans[k] {
			out = append(out, Skip{k.file, s.start, s.end, k.reason})
		}
	}
	return out
}

// mergeDropped widens the ranges in old by what is in gone.
func mergeDropped(old []Dropped, gone []Skip, now time.Time) []Dropped {
	at := map[uint64]int{}
	for i, d := range old {
		at[d.File] = i
	}
	for _, k := range gone {
		i, ok := at[k.File]
		if !ok {
			i = len(old)
			at[k.File] = i
			old = append(old, Dropped{File: k.File, Start: k.Start, End: k.End})
		}
		old[i].Start, old[i].End, old[i].When = min(old[i].Start, k.Start), max(old[i].End, k.End), now
	}
	slices.SortStableFunc(old, func(a, b Dropped) int { return b.When.Compare(a.When) })
	return old // the latest first
}

// maxDropped bounds the files of which the journal remembers that it dropped
// something.
const maxDropped = 100_000
