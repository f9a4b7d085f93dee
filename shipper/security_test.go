package shipper

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"shiplog/shipper/kafkatest"
)

func write(t *testing.T, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// mutualTLS makes a cluster whose only broker shows cert and wants a
// certificate of clients.
func mutualTLS(t *testing.T, cert kafkatest.Certificate, clients *kafkatest.Authority) *kfake.Cluster {
	t.Helper()
	pair, err := tls.X509KeyPair(cert.Cert, cert.Key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(clients.PEM)
	return cluster(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}),
		kfake.SeedTopics(1, "logs"))
}

// TestTLSFaultsAreNamedAndHeal puts one wrong certificate after the other in
// place, and at last the right ones, while a producer runs.
func TestTLSFaultsAreNamedAndHeal(t *testing.T) {
	t.Parallel()
	ours, other := kafkatest.NewAuthority(t, "ours"), kafkatest.NewAuthority(t, "other")
	later, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	c := mutualTLS(t, ours.Sign(t, "broker", later, "127.0.0.1"), ours)
	dir := t.TempDir()
	files := &TLS{CAFile: filepath.Join(dir, "ca"), CertFile: filepath.Join(dir, "cert"), KeyFile: filepath.Join(dir, "key")}
	put := func(ca *kafkatest.Authority, client kafkatest.Certificate) {
		write(t, files.CAFile, ca.PEM)
		write(t, files.KeyFile, client.Key)
		write(t, files.CertFile, client.Cert)
	}
	good := ours.Sign(t, "shiplog", later)
	put(other, good)
	r := newRig(t, Options{Brokers: c.ListenAddrs(), TLS: files})
	b := r.produce(batch(1, numbered(1, 0, 100)...))
	broker := c.ListenAddrs()[0]
	r.problem(broker, "put the authority's certificate into kafka.tls.ca_file")
	put(ours, ours.Sign(t, "shiplog", past))
	r.problem(broker, "has expired at")
	put(ours, other.Sign(t, "shiplog", later))
	r.problem(broker, "signed by an authority of the broker's truststore")
	put(ours, kafkatest.Certificate{Cert: good.Cert, Key: other.Sign(t, "x", later).Key})
	r.problem(broker, "cert_file "+files.CertFile)
	put(ours, good)
	r.settle(b)
	eventually(t, "health is green", func() bool { return len(r.Health().Problems) == 0 })
}

func TestWhatTheBrokersCertificateMayBeWrongIn(t *testing.T) {
	t.Parallel()
	ours := kafkatest.NewAuthority(t, "ours")
	ca := write(t, filepath.Join(t.TempDir(), "ca"), ours.PEM)
	for _, tc := range []struct {
		want string
		cert kafkatest.Certificate
	}{
		{"renew it on the broker", ours.Sign(t, "broker", time.Now().Add(-time.Hour), "127.0.0.1")},
		{"set kafka.tls.server_name", ours.Sign(t, "broker", time.Now().Add(time.Hour), "kafka.example.org")},
		{"set kafka.tls.cert_file and key_file", ours.Sign(t, "broker", time.Now().Add(time.Hour), "127.0.0.1")},
	} {
		c := mutualTLS(t, tc.cert, ours)
		r := newRig(t, Options{Brokers: c.ListenAddrs(), TLS: &TLS{CAFile: ca}})
		r.produce(batch(1, "x"))
		r.problem(c.ListenAddrs()[0], tc.want)
	}
}

func TestTLSIsOfVersion12AtLeast(t *testing.T) {
	t.Parallel()
	ca := kafkatest.NewAuthority(t, "ca")
	cert := ca.Sign(t, "broker", time.Now().Add(time.Hour), "127.0.0.1")
	pair, err := tls.X509KeyPair(cert.Cert, cert.Key)
	if err != nil {
		t.Fatal(err)
	}
	for version, want := range map[uint16]string{tls.VersionTLS11: "speaks no TLS 1.2", tls.VersionTLS12: ""} {
		c := cluster(t, kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS10, MaxVersion: version}))
		files := &TLS{CAFile: write(t, filepath.Join(t.TempDir(), "ca"), ca.PEM)}
		conn, err := files.dialer(patience)(t.Context(), "tcp", c.ListenAddrs()[0])
		if err == nil {
			conn.Close()
		}
		if got := files.explain(err, time.Now()); (want == "") != (err == nil) || !strings.Contains(got, want) {
			t.Errorf("%s: %v, explained as %q", tls.VersionName(version), err, got)
		}
	}
}

func TestNoTLSAtThisPort(t *testing.T) {
	t.Parallel()
	c := cluster(t) // it waits for the rest of what it takes for a request
	_, err := (&TLS{}).dialer(50*time.Millisecond)(t.Context(), "tcp", c.ListenAddrs()[0])
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "is TLS spoken at this port?") {
		t.Errorf("%v", err)
	}
	for name, tc := range map[string]struct {
		tls  *TLS
		err  error
		want string
	}{
		"another protocol": {&TLS{}, tls.RecordHeaderError{Msg: "x"}, "leave kafka.tls out"},
		"TLS without ours": {nil, errors.New("the first three bytes received appear to be a tls alert record for TLS v1.2"), "set kafka.tls"},
		"end":              {&TLS{}, io.EOF, "closed the connection"},
		"no login":         {nil, kerr.SaslAuthenticationFailed, "set kafka.sasl"},
	} {
		if got, _ := (&brokers{tls: tc.tls}).explain(fmt.Errorf("unable to dial: %w", tc.err), time.Now()); !strings.Contains(got, tc.want) {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

// loginTo makes a cluster that takes the mechanism by the words of check.
func loginTo(t *testing.T, mechanism string, check func(auth []byte) (answer []byte, err *kerr.Error)) *kfake.Cluster {
	t.Helper()
	c := cluster(t, kfake.SeedTopics(1, "logs"))
	c.ControlKey(int16(kmsg.SASLHandshake), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := req.ResponseKind().(*kmsg.SASLHandshakeResponse)
		if req.(*kmsg.SASLHandshakeRequest).Mechanism != mechanism {
			resp.ErrorCode = kerr.UnsupportedSaslMechanism.Code
		}
		return resp, nil, true
	})
	c.ControlKey(int16(kmsg.SASLAuthenticate), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
		answer, err := check(req.(*kmsg.SASLAuthenticateRequest).SASLAuthBytes)
		resp.SASLAuthBytes = answer
		if err != nil {
			resp.ErrorCode = err.Code
			resp.ErrorMessage = kmsg.StringPtr(string(answer))
		}
		return resp, nil, true
	})
	return c
}

// tokenServer gives tokens to a client with the right secret, and counts them.
type tokenServer struct {
	*httptest.Server
	mu     sync.Mutex
	secret string
	life   int // seconds, 0: not said
	given  int
	asked  []string // bodies and Authorization headers
}

func newTokenServer(t *testing.T, secret string) *tokenServer {
	s := &tokenServer{secret: secret, life: 3600}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		_ = r.ParseForm()
		s.asked = append(s.asked, r.Form.Encode())
		user, secret, ok := r.BasicAuth()
		if !ok {
			user, secret = r.Form.Get("client_id"), r.Form.Get("client_secret")
		}
		w.Header().Set("Content-Type", "application/json")
		if user != "shiplog" || secret != s.secret || r.Form.Get("grant_type") != "client_credentials" {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintf(w, `{"error":"invalid_client","error_description":"what is %s?","debug":%q}`, secret, secret)
			return
		}
		s.given++
		token := map[string]any{"access_token": fmt.Sprintf("token-%d", s.given), "token_type": "Bearer"}
		if s.life > 0 {
			token["expires_in"] = s.life
		}
		_ = json.NewEncoder(w).Encode(token)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *tokenServer) set(secret string, life int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secret, s.life = secret, life
}

func (s *tokenServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.given
}

func TestOAuthBearer(t *testing.T) {
	t.Parallel()
	server := newTokenServer(t, "right-secret")
	var mu sync.Mutex
	var seen string
	c := loginTo(t, "OAUTHBEARER", func(auth []byte) ([]byte, *kerr.Error) {
		mu.Lock()
		defer mu.Unlock()
		seen = string(auth)
		return nil, nil
	})
	secret := write(t, filepath.Join(t.TempDir(), "secret"), []byte("wrong-secret\n"))
	login := &SASL{Mechanism: "OAUTHBEARER", OAuth: OAuth{
		TokenEndpoint: server.URL + "/token", ClientID: "shiplog", ClientSecret: Secret{File: secret, Key: "client_secret_file"},
		Scope: "kafka write", Audience: "logs", Extensions: map[string]string{"logicalCluster": "lkc-1"},
	}}
	r := newRig(t, Options{Brokers: c.ListenAddrs(), SASL: login})
	b := r.produce(batch(1, numbered(1, 0, 10)...))
	r.problem(c.ListenAddrs()[0], "401 Unauthorized (invalid_client")
	write(t, secret, []byte("right-secret\n"))
	r.settle(b)
	eventually(t, "health is green", func() bool { return len(r.Health().Problems) == 0 })
	// RFC 7628, section 3.1, with the extensions of KIP-342.
	mu.Lock()
	if want := "n,,\x01auth=Bearer token-1\x01logicalCluster=lkc-1\x01\x01"; seen != want {
		t.Errorf("the broker was told %q, want %q", seen, want)
	}
	mu.Unlock()
	if last := server.asked[len(server.asked)-1]; !strings.Contains(last, "scope=kafka+write") || !strings.Contains(last, "audience=logs") {
		t.Errorf("the endpoint was asked %q", last)
	}
	for range 3 { // other clients, other connections
		var n int
		err := Consume(t.Context(), ConsumeOptions{Brokers: c.ListenAddrs(), Topics: []string{"logs"}, ExitAtEnd: true, SASL: login}, func(*kgo.Record) error { n++; return nil })
		if err != nil || n != 10 {
			t.Errorf("read %d records, %v", n, err)
		}
	}
	if n := server.count(); n != 1 {
		t.Errorf("%d tokens were fetched, want one for all", n)
	}
	if said := r.log.String() + strings.Join(r.Health().Problems, " "); strings.Contains(said, "-secret") || strings.Contains(said, "token-1") {
		t.Errorf("a secret is in the log: %s", said)
	}
}

// TestTokensAreKeptUntilNearTheirEnd asks for tokens without a broker.
func TestTokensAreKeptUntilNearTheirEnd(t *testing.T) {
	t.Parallel()
	server := newTokenServer(t, "s3cret")
	secret := write(t, filepath.Join(t.TempDir(), "secret"), []byte("s3cret"))
	s := &SASL{Mechanism: "OAUTHBEARER", OAuth: OAuth{TokenEndpoint: server.URL, ClientID: "shiplog", ClientSecret: Secret{File: secret}}}
	want := func(what, token string) {
		t.Helper()
		if got, err := s.token(t.Context()); err != nil || got != token {
			t.Errorf("%s: %q, %v, want %q", what, got, err, token)
		}
	}
	want("the first", "token-1")
	want("kept", "token-1")
	if left := s.tokens.ends.Sub(s.tokens.until); left != tokenMargin {
		t.Errorf("replaced %s before its end", left)
	}
	s.tokens.until = time.Now().Add(-time.Second) // near its end
	want("near its end", "token-2")
	server.set("other", 3600)
	s.tokens.until = time.Now().Add(-time.Second)
	want("near its end, and none to be had", "token-2")
	s.tokens.ends = time.Now().Add(-time.Second)
	if _, err := s.token(t.Context()); err == nil || strings.Contains(s.hide(err.Error()), "s3cret") {
		t.Errorf("at its end: %v", err)
	}
	write(t, secret, []byte("other"))
	server.set("other", 0)
	want("another secret", "token-3")
	want("of unknown life", "token-4")
	server.set("other", 10)
	want("of a short life", "token-5")
	if left := s.tokens.ends.Sub(s.tokens.until); left < 900*time.Millisecond || left > 1100*time.Millisecond {
		t.Errorf("a token of 10 s is replaced %s before its end", left)
	}
	server.Close()
	s.tokens = tokens{}
	if _, err := s.token(t.Context()); err == nil || !strings.Contains(err.Error(), server.URL) {
		t.Errorf("no endpoint: %v", err)
	}
}

// TestTokenIsRefused has the broker answer as RFC 7628, section 3.2.2, says.
func TestTokenIsRefused(t *testing.T) {
	t.Parallel()
	server := newTokenServer(t, "s3cret")
	c := loginTo(t, "OAUTHBEARER", func([]byte) ([]byte, *kerr.Error) { return []byte(`{"status":"invalid_token","scope":"kafka"}`), nil })
	r := newRig(t, Options{Brokers: c.ListenAddrs(), SASL: &SASL{Mechanism: "OAUTHBEARER",
		OAuth: OAuth{TokenEndpoint: server.URL, ClientID: "shiplog", ClientSecret: Secret{Value: "s3cret"}}}})
	r.produce(batch(1, "x"))
	r.problem(c.ListenAddrs()[0], `refuses the token: "invalid_token", it wants the scope "kafka"`)
}

// TestAWSIAM holds our login against a signature that AWS's own library makes.
func TestAWSIAM(t *testing.T) {
	dir := t.TempDir()
	for k, v := range map[string]string{
		"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": filepath.Join(dir, "config"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(dir, "credentials"), "AWS_REGION": "eu-central-1",
	} {
		t.Setenv(k, v)
	}
	var mu sync.Mutex
	var seen map[string]string
	c := loginTo(t, "AWS_MSK_IAM", func(auth []byte) ([]byte, *kerr.Error) {
		mu.Lock()
		defer mu.Unlock()
		seen = nil
		if err := json.Unmarshal(auth, &seen); err != nil {
			t.Errorf("%q: %v", auth, err)
		}
		if strings.HasPrefix(seen["x-amz-credential"], "AKIDOLD") {
			return []byte("no right to connect"), kerr.SaslAuthenticationFailed
		}
		return []byte(`{"version":"2020_10_22","request-id":"1"}`), nil
	})
	r := newRig(t, Options{Brokers: c.ListenAddrs(), SASL: &SASL{Mechanism: "AWS_MSK_IAM"}})
	b := r.produce(batch(1, "x"))
	r.problem(c.ListenAddrs()[0], "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	keys := func(id, secret string) {
		write(t, filepath.Join(dir, "credentials"), fmt.Appendf(nil, "[default]\naws_access_key_id = %s\naws_secret_access_key = %s\naws_session_token = session-token\n", id, secret))
	}
	keys("AKIDOLD", "old-secret-key")
	r.problem(c.ListenAddrs()[0], "allow this identity kafka-cluster:Connect")
	keys("AKIDNEW", "new-secret-key")
	r.settle(b)
	if said := r.log.String(); strings.Contains(said, "secret-key") || strings.Contains(said, "session-token") {
		t.Errorf("a secret is in the log: %s", said)
	}

	mu.Lock()
	defer mu.Unlock()
	at, err := time.Parse("20060102T150405Z", seen["x-amz-date"])
	if err != nil {
		t.Fatalf("%v: %v", seen, err)
	}
	req, err := http.NewRequest(http.MethodGet, "https://"+seen["host"]+"/?Action=kafka-cluster%3AConnect&X-Amz-Expires="+seen["x-amz-expires"], nil)
	if err != nil {
		t.Fatal(err)
	}
	const emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	signed, _, err := v4.NewSigner().PresignHTTP(context.Background(),
		aws.Credentials{AccessKeyID: "AKIDNEW", SecretAccessKey: "new-secret-key", SessionToken: "session-token"}, req, emptyHash, "kafka-cluster", "eu-central-1", at)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(signed, "X-Amz-Signature="+seen["x-amz-signature"]) {
		t.Errorf("AWS's library signs %s, the broker was told %v", signed, seen)
	}
}

// TestKerberosWithoutKDC is what can be said of GSSAPI where no realm is.
func TestKerberosWithoutKDC(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	conf := write(t, filepath.Join(dir, "krb5.conf"), []byte("[libdefaults]\n default_realm = EXAMPLE.ORG\n udp_preference_limit = 1\n[realms]\n EXAMPLE.ORG = {\n  kdc = "+closedAddr(t)+"\n }\n"))
	// One key of shiplog@EXAMPLE.ORG: version 2, one entry.
	keytab := []byte("\x05\x02\x00\x00\x00\x3b\x00\x01\x00\x0bEXAMPLE.ORG\x00\x07shiplog\x00\x00\x00\x01\x00\x00\x00\x00\x01\x00\x12\x00\x10" + strings.Repeat("k", 16))
	keytab = append(keytab[:5], append([]byte{byte(len(keytab) - 6)}, keytab[6:]...)...)
	for _, tc := range []struct {
		name, want string
		keytab     []byte
		conf       string
	}{
		{"no KDC", "no ticket for kafka/127.0.0.1", keytab, conf},
		{"no keytab", "is no keytab, or is damaged", []byte("password"), conf},
		{"damaged", "damaged", keytab[:20], conf},
		{"empty", "keytab", nil, conf},
		{"no configuration", "krb5_conf: open", keytab, filepath.Join(dir, "none")},
		{"no realm", "set kafka.sasl.kerberos.realm", keytab, write(t, filepath.Join(dir, "bare.conf"), []byte("[libdefaults]\n"))},
	} {
		s := &SASL{Mechanism: "GSSAPI", Username: "shiplog", Kerberos: Kerberos{ConfigFile: tc.conf, KeytabFile: write(t, filepath.Join(dir, "keytab"), tc.keytab)}}
		m, err := s.mechanism()
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err = m.Authenticate(t.Context(), "127.0.0.1:9092"); err == nil || !strings.Contains(err.Error(), tc.want) || !isLogin(err) {
			t.Errorf("%s: %v, want something with %q", tc.name, err, tc.want)
		}
	}
}

func FuzzKeytab(f *testing.F) {
	f.Add([]byte("\x05\x02\x00\x00\x00\x3b\x00\x01\x00\x0bEXAMPLE.ORG\x00\x07shiplog"))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = (&Kerberos{KeytabFile: write(t, filepath.Join(t.TempDir(), "keytab"), data)}).keytab() // it must not panic
	})
}

func TestSecretsAreFoundAndHidden(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(t.TempDir())
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	write(t, "both", []byte("of the folder"))
	write(t, "here", []byte("of the folder\r\n\n"))
	write(t, filepath.Join(dir, "both"), []byte("of systemd"))
	for name, want := range map[string]string{"both": "of systemd", "here": "of the folder", filepath.Join(dir, "both"): "of systemd"} {
		if got, err := (Secret{File: name}).read(); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
	if _, err := (Secret{File: "none", Key: "kafka.sasl.password_file"}).read(); err == nil || !strings.HasPrefix(err.Error(), "kafka.sasl.password_file: open none") {
		t.Errorf("a file that is not there: %v", err)
	}
	s := Secret{Value: "hunter2"}
	data, err := json.Marshal(struct{ S Secret }{s})
	if said := fmt.Sprintf("%v %+v %#v %s %q %s", s, s, s, s, s, data); err != nil || strings.Contains(said, "hunter2") {
		t.Errorf("%s, %v", said, err)
	}
}

func TestSecretsThatAllMayRead(t *testing.T) {
	dir := t.TempDir()
	open := write(t, filepath.Join(dir, "open"), []byte("secret"))
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, ok := readableByAll(open); !ok {
		t.Skip("rights are not told by a file's mode here")
	}
	closed := write(t, filepath.Join(dir, "closed"), []byte("secret"))
	got := SecurityWarnings(
		&TLS{KeyFile: open, CertFile: closed},
		&SASL{Password: Secret{File: open, Key: "p"}, OAuth: OAuth{TokenEndpoint: "http://login.example.org/", ClientSecret: Secret{File: closed}}, Kerberos: Kerberos{KeytabFile: open}})
	if len(got) != 4 || !strings.Contains(got[1], "p: "+open+" can be read by everyone on this host (mode 0644): chmod o-rwx "+open) || !strings.Contains(got[3], "use https") {
		t.Errorf("%q", got)
	}
	for _, w := range got {
		if !regexp.MustCompile(` \[(secret-exposed|config-doubtful)\]$`).MatchString(w) {
			t.Errorf("no code at the end of %q", w)
		}
	}
}

func TestAClientCertificateThatEndsSoon(t *testing.T) {
	dir, ca := t.TempDir(), kafkatest.NewAuthority(t, "ca")
	for life, want := range map[time.Duration]string{time.Hour: "expires at", -time.Hour: "has expired at", 1000 * time.Hour: ""} {
		c := ca.Sign(t, "shiplog", time.Now().Add(life))
		files := &TLS{CertFile: write(t, filepath.Join(dir, "c"), c.Cert), KeyFile: write(t, filepath.Join(dir, "k"), c.Key)}
		got := strings.Join(SecurityWarnings(files, nil), "\n")
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", life, got, want)
		}
	}
}
