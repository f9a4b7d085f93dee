package admin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestEvents: events arrive, no more than a bounded number of clients are
// served, and the end of the server ends them.
func TestEvents(t *testing.T) {
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := source()
	s.Profiles = true
	s.Follow = func(ctx context.Context) (<-chan []byte, error) {
		c := make(chan []byte, 3)
		for i := range 3 {
			c <- fmt.Appendf(nil, `{"n":%d}`, i)
		}
		return c, nil
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, s, slog.New(slog.DiscardHandler)) }()
	get := func(path string) *http.Response {
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + l.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	var first *bufio.Scanner
	for range eventClients {
		resp := get("/events")
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
			t.Fatalf("%d %v", resp.StatusCode, resp.Header)
		}
		if first == nil {
			first = bufio.NewScanner(resp.Body)
		}
	}
	if resp := get("/events"); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %d", resp.StatusCode)
	}
	if resp := get("/debug/pprof/goroutine?debug=1"); resp.StatusCode != http.StatusOK {
		t.Errorf("profile: %d", resp.StatusCode)
	}
	var got []string
	for len(got) < 8 && first.Scan() {
		if first.Text() != "" {
			got = append(got, first.Text())
		}
		if len(got) == 7 {
			break
		}
	}
	if want := "retry: 2000|event: status|data: {\"n\":0}|event: status|data: {\"n\":1}|event: status|data: {\"n\":2}"; strings.Join(got, "|") != want {
		t.Errorf("%q", got)
	}
	stop() // while all of them follow
	if err := <-done; err != nil {
		t.Error(err)
	}
	if first.Scan() && first.Text() != "" {
		t.Errorf("after the end: %q", first.Text())
	}
}

func TestEventsFail(t *testing.T) {
	s := source()
	s.Follow = func(context.Context) (<-chan []byte, error) { return nil, errors.New("it is stopping") }
	r := httptest.NewRequest("GET", "/events", nil)
	r.Host = "localhost"
	w := httptest.NewRecorder()
	Handler(s).ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "stopping") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestOtherSites: what a page of another site makes a browser ask is refused,
// that somebody follows a link is not.
func TestOtherSites(t *testing.T) {
	for _, c := range []struct {
		name, header, value, mode string
		code                      int
	}{
		{"another origin", "Origin", "http://evil.example.org", "", 403},
		{"no origin to speak of", "Origin", "null", "", 403},
		{"the same origin", "Origin", "http://localhost:9600", "", 200},
		{"an image or a script of another site", "Sec-Fetch-Site", "cross-site", "no-cors", 403},
		{"a link", "Sec-Fetch-Site", "cross-site", "navigate", 200},
		{"typed by a person", "Sec-Fetch-Site", "none", "navigate", 200},
	} {
		r := httptest.NewRequest("GET", "/status", nil)
		r.Host = "localhost:9600"
		r.Header.Set(c.header, c.value)
		if c.mode != "" {
			r.Header.Set("Sec-Fetch-Mode", c.mode)
		}
		w := httptest.NewRecorder()
		Handler(source()).ServeHTTP(w, r)
		if w.Code != c.code {
			t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
		}
	}
}

// TestTooManyRequests: what is beyond the bound is refused, and later requests
// are not.
func TestTooManyRequests(t *testing.T) {
	hold, came := make(chan struct{}), make(chan struct{})
	s := source()
	s.History = func() any { came <- struct{}{}; <-hold; return 1 }
	h := Handler(s)
	ask := func(path string) int {
		r := httptest.NewRequest("GET", path, nil)
		r.Host = "localhost"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	codes := make(chan int, requestsAtOnce)
	for range requestsAtOnce {
		go func() { codes <- ask("/history") }()
		<-came
	}
	if code := ask("/status"); code != http.StatusServiceUnavailable {
		t.Errorf("one too many: %d", code)
	}
	close(hold)
	for range requestsAtOnce {
		if code := <-codes; code != http.StatusOK {
			t.Errorf("within the bound: %d", code)
		}
	}
	if code := ask("/status"); code != http.StatusOK {
		t.Errorf("afterwards: %d", code)
	}
}
