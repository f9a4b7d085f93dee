package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"shiplog/agent/checkpoint"
	"shiplog/tailer"
)

// A pin keeps a rotated file: pins/ID under the state directory is a hard link
// to it, or a copy of what was not yet acknowledged, at the same offsets.
// pins/ID.json beside it tells what it takes to read it should the checkpoint
// be lost. The latter is written first and removed last, so that a crash leaves
// no pin that nothing is known of; .new files are not yet pins.

// pin is one of them.
type pin struct {
	record pinRecord
	path   string // of its content
	size   int64  // bytes that it holds
}

// pinRecord is what ID.json holds: the file as it was when it was pinned.
type pinRecord struct {
	Origin   string          `json:"origin"`
	Raw      []byte          `json:"origin_bytes"` // the same: a path may be no UTF-8
	Stream   uint64          `json:"stream,string"`
	Dev      uint64          `json:"device,string"`
	Ino      uint64          `json:"inode,string"`
	Head     checkpoint.Mark `json:"head"`
	Offset   int64           `json:"offset"` // up to which it was acknowledged
	Tail     checkpoint.Mark `json:"tail"`
	Parser   []byte          `json:"parser,omitempty"`
	Found    time.Time       `json:"found"`
	Copied   bool            `json:"copied"`    // a copy, of the bytes from From on
	From     int64           `json:"from"`      // before it the copy has a hole, but for its head
	PinnedAt time.Time       `json:"pinned_at"` // for those who read it
}

const (
	pinDirName = "pins"
	pinNew     = ".new"
	pinAbout   = ".json"
	// proofBytes are copied before the offset, since the bytes just before it
	// prove that it is that file; pinnedHead at its beginning likewise.
	proofBytes = 64
	pinnedHead = 1 << 10
)

func pinDir(stateDir string) string { return filepath.Join(stateDir, pinDirName) }

func pinPath(stateDir string, id uint64) string {
	return filepath.Join(pinDir(stateDir), tailer.FileID(id).String())
}

// entry returns what the checkpoint would know of the pinned file.
func (p *pin) entry(id uint64) checkpoint.Entry {
	r := &p.record
	return checkpoint.Entry{
		ID: id, Stream: r.Stream, Path: p.path, Origin: string(r.Raw), Dev: r.Dev, Ino: r.Ino,
		Head: r.Head, Offset: r.Offset, Tail: r.Tail, Parser: r.Parser, Rotated: true, Seen: r.PinnedAt, Found: r.Found,
	}
}

// newPinRecord tells of a file as the checkpoint does.
func newPinRecord(e *checkpoint.Entry, now time.Time) pinRecord {
	return pinRecord{
		Origin: e.Origin, Raw: []byte(e.Origin), Stream: e.Stream, Dev: e.Dev, Ino: e.Ino,
		Head: e.Head, Offset: e.Offset, Tail: e.Tail, Parser: e.Parser, Found: e.Found, PinnedAt: now,
	}
}

// readPins returns the pins under a state directory, by file. What is no pin is
// left out; one that cannot be read is in the error, and the others are
// returned all the same.
func readPins(stateDir string) (map[uint64]pin, error) {
	entries, err := os.ReadDir(pinDir(stateDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("pins: %w", err)
	}
	pins := map[uint64]pin{}
	var errs []error
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), pinAbout)
		n, err := strconv.ParseUint(id, 16, 64)
		if !ok || err != nil || len(id) != 16 {
			continue
		}
		p, err := readPin(pinPath(stateDir, n))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		pins[n] = p
	}
	return pins, errors.Join(errs...)
}

// readPin returns the pin whose content is at path.
func readPin(path string) (pin, error) {
	p := pin{path: path}
	b, err := os.ReadFile(path + pinAbout)
	if err != nil {
		return p, fmt.Errorf("pin: %w", err)
	}
	if err := json.Unmarshal(b, &p.record); err != nil {
		return p, fmt.Errorf("pin: %s: %w; the pin is read if the checkpoint knows its file, and stays until it is removed by hand or by shiplog state forget", path+pinAbout, err)
	}
	fi, err := os.Lstat(path)
	if err != nil {
		return p, fmt.Errorf("pin: %w", err)
	}
	p.size = p.held(fi.Size())
	return p, nil
}

// held returns how many bytes the pin of a file of that size holds.
func (p *pin) held(size int64) int64 {
	if p.record.Copied {
		return max(0, size-p.record.From) + min(pinnedHead, p.record.From)
	}
	return size
}

// short reports whether the pin does not hold all that follows offset.
func (p *pin) short(offset int64) bool { return p.record.Copied && offset < p.record.Offset }

// link makes a hard link the pin of a file, which lies at path.
func (p *pin) link(path string) error {
	if err := p.describe(); err != nil {
		return err
	}
	if err := os.Link(path, p.path); err != nil {
		return errors.Join(err, p.remove())
	}
	dev, ino, err := tailer.Identity(p.path)
	if err == nil && (dev != p.record.Dev || ino != p.record.Ino) {
		err = fmt.Errorf("%s: %w", path, tailer.ErrOtherFile)
	}
	if err == nil {
		err = checkpoint.SyncDir(filepath.Dir(p.path))
	}
	if err != nil {
		return errors.Join(err, p.remove())
	}
	return nil
}

// copy makes a copy the pin of a file: of its bytes up to size from the record's
// From on, and of its head.
func (p *pin) copy(from io.ReaderAt, size int64) error {
	if err := p.describe(); err != nil {
		return err
	}
	f, err := os.OpenFile(p.path+pinNew, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return errors.Join(err, p.remove())
	}
	err = copyRange(f, from, 0, min(pinnedHead, size))
	if err == nil {
		err = copyRange(f, from, min(p.record.From, size), size)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(p.path+pinNew, p.path)
	}
	if err == nil {
		err = checkpoint.SyncDir(filepath.Dir(p.path))
	}
	if err != nil {
		return errors.Join(err, p.remove())
	}
	return nil
}

// extend copies what the file got since.
func (p *pin) extend(from io.ReaderAt, size int64) error {
	f, err := os.OpenFile(p.path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	fi, err := f.Stat()
	if err == nil {
		err = copyRange(f, from, fi.Size(), size)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// copyRange copies the bytes [start,end) to the same place.
func copyRange(to io.WriterAt, from io.ReaderAt, start, end int64) error {
	if end <= start {
		return nil
	}
	n, err := io.Copy(io.NewOffsetWriter(to, start), io.NewSectionReader(from, start, end-start))
	if err == nil && n < end-start {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// describe writes what is known of the file.
func (p *pin) describe() error {
	if err := os.MkdirAll(filepath.Dir(p.path), 0o700); err != nil {
		return err
	}
	b, err := json.Marshal(p.record)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(p.path+pinAbout+pinNew, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(append(b, '\n')); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(p.path+pinAbout+pinNew, p.path+pinAbout)
	}
	return err
}

// remove gives the pin up, and with it the space if nothing else holds it.
func (p *pin) remove() error {
	for _, suffix := range []string{"", pinNew, pinAbout + pinNew, pinAbout} {
		if err := os.Remove(p.path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("pin: %w", err)
		}
	}
	return nil
}

// removePin removes the pin of a file, and reports whether it had one.
func removePin(stateDir string, id uint64) (bool, error) {
	p := pin{path: pinPath(stateDir, id)}
	if _, err := os.Lstat(p.path); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return true, p.remove()
}

// sweepPins removes what a crash left half made: .new files, and descriptions
// without a pin. It returns files that are no pins and were left alone.
func sweepPins(stateDir string) (strange []string, err error) {
	dir := pinDir(stateDir)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("pins: %w", err)
	}
	names := map[string]bool{}
	for _, e := range entries {
		names[e.Name()] = true
	}
	for name := range names {
		base, about := strings.CutSuffix(name, pinAbout)
		half := strings.HasSuffix(name, pinNew) || about && !names[base]
		switch {
		case half:
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				return strange, fmt.Errorf("pins: %w", err)
			}
		case !about && !names[name+pinAbout]:
			strange = append(strange, filepath.Join(dir, name))
		}
	}
	return strange, nil
}
