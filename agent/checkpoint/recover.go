package checkpoint

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const filePrefix = "checkpoint."

func fileName(dir string, generation uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%s%08d", filePrefix, generation))
}

// recovered is what the files of a state directory say.
type recovered struct {
	entries map[uint64]Entry
	clean   bool
	next    uint64 // the number of the generation to write
	// The newest file, where it can be appended to.
	current uint64
	size    int64
	files   []uint64 // generations that are there, the newest first
	damage  []damage
}

// damage is a file that does not say all that it should.
type damage struct {
	generation uint64
	path       string
	reason     error
	torn       bool // a crash cut its end: expected
}

// recoverDir reads the generations in dir, the newest first, until it has a whole
// one. What is intact in a newer, damaged one counts too: each record was true
// when it was written.
func recoverDir(disk FS, dir string) (recovered, error) {
	r := recovered{entries: map[uint64]Entry{}, next: 1}
	names, err := disk.ReadDir(dir)
	if err != nil {
		return r, err
	}
	for _, n := range names {
		number, ok := strings.CutPrefix(n.Name(), filePrefix)
		if g, err := strconv.ParseUint(number, 10, 63); ok && err == nil {
			r.files = append(r.files, g)
		}
	}
	slices.SortFunc(r.files, func(a, b uint64) int { return cmp.Compare(b, a) })
	var newer []contents // damaged ones, the newest first
	for i, g := range r.files {
		r.next = max(r.next, g+1)
		path := fileName(dir, g)
		data, err := disk.ReadFile(path)
		var c contents
		if err == nil {
			c, err = decode(path, data)
		}
		var tooNew *VersionError
		if errors.As(err, &tooNew) {
			return r, err
		}
		if err != nil {
			r.damage = append(r.damage, damage{g, path, err, errors.Is(err, errTorn) && c.complete})
		} else if i == 0 {
			r.current, r.size = g, c.size
		}
		if i == 0 {
			r.clean = err == nil && c.clean
		}
		newer = append(newer, c)
		if c.complete {
			break
		}
	}
	for _, c := range slices.Backward(newer) {
		c.apply(r.entries)
	}
	return r, nil
}

// contents are the intact records of one file.
type contents struct {
	records  []rawRecord
	complete bool  // it holds a whole snapshot
	clean    bool  // it ends with the mark of an orderly end
	size     int64 // bytes up to the end of the last intact record
}

type rawRecord struct {
	t      recordType
	fields []byte
}

// decode returns the intact records at the beginning of data, and an error if
// they are not all.
func decode(path string, data []byte) (contents, error) {
	var c contents
	switch {
	case len(data) == 0:
		return c, errors.New("the file is empty")
	case len(data) < headerSize || !bytes.HasPrefix(data, []byte(magic)):
		return c, errors.New("not a checkpoint of shiplog")
	}
	if v := binary.LittleEndian.Uint32(data[len(magic):]); v > version {
		return c, &VersionError{Path: path, Version: v}
	} else if v == 0 {
		return c, errors.New("not a checkpoint of shiplog")
	}
	c.size = int64(headerSize)
	scratch := map[uint64]Entry{}
	for at := headerSize; at < len(data); {
		t, fields, n, err := nextFrame(data[at:])
		if err == nil {
			err = applyRecord(t, fields, scratch)
			clear(scratch)
		}
		if err != nil {
			return c, fmt.Errorf("at byte %d of %d: %w", at, len(data), err)
		}
		c.records = append(c.records, rawRecord{t, fields})
		c.complete = c.complete || t == typeComplete
		c.clean = t == typeClean
		at += n
		c.size = int64(at)
	}
	if !c.complete {
		return c, errors.New("its snapshot is not whole")
	}
	return c, nil
}

func (c *contents) apply(entries map[uint64]Entry) {
	for _, r := range c.records {
		if err := applyRecord(r.t, r.fields, entries); err != nil {
			return // decode has seen that it is well formed
		}
	}
}

// ReadOnly returns the entries in dir without taking the lock or changing
// anything; an agent may be at work there. It fails where there is no
// directory, or a newer shiplog wrote it.
func ReadOnly(dir string) ([]Entry, error) {
	r, err := recoverDir(osFS{}, dir)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("no state in %s: no agent has run with this state_dir (%w)", dir, err)
		}
		return nil, fmt.Errorf("state in %s: %w", dir, err)
	}
	return sorted(r.entries), nil
}
