package tailer

import (
	"fmt"
	"os"

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

// links returns 1: a file that is open here cannot lose its last name on this
// system before it is closed.
func links(os.FileInfo) int { return 1 }
