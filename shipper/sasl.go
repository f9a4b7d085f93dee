package shipper

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// The mechanisms of SASL by which a client can prove who it is.
const (
	saslPlain       = "PLAIN"
	saslScram256    = "SCRAM-SHA-256"
	saslScram512    = "SCRAM-SHA-512"
	saslOAuthBearer = "OAUTHBEARER"
	saslGSSAPI      = "GSSAPI"
	saslAWS         = "AWS_MSK_IAM"
)

// SASLMechanisms lists what SASL.Mechanism may be.
func SASLMechanisms() []string {
	return []string{saslPlain, saslScram256, saslScram512, saslOAuthBearer, saslGSSAPI, saslAWS}
}

// SASL is how a client proves who it is. Whatever secret it needs is read for
// each connection, and again when a broker asks for a new proof (KIP-368). It
// may be shared by clients, and must not be copied.
type SASL struct {
	// Mechanism is one of SASLMechanisms.
	Mechanism string
	// Username is the account, of PLAIN, SCRAM and GSSAPI. For GSSAPI it is the
	// principal, with its realm or without: shiplog, shiplog/host@EXAMPLE.ORG.
	Username string
	// Password is that of the account; not needed by GSSAPI with a keytab.
	Password Secret
	// OAuth is for OAUTHBEARER.
	OAuth OAuth
	// Kerberos is for GSSAPI.
	Kerberos Kerberos

	tokens tokens
	aws    awsCredentials

	mu   sync.Mutex
	used []string // secrets that were used, which no message may show; guarded by mu
}

// Check says what is missing. It reads no file.
func (s *SASL) Check() error {
	switch s.Mechanism {
	case saslPlain, saslScram256, saslScram512:
		if s.Username == "" || !s.Password.isSet() {
			return fmt.Errorf("SASL %s needs a user name and a password", s.Mechanism)
		}
	case saslOAuthBearer:
		return s.OAuth.check()
	case saslGSSAPI:
		return s.Kerberos.check(s.Username, s.Password)
	case saslAWS:
	default:
		return fmt.Errorf("SASL mechanism %q is none of %v", s.Mechanism, SASLMechanisms())
	}
	return nil
}

// mechanism turns s into what kgo wants.
func (s *SASL) mechanism() (sasl.Mechanism, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	var m sasl.Mechanism
	switch s.Mechanism {
	case saslPlain:
		m = plain.Plain(func(context.Context) (plain.Auth, error) {
			pass, err := s.secret(s.Password)
			return plain.Auth{User: s.Username, Pass: pass}, err
		})
	case saslScram256:
		m = scram.Sha256(s.scramAuth)
	case saslScram512:
		m = scram.Sha512(s.scramAuth)
	case saslOAuthBearer:
		m = oauth.Oauth(s.oauthAuth)
	case saslGSSAPI:
		m = kerberosLogin{s}
	case saslAWS:
		m = s.awsMechanism()
	}
	return guard{m, s}, nil
}

func (s *SASL) scramAuth(context.Context) (scram.Auth, error) {
	pass, err := s.secret(s.Password)
	return scram.Auth{User: s.Username, Pass: pass}, err
}

// secret reads a secret, and has it hidden in messages from now on.
func (s *SASL) secret(of Secret) (string, error) {
	value, err := of.read()
	s.hideFromNow(value)
	return value, err
}

const (
	// usedSecrets bounds how many former secrets are still looked for in messages.
	usedSecrets = 16
	// shortSecret is the length from which a secret is looked for: one that is
	// shorter would be found in any text, and tell by that what it is.
	shortSecret = 4
)

func (s *SASL) hideFromNow(values ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range values {
		if len(v) < shortSecret || len(s.used) > 0 && s.used[len(s.used)-1] == v {
			continue
		}
		s.used = append(s.used, v)
	}
	s.used = s.used[max(0, len(s.used)-usedSecrets):]
}

// hide takes the secrets out of a text: what others answer may repeat what they
// were sent.
func (s *SASL) hide(text string) string {
	if s == nil {
		return text
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.used {
		text = strings.ReplaceAll(text, v, hiddenSecret)
	}
	return text
}

// warnings are what is risky or wrong with the files of secrets.
func (s *SASL) warnings() []string {
	var out []string
	for _, of := range []Secret{s.Password, s.OAuth.ClientSecret, {File: s.Kerberos.KeytabFile, Key: "kafka.sasl.kerberos.keytab_file"}} {
		if w := ExposedFile(of.Key, of.File); w != "" {
			out = append(out, w)
		}
		if _, err := of.read(); err != nil {
			out = append(out, err.Error()+" [config-secret]")
		}
	}
	if w := s.OAuth.warning(); w != "" {
		out = append(out, w)
	}
	return out
}

// SecurityWarnings are what is risky with files that tls and sasl name: secrets
// that all may read or that cannot be read now, a client certificate that ends
// soon. Both may be nil.
func SecurityWarnings(tls *TLS, sasl *SASL) []string {
	var out []string
	if tls != nil {
		out = tls.warnings(time.Now())
	}
	if sasl != nil {
		out = append(out, sasl.warnings()...)
	}
	return out
}

// accessError is a fault on our side of a connection: a file that cannot be
// read, a token that is not to be had. It is tried again like any other.
type accessError struct{ error }

func (e *accessError) Unwrap() error { return e.error }

// guard is a mechanism whose faults are told apart from those of the network,
// and show no secret.
type guard struct {
	sasl.Mechanism
	s *SASL
}

// Authenticate implements sasl.Mechanism.
func (g guard) Authenticate(ctx context.Context, host string) (sasl.Session, []byte, error) {
	session, first, err := g.Mechanism.Authenticate(ctx, host)
	if err != nil {
		return nil, nil, g.s.fault(fmt.Errorf("cannot log in by %s: %w", g.Name(), err))
	}
	return guardedSession{session, g}, first, nil
}

// fault returns err without secrets. Errors of a context stay what they are.
func (s *SASL) fault(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return &accessError{errors.New(s.hide(err.Error()))}
}

type guardedSession struct {
	sasl.Session
	g guard
}

// Challenge implements sasl.Session.
func (s guardedSession) Challenge(resp []byte) (bool, []byte, error) {
	done, next, err := s.Session.Challenge(resp)
	if err == nil {
		return done, next, nil
	}
	if s.g.Name() == saslOAuthBearer {
		if status := oauthStatus(resp); status != "" {
			err = fmt.Errorf("the broker refuses the token: %s", status)
		}
	}
	return done, next, s.g.s.fault(fmt.Errorf("login by %s failed: %w", s.g.Name(), err))
}

// oauthStatus returns what a broker says against a token, as RFC 7628, section
// 3.2.2, has it: {"status":"invalid_token", …}.
func oauthStatus(resp []byte) string {
	var answer struct {
		Status string `json:"status"`
		Scope  string `json:"scope"`
	}
	if json.Unmarshal(resp, &answer) != nil || answer.Status == "" {
		return ""
	}
	if answer.Scope != "" {
		return fmt.Sprintf("%q, it wants the scope %q", answer.Status, answer.Scope)
	}
	return fmt.Sprintf("%q", answer.Status)
}

// who names the account, for messages.
func (s *SASL) who() string {
	switch s.Mechanism {
	case saslOAuthBearer:
		return fmt.Sprintf("client %q by %s", s.OAuth.ClientID, s.Mechanism)
	case saslAWS:
		return "the AWS identity by " + s.Mechanism
	}
	return fmt.Sprintf("user %q by %s", s.Username, s.Mechanism)
}

// remedy says what to correct when a broker refuses the login.
func (s *SASL) remedy() string {
	file := func(of Secret) string {
		if of.File == "" {
			return of.Key
		}
		return fmt.Sprintf("%s %s, which is read again at each attempt,", of.Key, LocateFile(of.File))
	}
	switch {
	case s.Mechanism == saslOAuthBearer:
		return "the broker has to take tokens of " + s.OAuth.endpoint() + " with this scope and audience (sasl.oauthbearer.* of the broker)"
	case s.Mechanism == saslAWS:
		return "allow this identity kafka-cluster:Connect on the cluster"
	case s.Kerberos.KeytabFile != "":
		return "check the principal, its keytab and the service name"
	}
	return "correct user name or password: " + file(s.Password) + " or the user in Kafka"
}

// explain tells what a failed login means and what to do; "" where err is none.
func (s *SASL) explain(err error) string {
	if own, ok := errors.AsType[*accessError](err); ok {
		return own.Error()
	}
	code, _ := errors.AsType[*kerr.Error](err)
	switch code {
	case kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState:
	default:
		return ""
	}
	switch {
	case s == nil:
		return fmt.Sprintf("the broker wants a login: set kafka.sasl (%v)", err)
	case code == kerr.UnsupportedSaslMechanism:
		return fmt.Sprintf("the broker does not take the SASL mechanism %s at this port: choose one of its sasl.enabled.mechanisms as kafka.sasl.mechanism", s.Mechanism)
	case code == kerr.IllegalSaslState:
		return fmt.Sprintf("the broker wants no login at this port: name the port of its SASL listener, or leave kafka.sasl out (%v)", err)
	}
	return s.hide(fmt.Sprintf("the broker refuses the login of %s: %s (%v)", s.who(), s.remedy(), err))
}
