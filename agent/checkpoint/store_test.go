package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

func entry(id uint64, offset int64) Entry {
	return Entry{ID: id, Stream: id * 3, Path: fmt.Sprintf("/var/log/a%d\xff.log", id), Origin: fmt.Sprintf("/var/log/a%d\xff.log", id), Dev: 7, Ino: id,
		Head: Mark{1024, id}, Offset: offset, Tail: Mark{64, uint64(offset)}, Seen: time.Unix(1, int64(offset)).UTC()}
}

func open2(t testing.TB, dir string, o Options) *Store {
	t.Helper()
	s, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSavedIsThereAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s := open2(t, dir, Options{})
	if s.Clean() || len(s.Entries()) != 0 {
		t.Error("a new directory is neither clean nor full")
	}
	full := entry(1, 10)
	full.Origin, full.Rotated, full.Gone, full.Found = "/other", true, time.Unix(5, 6).UTC(), time.Unix(7, 8).UTC()
	full.Sealed, full.Amended = Seal{Size: 11, ModTime: time.Unix(9, 10).UTC(), End: 12}, 1<<63
	s.SetCommitted(Committed{ID: "shiplog-1", Number: 7, Left: true})
	must(t, s.Save([]Entry{full, entry(2, 20), entry(3, 30)}, nil))
	must(t, s.Save([]Entry{entry(2, 25)}, []uint64{3}))
	must(t, s.Close())
	s = open2(t, dir, Options{})
	if !s.Clean() {
		t.Error("the run before ended by Close")
	}
	if c := s.Committed(); c != (Committed{"shiplog-1", 7, true}) {
		t.Errorf("committed: %+v", c)
	}
	if want := []Entry{full, entry(2, 25)}; !reflect.DeepEqual(s.Entries(), want) {
		t.Errorf("got  %+v\nwant %+v", s.Entries(), want)
	}
	must(t, s.Save([]Entry{entry(2, 26)}, nil))
	must(t, s.lock.Close()) // as a kill does it
	s = open2(t, dir, Options{})
	if s.Clean() || s.Entries()[1].Offset != 26 {
		t.Error("a killed run counts as clean, or its save is not there")
	}
	must(t, s.Close())
	if runtime.GOOS != "windows" {
		for path, want := range map[string]os.FileMode{dir: 0o700, fileName(dir, s.current): 0o600, filepath.Join(dir, lockName): 0o600} {
			fi, err := os.Stat(path)
			if err != nil || fi.Mode().Perm() != want {
				t.Errorf("%s: mode %v, want %v (%v)", path, fi.Mode().Perm(), want, err)
			}
		}
	}
	entries, err := ReadOnly(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("ReadOnly: %v, %v", entries, err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTwoAgentsCannotShare(t *testing.T) {
	dir := t.TempDir()
	s := open2(t, dir, Options{})
	_, err := Open(dir, Options{})
	var locked *LockedError
	if !errors.As(err, &locked) || locked.PID != os.Getpid() || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("second Open: %v", err)
	}
	if _, err := ReadOnly(dir); err != nil {
		t.Errorf("ReadOnly beside an agent: %v", err)
	}
	must(t, s.Close())
	must(t, open2(t, dir, Options{}).Close())
}

// TestLockOfAKilledProcess holds the lock in another process, and kills it.
func TestLockOfAKilledProcess(t *testing.T) {
	if dir := os.Getenv("CHECKPOINT_LOCK_DIR"); dir != "" {
		open2(t, dir, Options{})
		fmt.Println("locked")
		select {}
	}
	if runtime.GOOS == "windows" {
		t.Skip("a killed process' lock goes at an unknown time there")
	}
	dir := t.TempDir()
	c := exec.Command(os.Args[0], "-test.run", "TestLockOfAKilledProcess")
	c.Env = append(os.Environ(), "CHECKPOINT_LOCK_DIR="+dir)
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	if _, err := out.Read(make([]byte, 6)); err != nil {
		t.Error(err)
	}
	var locked *LockedError
	if _, err := Open(dir, Options{}); !errors.As(err, &locked) || locked.PID != c.Process.Pid {
		t.Errorf("Open beside process %d: %v", c.Process.Pid, err)
	}
	must(t, c.Process.Kill())
	if err := c.Wait(); err == nil {
		t.Error("the process ended by itself")
	}
	must(t, open2(t, dir, Options{}).Close())
}

func TestCompaction(t *testing.T) {
	dir := t.TempDir()
	s := open2(t, dir, Options{CompactAt: 4000})
	for i := range int64(500) {
		must(t, s.Save([]Entry{entry(uint64(i%7)+1, i)}, nil))
	}
	must(t, s.Close())
	names, err := filepath.Glob(filepath.Join(dir, filePrefix+"*"))
	must(t, err)
	if len(names) != 1+kept {
		t.Errorf("files %v, want %d", names, 1+kept)
	}
	for _, n := range names {
		if fi, err := os.Stat(n); err != nil || fi.Size() > 6000 {
			t.Errorf("%s has %d bytes (%v)", n, fi.Size(), err)
		}
	}
	s = open2(t, dir, Options{})
	for _, e := range s.Entries() {
		if e.Offset < 493 {
			t.Errorf("entry %d is at %d", e.ID, e.Offset)
		}
	}
	must(t, s.Close())
}

// script is a run with many saves: growing offsets, removals and compactions.
// After each save it tells what was saved. The horizon goes with entry 1.
func script(s *Store, saved func(int64, error)) {
	for i := range int64(60) {
		var gone []uint64
		if i%10 == 9 {
			gone = []uint64{uint64(100 + i/10)}
		}
		s.SetHorizons([]Horizon{horizon("t", i)})
		saved(i, s.Save([]Entry{entry(1, i), entry(2, 2*i), entry(uint64(100+i/10), i)}, gone))
	}
}

// TestCrashAnywhere replays every prefix of what a run wrote to disk, the last
// write torn at each length, and whatever was not fsynced left out or not.
func TestCrashAnywhere(t *testing.T) {
	dir := t.TempDir()
	ffs := &faultFS{}
	s := open2(t, dir, Options{FS: ffs, CompactAt: 1500})
	after := map[int]int64{} // number of operations -> the last save that was done by then
	script(s, func(i int64, err error) {
		must(t, err)
		after[len(ffs.writes)] = i
	})
	ended := len(ffs.writes)
	must(t, s.Close())
	if len(ffs.writes) < 150 {
		t.Fatalf("only %d operations", len(ffs.writes))
	}
	at, last := disk{}, int64(-1)
	for i := 0; i <= len(ffs.writes); i++ {
		if n, ok := after[i]; ok {
			last = n
		}
		checkCrash(t, fmt.Sprintf("after %d operations", i), at, last, i > ended)
		if i == len(ffs.writes) {
			break
		}
		o := ffs.writes[i]
		if o.kind == "write" {
			for n := 1; n < len(o.data); n += 1 + len(o.data)/9 {
				torn, zeros := at.clone(), at.clone()
				torn.apply(op{kind: "write", path: o.path, data: o.data[:n]})
				checkCrash(t, fmt.Sprintf("operation %d torn at %d", i, n), torn, last, false)
				zeros.apply(op{kind: "write", path: o.path, data: append(append([]byte(nil), o.data[:n]...), make([]byte, len(o.data)-n)...)})
				checkCrash(t, fmt.Sprintf("operation %d full of zeros from %d", i, n), zeros, last, false)
			}
		}
		at.apply(o)
	}
}

// checkCrash opens what a crash left. Everything that was saved is there, and
// nothing that was not, or only what the next save was about to write; the
// horizon is not ahead of the entries. The end is clean only if it was.
func checkCrash(t *testing.T, when string, d disk, last int64, clean bool) {
	t.Helper()
	dir := t.TempDir()
	must(t, d.put(dir))
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	defer func() { must(t, s.Close()) }()
	if s.Clean() != clean {
		t.Fatalf("%s: clean %v, want %v", when, s.Clean(), clean)
	}
	if hs := s.Horizons(); last >= 0 && (len(hs) != 1 || hs[0].From[0] < last || hs[0].From[0] > s.Entries()[0].Offset) {
		t.Fatalf("%s: horizons %v, entries %v, the last save was %d", when, hs, s.Entries(), last)
	}
	got := map[uint64]Entry{}
	for _, e := range s.Entries() {
		got[e.ID] = e
	}
	for id, by := range map[uint64]int64{1: 1, 2: 2} {
		e, there := got[id]
		if last >= 0 && (!there || e.Offset < last*by) || there && e.Offset > (last+1)*by {
			t.Fatalf("%s: entry %d is at %d (there: %v), the last save was %d", when, id, e.Offset, there, last)
		}
		if there && !reflect.DeepEqual(e, entry(id, e.Offset)) {
			t.Fatalf("%s: entry %d is a mixture: %+v", when, id, e)
		}
	}
}

// TestFlippedBits turns bits of the newest file: it always opens, and never
// says an offset that was not saved.
func TestFlippedBits(t *testing.T) {
	dir := t.TempDir()
	s := open2(t, dir, Options{CompactAt: 1500})
	script(s, func(_ int64, err error) { must(t, err) })
	must(t, s.Close())
	files := disk{}
	names, err := filepath.Glob(filepath.Join(dir, filePrefix+"*"))
	must(t, err)
	for _, n := range names {
		data, err := os.ReadFile(n)
		must(t, err)
		files[filepath.Base(n)] = data
	}
	newest := files.newest()
	rnd := rand.New(rand.NewPCG(1, 2))
	for at := 0; at < len(files[newest]); at += 1 + rnd.IntN(3) {
		d := files.clone()
		d[newest][at] ^= 1 << rnd.IntN(8)
		sub := t.TempDir()
		must(t, d.put(sub))
		s, err := Open(sub, Options{})
		if err != nil {
			t.Fatalf("byte %d: %v", at, err)
		}
		first := s.Entries()[0].Offset
		if first < 58 { // one record is damaged: the last save, or one before it
			t.Errorf("byte %d: back to %d", at, first)
		}
		if hs := s.Horizons(); len(hs) != 1 || hs[0].From[0] > first {
			t.Errorf("byte %d: horizons %v, entry 1 is at %d", at, hs, first)
		}
		for _, e := range s.Entries() {
			if e.ID <= 2 && !reflect.DeepEqual(e, entry(e.ID, e.Offset)) || e.Offset > 59*2 {
				t.Errorf("byte %d: %+v was never saved", at, e)
			}
		}
		must(t, s.Close())
	}
}

func TestStrangeFiles(t *testing.T) {
	for name, data := range map[string][]byte{
		"empty": {}, "foreign": []byte("#!/bin/sh\necho hello\n"), "short": []byte("shipl"), "zeros": make([]byte, 5000), "header only": appendHeader(nil),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open2(t, dir, Options{CompactAt: 1})
			for i := range int64(3) { // so that there are two generations
				must(t, s.Save([]Entry{entry(1, 40+i)}, nil))
			}
			must(t, s.Close())
			must(t, os.WriteFile(fileName(dir, 9), data, 0o600))
			s = open2(t, dir, Options{})
			if len(s.Damaged()) != 1 || s.Clean() {
				t.Errorf("damage %q, clean %v", s.Damaged(), s.Clean())
			}
			if es := s.Entries(); len(es) != 1 || es[0].Offset != 42 {
				t.Errorf("entries %+v", es)
			}
			must(t, s.Save([]Entry{entry(1, 50)}, nil))
			must(t, s.Close())
			s = open2(t, dir, Options{})
			if len(s.Damaged()) != 0 || s.Entries()[0].Offset != 50 {
				t.Errorf("after recovery: damage %q, entries %+v", s.Damaged(), s.Entries())
			}
			must(t, s.Close())
		})
	}
	t.Run("a folder", func(t *testing.T) {
		dir := t.TempDir()
		must(t, os.MkdirAll(filepath.Join(fileName(dir, 3), "x"), 0o700))
		s := open2(t, dir, Options{})
		must(t, s.Save([]Entry{entry(1, 1)}, nil))
		must(t, s.Close())
	})
	t.Run("newer version", func(t *testing.T) {
		dir := t.TempDir()
		newer := binary.LittleEndian.AppendUint32([]byte(magic), version+1)
		newer = binary.LittleEndian.AppendUint32(newer, crc32.Checksum(newer, castagnoli))
		must(t, os.WriteFile(fileName(dir, 1), newer, 0o600))
		_, err := Open(dir, Options{})
		var tooNew *VersionError
		if !errors.As(err, &tooNew) {
			t.Errorf("Open: %v", err)
		}
	})
}

// TestEveryFault fails each operation of a run once: the store says so, works
// again by itself, and a crash right after loses nothing that was saved.
func TestEveryFault(t *testing.T) {
	t.Parallel()
	for _, fault := range []error{syscall.ENOSPC, syscall.EIO} {
		for _, half := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v, half written %v", fault, half), func(t *testing.T) {
				t.Parallel() // they wait for the disk
				for n := 1; failOnce(t, n, fault, half); n++ {
				}
			})
		}
	}
}

// failOnce fails the nth operation of a run. It is false if there were fewer.
func failOnce(t *testing.T, n int, fault error, half bool) bool {
	dir := t.TempDir()
	ffs := &faultFS{failAt: n, fault: fault, half: half}
	s, err := Open(dir, Options{FS: ffs, CompactAt: 1500})
	if err != nil {
		t.Fatalf("fault %d: Open: %v", n, err)
	}
	last, failed := int64(-1), 0
	script(s, func(i int64, err error) {
		if err == nil {
			last = i
			return
		}
		failed++
		if !errors.Is(err, fault) {
			t.Errorf("fault %d: error %v is not %v", n, err, fault)
		}
		copyAndCheck(t, fmt.Sprintf("fault %d at save %d", n, i), dir, last, i)
	})
	if failed > 1 {
		t.Errorf("fault %d: %d saves failed", n, failed)
	}
	must(t, s.Save(nil, nil)) // what the last save may have left
	must(t, s.lock.Close())
	copyAndCheck(t, fmt.Sprintf("end of fault %d", n), dir, 59, 59)
	return ffs.calls >= n
}

func copyAndCheck(t *testing.T, when, dir string, last, tried int64) {
	t.Helper()
	entries, err := ReadOnly(dir)
	must(t, err)
	at := int64(-1)
	for _, e := range entries {
		if e.ID == 1 {
			at = e.Offset
		}
	}
	if at < last || at > tried {
		t.Fatalf("%s: entry 1 is at %d, saved %d, tried %d", when, at, last, tried)
	}
}

func FuzzDecode(f *testing.F) {
	e := entry(1, 5)
	e.Ahead = []Sent{{5, 9, 1}, {20, 33, 1 << 31}}
	good := appendFrame(appendEntries(appendHeader(nil), func(yield func(*Entry) bool) { yield(&e) }), typeComplete, nil)
	f.Add(good)
	f.Add(appendRemoved(good, []uint64{1, 2}))
	f.Add(appendHorizons(good[:len(good):len(good)], []Horizon{horizon("a", 1), horizon("b", 1<<40)}, Committed{"shiplog-1", 1 << 40, true}))
	f.Add(append(append(appendRemoved(good[:len(good):len(good)], []uint64{1}), 1, 2, 3), appendFrame(nil, typeClean, nil)...))
	f.Add(good[:len(good)-3])
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := decode("x", data)
		if c.size > int64(len(data)) {
			t.Fatalf("%d valid bytes of %d", c.size, len(data))
		}
		if err == nil && c.size != int64(len(data)) {
			t.Fatalf("no error, but %d valid bytes of %d", c.size, len(data))
		}
		r := recovered{entries: map[uint64]Entry{}}
		c.apply(&r)
		again, _ := decode("x", data[:c.size])
		if len(again.records) != c.sound || again.complete != c.complete {
			t.Fatal("the valid part reads differently by itself")
		}
		if hs, c, err := decodeHorizons(appendHorizons(nil, r.horizons, r.committed)[frameSize+1:]); err != nil || !reflect.DeepEqual(hs, r.horizons) || c != r.committed {
			t.Fatalf("%+v, %+v come back as %+v, %+v, %v", r.horizons, r.committed, hs, c, err)
		}
		for _, e := range r.entries {
			back, err := decodeEntry(appendEntry(nil, &e))
			if err != nil || !reflect.DeepEqual(back, e) {
				t.Fatalf("%+v comes back as %+v, %v", e, back, err)
			}
		}
	})
}

func BenchmarkSave10Of100k(b *testing.B) {
	s := open2(b, b.TempDir(), Options{})
	all := make([]Entry, 100_000)
	for i := range all {
		all[i] = entry(uint64(i)+1, 0)
	}
	must(b, s.Save(all, nil))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		must(b, s.Save(all[i%1000*10:i%1000*10+10], nil))
	}
	must(b, s.Close())
}

func BenchmarkOpen100k(b *testing.B) {
	dir := b.TempDir()
	s := open2(b, dir, Options{})
	all := make([]Entry, 100_000)
	for i := range all {
		all[i] = entry(uint64(i)+1, 0)
	}
	must(b, s.Save(all, nil))
	must(b, s.Close())
	for b.Loop() {
		must(b, open2(b, dir, Options{}).Close())
	}
}
