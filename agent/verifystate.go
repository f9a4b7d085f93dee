package agent

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"shiplog/agent/checkpoint"
)

// readState reads the checkpoint, and the books of what was not sent.
func (v *verifier) readState() (err error) {
	dir := v.c.StateDir
	if v.o.NoState {
		v.note("the state directory was left alone, as asked: files are found by their content")
		return nil
	}
	if v.books.running, err = checkpoint.InUse(dir); err == nil {
		v.entries, err = checkpoint.ReadOnly(dir)
	}
	if errors.Is(err, fs.ErrNotExist) {
		v.note("there is no state in %s: files are found by their content", dir)
		return nil
	}
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: run this as shiplog's user, or with --no-state", err)
	}
	if err != nil {
		return err
	}
	v.out.State, v.out.Running = dir, v.books.running
	if v.books.skips, err = checkpoint.ReadSkips(dir); err != nil {
		return err
	}
	if n := len(v.books.skips.Lost); n > 0 {
		v.note("the journal of what was left out on purpose was found damaged at %s: a gap may be such a range", v.books.skips.Lost[n-1].UTC().Format(time.RFC3339))
	}
	letters, err := filepath.Glob(filepath.Join(dir, "dead-letters*.jsonl"))
	if err != nil {
		return err
	}
	v.books.dead = map[uint64]*coverage{}
	for _, path := range letters {
		bad, err := readDeadFile(path, v.books.dead)
		if err != nil {
			return fmt.Errorf("dead letters: %w", err)
		}
		if bad > 0 {
			v.note("%s: %d lines are damaged", path, bad)
		}
	}
	return nil
}

// maxLetter bounds a line of the dead letter file that is read.
const maxLetter = 256 << 20

func readDeadFile(path string, dead map[uint64]*coverage) (bad int, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil // replayed a moment ago
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return readDead(f, dead)
}

// readDead adds the ranges of a dead letter file to dead, and returns how many of
// its lines make no sense.
func readDead(r io.Reader, dead map[uint64]*coverage) (bad int, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLetter)
	for lines.Scan() {
		var d struct {
			Source string `json:"src"`
			Offset int64  `json:"off"`
			Length int64  `json:"len"`
		}
		err := json.Unmarshal(lines.Bytes(), &d)
		id, ok := parseHex([]byte(d.Source))
		if err != nil || !ok || !possible(d.Offset, d.Length) {
			bad++
			continue
		}
		if dead[id] == nil {
			dead[id] = &coverage{}
		}
		dead[id].add(d.Offset, d.Offset+d.Length)
	}
	return bad, lines.Err()
}
