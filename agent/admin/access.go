package admin

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// accessName is a file in the state directory, which only its owner can read.
const accessName = "admin.json"

// Access is where an agent listens, and what its calls ask for.
type Access struct {
	Address string `json:"address"` // host:port, https://host:port, or unix:///path
	// Token is sent with each call: that of the state directory, which is good for
	// everything, or that of Guard.TokenFile.
	Token string `json:"token"`
	// ServerFile holds the very certificate that the server shows, for callers who
	// share its configuration. "": it is checked as is usual on the web, by CAFile.
	ServerFile string `json:"server_file,omitempty"`
	CAFile     string `json:"ca_file,omitempty"` // "": the authorities of the system
	// CertFile and KeyFile are shown to a server that wants them.
	CertFile string `json:"cert_file,omitempty"`
	KeyFile  string `json:"key_file,omitempty"`
}

// NewAccess returns access, from this host, to the server at an address. g may be
// nil.
func NewAccess(network, address, token string, g *Guard) Access {
	if network == "unix" {
		return Access{Address: "unix://" + address, Token: token}
	}
	if host, port, err := net.SplitHostPort(address); err == nil { // all addresses of this host are none to dial
		switch ip := net.ParseIP(host); {
		case host == "" || ip != nil && ip.IsUnspecified() && ip.To4() != nil:
			address = net.JoinHostPort("127.0.0.1", port)
		case ip != nil && ip.IsUnspecified():
			address = net.JoinHostPort("::1", port)
		}
	}
	a := Access{Address: address, Token: token}
	if g.encrypts() {
		a.Address, a.ServerFile = "https://"+address, g.CertFile
		if g.ClientCAFile != "" { // the server knows its own
			a.CertFile, a.KeyFile = g.CertFile, g.KeyFile
		}
	}
	return a
}

// NewToken returns a token that nobody can guess.
func NewToken() string { return rand.Text() }

// Write leaves the access in the state directory, mode 0600.
func (a Access) Write(dir string) error {
	b, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("admin access: %w", err)
	}
	path := filepath.Join(dir, accessName)
	tmp := path + ".new"
	// A file that is there may be open to others: it is not written to.
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("admin access: %w", err)
	}
	if err := os.WriteFile(tmp, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("admin access: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("admin access: %w", err)
	}
	return nil
}

// ReadAccess returns what the last agent left in the state directory. Its error
// is fs.ErrNotExist where none did. Whether that agent still runs, the call
// will tell.
func ReadAccess(dir string) (Access, error) {
	path := filepath.Join(dir, accessName)
	b, err := os.ReadFile(path)
	if err != nil {
		return Access{}, fmt.Errorf("admin access: %w", err)
	}
	var a Access
	if err := json.Unmarshal(b, &a); err != nil {
		return Access{}, fmt.Errorf("admin access: %s: %w", path, err)
	}
	return a, nil
}

// RemoveAccess takes back what Write left.
func RemoveAccess(dir string) error {
	if err := os.Remove(filepath.Join(dir, accessName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("admin access: %w", err)
	}
	return nil
}

// RefusedError is what the agent answered to a call that it did not carry out.
type RefusedError struct{ Text string }

// Error returns the agent's words.
func (e *RefusedError) Error() string { return e.Text }

const (
	dialTimeout = 2 * time.Second
	// handshakeTimeout leaves a busy host time to think.
	handshakeTimeout = 15 * time.Second
	callTimeout      = 30 * time.Second
	maxAnswer        = 256 << 20
)

// Call asks the agent: path is such as /status; in, where it is not nil, is
// sent as JSON, and the answer decoded into out. Its error is a *RefusedError
// where the agent refused, else it could not be reached.
func (a Access) Call(ctx context.Context, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	method, sent := http.MethodGet, io.Reader(nil)
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("call the agent: %w", err)
		}
		method, sent = http.MethodPost, bytes.NewReader(b)
	}
	transport, base, err := a.transport()
	if err != nil {
		return fmt.Errorf("call the agent at %s: %w", a.Address, err)
	}
	r, err := http.NewRequestWithContext(ctx, method, base+path, sent)
	if err != nil {
		return fmt.Errorf("call the agent: %w", err)
	}
	if a.Token != "" {
		r.Header.Set("Authorization", "Bearer "+a.Token)
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return fmt.Errorf("call the agent at %s: %w", a.Address, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("call the agent at %s: %w", a.Address, err)
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind == "text/html" {
		return fmt.Errorf("call the agent at %s: what answers there is no agent, it sends a web page (%s)", a.Address, resp.Status)
	}
	if resp.StatusCode != http.StatusOK {
		f := failure{}
		if json.Unmarshal(b, &f) != nil || f.Error == "" {
			f.Error = fmt.Sprintf("%s: %s", resp.Status, bytes.TrimSpace(b))
		}
		return &RefusedError{f.Error}
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("the answer of the agent at %s: %w", a.Address, err)
	}
	return nil
}

// transport returns what carries a call, and the URL that paths are added to.
func (a Access) transport() (*http.Transport, string, error) {
	dialer := &net.Dialer{Timeout: dialTimeout}
	t := &http.Transport{DisableKeepAlives: true, DialContext: dialer.DialContext, TLSHandshakeTimeout: handshakeTimeout}
	if socket, unix := strings.CutPrefix(a.Address, "unix://"); unix {
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		}
		return t, "http://localhost", nil
	}
	if !strings.HasPrefix(a.Address, "https://") {
		return t, "http://" + a.Address, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if a.CAFile != "" {
		pem, err := os.ReadFile(a.CAFile)
		if err != nil {
			return nil, "", fmt.Errorf("the server's authority: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, "", fmt.Errorf("the server's authority: %s holds no certificate in PEM form", a.CAFile)
		}
	}
	if a.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(a.CertFile, a.KeyFile)
		if err != nil {
			return nil, "", fmt.Errorf("the certificate that is shown to the agent: %w", err)
		}
		// Whatever the server says of the authorities that it takes.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	if a.ServerFile != "" {
		c.InsecureSkipVerify = true // by names and authorities: it is known
		c.VerifyConnection = func(s tls.ConnectionState) error { return isServer(a.ServerFile, s.PeerCertificates) }
	}
	t.TLSClientConfig = c
	return t, a.Address, nil
}

// isServer checks that a server shows the first certificate of a file.
func isServer(path string, shown []*x509.Certificate) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("the server's certificate: %w", err)
	}
	block, rest := pem.Decode(b)
	for block != nil && block.Type != "CERTIFICATE" { // a key may stand before it
		block, rest = pem.Decode(rest)
	}
	if len(shown) == 0 || block == nil || !bytes.Equal(block.Bytes, shown[0].Raw) {
		return fmt.Errorf("the server does not show the certificate of %s: another one listens there, or the certificate was renewed and its key was not", path)
	}
	return nil
}
