package shipper

import (
	"os"
	"syscall"
	"testing"
)

// TestSyncDirThatCannot has a file system that puts no directory on disk on demand.
func TestSyncDirThatCannot(t *testing.T) {
	const dir = "/proc"
	d, err := os.Open(dir)
	if err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	defer d.Close()
	if err := syscall.Fsync(int(d.Fd())); err != syscall.EINVAL {
		t.Skipf("NOT TESTED: %s answers %v here", dir, err)
	}
	if err := syncDir(dir); err != nil {
		t.Errorf("%s: %v", dir, err)
	}
	if err := syncDir("/proc/nowhere"); !os.IsNotExist(err) {
		t.Errorf("a directory that is not there: %v", err)
	}
}
