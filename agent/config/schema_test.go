package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

// TestSchemaTakes holds the schema to configurations that Decode takes, and to
// some that it does not: neither takes what the other refuses.
func TestSchemaTakes(t *testing.T) {
	takes := schemaOf(t)
	files, err := filepath.Glob("../../packaging/config/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d ready configurations, %v", len(files), err)
	}
	for _, path := range append(files, "../../config.example.yaml", "../../packaging/shiplog.yaml") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := takes(string(text)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	const begin, kafka = "application: A\ninputs: [{paths: /a", "}]\nkafka: {brokers: k"
	for _, c := range []struct {
		name, text string
		right      bool
	}{
		{"the smallest", begin + kafka + "}", true},
		{"variables", begin + ", pin: '${P:-true}', format: '${F:-auto}', max_line_bytes: '${M:-64KiB}'" + kafka + ", linger: '${L:-1s}', max_topics: '${N:-3}', topic: 'a.${T:-b}'}", true},
		{"numbers and words of YAML", "application: 12\ninputs: [{paths: /a, name: yes}]\nmemory_limit: 67108864\nshutdown_timeout: 0\nkafka: {brokers: k, tls: true}", true},
		{"short forms", begin + ", multiline: java, transforms: [{redact: card}, {limit: 10}, {sample: 0.5}]" + kafka + ", tls: {}}", true},
		{"long forms", begin + ", multiline: {start: x}, transforms: [{redact: {presets: card, with: x}}, {limit: {per_second: 10, burst: 3}}]" + kafka + ", topic: '{{.application}}', key: '{{.host}}'}", true},
		{"no brokers", begin + "}]\nkafka: {topic: a}", false},
		{"no kafka", "application: A\ninputs: [{paths: /a}]", false},
		{"no inputs", "application: A\nkafka: {brokers: k}", false},
		{"no paths", "application: A\ninputs: [{name: a}]\nkafka: {brokers: k}", false},
		{"unknown key", begin + ", path: /b" + kafka + "}", false},
		{"unknown word", begin + ", format: jason" + kafka + "}", false},
		{"too many", begin + kafka + ", max_topics: 10001}", false},
		{"no size", begin + ", max_line_bytes: 1 MeB" + kafka + "}", false},
		{"no duration", begin + ", rotate_wait: soon" + kafka + "}", false},
		{"no flag", begin + ", pin: perhaps" + kafka + "}", false},
		{"no topic", begin + kafka + ", topic: 'a:b'}", false},
		{"a list for a text", begin + ", name: [a]" + kafka + "}", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := takes(c.text); (err == nil) != c.right {
				t.Errorf("the schema says %v", err)
			}
			if _, err := decodeText(t, c.text); (err == nil) != c.right {
				if c.name != "no kafka" || err == nil { // which an included file has not either
					t.Errorf("Decode says %v", err)
				}
			}
		})
	}
}

// schemaOf returns what holds a configuration to the schema.
func schemaOf(t *testing.T) func(text string) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("config.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("config.json")
	if err != nil {
		t.Fatal(err)
	}
	return func(text string) error {
		var v any
		if err := yaml.Unmarshal([]byte(text), &v); err != nil {
			return err
		}
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		v, err = jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			return err
		}
		return s.Validate(v)
	}
}

// node is a place in the schema.
type node struct {
	Ref        string           `json:"$ref"`
	Type       any              `json:"type"`
	Properties map[string]*node `json:"properties"`
	More       any              `json:"additionalProperties"`
	AnyOf      []*node          `json:"anyOf"`
	Items      *node            `json:"items"`
	Enum       []any            `json:"enum"`
	Default    any              `json:"default"`
	Defs       map[string]*node `json:"$defs"`
}

// find returns the first of a node and its alternatives that ok likes.
func (n *node) find(ok func(*node) bool) *node {
	if ok(n) {
		return n
	}
	for _, alternative := range n.AnyOf {
		if found := alternative.find(ok); found != nil {
			return found
		}
	}
	return nil
}

// noWord is not like any word that the configuration knows.
const noWord = "qqqqqqqqqqqqqqqqqqqq"

// TestSchemaIsWhatDecodeReads goes through the whole schema and asks Decode, by
// mistakes made at each place, for the keys and words that can stand there.
func TestSchemaIsWhatDecodeReads(t *testing.T) {
	var root node
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	objects, enums := 0, 0
	var walk func(n *node, path string, wrap func(leaf string) string)
	walk = func(n *node, path string, wrap func(string) string) {
		if name, ok := strings.CutPrefix(n.Ref, "#/$defs/"); ok {
			n = root.Defs[name]
		}
		if list := n.find(func(n *node) bool { return n.Items != nil }); list != nil && path != "" {
			if name, ok := strings.CutPrefix(list.Items.Ref, "#/$defs/"); !ok || name != "text" {
				walk(list.Items, path+"[0]", func(leaf string) string { return wrap("[" + leaf + "]") })
				return
			}
		}
		object := n.find(func(n *node) bool { return n.Properties != nil })
		said := mistake(t, wrap(fmt.Sprintf("{%s: 1}", noWord)), path)
		_, listed, known := strings.Cut(said, "here can be: ")
		switch {
		case object == nil && known:
			t.Errorf("%s has keys, of which the schema knows nothing: %s", path, listed)
		case object != nil:
			objects++
			has := slices.Sorted(maps.Keys(object.Properties))
			if want := slices.Sorted(slices.Values(strings.Split(listed, ", "))); !slices.Equal(has, want) {
				t.Errorf("the keys of %q are %q, and in the schema %q", path, want, has)
			}
			if object.More != false {
				t.Errorf("the schema takes any key in %q", path)
			}
			for key, child := range object.Properties {
				walk(child, join(path, key), func(leaf string) string { return wrap(fmt.Sprintf("{%s: %s}", key, leaf)) })
			}
		}
		if words := n.find(func(n *node) bool { return n.Enum != nil }); words != nil && n != root.Defs["flag"] {
			enums++
			said := mistake(t, wrap(noWord), path)
			var has []string
			for _, w := range words.Enum {
				has = append(has, w.(string))
			}
			if want := fmt.Sprintf("%q is none of %s", noWord, strings.Join(has, ", ")); said != want {
				t.Errorf("%s: Decode says %s, the schema has %q", path, said, has)
			}
		}
	}
	walk(&root, "", func(leaf string) string { return leaf })
	if objects < 20 || enums < 15 {
		t.Errorf("only %d objects and %d lists of words were looked at", objects, enums)
	}
}

// mistake returns what Decode says of a document at a path, or of a key there.
func mistake(t *testing.T, text, path string) string {
	t.Helper()
	_, err := decodeText(t, text)
	var all Errors
	if !errors.As(err, &all) {
		t.Fatalf("%s: %v", text, err)
	}
	for _, at := range []string{join(path, noWord), path} {
		if i := slices.IndexFunc(all, func(e *Error) bool { return e.Path == at }); i >= 0 {
			return all[i].Text
		}
	}
	return ""
}

// TestSchemaDefaults holds the defaults in the schema to those that apply.
func TestSchemaDefaults(t *testing.T) {
	c := Default()
	c.Inputs = []Input{DefaultInput()}
	var by any
	if err := yaml.Unmarshal([]byte(c.Text()), &by); err != nil {
		t.Fatal(err)
	}
	applies := map[string]string{}
	flatten(by, "", applies)
	delete(applies, "state_dir") // another one on each system
	// What Text leaves out: the zero value, and what is not there at all by default.
	applies["log.level"] = strings.ToLower(c.Log.Level.String())
	applies["kafka.sasl.kerberos.fast"], applies["kafka.tls.enabled"] = "true", "true"
	var root node
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	has := map[string]string{}
	defaults(&root, "", has)
	for path, value := range has {
		if want, ok := applies[path]; ok && want != value || !ok && value != "0s" && value != "false" {
			t.Errorf("%s is %q by default, and in the schema %q", path, want, value)
		}
	}
	for path, value := range applies {
		if _, ok := has[path]; !ok {
			t.Errorf("%s is %q by default, which the schema does not say", path, value)
		}
	}
}

// flatten enters the values of a document by their paths; of a list the first.
func flatten(v any, path string, to map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			flatten(value, join(path, key), to)
		}
	case []any:
		if len(v) > 0 {
			flatten(v[0], path, to)
		}
	default:
		to[path] = fmt.Sprint(v)
	}
}

// defaults enters the defaults of a schema by their paths.
func defaults(n *node, path string, to map[string]string) {
	if n.Default != nil {
		to[path] = fmt.Sprint(n.Default)
	}
	for key, child := range n.Properties {
		defaults(child, join(path, key), to)
	}
	for _, child := range append(slices.Clone(n.AnyOf), n.Items) {
		if child != nil {
			defaults(child, path, to)
		}
	}
}
