package admin

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
)

// Page is what the status page shows at one instant. All texts are plain; the
// page escapes them.
type Page struct {
	Host    string
	Program string // with its version
	At      string // clock time on that host
	State   string // good, warn, bad
	Verdict string // one sentence: is it shipping?
	// Detail says in figures what Verdict says without, so that Verdict changes
	// only when there is news.
	Detail  string
	Reasons []string // what is wrong, each with what to do
	Now     []Fact
	Charts  []Chart
	Files   Files
	Inputs  Table
	Kafka   []Fact
	Brokers Table
	Letters []Fact // dead letters
	Advice  string // what to do about them; "": nothing
	Errors  Table
	Agent   []Fact
	Config  string // as text
}

// Fact is a figure with its name.
type Fact struct {
	Name, Value, Note string
	State             string // warn, bad; "": plain
}

// Table has a cell in each row for each column.
type Table struct {
	Caption string // for those who cannot see where it stands
	Columns []Column
	Rows    []Row
	Empty   string // what is said instead of a table without rows
}

// Column is one column of a Table.
type Column struct {
	Name string
	// Kind is text, number, head (what the row is about), or aside: the page leaves
	// it out where it is narrow.
	Kind   string
	Href   string // sorts by it; "": nothing does
	Sorted string // ascending, descending; "": not by this
}

// Row is one row of a Table.
type Row struct {
	ID    string // that stays with what the row is about
	State string // warn, bad; "": plain
	Cells []Cell
}

// Cell is one cell of a Table.
type Cell struct{ Text, Note, Href string }

// Files is the list of files, a page of it.
type Files struct {
	Filter  Filter
	Table   Table
	Summary string // which of how many are shown
	// Previous and Next lead to the pages beside this one, All to all files.
	Previous, Next, All string
	Skipped             Table  // paths that cannot be looked at
	SkippedMore         string // that not all are shown
	One                 []Fact // of the file that was asked for alone
}

// Filter is what the form above the files holds.
type Filter struct {
	Match, State, Input, Sort string
	States, Inputs            []string // to choose from
}

//go:embed page
var pageFiles embed.FS //nolint:gochecknoglobals // embedded

// pageTemplate has a template for the page, and one for each of its parts.
var pageTemplate = template.Must(template.ParseFS(pageFiles, "page/*.html")) //nolint:gochecknoglobals // a constant that Go cannot express

// parts are the parts of the page that change, each a template.
func parts() []string {
	return []string{"verdict", "now", "charts", "files", "inputs", "kafka", "letters", "errors", "agent"}
}

// policy allows the page its own files and nothing else (Content Security Policy
// Level 3).
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// addPage adds the page and its files to mux.
func addPage(mux *http.ServeMux, page func(url.Values) (*Page, error)) {
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		p, err := page(r.URL.Query())
		if err != nil {
			http.Error(w, err.Error()+"; see / for all", http.StatusBadRequest)
			return
		}
		var b bytes.Buffer
		if err := pageTemplate.ExecuteTemplate(&b, "page.html", p); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		guardPage(w.Header())
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write(b.Bytes()) //nolint:errcheck // the client has gone
	})
	for name, kind := range map[string]string{"style.css": "text/css", "page.js": "text/javascript", "good.svg": "image/svg+xml", "warn.svg": "image/svg+xml", "bad.svg": "image/svg+xml"} {
		mux.HandleFunc("GET /page/"+name, func(w http.ResponseWriter, r *http.Request) {
			guardPage(w.Header())
			w.Header().Set("Content-Type", kind+"; charset=utf-8") // not as the system has it
			http.ServeFileFS(w, r, pageFiles, "page/"+name)
		})
	}
}

// guardPage forbids a browser all that the page does not need.
func guardPage(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// part renders one part of the page.
func (p *Page) part(name string) ([]byte, error) {
	var b bytes.Buffer
	if err := pageTemplate.ExecuteTemplate(&b, name, p); err != nil {
		return nil, fmt.Errorf("status page: %w", err)
	}
	return b.Bytes(), nil
}
