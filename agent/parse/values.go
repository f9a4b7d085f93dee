package parse

import (
	"bytes"
	"errors"
	"unicode/utf8"

	"shiplog/agent/envelope"
)

// textBytes returns a text as a value.
func textBytes(b []byte) envelope.Value { return envelope.Value{Kind: envelope.Text, Bytes: b} }

// mostDigits is how many digits a number has at most that every reader of JSON
// keeps.
const mostDigits = 15

// bareValue returns a field that stands without quotes: a number, digit for
// digit, if it is written as one that JSON has too and that every reader can
// hold, else a text.
func bareValue(b []byte) envelope.Value {
	if plainNumber(b) {
		return jsonValue(b)
	}
	return textBytes(b)
}

func plainNumber(b []byte) bool {
	if len(b) > 0 && b[0] == '-' {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > mostDigits+1 || b[0] == '0' && len(b) > 1 && b[1] != '.' {
		return false
	}
	n := countDigits(b)
	if n == len(b) {
		return n <= mostDigits
	}
	return n > 0 && b[n] == '.' && n+1 < len(b) && countDigits(b[n+1:]) == len(b)-n-1
}

// quotedValue returns what stands in double quotes and may hold the escapes of
// JSON; quoted includes the quotes.
func quotedValue(quoted []byte) (envelope.Value, bool) {
	inside := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(inside, '\\') < 0 {
		return textBytes(inside), true
	}
	s := scanner{b: quoted}
	if !s.string() || !s.end() {
		if quoted = withoutApostrophes(quoted); quoted == nil {
			return envelope.Value{}, false
		}
		return quotedValue(quoted)
	}
	if s.high && !utf8.Valid(quoted) {
		quoted = repaired(quoted)
	}
	return jsonValue(quoted), true
}

// withoutApostrophes returns a quoted text with \' written as ': an escape that
// JSON does not have, and go-logfmt does. It returns nil if there is none.
func withoutApostrophes(quoted []byte) []byte {
	if !bytes.Contains(quoted, []byte(`\'`)) {
		return nil
	}
	out := make([]byte, 0, len(quoted))
	for i := 0; i < len(quoted); i++ {
		if quoted[i] == '\\' && i+1 < len(quoted) {
			if i++; quoted[i] != '\'' {
				out = append(out, '\\')
			}
		}
		out = append(out, quoted[i])
	}
	if len(out) == len(quoted) {
		return nil // the backslash before it is another's
	}
	return out
}

// closingQuote returns where the text in double quotes that b begins with ends,
// the closing quote included; 0 if it does not. A backslash protects what
// follows it.
func closingQuote(b []byte) int {
	for i := 1; i < len(b); {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return 0
		}
		slashes := 0
		for i+n-slashes > 1 && b[i+n-1-slashes] == '\\' {
			slashes++
		}
		i += n + 1
		if slashes%2 == 0 {
			return i
		}
	}
	return 0
}

// firstLine cuts an entry of several lines after the first. rest begins with
// the newline.
func firstLine(entry []byte) (line, rest []byte) {
	if i := bytes.IndexByte(entry, '\n'); i >= 0 {
		return entry[:i], entry[i:]
	}
	return entry, nil
}

// word cuts b at its first space. rest is nil where there is none.
func word(b []byte) (first, rest []byte) {
	if i := bytes.IndexByte(b, ' '); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// bracketed cuts what b begins with in brackets, [such], and a space after it.
func bracketed(b []byte) (inside, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '[' {
		return nil, b, false
	}
	i := bytes.IndexByte(b, ']')
	if i < 0 {
		return nil, b, false
	}
	rest = b[i+1:]
	if len(rest) > 0 && rest[0] == ' ' {
		rest = rest[1:]
	}
	return b[1:i], rest, true
}

// certain is what detection returns for an entry that f reads as its own.
func certain(read bool, confidence int) int {
	if read {
		return confidence
	}
	return 0
}

// Why an entry of a known structure did not parse.
var (
	ErrLogfmt    = errors.New("not logfmt")
	ErrCLF       = errors.New("not in the Common or Combined Log Format")
	ErrNginx     = errors.New("not an nginx error line")
	ErrApache    = errors.New("not an Apache error line")
	ErrSyslog    = errors.New("not syslog of RFC 3164 or RFC 5424")
	ErrSQLServer = errors.New("not a line of SQL Server's ERRORLOG or Agent log")
	ErrCSV       = errors.New("a quote is not closed, or stands within a field")
	ErrNoHeader  = errors.New("no line with the column names so far")
	ErrNoFields  = errors.New("no #Fields: line so far")
	ErrFields    = errors.New("not as many fields as #Fields: says")
	ErrDocker    = errors.New("not a line of Docker's json-file log")
	ErrCRI       = errors.New("not a line of a CRI log")
	ErrNoMatch   = errors.New("the pattern does not match")
)
