package main_test

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// rotation is a way in which a log file is changed for a new one.
type rotation int

const (
	renameReopen      rotation = iota // rename and reopen at once
	renameHold                        // rename; write on to the renamed file for a while, then create the new one
	renameHoldCreated                 // the same, with the new file created empty at once
	truncateFile                      // to nothing, once all of it has arrived; the descriptor stays
	truncateRegrow                    // the same, and grow past the old size at once
	deleteHold                        // delete while the agent has it open; write on for a while
	replaceFile                       // put a new file in its place, while the agent has it open
	moveAway                          // rename into another folder that the pattern matches
	copyTruncate                      // copy, then truncate; nothing is written in between
	rotationKinds
)

// rotations in the order in which writers use them, each beginning elsewhere.
// Renames are what log rotators mostly do.
var rotations = [...]rotation{
	renameReopen, renameHold, truncateFile, renameHoldCreated, deleteHold, renameReopen, truncateRegrow, renameHold, replaceFile, moveAway,
}

// movedDir is the folder of files that were moved away.
const movedDir = "moved"

const (
	writerTick    = 10 * time.Millisecond
	linesPerTick  = 40 // 4,000 a second
	minFileLife   = 400 * time.Millisecond
	maxFileLife   = 1600 * time.Millisecond
	maxHold       = 300 * time.Millisecond // well below rotate_wait
	maxQuiet      = 3 * time.Second        // how long a truncation waits for arrival
	maxRegrowth   = 4 << 20
	generationGap = 30 * time.Millisecond // file systems tell their ages no finer than 10 ms
	keptRotations = 2                     // rotated files that stay after they have arrived
)

// generation is a rotated file that is still there.
type generation struct {
	path string
	last int // line
	gz   bool
}

// writer is an application that logs to one file and rotates it. It writes
// numbered lines, in pieces that end anywhere. The goroutine of run owns it;
// others may call rotate.
type writer struct {
	k       int
	path    string
	dated   bool // rotated files get names of their own; else .1, .2 …, shifting
	deletes bool // may delete a file that the agent has open; not where the agent is stopped
	moves   bool // may move a file into another folder
	gzips   bool // compresses rotated files, one rotation later
	copies  bool // rotates by copyTruncate only
	calm    bool // rotates a tenth as often
	rng     *rand.Rand
	oracle  *oracle
	asked   chan chan struct{} // for rotations; closed when they are done

	file    *os.File
	pending []byte // what belongs to the file and is not written yet
	written int    // lines, pending ones included
	first   int    // line of the file

	holding bool // file has no longer its name
	quiet   bool // waiting for arrival before a truncation
	regrow  bool // after it
	until   time.Time
	next    time.Time // rotation
	turn    int       // of rotations

	forced     int           // generations to be made as soon as possible
	forcedNext time.Time     // for the next of them
	forcedDone chan struct{} // closed after the last

	old   []generation       // oldest first
	files int                // so far, for dated names
	count [rotationKinds]int // of rotations
}

func newWriter(k int, dir string, seed uint64, o *oracle) (*writer, error) {
	w := &writer{
		k: k, path: filepath.Join(dir, fmt.Sprintf("app%d.log", k)), dated: k%2 == 1,
		rng: rand.New(rand.NewPCG(seed, uint64(k))), oracle: o, asked: make(chan chan struct{}), turn: 2 * k,
	}
	return w, w.open()
}

// run writes until ctx ends, and completes the last line.
func (w *writer) run(ctx context.Context) error {
	tick := time.NewTicker(writerTick)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-tick.C:
			err = w.step(time.Now())
		case done := <-w.asked:
			w.force(done)
		case <-ctx.Done():
			return errors.Join(w.flush(), w.file.Close())
		}
		if err != nil {
			return errors.Join(fmt.Errorf("writer %d: %w", w.k, err), w.file.Close())
		}
	}
}

// rotate has the writer rotate its file, some times over, and returns when that
// is done or ctx has ended. Any goroutine may call it.
func (w *writer) rotate(ctx context.Context) {
	done := make(chan struct{})
	select {
	case w.asked <- done:
	case <-ctx.Done():
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// force makes up to three generations the next thing that the writer does.
func (w *writer) force(done chan struct{}) {
	w.forced, w.forcedDone = 1+w.rng.IntN(3), done
}

// step does what is due at a time.
func (w *writer) step(now time.Time) error {
	if w.next.IsZero() {
		w.next = w.fileEnd(now)
	}
	var err error
	switch {
	case w.forced > 0 && now.After(w.forcedNext):
		err = w.generation(now)
	case w.forced > 0: // nothing else
	case w.quiet && w.oracle.allArrived(w.k, w.written):
		err = w.truncate()
	case w.quiet:
		w.quiet = now.Before(w.until)
	case w.holding && now.After(w.until):
		err = w.reopen()
	case !w.holding && now.After(w.next):
		w.next = w.fileEnd(now)
		how := rotations[w.turn%len(rotations)]
		if w.calm && (how == truncateFile || how == truncateRegrow) {
			how = renameReopen // what was cut off unread is looked for in all rotated files, at each start anew
		}
		err = w.begin(how, now)
		w.turn++
	}
	if err != nil || w.quiet {
		return err
	}
	return w.write(w.rng.IntN(2*linesPerTick + 1))
}

func (w *writer) fileEnd(now time.Time) time.Time {
	life := minFileLife + time.Duration(w.rng.Int64N(int64(maxFileLife-minFileLife)))
	if w.calm {
		life *= 10
	}
	return now.Add(life)
}

// begin begins a rotation; step ends those that take time.
func (w *writer) begin(how rotation, now time.Time) error {
	if w.copies {
		w.count[copyTruncate]++
		return w.copyTruncate()
	}
	switch how {
	case truncateFile, truncateRegrow:
		w.quiet, w.regrow, w.until = true, how == truncateRegrow, now.Add(maxQuiet)
		return w.flush()
	case deleteHold:
		// The agent has it open if something of it has arrived.
		if w.deletes && w.oracle.arrived(w.k, w.first) {
			w.count[how]++
			w.hold(now)
			return os.Remove(w.path)
		}
		how = renameReopen
	case replaceFile:
		if w.deletes && w.oracle.arrived(w.k, w.first) {
			w.count[how]++
			return w.replace()
		}
		how = renameReopen
	case moveAway:
		if !w.moves {
			how = renameReopen
			break
		}
		w.count[how]++
		w.files++
		moved := filepath.Join(filepath.Dir(w.path), movedDir, fmt.Sprintf("app%d.%06d.log", w.k, w.files))
		if err := errors.Join(w.flush(), os.Rename(w.path, moved), w.file.Close()); err != nil {
			return err
		}
		return w.open()
	}
	w.count[how]++
	if how == renameReopen {
		if err := w.flush(); err != nil { // an application rotates between lines
			return err
		}
	}
	if err := w.rename(); err != nil {
		return err
	}
	switch how {
	case renameReopen:
		return w.reopen()
	case renameHoldCreated:
		if err := os.WriteFile(w.path, nil, 0o600); err != nil {
			return err
		}
	}
	w.hold(now)
	return nil
}

func (w *writer) hold(now time.Time) {
	w.holding, w.until = true, now.Add(time.Duration(w.rng.Int64N(int64(maxHold))))
}

// rename gives the file a name that no pattern matches.
func (w *writer) rename() error {
	name, err := w.shift()
	if err != nil {
		return err
	}
	return os.Rename(w.path, name)
}

// copyTruncate rotates as logrotate does for applications that cannot reopen
// their file.
func (w *writer) copyTruncate() error {
	if err := w.flush(); err != nil {
		return err
	}
	name, err := w.shift()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(w.path)
	if err == nil {
		err = os.WriteFile(name, text, 0o600)
	}
	if err != nil {
		return err
	}
	w.first = w.written + 1
	return w.file.Truncate(0)
}

// replace puts a new file in the place of the one that is written to.
func (w *writer) replace() error {
	old, fresh := w.file, w.path+".new"
	if err := w.flush(); err != nil {
		return err
	}
	f, err := os.OpenFile(fresh, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	w.file, w.first = f, w.written+1
	return errors.Join(os.Rename(fresh, w.path), old.Close())
}

// shift makes room for one more generation, compresses the one before it,
// removes old ones that have arrived, and returns the new one's name.
func (w *writer) shift() (name string, err error) {
	for len(w.old) > keptRotations && w.oracle.allArrived(w.k, w.old[0].last) {
		if err := os.Remove(w.old[0].path); err != nil {
			return "", err
		}
		w.old = w.old[1:]
	}
	w.files++
	name = w.path + ".1"
	if w.dated {
		name = fmt.Sprintf("%s-20261124.%06d", w.path, w.files)
	} else {
		for i := range w.old {
			shifted := fmt.Sprintf("%s.%d", w.path, len(w.old)-i+1)
			if w.old[i].gz {
				shifted += ".gz"
			}
			if err := os.Rename(w.old[i].path, shifted); err != nil {
				return "", err
			}
			w.old[i].path = shifted
		}
	}
	if n := len(w.old); n > 0 && w.gzips {
		if err := w.old[n-1].compress(); err != nil {
			return "", err
		}
	}
	w.old = append(w.old, generation{path: name, last: w.written})
	return name, nil
}

// compress does as gzip does.
func (g *generation) compress() error {
	fi, err := os.Stat(g.path)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(g.path)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(g.path+".gz", os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	z := gzip.NewWriter(f)
	_, err = z.Write(text)
	if err = errors.Join(err, z.Close(), f.Close(), os.Chtimes(f.Name(), time.Time{}, fi.ModTime()), os.Remove(g.path)); err != nil {
		return err
	}
	g.path, g.gz = f.Name(), true
	return nil
}

// text returns the lines of the generation.
func (g *generation) text() ([]byte, error) {
	f, err := os.Open(g.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if !g.gz {
		return io.ReadAll(f)
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// reopen ends the file that was rotated and begins the next.
func (w *writer) reopen() error {
	if err := errors.Join(w.flush(), w.file.Close()); err != nil {
		return err
	}
	if n := len(w.old); n > 0 {
		w.old[n-1].last = w.written
	}
	return w.open()
}

func (w *writer) open() (err error) {
	w.holding, w.quiet, w.first = false, false, w.written+1
	w.file, err = os.OpenFile(w.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	return err
}

// truncate empties the file, all of which has arrived.
func (w *writer) truncate() error {
	size, err := w.file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if err := w.file.Truncate(0); err != nil {
		return err
	}
	w.quiet, w.first = false, w.written+1
	if !w.regrow || size > maxRegrowth {
		w.count[truncateFile]++
		return nil
	}
	w.count[truncateRegrow]++
	for int64(len(w.pending)) <= size {
		w.append(1)
	}
	return w.flush()
}

// generation makes a generation of a few lines or more.
func (w *writer) generation(now time.Time) error {
	if w.holding {
		if err := w.reopen(); err != nil {
			return err
		}
	}
	w.append(1 + w.rng.IntN(200))
	if err := w.begin(renameReopen, now); err != nil {
		return err
	}
	w.forcedNext = now.Add(generationGap)
	if w.forced--; w.forced == 0 {
		close(w.forcedDone)
	}
	return nil
}

func (w *writer) append(lines int) {
	for range lines {
		w.written++
		w.pending = append(append(w.pending, tortureLine(w.k, w.written)...), '\n')
	}
}

// write logs lines. What is left of them, perhaps half a line, follows with the
// next ones.
func (w *writer) write(lines int) error {
	w.append(lines)
	for range 1 + w.rng.IntN(3) {
		if err := w.put(w.rng.IntN(len(w.pending) + 1)); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) flush() error { return w.put(len(w.pending)) }

func (w *writer) put(n int) error {
	_, err := w.file.Write(w.pending[:n])
	w.pending = append(w.pending[:0], w.pending[n:]...)
	return err
}

// What a writer leaves behind are its lines in order, each once, over all files.
func TestWriterFiles(t *testing.T) {
	for k := range 4 { // both ways of naming, and copies
		dir := t.TempDir()
		w, err := newWriter(k, dir, 1, newOracle(4)) // nothing arrives: nothing is truncated or removed
		if err != nil {
			t.Fatal(err)
		}
		w.copies, w.gzips = k > 1, true
		now := time.Now()
		for i := range 1000 {
			if err := w.step(now.Add(time.Duration(i) * writerTick)); err != nil {
				t.Fatal(err)
			}
			if i%150 == 0 {
				w.force(make(chan struct{}))
			}
		}
		if err := errors.Join(w.flush(), w.file.Close()); err != nil {
			t.Fatal(err)
		}
		var all []byte
		for _, g := range append(slices.Clone(w.old), generation{path: w.path}) {
			b, err := g.text()
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, b...)
		}
		lines := strings.Split(strings.TrimSuffix(string(all), "\n"), "\n")
		if len(lines) != w.written || len(w.old) < 8 {
			t.Errorf("writer %d: %d lines in %d rotated files, want %d in several", k, len(lines), len(w.old), w.written)
		}
		for i, l := range lines {
			if l != tortureLine(k, i+1) {
				t.Fatalf("writer %d: line %d is %q", k, i+1, l)
			}
		}
		if found, err := filepath.Glob(filepath.Join(dir, "*.log")); err != nil || len(found) != 1 {
			t.Errorf("writer %d: the pattern finds %q, %v; want the one file", k, found, err)
		}
	}
}

// A writer whose lines arrive at once rotates in each of the ways.
func TestWriterUsesEachRotation(t *testing.T) {
	o := newOracle(1)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, movedDir), 0o700); err != nil {
		t.Fatal(err)
	}
	w, err := newWriter(0, dir, 1, o)
	if err != nil {
		t.Fatal(err)
	}
	w.deletes, w.moves = true, true
	now := time.Now()
	for i := range 2500 {
		if err := w.step(now.Add(time.Duration(i) * writerTick)); err != nil {
			t.Fatal(err)
		}
		for seq := o.writers[0].prefix + 1; seq <= w.written; seq++ {
			o.arrive(0, tortureValue(0, seq))
		}
	}
	if err := w.file.Close(); err != nil {
		t.Fatal(err)
	}
	for how, n := range w.count {
		if n == 0 && rotation(how) != copyTruncate {
			t.Errorf("no rotation of kind %d in %v", how, w.count)
		}
	}
	if len(w.old) > keptRotations+1 {
		t.Errorf("%d rotated files are left, want the arrived ones removed", len(w.old))
	}
}
