package config

import (
	"reflect"
	"strings"
	"testing"
)

func TestTransforms(t *testing.T) {
	const head = "application: a\nkafka: {brokers: [b]}\ninputs:\n  - paths: [/x]\n    transforms:\n"
	c, err := Decode(strings.NewReader(head+`      - drop: params.level == "debug"
      - {when: 'username != ""', set: {message: m, params.x: ""}}
      - rename: {params.b: params.c, params.a: username}
      - remove: [params.d]
      - redact: [card, email]
      - redact: {presets: card, patterns: ['a(b)'], fields: message, key: 0123456789abcdef}
      - hash: {fields: [username], key_file: /k}
      - sample: 0.5
      - limit: 100
      - limit: {per_second: 0.5, burst: 3}
`), "f.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	half := 0.5
	want := []Transform{
		{Drop: `params.level == "debug"`},
		{When: `username != ""`, Set: []Pair{{"message", "m"}, {"params.x", ""}}},
		{Rename: []Pair{{"params.b", "params.c"}, {"params.a", "username"}}},
		{Remove: []string{"params.d"}},
		{Redact: &Redact{Presets: []string{"card", "email"}}},
		{Redact: &Redact{Presets: []string{"card"}, Patterns: []string{"a(b)"}, Fields: []string{"message"}, Key: "0123456789abcdef"}},
		{Hash: &Hash{Fields: []string{"username"}, KeyFile: "/k"}},
		{Sample: &half},
		{Limit: &Limit{PerSecond: 100}},
		{Limit: &Limit{PerSecond: 0.5, Burst: 3}},
	}
	got := c.Inputs[0].Transforms
	if at := got[1].At; at != (Place{"f.yaml", 7, 9, "inputs[0].transforms[1]"}) {
		t.Errorf("step 2 is at %+v", at)
	}
	for i := range got {
		got[i].At = Place{}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n got  %+v\n want %+v", got, want)
	}

	for in, text := range map[string]string{
		"      drop: x\n":               "list of steps",
		"      - drpo: x\n":             "f.yaml:6:9: inputs[0].transforms[0].drpo: unknown key; did you mean drop?",
		"      - hash: {fields: [a]}\n": "give the key",
		"      - redact: {presets: [card], with: x, key: y}\n": "one of with, key",
		"      - sample: many\n":                               "not a number",
		"      - set: [a]\n":                                   "names and values",
		"      - limit: {burst: 0}\n":                          "not between",
	} {
		if _, err := Decode(strings.NewReader(head+in), "f.yaml", nil); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v, want %q", in, err, text)
		}
	}
}
