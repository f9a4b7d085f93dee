package main_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"
)

const (
	speedWarm   = 3 * time.Second
	speedWindow = 12 * time.Second
	writeTick   = 10 * time.Millisecond
	sampleTick  = 5 * time.Millisecond
)

// following measures what shiplog costs while an application writes so many
// lines a second, evenly, to some files, beside others that never change.
func following(name string, files, rate, idle int) func(*speed) []speedResult {
	return func(s *speed) []speedResult {
		all := make([][]speedResult, len(s.binaries))
		for range s.rounds {
			for i, binary := range s.binaries {
				b := startNullBroker(s.T)
				dir := s.TempDir()
				for k := range idle {
					writeIdle(s, filepath.Join(dir, fmt.Sprintf("app-idle%d.log", k)), k)
				}
				c := s.shiplog(b, binary, filepath.Join(dir, "app*.log"), s.TempDir())
				if idle > 0 {
					c.arrived(idle)
				}
				w := newSpeedWriter(s, dir, files, rate)
				r := c.follow(w, idle)
				r.row, r.who = name, s.name(i)
				c.stop()
				all[i] = append(all[i], r)
			}
		}
		var out []speedResult
		for _, rounds := range all {
			out = append(out, best(rounds))
		}
		return out
	}
}

func writeIdle(s *speed, path string, k int) {
	s.Helper()
	if err := os.WriteFile(path, fmt.Appendf(nil, "2026-11-23T10:00:00.000Z INFO idle %d\n", k), 0o600); err != nil {
		s.Fatal(err)
	}
}

// follow measures c while w writes, after a while for both to settle. before is
// how many records were there already.
func (c *contestant) follow(w *speedWriter, before int) speedResult {
	c.s.Helper()
	stop := make(chan struct{})
	ended := make(chan error, 1)
	go func() { ended <- w.run(stop) }()
	time.Sleep(speedWarm) // a measured time, not a wait for something
	r := newResult("", "")
	cpu, saved, begin, lines := c.cpu(), c.number(writtenBy), time.Now(), w.written.Load()
	var behind []time.Duration
	for time.Since(begin) < speedWindow {
		if w.rate == 0 {
			time.Sleep(speedWindow)
			continue
		}
		open := w.written.Load() + int64(before) - c.broker.records.Load()
		behind = append(behind, time.Duration(float64(max(open, 0))/float64(w.rate)*float64(time.Second)))
		time.Sleep(sampleTick)
	}
	wall := time.Since(begin)
	r.cpuCore = 100 * (c.cpu() - cpu).Seconds() / wall.Seconds()
	r.note = fmt.Sprintf("%.1f kB/s written", (c.number(writtenBy)-saved)/1e3/wall.Seconds())
	if w.rate > 0 {
		slices.Sort(behind)
		r.behind = [2]time.Duration{behind[len(behind)/2], behind[len(behind)*99/100]}
		r.rate = float64(w.written.Load()-lines) / wall.Seconds()
	}
	r.peak = c.number(peakOf)
	close(stop)
	if err := <-ended; err != nil {
		c.s.Fatal(err)
	}
	c.arrived(before + int(w.written.Load()))
	return r
}

// speedWriter appends lines to files, evenly, every writeTick.
type speedWriter struct {
	files   []*os.File
	rate    int          // lines a second, in all
	written atomic.Int64 // lines
}

func newSpeedWriter(s *speed, dir string, files, rate int) *speedWriter {
	s.Helper()
	w := &speedWriter{rate: rate}
	for k := range files {
		f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf("app%d.log", k)), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			s.Fatal(err)
		}
		s.Cleanup(func() { f.Close() })
		w.files = append(w.files, f)
	}
	return w
}

// run writes until stop is closed. A tick that comes late writes what is due.
func (w *speedWriter) run(stop <-chan struct{}) error {
	tick := time.NewTicker(writeTick)
	defer tick.Stop()
	begin, next := time.Now(), 0
	for {
		select {
		case <-stop:
			return nil
		case <-tick.C:
		}
		due := int(time.Since(begin).Seconds()*float64(w.rate)) - int(w.written.Load())
		if due <= 0 {
			continue
		}
		line := fmt.Appendf(nil, "%s INFO [worker-7] com.example.pool.LoadVehicleUsages - request 123456 user=jpowell status=200 took 118ms path=/api/vehicles/4711 ok\n",
			time.Now().UTC().Format("2006-01-02T15:04:05.000Z"))
		// Each file in its turn gets its share of a tick, or a line.
		share := max(1, due/len(w.files))
		lines := bytes.Repeat(line, share)
		for range due / share {
			if _, err := w.files[next%len(w.files)].Write(lines); err != nil {
				return err
			}
			next++
			w.written.Add(int64(share))
		}
	}
}
