package agent

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"shiplog/agent/config"
)

// certificate makes one that signs itself, for 127.0.0.1.
func certificate(t *testing.T) (cert tls.Certificate, asPEM, keyPEM []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kafka"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

// TestTLSAndSASL ships over a connection with certificates on both sides and a
// password from a file, which is wrong at first.
func TestTLSAndSASL(t *testing.T) {
	t.Parallel()
	cert, certPEM, keyPEM := certificate(t)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	server := &tls.Config{Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	r := newRig(t, kfake.TLS(server), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "shiplog", "right"), kfake.SeedTopics(1, topic))
	for name, data := range map[string][]byte{"cert.pem": certPEM, "key.pem": keyPEM, "password": []byte("wrong\n")} {
		if err := os.WriteFile(r.path(name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.c.Kafka.TLS = &config.TLS{CAFile: r.path("cert.pem"), CertFile: r.path("cert.pem"), KeyFile: r.path("key.pem")}
	r.c.Kafka.SASL = &config.SASL{Mechanism: "SCRAM-SHA-512", Username: "shiplog", PasswordFile: r.path("password")}
	r.append("a.log", "one\n")
	r.start()
	r.wait("red health", func() bool {
		code, body := r.get("/healthz")
		return code == http.StatusServiceUnavailable && strings.Contains(body, "password")
	})
	if err := os.WriteFile(r.path("password"), []byte("right\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.wait("the line", func() bool { s := r.status(); return s.Totals.Acknowledged == 1 && s.Healthy })
	r.stop()
	if said := r.log.String(); strings.Contains(said, "wrong") || strings.Contains(said, "right\n") {
		t.Errorf("the password is in the log: %s", said)
	}
}

func TestConnectionSaysWhatIsWrong(t *testing.T) {
	_, certPEM, _ := certificate(t)
	file := t.TempDir() + "/cert.pem"
	if err := os.WriteFile(file, certPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]config.TLS{
		"ca_file":                 {CAFile: "/nowhere/ca.pem"},
		"no certificate":          {CAFile: "security_test.go"},
		"cert_file " + file:       {CertFile: file, KeyFile: file},
		"key_file: open /nowhere/k.pem": {CertFile: file, KeyFile: "/nowhere/k.pem"},
	} {
		if _, err := Connection(&config.Config{Kafka: config.Kafka{TLS: &c}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", c, err, want)
		}
	}
	for want, file := range map[string]string{"kafka.sasl.password_file: open": "/nowhere/p", "is empty": os.DevNull} {
		c := &config.Config{Kafka: config.Kafka{SASL: &config.SASL{Mechanism: "PLAIN", Username: "u", PasswordFile: file}}}
		if w := Warnings(c); len(w) != 1 || !strings.Contains(w[0], want) {
			t.Errorf("%s: %q", file, w)
		}
	}
}
