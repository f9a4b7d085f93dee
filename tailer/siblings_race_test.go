package tailer

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// TestSiblingsWhileRenamed renames one file to and fro while its folder is
// listed: it is always there.
func TestSiblingsWhileRenamed(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.log"), filepath.Join(dir, "b.log")
	if err := os.WriteFile(a, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	done := make(chan error)
	go func() {
		var err error
		for !stop.Load() && err == nil {
			if err = os.Rename(a, b); err == nil {
				err = os.Rename(b, a)
			}
			for range 2000 { // as a rotation: now and then, not all the time
				if stop.Load() {
					break
				}
				_, _ = os.Lstat(dir)
			}
		}
		done <- err
	}()
	missed := 0
	for range 2000 {
		if len(siblingsIn(dir)) == 0 {
			missed++
		}
	}
	stop.Store(true)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if missed > 0 {
		t.Errorf("the file was not there in %d of 2000 listings", missed)
	}
}
