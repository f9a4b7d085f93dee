package admin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/html"
)

// odd are texts that would be something else in a page that did not escape them.
var odd = []string{ //nolint:gochecknoglobals // a constant table
	`<img src=x onerror=alert(1)>`, `"><script>alert(1)</script>`, `' onmouseover='alert(1)`, `</textarea></pre></style><!--`, `{{.}} ${x} ]]>`, "javascript:alert(1)", "a\r\nb\tc", "\u202egol.x",
}

// somePage has odd texts wherever it takes one.
func somePage(text string) *Page {
	facts := []Fact{{Name: text, Value: text, Note: text, State: "bad"}}
	table := Table{Caption: text, Columns: []Column{{Name: text, Kind: "head", Href: "/?match=" + url.QueryEscape(text), Sorted: "ascending"}, {Name: text, Kind: "text"}},
		Rows: []Row{{ID: "row", State: "bad", Cells: []Cell{{Text: text, Note: text, Href: "/?file=1"}, {Text: text}}}}}
	return &Page{
		Host: text, Program: text, At: text, State: "bad", Verdict: text, Detail: text, Reasons: []string{text}, Now: facts,
		Charts: []Chart{{Title: text, Summary: text, Top: text, Step: time.Second, Points: []Point{{Ago: time.Minute, Value: 0.5}}}},
		Files:  Files{Filter: Filter{Match: text, State: text, Input: text, Sort: text, States: []string{text, "x"}, Inputs: []string{text, "y"}}, Table: table, Summary: text, Next: "/?offset=1", All: "/"},
		Inputs: table, Kafka: facts, Brokers: Table{Empty: text}, Letters: facts, Advice: text, Errors: Table{Empty: text}, Agent: facts, Config: text,
	}
}

func get(h http.Handler, method, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.Host = "localhost:9600"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func pageSource(page func(url.Values) (*Page, error)) Source {
	s := source()
	s.Page = page
	return s
}

// each calls f for all elements of a document.
func each(t *testing.T, doc string, f func(n *html.Node)) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			f(n)
		}
	}
}

// TestPageIsSafe: whatever files and errors are called, the page has the
// elements that it always has, asks only this server, and runs nothing of its own.
func TestPageIsSafe(t *testing.T) {
	var plain []string
	for i, text := range append([]string{"plain"}, odd...) {
		w := get(Handler(pageSource(func(url.Values) (*Page, error) { return somePage(text), nil })), "GET", "/")
		if w.Code != http.StatusOK || w.Header().Get("Content-Security-Policy") != policy || w.Header().Get("X-Frame-Options") != "DENY" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Fatalf("%d %v", w.Code, w.Header())
		}
		var elements []string
		shown := false
		each(t, w.Body.String(), func(n *html.Node) {
			elements = append(elements, n.Data)
			for _, a := range n.Attr {
				here := a.Val == "" || strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "//") || strings.HasPrefix(a.Val, "#")
				switch {
				case a.Key == "href" || a.Key == "src" || a.Key == "action":
					if !here {
						t.Errorf("%s leads to %q", n.Data, a.Val)
					}
				case a.Key == "style" || strings.HasPrefix(a.Key, "on"):
					t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
				}
			}
			if n.Data == "h1" && n.FirstChild != nil {
				shown = n.FirstChild.Data == strings.ReplaceAll(text, "\r\n", "\n")
			}
		})
		if !shown {
			t.Errorf("%q is not shown as it is", text)
		}
		if i == 0 {
			plain = elements
		} else if !slices.Equal(elements, plain) {
			t.Errorf("%q makes other elements: %v, want %v", text, elements, plain)
		}
	}
}

func TestPageAndItsFiles(t *testing.T) {
	h := Handler(pageSource(func(q url.Values) (*Page, error) {
		if q.Has("bad") {
			return nil, errors.New("sort: <none>")
		}
		return somePage("x"), nil
	}))
	for _, c := range []struct {
		method, path, kind, has string
		code                    int
	}{
		{"GET", "/", "text/html; charset=utf-8", "<h1>x</h1>", 200},
		{"GET", "/?match=y", "text/html; charset=utf-8", "", 200},
		{"HEAD", "/", "text/html; charset=utf-8", "", 200},
		{"GET", "/?bad=1", "text/plain; charset=utf-8", "sort: <none>; see /", 400},
		{"GET", "/live?bad=1", "application/json", "sort: ", 400},
		{"POST", "/", "", "", 405},
		{"GET", "/page/style.css", "text/css; charset=utf-8", "prefers-color-scheme: dark", 200},
		{"GET", "/page/page.js", "text/javascript; charset=utf-8", "EventSource", 200},
		{"GET", "/page/bad.svg", "image/svg+xml; charset=utf-8", "<svg", 200},
		{"GET", "/page/page.html", "", "", 404},
		{"GET", "/page/", "", "", 404},
	} {
		w := get(h, c.method, c.path)
		if w.Code != c.code || c.kind != "" && w.Header().Get("Content-Type") != c.kind || !strings.Contains(w.Body.String(), c.has) {
			t.Errorf("%s %s: %d %v %.200s", c.method, c.path, w.Code, w.Header(), w.Body)
		}
	}
	if w := get(Handler(source()), "GET", "/"); w.Code != 404 {
		t.Errorf("without a source of pages: %d", w.Code)
	}
}

// TestLive: at first all parts are sent, then those that have changed, and the
// end of the server ends it.
func TestLive(t *testing.T) {
	var looks atomic.Int64
	s := pageSource(func(url.Values) (*Page, error) {
		n := looks.Add(1)
		p := somePage("a\r\nb")
		p.Verdict, p.At = "the same", fmt.Sprint("look ", n)
		p.Detail = fmt.Sprint("detail ", n)
		return p, nil
	})
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, s, slog.New(slog.DiscardHandler)) }()
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + l.Addr().String() + "/live")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	event := func() (name, data string) {
		for lines.Scan() {
			switch text := lines.Text(); {
			case strings.HasPrefix(text, "event: "):
				name = text[7:]
			case strings.HasPrefix(text, "data: "):
				data += text[6:] + "\n"
			case text == "" && name != "":
				return name, data
			}
		}
		return "", ""
	}
	for _, part := range parts() {
		name, data := event()
		if name != part {
			t.Fatalf("%s, want %s", name, part)
		}
		if part == "agent" && !strings.Contains(data, "<pre tabindex=\"0\" role=\"region\" aria-label=\"Configuration\">a&#13;\nb</pre>") {
			t.Errorf("%q", data)
		}
	}
	for _, want := range []string{"at look 1\n", "now ", "at look 2\n", "now "} {
		name, data := event()
		if got := name + " " + data; !strings.HasPrefix(got, want) {
			t.Errorf("%.80q, want %q", got, want)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestLiveIsBounded: those who follow the page and those who follow /events share
// the places.
func TestLiveIsBounded(t *testing.T) {
	places := make(seats, 1)
	places <- struct{}{}
	w := httptest.NewRecorder()
	live(func(url.Values) (*Page, error) { return somePage("x"), nil }, places, nil)(w, httptest.NewRequest("GET", "/live", nil))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestChart(t *testing.T) {
	c := Chart{Step: 10 * time.Second, Points: []Point{
		{Ago: 2 * time.Hour, Value: 3, Bad: true}, {Ago: 30 * time.Minute, Value: 0}, {Ago: 30*time.Minute - 10*time.Second, Value: 0.5, Bad: true}, {Ago: 0, Value: 1},
	}}
	if got, want := c.Line(), "M0.0 2.0h1M360.0 98.0L362.0 50.0M720.0 2.0h1"; got != want {
		t.Errorf("line %s, want %s", got, want)
	}
	if got, want := c.Bad(), "M0.0 0H0.0V100H0.0ZM360.0 0H362.0V100H360.0Z"; got != want {
		t.Errorf("bad %s, want %s", got, want)
	}
	if got, want := c.Area(), "M0.0 100L0.0 2.0L0.0 100ZM360.0 100L360.0 98.0L362.0 50.0L362.0 100ZM720.0 100L720.0 2.0L720.0 100Z"; got != want {
		t.Errorf("area %s, want %s", got, want)
	}
	if got := (Chart{}).Line() + (Chart{}).Area() + (Chart{}).Bad(); got != "" {
		t.Errorf("of nothing %q", got)
	}
}
