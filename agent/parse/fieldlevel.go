package parse

import "shiplog/agent/envelope"

// levelOf returns the level that a field's word, or a number of bunyan and pino,
// stands for; none for one that is not known. exact says that the word is only
// another spelling of it.
func levelOf(word []byte) (level envelope.Value, exact bool) {
	v, exact := severityOf(word)
	if v == noSeverity {
		switch string(word) {
		case "10":
			v, exact = severityTrace, true
		case "20":
			v, exact = severityDebug, true
		case "30":
			v, exact = severityInfo, true
		case "40":
			v, exact = severityWarn, true
		case "50":
			v, exact = severityError, true
		case "60":
			v, exact = severityFatal, true
		case "LOG", "DEBUG1", "DEBUG2", "DEBUG3", "DEBUG4", "DEBUG5": // PostgreSQL's jsonlog and csvlog
			v, exact = postgresLevel(word)
		case "http", "HTTP", "success", "SUCCESS": // winston, Python's loguru
			v = severityInfo
		}
	}
	return levelValues[v], exact
}

// The words of syslog's severities and facilities, RFC 5424 section 6.2.1.
var ( //nolint:gochecknoglobals // constant tables
	severities = [8]string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"}
	facilities = [24]string{
		"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
		"ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
	}
)
