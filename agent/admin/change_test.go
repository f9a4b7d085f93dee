package admin

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// changing returns a source whose changes say what they were asked for.
func changing(token string) Source {
	s := source()
	s.Changes = Changes{
		Token: token,
		Why:   func(_ context.Context, file string) (any, error) { return map[string]string{"why": file}, nil },
		Rewind: func(_ context.Context, q RewindRequest) (any, error) {
			return map[string]any{"rewound": q.Name(), "to": q.To}, nil
		},
		Forget: func(_ context.Context, q FileRequest) (any, error) { return nil, errors.New("no file " + q.Name()) },
	}
	return s
}

func TestChanges(t *testing.T) {
	const token = "secret"
	for _, c := range []struct {
		name, method, path, body, token, origin, kind string
		s                                             Source
		code                                          int
		want                                          string
	}{
		{name: "why", method: "GET", path: "/why?file=%2Fa%20b", token: token, code: 200, want: `"why": "/a b"`},
		{name: "why of nothing", method: "GET", path: "/why", token: token, code: 409, want: "name the file"},
		{name: "rewind", method: "POST", path: "/state/rewind", body: `{"file":"/a","to":7}`, token: token, code: 200, want: `"to": 7`},
		{name: "bytes", method: "POST", path: "/state/rewind", body: `{"file_bytes":"L2E=","beginning":true}`, token: token, code: 200, want: `"rewound": "/a"`},
		{name: "an error is told", method: "POST", path: "/state/forget", body: `{"file":"/a"}`, token: token, code: 409, want: "no file /a"},
		{name: "no token", method: "POST", path: "/state/rewind", body: `{"file":"/a"}`, code: 401, want: "token"},
		{name: "wrong token", method: "POST", path: "/state/rewind", body: `{"file":"/a"}`, token: "guess", code: 401, want: "token"},
		{name: "no token for why", method: "GET", path: "/why?file=/a", code: 401, want: "token"},
		{name: "a page of another site", method: "POST", path: "/state/rewind", body: `{}`, token: token, origin: "http://evil.example.org", code: 403, want: "another site"},
		{name: "a form", method: "POST", path: "/state/rewind", body: "a=b", kind: "application/x-www-form-urlencoded", token: token, code: 409, want: "application/json"},
		{name: "an unknown member", method: "POST", path: "/state/forget", body: `{"fiel":"/a"}`, token: token, code: 409, want: "fiel"},
		{name: "two objects", method: "POST", path: "/state/forget", body: `{} {}`, token: token, code: 409, want: "more than one"},
		{name: "too long", method: "POST", path: "/state/forget", body: `{"file":"` + strings.Repeat("a", maxBody) + `"}`, token: token, code: 409, want: "unexpected EOF"},
		{name: "not by GET", method: "GET", path: "/state/forget", token: token, code: 405},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
			r.Host = "localhost"
			if c.kind == "" {
				c.kind = "application/json"
			}
			r.Header.Set("Content-Type", c.kind)
			if c.token != "" {
				r.Header.Set("Authorization", "Bearer "+c.token)
			}
			if c.origin != "" {
				r.Header.Set("Origin", c.origin)
			}
			w := httptest.NewRecorder()
			Handler(changing(token)).ServeHTTP(w, r)
			if w.Code != c.code || !strings.Contains(w.Body.String(), c.want) {
				t.Errorf("%d %q", w.Code, w.Body)
			}
		})
	}
	r := httptest.NewRequest("GET", "/why?file=/a", nil)
	r.Host = "localhost"
	r.Header.Set("Authorization", "Bearer ")
	w := httptest.NewRecorder()
	if Handler(changing("")).ServeHTTP(w, r); w.Code != http.StatusUnauthorized {
		t.Errorf("without a token on either side: %d", w.Code)
	}
}

// TestAccess calls a server by what it left in the state directory.
func TestAccess(t *testing.T) {
	addresses := map[string]string{"tcp": "127.0.0.1:0"}
	if runtime.GOOS != "windows" {
		addresses["unix"] = "unix://" + filepath.Join(t.TempDir(), "a.sock")
	}
	for network, address := range addresses {
		t.Run(network, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := ReadAccess(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("before: %v", err)
			}
			l, err := Listen(address)
			if err != nil {
				t.Fatal(err)
			}
			token := NewToken()
			if err := NewAccess(l.Addr().Network(), l.Addr().String(), token, nil).Write(dir); err != nil {
				t.Fatal(err)
			}
			if fi, err := os.Stat(filepath.Join(dir, accessName)); err != nil || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", fi.Mode(), err)
			}
			ctx, stop := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- Serve(ctx, l, changing(token), slog.New(slog.DiscardHandler)) }()
			a, err := ReadAccess(dir)
			if err != nil {
				t.Fatal(err)
			}
			var out struct{ Rewound string }
			odd := "/a\xff\n b"
			if err := a.Call(ctx, "/state/rewind", RewindRequest{FileRequest: NewFileRequest(odd)}, &out); err != nil || out.Rewound != strings.ToValidUTF8(odd, "\ufffd") {
				t.Errorf("%+v, %v", out, err)
			}
			err = a.Call(ctx, "/state/forget", NewFileRequest("/a"), &out)
			if refused, ok := errors.AsType[*RefusedError](err); !ok || refused.Text != "no file /a" {
				t.Errorf("refused: %v", err)
			}
			a.Token = "another"
			if err := a.Call(ctx, "/state/rewind", RewindRequest{}, &out); err == nil || !strings.Contains(err.Error(), "token") {
				t.Errorf("with another token: %v", err)
			}
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if _, ok := errors.AsType[*RefusedError](a.Call(context.Background(), "/status", nil, &out)); ok {
				t.Error("an agent that has gone refuses")
			}
			if err := RemoveAccess(dir); err != nil {
				t.Error(err)
			}
			if err := RemoveAccess(dir); err != nil {
				t.Errorf("again: %v", err)
			}
		})
	}
}

// TestNoAgentAnswers tells of a web server in the agent's place without its page.
func TestNoAgentAnswers(t *testing.T) {
	for _, code := range []int{http.StatusOK, http.StatusNotFound} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html;charset=utf-8")
			w.WriteHeader(code)
			w.Write([]byte("<html>a page</html>")) //nolint:errcheck // whoever asked tells
		}))
		err := Access{Address: strings.TrimPrefix(server.URL, "http://")}.Call(t.Context(), "/status", nil, &struct{}{})
		server.Close()
		if err == nil || !strings.Contains(err.Error(), "is no agent") || strings.Contains(err.Error(), "a page") {
			t.Errorf("%d: %v", code, err)
		}
	}
}
