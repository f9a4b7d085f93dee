package agent

import (
	"strings"
	"testing"

	"shiplog/agent/config"
	"shiplog/agent/parse"
)

// TestTailerInput holds the names that the configuration knows against those of
// who carries them out.
func TestTailerInput(t *testing.T) {
	for _, name := range append([]string{"auto", "none"}, config.Presets()...) {
		in := config.DefaultInput()
		in.Multiline.Preset = name
		o, err := TailerInput(&in)
		if err != nil || (o.Joiner == nil) != (name == "none") || o.JoinLines != 2000 {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
	}
	for _, format := range lineFormats() {
		if _, err := parse.New(format, parse.Options{}); err != nil {
			t.Errorf("format %s: %v", format, err)
		}
		in := config.DefaultInput()
		in.Format = format
		if o, err := TailerInput(&in); err != nil || o.Joiner != nil {
			t.Errorf("%s joins lines: %v", format, err)
		}
	}
	c, err := config.Decode(strings.NewReader("application: A\ninputs:\n  - paths: [/l]\n    encoding: windos-1252\nkafka: {brokers: [k]}\n"), "f.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := Validate(c); err == nil || !strings.HasPrefix(err.Error(), `f.yaml:4:15: inputs[0].encoding: encoding "windos-1252" is not known`) {
		t.Errorf("an unknown encoding: %v", err)
	}
}
