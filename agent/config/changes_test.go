package config

import (
	"slices"
	"strings"
	"testing"
)

const changesBase = `application: A
inputs:
  - {name: one, paths: ["/l/a.log"], multiline: {start: "^x"}, timezone: Europe/Berlin, transforms: [{sample: 0.5}, {hash: {fields: [a], key: secret}}]}
kafka: {brokers: ["k:9092"], tls: {ca_file: /ca.pem}, sasl: {mechanism: PLAIN, username: u, password: secret}}
`

func decoded(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Decode(strings.NewReader(text), "c.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestChanges(t *testing.T) {
	base := decoded(t, changesBase)
	for _, c := range []struct {
		name, text string
		keys       []string
	}{
		{"nothing", changesBase, nil},
		{"places only", "# moved\n\n" + changesBase, nil},
		{"application", strings.Replace(changesBase, "application: A", "application: B", 1), []string{"application"}},
		{"kafka", strings.Replace(changesBase, `brokers: ["k:9092"]`, `brokers: ["k:9093"], client_id: x, topic: t, dead_letter: {max_file_bytes: 64KiB}`, 1),
			[]string{"kafka.brokers", "kafka.topic", "kafka.client_id", "kafka.dead_letter.max_file_bytes"}},
		{"a secret", strings.Replace(changesBase, "password: secret", "password: other", 1), []string{"kafka.sasl"}},
		{"no TLS", strings.Replace(changesBase, "tls: {ca_file: /ca.pem}, ", "", 1), []string{"kafka.tls"}},
		{"the rest", changesBase + "state_dir: /s\nmax_open_files: 9\nadmin: {listen: \"\", token_file: t, pprof: true, tls: {cert_file: c, key_file: k, client_ca_file: a}}\nlog: {level: debug, format: json}\npins: {quota: 1}\n",
			[]string{"state_dir", "max_open_files", "pins.quota", "admin.listen", "admin.token_file", "admin.tls.cert_file", "admin.tls.key_file", "admin.tls.client_ca_file", "admin.pprof", "log.level", "log.format"}},
	} {
		other := decoded(t, c.text)
		got := Changes(base, other)
		if !slices.Equal(got, c.keys) {
			t.Errorf("%s: %q, want %q", c.name, got, c.keys)
		}
		other.Keep(base, got)
		if left := Changes(base, other); len(left) > 0 {
			t.Errorf("%s: %q still differ after Keep", c.name, left)
		}
	}
}

// TestChangedKeysAreKeys holds the names that are made of fields against what
// the decoder takes.
func TestChangedKeysAreKeys(t *testing.T) {
	empty, full := Config{}, Default()
	full.Application, full.Kafka.Brokers, full.Kafka.TLS, full.Kafka.SASL = "A", []string{"k"}, &TLS{}, &SASL{}
	for _, key := range Changes(&empty, &full) {
		text := strings.ReplaceAll(key, ".", ": {") + ": []" + strings.Repeat("}", strings.Count(key, "."))
		_, err := Decode(strings.NewReader(text), "c.yaml", nil)
		if err == nil || strings.Contains(err.Error(), "unknown key") {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestSameInputs(t *testing.T) {
	a := &decoded(t, changesBase).Inputs[0]
	if b := decoded(t, "\n\n"+changesBase); !a.Same(&b.Inputs[0]) || !SameTransforms(a.Transforms, b.Inputs[0].Transforms) {
		t.Error("the same input, further down, is another")
	}
	for _, change := range [][2]string{
		{"a.log", "b.log"}, {"^x", "^y"}, {"Europe/Berlin", "UTC"}, {"sample: 0.5", "sample: 0.6"}, {"key: secret", "key: other"}, {"name: one", "name: one, pin: true"},
	} {
		if b := decoded(t, strings.Replace(changesBase, change[0], change[1], 1)); a.Same(&b.Inputs[0]) {
			t.Errorf("%s for %s makes no difference", change[1], change[0])
		}
	}
}
