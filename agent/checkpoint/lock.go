package checkpoint

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// LockedError says that another process uses the state directory.
type LockedError struct {
	Dir string
	PID int // of that process; 0 where it is not known
}

// Error names the process and what to do.
func (e *LockedError) Error() string {
	who := "another process"
	if e.PID > 0 {
		who = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("%s is in use by %s: two agents cannot share a state_dir; stop that one, or give this one its own", e.Dir, who)
}

const lockName = "LOCK"

// lock takes the directory for this process. The system gives it back when the
// file is closed, and when the process ends in any way. The file itself stays:
// removing it would let two processes lock two files of the same name.
func lock(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the state directory: %w; it must be writable for the user that the agent runs as", err)
	}
	taken, err := tryLock(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w; state_dir must be on a file system that supports locks", path, err), f.Close())
	}
	if !taken {
		return nil, errors.Join(&LockedError{Dir: dir, PID: holder(path)}, f.Close())
	}
	return f, nil
}

// sign writes the process id into the lock file, for the message that another
// process gives.
func sign(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// holder returns the process id in a lock file, or 0.
func holder(path string) int {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	return pid
}
