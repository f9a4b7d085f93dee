package parse

import "shiplog/agent/envelope"

// The levels that params.level knows, as JSON.
var ( //nolint:gochecknoglobals // constants that Go cannot express
	levelTrace = ours(`"trace"`)
	levelDebug = ours(`"debug"`)
	levelInfo  = ours(`"info"`)
	levelWarn  = ours(`"warn"`)
	levelError = ours(`"error"`)
	levelFatal = ours(`"fatal"`)
)

// longestLevel bounds the words that are looked up.
const longestLevel = 16

// levelOf returns the level that a word, or a number of bunyan and pino, stands
// for; none for one that is not known. exact says that the word is only another
// spelling of it.
func levelOf(word []byte) (level envelope.Value, exact bool) {
	if len(word) > longestLevel || len(word) == 0 {
		return envelope.Value{}, false
	}
	var lower [longestLevel]byte
	for i, c := range word {
		if c-'A' < 26 {
			c |= 0x20
		}
		lower[i] = c
	}
	switch string(lower[:len(word)]) {
	case "trace", "trc", "10":
		return levelTrace, true
	case "debug", "dbg", "20":
		return levelDebug, true
	case "info", "inf", "information", "informational", "30":
		return levelInfo, true
	case "warn", "warning", "wrn", "40":
		return levelWarn, true
	case "error", "err", "50":
		return levelError, true
	case "fatal", "ftl", "60":
		return levelFatal, true
	case "verbose", "finer", "finest", "silly":
		return levelTrace, false
	case "fine", "config":
		return levelDebug, false
	case "notice", "http", "success":
		return levelInfo, false
	case "severe":
		return levelError, false
	case "critical", "crit", "alert", "emergency", "emerg", "panic", "dpanic":
		return levelFatal, false
	}
	return envelope.Value{}, false
}

// The words of syslog's severities and facilities, RFC 5424 section 6.2.1.
var ( //nolint:gochecknoglobals // constant tables
	severities = [8]string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}
	facilities = [24]string{
		"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
		"ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
	}
)
