package tailer

import (
	"path/filepath"

	"github.com/bmatcuk/doublestar/v4"
)

// MatchPath reports whether a valid pattern matches a path, as Run sees it. On
// Windows the pattern may have slashes or backslashes, and letters of any case.
func MatchPath(pattern, path string) bool {
	return doublestar.PathMatchUnvalidated(foldCase(filepath.FromSlash(pattern)), foldCase(path))
}
