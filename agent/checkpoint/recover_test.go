package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"
	"time"
)

func horizon(topic string, offset int64) Horizon {
	return Horizon{Topic: topic, From: map[int32]int64{0: offset, 7: 2 * offset}, Since: time.Unix(3, offset).UTC()}
}

// TestFormats reads what each version has written. The files of a version are
// made by it, and never changed.
func TestFormats(t *testing.T) {
	full := entry(1, 10)
	full.Path, full.Origin = "/var/log/pool cars\xff.log.1", "/var/log/pool cars\xff.log"
	full.Rotated, full.Gone, full.Found, full.Parser = true, time.Unix(5, 6).UTC(), time.Unix(7, 8).UTC(), []byte("#Fields: date time")
	withAhead := entry(2, 26)
	withAhead.Ahead = []Sent{{30, 40, 7}, {40, 41, 1 << 31}}
	for v, want := range map[int]struct {
		entries  []Entry
		horizons []Horizon
	}{
		1: {[]Entry{full, entry(2, 26), entry(4, 40)}, nil},
		2: {[]Entry{full, withAhead, entry(4, 40)}, []Horizon{horizon("applications.central_logging", 1000)}},
	} {
		dir := t.TempDir()
		must(t, os.CopyFS(dir, os.DirFS(fmt.Sprintf("testdata/v%d", v))))
		s := open2(t, dir, Options{})
		if !reflect.DeepEqual(s.Entries(), want.entries) || !reflect.DeepEqual(s.Horizons(), want.horizons) || !s.Clean() || len(s.Damaged()) > 0 {
			t.Errorf("version %d: entries %+v, horizons %+v, clean %v, damage %q", v, s.Entries(), s.Horizons(), s.Clean(), s.Damaged())
		}
		must(t, s.Close())
	}
}

// TestCleanEndDoesNotOutliveTheNextStart kills a run at once: what the run
// before it said of its end is no longer true.
func TestCleanEndDoesNotOutliveTheNextStart(t *testing.T) {
	dir := t.TempDir()
	s := open2(t, dir, Options{})
	must(t, s.Save([]Entry{entry(1, 5)}, nil))
	must(t, s.Close())
	must(t, open2(t, dir, Options{}).lock.Close()) // as a kill does it
	s = open2(t, dir, Options{})
	if s.Clean() || len(s.Entries()) != 1 {
		t.Errorf("clean %v, entries %v", s.Clean(), s.Entries())
	}
	must(t, s.Release())
	s = open2(t, dir, Options{})
	if s.Clean() {
		t.Error("a look at an unclean state made it clean")
	}
	must(t, s.Close())
	must(t, open2(t, dir, Options{}).Release())
	s = open2(t, dir, Options{})
	if !s.Clean() {
		t.Error("a look at a clean state made it unclean")
	}
	must(t, s.Close())
}

// TestCleanEndOnAFullDisk opens where nothing can be written.
func TestCleanEndOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	s := open2(t, dir, Options{})
	must(t, s.Save([]Entry{entry(1, 5)}, nil))
	must(t, s.Close())
	s = open2(t, dir, Options{FS: &faultFS{failAt: 1, fault: syscall.ENOSPC}}) // no temporary file
	if !s.Clean() {
		t.Error("the run before ended by Close")
	}
	must(t, s.lock.Close())
	s = open2(t, dir, Options{})
	if s.Clean() || len(s.Damaged()) > 0 || len(s.Entries()) != 1 {
		t.Errorf("clean %v, damage %q, entries %v", s.Clean(), s.Damaged(), s.Entries())
	}
	must(t, s.Close())
}

// TestRecordsBehindDamageCount damages one record of many.
func TestRecordsBehindDamageCount(t *testing.T) {
	dir := t.TempDir()
	s := open2(t, dir, Options{})
	var ends []int64
	for i := range int64(10) {
		s.SetHorizons([]Horizon{horizon("t", i)})
		must(t, s.Save([]Entry{entry(uint64(i)+1, i)}, nil))
		ends = append(ends, s.size)
	}
	must(t, s.Close())
	name := fileName(dir, s.current)
	good, err := os.ReadFile(name)
	must(t, err)
	for what, damage := range map[string]func(record []byte){
		"length":       func(r []byte) { r[1] ^= 1 },
		"great length": func(r []byte) { r[2] ^= 0x10 },
		"checksum":     func(r []byte) { r[5] ^= 1 },
		"content":      func(r []byte) { r[len(r)/3] ^= 1 },
		"zeros":        func(r []byte) { clear(r) },
	} {
		data := bytes.Clone(good)
		damage(data[ends[3]:ends[4]])
		sub := t.TempDir()
		must(t, os.WriteFile(filepath.Join(sub, filepath.Base(name)), data, 0o600))
		s := open2(t, sub, Options{})
		es := s.Entries()
		if len(es) != 9 || es[8].ID != 10 || len(s.Damaged()) != 1 || s.Clean() {
			t.Errorf("%s: entries %v, damage %q, clean %v", what, es, s.Damaged(), s.Clean())
		}
		if hs := s.Horizons(); len(hs) != 1 || hs[0].From[0] != 3 {
			t.Errorf("%s: horizons %v: want those from before the damage", what, hs)
		}
		must(t, s.Close())
	}
}

// TestDamagedFilesAreKept damages the checkpoint again and again.
func TestDamagedFilesAreKept(t *testing.T) {
	dir := t.TempDir()
	var last uint64
	for i := range int64(keptAside + 4) {
		s := open2(t, dir, Options{})
		must(t, s.Save([]Entry{entry(1, i)}, nil))
		must(t, s.Close())
		last = s.current
		data, err := os.ReadFile(fileName(dir, last))
		must(t, err)
		data[len(data)/2] ^= 1
		must(t, os.WriteFile(fileName(dir, last), data, 0o600))
	}
	must(t, open2(t, dir, Options{}).Close())
	names, err := filepath.Glob(filepath.Join(dir, asidePrefix+"*"))
	must(t, err)
	if want := filepath.Join(dir, fmt.Sprintf("%s%08d", asidePrefix, last)); len(names) != keptAside || names[keptAside-1] != want {
		t.Errorf("kept %v, want %d up to %s", names, keptAside, want)
	}
	if _, err := os.Stat(fileName(dir, last)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there (%v)", fileName(dir, last), err)
	}
}

func TestSentRefusesWhatCannotBe(t *testing.T) {
	for name, b := range map[string][]byte{
		"no checksum": {2, 1}, "no length": {2}, "empty range": {2, 0, 1, 2, 3, 4}, "before the file": {1, 1, 1, 2, 3, 4},
		"too long": append([]byte{2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, 1, 2, 3, 4),
	} {
		if s, err := decodeSent(b); err == nil {
			t.Errorf("%s: %v", name, s)
		}
	}
}
