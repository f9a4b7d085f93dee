package parse

import (
	"bytes"

	"shiplog/agent/envelope"
)

// Keys of a request.
var ( //nolint:gochecknoglobals // constants that Go cannot express
	keyVhost      = ours(`"vhost"`)
	keyRemoteHost = ours(`"remote_host"`)
	keyIdent      = ours(`"ident"`)
	keyMethod     = ours(`"method"`)
	keyPath       = ours(`"path"`)
	keyProtocol   = ours(`"protocol"`)
	keyStatus     = ours(`"status"`)
	keyBytes      = ours(`"bytes"`)
	keyReferer    = ours(`"referer"`)
	keyUserAgent  = ours(`"user_agent"`)
	keyUsername   = ours(`"username"`)
	keyExtra      = ours(`"extra"`)
)

// clf reads the Common and the Combined Log Format, with or without the virtual
// host before, as Apache, nginx and others write it. The message is the request
// line. What follows the known fields goes to params.extra, as it stands.
type clf struct{ o *settings }

// Parse reads a line of an access log.
func (p clf) Parse(entry []byte, e *envelope.Envelope) error {
	text := withoutBOM(entry)
	var r request
	if !r.read(text) {
		return failed(entry, e, ErrCLF)
	}
	f := newFields(e, p.o, false)
	f.named(keyVhost, r.vhost)
	f.named(keyRemoteHost, r.host)
	f.named(keyIdent, r.ident)
	if r.user != nil {
		f.add([]byte("username"), keyUsername, textBytes(r.user))
	}
	f.add([]byte("timestamp"), keyTimestamp, textBytes(r.time))
	if r.line != nil {
		f.give(atMessage, rankExact, textBytes(r.line))
	}
	if method, path, protocol, ok := requestLine(r.line); ok {
		f.named(keyMethod, method)
		f.named(keyPath, path)
		f.named(keyProtocol, protocol)
	}
	f.named(keyStatus, r.status)
	f.named(keyBytes, r.size)
	f.named(keyReferer, r.referer)
	f.named(keyUserAgent, r.agent)
	f.named(keyExtra, r.extra)
	f.done(text)
	return nil
}

// detectCLF knows the format by its structure.
func detectCLF(entry []byte) int {
	var r request
	return certain(r.read(withoutBOM(entry)), 98)
}

// request is a line of an access log; nil is what is absent.
type request struct {
	vhost, host, ident, user, time, line, status, size, referer, agent, extra []byte
}

// read takes a line apart.
func (r *request) read(b []byte) bool {
	open := bytes.Index(b, []byte(" ["))
	if open < 0 || !r.who(b[:open]) {
		return false
	}
	b = b[open+2:]
	end := bytes.IndexByte(b, ']')
	if end < len("02/Jan/2006:15:04:05") || b[2] != '/' || b[6] != '/' || b[11] != ':' || len(b) < end+3 || b[end+1] != ' ' {
		return false
	}
	r.time, b = b[:end], b[end+2:]
	line, b, ok := quotedField(b)
	if !ok || len(b) == 0 {
		return false
	}
	r.line = line
	r.status, b = word(b)
	if len(r.status) != 3 || countDigits(r.status) != 3 {
		if string(r.status) != "-" {
			return false
		}
		r.status = nil
	}
	if b == nil {
		return true
	}
	size, rest := word(b)
	if countDigits(size) != len(size) && string(size) != "-" || len(size) == 0 {
		r.extra = b
		return true
	}
	r.size, b = present(size), rest
	if len(b) > 0 && b[0] == '"' {
		if referer, rest, ok := quotedField(b); ok {
			r.referer, b = referer, rest
			if agent, rest, ok := quotedField(b); ok {
				r.agent, b = agent, rest
			}
		}
	}
	if len(b) > 0 {
		r.extra = b
	}
	return true
}

// who reads what stands before the time: [vhost] host ident user.
func (r *request) who(b []byte) bool {
	first, rest := word(b)
	second, rest := word(rest)
	third, rest := word(rest)
	if len(first) == 0 || len(second) == 0 || len(third) == 0 {
		return false
	}
	r.host, r.ident, r.user = first, present(second), present(third)
	if rest != nil {
		// Four words, or more: a virtual host, or a user with spaces.
		if vhost := bytes.IndexByte(rest, ' ') < 0 && string(second) != "-"; vhost {
			r.vhost, r.host, r.ident, r.user = first, second, present(third), present(rest)
		} else {
			r.user = b[len(b)-len(rest)-1-len(third):]
		}
	}
	return true
}

// present returns b, or nil where it says that there is nothing.
func present(b []byte) []byte {
	if len(b) == 0 || len(b) == 1 && b[0] == '-' {
		return nil
	}
	return b
}

// quotedField cuts a field in double quotes, whose escapes stay, and the space
// behind it. It is nil where it says that there is nothing.
func quotedField(b []byte) (inside, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return nil, b, false
	}
	n := closingQuote(b)
	if n == 0 || n < len(b) && b[n] != ' ' {
		return nil, b, false
	}
	rest = b[n:]
	if len(rest) > 0 {
		rest = rest[1:]
	}
	return present(b[1 : n-1]), rest, true
}

// requestLine takes "GET /path HTTP/1.1" apart.
func requestLine(b []byte) (method, path, protocol []byte, ok bool) {
	method, rest := word(b)
	last := bytes.LastIndexByte(rest, ' ')
	if len(method) == 0 || last < 1 || !bytes.HasPrefix(rest[last+1:], []byte("HTTP/")) {
		return nil, nil, nil, false
	}
	return method, rest[:last], rest[last+1:], true
}
