package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"shiplog/shipper/kafkatest"
)

// testAdmin has the built binary listen on all addresses of the host, and asks it
// as its configuration says, and as somebody on another host would.
func testAdmin(t *testing.T, e *e2e) {
	ca := kafkatest.NewAuthority(t, "ca")
	file := func(name string, data []byte) string {
		path := filepath.Join(e.dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	later := time.Now().Add(time.Hour)
	server, operator := ca.Sign(t, "agent", later, "127.0.0.1"), ca.Sign(t, "operator", later)
	caFile, token := file("ca.pem", ca.PEM), file("admin.token", []byte("a-token-for-operators\n"))
	mine := []string{"--tls-ca", caFile, "--tls-cert", file("operator.pem", operator.Cert), "--tls-key", file("operator.key", operator.Key)}
	conf, err := os.ReadFile(e.config)
	if err != nil {
		t.Fatal(err)
	}
	admin := func(keys, port string) {
		file(filepath.Base(e.config), []byte(strings.Replace(string(conf), `{listen: "127.0.0.1:0"}`, `{listen: "0.0.0.0:`+port+`"`+keys+`}`, 1)))
	}
	admin("", "0")
	if code, _, said := e.call("check", "--config", e.config); code != 2 || !strings.Contains(said, "can be reached from other hosts") {
		t.Errorf("for everybody: exit %d: %s", code, said)
	}
	admin(fmt.Sprintf(", token_file: %q", filepath.Join(e.dir, "none")), "0")
	if code, _, said := e.call("check", "--config", e.config); code != 2 || !strings.Contains(said, "admin.token_file: open") {
		t.Errorf("without a token: exit %d: %s", code, said)
	}
	secured := fmt.Sprintf(", token_file: %q, tls: {cert_file: %q, key_file: %q, client_ca_file: %q}", token, file("agent.pem", server.Cert), file("agent.key", server.Key), caFile)
	admin(secured, "0")
	if code, _, said := e.call("check", "--config", e.config); code != 0 {
		t.Errorf("check: exit %d: %s", code, said)
	}
	e.append("a.log", "one\n")
	p, said := e.background("run", "--config", e.config)
	remote := ""
	e.wait("the admin address", func() bool {
		if m := regexp.MustCompile(`admin=https://\S+:(\d+)`).FindStringSubmatch(said()); m != nil {
			remote = "https://127.0.0.1:" + m[1]
		}
		return remote != ""
	})
	e.wait("the line", func() bool { return e.count() == 1 })
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"by the configuration", []string{"status", "--config", e.config}, 0, "a.log"},
		{"a change", []string{"reload", "--config", e.config}, 0, "nothing has changed"},
		{"why", []string{"why", filepath.Join(e.dir, "a.log"), "--config", e.config}, 0, "is being read"},
		{"from elsewhere", append([]string{"status", "--admin", remote, "--token-file", token}, mine...), 0, "a.log"},
		{"without a token", append([]string{"status", "--admin", remote}, mine...), 1, "--token-file"},
		{"another token", append([]string{"status", "--admin", remote, "--token-file", file("other.token", []byte("a-token-of-somebody-else"))}, mine...), 1, "--token-file"},
		{"no token", append([]string{"status", "--admin", remote, "--token-file", caFile}, mine...), 2, "one word of at least 16"},
		{"without a certificate", []string{"status", "--admin", remote, "--token-file", token, "--tls-ca", caFile}, 1, "certificate"},
		{"an unknown server", []string{"status", "--admin", remote, "--token-file", token}, 1, "certificate"},
		{"half of a pair", append([]string{"status", "--admin", remote}, mine[:4]...), 2, "belong together"},
		{"flags that do not apply", []string{"status", "--config", e.config, "--token-file", token}, 2, "go with --admin"},
		{"no address", []string{"status", "--admin", "https://"}, 2, "is no admin address"},
	} {
		code, out, errOut := e.call(c.args...)
		for end := time.Now().Add(time.Minute); code == 1 && !strings.Contains(out+errOut, c.says) && time.Now().Before(end); { // a busy machine
			code, out, errOut = e.call(c.args...)
		}
		if code != c.code || !strings.Contains(out+errOut, c.says) {
			t.Errorf("%s: exit %d: %s%s", c.name, code, out, errOut)
		}
		if strings.Contains(out+errOut, "a-token-for-operators") {
			t.Errorf("%s: the token is shown: %s%s", c.name, out, errOut)
		}
	}
	// Who may not read the state directory is good for a question all the same.
	if err := os.Remove(filepath.Join(e.dir, "state", "admin.json")); err != nil {
		t.Fatal(err)
	}
	admin(secured, strings.TrimPrefix(remote, "https://127.0.0.1:"))
	e.wait("an answer by the configuration alone", func() bool {
		code, out, _ := e.call("status", "--config", e.config)
		return code == 0 && strings.Contains(out, "a.log")
	})
	if err := p.Stop(stopGrace); err != nil {
		t.Error(err)
	}
	if strings.Contains(said(), "a-token-for-operators") {
		t.Error("the token is in the log")
	}
}
