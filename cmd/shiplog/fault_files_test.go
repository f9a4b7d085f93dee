package main_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// fileFaults are logs as nobody wants them.
func fileFaults() []fault {
	return []fault{
		{"the folder of the logs is removed and made again", folderRemoved},
		{"a hundred files rotate in the same second", hundredRotate},
		{"a line of 1 GiB", gigaLine},
		{"200 MiB without a newline", endlessLine},
		{"NUL bytes and binary", binaryFiles},
		{"file names with blanks, newlines and bytes that are no UTF-8", oddNames},
		{"the clock of the files jumps back and forth", fileClockJumps},
	}
}

func oneTopic(t *testing.T) string {
	t.Helper()
	return newCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(1, faultTopic)).ListenAddrs()[0]
}

func folderRemoved(t *testing.T, binary string) {
	r := newFaultRig(t, binary, oneTopic(t), consumeInProcess, faultOptions{})
	r.write(300)
	r.all()
	if err := os.RemoveAll(r.logs); err != nil {
		t.Fatal(err)
	}
	r.await("the loss to be noticed", func() bool { return strings.Contains(r.said(), "rotated") }, r.said)
	if err := os.Mkdir(r.logs, 0o700); err != nil {
		t.Fatal(err)
	}
	r.write(300)
	r.all()
	r.green()
	r.judge()
}

func hundredRotate(t *testing.T, binary string) {
	const files, lines = 100, 50
	r := newFaultRig(t, binary, oneTopic(t), consumeInProcess, faultOptions{})
	write := func(round int) {
		for i := range files {
			var b strings.Builder
			for j := range lines {
				fmt.Fprintf(&b, "file %d round %d number %d\n", i, round, j)
			}
			r.append(fmt.Sprintf("logs/f%d.log", i), b.String())
		}
	}
	write(0)
	r.await("all files to be known", func() bool { return r.others() == files*lines }, func() string { return fmt.Sprint(r.others()) })
	for i := range files {
		name := filepath.Join(r.logs, fmt.Sprintf("f%d.log", i))
		if err := os.Rename(name, name+".1"); err != nil {
			t.Fatal(err)
		}
	}
	write(1)
	r.await("all lines", func() bool { return r.others() == 2*files*lines }, func() string { return fmt.Sprint(r.others()) })
	r.judge()
	if n := len(r.order); n != 2*files*lines {
		t.Errorf("%d records of %d lines", n, 2*files*lines)
	}
}

// others counts the different messages beside the numbered lines.
func (r *faultRig) others() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for m := range r.arrived {
		if !strings.HasPrefix(m, "line ") {
			n++
		}
	}
	return n
}

// fillLog appends n times the chunk to the log, then end.
func (r *faultRig) fillLog(n int, chunk []byte, end string) {
	r.t.Helper()
	f, err := os.OpenFile(r.path(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close()
	for range n {
		if _, err := f.Write(chunk); err != nil {
			r.t.Fatal(err)
		}
	}
	if _, err := f.WriteString(end); err != nil {
		r.t.Fatal(err)
	}
}

// memoryLimit bounds what the agent may hold at any time: memory_limit and 60
// MiB, in bytes.
const memoryLimit = (64 + 60) << 20

// peakMemory returns the most memory that the agent held, in bytes; 0 where the
// system does not tell.
func (r *faultRig) peakMemory() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.proc.PID()))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			return kib << 10
		}
	}
	return 0
}

func gigaLine(t *testing.T, binary string) {
	r := newFaultRig(t, binary, oneTopic(t), consumeInProcess, faultOptions{})
	r.write(100)
	r.fillLog(1024, bytes.Repeat([]byte("g"), 1<<20), "\n")
	r.write(100)
	r.all()
	if peak := r.peakMemory(); peak > memoryLimit {
		t.Errorf("%d MiB held for one line", peak>>20)
	}
	r.judge()
	r.oneCut("g")
}

// oneCut fails unless the beginning of the one long line has arrived.
func (r *faultRig) oneCut(letter string) {
	r.t.Helper()
	n := 0
	for m := range r.arrived {
		if strings.HasPrefix(m, strings.Repeat(letter, 1000)) && len(m) <= 1<<20 {
			n++
		}
	}
	if n != 1 {
		r.t.Errorf("the beginning of the long line arrived %d times, want once", n)
	}
}

func endlessLine(t *testing.T, binary string) {
	r := newFaultRig(t, binary, oneTopic(t), consumeInProcess, faultOptions{})
	r.write(100)
	r.fillLog(200, bytes.Repeat([]byte("e"), 1<<20), "")
	r.all() // what stands before it does not wait
	r.rotate()
	r.write(100)
	r.all()
	if peak := r.peakMemory(); peak > memoryLimit {
		t.Errorf("%d MiB held for one line", peak>>20)
	}
	r.judge()
	r.oneCut("e")
}

func binaryFiles(t *testing.T, binary string) {
	r := newFaultRig(t, binary, oneTopic(t), consumeInProcess, faultOptions{})
	noise := make([]byte, 4<<20)
	x := uint32(1)
	for i := range noise {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	if err := os.WriteFile(filepath.Join(r.logs, "noise.log"), append(noise, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	r.write(100)
	r.fillLog(8, make([]byte, 1<<20), "after the NULs\n")
	r.write(100)
	r.all()
	r.await("the text after the NUL bytes", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.arrived["after the NULs"] == 1
	}, func() string { return "" })
	r.green()
	r.judge()
}

func oddNames(t *testing.T, binary string) {
	r := newFaultRig(t, binary, oneTopic(t), consumeInProcess, faultOptions{})
	names := []string{"with blank.log", "with\nnewline.log", "no\xff\xfeutf8.log", "-rf.log", "ünïcode.log", "[brackets]{}.log", "quote\".log", strings.Repeat("n", 240) + ".log"}
	for i, n := range names {
		r.append(filepath.Join("logs", n), fmt.Sprintf("from file %d\n", i))
	}
	r.await("a line of each file", func() bool { return r.others() == len(names) }, func() string { return fmt.Sprint(r.others()) })
	for i, n := range names {
		if err := os.Rename(filepath.Join(r.logs, n), filepath.Join(r.logs, n[:len(n)-4]+".1")); err != nil {
			t.Fatal(err)
		}
		r.append(filepath.Join("logs", n), fmt.Sprintf("from file %d after its rotation\n", i))
	}
	r.await("a second line of each", func() bool { return r.others() == 2*len(names) }, func() string { return fmt.Sprint(r.others()) })
	if code, out, said := r.call("state", "list", "--config", r.config); code != 0 || strings.Contains(out, "with\nnewline") {
		t.Errorf("state list: exit %d: %s%s", code, out, said)
	}
	r.green()
	r.judge()
}

// fileClockJumps sets the times of the log far back and far ahead, as files have
// them on a host of which the clock jumps. (The clock of the machine itself is
// not the test's to set.)
func fileClockJumps(t *testing.T, binary string) {
	r := newFaultRig(t, binary, oneTopic(t), consumeInProcess, faultOptions{})
	for i, by := range []time.Duration{0, -24 * time.Hour, 24 * time.Hour, -10 * 365 * 24 * time.Hour, time.Hour} {
		r.write(100)
		at := time.Now().Add(by)
		if err := os.Chtimes(r.path(), at, at); err != nil {
			t.Fatal(err)
		}
		if i%2 == 1 {
			r.all()
			r.rotate()
		}
	}
	r.write(10)
	r.judge()
}
