package tailer

import (
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
)

// rotationNumber returns the number that logrotate gives a file, 0 if its name
// ends otherwise.
func rotationNumber(path string) int {
	const most = 9999 // a greater one is a date
	text := strings.TrimPrefix(filepath.Ext(unpackedName(path)), ".")
	n, err := strconv.Atoi(text)
	if err != nil || n > most || text[0] == '0' { // 000017 counts up, as dates do
		return 0
	}
	return n
}

// unpackedName takes the ending off that log rotators give compressed files.
func unpackedName(path string) string {
	for _, c := range [...]string{".gz", ".bz2", ".zst", ".xz", ".lz4", ".Z"} {
		if name, ok := strings.CutSuffix(path, c); ok {
			return name
		}
	}
	return path
}

// rotatedAs reports whether path is one that a file at origin can get by a
// rotation, in whatever folder.
func rotatedAs(origin, path string) bool {
	return rotatedName(filepath.Base(origin), filepath.Base(path))
}

// rotatedName reports whether name looks like base after a rotation:
// app.log -> app.log.1, app.log-20261124, app-2026-11-24.log, app.1.log, also
// compressed, and app.log.gz. Temporary files do not count.
func rotatedName(base, name string) bool {
	for _, c := range [...]string{".tmp", ".swp", "~"} {
		if strings.HasSuffix(name, c) {
			return false
		}
	}
	unpacked := unpackedName(name)
	if unpacked == base {
		return unpacked != name
	}
	for _, o := range rotatedFrom(unpacked) {
		if o == base {
			return true
		}
	}
	return false
}

// rotatedFrom returns the names that a file called name may have had before a
// rotation.
func rotatedFrom(name string) []string {
	var out []string
	ext := filepath.Ext(name)
	for i, c := range name {
		if i == 0 || !strings.ContainsRune(".-_", c) || !strings.ContainsFunc(name[i:], unicode.IsDigit) {
			continue
		}
		out = append(out, name[:i])
		if stem, ok := strings.CutSuffix(name[i:], ext); ok && ext != "" && strings.ContainsFunc(stem, unicode.IsDigit) {
			out = append(out, name[:i]+ext)
		}
	}
	return out
}
