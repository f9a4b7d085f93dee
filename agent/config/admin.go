package config

import (
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Admin is the HTTP server for health and status.
type Admin struct {
	Listen    string // host:port, unix:///path, or "" for none
	TokenFile string // who calls has to know what it holds; "": nobody has
	TLS       AdminTLS
	Profiles  bool // Go's profiles are served too
}

// AdminTLS says how calls of the admin server are encrypted. Its files are read
// again when they change.
type AdminTLS struct {
	CertFile     string // PEM; "": not at all
	KeyFile      string
	ClientCAFile string // PEM; who calls has to show a certificate of these authorities; "": nobody has
}

// Local reports whether only this host can reach the address.
func (a *Admin) Local() bool {
	if a.Listen == "" || strings.HasPrefix(a.Listen, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(a.Listen)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// admin goes through the keys of the admin server. An address that others can
// reach has to ask them who they are.
func (d *decoder) admin(n *yaml.Node, path string, a *Admin) {
	at, tls := n, n
	d.mapping(n, path, []key{
		{"listen", func(n *yaml.Node, path string) { at = n; d.listen(&a.Listen)(n, path) }},
		{"token_file", d.text(&a.TokenFile)},
		{"tls", func(n *yaml.Node, path string) {
			tls = n
			d.mapping(n, path, []key{
				{"cert_file", d.text(&a.TLS.CertFile)}, {"key_file", d.text(&a.TLS.KeyFile)}, {"client_ca_file", d.text(&a.TLS.ClientCAFile)},
			})
		}},
		{"pprof", d.boolean(&a.Profiles)},
	})
	if d.failedAt(path) {
		return
	}
	switch unix := strings.HasPrefix(a.Listen, "unix:"); {
	case tls != n && unix:
		d.fail(tls, path+".tls", "a unix socket needs none: it never leaves this host, and only its user can connect")
	case tls != n && (a.TLS.CertFile == "" || a.TLS.KeyFile == ""):
		d.fail(tls, path+".tls", "cert_file and key_file are needed")
	case a.Local():
	case a.TokenFile == "" && a.TLS.ClientCAFile == "":
		_, port, _ := net.SplitHostPort(a.Listen)
		d.fail(at, path+".listen", "%q can be reached from other hosts: have them show who they are, by token_file: FILE, or by tls: {cert_file: FILE, key_file: FILE, client_ca_file: FILE}; or write 127.0.0.1:%s", a.Listen, port)
	case a.TLS.CertFile == "":
		d.warn(at, path+".listen", "%s can be reached from other hosts, and the token crosses the network as it is: set admin.tls", a.Listen)
	}
}

// listen takes an address.
func (d *decoder) listen(to *string) setter {
	return func(n *yaml.Node, path string) {
		s, ok := d.scalar(n, path, "an address such as 127.0.0.1:9600")
		if !ok {
			return
		}
		if u, err := url.Parse(s); err == nil && u.Scheme == "unix" {
			if !filepath.IsAbs(u.Path) || u.Host != "" {
				d.fail(n, path, "%q: write unix:///run/shiplog/admin.sock", s)
				return
			}
			*to = s
			return
		}
		if s != "" {
			_, port, err := net.SplitHostPort(s)
			p, perr := strconv.Atoi(port)
			if err != nil || perr != nil || p < 0 || p > 65535 {
				d.fail(n, path, "%q is not an address; write 127.0.0.1:9600, unix:///run/shiplog/admin.sock, or \"\" to switch it off", s)
				return
			}
		}
		*to = s
	}
}
