package admin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shiplog/shipper/kafkatest"
)

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// guarded serves with a guard until the test ends, and returns the address.
func guarded(t *testing.T, g *Guard, log io.Writer) (address string) {
	t.Helper()
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := changing("token-of-the-state-directory")
	s.Guard = g
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, s, slog.New(slog.NewTextHandler(log, nil))) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// TestToken: who does not know the token that the file holds now learns nothing.
func TestToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	const own, first, second = "token-of-the-state-directory", "the-first-token-of-all", "another-token-that-follows"
	put(t, file, first+"\n")
	s := changing(own)
	s.Guard = &Guard{TokenFile: file}
	s.Page = pageSource(nil).Page
	h := Handler(s)
	ask := func(method, path string, set func(*http.Request)) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, nil)
		r.Host = "agent.example.org:9600"
		if set != nil {
			set(r)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	bearer := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	}
	basic := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth("anybody", token) }
	}
	for _, path := range []string{"/", "/healthz", "/readyz", "/status", "/history", "/metrics", "/events", "/live", "/page/style.css", "/why?file=/a", "/nothing"} {
		w := ask("GET", path, nil)
		if w.Code != http.StatusUnauthorized || !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Basic ") || strings.Contains(w.Body.String(), first) {
			t.Errorf("%s: %d %v %s", path, w.Code, w.Header(), w.Body)
		}
	}
	for _, c := range []struct {
		name string
		set  func(*http.Request)
		code int
	}{
		{"bearer", bearer(first), 200}, {"basic", basic(first), 200}, {"that of the state directory", bearer(own), 200},
		{"wrong", bearer(first + "x"), 401}, {"beginning", basic(first[:5]), 401}, {"none", bearer(""), 401}, {"no password", basic(""), 401},
		{"not yet", bearer(second), 401},
		{"another site", func(r *http.Request) { basic(first)(r); r.Header.Set("Origin", "http://evil.example.org") }, 403},
		{"this site", func(r *http.Request) { basic(first)(r); r.Header.Set("Origin", "http://agent.example.org:9600") }, 200},
	} {
		if w := ask("GET", "/status", c.set); w.Code != c.code {
			t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
		}
	}
	// It is good for questions; what changes the agent wants more.
	if w := ask("POST", "/reload", bearer(first)); w.Code != http.StatusUnauthorized {
		t.Errorf("reload: %d %s", w.Code, w.Body)
	}
	put(t, file, second)
	if old, now := ask("GET", "/status", bearer(first)).Code, ask("GET", "/status", bearer(second)).Code; old != 401 || now != 200 {
		t.Errorf("after a change: the old one %d, the new one %d", old, now)
	}
	for name, text := range map[string]string{"short": "short", "empty": "\n", "two words": "the-first-token-of-all and-another"} {
		put(t, file, text)
		if code := ask("GET", "/status", bearer(strings.TrimSpace(text))).Code; code != 503 {
			t.Errorf("%s: %d", name, code)
		}
		if err := s.Guard.Check(); err == nil || !strings.Contains(err.Error(), "openssl rand -hex 32") || strings.Contains(err.Error(), "first") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if all, mine := ask("GET", "/status", bearer(second)).Code, ask("GET", "/status", bearer(own)).Code; all != 503 || mine != 200 {
		t.Errorf("without a file: %d, with the token of the state directory %d", all, mine)
	}
	if err := s.Guard.Check(); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("%v", err)
	}
}

// TestMutualTLS: only who has a certificate of the authorities of now, or the
// server's own, gets a connection; renewed files count without a restart.
func TestMutualTLS(t *testing.T) {
	ours, other := kafkatest.NewAuthority(t, "ours"), kafkatest.NewAuthority(t, "other")
	later := time.Now().Add(time.Hour)
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		put(t, path, string(data))
		return path
	}
	server := other.Sign(t, "agent", later, "127.0.0.1")
	g := &Guard{CertFile: file("cert", server.Cert), KeyFile: file("key", server.Key), ClientCAFile: file("ca", ours.PEM)}
	if err := g.Check(); err != nil || g.Ends().Unix() != later.Unix() {
		t.Fatalf("%v, ends %v", err, g.Ends())
	}
	log := &strings.Builder{}
	t.Cleanup(func() { // when the server has ended
		if !strings.Contains(log.String(), "cannot be checked") || strings.Contains(log.String(), "PRIVATE") {
			t.Errorf("said: %s", log)
		}
	})
	address := guarded(t, g, log)
	call := func(a Access) error {
		var out map[string]int
		return a.Call(t.Context(), "/status", nil, &out)
	}
	answered := func(name string, a Access) { // on a busy machine a handshake may take too long
		t.Helper()
		err := call(a)
		for end := time.Now().Add(time.Minute); err != nil && time.Now().Before(end); err = call(a) {
			time.Sleep(20 * time.Millisecond)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	client := func(name string, c kafkatest.Certificate) Access {
		return Access{Address: "https://" + address, CAFile: file("server-ca", other.PEM), CertFile: file(name+".cert", c.Cert), KeyFile: file(name+".key", c.Key)}
	}
	good := client("good", ours.Sign(t, "operator", later))
	local := NewAccess("tcp", address, "", g)
	for name, a := range map[string]Access{"of our authority": good, "the server's own": local} {
		answered(name, a)
	}
	for name, a := range map[string]Access{
		"no certificate":     {Address: "https://" + address, CAFile: good.CAFile},
		"of another":         client("other", other.Sign(t, "operator", later)),
		"expired":            client("expired", ours.Sign(t, "operator", time.Now().Add(-time.Hour))),
		"not encrypted":      {Address: address},
		"an unknown server":  {Address: "https://" + address, CertFile: good.CertFile, KeyFile: good.KeyFile},
		"another than known": {Address: "https://" + address, ServerFile: good.CertFile, CertFile: good.CertFile, KeyFile: good.KeyFile},
		"no key":             {Address: "https://" + address, CAFile: good.CAFile, CertFile: good.CertFile, KeyFile: filepath.Join(dir, "none")},
	} {
		if err := call(a); err == nil {
			t.Errorf("%s: it is answered", name)
		}
	}
	file("key", other.Sign(t, "agent", later).Key) // half renewed
	answered("while files are renewed", good)
	renewed := other.Sign(t, "agent", later.Add(time.Hour), "127.0.0.1")
	file("cert", renewed.Cert)
	file("key", renewed.Key)
	file("ca", other.PEM)
	if err := call(good); err == nil {
		t.Error("an authority that was taken out still counts")
	}
	answered("after the change", client("new", other.Sign(t, "operator", later)))
	answered("with the server's renewed one", local)
	conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: x509.NewCertPool(), InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11})
	if err == nil {
		conn.Close()
		t.Error("TLS 1.1 is spoken")
	}
}

// TestGuardFiles: what is wrong with the files is told with their names.
func TestGuardFiles(t *testing.T) {
	dir := t.TempDir()
	ca := kafkatest.NewAuthority(t, "ca")
	pair := ca.Sign(t, "agent", time.Now().Add(time.Hour))
	cert, key, not := filepath.Join(dir, "cert"), filepath.Join(dir, "key"), filepath.Join(dir, "not")
	put(t, cert, string(pair.Cert))
	put(t, key, string(pair.Key))
	put(t, not, "no PEM")
	for want, g := range map[string]*Guard{
		"admin.tls.cert_file: open":                    {CertFile: filepath.Join(dir, "none"), KeyFile: key},
		"admin.tls.key_file: open":                     {CertFile: cert, KeyFile: filepath.Join(dir, "none")},
		"key_file " + not:                              {CertFile: cert, KeyFile: not},
		"client_ca_file: " + not + " holds no certifi": {CertFile: cert, KeyFile: key, ClientCAFile: not},
		"admin.tls.client_ca_file: open":               {CertFile: cert, KeyFile: key, ClientCAFile: filepath.Join(dir, "none")},
	} {
		if err := g.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if (&Guard{}).Check() != nil || !(&Guard{}).Ends().IsZero() || !(&Guard{CertFile: not, KeyFile: not}).Ends().IsZero() {
		t.Error("a guard of nothing")
	}
}

// TestLimits: who sends nothing, or too much, is not listened to for long.
func TestLimits(t *testing.T) {
	t.Parallel()
	ca := kafkatest.NewAuthority(t, "ca")
	pair := ca.Sign(t, "agent", time.Now().Add(time.Hour), "127.0.0.1")
	dir := t.TempDir()
	g := &Guard{TokenFile: filepath.Join(dir, "token"), CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key")}
	put(t, g.TokenFile, "a-token-of-some-length")
	put(t, g.CertFile, string(pair.Cert))
	put(t, g.KeyFile, string(pair.Key))
	address := guarded(t, g, io.Discard)
	var silent []net.Conn
	for _, first := range []string{"", "\x16\x03\x01"} { // nothing, and the beginning of a handshake
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		silent = append(silent, conn)
		if _, err := conn.Write([]byte(first)); err != nil {
			t.Fatal(err)
		}
	}
	for _, conn := range silent {
		if err := conn.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Error("the connection of who says nothing stays open")
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.PEM)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool}}}
	r, err := http.NewRequest("GET", "https://"+address+"/status", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X", strings.Repeat("x", 2*maxHeader))
	resp, err := client.Do(r)
	for end := time.Now().Add(time.Minute); err != nil && time.Now().Before(end); resp, err = client.Do(r) {
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge || resp.ProtoMajor != 1 {
		t.Errorf("%s %s", resp.Proto, resp.Status)
	}
}

func TestAccessFromThisHost(t *testing.T) {
	for listen, want := range map[string]string{"0.0.0.0:1": "127.0.0.1:1", "[::]:2": "[::1]:2", ":3": "127.0.0.1:3", "10.1.2.3:4": "10.1.2.3:4", "host:5": "host:5"} {
		if a := NewAccess("tcp", listen, "", nil); a.Address != want {
			t.Errorf("%s: %s, want %s", listen, a.Address, want)
		}
		if a := NewAccess("tcp", listen, "", &Guard{CertFile: "c", KeyFile: "k"}); a.Address != "https://"+want || a.ServerFile != "c" || a.KeyFile != "" {
			t.Errorf("%s with TLS: %+v", listen, a)
		}
	}
	if a := NewAccess("unix", "/s", "t", &Guard{TokenFile: "f"}); a.Address != "unix:///s" {
		t.Errorf("%+v", a)
	}
}
