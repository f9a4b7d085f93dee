package shipper

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// errCrash is what every operation answers after the n-th: the process is gone
// as far as the disk is concerned.
var errCrash = errors.New("crashed")

// faultLetterFS is the system's file system, except that its operation number
// failAt, from 1, fails with fault. With a crash so do all that follow.
type faultLetterFS struct {
	osLetterFS
	failAt int
	fault  error
	match  string // only operations on paths that contain it count
	half   bool   // a failing write gets half of its bytes down first
	calls  int

	unsynced map[string]bool // files with bytes that a power loss could take
	names    bool            // so with names
	unsafe   []string        // what was done before that was on disk
}

// wrote notes bytes that are not on disk yet.
func (f *faultLetterFS) wrote(path string) {
	if f.unsynced == nil {
		f.unsynced = make(map[string]bool)
	}
	f.unsynced[path] = true
}

// lasting returns what a power loss could undo, or could have undone.
func (f *faultLetterFS) lasting() []string {
	all := f.unsafe
	for path := range f.unsynced {
		all = append(all, "bytes of "+path)
	}
	if f.names {
		all = append(all, "names")
	}
	return all
}

func (f *faultLetterFS) step(path string) error {
	if !strings.Contains(path, f.match) {
		return nil
	}
	f.calls++
	if f.calls == f.failAt || f.failAt > 0 && f.calls > f.failAt && errors.Is(f.fault, errCrash) {
		return f.fault
	}
	return nil
}

func (f *faultLetterFS) OpenFile(path string, flag int) (letterFile, error) {
	if err := f.step(path); err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	if _, err := os.Stat(path); err != nil && flag&os.O_CREATE != 0 {
		f.names = true
	}
	file, err := f.osLetterFS.OpenFile(path, flag)
	if err != nil {
		return nil, err
	}
	return &faultLetterFile{file, f, path}, nil
}

func (f *faultLetterFS) Rename(from, to string) error {
	if err := f.step(from); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	if f.unsynced[from] {
		f.unsafe = append(f.unsafe, "rename of "+from+", whose bytes are not on disk")
	}
	f.names = true
	return f.osLetterFS.Rename(from, to)
}

func (f *faultLetterFS) Remove(path string) error {
	if err := f.step(path); err != nil {
		return &os.PathError{Op: "remove", Path: path, Err: err}
	}
	if f.names {
		f.unsafe = append(f.unsafe, "removal of "+path+", while names are not on disk")
	}
	err := f.osLetterFS.Remove(path)
	f.names = f.names || err == nil
	delete(f.unsynced, path)
	return err
}

func (f *faultLetterFS) SyncDir(dir string) error {
	if err := f.step(dir); err != nil {
		return &os.PathError{Op: "fsync", Path: dir, Err: err}
	}
	f.names = false
	return f.osLetterFS.SyncDir(dir)
}

type faultLetterFile struct {
	letterFile
	fs   *faultLetterFS
	path string
}

func (f *faultLetterFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.fs.step(f.path); err != nil {
		return 0, &os.PathError{Op: "read", Path: f.path, Err: err}
	}
	return f.letterFile.ReadAt(p, off)
}

func (f *faultLetterFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.fs.step(f.path); err != nil {
		n := 0
		if f.fs.half {
			n, _ = f.letterFile.WriteAt(p[:len(p)/2], off)
		}
		return n, &os.PathError{Op: "write", Path: f.path, Err: err}
	}
	f.fs.wrote(f.path)
	return f.letterFile.WriteAt(p, off)
}

func (f *faultLetterFile) Stat() (fs.FileInfo, error) {
	if err := f.fs.step(f.path); err != nil {
		return nil, &os.PathError{Op: "stat", Path: f.path, Err: err}
	}
	return f.letterFile.Stat()
}

func (f *faultLetterFile) Sync() error {
	if err := f.fs.step(f.path); err != nil {
		return &os.PathError{Op: "fsync", Path: f.path, Err: err}
	}
	delete(f.fs.unsynced, f.path)
	return f.letterFile.Sync()
}

func (f *faultLetterFile) Truncate(size int64) error {
	if err := f.fs.step(f.path); err != nil {
		return &os.PathError{Op: "truncate", Path: f.path, Err: err}
	}
	return f.letterFile.Truncate(size)
}

// errFull is a full disk.
var errFull = syscall.ENOSPC
