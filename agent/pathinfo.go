package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"shiplog/tailer"
)

// pathKind is what lies at a path.
type pathKind string

const (
	pathFile       pathKind = "file" // a regular file, or a named pipe, that can be read
	pathMissing    pathKind = "missing"
	pathFolder     pathKind = "folder"
	pathIrregular  pathKind = "irregular"
	pathDenied     pathKind = "denied"
	pathUnreadable pathKind = "unreadable"
)

// pathInfo is what lies at a path, as this process sees it.
type pathInfo struct {
	kind     pathKind
	real     string // the same without symbolic links, where it is there
	dev, ino uint64
	size     int64
	says     []string // sentences about it
	denial   string   // of says, the one that tells which right is missing; and the
	mend     string   // command that gives it
}

// inspectPath looks at a path, and where it cannot be read says which part of
// it is in the way.
func inspectPath(path string) pathInfo {
	d := pathInfo{real: path}
	if fi, err := os.Lstat(path); err == nil && fi.Mode()&fs.ModeSymlink != 0 {
		d.link(path)
	}
	fi, err := os.Stat(path)
	switch {
	case err != nil:
		d.absent(path, err)
		return d
	case fi.IsDir():
		d.kind = pathFolder
		d.say("It is a folder: name the files in it, such as by %s.", Printable(filepath.Join(path, "*.log")))
		return d
	case fi.Mode()&fs.ModeNamedPipe != 0:
		d.kind = pathFile
		d.say("It is a named pipe: what it holds cannot be looked at.")
		return d
	case !fi.Mode().IsRegular():
		d.kind = pathIrregular
		d.say("It is no regular file, but a %s: it is never read.", nameOf(fi.Mode()))
		return d
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		d.real = real
	}
	d.size = fi.Size()
	d.open(path)
	return d
}

func (d *pathInfo) say(format string, args ...any) {
	d.says = append(d.says, fmt.Sprintf(format, args...))
}

// deny says which right is missing, and how to give it.
func (d *pathInfo) deny(mend, format string, args ...any) {
	d.kind = pathDenied
	d.denial, d.mend = fmt.Sprintf(format, args...), mend
	d.say("%s To mend it: %s", d.denial, d.mend)
}

// link says where a symbolic link leads.
func (d *pathInfo) link(path string) {
	to, err := os.Readlink(path)
	if err == nil {
		d.say("It is a symbolic link to %s.", Printable(to))
	}
}

// absent says why there is nothing at the path.
func (d *pathInfo) absent(path string, err error) {
	d.kind = pathUnreadable
	switch {
	case errors.Is(err, fs.ErrPermission):
		d.deniedFolder(path)
	case errors.Is(err, fs.ErrNotExist):
		d.kind = pathMissing
		if first := firstMissing(path); first != path {
			d.say("It is not there: %s does not exist.", Printable(first))
		} else {
			d.say("It is not there.")
		}
	default:
		d.say("It cannot be looked at: %v.", err)
	}
}

// firstMissing returns the first part of a path that is not there.
func firstMissing(path string) string {
	for _, p := range parents(path) {
		if _, err := os.Lstat(p); errors.Is(err, fs.ErrNotExist) {
			return p
		}
	}
	return path
}

// parents returns the path and all folders above it, from the root on.
func parents(path string) []string {
	var out []string
	for p := path; ; p = filepath.Dir(p) {
		out = append([]string{p}, out...)
		if p == filepath.Dir(p) {
			return out
		}
	}
}

// deniedFolder says which folder above the path may not be passed.
func (d *pathInfo) deniedFolder(path string) {
	at := path
	for _, p := range parents(path) {
		if _, err := os.Stat(p); errors.Is(err, fs.ErrPermission) {
			at = filepath.Dir(p)
			break
		}
	}
	who := thisUser()
	d.deny(Grant(who, "x", at), "User %s may not pass through the folder %s (no x right).", who, Printable(at))
}

// open says whether the file may be read, and whether it looks like text.
func (d *pathInfo) open(path string) {
	who := thisUser()
	f, err := openShared(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		d.deny(Grant(who, "r", d.real), "User %s may not read it (no r right).", who)
		return
	case err != nil:
		d.kind = pathUnreadable
		d.say("It cannot be opened: %v.", err)
		return
	}
	defer f.Close()
	d.kind = pathFile
	if d.dev, d.ino, err = tailer.Identity(path); err != nil {
		d.say("Its device and inode cannot be told: %v.", err)
	}
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		defer dir.Close()
	} else if errors.Is(err, fs.ErrPermission) {
		d.deny(Grant(who, "rx", filepath.Dir(path)), "User %s may not list its folder %s (no r right), and so does not find it.", who, Printable(filepath.Dir(path)))
		return
	}
	head := make([]byte, 1<<10)
	n, err := f.ReadAt(head, 0)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		d.kind = pathUnreadable
		d.say("It cannot be read: %v.", err)
	case n == 0:
		d.say("It is empty: there is nothing to read yet.")
	case bytes.IndexByte(head[:n], 0) >= 0 && !bytes.HasPrefix(head, []byte{0xff, 0xfe}) && !bytes.HasPrefix(head, []byte{0xfe, 0xff}):
		d.say("It has NUL bytes in its beginning: it looks like no text.")
	}
}

// thisUser returns the name of the user that this process runs as.
func thisUser() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return strconv.Itoa(os.Geteuid())
}

func nameOf(m fs.FileMode) string {
	switch {
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

// shellQuote returns a word of a POSIX shell.
func shellQuote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("/._-+,:@%", c))
	}) {
		return s
	}
	if q := strconv.Quote(s); q != `"`+s+`"` { // bash's quoting, for what cannot be shown as it is
		q = strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
		return "$'" + strings.ReplaceAll(q, "'", `\'`) + "'"
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
