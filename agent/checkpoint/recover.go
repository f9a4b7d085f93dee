package checkpoint

import (
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
	entries   map[uint64]Entry
	horizons  []Horizon
	committed Committed
	clean     bool
	next      uint64   // the number of the generation to write
	files     []uint64 // generations that are there, the newest first
	size      int64    // intact bytes of the newest, up to the first damage
	damage    []damage
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
		}
		if i == 0 {
			r.clean, r.size = err == nil && c.clean, c.size
		}
		newer = append(newer, c)
		if c.complete {
			break
		}
	}
	for _, c := range slices.Backward(newer) {
		c.apply(&r)
	}
	return r, nil
}

// contents are the intact records of one file.
type contents struct {
	records  []rawRecord
	complete bool  // it holds a whole snapshot
	clean    bool  // it ends with the mark of an orderly end
	size     int64 // bytes up to the first that is not intact
	sound    int   // records up to there
}

type rawRecord struct {
	t      recordType
	fields []byte
}

// decode returns the intact records of data, also those behind a damaged one,
// and an error, that of the first damage, if they are not all.
func decode(path string, data []byte) (contents, error) {
	var c contents
	at, damaged := readHeader(path, data)
	var tooNew *VersionError
	if errors.As(damaged, &tooNew) {
		return c, damaged
	}
	c.size = int64(at)
	for at < len(data) {
		t, fields, n, err := intactFrame(data[at:])
		if err != nil {
			if damaged == nil {
				damaged = fmt.Errorf("at byte %d of %d: %w", at, len(data), err)
			}
			if at = nextIntact(data, at+1); at < len(data) && errors.Is(damaged, errTorn) {
				damaged = errors.New("records before the last one are damaged")
			}
			continue
		}
		c.records = append(c.records, rawRecord{t, fields})
		at += n
		if damaged == nil {
			c.complete = c.complete || t == typeComplete
			c.clean = t == typeClean
			c.size, c.sound = int64(at), len(c.records)
		}
	}
	if damaged == nil && !c.complete {
		damaged = errors.New("its snapshot is not whole")
	}
	return c, damaged
}

// intactFrame is nextFrame for a record whose fields are what they should be, too.
func intactFrame(data []byte) (t recordType, fields []byte, size int, err error) {
	t, fields, size, err = nextFrame(data)
	switch {
	case err != nil:
	case t == typeHorizons:
		_, _, err = decodeHorizons(fields)
	default:
		err = applyRecord(t, fields, map[uint64]Entry{})
	}
	return t, fields, size, err
}

// nextIntact returns where the next intact record begins, at offset at or
// behind it; len(data) if there is none.
func nextIntact(data []byte, at int) int {
	for ; at+frameSize < len(data); at++ {
		n := binary.LittleEndian.Uint32(data[at:])
		if n == 0 || n > maxRecord || int(n) > len(data)-at-frameSize {
			continue
		}
		if t := recordType(data[at+frameSize]); t == 0 || t > lastType {
			continue // half of a checksum is found by chance: a known type has to be there
		}
		if _, _, _, err := intactFrame(data[at:]); err == nil {
			return at
		}
	}
	return len(data)
}

// apply carries the records out. Entries count wherever they are: an older one
// means sending again, never skipping. A horizon counts only with all records
// before it: it is true for their entries.
func (c *contents) apply(r *recovered) {
	for i, rec := range c.records {
		if rec.t != typeHorizons {
			if err := applyRecord(rec.t, rec.fields, r.entries); err != nil {
				return // decode has seen that it is well formed
			}
			continue
		}
		if hs, committed, err := decodeHorizons(rec.fields); err == nil && c.complete && i < c.sound {
			r.horizons, r.committed = hs, committed
		}
	}
}

// ReadOnly returns the entries in dir without taking the lock or changing
// anything; an agent may be at work there. It fails where there is no
// directory, or a newer shiplog wrote it.
func ReadOnly(dir string) ([]Entry, error) {
	r, err := readOnly(dir)
	if err != nil {
		return nil, err
	}
	return sorted(r.entries), nil
}

// ReadOnlyHorizons returns the saved horizons, as ReadOnly does the entries.
func ReadOnlyHorizons(dir string) ([]Horizon, error) {
	r, err := readOnly(dir)
	if err != nil {
		return nil, err
	}
	return r.horizons, nil
}

func readOnly(dir string) (recovered, error) {
	r, err := recoverDir(osFS{}, dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("no state in %s: no agent has run with this state_dir (%w) [state-none]", dir, err)
	case err != nil:
		err = fmt.Errorf("state in %s: %w", dir, err)
	}
	return r, err
}
