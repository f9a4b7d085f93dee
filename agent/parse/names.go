package parse

import (
	"unicode/utf8"

	"shiplog/agent/envelope"
)

// The usual names of what an envelope names, in JSON logs, in lower case. Where
// several are there the first of the list wins, and the others go to params.
var usual = map[string]struct { //nolint:gochecknoglobals // a constant table
	member member
	rank   int
}{
	"message": {message, 1}, "msg": {message, 2}, "@m": {message, 3}, "@message": {message, 4}, "renderedmessage": {message, 5},
	"short_message": {message, 6}, "log": {message, 7}, "text": {message, 8}, "@mt": {message, 9}, "messagetemplate": {message, 10},
	"application": {application, 1}, "app": {application, 2}, "applicationname": {application, 3}, "application_name": {application, 4},
	"appname": {application, 5}, "app_name": {application, 6}, "service.name": {application, 7}, "service": {application, 8}, "servicename": {application, 9}, "service_name": {application, 10},
	"username": {username, 1}, "user": {username, 2}, "user_name": {username, 3}, "user.name": {username, 4}, "userid": {username, 5}, "user_id": {username, 6},
	"operation": {operation, 1}, "op": {operation, 2}, "operationname": {operation, 3}, "operation_name": {operation, 4}, "action": {operation, 5},
}

// longestName bounds the names that are looked up.
const longestName = 24

// usualName looks a key, with its quotes, up.
func usualName(key []byte) (member, int, bool) {
	name := key[1 : len(key)-1]
	if len(name) > longestName {
		return 0, 0, false
	}
	var lower [longestName]byte
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		lower[i] = c
	}
	u, ok := usual[string(lower[:len(name)])]
	return u.member, u.rank, ok
}

// object reads any JSON object, which is known to be valid JSON. Only strings,
// and no empty ones, are taken by their names. Without a message the entry
// itself is the message.
func object(text []byte, e *envelope.Envelope) error {
	s := scanner{b: text}
	if _, ok := s.value(); !ok || !s.end() {
		return ErrInvalidJSON
	}
	if s.high && !utf8.Valid(text) {
		text = repaired(text)
	}
	var best [members]int // rank of what was taken
	to := [members]*envelope.Value{message: &e.Message, application: &e.Application, username: &e.Username, operation: &e.Operation}
	eachMember(text, func(key, value []byte) {
		if m, rank, ok := usualName(key); ok && value[0] == '"' && len(value) > 2 && (best[m] == 0 || rank < best[m]) {
			best[m] = rank
		}
	})
	eachMember(text, func(key, value []byte) {
		if m, rank, ok := usualName(key); ok && rank == best[m] && value[0] == '"' && len(value) > 2 && to[m].Kind == envelope.None {
			*to[m] = jsonValue(value)
			return
		}
		e.Params = append(e.Params, jsonMember(key, value))
	})
	if e.Message.Kind == envelope.None {
		e.Message = envelope.Value{Kind: envelope.Text, Bytes: text}
	}
	return nil
}
