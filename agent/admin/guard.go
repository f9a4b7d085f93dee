package admin

import (
	"bytes"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// Guard says who may call, and how calls are encrypted. Its files are read for
// each call or connection, so that what changes in them holds at once. The zero
// Guard lets everybody call who reaches the address, in clear: that has to be this
// host.
type Guard struct {
	// TokenFile holds a token that callers send as Authorization: Bearer TOKEN, or
	// as the password of HTTP Basic, with any user name.
	TokenFile string
	// CertFile and KeyFile, PEM, make the server speak TLS, 1.2 at least.
	CertFile, KeyFile string
	// ClientCAFile, PEM, has callers show a certificate of these authorities, for
	// client authentication, or the server's own: who has its key, may.
	ClientCAFile string

	mu    sync.Mutex
	good  *tls.Config // what was read last without a fault
	fault string      // that was said
}

const (
	// maxGuardFile bounds what is read of a file.
	maxGuardFile = 4 << 20
	// minToken is the least length of a token: 64 bits as hexadecimal digits.
	minToken = 16
)

// open reports whether nobody is asked who he is.
func (g *Guard) open() bool { return g == nil || g.TokenFile == "" && g.ClientCAFile == "" }

// encrypts reports whether the server speaks TLS.
func (g *Guard) encrypts() bool { return g != nil && g.CertFile != "" }

// Check reads the files and returns what is wrong with them.
func (g *Guard) Check() error {
	var errs []error
	if g.TokenFile != "" {
		if _, err := ReadToken(g.TokenFile); err != nil {
			errs = append(errs, fmt.Errorf("admin.%w; to make one: openssl rand -hex 32 > %s", err, g.TokenFile))
		}
	}
	if g.encrypts() {
		if _, err := g.read(); err != nil {
			errs = append(errs, fmt.Errorf("admin.%w", err))
		}
	}
	return errors.Join(errs...)
}

// Ends returns when the certificate expires; zero where there is none, or it
// cannot be read.
func (g *Guard) Ends() time.Time {
	if !g.encrypts() {
		return time.Time{}
	}
	pair, err := g.pair()
	if err != nil {
		return time.Time{}
	}
	return pair.Leaf.NotAfter
}

// ReadToken returns the token of a file, without blanks and newlines around it.
func ReadToken(path string) (string, error) {
	b, err := readGuardFile("token_file", path)
	if err != nil {
		return "", err
	}
	token := bytes.TrimSpace(b)
	if len(token) < minToken || bytes.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("token_file: %s has to hold one word of at least %d characters", path, minToken)
	}
	return string(token), nil
}

func readGuardFile(key, path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxGuardFile+1))
	if err == nil && len(b) > maxGuardFile {
		err = fmt.Errorf("%s has more than %d bytes: name another file", path, maxGuardFile)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return b, nil
}

func (g *Guard) pair() (tls.Certificate, error) {
	cert, err := readGuardFile("tls.cert_file", g.CertFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := readGuardFile("tls.key_file", g.KeyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil { // it does not show the key
		return tls.Certificate{}, fmt.Errorf("tls: cert_file %s and key_file %s: %w", g.CertFile, g.KeyFile, err)
	}
	return pair, nil
}

// read makes the server's configuration of the files.
func (g *Guard) read() (*tls.Config, error) {
	pair, err := g.pair()
	if err != nil {
		return nil, err
	}
	// HTTP/1.1 only: there is little to gain by streams, and each connection counts.
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
	if g.ClientCAFile == "" {
		return c, nil
	}
	pem, err := readGuardFile("tls.client_ca_file", g.ClientCAFile)
	if err != nil {
		return nil, err
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("tls.client_ca_file: %s holds no certificate in PEM form", g.ClientCAFile)
	}
	c.ClientCAs, c.ClientAuth = authorities, tls.RequireAnyClientCert
	// Also when a session is resumed: a certificate that was taken out counts at once.
	c.VerifyConnection = func(s tls.ConnectionState) error { return verifyClient(s.PeerCertificates, authorities, pair.Leaf) }
	return c, nil
}

// verifyClient checks a client's certificate.
func verifyClient(chain []*x509.Certificate, authorities *x509.CertPool, own *x509.Certificate) error {
	if len(chain) == 0 {
		return errors.New("the client shows no certificate")
	}
	if chain[0].Equal(own) {
		return nil
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: authorities, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return fmt.Errorf("the client's certificate: %w", err)
	}
	return nil
}

// config returns what a new connection goes by: the files of now, or, while they
// are being renewed, those of before.
func (g *Guard) config(log *slog.Logger) (*tls.Config, error) {
	c, err := g.read()
	g.tell("tls", err, log)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err == nil {
		g.good = c
	} else if g.good == nil {
		return nil, err
	}
	return g.good, nil
}

// tell logs a fault when it is new.
func (g *Guard) tell(what string, err error, log *slog.Logger) {
	g.mu.Lock()
	defer g.mu.Unlock()
	text := ""
	if err != nil {
		text = what + ": " + err.Error()
	}
	switch {
	case text == "" && strings.HasPrefix(g.fault, what+": "):
		g.fault = ""
	case text != "" && text != g.fault:
		g.fault = text
		log.Warn("who calls the admin address cannot be checked by the files as they are [admin-files]", "error", err)
	}
}

// admits wraps h: it answers those who may call. own is the token that lies in the
// state directory: who can read it, may do more than this.
func (g *Guard) admits(h http.Handler, own string, log *slog.Logger) http.Handler {
	if g == nil || g.TokenFile == "" {
		return h // TLS has asked, or nobody is asked
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, err := ReadToken(g.TokenFile)
		g.tell("token", err, log)
		bearer, is := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !is {
			_, bearer, is = r.BasicAuth()
		}
		mine := own != "" && subtle.ConstantTimeCompare([]byte(bearer), []byte(own)) == 1
		theirs := err == nil && subtle.ConstantTimeCompare([]byte(bearer), []byte(token)) == 1
		switch {
		case is && (mine || theirs):
			h.ServeHTTP(w, r)
		case err != nil: // it is in the log
			reply(w, http.StatusServiceUnavailable, failure{"the agent cannot read its admin.token_file; its log says why [admin-files]"})
		default:
			w.Header().Set("WWW-Authenticate", `Basic realm="shiplog: any user, and the token as password", charset="UTF-8"`)
			reply(w, http.StatusUnauthorized, failure{"send the token of admin.token_file, as Authorization: Bearer TOKEN or as the password of HTTP Basic; shiplog status takes it by --token-file [admin-token]"})
		}
	})
}
