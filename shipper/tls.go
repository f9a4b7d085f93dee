package shipper

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"
)

// TLS says how connections are encrypted. Its files are read for each
// connection, so that renewed ones are used without a restart; see LocateFile.
// The version is 1.2 at least.
type TLS struct {
	// CAFile holds, as PEM, the authorities that the brokers' certificates are
	// checked against; "" is those of the system.
	CAFile string
	// CertFile and KeyFile are the client's certificate chain and key as PEM;
	// both or none.
	CertFile, KeyFile string
	// ServerName is expected in the brokers' certificates; "" is the host that
	// is dialled.
	ServerName string
}

// Check reads the files and returns what is wrong with them.
func (t *TLS) Check() error {
	_, err := t.config()
	return err
}

// readAuthorities reads certificates that are trusted, from the file that a key of
// the configuration names. Without a file it returns nil: those of the system.
func readAuthorities(key, file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := readFile(key, file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s %s holds no certificate in PEM form", key, LocateFile(file))
	}
	return pool, nil
}

// config reads the files.
func (t *TLS) config() (*tls.Config, error) {
	authorities, err := readAuthorities("ca_file", t.CAFile)
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName, RootCAs: authorities}
	if t.CertFile == "" && t.KeyFile == "" {
		return conf, nil
	}
	pair, err := t.pair()
	if err != nil {
		return nil, err
	}
	// Whatever the broker says of the authorities that it takes: with its refusal
	// one knows more than with no certificate at all.
	conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	return conf, nil
}

func (t *TLS) pair() (tls.Certificate, error) {
	cert, err := readFile("cert_file", t.CertFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := readFile("key_file", t.KeyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return pair, fmt.Errorf("cert_file %s, key_file %s: %w", LocateFile(t.CertFile), LocateFile(t.KeyFile), err)
	}
	return pair, nil
}

// errNoHandshake is of a connection that is taken, and over which nothing comes.
var errNoHandshake = errors.New("no answer to the TLS handshake") //nolint:gochecknoglobals // a constant that Go cannot express

// dialer returns what opens connections, within timeout each.
func (t *TLS) dialer(timeout time.Duration) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conf, err := t.config()
		if err != nil {
			return nil, &accessError{fmt.Errorf("kafka.tls: %w", err)}
		}
		if conf.ServerName == "" {
			if conf.ServerName, _, err = net.SplitHostPort(addr); err != nil {
				return nil, err
			}
		}
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		raw, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		conn := tls.Client(raw, conf)
		if err := conn.HandshakeContext(ctx); err != nil {
			raw.Close() // what it says is of no use
			if errors.Is(err, context.DeadlineExceeded) {
				err = fmt.Errorf("%w for %s, is TLS spoken at this port? %w", errNoHandshake, timeout, err)
			}
			return nil, err
		}
		return conn, nil
	}
}

// expiresWithin is how long before its end a certificate of ours is worth a warning.
const expiresWithin = 14 * 24 * time.Hour

// warnings are what is risky with the files.
func (t *TLS) warnings(now time.Time) []string {
	var out []string
	if w := ExposedFile("kafka.tls.key_file", t.KeyFile); w != "" {
		out = append(out, w)
	}
	if end := t.ends(); !end.IsZero() && end.Sub(now) < expiresWithin {
		out = append(out, "kafka.tls.cert_file: "+t.expiry(end, now)+": renew it; the new one is used without a restart [certificate-ends]")
	}
	return out
}

// ends returns when the client's certificate expires, zero where that is not known.
func (t *TLS) ends() time.Time {
	if t.CertFile == "" {
		return time.Time{}
	}
	pair, err := t.pair()
	if err != nil {
		return time.Time{}
	}
	return pair.Leaf.NotAfter
}

func (t *TLS) expiry(end, now time.Time) string {
	verb := "expires"
	if now.After(end) {
		verb = "has expired"
	}
	return fmt.Sprintf("%s %s at %s", LocateFile(t.CertFile), verb, end.UTC().Format(time.RFC3339))
}

// Alerts of RFC 8446, section 6.2, that a server answers to our certificate with.
const (
	alertHandshakeFailure    tls.AlertError = 40
	alertBadCertificate      tls.AlertError = 42
	alertUnsupportedCert     tls.AlertError = 43
	alertCertRevoked         tls.AlertError = 44
	alertCertExpired         tls.AlertError = 45
	alertCertUnknown         tls.AlertError = 46
	alertUnknownCA           tls.AlertError = 48
	alertAccessDenied        tls.AlertError = 49
	alertProtocolVersion     tls.AlertError = 70
	alertCertificateRequired tls.AlertError = 116
)

// explain tells what a failed handshake means and what to do; "" where err is
// none. t is nil for a connection without TLS.
func (t *TLS) explain(err error, now time.Time) string {
	if t == nil {
		return ""
	}
	var (
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
		host    x509.HostnameError
		noTLS   tls.RecordHeaderError
		ca      = "the system's authorities"
	)
	if t.CAFile != "" {
		ca = "those of " + LocateFile(t.CAFile)
	}
	switch {
	case errors.As(err, &unknown):
		return fmt.Sprintf("the broker's certificate is signed by an authority that is not among %s (%v): "+
			"put the authority's certificate into kafka.tls.ca_file; it is read again at each attempt", ca, unknown)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("the broker's certificate is not valid now (from %s to %s; it is %s here): renew it on the broker, or correct the clock of this host",
			invalid.Cert.NotBefore.UTC().Format(time.RFC3339), invalid.Cert.NotAfter.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case errors.As(err, &invalid):
		return fmt.Sprintf("the broker's certificate cannot be accepted: %v", invalid)
	case errors.As(err, &host):
		return fmt.Sprintf("%v: name the broker in kafka.brokers as its certificate does, or set kafka.tls.server_name", host)
	case errors.As(err, &noTLS):
		return "no TLS is spoken at this port: name the port of the broker's TLS listener, or leave kafka.tls out"
	}
	if alert, ok := alertOf(err); ok {
		return t.explainAlert(alert, now)
	}
	return ""
}

// alertOf returns the alert that a broker has sent. Package crypto/tls has it as
// a type of its own that it does not export, with the texts of AlertError.
func alertOf(err error) (tls.AlertError, bool) {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" || op.Err == nil {
		return 0, false
	}
	for a := range 256 {
		if alert := tls.AlertError(a); alert.Error() == op.Err.Error() {
			return alert, true
		}
	}
	return 0, false
}

// explainAlert tells what a broker's alert means.
func (t *TLS) explainAlert(alert tls.AlertError, now time.Time) string {
	switch alert {
	case alertProtocolVersion:
		return "the broker speaks no TLS 1.2 or newer: allow it by the broker's ssl.enabled.protocols"
	case alertHandshakeFailure, alertBadCertificate, alertUnsupportedCert, alertCertRevoked, alertCertExpired,
		alertCertUnknown, alertUnknownCA, alertAccessDenied, alertCertificateRequired:
	default:
		return fmt.Sprintf("the broker ends the TLS handshake: %v", alert)
	}
	if t.CertFile == "" {
		return fmt.Sprintf("the broker ends the TLS handshake, it may want a client certificate: set kafka.tls.cert_file and key_file (%v)", alert)
	}
	end := t.ends()
	if !end.IsZero() && now.After(end) {
		return fmt.Sprintf("the broker refuses our certificate: kafka.tls.cert_file %s: renew it, it is read again at each attempt (%v)", t.expiry(end, now), alert)
	}
	return fmt.Sprintf("the broker refuses our certificate %s (%v): it has to be valid, and signed by an authority of the broker's truststore", LocateFile(t.CertFile), alert)
}
