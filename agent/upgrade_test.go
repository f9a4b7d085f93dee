package agent

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// A state that an earlier version has left is gone on with: nothing is lost, and
// nothing sent twice. That the files of each version are read as they were
// meant, agent/checkpoint tests with files that those versions wrote.
func TestUpgrade(t *testing.T) {
	for name, downgrade := range map[string]func([]byte) []byte{
		"format 1": toFormat1,
		"format 2": func(b []byte) []byte { return b },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, kfake.SeedTopics(1, topic))
			r.append("a.log", strings.Repeat("before\n", 100))
			r.append("b.log", "one\n")
			r.start()
			r.wait("what was there", func() bool { return len(r.messages(topic)) == 101 })
			r.stop()
			files, err := filepath.Glob(filepath.Join(r.c.StateDir, "checkpoint.*"))
			if err != nil || len(files) == 0 {
				t.Fatalf("no checkpoint: %v", err)
			}
			for _, file := range files {
				data, err := os.ReadFile(file)
				if err == nil {
					err = os.WriteFile(file, downgrade(data), 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			r.append("a.log", "after\n")
			if err := os.Rename(r.path("b.log"), r.path("b.log.1")); err != nil {
				t.Fatal(err)
			}
			r.append("b.log.1", "two\n")
			r.append("b.log", "three\n")
			r.start()
			r.wait("what came", func() bool { return len(r.messages(topic)) >= 104 })
			r.stop()
			got := r.messages(topic)
			if len(got) != 104 {
				t.Fatalf("%d records, want 104: %q", len(got), got[101:])
			}
			slices.Sort(got[101:])
			if want := []string{"after", "three", "two"}; !slices.Equal(got[101:], want) {
				t.Errorf("after the upgrade came %q, want %q", got[101:], want)
			}
		})
	}
}

// toFormat1 rewrites a checkpoint as the first version wrote it: no checksum in
// the header, and nothing of where to read back from. A record is a length and a
// checksum of four bytes each, then its type and its fields.
func toFormat1(data []byte) []byte {
	const magic, horizons = 8, 5
	out := binary.LittleEndian.AppendUint32(slices.Clone(data[:magic]), 1)
	for rest := data[magic+8:]; len(rest) > 8; {
		n := 8 + int(binary.LittleEndian.Uint32(rest))
		if rest[8] != horizons {
			out = append(out, rest[:n]...)
		}
		rest = rest[n:]
	}
	return out
}
