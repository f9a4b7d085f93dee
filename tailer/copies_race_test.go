package tailer

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestJudgeWhileCompressed has a file judged to be a copy while it is being
// compressed: from the moment it is made, empty, to that at which the original
// is gone. At no time is it another file.
func TestJudgeWhileCompressed(t *testing.T) {
	for _, finished := range []bool{false, true} {
		t.Run(fmt.Sprintf("finished %t", finished), func(t *testing.T) {
			dir := t.TempDir()
			plain, packed := filepath.Join(dir, "a.log.1"), filepath.Join(dir, "a.log.1.gz")
			text := []byte("one\n")
			data := compressed("gzip", text)
			for range 400 {
				if err := os.WriteFile(plain, text, 0o600); err != nil {
					t.Fatal(err)
				}
				fi, err := os.Stat(plain)
				if err != nil {
					t.Fatal(err)
				}
				out, err := os.Create(packed)
				if err != nil {
					t.Fatal(err)
				}
				pi, err := out.Stat()
				if err != nil {
					t.Fatal(err)
				}
				key := keyOf(out, pi)
				f := traces{id: 1, path: plain, key: keyOf(nil, fi), off: 4, head: markOf(text), tail: markOf(text), finished: finished}
				done := make(chan error)
				go func() {
					_, err := out.Write(data)
					if err == nil {
						err = out.Close()
					}
					if err == nil {
						err = os.Remove(plain)
					}
					done <- err
				}()
				j := f.judge(packed, key)
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				if j.answer == no {
					t.Fatalf("the compressed file was taken for another file: %+v", j)
				}
				if err := os.Remove(packed); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
