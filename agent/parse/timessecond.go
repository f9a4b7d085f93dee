package parse

// isoLength is the length of 2006-01-02T15:04:05.
const isoLength = 19

// lastSecond is the second of the entry before: of many entries in a busy file it
// is the same, so that only what follows it has to be read and written anew.
type lastSecond struct {
	known  bool
	text   [isoLength]byte // as it stood at the beginning of the entry
	second parts           // as readISO read it
	zone   zoneKind        // of the entry, as it stood there
	offset int32
	east   int32 // the offset that this came to
	unix   int64
}

// note keeps the time t of an entry, whose parts were read from the beginning of
// line, if it is one that loggers usually write. The stamp is its RFC 3339 then.
func (l *lastSecond) note(line []byte, p *parts, t *Time) {
	l.known = false
	if len(line) < isoLength || line[4] != '-' || line[7] != '-' || p.shape != fullDate || p.zone == namedZone {
		return
	}
	l.second = parts{}
	if l.second.readISO(line) == 0 || l.second.d != p.d || l.second.hour != p.hour || l.second.minute != p.minute || l.second.second != p.second {
		return // it stands elsewhere, or is written otherwise
	}
	l.text, l.zone, l.offset, l.east, l.unix, l.known = [isoLength]byte(line), p.zone, p.offset, t.Offset, t.Unix, true
}

// find finds in line what sighting.find would, if that is the same second again.
func (l *lastSecond) find(line []byte, s *sighting) bool {
	if !l.known || len(line) < isoLength || [isoLength]byte(line) != l.text {
		return false
	}
	s.parts = l.second
	n, ok := s.readTail(line, isoLength)
	if !ok {
		s.parts = parts{}
		return false
	}
	s.start, s.end = 0, n
	return true
}

// resolves reports whether the moment of the parts that find has found is that of
// the second before, the fraction apart.
func (l *lastSecond) resolves(p *parts) bool {
	return p.zone == l.zone && p.offset == l.offset && p.hour == l.second.hour // else it was AM or PM
}

// stamp makes of the stamp of the entry before, in quotes, that of this one.
func (l *lastSecond) stamp(stamp []byte, p *parts) []byte {
	t := Time{digits: p.digits, Nanos: p.nanos, rest: p.rest, Offset: l.east}
	return append(t.appendTail(stamp[:1+isoLength]), '"')
}
