package parse

// readClock reads what separates a date from the time of the day, and that time
// with all that may follow it. i is the end of the date, or 0.
func (p *parts) readClock(b []byte, i int) (int, bool) {
	if p.shape != noDate {
		if i = skipBetween(b, i); i < 0 {
			return 0, false
		}
	}
	run := digitRun(b[min(i, len(b)):])
	if run == 6 || run == 9 {
		if !p.setClock(digits2(b, i), digits2(b, i+2), digits2(b, i+4)) {
			return 0, false
		}
		if run == 9 {
			p.setFraction(b[i+6 : i+9])
		}
		return p.readTail(b, i+run)
	}
	hour, n := small(b, i)
	i += n
	if n == 0 || i >= len(b) || b[i] != ':' && b[i] != '.' {
		return 0, false
	}
	sep := b[i]
	minute, n := small(b, i+1)
	i += n + 1
	if n == 0 {
		return 0, false
	}
	second := 0
	if i < len(b) && b[i] == sep {
		if second, n = small(b, i+1); n == 0 {
			return 0, false
		}
		i += n + 1
	} else if sep == '.' || n != 2 {
		return 0, false
	}
	if !p.setClock(uint(hour), uint(minute), uint(second)) {
		return 0, false
	}
	return p.readTail(b, i)
}

// skipBetween skips what separates a date from a time of the day; -1 if there
// is nothing.
func skipBetween(b []byte, i int) int {
	from := i
	if i < len(b) {
		switch b[i] {
		case 'T', 't', '_', '-', ':', '|', ',', ';', '/', '"', ']':
			i++
		}
	}
	for i < len(b) && (b[i] == ' ' || b[i] == '\t') && i < from+4 {
		i++
	}
	if i < len(b) && i > from && b[i] == '[' && b[from] == ']' || i < len(b) && i > from+1 && b[i] == '"' && b[from] == '"' {
		i++
	}
	if i == from {
		return -1
	}
	return i
}

func (p *parts) setClock(hour, minute, second uint) bool {
	p.hour, p.minute, p.second = uint8(hour), uint8(minute), uint8(second)
	return hour < 24 && minute < 60 && second <= 60
}

// readTail reads what may follow a second: a fraction, AM or PM, a zone, a year.
func (p *parts) readTail(b []byte, i int) (int, bool) {
	if i == len(b) {
		return i, true
	}
	if c := b[i]; c == '.' || c == ',' || c == ':' {
		if n := allDigits(b[i+1:]); n > 0 {
			p.setFraction(b[i+1 : i+1+n])
			if c == ':' && !p.colonFraction(n) {
				return 0, false
			}
			if i += n + 1; i == len(b) {
				return i, true
			}
		}
	}
	if c := b[i]; c == 'Z' || c == 'z' {
		p.zone, p.offset = offsetZone, 0
		return i + 1, boundary(b, i+1)
	}
	if i = p.readHalf(b, i); i < 0 {
		return 0, false
	}
	i = p.readZone(b, i)
	if p.shape == monthDay && i+5 <= len(b) && b[i] == ' ' {
		if year := yearAt(b, i+1); year != 0 && (i+5 == len(b) || b[i+5] == ' ' || b[i+5] == ']') {
			p.shape, p.d = fullDate, [3]int16{year, p.d[0], p.d[1]}
			i += 5
		}
	}
	return i, boundary(b, i)
}

// colonFraction takes the n digits behind a colon for milliseconds, of which
// some loggers leave the leading zeros out.
func (p *parts) colonFraction(n int) bool {
	if n < 3 && p.shape != noDate {
		p.nanos /= int32(tenTo[3-n])
		p.digits = 3
	}
	return n == 3 || p.digits == 3 || n == 6 || n == 9
}

// readHalf reads AM or PM, if it is there, and returns its end; -1 if the hour
// has none.
func (p *parts) readHalf(b []byte, i int) int {
	at := i
	switch {
	case b[at] == ' ':
		at++
	case at+3 < len(b) && string(b[at:at+3]) == "\u202f": // Java, since 20
		at += 3
	}
	if at+2 > len(b) {
		return i
	}
	half := b[at] | 0x20
	if half != 'a' && half != 'p' || b[at+1]|0x20 != 'm' || at+2 < len(b) && isWord(b[at+2]) {
		return i
	}
	if p.hour < 1 || p.hour > 12 {
		return -1
	}
	p.hour %= 12
	if half == 'p' {
		p.hour += 12
	}
	return at + 2
}

// readZone reads a zone, if there is one, and returns its end.
func (p *parts) readZone(b []byte, i int) int {
	at := i
	if at < len(b) && b[at] == ' ' {
		at++
	}
	if at >= len(b) {
		return i
	}
	c := b[at]
	if c == '+' || c == '-' {
		return p.readOffset(b, i, at)
	}
	if c < 'A' || c > 'Z' {
		return i
	}
	n := 0
	for n < 5 && at+n < len(b) && b[at+n] >= 'A' && b[at+n] <= 'Z' {
		n++
	}
	name := b[at : at+n]
	offset, ok := zoneNamed(name)
	if !ok || at+n < len(b) && isWord(b[at+n]) {
		return i
	}
	p.zone, p.offset, p.name = namedZone, int32(offset)*60, name
	end := at + n
	if offset == 0 && string(name) != "WET" { // UTC is UTC everywhere, and may be a base: UTC+2
		p.zone = offsetZone
		if end < len(b) && (b[end] == '+' || b[end] == '-') {
			return p.readOffset(b, end, end)
		}
	}
	return end
}

// readOffset reads +hh:mm, +hhmm or +hh at at, and returns its end; i if it is
// not there.
func (p *parts) readOffset(b []byte, i, at int) int {
	n := digitRun(b[at+1:])
	end := at + 1 + n
	var hour, minute uint
	switch {
	case n == 4:
		hour, minute = digits2(b, at+1), digits2(b, at+3)
	case n == 2 && end+3 <= len(b) && b[end] == ':':
		hour, minute = digits2(b, at+1), digits2(b, end+1)
		end += 3
	case n == 2 && at == i: // behind a blank it may be any number
		hour = digits2(b, at+1)
	case n == 3 && at == i: // DB2 counts minutes
		v := uint(b[at+1]-'0')*100 + digits2(b, at+2)
		hour, minute = v/60, v%60
	default:
		return i
	}
	if hour > 15 || minute > 59 || end < len(b) && isWord(b[end]) {
		return i
	}
	p.zone, p.offset = offsetZone, int32(hour*3600+minute*60)
	if b[at] == '-' {
		p.offset = -p.offset
	}
	return end
}

// boundary reports whether a time may end at i.
func boundary(b []byte, i int) bool {
	if i >= len(b) {
		return true
	}
	if c := b[i]; c == ':' || c == '.' || c == '/' {
		return i+1 >= len(b) || b[i+1]-'0' > 9
	}
	return !isWord(b[i])
}

// isWord reports whether c belongs to a word or a number.
func isWord(c byte) bool {
	return c-'0' <= 9 || c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_'
}

// readWords reads a time that begins with the name of a month or a weekday.
func (p *parts) readWords(b []byte) (int, bool) {
	i := 0
	month, n := monthName(b, 0)
	if n == 0 {
		if n = weekdayName(b); n == 0 {
			return 0, false
		}
		for i = n; i < len(b) && i < n+3 && (b[i] == ',' || b[i] == '.' || b[i] == ' '); {
			i++
		}
		if i == n || i >= len(b) {
			return 0, false
		}
		if b[i]-'0' <= 9 {
			n, ok := p.read(b[i:]) // once: it begins with a digit
			return i + n, ok && p.shape != epoch && p.shape != noDate
		}
		if month, n = monthName(b, i); n == 0 {
			return 0, false
		}
	}
	i += n
	if i < len(b) && b[i] == '.' {
		i++
	}
	if i >= len(b) || b[i] != ' ' && b[i] != '-' && b[i] != '/' {
		return 0, false
	}
	sep := b[i]
	for i++; i < len(b) && b[i] == ' '; {
		i++
	}
	day, n := small(b, i)
	if n == 0 {
		return 0, false
	}
	return p.readDayMonth(b, i+n, sep, month, day)
}
