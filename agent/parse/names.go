package parse

import "shiplog/agent/envelope"

// longestName bounds the names that are looked up.
const longestName = 24

// hints are names that say which logger wrote an object.
type hints uint8

const (
	hintPython  hints = 1 << iota // levelname: Python's logging
	hintBunyan                    // hostname: bunyan and pino
	hintMonolog                   // level_name: Monolog
	hintName                      // name: the logger of the first two
	hintChannel                   // channel: the logger of the third
)

// loggerByName reports whether name, or channel, is the logger's.
func (h hints) loggerByName() bool {
	return h&hintName != 0 && h&(hintPython|hintBunyan) != 0 || h&hintChannel != 0 && h&hintMonolog != 0
}

// usualPlace returns the place of the usual names that loggers write, in any
// letters, and the name's rank. Where several are there the lowest rank wins,
// and the others stay in params.
func (f *fields) usualPlace(name []byte) (place, uint8) {
	if len(name) > longestName || len(name) < 2 {
		return atNoPlace, 0
	}
	var lower [longestName]byte
	for i, c := range name {
		if c-'A' < 26 {
			c |= 0x20
		}
		lower[i] = c
	}
	name = lower[:len(name)]
	switch lower[0] {
	case '@':
		return atSign(name)
	case 'm', 'r', 'f', 't', 'l':
		return f.usualMTL(name)
	case 'a', 'u', 'o', 'e', 'd':
		return usualAUO(name)
	}
	return f.usualOther(name)
}

// atSign is usualPlace of the names that begin with @: Serilog's and Logstash's.
func atSign(name []byte) (place, uint8) {
	switch string(name) {
	case "@m":
		return atMessage, 4
	case "@message":
		return atMessage, 5
	case "@mt":
		return atMessage, rankTemplate
	case "@timestamp":
		return atTimestamp, 3
	case "@t":
		return atTimestamp, 4
	case "@l":
		return atLevel, 4
	}
	return atNoPlace, 0
}

func (f *fields) usualMTL(name []byte) (place, uint8) {
	switch string(name) {
	case "message":
		return atMessage, rankExact
	case "msg":
		return atMessage, 3
	case "renderedmessage", "rendered_message":
		return atMessage, 6
	case "formattedmessage", "formatted_message":
		return atMessage, 7
	case "log":
		return atMessage, 9
	case "text":
		return atMessage, 10
	case "messagetemplate":
		return atMessage, rankTemplate + 1
	case "timestamp":
		return atTimestamp, rankExact
	case "time":
		return atTimestamp, 5
	case "ts":
		return atTimestamp, 6
	case "timemillis":
		return atTimestamp, 9
	case "time_stamp":
		return atTimestamp, 10
	case "level":
		return atLevel, rankExact + 8 // a word under another name says more than a number here
	case "log.level":
		return atLevel, 3
	case "loglevel", "log_level":
		return atLevel, 5
	case "levelname":
		f.hints |= hintPython
		return atLevel, 6
	case "level_name":
		f.hints |= hintMonolog
		return atLevel, 6
	case "lvl":
		return atLevel, 14
	case "logger":
		return atLogger, rankExact
	case "loggername", "logger_name":
		return atLogger, 3
	case "log.logger":
		return atLogger, 4
	case "thread":
		return atThread, rankExact
	case "threadname", "thread_name":
		return atThread, 3
	}
	return atNoPlace, 0
}

func usualAUO(name []byte) (place, uint8) {
	switch string(name) {
	case "application":
		return atApplication, rankExact
	case "app":
		return atApplication, 3
	case "applicationname", "application_name", "application.name":
		return atApplication, 4
	case "appname", "app_name", "app.name":
		return atApplication, 5
	case "username":
		return atUsername, rankExact
	case "user":
		return atUsername, 3
	case "user_name":
		return atUsername, 4
	case "user.name":
		return atUsername, 5
	case "userid", "user_id", "user.id":
		return atUsername, 6
	case "operation":
		return atOperation, rankExact
	case "op":
		return atOperation, 3
	case "operationname", "operation_name":
		return atOperation, 4
	case "action":
		return atOperation, 5
	case "event.action":
		return atOperation, 6
	case "event":
		return atMessage, 11
	case "error_severity": // PostgreSQL
		return atLevel, 8
	case "asctime":
		return atTimestamp, 7
	case "datetime", "date_time", "date-time":
		return atTimestamp, 8
	case "date":
		return atTimestamp, 12
	case "eventtime", "event_time":
		return atTimestamp, 11
	}
	return atNoPlace, 0
}

// usualOther is usualPlace of the other names, some of which are hints.
func (f *fields) usualOther(name []byte) (place, uint8) {
	switch string(name) {
	case "short_message":
		return atMessage, 8
	case "service.name":
		return atApplication, 6
	case "service":
		return atApplication, rankService
	case "servicename", "service_name":
		return atApplication, 8
	case "severity":
		return atLevel, 12
	case "severity_text", "severitytext":
		return atLevel, 7
	case "sourcecontext":
		return atLogger, 5
	case "process.thread.name":
		return atThread, 4
	case "instant":
		return atTimestamp, 13
	case "name":
		f.hints |= hintName
		f.name = len(f.e.Params)
	case "channel":
		f.hints |= hintChannel
		f.name = len(f.e.Params)
	case "hostname":
		f.hints |= hintBunyan
	}
	return atNoPlace, 0
}

// nestedPlace returns the place of a member of a member, as the Elastic Common
// Schema nests them and Serilog its properties.
func nestedPlace(outer, inner []byte) (place, uint8) {
	switch string(inner) {
	case `"level"`:
		if string(outer) == "log" {
			return atLevel, 8
		}
	case `"logger"`:
		if string(outer) == "log" {
			return atLogger, 6
		}
	case `"name"`:
		switch string(outer) {
		case "service":
			return atApplication, 9
		case "user":
			return atUsername, 7
		case "thread":
			return atThread, 5
		}
	case `"action"`:
		if string(outer) == "event" {
			return atOperation, 7
		}
	case `"SourceContext"`:
		if string(outer) == "Properties" {
			return atLogger, 7
		}
	case `"UserName"`:
		if string(outer) == "Properties" {
			return atUsername, 8
		}
	}
	return atNoPlace, 0
}

// hasNested reports whether a member of this name may hold others that have a
// place.
func hasNested(name []byte) bool {
	switch string(name) {
	case "log", "service", "user", "event", "process", "Properties":
		return true
	}
	return false
}

// nested offers the members of an object that is a member; JSON known to be
// valid. outer is the member's name.
func (f *fields) nested(outer, object []byte) {
	eachMember(object, func(key, value []byte) {
		if string(outer) == "process" && string(key) == `"thread"` && value[0] == '{' {
			f.nested([]byte("thread"), value)
			return
		}
		if p, rank := nestedPlace(outer, key); p != atNoPlace {
			f.give(p, rank, envelope.Value{Kind: envelope.JSON, Bytes: value})
		}
	})
}
