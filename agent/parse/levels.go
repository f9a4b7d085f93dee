package parse

// level is how grave an entry is.
type level uint8

const (
	noLevel level = iota
	levelTrace
	levelDebug
	levelInfo
	levelWarn
	levelError
	levelFatal
)

// levelNames are what goes to params.level, as JSON.
var levelNames = [...][]byte{nil, []byte(`"trace"`), []byte(`"debug"`), []byte(`"info"`), []byte(`"warn"`), []byte(`"error"`), []byte(`"fatal"`)} //nolint:gochecknoglobals // a constant table

// longestLevel is the length of the longest of the words.
const longestLevel = len("information")

// levelOf returns the level that a word names, in any letters. exact says that
// the word is only a spelling of it, else it says more (notice, severe).
func levelOf(word []byte) (l level, exact bool) {
	if len(word) < 3 || len(word) > longestLevel {
		return noLevel, false
	}
	var folded [longestLevel]byte
	for i, c := range word {
		if c |= 0x20; c < 'a' || c > 'z' {
			return noLevel, false
		}
		folded[i] = c
	}
	switch string(folded[:len(word)]) {
	case "info", "inf", "information":
		return levelInfo, true
	case "warn", "warning", "wrn":
		return levelWarn, true
	case "error", "err":
		return levelError, true
	case "debug", "dbg", "deb":
		return levelDebug, true
	case "trace", "trc":
		return levelTrace, true
	case "fatal", "ftl":
		return levelFatal, true
	case "notice", "note":
		return levelInfo, false
	case "severe":
		return levelError, false
	case "crit", "critical", "emerg", "emergency", "alert", "panic":
		return levelFatal, false
	case "fine", "config":
		return levelDebug, false
	case "finer", "finest", "verbose":
		return levelTrace, false
	}
	return noLevel, false
}

// levelOfLetter returns the level that Android's and Google's loggers write as
// one letter.
func levelOfLetter(c byte) level {
	switch c {
	case 'V', 'T':
		return levelTrace
	case 'D':
		return levelDebug
	case 'I':
		return levelInfo
	case 'W':
		return levelWarn
	case 'E':
		return levelError
	case 'F', 'A':
		return levelFatal
	}
	return noLevel
}

// levelOfPriority returns the level of a syslog priority (RFC 5424 6.2.1).
func levelOfPriority(pri int) level {
	return [8]level{levelFatal, levelFatal, levelFatal, levelError, levelWarn, levelInfo, levelInfo, levelDebug}[pri&7]
}
