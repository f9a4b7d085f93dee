package admin

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// accessName is a file in the state directory, which only its owner can read.
const accessName = "admin.json"

// Access is where an agent listens, and the token that its changing calls ask
// for.
type Access struct {
	Address string `json:"address"` // host:port, or unix:///path
	Token   string `json:"token"`
}

// NewAccess returns access to the server on l, with a token of its own.
func NewAccess(l net.Addr, token string) Access {
	a := Access{Address: l.String(), Token: token}
	if l.Network() == "unix" {
		a.Address = "unix://" + l.String()
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
	callTimeout = 30 * time.Second
	maxAnswer   = 256 << 20
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
	host, socket := a.Address, ""
	if s, unix := strings.CutPrefix(a.Address, "unix://"); unix {
		host, socket = "localhost", s
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://"+host+path, sent)
	if err != nil {
		return fmt.Errorf("call the agent: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+a.Token)
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if socket != "" {
			network, addr = "unix", socket
		}
		return dialer.DialContext(ctx, network, addr)
	}}
	resp, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return fmt.Errorf("call the agent at %s: %w", a.Address, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("call the agent at %s: %w", a.Address, err)
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
