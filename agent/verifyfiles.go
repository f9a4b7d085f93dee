package agent

import (
	"cmp"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"shiplog/agent/checkpoint"
	"shiplog/agent/config"
	"shiplog/tailer"
)

// onDisk is a file that is compared with the topics.
type onDisk struct {
	path        string
	input       int         // index into the inputs; -1: none wants this path
	asked       bool        // named, or wanted by an input: it has to be in the topics
	info        fs.FileInfo // as it was when the work began
	size        int64       // bytes then; of a compressed file those of its content, -1 until it was read
	compression string      // "", gzip, zstd, bzip2
	head        []byte      // the first bytes of the content, at most headBytes
	whole       bool        // head is all of it
	err         error       // it cannot be read
}

// headBytes is how much of each file's beginning is kept at hand. It holds what
// the tailer takes for a file's head.
const headBytes = 4 << 10

// inventory lists the files to compare: those that are named, else all that the
// inputs want and all that the checkpoint knows, rotated and compressed ones
// beside them included. It fails where what was asked for is not there.
func takeInventory(c *config.Config, entries []checkpoint.Entry, named []string) (*inventory, error) {
	inv := &inventory{c: c, seen: map[string]bool{}, folders: map[string][]string{}}
	if len(named) > 0 {
		for _, path := range named {
			abs, err := filepath.Abs(path)
			if err != nil {
				return nil, err
			}
			if err := inv.add(abs, true); err != nil {
				return nil, err
			}
		}
		return inv, nil
	}
	for i := range c.Inputs {
		for _, glob := range c.Inputs[i].Paths {
			paths, err := doublestar.FilepathGlob(filepath.Clean(glob), doublestar.WithFilesOnly())
			if err != nil {
				return nil, fmt.Errorf("look for %s: %w", glob, err)
			}
			for _, path := range paths {
				if inputOf(c, path) < 0 {
					continue // excluded
				}
				inv.addFound(path, true)
			}
		}
	}
	beside := map[string]bool{}
	for i := range entries {
		e := &entries[i]
		inv.addFound(e.Path, false)
		beside[e.Origin] = true
	}
	// Rotated files that no pattern matches are beside those that one matches.
	for _, f := range inv.files {
		beside[f.path] = true
	}
	for path := range beside {
		for _, generation := range inv.generations(path) {
			inv.addFound(generation, false)
		}
	}
	slices.SortStableFunc(inv.files, func(a, b *onDisk) int { return cmp.Compare(a.path, b.path) })
	return inv, nil
}

// inventory is what is on disk.
type inventory struct {
	c       *config.Config
	files   []*onDisk
	faults  []error             // places that patterns or the checkpoint name and that cannot be looked at
	seen    map[string]bool     // paths without symbolic links
	folders map[string][]string // the names of the regular files in a folder
}

// add takes a file in, once. It fails where there is none, or a folder.
func (v *inventory) add(path string, asked bool) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if v.seen[real] {
		return nil
	}
	fi, err := os.Stat(real)
	if err != nil {
		return err
	}
	if !fi.Mode().IsRegular() {
		if asked && fi.IsDir() {
			return fmt.Errorf("%s is a directory: name the files in it", path)
		}
		return nil // a pipe has no bytes to compare
	}
	v.seen[real] = true
	f := &onDisk{path: path, input: inputOf(v.c, path), asked: asked, info: fi, size: fi.Size()}
	f.err = f.look()
	v.files = append(v.files, f)
	return nil
}

// addFound is add for a file that nobody named. One that is gone, or a link to
// nothing, is none; one that cannot be looked at is noted, and is not proved where an
// input asks for it.
func (v *inventory) addFound(path string, asked bool) {
	switch err := v.add(path, asked); {
	case err == nil || errors.Is(err, fs.ErrNotExist):
	case asked:
		v.files = append(v.files, &onDisk{path: path, input: inputOf(v.c, path), asked: true, err: err})
	default:
		v.faults = append(v.faults, err)
	}
}

// generations returns the files beside path whose names begin like its own, as
// those of its rotated, and compressed, generations do.
func (v *inventory) generations(path string) (out []string) {
	dir, name := filepath.Split(path)
	stem := strings.TrimSuffix(name, filepath.Ext(name))
	names, known := v.folders[dir]
	if !known {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			v.faults = append(v.faults, err)
		}
		for _, e := range entries {
			if e.Type().IsRegular() {
				names = append(names, e.Name())
			}
		}
		v.folders[dir] = names
	}
	for _, n := range names {
		rest, alike := strings.CutPrefix(n, stem)
		if n != name && stem != "" && alike && rest != "" && strings.ContainsRune(".-_", rune(rest[0])) {
			out = append(out, filepath.Join(dir, n))
		}
	}
	return out
}

// inputOf returns the first input that wants path, -1 if none does.
func inputOf(c *config.Config, path string) int {
	for i := range c.Inputs {
		if in := &c.Inputs[i]; matches(in.Paths, path) && !matches(in.Exclude, path) {
			return i
		}
	}
	return -1
}

// excluded reports whether an input says that it does not want path.
func excluded(c *config.Config, path string) bool {
	return slices.ContainsFunc(c.Inputs, func(in config.Input) bool { return matches(in.Exclude, path) })
}

func matches(globs []string, path string) bool {
	return slices.ContainsFunc(globs, func(g string) bool { return tailer.MatchPath(g, path) })
}

// look reads the beginning of the file.
func (f *onDisk) look() error {
	var err error
	if f.compression, err = compressionOf(f.path); err != nil {
		return err
	}
	if f.compression != "" {
		f.size = -1
	}
	c, err := f.open()
	if err != nil {
		return err
	}
	f.head, err = c.read(nil, 0, headBytes)
	f.whole = len(f.head) < headBytes
	return errors.Join(err, c.close())
}

func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// errChanged says that a file is no longer the one that was listed.
var errChanged = errors.New("it was rotated, truncated or removed while it was verified: run verify again")

// open opens the content for reading at any offset.
func (f *onDisk) open() (*content, error) {
	file, err := openSame(f.path, f.info)
	if err != nil {
		return nil, err
	}
	c := &content{file: file, compression: f.compression}
	if err := c.rewind(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return c, nil
}

// openSame opens the file that was at path, under whatever name it has in its
// folder now, and so that its application can still rename and delete it.
func openSame(path string, fi fs.FileInfo) (*os.File, error) {
	if now, err := os.Stat(path); err == nil && os.SameFile(now, fi) {
		return openShared(path)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if now, err := e.Info(); err == nil && os.SameFile(now, fi) {
			return openShared(filepath.Join(filepath.Dir(path), e.Name()))
		}
	}
	return nil, errChanged
}

// content reads the raw bytes of a file, or what is in a compressed one. Going
// forward is cheap; going back in a compressed file begins it anew.
type content struct {
	file        *os.File
	compression string
	stream      io.Reader // of a compressed file
	release     func()
	at          int64  // of stream
	behind      []byte // the last bytes before at
}

// keptBehind is how far back a compressed file can be read without beginning
// anew.
const keptBehind = 64

func (c *content) rewind() error {
	if c.compression == "" {
		return nil
	}
	if c.release != nil {
		c.release()
		c.release = nil
	}
	if _, err := c.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	c.at, c.behind = 0, nil
	switch c.compression {
	case "gzip":
		z, err := gzip.NewReader(c.file)
		if err != nil {
			return err
		}
		c.stream = z
	case "zstd":
		z, err := zstd.NewReader(c.file, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return err
		}
		c.stream, c.release = z, z.Close
	case "bzip2":
		c.stream = bzip2.NewReader(c.file)
	}
	return nil
}

func (c *content) close() error {
	if c.release != nil {
		c.release()
	}
	return c.file.Close()
}

// read appends n bytes from offset start on to dst, fewer where the content ends.
func (c *content) read(dst []byte, start int64, n int) ([]byte, error) {
	from := len(dst)
	dst = slices.Grow(dst, n)[:from+n]
	if c.compression == "" {
		k, err := c.file.ReadAt(dst[from:], start)
		return dst[:from+k], ignoreEnd(err)
	}
	got, err := c.forward(dst[from:], start)
	return dst[:from+got], err
}

// forward is read for a compressed file.
func (c *content) forward(buf []byte, start int64) (int, error) {
	if start < c.at-int64(len(c.behind)) {
		if err := c.rewind(); err != nil {
			return 0, err
		}
	}
	for skip := start - c.at; skip > 0; skip = start - c.at {
		scratch := make([]byte, min(skip, 256<<10))
		n, err := c.next(scratch)
		if n == 0 || err != nil {
			return 0, err
		}
	}
	got := 0
	if back := int(c.at - start); back > 0 {
		got = copy(buf, c.behind[len(c.behind)-back:])
	}
	n, err := c.next(buf[got:])
	return got + n, err
}

// next reads on in the stream until buf is full or the stream ends. A file that
// was cut short is an error.
func (c *content) next(buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var k int
		k, err = c.stream.Read(buf[n:])
		n += k
	}
	c.at += int64(n)
	c.behind = append(c.behind, buf[max(0, n-keptBehind):n]...)
	c.behind = c.behind[max(0, len(c.behind)-keptBehind):]
	if err == io.EOF {
		err = nil
	}
	return n, err
}
