package tailer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// TestLook finds what Run would, and opens nothing.
func TestLook(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	for name, data := range map[string]string{"a/one.log": "1234", "a/two.log": "", "a/debug.log": "x", "a/other.txt": "x", "b/c/deep.log": "12"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(at(name)), 0o755), os.WriteFile(at(name), []byte(data), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Look([]Input{
		{Name: "a", Paths: []string{at("a/*.log"), at("nowhere/*.log")}, Exclude: []string{"**/debug.log"}},
		{Name: "b", Paths: []string{at("b/**/*.log")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []Sighted{{Name: at("a/one.log"), Size: 4}, {Name: at("a/two.log")}, {Name: at("b/c/deep.log"), Input: 1, Size: 2}}
	if len(s.Files) != len(want) {
		t.Fatalf("files %+v, want %+v", s.Files, want)
	}
	for i := range want {
		if s.Files[i].Mode = 0; s.Files[i] != want[i] {
			t.Errorf("file %d is %+v, want %+v", i, s.Files[i], want[i])
		}
	}
	if folders := []string{at("a"), at("b"), at("b/c")}; len(s.Folders) != len(folders) || s.Folders[0] != folders[0] || s.Folders[2] != folders[2] {
		t.Errorf("folders %q, want %q", s.Folders, folders)
	}
	if len(s.Denied) != 0 || len(s.Blind) != 0 || s.NoEvent != nil {
		t.Errorf("denied %v, blind %v, no events %v", s.Denied, s.Blind, s.NoEvent)
	}
	if _, err := Look([]Input{{Paths: []string{"/a/["}}}); err == nil {
		t.Error("a pattern that is not valid is taken")
	}
}

// TestLookDenied tells of folders and files that cannot be looked at.
func TestLookDenied(t *testing.T) {
	if os.Geteuid() == 0 || runtime.GOOS == "windows" {
		t.Skip("root may look everywhere, and Windows has no such modes")
	}
	dir := t.TempDir()
	closed := filepath.Join(dir, "closed")
	if err := os.Mkdir(closed, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(closed, 0o700) }) //nolint:errcheck // else the folder stays
	s, err := Look([]Input{{Paths: []string{filepath.Join(closed, "*.log")}}})
	if err != nil || !errors.Is(s.Denied[closed], fs.ErrPermission) || len(s.Blind) != 0 {
		t.Errorf("denied %v, blind %v, error %v", s.Denied, s.Blind, err)
	}
}
