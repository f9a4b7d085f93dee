package shipper

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestDeadLetterFileIsRepairedWhenOpened(t *testing.T) {
	whole, err := json.Marshal(DeadLetter{Time: time.Unix(1, 0), Path: "old", Bytes: []byte("old")})
	if err != nil {
		t.Fatal(err)
	}
	line := string(whole) + "\n"
	long := `{"bytes":"` + strings.Repeat("A", 200_000) // more than is looked at first
	for _, tc := range []struct {
		name, before, kept string
	}{
		{"new", "", ""},
		{"whole", line + line, line + line},
		{"torn", line + line[:len(line)/2], line},
		{"torn and long", line + long, line},
		{"torn and alone", line[:10], ""},
		{"torn to one byte", line + "{", line},
		{"without the newline only", line + string(whole), line + line},
		{"without the newline and alone", string(whole), line},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "letters.jsonl")
			if err := os.WriteFile(path, []byte(tc.before), 0o600); err != nil {
				t.Fatal(err)
			}
			l := deadLetters{path: path}
			if err := l.add(DeadLetter{Path: "new"}); err != nil {
				t.Fatal(err)
			}
			if err := l.close(); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(got, []byte(tc.kept)) {
				t.Errorf("the file begins with %.80q, want %.80q", got, tc.kept)
			}
			var d DeadLetter
			if err := json.Unmarshal(got[len(tc.kept):], &d); err != nil || d.Path != "new" {
				t.Errorf("after what was kept there is %.80q (%v)", got[len(tc.kept):], err)
			}
		})
	}
}

func TestDeadLetterFileIsForItsOwnerOnly(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has other rights")
	}
	path := filepath.Join(t.TempDir(), "dead", "letters.jsonl")
	l := deadLetters{path: path}
	if err := l.add(DeadLetter{}); err != nil {
		t.Fatal(err)
	}
	defer l.close()
	for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", name, got, want)
		}
	}
}

func TestDeadLetterThatFailsLeavesNoHalfLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "letters.jsonl")
	l := deadLetters{path: path}
	defer l.close()
	if err := l.add(DeadLetter{Path: "one"}); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// A handle that cannot be written through stands for a full disk.
	readOnly, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	l.file.Close()
	l.file = readOnly
	if err := l.add(DeadLetter{Path: "two"}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("add: %v", err)
	}
	if n, err := l.state(); n != 1 || err == nil {
		t.Errorf("state: %d, %v", n, err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Errorf("the file was %q and is %q", before, after)
	}
	if err := l.add(DeadLetter{Path: "two"}); err != nil {
		t.Errorf("the next try: %v", err)
	}
	if n, err := l.state(); n != 2 || err != nil {
		t.Errorf("state: %d, %v", n, err)
	}
	if got := letters(t, path); len(got) != 2 || got[1].Path != "two" {
		t.Errorf("letters %+v", got)
	}
}
