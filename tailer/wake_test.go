package tailer

import (
	"bytes"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestLimitHint(t *testing.T) {
	for err, want := range map[error]string{syscall.ENOSPC: "max_user_watches", syscall.EMFILE: "max_user_instances", syscall.EACCES: ""} {
		got := limitHint(err)
		if !errors.Is(got, err) || !strings.Contains(got.Error(), want) {
			t.Errorf("%v: %v", err, got)
		}
	}
}

// TestFolderWithoutEvents cannot be watched, and is said once to be polled.
func TestFolderWithoutEvents(t *testing.T) {
	var log bytes.Buffer
	k := newWaker(false, slog.New(slog.NewTextHandler(&log, nil)))
	dir := t.TempDir()
	k.watch(dir)
	if log.Len() != 0 {
		t.Errorf("a folder that can be watched: %s", log.String())
	}
	for range 2 {
		k.watch(filepath.Join(dir, strings.Repeat("n", 5000))) // longer than any system takes
	}
	if n := strings.Count(log.String(), "polling only"); n != 1 {
		t.Errorf("said %d times: %s", n, log.String())
	}
	if err := k.close(); err != nil {
		t.Error(err)
	}
}

// TestPollingOnly follows a file where there are no events at all.
func TestPollingOnly(t *testing.T) {
	r := newRig(t)
	r.o.NoEvents = true
	r.write("a.log", "one\n")
	r.start()
	r.want("one")
	r.append("a.log", "two\n")
	r.rename("a.log", "a.log.1")
	r.write("a.log", "three\n")
	r.want("one", "two", "three")
}
