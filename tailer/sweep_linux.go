package tailer

import "golang.org/x/sys/unix"

// eventsAreTold reports whether the file system of dir is one whose events, and
// whose folders' times, tell of all changes: one of this host's own. On others
// somebody else may write.
func eventsAreTold(dir string) bool {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return false
	}
	const zfs, bcachefs = 0x2fc12fc1, 0xca451a4e // linux/magic.h has neither
	switch uint32(st.Type) {                     //nolint:gosec // magic numbers have 32 bits
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC,
		unix.RAMFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC, zfs, bcachefs:
		return true
	}
	return false
}
