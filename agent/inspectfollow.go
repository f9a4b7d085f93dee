package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nxadm/tail"

	"shiplog/tailer"
)

// Follow reads a file from its beginning and goes on with what is appended, also
// over a rotation, until ctx ends; then its error is nil. It is for looking on:
// what an application writes to a file after its rotation is not seen, and in
// UTF-16LE a line is seen when the next one begins. A line is held whole in
// memory. A compressed file, to which nothing is appended, is refused.
func (n *Inspector) Follow(ctx context.Context, path string, fn func(*Inspected) error) (*Inspection, error) {
	if err := notCompressed(path); err != nil {
		return nil, err
	}
	// By polling: with events, what is written between its last read and the moment
	// at which it watches the file would be seen with the next line only.
	t, err := tail.TailFile(path, tail.Config{Follow: true, ReOpen: true, MustExist: true, CompleteLines: true, Poll: true, Logger: tail.DiscardingLogger})
	if err != nil {
		return nil, fmt.Errorf("following %s: %w", path, err)
	}
	r := &followReader{ctx: ctx, t: t, wait: n.input.JoinWait}
	found, err := n.Read(r, fn)
	if stopErr := t.Stop(); err == nil && stopErr != nil {
		err = fmt.Errorf("following %s: %w", path, stopErr)
	}
	t.Cleanup()
	return found, err
}

// notCompressed returns an error if what lies at path can only be read as a whole.
func notCompressed(path string) error {
	c, err := compressionOf(path)
	if err != nil {
		return err
	}
	if c != "" {
		return fmt.Errorf("%s is compressed (%s), so nothing will be appended to it: read it without --follow", path, c)
	}
	return nil
}

// followReader makes a stream of the lines that a file gets.
type followReader struct {
	ctx  context.Context // ends the stream
	t    *tail.Tail
	wait time.Duration // of quiet, after which an entry is complete
	line []byte        // what is left of the last line
	new  bool          // since the stream was quiet
}

// Read implements io.Reader, with tailer.ErrQuiet after each pause.
func (f *followReader) Read(p []byte) (int, error) {
	if len(f.line) == 0 {
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, f.line)
	f.line = f.line[n:]
	return n, nil
}

func (f *followReader) next() error {
	var quiet <-chan time.Time
	if f.new {
		timer := time.NewTimer(f.wait)
		defer timer.Stop()
		quiet = timer.C
	}
	select {
	case <-f.ctx.Done():
		return io.EOF
	case <-quiet:
		f.new = false
		return tailer.ErrQuiet
	case line, ok := <-f.t.Lines:
		switch {
		case !ok && f.t.Err() != nil:
			return f.t.Err()
		case !ok:
			return io.EOF
		case line.Err != nil:
			return errors.Join(errors.New("reading the file"), line.Err)
		}
		f.line, f.new = append(append(f.line[:0], line.Text...), '\n'), true
		return nil
	}
}
