package parse

import "bytes"

// inName tells the bytes of names, as loggers and processes have them.
var inName = nameBytes() //nolint:gochecknoglobals // a constant table

func nameBytes() (in [256]bool) {
	for i := range in {
		c := byte(i)
		in[i] = kindOf[c]&(lowerByte|upperByte|digitByte) != 0 || c == '.' || c == '_' || c == '$' || c == '-'
	}
	return in
}

// nameEndAt returns the end of the name at i.
func nameEndAt(b []byte, i int) int {
	limit := min(len(b), i+maxName)
	for at := i; at < limit; at++ {
		if !inName[b[at]] {
			return at
		}
	}
	return max(i, limit)
}

// isDotted reports whether b is a name of several parts, such as a class has.
func isDotted(b []byte) bool {
	if !hasParts(b) {
		return false
	}
	for _, c := range b {
		if !inName[c] {
			return false
		}
	}
	return true
}

// hasParts is isDotted for what is known to be a name.
func hasParts(b []byte) bool {
	if len(b) == 0 || len(b) > maxName || b[0]|0x20 < 'a' || b[0]|0x20 > 'z' {
		return false
	}
	dot := bytes.LastIndexByte(b, '.')
	if dot <= 0 || dot+1 == len(b) {
		return false
	}
	switch string(b[dot+1:]) { // hosts and files
	case "com", "org", "net", "local", "log", "txt", "xml", "json", "yaml", "yml", "conf", "dll", "zip", "gz", "html":
		return false
	}
	return true
}

// name takes the logger or the process whose name is at l.i; the separators
// before it begin at before.
func (l *layout) name(before int) bool {
	if l.has[pieceLogger] {
		return false
	}
	b, from := l.b, l.i
	end := nameEndAt(b, from)
	if end >= len(b) {
		return false
	}
	name := b[from:end]
	if len(name) > 4 && string(name[len(name)-4:]) == ".exe" && !l.has[pieceProcess] {
		l.add(pieceProcess, from, end)
		l.i = end
		return true
	}
	if !l.isLogger(name, end, before) {
		return false
	}
	l.add(pieceLogger, from, end)
	l.i = end
	return true
}

// isLogger reports whether the name that ends at end is that of a logger, by
// what it looks like and what stands around it.
func (l *layout) isLogger(name []byte, end, before int) bool {
	b := l.b
	rest := b[end:]
	ends := func(mark string) bool { return len(rest) >= len(mark) && string(rest[:len(mark)]) == mark }
	if !l.has[pieceLevel] { // Python: - name - LEVEL -
		return (ends(" - ") || ends(":") || ends(" | ")) && l.levelAt(l.sepEnd(end))
	}
	if b[before] == ':' && before+1 == l.i && ends(":") { // Python: LEVEL:name:message
		return true
	}
	if ends("   ") { // columns
		return true
	}
	marked := ends(": ") || ends(" - ") || ends(" : ") || ends(" -- ") || len(rest) == 1 && rest[0] == ':'
	if hasParts(name) {
		return marked || ends(" [") || ends(" (")
	}
	return marked && (l.has[pieceThread] || ends(" : ")) && !ends(": ")
}

// sender takes the host and the process that a syslog daemon writes behind the
// time: host name[123]: …
func (l *layout) sender() {
	b, i := l.b, l.i
	if i+1 >= len(b) || b[i] != ' ' || b[i+1] == ' ' || b[i+1] == '[' || l.has[pieceLevel] {
		return
	}
	host := i + 1
	hostEnd := wordEnd(b, host)
	if hostEnd == host || hostEnd+1 >= len(b) || b[hostEnd] != ' ' || b[hostEnd-1] == ':' || b[hostEnd+1] == '[' {
		return
	}
	process := hostEnd + 1
	end := wordEnd(b, process)
	if end >= len(b) && (end == process || b[end-1] != ':') || b[process] == '-' {
		return
	}
	name, pid, pidEnd := l.processName(process, end)
	if name == process || pid == 0 && !l.daemon {
		return
	}
	l.add(pieceHost, host, hostEnd)
	l.add(pieceProcess, process, name)
	if pid > 0 {
		l.add(piecePID, pid, pidEnd)
	}
	l.i = end
	if b[end-1] == ':' {
		l.i--
	}
	l.message = l.afterSep(l.i)
}

// processName splits name[123]: into its name and its number, where pid is 0 if
// there is none; name is process if it is neither.
func (l *layout) processName(process, end int) (name, pid, pidEnd int) {
	b := l.b
	colon := b[end-1] == ':'
	if colon {
		end--
	}
	if end > process+2 && b[end-1] == ']' {
		open := bytes.LastIndexByte(b[process:end], '[')
		if open > 0 && isNumber(b[process+open+1:end-1]) {
			return process + open, process + open + 1, end - 1
		}
	}
	if !colon || b[process]-'0' <= 9 {
		return process, 0, 0
	}
	return end, 0, 0
}

// wordEnd returns the end of the word at i.
func wordEnd(b []byte, i int) int {
	end := i
	for end < len(b) && end < i+maxName && b[end] != ' ' && b[end] != '\t' {
		end++
	}
	return end
}
