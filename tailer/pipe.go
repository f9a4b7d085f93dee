package tailer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// pipe follows one named pipe. It has no past: what was read and not
// acknowledged when the agent dies is gone, and its offsets count from the
// start of the reading.
type pipe struct {
	src      source
	skipping bool // the rest of a line that was longer than the limit
	stop     context.CancelFunc
	done     sync.WaitGroup

	// in is the input that asks for the pipe, which its reader takes up; nil:
	// none does. Then leave ends the reading, but not what is being handed over.
	in      atomic.Pointer[input]
	reading context.Context
	leave   context.CancelFunc
	ended   chan struct{} // closed when nobody reads it any more
}

// pipeRetry is the time between two attempts at opening or reading a pipe.
const pipeRetry = time.Second

// followPipe starts reading a named pipe that a scan found, once.
func (t *Tailer) followPipe(ctx context.Context, c *candidate) {
	if p := t.pipes[c.name]; p != nil {
		select {
		case <-p.ended: // it was asked for no more, and is again
		default:
			return
		}
	}
	ctx, stop := context.WithCancel(ctx)
	in := t.inputs[c.input]
	p := &pipe{stop: stop, ended: make(chan struct{}), src: source{
		id: t.newID(), stream: streamOf(c.name), in: in, origin: c.name, path: c.path, limit: in.MaxLineBytes,
	}}
	p.in.Store(in)
	p.reading, p.leave = context.WithCancel(ctx)
	t.pipes[c.name] = p
	if t.o.Once {
		t.postPipe(p, "unreadable", "a named pipe has no end: it is not read with --once")
		return
	}
	t.postPipe(p, "pipe", "")
	p.done.Go(func() { t.runPipe(ctx, p) })
}

func (t *Tailer) stopPipes() {
	for _, p := range t.pipes {
		p.stop()
	}
	for _, p := range t.pipes {
		p.done.Wait()
	}
}

// runPipe reads the pipe until ctx ends, opening it again when that fails.
func (t *Tailer) runPipe(ctx context.Context, p *pipe) {
	defer close(p.ended)
	said := ""
	for p.reading.Err() == nil {
		err := t.drainPipe(ctx, p)
		if err != nil && p.reading.Err() == nil && said != err.Error() {
			said = err.Error()
			t.log.Warn("named pipe cannot be read; it is tried again [file-unreadable]", "path", p.src.path, "error", err)
			t.postPipe(p, "unreadable", said)
		}
		select {
		case <-p.reading.Done():
		case <-time.After(pipeRetry):
		}
	}
	if ctx.Err() == nil {
		t.unpost(p.src.id)
		t.log.Info("named pipe is read no more: no input asks for it", "path", p.src.path)
	}
}

// readdressPipes gives the pipes to the inputs that ask for them now.
func (t *Tailer) readdressPipes() {
	for name, p := range t.pipes {
		in := t.wanting(name, name)
		p.in.Store(in)
		if in == nil {
			p.leave()
		}
	}
}

// takeUp has what follows read by the input that asks for the pipe now.
func (p *pipe) takeUp() {
	if in := p.in.Load(); in != nil && in != p.src.in {
		p.src.in, p.src.limit, p.src.gathering = in, in.MaxLineBytes, gathering{}
	}
}

// drainPipe reads lines until the pipe fails. The read end is opened for
// writing as well, so that it neither waits for a writer nor ends when the last
// one leaves. A read ends when ctx does, or when nobody asks for the pipe.
func (t *Tailer) drainPipe(ctx context.Context, p *pipe) error {
	f, err := openPipe(p.src.path)
	if err != nil {
		return err
	}
	defer context.AfterFunc(p.reading, func() { f.SetReadDeadline(time.Unix(1, 0)) })()
	t.postPipe(p, "pipe", "")
	return errors.Join(t.readPipe(ctx, p, f), f.Close())
}

// readPipe hands over what comes, a block for each read.
func (t *Tailer) readPipe(ctx context.Context, p *pipe, f *os.File) error {
	buf := make([]byte, 0, t.o.BlockBytes)
	for {
		if len(buf) == cap(buf) {
			grown := make([]byte, len(buf), 2*cap(buf))
			copy(grown, buf)
			buf = grown
		}
		if p.src.gathering.open.lines > 0 { // it is complete when nothing comes for a while
			if err := f.SetReadDeadline(time.Now().Add(p.src.in.JoinWait)); err != nil {
				return err
			}
			if p.reading.Err() != nil { // whose own deadline this may have replaced
				return nil
			}
		}
		n, err := f.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		p.takeUp()
		quiet := errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil
		rest, herr := t.handPipe(ctx, p, buf, quiet)
		if herr != nil {
			return herr
		}
		buf = append(buf[:0], rest...)
		if cap(buf) > t.o.BlockBytes && len(buf) < t.o.BlockBytes/2 {
			buf = append(make([]byte, 0, t.o.BlockBytes), buf...)
		}
		if err != nil && !quiet {
			return fmt.Errorf("read %s: %w", p.src.path, err)
		}
		if err := f.SetReadDeadline(time.Time{}); err != nil || p.reading.Err() != nil {
			return err
		}
	}
}

// handPipe hands over the entries in buf and returns what is left of it. quiet
// says that no more of the open entry came.
func (t *Tailer) handPipe(ctx context.Context, p *pipe, buf []byte, quiet bool) ([]byte, error) {
	s := &p.src
	if s.gathering.decoder == nil && !p.recognise(&s.in.form, buf) {
		return buf, nil
	}
	if p.skipping { // the rest of a line that was longer than the limit
		_, end := s.gathering.decoder.newline(buf, s.off)
		if end < 0 {
			end = len(buf) - s.gathering.decoder.width + 1 // the last byte may be half of a newline
			s.off += int64(end)
			return buf[end:], nil
		}
		p.skipping = false
		buf = buf[end:]
		s.off += int64(end)
	}
	b := &Block{File: s.id, Stream: s.stream, Input: &s.in.Input, Origin: s.origin, Path: s.path, Start: s.off, Volatile: true, base: s.off}
	b.mem = append([]byte(nil), buf...)
	g := t.reader.gatherer(s)
	g.b = b
	g.cutBlock(b.mem, s.off, p.in.Load() == nil) // a line that nobody will read on is one as it is
	if rest := b.mem[g.e.seen-s.off:]; len(rest) > g.room() {
		g.line(b.mem, s.off, len(b.mem)-len(rest), len(b.mem), len(b.mem), Truncated)
		p.skipping = true
	} else if quiet {
		g.emit(b.mem, s.off)
	}
	rest := b.mem[g.done()-s.off:]
	s.off, s.gathering.open = g.done(), g.e
	b.End = s.off
	if len(b.Entries) > 0 {
		if err := t.reader.handle(ctx, b); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

// recognise finds out what the pipe's text is encoded in. It is false where more
// has to come.
func (p *pipe) recognise(f *form, buf []byte) bool {
	c := f.codec
	if c == nil {
		if c = recognise(buf, false); c == nil {
			return false
		}
		if c == utf8Codec {
			c = f.otherwise
		}
	}
	p.src.gathering.decoder = newDecoder(c)
	return true
}

func (t *Tailer) postPipe(p *pipe, state, reason string) {
	t.status.set(p.src.id, Status{ID: p.src.id, Input: &p.src.in.Input, Path: p.src.path, Origin: p.src.origin, State: state, Reason: reason, Open: state == "pipe"})
}

// openPipe opens a named pipe for reading; see drainPipe.
func openPipe(path string) (*os.File, error) {
	f, err := os.OpenFile(path, pipeFlags, 0)
	if err != nil {
		return nil, err
	}
	fi, err := f.Stat()
	if err == nil && fi.Mode()&fs.ModeNamedPipe == 0 {
		err = fmt.Errorf("%s is no named pipe any more", path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
