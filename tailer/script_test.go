package tailer

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// TestScripts runs the scripts in testdata/rotate. Each is a trouble that users
// of log shippers have had, or that this package has had, and is named after it.
// A line is a command; what follows # is a remark.
//
//	patterns P…          what is followed; first line only, default *.log
//	start                run a tailer from what the last one left
//	stop, crash          end it; a crash forgets what was read and not yet handed over
//	write NAME TEXT      make a file anew, under a new inode
//	append NAME TEXT     add to it
//	rename, copy FROM TO
//	truncate NAME        to nothing
//	remove NAME
//	gzip, zstd FROM TO   compress, keeping the time as the tools do; FROM goes
//	gzip-more FROM TO    the same, as one more member of TO
//	forget NAME          lose the checkpoint of the file that lies there
//	expect NAME TEXT A-B the next line, the name its file had first, its range
//	expect-any TEXT…     the next lines, in any order
//	expect-nothing       no line comes
//	expect-event KIND    an event of that kind, or a way of rotation, is told
//
// TEXT is quoted as in Go; %N repeats the byte before it N times.
func TestScripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/rotate/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			runScript(t, path, string(text))
		})
	}
}

// script is a script being run.
type script struct {
	*rig
	got int // lines that were expected so far
}

func runScript(t *testing.T, path, text string) {
	s := &script{}
	for n, raw := range strings.Split(text, "\n") {
		words, err := splitCommand(raw)
		if err != nil {
			t.Fatalf("%s:%d: %v", path, n+1, err)
		}
		if len(words) == 0 {
			continue
		}
		if s.rig == nil {
			if words[0] == "patterns" {
				s.rig = newRig(t, words[1:]...)
				continue
			}
			s.rig = newRig(t)
		}
		if err := s.run(words); err != nil {
			t.Fatalf("%s:%d: %s: %v\nlines so far %q\nfiles %+v", path, n+1, raw, err, s.texts(), s.tailer.Files())
		}
	}
}

// splitCommand cuts a line at its spaces, and unquotes.
func splitCommand(line string) (words []string, err error) {
	for line = strings.TrimSpace(line); line != "" && line[0] != '#'; line = strings.TrimSpace(line) {
		if line[0] != '"' {
			word, rest, _ := strings.Cut(line, " ")
			words, line = append(words, word), rest
			continue
		}
		quoted, err := strconv.QuotedPrefix(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", line, err)
		}
		word, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, err
		}
		words, line = append(words, repeat(word)), line[len(quoted):]
	}
	return words, nil
}

// repeat carries out %N.
func repeat(text string) string {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, "%")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		digits := len(after) - len(strings.TrimLeft(after, "0123456789"))
		n, err := strconv.Atoi(after[:digits])
		if err == nil && before != "" {
			out.WriteString(strings.Repeat(before[len(before)-1:], n-1))
		}
		text = after[digits:]
	}
}

func (s *script) run(words []string) error {
	args := words[1:]
	switch words[0] {
	case "start":
		s.start()
	case "stop", "crash":
		s.stop()
	case "write":
		return s.writeAnew(args[0], args[1])
	case "append":
		s.append(args[0], args[1])
	case "rename":
		return os.Rename(s.path(args[0]), s.path(args[1]))
	case "copy":
		data, err := os.ReadFile(s.path(args[0]))
		if err != nil {
			return err
		}
		return os.WriteFile(s.path(args[1]), data, 0o600)
	case "truncate":
		return os.Truncate(s.path(args[0]), 0)
	case "remove":
		return os.Remove(s.path(args[0]))
	case "gzip", "gzip-more", "zstd":
		return s.compress(words[0], s.path(args[0]), s.path(args[1]))
	case "forget":
		for id, state := range s.states {
			if state.Path == s.path(args[0]) {
				delete(s.states, id)
			}
		}
	case "expect":
		return s.expect(args[0], args[1], args[2])
	case "expect-any":
		return s.expectAny(args)
	case "expect-nothing":
		return s.expectNothing()
	case "expect-event":
		return s.expectEvent(args[0])
	default:
		return fmt.Errorf("no such command")
	}
	return nil
}

// writeAnew makes a file under an inode of its own, as applications do: the old
// one is there as long as the new one is not complete.
func (s *script) writeAnew(name, text string) error {
	path := s.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	aside := filepath.Join(filepath.Dir(s.dir), filepath.Base(path))
	if err := os.WriteFile(aside, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(aside, path)
}

// compress does what gzip and zstd do: the time is kept, the original goes once
// its compressed form is complete.
func (s *script) compress(how, from, to string) error {
	fi, err := os.Stat(from)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	flags := os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	if how == "gzip-more" {
		flags = os.O_WRONLY | os.O_APPEND
	}
	f, err := os.OpenFile(to, flags, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(compressed(how, data)); err == nil {
		err = f.Close()
	}
	if err == nil {
		err = os.Chtimes(to, time.Time{}, fi.ModTime())
	}
	if err != nil {
		return err
	}
	return os.Remove(from)
}

func compressed(how string, data []byte) []byte {
	var out bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&out)
	if how == "zstd" {
		z, err := zstd.NewWriter(&out)
		if err != nil {
			panic(err)
		}
		w = z
	}
	if _, err := w.Write(data); err != nil {
		panic(err) // a buffer does not fail
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func (s *script) expect(name, text, span string) error {
	s.got++
	if err := s.await(s.got); err != nil {
		return err
	}
	s.mu.Lock()
	l := s.lines[s.got-1]
	s.mu.Unlock()
	if got := fmt.Sprintf("%d-%d", l.start, l.end); l.text != text || l.origin != name || got != span {
		return fmt.Errorf("got %s %.60q %s", l.origin, l.text, got)
	}
	return nil
}

func (s *script) expectAny(texts []string) error {
	s.got += len(texts)
	if err := s.await(s.got); err != nil {
		return err
	}
	got := s.texts()[s.got-len(texts) : s.got]
	for _, want := range texts {
		if !strings.Contains("\x00"+strings.Join(got, "\x00")+"\x00", "\x00"+want+"\x00") {
			return fmt.Errorf("got %q", got)
		}
	}
	return nil
}

func (s *script) await(n int) error {
	for end := time.Now().Add(90 * time.Second); len(s.texts()) < n; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("waited in vain")
		}
	}
	return nil
}

// expectNothing gives a line that must not come the time of several scans.
func (s *script) expectNothing() error {
	for end := time.Now().Add(20 * s.o.RescanInterval); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if got := s.texts(); len(got) > s.got {
			return fmt.Errorf("got %.200q", got[s.got:])
		}
	}
	return nil
}

func (s *script) expectEvent(kind string) error {
	for end := time.Now().Add(90 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		s.mu.Lock()
		for _, e := range s.events {
			if string(e.Kind) == kind || string(e.Rotation) == kind {
				s.mu.Unlock()
				return nil
			}
		}
		events := fmt.Sprintf("%+v", s.events)
		s.mu.Unlock()
		if time.Now().After(end) {
			return fmt.Errorf("waited in vain; %s", events)
		}
	}
}
