package shipper

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// scanChunk is how much of a dead letter file is read at once.
const scanChunk = 256 << 10

// Letter is a line of a dead letter file, and what it says.
type Letter struct {
	DeadLetter
	// At is where the line begins in its file, in bytes.
	At int64
	// Raw is the line without its newline, valid until the next one is read.
	Raw []byte
	// Err is why the line is no dead letter; nothing else is valid then but At and Raw.
	Err error
}

// ReadDeadLetters calls each with every letter of the dead letter file at path,
// the oldest first, also with those that a replay has set aside. What is no
// letter is given with its Err. A file that is not there has no letters. It may
// be called at any time; a letter that a replay moves meanwhile may be missed.
func ReadDeadLetters(path string, each func(*Letter) error) error {
	for _, name := range []string{asidePath(path), path} {
		if err := readLetters(name, each); err != nil {
			return err
		}
	}
	return nil
}

// ReadLastDeadLetters is ReadDeadLetters for the last size bytes of each of the
// two files, without what is no letter.
func ReadLastDeadLetters(path string, size int64, each func(*Letter) error) error {
	for _, name := range []string{asidePath(path), path} {
		err := readLettersFrom(name, func(end int64) int64 { return max(0, end-size) }, func(l *Letter) error {
			if l.Err != nil { // the first may be a part of one
				return nil
			}
			return each(l)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func readLetters(path string, each func(*Letter) error) error {
	return readLettersFrom(path, func(int64) int64 { return 0 }, each)
}

// readLettersFrom reads the letters from an offset on that the file's size gives.
func readLettersFrom(path string, from func(size int64) int64, each func(*Letter) error) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read dead letters: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("read dead letters: %w", err)
	}
	return eachLetterFrom(f, from(info.Size()), info.Size(), each)
}

// eachLetter reads the first size bytes of f. What follows the last newline is
// a letter that is just being written, or was torn, and is left out.
func eachLetter(f io.ReaderAt, size int64, each func(*Letter) error) error {
	return eachLetterFrom(f, 0, size, each)
}

func eachLetterFrom(f io.ReaderAt, from, size int64, each func(*Letter) error) error {
	return eachLine(f, from, size, func(at int64, line []byte) error {
		l := Letter{At: at, Raw: line}
		l.DeadLetter, l.Err = parseLetter(line)
		return each(&l)
	})
}

// eachLine calls fn with each whole line of f between the offsets from and to,
// newline cut. A line is valid until fn returns.
func eachLine(f io.ReaderAt, from, to int64, fn func(at int64, line []byte) error) error {
	r := bufio.NewReaderSize(io.NewSectionReader(f, from, to-from), scanChunk)
	var long []byte // a line longer than the reader's memory
	for at := from; ; {
		part, err := r.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			long = append(long, part...)
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read dead letters: %w", err)
		}
		line := part
		if len(long) > 0 {
			long = append(long, part...)
			line = long
		}
		if err := fn(at, line[:len(line)-1]); err != nil {
			return err
		}
		at += int64(len(line))
		long = long[:0]
	}
}

// census is what is known of a file of letters. It is looked at anew as a whole
// when the file is another one, or was changed by somebody else.
type census struct {
	info  fs.FileInfo // nil: there is no file
	count int64       // whole lines
	due   int64       // of them, owed to the topic
	first int64       // no letter before this offset is due
}

func (c *census) size() int64 {
	if c.info == nil {
		return 0
	}
	return c.info.Size()
}

// update makes c true for f.
func (c *census) update(f letterFile) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if c.info != nil && os.SameFile(c.info, info) && c.info.Size() == info.Size() {
		return nil
	}
	fresh := census{info: info, first: info.Size()}
	err = eachStart(f, info.Size(), func(at int64, due bool) {
		fresh.count++
		if due {
			fresh.due++
			fresh.first = min(fresh.first, at)
		}
	})
	if err == nil {
		*c = fresh
	}
	return err
}

// eachStart calls fn for each whole line of f, without holding one in memory.
func eachStart(f io.ReaderAt, size int64, fn func(at int64, due bool)) error {
	r := bufio.NewReaderSize(io.NewSectionReader(f, 0, size), scanChunk)
	for at := int64(0); ; {
		start, _ := r.Peek(len(duePrefix)) // what cannot be read is met below
		due := bytes.Equal(start, duePrefix)
		length := 0
		for {
			part, err := r.ReadSlice('\n')
			length += len(part)
			if err == nil {
				break
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			if !errors.Is(err, bufio.ErrBufferFull) {
				return err
			}
		}
		fn(at, due)
		at += int64(length)
	}
}
