package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestBar draws bytes with their rate and the time left, and takes the bar away before
// a line; and draws nothing where there is no terminal.
func TestBar(t *testing.T) {
	var out bytes.Buffer
	b := &bar{to: &out, what: "shipping"}
	b.set(0, 0) // nothing is known yet
	if out.Len() > 0 {
		t.Errorf("%q", out.String())
	}
	b.set(1<<20, 4<<20)
	b.set(3<<20, 6<<20) // more has come
	w := b.over(&out)
	out.Reset()
	if _, err := w.Write([]byte("a line\n")); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.HasSuffix(got, "\ra line\n") || !strings.HasPrefix(got, "\r ") {
		t.Errorf("%q", got)
	}
	b.shown = b.draw(6 << 20)
	out.Reset()
	if err := b.shown.Set64(3 << 20); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, "shipping  50%") || !strings.Contains(got, "3.0/6.0 MiB") || !regexp.MustCompile(`/s\) \[\d+s:\d+s\]`).MatchString(got) {
		t.Errorf("%q", got)
	}

	f, err := os.Create(filepath.Join(t.TempDir(), "no terminal"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	none := newBar(f, false, "shipping", "")
	none.set(1, 2)
	none.clear()
	if none.over(f) != f || none.shown != nil {
		t.Error("a bar without a terminal")
	}
}
