package tailer

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestJudgeByTheFirstBytes tells files apart that begin otherwise than the original,
// which for that is not unpacked up to its offset: here it cannot be, as it is
// damaged before that. What begins as the original does is not decided on, unless the
// original was proved just now, nor anything once it begins otherwise itself.
func TestJudgeByTheFirstBytes(t *testing.T) {
	dir := t.TempDir()
	at := func(name string, data []byte) (path string, key fileKey) {
		t.Helper()
		path = filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		f, fi, err := openRegular(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		return path, keyOf(f, fi)
	}
	text := varied(1 << 20)
	packed := compressed("gzip", text)
	own, ownKey := at("app.log.1.gz", packed[:len(packed)/2])
	f := traces{id: 1, origin: filepath.Join(dir, "app.log"), path: own, key: ownKey, off: int64(len(text)), head: markOf(text[:headMax]), tail: markOf(text[len(text)-tailMax:])}

	other := append([]byte("another beginning\n"), text...)
	alike := append(bytes.Clone(text[:headMax]), "another end\n"...)
	for _, c := range []struct {
		name string
		data []byte
		want answer
	}{
		{"app.log.2", other, no},
		{"app.log.2.gz", compressed("gzip", other), no},
		{"app.log.3", alike, notYet},                            // the whole original has to be compared
		{"app.log.4", text[:10], notYet},                        // a copy that is being made
		{"app.log.5.gz", compressed("gzip", other)[:4], notYet}, // a compressed one that is being written
		{"app.log.6.gz", compressed("gzip", text), notYet},      // it
	} {
		path, key := at(c.name, c.data)
		if j := f.judge(path, key); j.answer != c.want {
			t.Errorf("%s: %v, want %v", c.name, j.answer, c.want)
		}
	}
	fi, err := os.Stat(own)
	if err != nil {
		t.Fatal(err)
	}
	path, key := at("app.log.3", alike)
	for _, c := range []struct {
		size int64
		want answer
	}{{fi.Size(), no}, {fi.Size() + 1, notYet}} {
		g := f
		g.proved = Seal{Size: c.size, ModTime: fi.ModTime()}
		if j := g.judge(path, key); j.answer != c.want {
			t.Errorf("an original that was proved with %d bytes, and has %d: %v, want %v", c.size, fi.Size(), j.answer, c.want)
		}
	}
	if _, key := at("app.log.1.gz", compressed("gzip", other)); key != ownKey {
		t.Fatal("it has another key")
	}
	path, key = at("app.log.2", other)
	if j := f.judge(path, key); j.answer != notYet || !j.truncated {
		t.Errorf("after the original was written anew: %+v", j)
	}
}

// varied returns text that does not compress to next to nothing.
func varied(n int) []byte {
	var out []byte
	for x := uint32(1); len(out) < n; x = x*1664525 + 1013904223 {
		out = append(out, 'a'+byte(x>>28), 'a'+byte(x>>24&15))
	}
	return append(out, '\n')
}
