package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shiplog/shipper/kafkatest/child"
)

// KDC is a Kerberos realm of MIT krb5 on a loopback port, that ends with the test.
type KDC struct {
	// Realm is its name.
	Realm string
	// Conf is the path of a krb5.conf for it.
	Conf string

	tb  testing.TB
	dir string
	env []string
}

// kdcRemedy is how to get what StartKDC needs.
const kdcRemedy = "install MIT Kerberos, e.g. apt-get install krb5-kdc krb5-admin-server"

// StartKDC starts a realm. Where it is not installed the test is skipped, or
// fails with CI=true.
func StartKDC(tb testing.TB) *KDC {
	tb.Helper()
	gate(tb)
	for _, name := range []string{"krb5kdc", "kdb5_util", "kadmin.local"} {
		if _, err := kerberosProgram(name); err != nil {
			giveUp(tb, err)
		}
	}
	addr, err := freePort()
	if err != nil {
		tb.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(addr)
	k := &KDC{Realm: "SHIPLOG.TEST", tb: tb, dir: tb.TempDir()}
	k.Conf = filepath.Join(k.dir, "krb5.conf")
	k.env = append(os.Environ(), "KRB5_CONFIG="+k.Conf, "KRB5_KDC_PROFILE="+filepath.Join(k.dir, "kdc.conf"))
	k.write("krb5.conf", fmt.Sprintf("[libdefaults]\n default_realm = %s\n udp_preference_limit = 1\n dns_lookup_kdc = false\n rdns = false\n[realms]\n %s = {\n  kdc = %s\n }\n[domain_realm]\n localhost = %s\n",
		k.Realm, k.Realm, addr, k.Realm))
	k.write("kdc.conf", fmt.Sprintf("[kdcdefaults]\n kdc_listen = %s\n kdc_tcp_listen = %s\n[realms]\n %s = {\n  database_name = %s/principal\n  key_stash_file = %s/stash\n  acl_file = %s/acl\n  max_life = 1h\n }\n[logging]\n kdc = FILE:%s/kdc.log\n",
		port, port, k.Realm, k.dir, k.dir, k.dir, k.dir))
	k.run("kdb5_util", "create", "-s", "-W", "-r", k.Realm, "-P", "of the test")
	k.serve(addr)
	return k
}

// Keytab makes principals, or gives those that are there new keys, and returns
// the path of a new file with their keys.
func (k *KDC) Keytab(name string, principals ...string) string {
	k.tb.Helper()
	path := filepath.Join(k.dir, name)
	for _, p := range principals {
		k.run("kadmin.local", "-r", k.Realm, "-q", "addprinc -randkey "+p)
		k.run("kadmin.local", "-r", k.Realm, "-q", "ktadd -k "+path+" "+p)
	}
	return path
}

// serve runs the KDC until the test ends, and waits until it answers.
func (k *KDC) serve(addr string) {
	k.tb.Helper()
	path, err := kerberosProgram("krb5kdc")
	if err != nil {
		k.tb.Fatal(err)
	}
	cmd := exec.Command(path, "-n", "-r", k.Realm)
	cmd.Env = k.env
	proc, err := child.Start(cmd)
	if err != nil {
		k.tb.Fatal(err)
	}
	k.tb.Cleanup(func() {
		if err := proc.Kill(); err != nil {
			k.tb.Errorf("end of the KDC: %v", err)
		}
	})
	ctx, cancel := context.WithTimeout(k.tb.Context(), startTimeout)
	defer cancel()
	again := time.NewTicker(probeInterval)
	defer again.Stop()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-again.C:
		case <-proc.Done():
			k.tb.Fatalf("the KDC ended by itself: %v", proc.Wait())
		case <-ctx.Done():
			k.tb.Fatalf("the KDC does not answer: %v", err)
		}
	}
}

func (k *KDC) write(name, text string) {
	k.tb.Helper()
	if err := os.WriteFile(filepath.Join(k.dir, name), []byte(text), 0o600); err != nil {
		k.tb.Fatal(err)
	}
}

func (k *KDC) run(name string, args ...string) {
	k.tb.Helper()
	path, err := kerberosProgram(name)
	if err != nil {
		k.tb.Fatal(err)
	}
	cmd := exec.CommandContext(k.tb.Context(), path, args...)
	cmd.Env = k.env
	if out, err := cmd.CombinedOutput(); err != nil {
		k.tb.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// kerberosProgram finds what distributions keep in folders for root.
func kerberosProgram(name string) (string, error) {
	for _, where := range []string{name, "/usr/sbin/" + name, "/usr/lib/mit/sbin/" + name} {
		if path, err := exec.LookPath(where); err == nil || errors.Is(err, exec.ErrDot) {
			return path, nil
		}
	}
	return "", &missingError{name, kdcRemedy}
}
