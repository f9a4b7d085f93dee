package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"strings"
	"time"

	"shiplog/agent/admin"
	"shiplog/agent/config"
	"shiplog/shipper"
)

// adminGuard says who may call the admin server of a configuration.
func adminGuard(c *config.Config) *admin.Guard {
	at := func(name string) string {
		if name == "" {
			return ""
		}
		return shipper.LocateFile(name)
	}
	t := &c.Admin.TLS
	return &admin.Guard{TokenFile: at(c.Admin.TokenFile), CertFile: at(t.CertFile), KeyFile: at(t.KeyFile), ClientCAFile: at(t.ClientCAFile)}
}

// CheckAdmin reads the files by which the admin server knows who may call, and
// returns what is wrong with them.
func CheckAdmin(c *config.Config) error { return adminGuard(c).Check() }

// adminExpires is how long before its end the admin server's certificate is warned
// of.
const adminExpires = 14 * 24 * time.Hour

// adminWarnings are what is risky with those files.
func adminWarnings(c *config.Config, now time.Time) []string {
	out := appendWarning(nil, shipper.ExposedFile("admin.token_file", c.Admin.TokenFile))
	out = appendWarning(out, shipper.ExposedFile("admin.tls.key_file", c.Admin.TLS.KeyFile))
	g := adminGuard(c)
	if end := g.Ends(); !end.IsZero() && end.Sub(now) < adminExpires {
		verb := "expires"
		if now.After(end) {
			verb = "has expired"
		}
		out = append(out, fmt.Sprintf("admin.tls.cert_file: %s %s at %s: renew it; the new one is used without a restart [certificate-ends]", g.CertFile, verb, end.UTC().Format(time.RFC3339)))
	}
	return out
}

// AdminAccess returns how to call the agent of a configuration from its host: by
// what it left in its state directory, or, where that is not for the caller to
// read, by the configuration, which is good for questions only. Its error wraps
// ErrNoAdmin where the agent has no admin server.
func AdminAccess(c *config.Config) (admin.Access, error) {
	access, err := admin.ReadAccess(c.StateDir)
	switch {
	case err == nil:
		return access, nil
	case c.Admin.Listen == "":
		return admin.Access{}, ErrNoAdmin
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission):
		return admin.Access{}, err
	}
	network, address := "tcp", c.Admin.Listen
	if socket, unix := strings.CutPrefix(address, "unix://"); unix {
		network, address = "unix", socket
	}
	token := ""
	if c.Admin.TokenFile != "" {
		if token, err = AdminToken(c.Admin.TokenFile); err != nil {
			return admin.Access{}, err
		}
	}
	return admin.NewAccess(network, address, token, adminGuard(c)), nil
}

// ErrNoAdmin says that an agent cannot be asked.
var ErrNoAdmin = errors.New(`admin.listen is "": this agent cannot be asked`) //nolint:gochecknoglobals // a constant that Go cannot express

// AdminToken reads the token of a file.
func AdminToken(path string) (string, error) { return admin.ReadToken(shipper.LocateFile(path)) }

// ParseAdmin reads the address of an admin server as a person writes it:
// host:port, unix:///path, or the URL of its status page.
func ParseAdmin(text string) (admin.Access, error) {
	if strings.HasPrefix(text, "unix://") {
		return admin.Access{Address: text}, nil
	}
	address, secure := strings.CutPrefix(text, "https://")
	address = strings.TrimSuffix(strings.TrimPrefix(address, "http://"), "/")
	host, port, err := net.SplitHostPort(address)
	if _, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || host == "" {
		return admin.Access{}, fmt.Errorf("%q is no admin address: write HOST:PORT, https://HOST:PORT, or unix:///PATH", text)
	}
	if secure {
		address = "https://" + address
	}
	return admin.Access{Address: address}, nil
}
