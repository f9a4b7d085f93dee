package agent

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"shiplog/agent/config"
	"shiplog/shipper"
	"shiplog/tailer"
)

// deadLetterName is the file under state_dir for what Kafka can never take.
const deadLetterName = "dead-letters.jsonl"

// tailerOptions says to the tailer what the configuration says.
func tailerOptions(c *config.Config, log *slog.Logger) tailer.Options {
	o := tailer.Options{RescanInterval: c.RescanInterval, MaxOpenFiles: c.MaxOpenFiles, Log: log}
	for i := range c.Inputs {
		in := &c.Inputs[i]
		o.Inputs = append(o.Inputs, tailer.Input{
			Name: in.Name, Paths: in.Paths, Exclude: in.Exclude, FromEnd: in.Start == "end",
			MaxLineBytes: int(in.MaxLineBytes), RotateWait: in.RotateWait, FlushPartialAfter: in.FlushPartialAfter,
		})
	}
	return o
}

// producerOptions says to the producer what the configuration says.
func producerOptions(c *config.Config, log *slog.Logger) (shipper.Options, error) {
	conn, err := Connection(c)
	if err != nil {
		return shipper.Options{}, err
	}
	o := shipper.Options{
		Brokers: c.Kafka.Brokers, Topic: c.Kafka.Topic, ClientID: c.Kafka.ClientID, Compression: c.Kafka.Compression,
		Linger: c.Kafka.Linger, MemoryLimit: c.MemoryLimit, TLS: conn.TLS, SASL: conn.SASL,
		DeadLetterPath: filepath.Join(c.StateDir, deadLetterName), Log: log,
	}
	if o.Linger == 0 {
		o.Linger = -1 // the shipper takes zero for its default
	}
	return o, nil
}

// Security is what a connection to Kafka needs beside the addresses.
type Security struct {
	TLS  *tls.Config
	SASL *shipper.SASL
}

// Connection reads the certificates that the configuration names. The password
// is read at each new connection.
func Connection(c *config.Config) (Security, error) {
	var s Security
	if t := c.Kafka.TLS; t != nil {
		conf, err := tlsConfig(t)
		if err != nil {
			return s, fmt.Errorf("kafka.tls: %w", err)
		}
		s.TLS = conf
	}
	if a := c.Kafka.SASL; a != nil {
		s.SASL = &shipper.SASL{Mechanism: a.Mechanism, Username: a.Username, Password: func() (string, error) { return password(a) }}
	}
	return s, nil
}

func tlsConfig(t *config.TLS) (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file %s holds no certificate in PEM form", t.CAFile)
		}
	}
	if t.CertFile == "" {
		return conf, nil
	}
	if _, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile); err != nil {
		return nil, fmt.Errorf("cert_file %s, key_file %s: %w", t.CertFile, t.KeyFile, err)
	}
	// Read for each connection, so that a renewed certificate is used.
	conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		return &pair, err
	}
	return conf, nil
}

func password(a *config.SASL) (string, error) {
	if a.PasswordFile == "" {
		return string(a.Password), nil
	}
	b, err := os.ReadFile(a.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("password_file: %w", err)
	}
	p := strings.TrimRight(string(b), "\r\n")
	if p == "" {
		return "", errors.New("password_file " + a.PasswordFile + " is empty")
	}
	return p, nil
}

// routes returns what happens to the entries of each input.
func routes(c *config.Config) ([]route, error) {
	kind, ok := map[string]keyKind{"none": keyNone, "file": keyFile, "host": keyHost, "application": keyApplication}[c.Kafka.Key]
	if !ok {
		return nil, fmt.Errorf("kafka.key %q is not known", c.Kafka.Key)
	}
	var out []route
	for i := range c.Inputs {
		in := &c.Inputs[i]
		enc, err := NewEncoder(in.Format, in.Application)
		if err != nil {
			return nil, fmt.Errorf("input %s: %w", in.Name, err)
		}
		topic := in.Topic
		if topic == "" {
			topic = c.Kafka.Topic
		}
		out = append(out, route{encoder: enc, topic: topic, key: kind})
	}
	return out, nil
}
