package agent

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"shiplog/agent/config"
	"shiplog/shipper"
)

// Security is what a connection to Kafka needs beside the addresses.
type Security struct {
	TLS  *shipper.TLS
	SASL *shipper.SASL
}

// Connection says to the shipper how the configuration secures connections, the
// same for all that is done with Kafka. The files of TLS are looked at, so that
// a wrong one is told at once; they are read again, like all secrets, for each
// connection.
func Connection(c *config.Config) (Security, error) {
	var s Security
	if t := c.Kafka.TLS; t != nil {
		s.TLS = &shipper.TLS{CAFile: t.CAFile, CertFile: t.CertFile, KeyFile: t.KeyFile, ServerName: t.ServerName}
		if err := s.TLS.Check(); err != nil {
			return Security{}, fmt.Errorf("kafka.tls: %w [config-secret]", err)
		}
	}
	if a := c.Kafka.SASL; a != nil {
		o, k := &a.OAuth, &a.Kerberos
		s.SASL = &shipper.SASL{
			Mechanism: a.Mechanism, Username: a.Username,
			Password: secret(a.Password, a.PasswordFile, "kafka.sasl.password"),
			OAuth: shipper.OAuth{
				TokenEndpoint: o.TokenEndpoint, ClientID: o.ClientID,
				ClientSecret: secret(o.ClientSecret, o.ClientSecretFile, "kafka.sasl.oauth.client_secret"),
				Scope:        o.Scope, Audience: o.Audience, CAFile: o.CAFile, Extensions: o.Extensions,
			},
			Kerberos: shipper.Kerberos{KeytabFile: k.KeytabFile, Service: k.Service, Realm: k.Realm, ConfigFile: k.ConfigFile, NoFAST: !k.FAST},
		}
		if err := s.SASL.Check(); err != nil {
			return Security{}, fmt.Errorf("kafka.sasl: %w [config-secret]", err)
		}
	}
	return s, nil
}

// secret is one of two keys of the configuration, that of a file ends with _file.
func secret(value config.Secret, file, key string) shipper.Secret {
	if file != "" {
		key += "_file"
	}
	return shipper.Secret{Value: string(value), File: file, Key: key}
}

// Warnings are legal but risky choices of a configuration: those that it shows
// by itself, and those that the files of its secrets show. It reads the client's
// certificate and looks at the rights of the others.
func Warnings(c *config.Config) []string {
	out := append([]string(nil), c.Warnings...)
	if s, err := Connection(c); err == nil {
		out = append(out, shipper.SecurityWarnings(s.TLS, s.SASL)...)
	}
	out = append(out, adminWarnings(c, time.Now())...)
	keys := func(ts []config.Transform) {
		for i := range ts {
			if r := ts[i].Redact; r != nil {
				out = appendWarning(out, shipper.ExposedFile("redact.key_file", r.KeyFile))
			}
			if h := ts[i].Hash; h != nil {
				out = appendWarning(out, shipper.ExposedFile("hash.key_file", h.KeyFile))
			}
		}
	}
	keys(c.Transforms)
	for i := range c.Inputs {
		keys(c.Inputs[i].Transforms)
	}
	return out
}

func appendWarning(to []string, w string) []string {
	if w == "" {
		return to
	}
	return append(to, w)
}

// secretKey returns the key of a hash, nil where none is given.
func secretKey(key config.Secret, file string) ([]byte, error) {
	if file == "" {
		if key == "" {
			return nil, nil
		}
		return []byte(string(key)), nil
	}
	b, err := os.ReadFile(shipper.LocateFile(file))
	if err != nil {
		return nil, fmt.Errorf("key_file: %w", err)
	}
	return bytes.TrimSpace(b), nil
}
