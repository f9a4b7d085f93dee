package config

import (
	"net/url"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// TLS says how the connection to the brokers is secured. Its files are read
// when a connection is made.
type TLS struct {
	CAFile     string // PEM; the system's authorities by default
	CertFile   string // PEM client certificate, with KeyFile
	KeyFile    string
	ServerName string // expected in the broker's certificate; its host by default
}

// The mechanisms of SASL.
const (
	OAuthBearer = "OAUTHBEARER"
	GSSAPI      = "GSSAPI"
	AWSMSKIAM   = "AWS_MSK_IAM"
)

// SASL says who shiplog is to the brokers. Its files are read when a connection
// is made.
type SASL struct {
	Mechanism    string // PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER, GSSAPI, AWS_MSK_IAM
	Username     string // not of OAUTHBEARER and AWS_MSK_IAM
	Password     Secret // this or PasswordFile, or of GSSAPI Kerberos.KeytabFile
	PasswordFile string
	OAuth        OAuth    `key:"oauth"` // of OAUTHBEARER
	Kerberos     Kerberos // of GSSAPI
}

// OAuth says where the tokens of OAUTHBEARER come from.
type OAuth struct {
	TokenEndpoint    string // URL
	ClientID         string
	ClientSecret     Secret // this or ClientSecretFile
	ClientSecretFile string
	Scope            string // names with blanks between; "": none
	Audience         string // "": none
	CAFile           string // for the endpoint; PEM; the system's authorities by default
	Extensions       map[string]string
}

// Kerberos says how GSSAPI gets its tickets.
type Kerberos struct {
	KeytabFile string
	Service    string // first part of the brokers' principals; "": kafka
	Realm      string // "": that of the user name, else that of ConfigFile
	ConfigFile string `key:"krb5_conf"` // krb5.conf; "": the system's
	FAST       bool
}

func (d *decoder) tls(n *yaml.Node, path string) *TLS {
	t, enabled := &TLS{}, true
	if r := d.resolve(n); r.Kind == yaml.ScalarNode && r.Tag == "!!bool" {
		d.boolean(&enabled)(n, path)
	} else {
		d.mapping(n, path, []key{
			{"enabled", d.boolean(&enabled)},
			{"ca_file", d.text(&t.CAFile)}, {"cert_file", d.text(&t.CertFile)},
			{"key_file", d.text(&t.KeyFile)}, {"server_name", d.text(&t.ServerName)},
		})
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		d.fail(n, path, "cert_file and key_file belong together")
	}
	if !enabled {
		return nil
	}
	return t
}

func (d *decoder) sasl(n *yaml.Node, path string) *SASL {
	s := &SASL{Kerberos: Kerberos{FAST: true}}
	var oauth, kerberos *yaml.Node
	d.mapping(n, path, []key{
		{"mechanism", d.choice(&s.Mechanism, "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", OAuthBearer, GSSAPI, AWSMSKIAM)},
		{"username", d.text(&s.Username)},
		{"password", d.secret(&s.Password, "password")},
		{"password_file", d.text(&s.PasswordFile)},
		{"oauth", func(n *yaml.Node, path string) { oauth = n; d.oauth(n, path, &s.OAuth) }},
		{"kerberos", func(n *yaml.Node, path string) { kerberos = n; d.kerberos(n, path, &s.Kerberos) }},
	})
	if s.Mechanism == "" {
		if !d.failedAt(path + ".mechanism") {
			d.fail(n, path, "mechanism is missing: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER, GSSAPI or AWS_MSK_IAM")
		}
		return s
	}
	if oauth != nil && s.Mechanism != OAuthBearer {
		d.fail(oauth, path+".oauth", "belongs to the mechanism OAUTHBEARER, not to %s", s.Mechanism)
	}
	if kerberos != nil && s.Mechanism != GSSAPI {
		d.fail(kerberos, path+".kerberos", "belongs to the mechanism GSSAPI, not to %s", s.Mechanism)
	}
	d.validateSASL(n, path, s)
	return s
}

// validateSASL says what a mechanism lacks, or does not take.
func (d *decoder) validateSASL(n *yaml.Node, path string, s *SASL) {
	passwords := 0
	for _, set := range []bool{s.Password != "", s.PasswordFile != "", s.Kerberos.KeytabFile != "" && s.Mechanism == GSSAPI} {
		if set {
			passwords++
		}
	}
	account := s.Username != "" || passwords > 0
	switch {
	case s.Mechanism == AWSMSKIAM && account:
		d.fail(n, path, "AWS_MSK_IAM takes no user name and password: its credentials are those of AWS, from the environment, its files, or the role of the host or pod")
	case s.Mechanism == OAuthBearer && account:
		d.fail(n, path, "OAUTHBEARER takes no user name and password: give oauth its client_id and client_secret_file")
	case s.Mechanism == OAuthBearer:
		o := &s.OAuth
		switch {
		case d.failedAt(path + ".oauth"):
		case o.TokenEndpoint == "" || o.ClientID == "":
			d.fail(n, path+".oauth", "token_endpoint and client_id are needed")
		case (o.ClientSecret == "") == (o.ClientSecretFile == ""):
			d.fail(n, path+".oauth", "give the client's secret by client_secret_file, or by client_secret: one of the two")
		}
	case s.Mechanism == AWSMSKIAM:
	case s.Username == "" && !d.failedAt(path+".username"):
		d.fail(n, path, "username is missing")
	case passwords != 1 && !d.failedAt(path+".password"):
		if s.Mechanism == GSSAPI {
			d.fail(n, path, "give kerberos.keytab_file, password_file or password: one of the three")
			return
		}
		d.fail(n, path, "give the password by password_file, or by password: one of the two")
	}
}

func (d *decoder) oauth(n *yaml.Node, path string, o *OAuth) {
	d.mapping(n, path, []key{
		{"token_endpoint", d.endpoint(&o.TokenEndpoint)},
		{"client_id", d.text(&o.ClientID)},
		{"client_secret", d.secret(&o.ClientSecret, "client_secret")},
		{"client_secret_file", d.text(&o.ClientSecretFile)},
		{"scope", d.text(&o.Scope)},
		{"audience", d.text(&o.Audience)},
		{"ca_file", d.text(&o.CAFile)},
		{"extensions", d.extensions(&o.Extensions)},
	})
}

func (d *decoder) kerberos(n *yaml.Node, path string, k *Kerberos) {
	d.mapping(n, path, []key{
		{"keytab_file", d.text(&k.KeytabFile)},
		{"service", d.text(&k.Service)},
		{"realm", d.text(&k.Realm)},
		{"krb5_conf", d.text(&k.ConfigFile)},
		{"fast", d.boolean(&k.FAST)},
	})
}

// secret takes a secret in clear, which is no place for it.
func (d *decoder) secret(to *Secret, name string) setter {
	return func(n *yaml.Node, path string) {
		text, _ := d.scalar(n, path, "a secret") // blanks at its ends count
		*to = Secret(text)
		if !strings.Contains(d.resolve(n).Value, "${") {
			d.warn(n, path, "the secret stands in this file; %s_file or ${VAR} keeps it out", name)
		}
	}
}

// endpoint takes the URL of a token endpoint.
func (d *decoder) endpoint(to *string) setter {
	return func(n *yaml.Node, path string) {
		s, ok := d.scalar(n, path, "a URL")
		if !ok {
			return
		}
		u, err := url.Parse(s)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
			d.fail(n, path, "is not a URL; write https://login.example.org/oauth2/token")
		case u.User != nil:
			d.fail(n, path, "holds a user or password; write client_id and client_secret_file")
		default:
			*to = s
		}
	}
}

// extensions takes names and texts as RFC 7628, section 3.1, allows them.
func (d *decoder) extensions(to *map[string]string) setter {
	return func(n *yaml.Node, path string) {
		d.named(to)(n, path)
		for name, value := range *to {
			letters := func(c rune) bool { return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') }
			if name == "auth" || strings.ContainsFunc(name, letters) || slices.ContainsFunc([]byte(value), func(c byte) bool { return c < ' ' && c != '\t' && c != '\r' && c != '\n' || c > '~' }) {
				d.fail(n, path+"."+name, "is no extension: its name has letters only, and is not auth; its value is ASCII")
			}
		}
	}
}
