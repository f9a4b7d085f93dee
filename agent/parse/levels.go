package parse

import "shiplog/agent/envelope"

// severity is how grave an entry is.
type severity uint8

const (
	noSeverity severity = iota
	severityTrace
	severityDebug
	severityInfo
	severityWarn
	severityError
	severityFatal
)

// levelValues are what goes to params.level.
var levelValues = [...]envelope.Value{ //nolint:gochecknoglobals // a constant table
	severityTrace: ours(`"trace"`), severityDebug: ours(`"debug"`), severityInfo: ours(`"info"`),
	severityWarn: ours(`"warn"`), severityError: ours(`"error"`), severityFatal: ours(`"fatal"`),
}

// longestSeverity is the length of the longest of the words.
const longestSeverity = len("informational")

// severityLetters are the letters that such a word begins with; a is the lowest bit.
const severityLetters = 1<<0 | 1<<('c'-'a') | 1<<('d'-'a') | 1<<('e'-'a') | 1<<('f'-'a') | 1<<('i'-'a') |
	1<<('n'-'a') | 1<<('p'-'a') | 1<<('s'-'a') | 1<<('t'-'a') | 1<<('v'-'a') | 1<<('w'-'a')

// mayBeSeverity reports whether one of these words begins with c. Most words are
// told from them by that alone.
func mayBeSeverity(c byte) bool {
	c = c | 0x20 - 'a'
	return c < 26 && severityLetters>>c&1 != 0
}

// severityOf returns the level that a word names, in any letters. exact says that
// the word is only a spelling of it, else it says more (notice, severe).
func severityOf(word []byte) (l severity, exact bool) {
	if len(word) < 3 || len(word) > longestSeverity || !mayBeSeverity(word[0]) {
		return noSeverity, false
	}
	var folded [longestSeverity]byte
	for i, c := range word {
		if c |= 0x20; c < 'a' || c > 'z' {
			return noSeverity, false
		}
		folded[i] = c
	}
	switch string(folded[:len(word)]) {
	case "info", "inf", "information", "informational":
		return severityInfo, true
	case "warn", "warning", "wrn":
		return severityWarn, true
	case "error", "err":
		return severityError, true
	case "debug", "dbg", "deb":
		return severityDebug, true
	case "trace", "trc":
		return severityTrace, true
	case "fatal", "ftl":
		return severityFatal, true
	case "notice", "note":
		return severityInfo, false
	case "severe":
		return severityError, false
	case "crit", "critical", "emerg", "emergency", "alert", "panic", "dpanic":
		return severityFatal, false
	case "fine", "config":
		return severityDebug, false
	case "finer", "finest", "verbose", "silly":
		return severityTrace, false
	}
	return noSeverity, false
}

// severityOfLetter returns the level that Android's and Google's loggers write as
// one letter.
func severityOfLetter(c byte) severity {
	switch c {
	case 'V', 'T':
		return severityTrace
	case 'D':
		return severityDebug
	case 'I':
		return severityInfo
	case 'W':
		return severityWarn
	case 'E':
		return severityError
	case 'F', 'A':
		return severityFatal
	}
	return noSeverity
}

// priorities is how many there are in syslog: 24 facilities of eight severities.
const priorities = 24 * 8

// severityOfPriority returns the level of a syslog priority (RFC 5424 6.2.1).
func severityOfPriority(pri int) severity {
	return [8]severity{severityFatal, severityFatal, severityFatal, severityError, severityWarn, severityInfo, severityInfo, severityDebug}[pri&7]
}
