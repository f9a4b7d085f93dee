package agent

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"shiplog/tailer"
)

const (
	// statusFiles is how many files a status has unless it is asked for more.
	statusFiles = 1000
	// statusFilesMax bounds what can be asked for.
	statusFilesMax = 10_000
)

// StatusQuery says which files a Status is to have. The zero value asks for the
// 1000 that want a look most: those that cannot be read, then by lag.
type StatusQuery struct {
	Limit  int    // at most so many; 0: 1000, below zero: none
	Offset int    // leaves out so many of those that match
	Sort   string // lag (the default), rate, path, size, id
	// After has those behind that id, in the order of ids: the way to get all
	// files, page by page, while they come and go. It goes without Offset and Sort.
	After *tailer.FileID
	Input string        // only of that input
	State string        // only in that state
	Match string        // only those whose path contains it
	File  tailer.FileID // only that one; 0: all
}

// sorts are the orders that a query may ask for.
var sorts = map[string]func(a, b *fileRow) int{ //nolint:gochecknoglobals // a constant table
	"":    compareRows,
	"lag": compareRows,
	"rate": func(a, b *fileRow) int {
		return cmp.Or(cmp.Compare(b.rate, a.rate), cmp.Compare(a.path, b.path), cmp.Compare(a.id, b.id))
	},
	"path": func(a, b *fileRow) int { return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.id, b.id)) },
	"size": func(a, b *fileRow) int {
		return cmp.Or(cmp.Compare(b.size, a.size), cmp.Compare(a.path, b.path), cmp.Compare(a.id, b.id))
	},
	"id": func(a, b *fileRow) int { return cmp.Compare(a.id, b.id) },
}

// ParseStatusQuery reads the query of /status: limit, offset, sort, after,
// input, state, match, file.
func ParseStatusQuery(v url.Values) (q StatusQuery, err error) {
	for name := range v {
		value := v.Get(name)
		switch name {
		case "limit":
			q.Limit, err = atoi(value, statusFilesMax)
			if q.Limit == 0 {
				q.Limit = -1
			}
		case "offset":
			q.Offset, err = atoi(value, 1<<31-1)
		case "sort":
			if q.Sort = value; sorts[value] == nil {
				err = fmt.Errorf("%q is none of lag, rate, path, size, id", value)
			}
		case "after":
			id := tailer.FileID(0)
			id, err = parseID(value)
			q.After = &id
		case "file":
			q.File, err = parseID(value)
		case "input":
			q.Input = value
		case "state":
			q.State = value
		case "match":
			q.Match = value
		default:
			return q, fmt.Errorf("%q is none of limit, offset, sort, after, input, state, match, file", name)
		}
		if err != nil {
			return q, fmt.Errorf("%s: %w", name, err)
		}
	}
	return q, nil
}

func atoi(s string, most int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%q is not a number from 0 to %d", s, most)
	}
	return n, nil
}

func parseID(s string) (tailer.FileID, error) {
	id, err := strconv.ParseUint(s, 16, 64)
	if err != nil || len(s) != 16 {
		return 0, fmt.Errorf("%q is not an id of 16 hexadecimal digits", s)
	}
	return tailer.FileID(id), nil
}

// Values returns the query as ParseStatusQuery reads it.
func (q StatusQuery) Values() url.Values {
	v := url.Values{}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(max(0, q.Limit)))
	}
	if q.Offset != 0 {
		v.Set("offset", strconv.Itoa(q.Offset))
	}
	if q.After != nil {
		v.Set("after", q.After.String())
	}
	if q.File != 0 {
		v.Set("file", q.File.String())
	}
	set("sort", q.Sort)
	set("input", q.Input)
	set("state", q.State)
	set("match", q.Match)
	return v
}

// wants reports whether the filters let a file through.
func (q *StatusQuery) wants(r *fileRow) bool {
	return (q.File == 0 || r.id == q.File) && (q.Input == "" || r.input == q.Input) &&
		(q.State == "" || r.state == q.State) && (q.Match == "" || strings.Contains(r.path, q.Match))
}

// page returns copies of the rows that were asked for, in order, and how many
// there are of them on all pages.
func (q *StatusQuery) page(rows []fileRow) (page []fileRow, matching int) {
	var at []*fileRow
	for i := range rows {
		if !q.wants(&rows[i]) {
			continue
		}
		matching++
		if q.Limit >= 0 && (q.After == nil || rows[i].id > *q.After) {
			at = append(at, &rows[i])
		}
	}
	order, offset := sorts[q.Sort], q.Offset
	if q.After != nil {
		order, offset = sorts["id"], 0
	}
	slices.SortFunc(at, order)
	at = at[min(offset, len(at)):]
	for _, r := range at[:min(len(at), cmp.Or(max(0, q.Limit), statusFiles))] {
		page = append(page, *r)
	}
	return page, matching
}
