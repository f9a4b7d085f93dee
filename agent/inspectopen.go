package agent

import (
	"bufio"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"shiplog/tailer"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// OpenLog opens a log file for reading. A compressed one (gzip, zstd, bzip2; told
// by its first bytes) is read as what is in it. Its application can still rename
// and delete it.
func OpenLog(path string) (io.ReadCloser, error) {
	fi, err := os.Stat(path)
	if err == nil && fi.IsDir() {
		err = fmt.Errorf("%s is a folder: name the files in it", path)
	}
	if err != nil {
		return nil, err
	}
	open := openShared
	if !fi.Mode().IsRegular() {
		open = os.Open // a pipe is waited for
	}
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	r, done, err := Uncompressed(f)
	if err != nil {
		return nil, errors.Join(&fs.PathError{Op: "read", Path: path, Err: err}, f.Close())
	}
	return &openLog{r, done, f}, nil
}

// openLog is an open log file, as it is or uncompressed.
type openLog struct {
	io.Reader
	done func()
	file *os.File
}

// Close closes the file.
func (l *openLog) Close() error {
	l.done()
	return l.file.Close()
}

// compressionOf tells how the file at path is compressed, by its first bytes: "" for
// not at all. Its error wraps tailer.ErrCompression for a way that is not read.
func compressionOf(path string) (string, error) {
	f, err := openShared(path)
	if err != nil {
		return "", err
	}
	head := make([]byte, 10)
	n, err := io.ReadFull(f, head)
	if err = errors.Join(ignoreEnd(err), f.Close()); err != nil {
		return "", err
	}
	how, err := tailer.Compression(head[:n])
	if err != nil {
		return "", &fs.PathError{Op: "read", Path: path, Err: err}
	}
	return how, nil
}

// Uncompressed returns what is in a stream that may be compressed with gzip,
// zstd or bzip2, which its first bytes tell, and a function that gives up what
// the reader needs. What is compressed otherwise is an error, as for a run.
func Uncompressed(r io.Reader) (io.Reader, func(), error) {
	b := bufio.NewReader(r)
	head, err := b.Peek(10)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	nothing := func() {}
	how, err := tailer.Compression(head)
	if err != nil {
		return nil, nil, err
	}
	switch how {
	case "gzip":
		z, err := gzip.NewReader(b)
		return compressedReader{z}, nothing, err
	case "zstd":
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, nil, err
		}
		return compressedReader{z}, z.Close, nil
	case "bzip2":
		return compressedReader{bzip2.NewReader(b)}, nothing, nil
	}
	return b, nothing, nil
}

// compressedReader unpacks a stream, and says in words that it was cut off.
type compressedReader struct{ io.Reader }

// Read implements io.Reader.
func (r compressedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: the compressed data is still being written, or was cut off", err)
	}
	return n, err
}
