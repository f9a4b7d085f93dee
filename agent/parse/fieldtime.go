package parse

import (
	"bytes"
	"strconv"

	"shiplog/agent/envelope"
)

// timestamp returns a field's value as RFC 3339, if it is a time and can be
// written so without a digit being lost or invented.
func (f *fields) timestamp(v envelope.Value) (envelope.Value, bool) {
	text := v.Bytes
	if v.Kind == envelope.JSON {
		switch {
		case text[0] == '{':
			return f.instant(text)
		case text[0] == '"':
			text = text[1 : len(text)-1]
		}
	}
	if isRFC3339(text) {
		return v, true
	}
	dst := append(f.e.Scratch(), '"')
	dst, ok := appendEpoch(dst, text)
	if !ok {
		dst, ok = appendTime(dst[:1], text, &f.o.Options)
	}
	if !ok {
		return envelope.Value{}, false
	}
	return envelope.Value{Kind: envelope.JSON, Bytes: f.e.Keep(append(dst, '"'))}, true
}

// instant reads Log4j's {"epochSecond":…,"nanoOfSecond":…}.
func (f *fields) instant(object []byte) (envelope.Value, bool) {
	var second, nano []byte
	others := false
	eachMember(object, func(key, value []byte) {
		switch string(key) {
		case `"epochSecond"`:
			second = value
		case `"nanoOfSecond"`:
			nano = value
		default:
			others = true
		}
	})
	n, err := strconv.ParseUint(string(nano), 10, 32)
	if others || err != nil || n >= 1e9 || len(second) < 9 || len(second) > 11 {
		return envelope.Value{}, false
	}
	number := second
	if n > 0 {
		dst := strconv.AppendUint(append(f.e.Scratch(), second...), n+1e9, 10)
		dst[len(second)] = '.' // in place of the 1 that kept the leading zeros
		number = f.e.Keep(bytes.TrimRight(dst, "0"))
	}
	dst, ok := appendEpoch(append(f.e.Scratch(), '"'), number)
	if !ok {
		return envelope.Value{}, false
	}
	return envelope.Value{Kind: envelope.JSON, Bytes: f.e.Keep(append(dst, '"'))}, true
}

// isRFC3339 reports whether b is a time of RFC 3339 as it stands.
func isRFC3339(b []byte) bool {
	if len(b) < 20 || b[10] != 'T' || !shaped(b[:19], "0000-00-00T00:00:00") || !possible(b) {
		return false
	}
	rest := b[19:]
	if rest[0] == '.' {
		n := countDigits(rest[1:])
		if n == 0 {
			return false
		}
		rest = rest[n+1:]
	}
	return len(rest) == 1 && rest[0] == 'Z' ||
		len(rest) == 6 && (rest[0] == '+' || rest[0] == '-') && shaped(rest[1:], "00:00") && two(rest[1:]) < 24 && two(rest[4:]) < 60
}

// shaped reports whether b has the form of a pattern of the same length, in
// which 0 stands for any digit.
func shaped(b []byte, pattern string) bool {
	if len(b) != len(pattern) {
		return false
	}
	for i, c := range b {
		if p := pattern[i]; p == '0' {
			if c-'0' > 9 {
				return false
			}
		} else if p != c {
			return false
		}
	}
	return true
}

// possible reports whether the digits of a time that is written as
// 0000-00-00T00:00:00 make one.
func possible(b []byte) bool {
	y, m, d := two(b)*100+two(b[2:]), two(b[5:]), two(b[8:])
	return m >= 1 && m <= 12 && d >= 1 && d <= lengthOf(y, m) && two(b[11:]) < 24 && two(b[14:]) < 60 && two(b[17:]) <= 60
}

func two(b []byte) int { return int(b[0]-'0')*10 + int(b[1]-'0') }

func countDigits(b []byte) int {
	n := 0
	for n < len(b) && b[n]-'0' <= 9 {
		n++
	}
	return n
}

// How many digits a time since 1970 has, in which unit: it says since 1973, for
// smaller numbers may be anything.
const (
	digitsSeconds = 9
	digitsMillis  = 12
	digitsMicros  = 15
	digitsNanos   = 18
)

// appendEpoch appends a number of seconds, milliseconds, microseconds or
// nanoseconds since 1970, told by its size, as RFC 3339 in UTC. Fractions are
// taken digit for digit.
func appendEpoch(dst, number []byte) ([]byte, bool) {
	n := countDigits(number)
	fraction := []byte(nil)
	if n < len(number) {
		if number[n] != '.' || countDigits(number[n+1:]) != len(number)-n-1 || len(number) == n+1 {
			return dst, false
		}
		fraction = number[n+1:]
	}
	if n == 0 || number[0] == '0' {
		return dst, false
	}
	seconds := 0
	switch {
	case n >= digitsNanos && n <= digitsNanos+1:
		seconds = n - 9
	case n >= digitsMicros && n < digitsNanos:
		seconds = n - 6
	case n >= digitsMillis && n < digitsMicros:
		seconds = n - 3
	case n >= digitsSeconds && n < digitsMillis:
		seconds = n
	default:
		return dst, false
	}
	var s int64
	for _, c := range number[:seconds] {
		s = s*10 + int64(c-'0')
	}
	dst = appendUTC(dst, s)
	if seconds < n || len(fraction) > 0 {
		dst = append(append(append(dst, '.'), number[seconds:n]...), fraction...)
	}
	return append(dst, 'Z'), true
}

// appendUTC appends seconds since 1970, not negative, as 2006-01-02T15:04:05: the
// layout of time.Format, which takes longer than all the rest of a line. The
// days are counted from the first of March of the year 0, so that a leap day is
// the last of its year (Hinnant, chrono-compatible low-level date algorithms).
func appendUTC(dst []byte, s int64) []byte {
	days, clock := s/86400+719468, s%86400
	era := days / 146097
	ofEra := days % 146097
	year := (ofEra - ofEra/1460 + ofEra/36524 - ofEra/146096) / 365
	ofYear := ofEra - (365*year + year/4 - year/100)
	month := (5*ofYear + 2) / 153
	day := ofYear - (153*month+2)/5 + 1
	if month += 3; month > 12 {
		month -= 12
		year++
	}
	year += era * 400
	pair := func(n int64) (byte, byte) { return byte('0' + n/10), byte('0' + n%10) }
	text := [19]byte{4: '-', 7: '-', 10: 'T', 13: ':', 16: ':'}
	text[0], text[1] = pair(year / 100)
	text[2], text[3] = pair(year % 100)
	text[5], text[6] = pair(month)
	text[8], text[9] = pair(day)
	text[11], text[12] = pair(clock / 3600)
	text[14], text[15] = pair(clock / 60 % 60)
	text[17], text[18] = pair(clock % 60)
	return append(dst, text[:]...)
}

// appendTime appends a whole field that is a time as RFC 3339.
func appendTime(dst, field []byte, o *Options) ([]byte, bool) {
	t, ok := parseTime(field, o)
	if !ok {
		return dst, false
	}
	return t.AppendRFC3339(dst), true
}
