package main_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"shiplog/agent"
)

// mark is in every secret of the test, and may be in nothing that is printed.
const mark = "s3cr3t"

// secrets looks for them in all that the binary says.
type secrets struct {
	*e2e
	keyPEM string
}

func (s *secrets) look(where, text string) {
	s.t.Helper()
	lower := strings.ToLower(text)
	for _, secret := range []string{mark, s.keyPEM} {
		if i := strings.Index(lower, strings.ToLower(secret)); i >= 0 {
			s.t.Errorf("%s shows a secret: …%.200s", where, text[max(0, i-100):])
		}
	}
}

// commands calls all that read a configuration, and ends those that wait for a
// Kafka that lets them in.
func (s *secrets) commands() {
	s.t.Helper()
	log := filepath.Join(s.dir, "a.log")
	var wait sync.WaitGroup
	for _, args := range [][]string{
		{"check"}, {"check", "--connect"}, {"consume", "--exit-at-end", "--json", "--group", "g"}, {"verify"}, {"replay"}, {"replay", "--dry-run"},
		{"state", "list"}, {"state", "show", log}, {"why", log}, {"parse", log}, {"run", "--once"}, {"status"},
	} {
		wait.Go(func() { s.brief(append(args, "--config", s.config)...) })
	}
	wait.Wait()
}

// brief looks at what a command says within some seconds; most say all of it.
func (s *secrets) brief(args ...string) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, s.binary, args...).CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) && ctx.Err() == nil {
		s.t.Error(err)
	}
	s.look(fmt.Sprint(args), string(out))
}

func (s *secrets) acknowledged() int64 {
	state, err := agent.ReadState(s.t.Context(), filepath.Join(s.dir, "state"))
	if err != nil || state.Status == nil {
		return 0
	}
	return state.Status.Totals.Acknowledged
}

// pages are all that the admin address has.
func (s *secrets) pages(said string) {
	s.t.Helper()
	m := regexp.MustCompile(`admin=(\S+:\d+)`).FindStringSubmatch(said)
	if m == nil {
		s.t.Fatalf("no admin address in %s", said)
	}
	for _, page := range []string{"/", "/healthz", "/status", "/metrics", "/why", "/config", "/readyz"} {
		resp, err := http.Get("http://" + m[1] + page)
		if err != nil {
			s.t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			s.t.Fatal(err)
		}
		resp.Body.Close()
		s.look(page, string(body))
	}
}

// testSecrets has secrets in every place that takes one, faults that concern
// them, and looks into everything that is printed.
func testSecrets(t *testing.T, binary string) {
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"), kfake.EnableSASL(), kfake.Superuser("PLAIN", "u", mark+"-password"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	// Mechanisms that it does not have are begun, so that what they need is asked for.
	kafka.ControlKey(int16(kmsg.SASLHandshake), func(req kmsg.Request) (kmsg.Response, error, bool) {
		kafka.KeepControl()
		m := req.(*kmsg.SASLHandshakeRequest).Mechanism
		return req.ResponseKind(), nil, m == "OAUTHBEARER" || m == "GSSAPI"
	})
	// It repeats what it was sent, as some endpoints do, and gives a token that Kafka refuses.
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, secret, _ := r.BasicAuth()
		_ = r.ParseForm()
		if strings.HasPrefix(r.URL.Path, "/refuse") {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"error":"invalid_client","error_description":"got %s and %s"}`, secret, r.Form.Get("client_secret"))
			return
		}
		fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer"}`, mark+"-token")
	}))
	t.Cleanup(endpoint.Close)
	s := &secrets{e2e: newE2E(t, binary, kafka.ListenAddrs()[0])}
	secret := func(name, text string) string {
		path := filepath.Join(s.dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	block := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	s.keyPEM = strings.Split(block, "\n")[2]
	keyFile, hashKey := secret("key.pem", block), secret("hash.key", mark+"-key-of-the-hash\n")
	keys := fmt.Sprintf("log: {level: debug}\ntransforms:\n  - hash: {fields: [username], key_file: %q}\n  - redact: {patterns: [\"x(y)\"], key: %s-key-of-redact}\n", hashKey, mark)

	for name, sasl := range map[string]string{
		"right":           "{mechanism: PLAIN, username: u, password: " + mark + "-password}",
		"wrong":           fmt.Sprintf("{mechanism: PLAIN, username: u, password_file: %q}", secret("password", mark+"-wrong\n")),
		"scram":           "{mechanism: SCRAM-SHA-512, username: u, password: \"${MARKED:-" + mark + "-env}\"}",
		"token refused":   fmt.Sprintf("{mechanism: OAUTHBEARER, oauth: {token_endpoint: %q, client_id: c, client_secret_file: %q}}", endpoint.URL+"/refuse?x=1", secret("client", mark+"-client\n")),
		"token of no use": fmt.Sprintf("{mechanism: OAUTHBEARER, oauth: {token_endpoint: %q, client_id: c, client_secret: %s-client}}", endpoint.URL, mark),
		"gssapi":          fmt.Sprintf("{mechanism: GSSAPI, username: u@R, kerberos: {keytab_file: %q, krb5_conf: %q}}", secret("keytab", mark+"-keytab"), secret("krb5.conf", "[libdefaults]\n")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shown := "cannot be reached"
			switch name {
			case "token refused":
				shown = "refuses a token"
			case "gssapi":
				shown = "is no keytab"
			}
			own := &secrets{e2e: newE2E(t, binary, s.broker), keyPEM: s.keyPEM}
			own.append("a.log", "one\ntwo\n")
			own.configure(", sasl: " + sasl)
			own.extend(keys)
			p, said := own.background("run", "--config", own.config)
			own.wait(name+" to show", func() bool {
				if name == "right" {
					return own.acknowledged() >= 2
				}
				return strings.Contains(said(), shown) && strings.Contains(said(), "admin=")
			})
			own.pages(said())
			own.commands()
			if err := p.Stop(stopGrace); err != nil {
				t.Error(err)
			}
			own.look("run, "+name, said())
		})
	}

	for _, more := range []string{
		", sasl: {mechanism: PLAIN, username: u, password:" + mark + "}", // no blank
		", sasl: {mechanism: NONE, username: u, password: " + mark + "}",
		", sasl: {mechanism: PLAIN, username: u, password: [" + mark + "]}",
		", sasl: {mechanism: PLAIN, username: u, password: *" + mark + "}",
		", sasl: {mechanism: PLAIN, username: u, password: ${" + mark + "}}",
		", sasl: {mechanism: PLAIN, username: u, password: \"${" + mark + "\"}",
		", sasl: {mechanism: PLAIN, username: u, password: " + mark + ", password_file: f}",
		", sasl: {mechanism: AWS_MSK_IAM, username: u, password: " + mark + "}",
		", sasl: {mechanism: OAUTHBEARER, oauth: {token_endpoint: \"https://u:" + mark + "@h/\", client_id: c, client_secret: " + mark + "}}",
		", sasl: {mechanism: OAUTHBEARER, oauth: {token_endpoint: \"https://h/%zz" + mark + "\", client_id: c, client_secret: " + mark + "}}",
		", sasl: {mechanism: GSSAPI, username: u, password: " + mark + ", kerberos: {keytab_file: k}}",
		", brokers: [\"u:" + mark + "@k:9092\"]",
		", tls: {cert_file: " + keyFile + ", key_file: " + keyFile + "}",
		", tls: {ca_file: " + keyFile + "}",
		", sasl: {mechanism: PLAIN, username: u, password: \"" + mark,
	} {
		s.configure(more)
		for _, args := range [][]string{{"check"}, {"run", "--once"}, {"consume", "--exit-at-end"}} {
			code, out, said := s.call(append(args, "--config", s.config)...)
			if code == 0 {
				t.Errorf("%s is taken by %v", more, args)
			}
			s.look(fmt.Sprint(args, " with a mistake"), out+said)
		}
	}
	s.brief("consume", "--brokers", s.broker, "--sasl-mechanism", "PLAIN", "--sasl-username", "u", "--sasl-password-file", secret("p", mark+"-wrong"), "t")
}

// extend adds to the end of the configuration.
func (s *secrets) extend(more string) {
	s.t.Helper()
	b, err := os.ReadFile(s.config)
	if err == nil {
		err = os.WriteFile(s.config, append(b, more...), 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}
