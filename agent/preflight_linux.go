package agent

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// diskOf returns what a folder is on.
func diskOf(dir string) (disk, bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return disk{}, false
	}
	d := disk{free: st.Bavail * uint64(st.Bsize), full: st.Files > 0 && st.Ffree == 0} //nolint:unconvert // the types differ between systems
	const network = "a network file system, where locks and fsync may not hold what they promise"
	switch int64(st.Type) { //nolint:unconvert // as above
	case unix.EXT4_SUPER_MAGIC: // ext2 and ext3 have the same
		d.kind = "ext4"
	case unix.XFS_SUPER_MAGIC:
		d.kind = "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		d.kind = "btrfs"
	case 0x2fc12fc1:
		d.kind = "zfs"
	case unix.TMPFS_MAGIC:
		d.kind, d.risk = "tmpfs", "it is in memory: after a reboot all files are read again"
	case unix.OVERLAYFS_SUPER_MAGIC:
		d.kind, d.risk = "overlay", "a container's own layer goes with the container, and all files are read again"
	case unix.NFS_SUPER_MAGIC:
		d.kind, d.risk = "nfs", network
	case unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC:
		d.kind, d.risk = "smb", network
	default:
		d.kind = fmt.Sprintf("type %#x", st.Type)
	}
	return d, true
}

// watchLimit tells how many folders a user may have watched.
func watchLimit() string {
	b, err := os.ReadFile("/proc/sys/fs/inotify/max_user_watches")
	if err != nil {
		return ""
	}
	return fmt.Sprintf("; a user may watch %s", strings.TrimSpace(string(b)))
}
