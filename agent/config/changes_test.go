package config

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
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
		{"a secret", strings.Replace(changesBase, "password: secret", "password: other", 1), []string{"kafka.sasl.password"}},
		{"within sections", strings.NewReplacer("/ca.pem", "/other.pem", "username: u", "username: v").Replace(changesBase), []string{"kafka.tls.ca_file", "kafka.sasl.username"}},
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

// fill gives every field below v a value that is not its zero value.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Pointer:
		if v.Type() != reflect.TypeFor[*time.Location]() && v.Type() != reflect.TypeFor[*regexp.Regexp]() {
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem())
		}
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint8:
		v.SetUint(1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
	}
}

// TestChangedKeysAreKeys holds the names that are made of fields against what
// the decoder takes.
func TestChangedKeysAreKeys(t *testing.T) {
	var empty, full Config
	fill(reflect.ValueOf(&full).Elem())
	sections := full.Kafka
	empty.Kafka.TLS, empty.Kafka.SASL, empty.Kafka.CreateTopics = &TLS{}, &SASL{}, &CreateTopics{}
	keys := Changes(&empty, &full)
	empty.Kafka.TLS, empty.Kafka.SASL, empty.Kafka.CreateTopics = nil, nil, nil
	full.Kafka = Kafka{TLS: sections.TLS, SASL: sections.SASL, CreateTopics: sections.CreateTopics}
	keys = append(keys, Changes(&empty, &full)...)
	if len(keys) < 40 || !slices.Contains(keys, "admin.pprof") || !slices.Contains(keys, "kafka.tls") {
		t.Errorf("keys are missing: %q", keys)
	}
	for _, key := range keys {
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

// TestFit: what a reload keeps of before must fit what it applies.
func TestFit(t *testing.T) {
	with := func(more string) *Config {
		return decoded(t, "application: A\nkafka: {brokers: [k], topic: lines, dead_letter: {topic: letters}}\n"+more)
	}
	before := with("memory_limit: 8MiB\ninputs: [{name: a, paths: [/a]}]\n")
	after := with("memory_limit: 64MiB\ninputs: [{name: a, paths: [/a], max_line_bytes: 16MiB}, {name: b, paths: [/b], max_line_bytes: 2MiB}]\n")
	after.Keep(before, Changes(before, after))
	if keys, err := after.Fit(); err != nil || !slices.Equal(keys, []string{"max_line_bytes of input a"}) || after.Inputs[0].MaxLineBytes != 4<<20 || after.Inputs[1].MaxLineBytes != 2<<20 {
		t.Errorf("%q, %v, %d, %d", keys, err, after.Inputs[0].MaxLineBytes, after.Inputs[1].MaxLineBytes)
	}
	for _, text := range []string{
		"application: A\nkafka: {brokers: [k], topic: letters, dead_letter: {topic: others}}\ninputs: [{paths: [/a]}]\n",
		"application: A\nkafka: {brokers: [k], dead_letter: {topic: others}}\ninputs: [{paths: [/a], topic: letters}]\n",
	} {
		after = decoded(t, text)
		after.Keep(before, []string{"kafka.dead_letter.topic"})
		if _, err := after.Fit(); err == nil || !strings.Contains(err.Error(), "until a restart applies kafka.dead_letter.topic") {
			t.Errorf("%s: %v", text, err)
		}
	}
}
