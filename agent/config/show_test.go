package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTextIsReadAgain: what Text shows of a configuration is that configuration.
func TestTextIsReadAgain(t *testing.T) {
	sample, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"smallest": head,
		"example":  strings.Replace(string(sample), "include:", "# include:", 1),
		"much": head + `  create_topics: {partitions: 3}
  tls: {ca_file: /ca.pem, cert_file: /c.pem, key_file: /k.pem}
  sasl: {mechanism: GSSAPI, username: u, kerberos: {keytab_file: /k, krb5_conf: /krb5.conf, fast: false}}
  key: "{{.host}}"
readback_timeout: 0s
memory_limit: 33554433
admin: {listen: "", pprof: true}
log: {level: debug}
transforms:
  - drop: 'message == "x"'
    when: 'application != "${A:-$${B}}"'
  - set: {"params.z": "1: [2", "params.a": "#"}
  - redact: {presets: [email], patterns: ['a\d+(b|$)'], with: "-"}
  - sample: 0.25
  - limit: {per_second: 10, burst: 20}
`,
		"empty mappings": head + "  tls: true\n  create_topics: {}\ntransforms: [{sample: 0}]\n",
		"inputs": `application: A
kafka: {brokers: [k]}
inputs:
  - {paths: [/a], format: csv, delimiter: tab, columns: [a, "b: c"], timezone: Europe/Berlin, multiline: none, encoding: windows-1252}
  - {paths: [/b, /c], exclude: ["*.gz"], format: grok, pattern: "%{X:y}", patterns: {X: '\S+'}, map: {y: message}, start: end, pin: true, topic: t.u, application: B, flush_partial_after: 5s}
  - {paths: [/d], name: d, multiline: {start: '^\d', max_lines: 7}, max_line_bytes: 64KiB}
  - {paths: [/e], name: e, multiline: {preset: java, wait: 1s}, transforms: [{remove: [username]}]}
`,
	} {
		t.Run(name, func(t *testing.T) {
			c, err := decodeText(t, text)
			if err != nil {
				t.Fatal(err)
			}
			again, err := decodeText(t, c.Text())
			if err != nil {
				t.Fatalf("%v\n%s", err, c.Text())
			}
			if d := Changes(c, again); len(d) > 0 {
				t.Errorf("%v differ:\n%s", d, c.Text())
			}
			if !SameTransforms(c.Transforms, again.Transforms) {
				t.Errorf("transforms differ:\n%s", c.Text())
			}
			for i := range c.Inputs {
				if !c.Inputs[i].Same(&again.Inputs[i]) {
					t.Errorf("input %d differs: %+v, %+v\n%s", i, c.Inputs[i], again.Inputs[i], c.Text())
				}
			}
		})
	}
}

func TestTextHasNoSecrets(t *testing.T) {
	dir, err := filepath.Abs("/l")
	if err != nil {
		t.Fatal(err)
	}
	for _, sasl := range []string{
		"{mechanism: PLAIN, username: u, password: s3cr3t}",
		"{mechanism: OAUTHBEARER, oauth: {token_endpoint: \"https://h/t?s3cr3t#s3cr3t\", client_id: c, client_secret: s3cr3t}}",
	} {
		c, err := decodeText(t, head+"  sasl: "+sasl+"\ntransforms: [{hash: {fields: [username], key: s3cr3t}}, {redact: {presets: [email], key: s3cr3t}}]\n")
		if err != nil {
			t.Fatal(err)
		}
		if text := c.Text(); strings.Contains(text, "s3cr3t") || strings.Count(text, hidden) < 3 || !strings.Contains(text, dir) {
			t.Errorf("%s", text)
		}
	}
}
