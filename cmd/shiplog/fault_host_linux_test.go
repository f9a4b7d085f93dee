package main_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// hostFaults are what a host runs out of.
func hostFaults() []fault {
	return []fault{
		{"the disk of the state is full", stateDiskFull},
		{"the disk of the logs is full", logDiskFull},
		{"the state directory is read-only", stateReadOnly},
		{"descriptors run out", fewDescriptors},
		{"inotify watches run out", fewWatches},
	}
}

// smallDisk mounts a tmpfs of that size at a folder of its own.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	err := syscall.Mount("shiplog-test", dir, "tmpfs", 0, "size="+size)
	if errors.Is(err, syscall.EPERM) {
		t.Skip("SKIPPED: mounting a small disk needs root (CAP_SYS_ADMIN)")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fillDisk takes all the room there is and returns how to give it back.
func fillDisk(t *testing.T, dir string) (free func()) {
	t.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{64 << 10, 4 << 10, 1} {
		for chunk := make([]byte, size); err == nil; {
			_, err = f.Write(chunk)
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		err = nil
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
}

func stateDiskFull(t *testing.T, binary string) {
	disk := smallDisk(t, "1m")
	r := newFaultRig(t, binary, oneTopic(t), consumeInProcess, faultOptions{state: filepath.Join(disk, "state")})
	r.write(300)
	r.all()
	free := fillDisk(t, disk)
	for range 40 { // until the page that is begun is used up
		r.write(100)
		r.rotate()
	}
	r.write(100)
	r.red("cannot be written")
	r.all() // shipping goes on
	free()
	r.green()
	r.judge()
}

func logDiskFull(t *testing.T, binary string) {
	disk := smallDisk(t, "1m")
	r := newFaultRig(t, binary, oneTopic(t), consumeInProcess, faultOptions{logs: filepath.Join(disk, "logs")})
	r.write(300)
	free := fillDisk(t, disk)
	var err error
	for i := 0; err == nil && i < 1000; i++ {
		err = r.tryWrite(10)
	}
	if err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	r.all()
	free()
	r.write(300)
	r.rotate()
	r.write(300)
	r.green()
	r.judge()
}

func stateReadOnly(t *testing.T, binary string) {
	disk := smallDisk(t, "4m")
	r := newFaultRig(t, binary, oneTopic(t), consumeInProcess, faultOptions{state: filepath.Join(disk, "state")})
	r.write(300)
	r.all()
	// The kernel refuses to make a disk read-only on which a file is open for
	// writing, as the checkpoint is; a bind mount of it can be.
	bind := filepath.Join(disk, "state")
	if err := syscall.Mount(bind, bind, "", syscall.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	defer syscall.Unmount(bind, syscall.MNT_DETACH)
	if err := syscall.Mount("", bind, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	code, _, said := r.call("run", "--once", "--config", r.config)
	if code != 1 || !strings.Contains(said, "read-only") || !strings.Contains(said, r.state) {
		t.Errorf("an agent that starts on a read-only state directory: exit %d: %s", code, said)
	}
	r.write(300)
	r.all()
	r.judge()
}

func fewDescriptors(t *testing.T, binary string) {
	const files = 60
	r := newFaultRig(t, binary, oneTopic(t), consumeInProcess, faultOptions{wrapper: []string{"sh", "-c", `ulimit -n 40; exec "$@"`, "sh"}})
	for round := range 3 {
		for i := range files {
			r.append(fmt.Sprintf("logs/f%d.log", i), fmt.Sprintf("file %d round %d\n", i, round))
		}
		r.write(10)
	}
	r.await("all lines of all files", func() bool { return r.others() == 3*files }, func() string { return fmt.Sprint(r.others()) })
	r.green()
	r.judge()
}

// fewWatches runs the agent in a user namespace that may watch one folder.
func fewWatches(t *testing.T, binary string) {
	if out, err := exec.Command("unshare", "-Ur", "sh", "-c", "echo 1 > /proc/sys/user/max_inotify_watches").CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: no user namespace in which watches can be limited: %v: %s", err, out)
	}
	dir := t.TempDir()
	for i := range 5 {
		if err := os.Mkdir(filepath.Join(dir, fmt.Sprint(i)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	r := newFaultRig(t, binary, oneTopic(t), consumeInProcess, faultOptions{
		logs:    filepath.Join(dir, "3"),
		paths:   fmt.Sprintf("[%q]", filepath.Join(dir, "*", "*.log")),
		wrapper: []string{"unshare", "-Ur", "sh", "-c", `echo 1 > /proc/sys/user/max_inotify_watches; exec "$@"`, "sh"},
	})
	for range 3 {
		r.write(100)
		r.all()
		r.rotate()
	}
	r.write(100)
	r.judge()
	if !strings.Contains(r.said(), "inotify watch limit is reached") {
		t.Error("the agent does not say that watches have run out")
	}
}
