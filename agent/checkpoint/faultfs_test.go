package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// faultFS is the system's file system, except that its n-th operation fails,
// and that it writes down what would be on disk after each. What is synced is
// only written down too: a crash is made of that, and disks take long.
type faultFS struct {
	osFS
	failAt int // 1 is the first; 0 none
	fault  error
	half   bool // a failing write gets half of its bytes down first
	calls  int
	writes []op
}

// op is a change to the disk, as a crash test replays it.
type op struct {
	kind string // create, write, sync, truncate, rename, remove, syncdir
	path string
	to   string
	data []byte
	size int64
}

func (f *faultFS) step() error {
	f.calls++
	if f.calls == f.failAt {
		return f.fault
	}
	return nil
}

func (f *faultFS) note(o op) { f.writes = append(f.writes, o) }

func (f *faultFS) Create(path string) (File, error) {
	if err := f.step(); err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	file, err := f.osFS.Create(path)
	f.note(op{kind: "create", path: path})
	return &faultFile{file, f, path}, err
}

func (f *faultFS) Append(path string) (File, error) {
	if err := f.step(); err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	file, err := f.osFS.Append(path)
	if err != nil {
		return nil, err
	}
	return &faultFile{file, f, path}, nil
}

func (f *faultFS) Rename(from, to string) error {
	if err := f.step(); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	f.note(op{kind: "rename", path: from, to: to})
	return f.osFS.Rename(from, to)
}

func (f *faultFS) Remove(path string) error {
	if err := f.step(); err != nil {
		return &os.PathError{Op: "remove", Path: path, Err: err}
	}
	f.note(op{kind: "remove", path: path})
	return f.osFS.Remove(path)
}

func (f *faultFS) SyncDir(dir string) error {
	if err := f.step(); err != nil {
		return &os.PathError{Op: "fsync", Path: dir, Err: err}
	}
	f.note(op{kind: "syncdir", path: dir})
	return nil
}

type faultFile struct {
	File
	fs   *faultFS
	path string
}

func (f *faultFile) Write(b []byte) (int, error) {
	if err := f.fs.step(); err != nil {
		n := 0
		if f.fs.half {
			var werr error
			n, werr = f.File.Write(b[:len(b)/2])
			err = errors.Join(err, werr)
			f.fs.note(op{kind: "write", path: f.path, data: append([]byte(nil), b[:n]...)})
		}
		return n, &os.PathError{Op: "write", Path: f.path, Err: err}
	}
	f.fs.note(op{kind: "write", path: f.path, data: append([]byte(nil), b...)})
	return f.File.Write(b)
}

func (f *faultFile) Sync() error {
	if err := f.fs.step(); err != nil {
		return &os.PathError{Op: "fsync", Path: f.path, Err: err}
	}
	f.fs.note(op{kind: "sync", path: f.path})
	return nil
}

func (f *faultFile) Truncate(size int64) error {
	if err := f.fs.step(); err != nil {
		return &os.PathError{Op: "truncate", Path: f.path, Err: err}
	}
	f.fs.note(op{kind: "truncate", path: f.path, size: size})
	return f.File.Truncate(size)
}

func (f *faultFile) Close() error {
	err := f.fs.step()
	return errors.Join(err, f.File.Close())
}

// disk is what a directory holds, by file name.
type disk map[string][]byte

func (d disk) clone() disk {
	c := disk{}
	for k, v := range d {
		c[k] = append([]byte(nil), v...)
	}
	return c
}

func (d disk) apply(o op) {
	name := filepath.Base(o.path)
	switch o.kind {
	case "create":
		d[name] = nil
	case "write":
		d[name] = append(d[name], o.data...)
	case "truncate":
		d[name] = d[name][:o.size]
	case "rename":
		d[filepath.Base(o.to)] = d[name]
		delete(d, name)
	case "remove":
		delete(d, name)
	}
}

// put writes the files into dir.
func (d disk) put(dir string) error {
	for name, data := range d {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// newest returns the name of the newest generation.
func (d disk) newest() string {
	best := ""
	for name := range d {
		if strings.HasPrefix(name, filePrefix) && name > best {
			best = name
		}
	}
	return best
}
