package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	knownFiles   = 100_000
	knownFolders = 100
	knownActive  = 10
)

// known measures a start with a checkpoint of many files, all of them on disk, and
// what a few active ones among them cost; the same with a hundredth of them beside
// it, since that should cost the same.
func known(s *speed) []speedResult {
	var out []speedResult
	for _, files := range []int{knownFiles / 100, knownFiles} {
		for i, binary := range s.binaries {
			r := knownOf(s, binary, files)
			r.row, r.who = fmt.Sprintf("known %d", files), s.name(i)
			out = append(out, r)
		}
	}
	return out
}

func knownOf(s *speed, binary string, files int) speedResult {
	b, dir, state := startNullBroker(s.T), s.TempDir(), s.TempDir()
	folder := func(k int) string { return filepath.Join(dir, fmt.Sprintf("app%d", k%knownFolders)) }
	for k := range files {
		if k < knownFolders {
			if err := os.Mkdir(folder(k), 0o700); err != nil {
				s.Fatal(err)
			}
		}
		writeIdle(s, filepath.Join(folder(k), fmt.Sprintf("%d.log", k)), k)
	}
	pattern := filepath.Join(dir, "*", "*.log")
	c := s.shiplog(b, binary, pattern, state)
	first := c.arrived(files)
	c.stop()

	// A line in each of the active files while nobody looks.
	active := make([]*os.File, knownActive)
	for k := range active {
		at := files / knownActive * k
		f, err := os.OpenFile(filepath.Join(folder(at), fmt.Sprintf("%d.log", at)), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			s.Fatal(err)
		}
		defer f.Close()
		if _, err := fmt.Fprintln(f, "2026-11-23T10:00:01.000Z INFO while nobody looked"); err != nil {
			s.Fatal(err)
		}
		active[k] = f
	}
	c = s.shiplog(b, binary, pattern, state)
	one := c.arrived(files + 1)
	all := c.arrived(files + knownActive)
	c.settle()
	started := c.cpu()
	r := c.follow(&speedWriter{files: active, rate: 10 * knownActive}, files+knownActive)
	r.note = fmt.Sprintf("first start shipped all in %.1f s; second: first line after %.1f s, all %d after %.1f s, %.1f s of CPU; %s",
		first.Seconds(), one.Seconds(), knownActive, all.Seconds(), started.Seconds(), r.note)
	c.stop()
	return r
}

// settle waits until the process has nothing left to do from its start: it uses
// next to no processor time for a while.
func (c *contestant) settle() {
	c.s.Helper()
	const most = 30 * time.Second
	for begin := time.Now(); time.Since(begin) < most; {
		before := c.cpu()
		time.Sleep(time.Second)
		if c.cpu()-before < 100*time.Millisecond {
			return
		}
	}
}

// longLine measures the memory that a line of 1 GiB takes.
func longLine(s *speed) []speedResult {
	const size = 1 << 30
	path := filepath.Join(s.dir, "long.log")
	f, err := os.Create(path)
	if err != nil {
		s.Fatal(err)
	}
	defer os.Remove(path)
	w := bufio.NewWriterSize(f, 1<<20)
	chunk := bytes.Repeat([]byte("no line should be as long as this one is; "), 1<<14)
	for n := 0; n < size; n += len(chunk) {
		if _, err := w.Write(chunk); err != nil {
			s.Fatal(err)
		}
	}
	fmt.Fprint(w, "\nthe line behind it\n")
	if err := w.Flush(); err != nil {
		s.Fatal(err)
	}
	f.Close()
	return s.peaks("longline", path, 2, func(c *contestant) { c.arrived(2) })
}

// burst measures the memory that many files with much to read take at once.
func burst(s *speed) []speedResult {
	const files, lines = 1000, 4000
	dir := s.TempDir()
	for k := range files {
		if _, err := writeLog(filepath.Join(dir, fmt.Sprintf("%d.log", k)), plainKind, lines); err != nil {
			s.Fatal(err)
		}
	}
	return s.peaks("burst", filepath.Join(dir, "*.log"), files*lines, func(c *contestant) { c.arrived(files * lines) })
}

// outageLength is how long the outage row has no Kafka.
const outageLength = 20 * time.Second

// longOutage measures the memory that a large backlog takes while Kafka takes nothing.
func longOutage(s *speed) []speedResult {
	const files, lines = 5, 400_000
	dir := s.TempDir()
	for k := range files {
		if _, err := writeLog(filepath.Join(dir, fmt.Sprintf("%d.log", k)), plainKind, lines); err != nil {
			s.Fatal(err)
		}
	}
	return s.peaks("outage", filepath.Join(dir, "*.log"), files*lines, func(c *contestant) {
		c.arrived(lines / 10)
		c.broker.refuses.Store(true)
		time.Sleep(outageLength) // what is measured
		c.broker.refuses.Store(false)
		c.arrived(files * lines)
	})
}

// peaks runs shiplog once until work is done, and tells what memory that took.
func (s *speed) peaks(name, pattern string, lines int, work func(*contestant)) []speedResult {
	s.Helper()
	var out []speedResult
	for i, binary := range s.binaries {
		c := s.shiplog(startNullBroker(s.T), binary, pattern, s.TempDir())
		work(c)
		r := newResult(name, s.name(i))
		r.cpuLine, r.peak = float64(c.cpu().Nanoseconds())/1e3/float64(lines), c.number(peakOf)
		if lines > 1000 {
			r.rate = float64(lines) / time.Since(c.began).Seconds()
		} else {
			r.cpuLine, r.note = 0, fmt.Sprintf("%.1f s of CPU", c.cpu().Seconds())
		}
		c.stop()
		out = append(out, r)
	}
	return out
}
