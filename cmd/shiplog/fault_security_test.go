package main_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"shiplog/shipper/kafkatest"
)

// secured is a real Kafka with a port for each way to secure it. Who may do what
// is said through its plaintext port, where all is allowed.
type secured struct {
	*kafkatest.Broker
	t      *testing.T
	dir    string // of certificates and secrets
	binary string
	ca     *kafkatest.Authority
	kdc    *kafkatest.KDC
	tokens *httptest.Server
}

// TestRealKafkaSecurity keeps the built binary out of a real Kafka in each way
// that its securities have, and lets it in while it runs. One broker serves all.
func TestRealKafkaSecurity(t *testing.T) {
	if !realKafka() {
		t.Skip("a real Kafka is asked for by SHIPLOG_REAL_KAFKA=1")
	}
	s := startSecured(t)
	for _, f := range []struct {
		name string
		run  func(*testing.T, *secured)
	}{
		{"wrong password, then no right to write", securePassword},
		{"unknown authority", secureAuthority},
		{"our certificate has expired", secureOwnCertificate},
		{"the broker's certificate has expired", secureBrokerCertificate},
		{"no token", secureToken},
		{"wrong keys of Kerberos", secureKerberos},
		{"neither TLS nor login where they are wanted", secureForgotten},
	} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			own := *s
			own.t = t
			f.run(t, &own)
		})
	}
}

func startSecured(t *testing.T) *secured {
	s := &secured{t: t, dir: t.TempDir(), binary: buildAgent(t), ca: kafkatest.NewAuthority(t, "ca"), kdc: kafkatest.StartKDC(t)}
	later := time.Now().Add(12 * time.Hour)
	s.put("ca.pem", s.ca.PEM)
	keystore := func(name string, end time.Time) map[string]string {
		return map[string]string{
			"ssl.keystore.type": "PEM", "ssl.keystore.location": s.put(name, s.ca.Sign(t, "broker", end, "localhost", "127.0.0.1").Keystore()),
			"ssl.truststore.type": "PEM", "ssl.truststore.location": s.path("ca.pem"),
		}
	}
	login := keystore("login.pem", later)
	for mechanism, jaas := range map[string]string{
		"plain":         `org.apache.kafka.common.security.plain.PlainLoginModule required user_plain="plain-secret";`,
		"scram-sha-512": `org.apache.kafka.common.security.scram.ScramLoginModule required;`,
		"oauthbearer":   `org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
	} {
		login[mechanism+".sasl.jaas.config"] = jaas
	}
	login["sasl.enabled.mechanisms"] = "PLAIN,SCRAM-SHA-512,OAUTHBEARER"
	mutual := keystore("mutual.pem", later)
	mutual["ssl.client.auth"] = "required"
	s.Broker = kafkatest.Start(t, kafkatest.Options{
		JVM: []string{"-Djava.security.krb5.conf=" + s.kdc.Conf},
		Properties: map[string]string{
			"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer", "super.users": "User:ANONYMOUS",
			"allow.everyone.if.no.acl.found": "false", "auto.create.topics.enable": "false",
			// Each login is good for so long, then kgo has to log in anew (KIP-368).
			"connections.max.reauth.ms": "3000",
		},
		Listeners: []kafkatest.Listener{
			{Name: "LOGIN", Protocol: "SASL_SSL", Properties: login},
			{Name: "MUTUAL", Protocol: "SSL", Properties: mutual},
			{Name: "EXPIRED", Protocol: "SSL", Properties: keystore("expired.pem", time.Now().Add(-time.Hour))},
			{Name: "KERBEROS", Protocol: "SASL_PLAINTEXT", Properties: map[string]string{
				"sasl.enabled.mechanisms": "GSSAPI", "sasl.kerberos.service.name": "kafka",
				"gssapi.sasl.jaas.config": fmt.Sprintf(`com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true keyTab=%q principal="kafka/localhost@%s";`,
					s.kdc.Keytab("broker.keytab", "kafka/localhost"), s.kdc.Realm),
			}},
		},
	})
	s.tokens = newTokens(t, "oauth-user", "right-secret")
	return s
}

func (s *secured) path(name string) string { return filepath.Join(s.dir, name) }

// put writes a file at once, so that no one reads half of it.
func (s *secured) put(name string, data []byte) string {
	s.t.Helper()
	path := s.path(name)
	if err := errors.Join(os.WriteFile(path+".new", data, 0o600), os.Rename(path+".new", path)); err != nil {
		s.t.Fatal(err)
	}
	return path
}

func (s *secured) admin(do func(context.Context, *kadm.Client) error) {
	s.t.Helper()
	tortureKafka{addr: s.Addr()}.admin(s.t, do)
}

// allow gives a user the right to write a topic, or all that verify and consume need too.
func (s *secured) allow(user, topic string, operations ...kadm.ACLOperation) {
	s.t.Helper()
	s.admin(func(ctx context.Context, c *kadm.Client) error {
		acls := kadm.NewACLs().Topics(topic).Groups("readers").ResourcePatternType(kadm.ACLPatternLiteral).Operations(operations...).Allow("User:" + user).AllowHosts("*")
		_, err := c.CreateACLs(ctx, acls)
		return err
	})
}

// rig starts an agent that ships to topic by listener, with more keys of kafka.
func (s *secured) rig(topic, listener, more string) *faultRig {
	s.t.Helper()
	s.admin(func(ctx context.Context, c *kadm.Client) error {
		_, err := c.CreateTopic(ctx, 1, 1, nil, topic)
		return err
	})
	plaintext := func(t testing.TB, _, topic string, each func(int32, int64, []byte)) func() {
		return kafkatest.Consume(t, s.Addr(), topic, each)
	}
	r := newFaultRig(s.t, s.binary, s.ListenerAddr(listener), plaintext, faultOptions{topic: topic, kafka: more})
	r.write(100)
	return r
}

// in has the agent be let in, and all arrive, each once.
func in(r *faultRig) {
	r.t.Helper()
	r.write(100)
	r.all()
	r.green()
	r.judge()
}

func securePassword(t *testing.T, s *secured) {
	file := s.put("password", []byte("wrong-secret\n"))
	s.admin(func(ctx context.Context, c *kadm.Client) error {
		_, err := c.AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{{User: "shiplog", Mechanism: kadm.ScramSha512, Iterations: 4096, Password: "right-secret"}})
		return err
	})
	r := s.rig("password", "LOGIN", fmt.Sprintf(", tls: {ca_file: %q}, sasl: {mechanism: SCRAM-SHA-512, username: shiplog, password_file: %q}", s.path("ca.pem"), file))
	addr := s.ListenerAddr("LOGIN")
	r.red("broker " + addr + `: the broker refuses the login of user "shiplog" by SCRAM-SHA-512: correct user name or password: kafka.sasl.password_file ` + file)
	for _, args := range [][]string{
		{"consume", "--config", r.config, "--exit-at-end"},
		{"verify", "--config", r.config},
	} {
		if code, _, said := r.call(args...); code != 1 || !strings.Contains(said, addr) || !strings.Contains(said, "refuses the login") {
			t.Errorf("%s with a wrong password: exit %d, %s", args[0], code, said)
		}
	}
	s.look(r, 1, "problem", `the broker refuses the login of user "shiplog"`, "correct kafka.sasl")
	s.put("password", []byte("right-secret\n"))
	s.look(r, 1, "problem", "no right to know of it", `allow user "shiplog" by SCRAM-SHA-512 DESCRIBE and WRITE on it`)
	s.allow("shiplog", "password", kadm.OpDescribe)
	s.look(r, 1, "problem", "no right to write", `allow user "shiplog" by SCRAM-SHA-512 WRITE and DESCRIBE on it`)
	r.red(`no right to write to topic "password": allow this user WRITE and DESCRIBE on it (user "shiplog" by SCRAM-SHA-512, at broker ` + addr)
	r.write(100)
	s.allow("shiplog", "password", kadm.OpWrite, kadm.OpRead, kadm.OpDescribe)
	in(r)
	s.look(r, 0, "ok", "may be written")
	if code, out, said := r.call("verify", "--config", r.config); code != 0 {
		t.Errorf("verify: exit %d, %s%s", code, out, said)
	}
	for _, args := range [][]string{
		{"--config", r.config},
		{"--brokers", addr, "--tls-ca", s.path("ca.pem"), "--sasl-mechanism", "SCRAM-SHA-512", "--sasl-username", "shiplog", "--sasl-password-file", file, "--group", "readers", "password"},
	} {
		if code, out, said := r.call(append([]string{"consume", "--exit-at-end"}, args...)...); code != 0 || strings.Count(out, "\n") != r.written {
			t.Errorf("consume %v: exit %d, %d lines of %d: %s", args, code, strings.Count(out, "\n"), r.written, said)
		}
	}
	if said := r.said(); strings.Contains(said, "-secret") {
		t.Errorf("a password is in the log: %s", said)
	}
}

// look runs check --connect and wants its exit status, and a finding with that status
// and these words.
func (s *secured) look(r *faultRig, code int, status string, words ...string) {
	s.t.Helper()
	got, out, said := r.call("check", "--connect", "--json", "--config", r.config)
	var checked struct {
		Findings []struct{ Status, Says, Remedy string }
	}
	if err := json.Unmarshal([]byte(out), &checked); err != nil || got != code {
		s.t.Errorf("check --connect: exit %d, want %d, %v: %s%s", got, code, err, out, said)
	}
	if strings.Contains(out+said, "-secret") {
		s.t.Errorf("a password is told: %s%s", out, said)
	}
	for _, f := range checked.Findings {
		all := f.Status == status
		for _, w := range words {
			all = all && strings.Contains(f.Says+" -> "+f.Remedy, w)
		}
		if all {
			return
		}
	}
	s.t.Errorf("check --connect does not say %q: %s", words, out)
}

func secureAuthority(t *testing.T, s *secured) {
	ca := s.put("other.pem", kafkatest.NewAuthority(t, "other").PEM)
	r := s.rig("authority", "LOGIN", fmt.Sprintf(", tls: {ca_file: %q}, sasl: {mechanism: PLAIN, username: plain, password: plain-secret}", ca))
	s.allow("plain", "authority", kadm.OpWrite, kadm.OpDescribe)
	r.red("broker " + s.ListenerAddr("LOGIN") + ": the broker's certificate is signed by an authority that is not among those of " + ca)
	s.look(r, 1, "problem", "is signed by an authority that is not among", "correct kafka.tls")
	s.put("other.pem", s.ca.PEM)
	in(r)
}

func secureOwnCertificate(t *testing.T, s *secured) {
	client := func(end time.Time) {
		c := s.ca.Sign(t, "shiplog-host", end)
		s.put("client.key", c.Key)
		s.put("client.pem", c.Cert)
	}
	client(time.Now().Add(-time.Hour))
	r := s.rig("mutual", "MUTUAL", fmt.Sprintf(", tls: {ca_file: %q, cert_file: %q, key_file: %q}", s.path("ca.pem"), s.path("client.pem"), s.path("client.key")))
	s.allow("CN=shiplog-host", "mutual", kadm.OpWrite, kadm.OpDescribe)
	r.red("broker " + s.ListenerAddr("MUTUAL") + ": the broker refuses our certificate: kafka.tls.cert_file " + s.path("client.pem") + " has expired at")
	client(time.Now().Add(time.Hour))
	in(r)
}

func secureBrokerCertificate(t *testing.T, s *secured) {
	r := s.rig("expired", "EXPIRED", fmt.Sprintf(", tls: {ca_file: %q}", s.path("ca.pem")))
	r.red("broker " + s.ListenerAddr("EXPIRED") + ": the broker's certificate is not valid now")
	renewed := s.put("renewed.pem", s.ca.Sign(t, "broker", time.Now().Add(time.Hour), "localhost", "127.0.0.1").Keystore()) // with the names of the old one, which Kafka insists on
	s.admin(func(ctx context.Context, c *kadm.Client) error {
		resp, err := c.AlterBrokerConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "listener.name.expired.ssl.keystore.location", Value: &renewed}}, 1)
		for _, r := range resp {
			err = errors.Join(err, r.Err)
		}
		return err
	})
	in(r)
}

// newTokens gives tokens that nobody has signed, which Kafka takes where it is
// told nothing else.
func newTokens(t *testing.T, subject, secret string) *httptest.Server {
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if _, got, _ := r.BasicAuth(); got != secret {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintf(w, `{"error":"invalid_client","error_description":"not %s"}`, got)
			return
		}
		now := time.Now().Unix()
		token := part(map[string]string{"alg": "none"}) + "." + part(map[string]any{"sub": subject, "iat": now, "exp": now + 3600, "scope": "kafka"}) + "."
		fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":3600}`, token)
	}))
	t.Cleanup(s.Close)
	return s
}

func secureToken(t *testing.T, s *secured) {
	file := s.put("oauth", []byte("wrong-secret\n"))
	r := s.rig("token", "LOGIN", fmt.Sprintf(", tls: {ca_file: %q}, sasl: {mechanism: OAUTHBEARER, oauth: {token_endpoint: %q, client_id: shiplog, client_secret_file: %q, scope: kafka}}",
		s.path("ca.pem"), s.tokens.URL, file))
	s.allow("oauth-user", "token", kadm.OpWrite, kadm.OpDescribe)
	r.red("broker " + s.ListenerAddr("LOGIN") + ": cannot log in by OAUTHBEARER: " + s.tokens.URL + " refuses a token")
	s.put("oauth", []byte("right-secret\n"))
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for range 40 { // longer than a login is good for, twice
		r.write(10)
		<-tick.C
	}
	in(r)
	if said := r.said(); strings.Contains(said, "-secret") {
		t.Errorf("the secret is in the log: %s", said)
	}
}

func secureKerberos(t *testing.T, s *secured) {
	read := func(path string) []byte {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	file := s.put("shiplog.keytab", read(s.kdc.Keytab("old.keytab", "shiplog")))
	right := read(s.kdc.Keytab("new.keytab", "shiplog")) // which makes new keys
	r := s.rig("kerberos", "KERBEROS", fmt.Sprintf(", sasl: {mechanism: GSSAPI, username: shiplog, kerberos: {krb5_conf: %q, keytab_file: %q}}", s.kdc.Conf, file))
	s.allow("shiplog", "kerberos", kadm.OpWrite, kadm.OpRead, kadm.OpDescribe)
	r.red("broker " + s.ListenerAddr("KERBEROS") + ": cannot log in by GSSAPI: no ticket for kafka/localhost")
	s.put("shiplog.keytab", right)
	in(r)
	if code, out, said := r.call("consume", "--config", r.config, "--exit-at-end"); code != 0 || strings.Count(out, "\n") != r.written {
		t.Errorf("consume: exit %d, %d lines: %s", code, strings.Count(out, "\n"), said)
	}
}

// secureForgotten says nothing of TLS or of logins where the broker wants them.
func secureForgotten(t *testing.T, s *secured) {
	r := s.rig("forgotten", "LOGIN", "")
	r.red("broker " + s.ListenerAddr("LOGIN") + ": TLS is spoken at this port: set kafka.tls")
	// A broker that closes a connection may want a login, or be about to stop: it is
	// waited for, and both are said.
	r.configure(fmt.Sprintf(", tls: {ca_file: %q}", s.path("ca.pem")))
	p, said := r.background("consume", "--config", r.config, "--exit-at-end")
	r.wait("consume says what may be missing", func() bool {
		return strings.Contains(said(), s.ListenerAddr("LOGIN")) && strings.Contains(said(), "is SASL missing?")
	})
	p.Kill()
}
