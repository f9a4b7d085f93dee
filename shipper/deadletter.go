package shipper

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// DeadLetter is one line of the dead letter file: a record that Kafka can
// never accept, with the bytes that it was made of.
type DeadLetter struct {
	Time   time.Time `json:"time"`
	Reason string    `json:"reason"`
	// Code is Kafka's name of the error, "" if it was not Kafka's.
	Code  string `json:"code,omitempty"`
	Topic string `json:"topic"`
	Key   string `json:"key,omitempty"`
	Path  string `json:"path"`
	// Source is the file's id, 16 hexadecimal digits.
	Source string `json:"src"`
	// Offset and Length are the raw byte range in the source.
	Offset int64 `json:"off"`
	Length int64 `json:"len"`
	// Bytes are the entry's original bytes, base64 in JSON.
	Bytes []byte `json:"bytes"`
}

// letter describes r. It shares r's bytes.
func (p *Producer) letter(l *lane, r *Record, reason error) DeadLetter {
	d := DeadLetter{
		Time:   time.Now().UTC(),
		Reason: reason.Error(),
		Topic:  l.topic,
		Key:    string(r.Key),
		Offset: r.Start,
		Length: r.End - r.Start,
		Bytes:  r.Raw,
	}
	if code, ok := errors.AsType[*kerr.Error](reason); ok {
		d.Code = code.Message
	}
	b := p.batchOf(l, r)
	d.Path, d.Source = b.Path, fmt.Sprintf("%016x", b.Source)
	return d
}

// batchOf finds the batch of r, which is not settled and so in the queue of l.
func (p *Producer) batchOf(l *lane, r *Record) *Batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range l.queue {
		for i := range s.records {
			if &s.records[i] == r {
				return s.batch
			}
		}
	}
	return &Batch{} // not reached
}

// deadLetters appends to the dead letter file, which it opens when first
// needed. A letter is in the file as a whole line, on disk, or not at all.
type deadLetters struct {
	path string

	mu    sync.Mutex // guards what follows
	file  *os.File   // nil: not open, or not to be trusted any more
	end   int64      // of the last whole line
	count int64      // added since the start
	err   error      // of the last add
}

// add appends d and returns when it is on disk.
func (l *deadLetters) add(d DeadLetter) error {
	line, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("dead letter of %s: %w", d.Path, err)
	}
	line = append(line, '\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err = l.append(line); l.err != nil {
		l.err = fmt.Errorf("dead letter file %s: make room or correct its rights, records wait for it: %w", l.path, l.err)
		return l.err
	}
	l.count++
	return nil
}

func (l *deadLetters) append(line []byte) error {
	if l.file == nil {
		if err := l.open(); err != nil {
			return err
		}
	}
	_, err := l.file.WriteAt(line, l.end)
	if err == nil {
		err = l.file.Sync()
	}
	if err == nil {
		l.end += int64(len(line))
		return nil
	}
	// A part may be in the file. After a failed sync nobody knows what is on
	// disk, so the next try opens, and looks, anew.
	err = errors.Join(err, l.file.Truncate(l.end), l.file.Close())
	l.file = nil
	return err
}

// open opens or makes the file, and repairs what a crash left at its end.
func (l *deadLetters) open() error {
	dir := filepath.Dir(l.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	end, err := repair(f)
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.end = f, end
	return nil
}

// repair makes f end with a whole line, and returns its length. A last line
// without a newline is completed if it is JSON, else cut: it was never on disk
// as a whole, so its record was not settled and is sent again.
func repair(f *os.File) (int64, error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	tail, err := lastLine(f, size)
	if err != nil || len(tail) == 0 {
		return size, err
	}
	if json.Valid(tail) {
		_, err = f.WriteAt([]byte("\n"), size)
		return size + 1, err
	}
	size -= int64(len(tail))
	return size, f.Truncate(size)
}

// lastLine returns what follows the last newline in the size bytes of f.
func lastLine(f io.ReaderAt, size int64) ([]byte, error) {
	for n := min(int64(64<<10), size); ; n = min(2*n, size) {
		tail := make([]byte, n)
		if _, err := f.ReadAt(tail, size-n); err != nil && err != io.EOF {
			return nil, err
		}
		if i := bytes.LastIndexByte(tail, '\n'); i >= 0 {
			return tail[i+1:], nil
		}
		if n == size {
			return tail, nil
		}
	}
}

// state returns how many letters were added, and why the last could not be.
func (l *deadLetters) state() (count int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count, l.err
}

func (l *deadLetters) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	if err != nil {
		return fmt.Errorf("close dead letter file %s: %w", l.path, err)
	}
	return nil
}
