package tailer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// content is what a source reads: a file as it lies on disk, or the stream that
// a compressed one holds. All offsets are those of the stream.
type content interface {
	io.ReaderAt
	io.Closer
	// look says how the content stands. It may read ahead.
	look() (look, error)
	// hold says that nothing before at is asked for again, except the head.
	hold(at int64)
}

// look is what a look at a content found.
type look struct {
	size  int64 // bytes there to be read, as far as that is known
	raw   int64 // bytes on disk
	mtime time.Time
	links int
	// packed says that it is compressed; whole, that size is all there is; and
	// broken, why there is nothing to be had after size.
	packed, whole bool
	broken        error
}

// Seal says where the stream of a compressed file ends, as long as that file
// has not changed since: so that it need not be unpacked to see that there is
// nothing new. The zero Seal says nothing.
type Seal struct {
	Size    int64     // bytes on disk
	ModTime time.Time // last change
	End     int64     // bytes of the uncompressed stream
}

// fits reports whether the seal is of a file of that size and time.
func (s Seal) fits(size int64, mtime time.Time) bool {
	return s.Size > 0 && s.Size == size && s.ModTime.Equal(mtime)
}

// plain is a file that is read as it lies on disk.
type plain struct {
	*os.File
	disk io.ReaderAt // the file itself, unless Options.ReadThrough stands before it
}

func (p plain) ReadAt(b []byte, at int64) (int, error) { return p.disk.ReadAt(b, at) }

func (p plain) look() (look, error) {
	fi, err := p.Stat()
	if err != nil {
		return look{}, err
	}
	return look{size: fi.Size(), raw: fi.Size(), mtime: fi.ModTime(), links: links(p.File, fi)}, nil
}

func (plain) hold(int64) {}

// openRegular opens the file at path, which has to be a regular one.
func openRegular(path string) (*os.File, os.FileInfo, error) {
	f, err := openShared(path)
	if err != nil {
		return nil, nil, err
	}
	fi, err := f.Stat()
	if err == nil && !fi.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", path, errNotRegular)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, fi, nil
}

// contentOf makes the content of a file that was opened and takes it over. It
// will be read from at on; a line has at most limit bytes.
func contentOf(f *os.File, fi os.FileInfo, at int64, limit int) (content, error) {
	return contentThrough(f, f, fi, at, limit)
}

// contentThrough is contentOf for a file that is read through disk.
func contentThrough(f *os.File, disk io.ReaderAt, fi os.FileInfo, at int64, limit int) (content, error) {
	p := plain{f, disk}
	c, err := sniff(p, fi.Size())
	switch {
	case err != nil:
		return nil, errors.Join(err, f.Close())
	case c == notPacked:
		return p, nil
	}
	return newPacked(p, fi, c, at, limit), nil
}

// errMoved says that a file was renamed or removed since its folder was listed.
var errMoved = errors.New("renamed or removed since its folder was listed")

// openAt opens the file that was seen at path under that key, to be read from
// its beginning. It fails with errMoved if it is no longer there.
func openAt(path string, key fileKey) (content, error) {
	f, fi, err := openRegular(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %w", errMoved, err)
	case err != nil:
		return nil, err
	case keyOf(f, fi) != key:
		return nil, errors.Join(fmt.Errorf("%s: %w", path, errMoved), f.Close())
	}
	return contentOf(f, fi, 0, 0)
}

// openContent opens what lies at path, to be read from its beginning.
func openContent(path string) (content, error) {
	f, fi, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	return contentOf(f, fi, 0, 0)
}
