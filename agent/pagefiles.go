package agent

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"shiplog/agent/admin"
)

// filesOf is the list of files that q asks for.
func filesOf(s *Status, q StatusQuery) admin.Files {
	f := admin.Files{
		Filter: admin.Filter{Match: q.Match, State: q.State, Input: q.Input, Sort: q.Sort, States: fileStates()},
		Table: admin.Table{
			Caption: "Files", Columns: fileColumns(q),
			Empty: "No file is known yet.",
		},
	}
	for i := range s.Inputs {
		f.Filter.Inputs = append(f.Filter.Inputs, s.Inputs[i].Name)
	}
	filtered := q.Match != "" || q.State != "" || q.Input != "" || q.File != 0
	if filtered {
		f.Table.Empty, f.All = "No file is as asked for.", pageLink(StatusQuery{Sort: q.Sort, Limit: q.Limit})
	}
	for i := range s.Files {
		f.Table.Rows = append(f.Table.Rows, fileRowOf(&s.Files[i]))
	}
	f.Summary = fileSummary(s, q, filtered)
	if q.Offset > 0 {
		back := q
		back.Offset = max(0, q.Offset-q.Limit)
		f.Previous = pageLink(back)
	}
	if q.After == nil && q.Offset+len(s.Files) < s.FilesMatching && len(s.Files) > 0 {
		next := q
		next.Offset += len(s.Files)
		f.Next = pageLink(next)
	}
	f.Skipped, f.SkippedMore = skippedTable(s)
	if q.File != 0 && len(s.Files) == 1 {
		f.One = fileFacts(&s.Files[0], s.At)
	}
	return f
}

// fileSummary says which of how many files are shown.
func fileSummary(s *Status, q StatusQuery, filtered bool) string {
	order := map[string]string{"rate": "the busiest first", "path": "by path", "size": "the largest first", "id": "by id"}[q.Sort]
	order = cmp.Or(order, "those with problems first, then those that are behind")
	n, of := len(s.Files), s.FilesMatching
	switch {
	case n == 0:
		return ""
	case of == 1:
		order = ""
	default:
		order = ", " + order
	}
	text := fmt.Sprintf("%s of %s files", Count(int64(n)), Count(int64(of)))
	if n < of && q.After == nil {
		text = fmt.Sprintf("%s to %s of %s files", Count(int64(q.Offset+1)), Count(int64(q.Offset+n)), Count(int64(of)))
	}
	if n == of {
		text = counted(n, "file")
	}
	if filtered {
		text += fmt.Sprintf(" that match, of %s", Count(int64(s.Sums.Files)))
	}
	return text + order + "."
}

// fileColumns are the columns of the files, with links that sort by them.
func fileColumns(q StatusQuery) []admin.Column {
	sorted := cmp.Or(q.Sort, "lag")
	by := func(c admin.Column, sort, direction string) admin.Column {
		if q.After == nil && q.File == 0 {
			to := q
			to.Sort, to.Offset = sort, 0
			c.Href = pageLink(to)
			if sort == sorted {
				c.Sorted = direction
			}
		}
		return c
	}
	return []admin.Column{
		{Name: "State", Kind: "word"},
		by(admin.Column{Name: "File", Kind: "head"}, "path", "ascending"),
		{Name: "Behind", Kind: "number"},
		by(admin.Column{Name: "Lag", Kind: "number aside"}, "lag", "descending"),
		by(admin.Column{Name: "Shipped/s", Kind: "number aside"}, "rate", "descending"),
		by(admin.Column{Name: "Size", Kind: "number aside"}, "size", "descending"),
		{Name: "Read as", Kind: "text aside"},
	}
}

// pageLink is the address of the page with a query.
func pageLink(q StatusQuery) string {
	if q.Limit == pageFiles {
		q.Limit = 0
	}
	v := q.Values().Encode()
	if v == "" {
		return "/#files"
	}
	return "/?" + v + "#files"
}

// fileRowOf is the row of one file.
func fileRowOf(f *FileState) admin.Row {
	row := admin.Row{ID: "file-" + f.ID}
	switch {
	case f.State == "unreadable":
		row.State = "bad"
	case f.State == "missing" && f.Lag > 0:
		row.State = "warn"
	}
	format := f.Format
	if f.Encoding != "" && !strings.EqualFold(f.Encoding, "utf-8") {
		format += ", " + f.Encoding
	}
	row.Cells = []admin.Cell{
		{Text: f.State},
		{Text: Printable(f.Path), Note: fileNote(f), Href: "/?file=" + f.ID + "#files"},
		{Text: Behind(f.LagSeconds)}, {Text: ByteCount(f.Lag)}, {Text: ByteCount(int64(f.Rate))}, {Text: ByteCount(f.Size)}, {Text: format},
	}
	return row
}

// fileNote says why a file is not read, and what is out of the ordinary.
func fileNote(f *FileState) string {
	var out []string
	if f.Reason != "" {
		out = append(out, f.Reason)
	}
	for _, x := range []struct {
		is   bool
		text string
	}{
		{f.Deleted, "deleted, and kept open until it is shipped"},
		{f.Rotated && f.State != "finished", "rotated"},
		{f.Pinned, "pinned"},
		{f.CutLines > 0, Count(f.CutLines) + " lines cut"},
		{f.ReadErrors > 0, Count(f.ReadErrors) + " read errors"},
	} {
		if x.is {
			out = append(out, x.text)
		}
	}
	return strings.Join(out, "; ")
}

// fileFacts are all that is known of one file.
func fileFacts(f *FileState, now time.Time) []admin.Fact {
	bytes := func(n int64) string { return Count(n) + " bytes" }
	out := []admin.Fact{
		{Name: "Id", Value: f.ID, Note: "in the header src"},
		{Name: "Input", Value: Printable(f.Input)},
		{Name: "Found first as", Value: Printable(f.Origin)},
		{Name: "Size", Value: bytes(f.Size)},
		{Name: "Read", Value: bytes(f.Read)},
		{Name: "Acknowledged", Value: bytes(f.Acknowledged)},
		{Name: "Lag", Value: bytes(f.Lag), Note: bytes(f.Pending) + " of it in an entry that is not complete"},
		{Name: "Last read", Value: clock(f.LastRead, now)},
		{Name: "Last acknowledged", Value: clock(f.LastAck, now)},
		{Name: "Read as", Value: f.Format, Note: f.FormatReason},
		{Name: "Encoding", Value: cmp.Or(f.Encoding, "-")},
		{Name: "Open", Value: yesNo(f.Open)},
		{Name: "Rotated", Value: yesNo(f.Rotated)},
		{Name: "Compressed", Value: yesNo(f.Compressed)},
		{Name: "Pinned", Value: yesNo(f.Pinned)},
	}
	if f.Reason != "" {
		out = append(out, admin.Fact{Name: "Why " + f.State, Value: f.Reason})
	}
	if f.InvalidBytes > 0 {
		out = append(out, admin.Fact{Name: "Bytes that are no text", Value: Count(f.InvalidBytes), State: "warn"})
	}
	return out
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// skippedTable has the paths that cannot be looked at.
func skippedTable(s *Status) (t admin.Table, more string) {
	t = admin.Table{Caption: "Paths that cannot be looked at", Columns: []admin.Column{{Name: "Path", Kind: "head"}, {Name: "Why", Kind: "text"}}}
	for _, x := range s.Skipped {
		t.Rows = append(t.Rows, admin.Row{State: "bad", Cells: []admin.Cell{{Text: Printable(x.Path)}, {Text: x.Reason}}})
	}
	if n := s.SkippedTotal - len(s.Skipped); n > 0 {
		more = fmt.Sprintf("and %s more.", Count(int64(n)))
	}
	return t, more
}
