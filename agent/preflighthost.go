package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"shiplog/agent/config"
	"shiplog/shipper"
)

const (
	// littleSpace is so little that the checkpoint may not be written, and tightSpace
	// too little for dead letters.
	littleSpace = 16 << 20
	tightSpace  = 256 << 20
)

// disk is the file system that a folder is on.
type disk struct {
	free uint64 // bytes that this user may use
	full bool   // no file may be made
	kind string // "" where it is not told
	risk string // what is risky with a state directory there
}

// isThere tells whether something lies at a path, as far as can be seen.
func isThere(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// checkStateDir looks whether the state can be kept. A directory that is not there is
// not made: it would belong to who checks.
func checkStateDir(ctx context.Context, c *config.Config) []shipper.Finding {
	dir := c.StateDir
	f := shipper.Finding{Check: "state_dir", Subject: Printable(dir), Status: shipper.OK}
	fi, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		at := nearestFolder(dir)
		f.Says = "is not there yet, and can be made"
		if err := mayMake(at); err != nil {
			f.Status, f.Says = shipper.Problem, fmt.Sprintf("is not there, and cannot be made in %s: %s [state-unusable]", Printable(at), withoutPath(err))
			f.Remedy = makeFolder(runtime.GOOS, thisUser(), dir)
		}
		return append([]shipper.Finding{f}, checkDisk(at)...)
	case err != nil:
		f.Status, f.Says, f.Remedy = shipper.Problem, "cannot be looked at: "+withoutPath(err)+" [state-unusable]", "give "+thisUser()+" the right to it, or name another state_dir"
		return []shipper.Finding{f}
	case !fi.IsDir():
		f.Status, f.Says, f.Remedy = shipper.Problem, "is no directory [state-unusable]", "name another state_dir, or move it away"
		return []shipper.Finding{f}
	}
	if err := tryWrite(dir); err != nil {
		f.Status, f.Says = shipper.Problem, "cannot be written: "+withoutPath(err)+" [state-unwritable]"
		f.Remedy = handOver(runtime.GOOS, thisUser(), dir) + ", or free space"
		return append([]shipper.Finding{f}, checkDisk(dir)...)
	}
	switch s, err := ReadState(ctx, dir); {
	case err != nil:
		f.Status, f.Says, f.Remedy = shipper.Problem, fmt.Sprintf("what is in it cannot be read: %v", err), "see that all in it belongs to "+thisUser()
		if CodeOf(f.Says) == "" {
			f.Says += " [state-unreadable]"
		}
	case s.Running && s.PID > 0:
		f.Says = fmt.Sprintf("can be written; an agent uses it, process %d", s.PID)
	case s.Running:
		f.Says = "can be written; an agent uses it"
	default:
		f.Says = fmt.Sprintf("can be written; %s known", counted(len(s.Entries), "file"))
	}
	return append([]shipper.Finding{f}, checkDisk(dir)...)
}

// tryWrite makes a file in a folder and removes it.
func tryWrite(dir string) error {
	f, err := os.CreateTemp(dir, ".check-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString("x\n")
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

// checkDisk tells of the file system of the state directory, which at is on.
func checkDisk(at string) []shipper.Finding {
	d, ok := diskOf(at)
	if !ok {
		return nil
	}
	space := shipper.Finding{Check: "state_dir.space", Subject: Printable(filepath.Clean(at)), Status: shipper.OK, Says: size(int64(min(d.free, 1<<62))) + " are free"}
	switch {
	case d.full:
		space.Status, space.Says, space.Remedy = shipper.Problem, "no file can be made: the file system has no inode left [disk-full]", "remove files there"
	case d.free < littleSpace:
		space.Says += " [disk-full]"
		space.Status, space.Remedy = shipper.Problem, "free space: the checkpoint has to be written"
	case d.free < tightSpace:
		space.Status, space.Remedy = shipper.Warning, "free space: dead letters are kept there, up to kafka.dead_letter.max_file_bytes"
	}
	kind := shipper.Finding{Check: "state_dir.filesystem", Subject: space.Subject, Status: shipper.OK, Says: d.kind}
	switch {
	case d.kind == "":
		return []shipper.Finding{space}
	case d.risk != "":
		kind.Status, kind.Says, kind.Remedy = shipper.Warning, d.kind+": "+d.risk, "name a state_dir on a local disk that stays"
	}
	return []shipper.Finding{space, kind}
}
