package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func source(problems ...string) Source {
	return Source{Health: func() []string { return problems }, Ready: func() []string { return problems }, Stuck: func() []string { return problems }, Status: func(q url.Values) (any, error) {
		if q.Has("bad") {
			return nil, errors.New("bad query")
		}
		return map[string]int{"files": 3}, nil
	}, History: func() any { return []int{7} }}
}

func TestPages(t *testing.T) {
	for _, c := range []struct {
		name, method, path, host string
		s                        Source
		code                     int
		body                     string
	}{
		{"well", "GET", "/healthz", "127.0.0.1:9600", source(), 200, "ok\n"},
		{"ill", "GET", "/healthz", "localhost:9600", source("no broker", "disk full"), 503, "no broker\ndisk full\n"},
		{"status", "GET", "/status", "[::1]:9600", source(), 200, "\"files\": 3"},
		{"a query that is wrong", "GET", "/status?bad=1", "localhost", source(), 400, "bad query"},
		{"history", "GET", "/history", "localhost", source(), 200, "7"},
		{"ready", "GET", "/readyz", "localhost", source(), 200, "ok\n"},
		{"not ready", "GET", "/readyz", "localhost", source("nothing acknowledged"), 503, "nothing acknowledged\n"},
		{"alive", "GET", "/livez", "localhost", source(), 200, "ok\n"},
		{"stuck", "GET", "/livez", "localhost", source("no file was looked after"), 503, "no file was looked after\n"},
		{"no profiles unless they are asked for", "GET", "/debug/pprof/", "localhost", source(), 404, ""},
		{"no events without a source", "GET", "/events", "localhost", source(), 404, ""},
		{"another host", "GET", "/status", "evil.example.org", source(), 403, "localhost"},
		{"change by GET only", "POST", "/status", "localhost", source(), 405, ""},
		{"nothing there", "GET", "/nothing", "localhost", source(), 404, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, c.path, nil)
			r.Host = c.host
			w := httptest.NewRecorder()
			Handler(c.s).ServeHTTP(w, r)
			if w.Code != c.code || !strings.Contains(w.Body.String(), c.body) {
				t.Errorf("%d %q", w.Code, w.Body)
			}
		})
	}
}

func TestServe(t *testing.T) {
	addresses := map[string]string{"tcp": "127.0.0.1:0"}
	if runtime.GOOS != "windows" {
		addresses["unix"] = "unix://" + filepath.Join(t.TempDir(), "a.sock")
	}
	for network, address := range addresses {
		t.Run(network, func(t *testing.T) {
			for range 2 { // the second finds what the first left
				l, err := Listen(address)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- Serve(ctx, l, source(), slog.New(slog.DiscardHandler)) }()
				dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
					return (&net.Dialer{}).DialContext(ctx, l.Addr().Network(), l.Addr().String())
				}
				client := &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
				resp, err := client.Get("http://localhost/status")
				if err != nil {
					t.Fatal(err)
				}
				var got map[string]int
				if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || got["files"] != 3 {
					t.Errorf("status %v, %v", got, err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				cancel()
				if err := <-done; err != nil {
					t.Errorf("Serve: %v", err)
				}
			}
		})
	}
}

func TestListenRefusesWhatIsNoSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := Listen("unix://" + path); err == nil {
		l.Close()
		t.Error("a regular file was replaced")
	}
}
