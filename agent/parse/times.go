package parse

import (
	"time"
)

// Time is a moment as an entry states it: its digits are kept, so that it can be
// written again without one being lost or invented.
type Time struct {
	Unix   int64 // seconds since 1970, UTC
	Nanos  int32 // the fraction, as far as nanoseconds reach
	Offset int32 // seconds east of UTC of the zone that it is written in

	year                 int16
	month, day           uint8
	hour, minute, second uint8
	digits               uint8  // of the fraction that are in Nanos
	rest                 []byte // the digits of the fraction behind them
}

// Time returns the moment. Digits beyond nanoseconds are left out.
func (t *Time) Time() time.Time { return time.Unix(t.Unix, int64(t.Nanos)) }

// AppendRFC3339 appends the time as RFC 3339 with the digits of its fraction as
// they were read, and its zone as an offset.
func (t *Time) AppendRFC3339(dst []byte) []byte {
	y := int(t.year)
	text := [19]byte{4: '-', 7: '-', 10: 'T', 13: ':', 16: ':'}
	put2(text[0:2], y/100)
	put2(text[2:4], y%100)
	put2(text[5:7], int(t.month))
	put2(text[8:10], int(t.day))
	put2(text[11:13], int(t.hour))
	put2(text[14:16], int(t.minute))
	put2(text[17:19], int(t.second))
	return t.appendTail(append(dst, text[:]...))
}

// appendTail appends what follows the second.
func (t *Time) appendTail(dst []byte) []byte {
	if t.digits > 0 {
		dst = append(dst, '.')
		n := len(dst)
		dst = append(dst, "000000000"[:t.digits]...)
		v := uint32(t.Nanos) / tenTo[9-t.digits]
		for i := int(t.digits) - 1; i >= 0; i-- {
			dst[n+i] = byte('0' + v%10)
			v /= 10
		}
		dst = append(dst, t.rest...)
	}
	if t.Offset == 0 {
		return append(dst, 'Z')
	}
	sign, minutes := byte('+'), int(t.Offset)/60
	if minutes < 0 {
		sign, minutes = '-', -minutes
	}
	zone := [6]byte{0: sign, 3: ':'}
	put2(zone[1:3], minutes/60)
	put2(zone[4:6], minutes%60)
	return append(dst, zone[:]...)
}

func put2(b []byte, n int) { b[0], b[1] = byte('0'+n/10), byte('0'+n%10) }

var tenTo = [10]uint32{1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000} //nolint:gochecknoglobals // a constant table

// DateOrder says what comes first in a date such as 03/04/2026.
type DateOrder string

// The orders. With OrderAuto the dates of the file decide: a number above twelve
// is no month. Until one was met, a date with slashes, or without a year, begins
// with the month, one with dots or dashes and a year with the day, and three
// numbers of two digits are read so that the date is nearest to now.
const (
	OrderAuto       DateOrder = "auto" // as is ""
	OrderDayFirst   DateOrder = "day_first"
	OrderMonthFirst DateOrder = "month_first"
)

// ParseTime reads a whole field that is a time, in any layout that the format
// text recognises; blanks, brackets and quotes around it do not count. A time of
// the day alone is none: its date is likely to be another field. It keeps nothing
// of earlier fields, so that a date like 03/04/2026 is read by o alone. Digits of
// the result may alias b.
func ParseTime(b []byte, o Options) (Time, bool) { return parseTime(b, &o) }

func parseTime(b []byte, o *Options) (Time, bool) {
	r := newTimeReader(o)
	return r.field(b)
}

// timeReader makes times of the parts of times. It knows the zone and the order
// of dates of one file. One goroutine uses it at a time.
type timeReader struct {
	loc     *time.Location
	now     func() time.Time
	begun   time.Time // the time of the block, zero: not told
	order   DateOrder // given, or OrderAuto
	learned learnedOrder

	quarter int64 // the quarter of an hour, by the clock on the wall, for which
	offset  int32 // this is the zone's offset
	known   bool
}

// learnedOrder is what dates of the file have said about their order.
type learnedOrder uint8

const (
	orderUnknown learnedOrder = iota
	orderDay                  // 24.12.2026
	orderMonth                // 12/24/2026
	orderYear                 // 26/12/24
)

func newTimeReader(o *Options) timeReader {
	r := timeReader{loc: o.Location, now: o.Now, order: o.DateOrder}
	if r.loc == nil {
		r.loc = time.Local
	}
	if r.now == nil {
		r.now = time.Now
	}
	switch r.order {
	case OrderDayFirst:
		r.learned = orderDay
	case OrderMonthFirst:
		r.learned = orderMonth
	}
	return r
}

// field reads a whole field.
func (r *timeReader) field(b []byte) (Time, bool) {
	for len(b) > 0 && opens(b[0]) {
		b = b[1:]
	}
	var p parts
	n, ok := p.read(b)
	if !ok || p.shape == noDate {
		return Time{}, false
	}
	for _, c := range b[n:] {
		if !closes(c) {
			return Time{}, false
		}
	}
	return r.resolve(&p)
}

func opens(c byte) bool {
	return c == ' ' || c == '\t' || c == '[' || c == '(' || c == '"' || c == '\''
}
func closes(c byte) bool {
	return c == ' ' || c == '\t' || c == ']' || c == ')' || c == '"' || c == '\'' || c == '\r'
}

// clockNow returns the time of the block where it was told, else that of now.
func (r *timeReader) clockNow() time.Time {
	if r.begun.IsZero() {
		return r.now()
	}
	return r.begun
}

// resolve fills in what the parts lack: the order of the date, the year, the
// date, the zone. It fails where the parts make no date.
func (r *timeReader) resolve(p *parts) (Time, bool) {
	t := Time{hour: p.hour, minute: p.minute, second: p.second, digits: p.digits, Nanos: p.nanos, rest: p.rest}
	switch p.shape {
	case epoch:
		t.Unix = p.epoch
		t.setUTC()
		return t, true
	case fullDate:
		t.year, t.month, t.day = p.d[0], uint8(p.d[1]), uint8(p.d[2])
	case noDate:
		r.today(&t, p)
	case monthDay, pairDate:
		if p.shape == pairDate {
			p.d[0], p.d[1] = r.pair(p)
		}
		if !r.year(&t, p) {
			return Time{}, false
		}
	case longYear:
		m, d := r.pair(p)
		t.year, t.month, t.day = p.d[2], uint8(m), uint8(d)
	case shortYears:
		if !r.threePairs(&t, p) {
			return Time{}, false
		}
	}
	if !isDate(int(t.year), int(t.month), int(t.day)) {
		return Time{}, false
	}
	r.finish(&t, p)
	return t, true
}

// finish fills in the zone and the moment.
func (r *timeReader) finish(t *Time, p *parts) {
	wall := daysSince1970(int(t.year), int(t.month), int(t.day))*86400 + int64(t.hour)*3600 + int64(t.minute)*60 + int64(t.second)
	switch p.zone {
	case noZone:
		t.Offset = r.offsetAt(wall, t)
	case offsetZone:
		t.Offset = p.offset
	case namedZone:
		t.Offset = p.offset
		if name, offset := r.date(t).Zone(); name == string(p.name) {
			t.Offset = int32(offset) // an abbreviation is not unique: the host's own zone knows better
		}
	}
	t.Unix = wall - int64(t.Offset)
}

func (r *timeReader) date(t *Time) time.Time {
	return time.Date(int(t.year), time.Month(t.month), int(t.day), int(t.hour), int(t.minute), int(t.second), 0, r.loc)
}

// offsetAt returns the offset of the zone at a time by the clock on the wall. No
// zone changes its offset within a quarter of an hour.
func (r *timeReader) offsetAt(wall int64, t *Time) int32 {
	if r.loc == time.UTC {
		return 0
	}
	quarter := wall / 900
	if !r.known || quarter != r.quarter {
		_, offset := r.date(t).Zone()
		r.quarter, r.offset, r.known = quarter, int32(offset), true
	}
	return r.offset
}

// skew is how far a clock may be ahead of ours.
const (
	skewDate  = 24 * time.Hour  // where the year is missing
	skewClock = 5 * time.Minute // where the date is missing
)

// today fills in the date: today's, or yesterday's where that would be in the
// future.
func (r *timeReader) today(t *Time, p *parts) {
	now := r.clockNow()
	local := now.In(r.loc)
	if p.zone != noZone {
		local = now.In(time.FixedZone("", int(p.offset)))
	}
	for _, back := range [...]int{-1, 0, 1} { // tomorrow, shortly before midnight
		y, m, d := local.AddDate(0, 0, -back).Date()
		t.year, t.month, t.day = int16(y), uint8(m), uint8(d)
		r.finish(t, p)
		if !t.Time().After(now.Add(skewClock)) {
			return
		}
	}
}

// year fills in the latest year in which the date is not more than a day in the
// future. It fails where there is no such date.
func (r *timeReader) year(t *Time, p *parts) bool {
	now := r.clockNow().Add(skewDate)
	t.month, t.day = uint8(p.d[0]), uint8(p.d[1])
	y := now.In(r.loc).Year()
	for range 9 { // between two leap days lie up to eight years
		if t.year = int16(y); isDate(y, int(t.month), int(t.day)) {
			if r.finish(t, p); t.Unix <= now.Unix() {
				return true
			}
		}
		y--
	}
	return false
}

// pair returns month and day of two numbers of which it is not known which is
// which.
func (r *timeReader) pair(p *parts) (month, day int16) {
	a, b := p.d[0], p.d[1]
	day1 := p.sep == '.' && p.shape == longYear || p.sep == '-' && p.shape == longYear
	switch {
	case a > 12 && b <= 12:
		day1 = true
		r.learn(orderDay)
	case b > 12 && a <= 12:
		day1 = false
		r.learn(orderMonth)
	case r.learned == orderDay:
		day1 = true
	case r.learned == orderMonth:
		day1 = false
	}
	if day1 {
		return b, a
	}
	return a, b
}

func (r *timeReader) learn(o learnedOrder) {
	if r.order == OrderAuto || r.order == "" {
		r.learned = o
	}
}

// threePairs fills in a date of three numbers of two digits.
func (r *timeReader) threePairs(t *Time, p *parts) bool {
	a, b, c := p.d[0], p.d[1], p.d[2]
	try := func(o learnedOrder) bool {
		y, m, d := a, b, c
		switch o {
		case orderDay:
			y, m, d = c, b, a
		case orderMonth:
			y, m, d = c, a, b
		}
		t.year, t.month, t.day = centuryOf(y), uint8(m), uint8(d)
		return isDate(int(t.year), int(m), int(d))
	}
	if r.learned != orderUnknown && try(r.learned) {
		return true
	}
	limit := r.clockNow().Add(skewDate)
	y, m, d := limit.Date()
	latest := int64(y)*10000 + int64(m)*100 + int64(d)
	best, at := learnedOrder(orderUnknown), int64(0)
	for _, o := range [...]learnedOrder{orderYear, orderMonth, orderDay} {
		if !try(o) {
			continue
		}
		date := int64(t.year)*10000 + int64(t.month)*100 + int64(t.day)
		if date > latest {
			date = 1 // possible, but only where nothing else is
		}
		if date > at {
			best, at = o, date
		}
	}
	if best == orderUnknown {
		return false
	}
	r.learn(best)
	return try(best)
}

// centuryOf returns the year that two digits stand for, as POSIX has it.
func centuryOf(y int16) int16 {
	if y < 69 {
		return 2000 + y
	}
	return 1900 + y
}

func isDate(year, month, day int) bool {
	return month >= 1 && month <= 12 && day >= 1 && (day <= 28 || day <= lengthOf(year, month))
}

// lengthOf returns how many days a month has.
func lengthOf(year, month int) int {
	if month == 2 {
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 30 + (month+month>>3)&1
}

// daysSince1970 counts the days up to a date of the Gregorian calendar. Years
// begin in March here, so that a leap day is the last of its year.
func daysSince1970(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	return int64(365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 1 - 719468)
}

// setUTC fills the date and the clock in from the moment, which is not before
// 1970.
func (t *Time) setUTC() {
	days, clock := t.Unix/86400+719468, t.Unix%86400
	era := days / 146097 // 400 years, after which the calendar repeats itself
	days -= era * 146097
	year := (days - days/1460 + days/36524 - days/146096) / 365
	days -= 365*year + year/4 - year/100
	month := (5*days + 2) / 153
	t.day = uint8(days - (153*month+2)/5 + 1)
	year += era * 400
	if month += 3; month > 12 {
		month -= 12
		year++
	}
	t.year, t.month = int16(year), uint8(month)
	t.hour, t.minute, t.second = uint8(clock/3600), uint8(clock/60%60), uint8(clock%60)
}
