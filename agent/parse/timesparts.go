package parse

// parts are the parts of a time as they are written, before what is missing is
// filled in.
type parts struct {
	shape shape
	sep   byte // between the numbers of pairDate and longYear; 'd': the day is first
	zone  zoneKind
	d     [3]int16 // the numbers of the date

	hour, minute, second uint8
	digits               uint8
	nanos                int32
	rest                 []byte
	offset               int32  // seconds east of UTC
	name                 []byte // of a namedZone
	epoch                int64
}

// shape says what the numbers of a date are.
type shape uint8

const (
	noDate     shape = iota // a time of the day alone
	fullDate                // year, month, day
	monthDay                // month, day
	pairDate                // month and day, in which order is open
	longYear                // month and day, in which order is open; year
	shortYears              // three numbers of two digits, in which order is open
	epoch                   // seconds since 1970, in parts.epoch
)

// zoneKind says what is known of the zone.
type zoneKind uint8

const (
	noZone zoneKind = iota
	offsetZone
	namedZone // parts.offset is what the name usually means
)

// read reads a time at the beginning of b and returns its length.
func (p *parts) read(b []byte) (int, bool) {
	if len(b) < 8 {
		return 0, false
	}
	if b[0]-'0' > 9 {
		return p.readWords(b)
	}
	if len(b) >= 19 && b[4] == '-' && b[7] == '-' {
		if n := p.readISO(b); n > 0 {
			return p.readTail(b, n)
		}
	}
	switch n := digitRun(b); n {
	case 1, 2:
		return p.readShort(b, n)
	case 4:
		return p.readYearFirst(b)
	case 6, 8:
		return p.readCompact(b, n)
	case 14, 17:
		return p.readDense(b, n)
	case 10, 13, 16, 19:
		return p.readEpoch(b, n)
	}
	return 0, false
}

// readISO reads what nearly all loggers write, 2006-01-02 15:04:05 with any
// separator in its middle, and returns its length, 0 if it is not there.
func (p *parts) readISO(b []byte) int {
	b = b[:19]
	switch b[10] {
	case ' ', 'T', 't', '_', '-', ':', '|', ',', ';', '\t', '/':
	default:
		return 0
	}
	if b[13] != ':' || b[16] != ':' {
		return 0
	}
	century, year := digits2(b, 0), digits2(b, 2)
	month, day := digits2(b, 5), digits2(b, 8)
	hour, minute, second := digits2(b, 11), digits2(b, 14), digits2(b, 17)
	if year > 99 || century < 19 || century > 21 || month-1 > 11 || day-1 > 30 || hour > 23 || minute > 59 || second > 60 {
		return 0
	}
	p.shape = fullDate
	p.d = [3]int16{int16(century*100 + year), int16(month), int16(day)}
	p.hour, p.minute, p.second = uint8(hour), uint8(minute), uint8(second)
	return 19
}

// digits2 returns the number of two digits at i, more than 99 if they are none.
func digits2(b []byte, i int) uint {
	tens, unit := uint(b[i]-'0'), uint(b[i+1]-'0')
	if tens > 9 || unit > 9 {
		return 100
	}
	return tens*10 + unit
}

// digitRun counts the digits at the beginning of b, twenty at most.
func digitRun(b []byte) int {
	n := 0
	for n < len(b) && n < 20 && b[n]-'0' <= 9 {
		n++
	}
	return n
}

// small returns the number that one or two digits at i are, with their count;
// 0 if a third digit follows, or none is there.
func small(b []byte, i int) (v, n int) {
	for n < 3 && i+n < len(b) && b[i+n]-'0' <= 9 {
		v = v*10 + int(b[i+n]-'0')
		n++
	}
	if n > 2 {
		return 0, 0
	}
	return v, n
}

// yearAt returns the year of four digits at i; 0 if there is none.
func yearAt(b []byte, i int) int16 {
	if i+4 > len(b) || i+4 < len(b) && b[i+4]-'0' <= 9 {
		return 0
	}
	century, year := digits2(b, i), digits2(b, i+2)
	if century < 19 || century > 21 || year > 99 {
		return 0
	}
	return int16(century*100 + year)
}

// readYearFirst reads a date that begins with a year of four digits.
func (p *parts) readYearFirst(b []byte) (int, bool) {
	year := yearAt(b, 0)
	if year == 0 {
		return 0, false
	}
	sep, i := b[4], 5
	if sep != '-' && sep != '/' && sep != '.' && sep != ' ' && sep != '_' {
		return 0, false
	}
	month, n := monthName(b, i)
	if n == 0 {
		if sep == ' ' {
			return 0, false
		}
		month, n = small(b, i)
	}
	i += n
	if n == 0 || i >= len(b) || b[i] != sep {
		return 0, false
	}
	for i++; i < len(b) && b[i] == ' ' && sep == ' '; { // 2026 Jan  5
		i++
	}
	day, n := small(b, i)
	if n == 0 || month < 1 || month > 12 || day < 1 || day > 31 {
		return 0, false
	}
	p.shape, p.d = fullDate, [3]int16{year, int16(month), int16(day)}
	return p.readClock(b, i+n)
}

// readCompact reads 20060102 or 060102 with a time of the day behind it.
func (p *parts) readCompact(b []byte, n int) (int, bool) {
	var year int16
	if n == 8 {
		year = yearOf4(b)
	} else {
		year = centuryOf(int16(digits2(b, 0)))
	}
	month, day := digits2(b, n-4), digits2(b, n-2)
	if year == 0 || month-1 > 11 || day-1 > 30 || len(b) < n+6 {
		return 0, false
	}
	if n == 6 && b[n] != ' ' && b[n] != 'T' && b[n] != '_' && b[n] != '-' {
		return 0, false
	}
	p.shape, p.d = fullDate, [3]int16{year, int16(month), int16(day)}
	return p.readClock(b, n)
}

// yearOf4 is yearAt where more digits may follow.
func yearOf4(b []byte) int16 { return yearAt(b[:4], 0) }

// readDense reads 20060102150405, perhaps with milliseconds.
func (p *parts) readDense(b []byte, n int) (int, bool) {
	year, month, day := yearOf4(b), digits2(b, 4), digits2(b, 6)
	if year == 0 || month-1 > 11 || day-1 > 30 || !p.setClock(digits2(b, 8), digits2(b, 10), digits2(b, 12)) {
		return 0, false
	}
	p.shape, p.d = fullDate, [3]int16{year, int16(month), int16(day)}
	if n == 17 {
		p.setFraction(b[14:17])
	}
	return p.readTail(b, n)
}

// The seconds since 1970 that count as a time: of ten digits, and before 2040.
const lastEpoch = 2_208_988_800

// readEpoch reads a number of seconds, milliseconds, microseconds or nanoseconds
// since 1970, told by its length.
func (p *parts) readEpoch(b []byte, n int) (int, bool) {
	var v int64
	for _, c := range b[:10] {
		v = v*10 + int64(c-'0')
	}
	if b[0] == '0' || v > lastEpoch {
		return 0, false
	}
	p.shape, p.epoch, p.zone = epoch, v, offsetZone
	p.setFraction(b[10:n])
	end := n
	if n == 10 && n+1 < len(b) && (b[n] == '.' || b[n] == ',') {
		if more := allDigits(b[n+1:]); more > 0 {
			end = n + 1 + more
			p.setFraction(b[n+1 : end])
		}
	}
	return end, boundary(b, end)
}

func allDigits(b []byte) int {
	n := 0
	for n < len(b) && b[n]-'0' <= 9 {
		n++
	}
	return n
}

// setFraction sets the fraction of the second to these digits.
func (p *parts) setFraction(digits []byte) {
	near := digits[:min(len(digits), 9)]
	var v uint32
	for _, c := range near {
		v = v*10 + uint32(c-'0')
	}
	p.digits, p.nanos, p.rest = uint8(len(near)), int32(v*tenTo[9-len(near)]), nil
	if len(digits) > len(near) {
		p.rest = digits[len(near):]
	}
}

// readShort reads what begins with a number of one or two digits: a time of the
// day, or a date that begins with a day, a month or a short year.
func (p *parts) readShort(b []byte, n int) (int, bool) {
	a, _ := small(b, 0)
	sep := b[n]
	if sep == ':' {
		if b[n+1]-'0' > 9 || b[n+2]-'0' > 9 || b[n+3] != ':' {
			return 0, false // 0:0:0 alone is no time
		}
		p.shape = noDate
		return p.readClock(b, 0)
	}
	if sep != '/' && sep != '-' && sep != '.' && sep != ' ' {
		return 0, false
	}
	i := n + 1
	if month, m := monthName(b, i); m > 0 {
		return p.readDayMonth(b, i+m, sep, month, a)
	}
	if sep == ' ' {
		return 0, false
	}
	c, m := small(b, i)
	i += m
	if m == 0 || i >= len(b) {
		return 0, false
	}
	p.d, p.sep = [3]int16{int16(a), int16(c)}, sep
	if b[i] != sep {
		return p.readPair(b, i)
	}
	i++
	if year := yearAt(b, i); year != 0 {
		p.shape, p.d[2] = longYear, year
		if max(a, c) > 31 || min(a, c) > 12 || min(a, c) == 0 {
			return 0, false
		}
		return p.readClock(b, i+4)
	}
	if sep == '.' && i < len(b) && b[i] == ' ' { // 24.12. 10:00:00
		p.sep = 'd'
		return p.readPair(b, i)
	}
	e, m := small(b, i)
	if m != 2 || n != 2 {
		return 0, false
	}
	p.shape, p.d[2] = shortYears, int16(e)
	return p.readClock(b, i+2)
}

// readPair reads what follows a date of two numbers, which only a full time of
// the day makes one.
func (p *parts) readPair(b []byte, i int) (int, bool) {
	a, c := p.d[0], p.d[1]
	if max(a, c) > 31 || min(a, c) > 12 || min(a, c) == 0 || b[i] != ' ' && b[i] != 'T' && b[i] != '-' && b[i] != '_' {
		return 0, false
	}
	if i+9 > len(b) || b[i+3] != ':' && b[i+2] != ':' {
		return 0, false
	}
	p.shape = pairDate
	return p.readClock(b, i)
}

// readDayMonth reads what follows a day and the name of its month: a year or
// none, and the time of the day.
func (p *parts) readDayMonth(b []byte, i int, sep byte, month, day int) (int, bool) {
	if day < 1 || day > 31 || i >= len(b) {
		return 0, false
	}
	p.shape, p.d = monthDay, [3]int16{int16(month), int16(day)}
	if b[i] == ',' {
		i++
	}
	if i < len(b) && (b[i] == sep || b[i] == ' ') {
		if year := yearAt(b, i+1); year != 0 {
			p.shape, p.d = fullDate, [3]int16{year, int16(month), int16(day)}
			return p.readClock(b, i+5)
		}
		if year, n := small(b, i+1); n == 2 && i+3 < len(b) && b[i] == sep && sep != ' ' && b[i+3] != ':' {
			p.shape, p.d = fullDate, [3]int16{centuryOf(int16(year)), int16(month), int16(day)}
			return p.readClock(b, i+3)
		}
	}
	return p.readClock(b, i)
}
