package parse

import "bytes"

// csvGuess tells a file of csv, whose first line is all that says so, from text.
// It belongs to one file.
type csvGuess struct {
	head      []byte // the file's first line, while it may be a header
	columns   int
	delimiter byte
	usual     bool // one of the names is one that loggers use
	proved    bool // a line has fitted
}

const (
	sureOfCSV     = 90
	longestColumn = 48 // bytes of a name in a header
	unusualNames  = 3  // columns that a header has at least whose names say nothing
)

// first looks at the first entry of a file.
func (g *csvGuess) first(o *settings, entry []byte) {
	line := withoutBOM(entry)
	h := &csvHeader{csvParser: &csvParser{o: o}}
	if len(line) == 0 || len(line) > maxHeader || line[0] == '{' || bytes.IndexByte(line, '\n') >= 0 || !h.header(line) || len(h.columns) < 2 {
		return
	}
	spaced := bytes.Contains(line, []byte{h.delimiter, ' '}) // as in a sentence
	for i := range h.columns {
		c := &h.columns[i]
		if !isColumnName(c.name) {
			return
		}
		g.usual = g.usual || c.place != atNoPlace
	}
	if !g.usual && (spaced || len(h.columns) < unusualNames) {
		return
	}
	g.head, g.columns, g.delimiter = bytes.Clone(line), len(h.columns), h.delimiter
}

// isColumnName reports whether a text may be the name of a column: a word, or a
// few, without the marks of a sentence.
func isColumnName(name []byte) bool {
	if len(name) > longestColumn || bytes.Count(name, []byte(" ")) > unusualNames {
		return false
	}
	if c := name[0] | 0x20; (c < 'a' || c > 'z') && name[0] < 0x80 && bytes.IndexByte([]byte("_@#$"), name[0]) < 0 {
		return false
	}
	return !bytes.ContainsAny(name, "=:[]{}<>\"'!?;\\")
}

// detect returns how surely an entry is a line below the header: it has as many
// fields. The first one has to show that it is no prose: by a number or a time
// in it, where none of the names is a usual one.
func (g *csvGuess) detect(entry []byte) int {
	line := withoutBOM(entry)
	if g.head == nil || bytes.IndexByte(line, '\n') >= 0 && !bytes.Contains(line, []byte{'"'}) {
		return 0
	}
	if bytes.Equal(line, g.head) {
		if g.proved { // it is written again
			return sureOfCSV
		}
		return 0
	}
	fields, telling := 0, g.usual || g.proved
	c := cells{b: line, delimiter: g.delimiter}
	for c.next() {
		if fields++; fields > g.columns {
			return 0
		}
		telling = telling || c.quoted || len(c.cell) > 0 && c.cell[0]-'0' <= 9
	}
	if c.bad || fields != g.columns || !telling {
		return 0
	}
	g.proved = true
	return sureOfCSV
}
