package tailer

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// fileKey is how the system tells files apart: volume serial number and file
// index. It is a hint only.
type fileKey struct{ dev, ino uint64 }

// keyOf returns the key of an open file.
func keyOf(f *os.File, _ os.FileInfo) fileKey {
	if f == nil {
		return fileKey{}
	}
	var d windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(windows.Handle(f.Fd()), &d); err != nil {
		return fileKey{}
	}
	return fileKey{uint64(d.VolumeSerialNumber), uint64(d.FileIndexHigh)<<32 | uint64(d.FileIndexLow)}
}

// keyAt returns the key of the file at path, which has to be opened for that.
func keyAt(path string, _ os.FileInfo) (fileKey, error) {
	f, err := openShared(path)
	if err != nil {
		return fileKey{}, err
	}
	defer f.Close()
	k := keyOf(f, nil)
	if k == (fileKey{}) {
		return k, fmt.Errorf("file index of %s is not known", path)
	}
	return k, nil
}

// links returns how many names the open file has. One that was deleted while it
// is open here has none: as long as it is, nobody can make another of its name.
func links(f *os.File, _ os.FileInfo) int {
	var info struct { // FILE_STANDARD_INFO
		allocated, end int64
		links          uint32
		deletePending  bool
		directory      bool
	}
	err := windows.GetFileInformationByHandleEx(windows.Handle(f.Fd()), windows.FileStandardInfo, (*byte)(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)))
	switch {
	case err != nil: // of a file system that does not tell
		return 1
	case info.deletePending:
		return 0
	}
	return int(info.links)
}
