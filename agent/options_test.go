package agent

import (
	"fmt"
	"strings"
	"testing"

	"shiplog/agent/config"
	"shiplog/agent/parse"
)

// TestFormatsAreTheSame holds the names that the configuration takes to those
// that there are, since config does not import parse.
func TestFormatsAreTheSame(t *testing.T) {
	text := "application: A\nkafka: {brokers: [k]}\ninputs:\n  - {paths: [/l], format: %s, pattern: '%s'}\n"
	for _, f := range parse.Formats() {
		pattern := map[string]string{"regex": "(?P<message>.*)", "grok": "%{DATA:message}"}[f]
		in := fmt.Sprintf(text, f, pattern)
		if pattern == "" {
			in = strings.Replace(in, ", pattern: ''", "", 1)
		}
		c, err := config.Decode(strings.NewReader(in), "c.yaml", nil)
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		if _, err := NewInputEncoder(c, &c.Inputs[0]); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
	_, err := config.Decode(strings.NewReader(fmt.Sprintf(text, "none", "x")), "c.yaml", nil)
	if want := "is none of " + strings.Join(parse.Formats(), ", "); !strings.Contains(err.Error(), want) {
		t.Errorf("%v does not say %q", err, want)
	}
}

// TestInputEncoderNamesThePlace has a pattern that only grok can tell is wrong.
func TestInputEncoderNamesThePlace(t *testing.T) {
	c, err := config.Decode(strings.NewReader("application: A\nkafka: {brokers: [k]}\ninputs:\n  - {name: in, paths: [/l], format: grok, pattern: '%{NOSUCH:x}'}\n"), "c.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = NewInputEncoder(c, &c.Inputs[0]); err == nil || !strings.Contains(err.Error(), "c.yaml:4:52: inputs[0].pattern: pattern: %{NOSUCH} is not known") {
		t.Error(err)
	}
}
