package agent

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"shiplog/agent/config"
	"shiplog/shipper/kafkatest"
)

// TestTLSAndSASL ships over a connection with certificates on both sides and a
// password from a file, which is wrong at first.
func TestTLSAndSASL(t *testing.T) {
	t.Parallel()
	ca := kafkatest.NewAuthority(t, "ca")
	cert := ca.Sign(t, "kafka", time.Now().Add(time.Hour), "127.0.0.1")
	pair, err := tls.X509KeyPair(cert.Cert, cert.Key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.PEM)
	server := &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	r := newRig(t, kfake.TLS(server), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-512", "shiplog", "right"), kfake.SeedTopics(1, topic))
	for name, data := range map[string][]byte{"ca.pem": ca.PEM, "cert.pem": cert.Cert, "key.pem": cert.Key, "password": []byte("wrong\n")} {
		if err := os.WriteFile(r.path(name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.c.Kafka.TLS = &config.TLS{CAFile: r.path("ca.pem"), CertFile: r.path("cert.pem"), KeyFile: r.path("key.pem")}
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
	cert := kafkatest.NewAuthority(t, "ca").Sign(t, "kafka", time.Now().Add(time.Hour))
	file := t.TempDir() + "/cert.pem"
	if err := os.WriteFile(file, cert.Cert, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]config.TLS{
		"ca_file":                       {CAFile: "/nowhere/ca.pem"},
		"no certificate":                {CAFile: "security_test.go"},
		"cert_file " + file:             {CertFile: file, KeyFile: file},
		"key_file: open /nowhere/k.pem": {CertFile: file, KeyFile: "/nowhere/k.pem"},
	} {
		if _, err := Connection(&config.Config{Kafka: config.Kafka{TLS: &c}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", c, err, want)
		}
	}
	for want, file := range map[string]string{"kafka.sasl.password_file: open": "/nowhere/p", "is empty": os.DevNull} {
		c := &config.Config{Kafka: config.Kafka{SASL: &config.SASL{Mechanism: "PLAIN", Username: "u", PasswordFile: file}}}
		if w := Warnings(c); len(w) != 1 || !strings.Contains(w[0], want) || CodeOf(w[0]) != "config-secret" {
			t.Errorf("%s: %q", file, w)
		}
	}
}
