package agent

import (
	"path"
	"regexp"
	"strings"
)

// logName is what a file's name says of the log it belongs to.
type logName struct {
	pattern string // that the log's live file has, as a pattern without its folder
	old     bool   // it is a rotated file, which pattern does not match
	dated   bool   // each period has a file of its own: pattern matches all of them
}

// Parts of names, as rotation makes them.
var ( //nolint:gochecknoglobals // constants that Go cannot express
	compressedName = regexp.MustCompile(`(?i)\.(gz|zst|bz2|xz|lz4|zip|z)$`)
	numberedName   = regexp.MustCompile(`^(.+)\.\d{1,4}$`)
	keptName       = regexp.MustCompile(`(?i)^(.+)\.(old|bak|prev|previous)$`)
	numberInside   = regexp.MustCompile(`^(.+)[._-]\d{1,4}(\.[A-Za-z]+)$`)
	dateInName     = regexp.MustCompile(`(?:19|20)\d\d([-_.]?)(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])(?:[-_.T]?\d{2}[-_.h]?(?:\d{2}[-_.m]?(?:\d{2})?)?)?`)
	weekdayInName  = regexp.MustCompile(`([-_.])(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)([-_.]|$)`)
	iisName        = regexp.MustCompile(`^(u_ex|u_in|ex|in|nc)\d{6,8}(_x)?(\.log)$`)
)

// logNameOf tells what log a file belongs to. exists reports whether there is a file
// of that name in its folder.
func logNameOf(name string, exists func(string) bool) logName {
	if base := compressedName.ReplaceAllString(name, ""); base != name {
		n := logNameOf(base, exists)
		n.old = true
		return n
	}
	if m := iisName.FindStringSubmatch(name); m != nil {
		return logName{pattern: m[1] + "[0-9]*" + m[3], dated: true}
	}
	for _, re := range []*regexp.Regexp{numberedName, keptName} {
		if m := re.FindStringSubmatch(name); m != nil {
			n := logNameOf(m[1], exists)
			n.old = true
			return n
		}
	}
	if at := dateInName.FindStringIndex(name); at != nil && at[0] > 0 && separates(name[at[0]-1]) {
		return datedName(name, at, exists)
	}
	if m := numberInside.FindStringSubmatch(name); m != nil && exists(m[1]+m[2]) {
		return logName{pattern: escapePattern(m[1] + m[2]), old: true}
	}
	if at := weekdayInName.FindStringSubmatchIndex(name); at != nil && at[0] > 0 {
		return logName{pattern: escapePattern(name[:at[3]]) + "???" + escapePattern(name[at[4]:]), dated: true}
	}
	return logName{pattern: escapePattern(name)}
}

// datedName is logNameOf for a name with a date at that place. It is a rotated file
// where there is a file of that name without the date.
func datedName(name string, at []int, exists func(string) bool) logName {
	before, after := name[:at[0]], name[at[1]:]
	if live := before[:len(before)-1] + after; after == "" || strings.HasPrefix(after, ".") {
		if exists(live) {
			return logName{pattern: escapePattern(live), old: true}
		}
	}
	if ext := path.Ext(after); ext != after && strings.Trim(strings.TrimSuffix(after, ext), "-_.0123456789") == "" {
		after = ext // a number after the date
	}
	return logName{pattern: escapePattern(before) + "[0-9]*" + escapePattern(after), dated: true}
}

func separates(c byte) bool { return c == '-' || c == '_' || c == '.' }

// escapePattern returns the pattern that matches name and nothing else.
func escapePattern(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`, `{`, `\{`, `}`, `\}`).Replace(name)
}

// looksLikeLog reports whether a file that was not asked for by its name may be a
// log.
func looksLikeLog(name string) bool {
	n := logNameOf(name, func(string) bool { return false })
	if strings.HasPrefix(name, ".") {
		return false
	}
	switch strings.ToLower(path.Ext(n.pattern)) {
	case ".log", ".txt", ".out", ".err", ".json", ".jsonl", ".ndjson", ".csv", ".trc":
		return true
	case "":
		return true // syslog, messages, ERRORLOG
	}
	return strings.Contains(strings.ToLower(n.pattern), "log")
}

// recordsOfLogins are files of the usual places that are no text, or say nothing
// while they are empty.
func recordsOfLogins() []string {
	return []string{"wtmp", "btmp", "lastlog", "faillog", "utmp", "tallylog", "README"}
}
