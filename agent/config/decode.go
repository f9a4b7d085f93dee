package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxValues bounds how many values are looked at: aliases of aliases make many
// of few.
const maxValues = 1_000_000

// maxBytes bounds a configuration file.
const maxBytes = 4 << 20

// smallest is what an operator needs to begin with.
const smallest = `the smallest configuration is:
  application: My Application
  inputs:
    - paths: ["/var/log/myapp/*.log"]
  kafka:
    brokers: ["localhost:9092"]`

// Load reads the configuration file at path and what it includes. getenv is
// os.LookupEnv where it is nil. The error is of type Errors.
func Load(path string, getenv func(string) (string, bool)) (*Config, error) {
	return load(path, getenv, false)
}

func load(path string, getenv func(string) (string, bool), kafkaOnly bool) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, Errors{{File: path, Text: fmt.Sprintf("cannot be read: %v; name the file with --config", errors.Unwrap(err))}}
	}
	defer f.Close()
	return decode(f, path, getenv, kafkaOnly)
}

// LoadKafka reads, of the configuration file at path, what connects to Kafka. It
// may lack everything else; what it has is checked. getenv and the error as of
// Load.
func LoadKafka(path string, getenv func(string) (string, bool)) (*Config, error) {
	return load(path, getenv, true)
}

// Decode reads one configuration. name stands for it in errors, and an include
// is relative to its folder. The error is of type Errors.
func Decode(r io.Reader, name string, getenv func(string) (string, bool)) (*Config, error) {
	return decode(r, name, getenv, false)
}

func decode(r io.Reader, name string, getenv func(string) (string, bool), kafkaOnly bool) (*Config, error) {
	if getenv == nil {
		getenv = os.LookupEnv
	}
	d := &decoder{getenv: getenv, file: name, kafkaOnly: kafkaOnly}
	c := Default()
	root := d.parse(r)
	if root != nil {
		d.root(root, &c)
		d.include(&c)
		d.validate(&c)
	}
	if len(d.errs) > 0 {
		d.errs.sort(name)
		return nil, d.errs
	}
	c.Warnings = d.warnings
	return &c, nil
}

// decoder collects what is wrong while it goes through the nodes.
type decoder struct {
	getenv   func(string) (string, bool)
	file     string
	errs     Errors
	warnings []string
	includes []*yaml.Node
	// kafkaOnly: inputs and application may be missing.
	kafkaOnly bool
	visited   int     // values looked at
	inputs    []place // of each input, for later errors
	kafka     *yaml.Node
	top       *yaml.Node
}

// place is where something was written.
type place struct {
	file string
	node *yaml.Node
	path string
}

// maxErrors bounds how many errors are collected.
const maxErrors = 200

func (d *decoder) fail(n *yaml.Node, path, format string, args ...any) {
	if len(d.errs) >= maxErrors {
		return
	}
	e := &Error{File: d.file, Path: path, Text: fmt.Sprintf(format, args...)}
	if n != nil {
		e.Line, e.Column = n.Line, n.Column
	}
	d.errs = append(d.errs, e)
}

func (d *decoder) warn(n *yaml.Node, path, format string, args ...any) {
	d.warnings = append(d.warnings, fmt.Sprintf("%s:%d:%d: %s: %s [config-doubtful]", d.file, n.Line, n.Column, path, fmt.Sprintf(format, args...)))
}

// parse returns the mapping that the document is, or nil after an error.
func (d *decoder) parse(r io.Reader) *yaml.Node {
	data, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	switch {
	case err != nil:
		d.fail(nil, "", "cannot be read: %v", err)
		return nil
	case len(data) > maxBytes:
		d.fail(nil, "", "is larger than %d bytes: not a configuration", maxBytes)
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			d.fail(nil, "", "is empty; %s", smallest)
		} else {
			d.syntax(err)
		}
		return nil
	}
	if err := dec.Decode(&more); err == nil {
		d.fail(&more, "", "a second YAML document begins here; write one")
		return nil
	} else if !errors.Is(err, io.EOF) {
		d.syntax(err)
		return nil
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		d.fail(nil, "", "is empty; %s", smallest)
		return nil
	}
	if root.Kind != yaml.MappingNode {
		d.fail(root, "", "%s where keys and values are needed; %s", kindOf(root), smallest)
		return nil
	}
	return root
}

// backslashHint is for who writes a path of Windows in double quotes.
const backslashHint = `: in double quotes a backslash begins an escape; write 'C:\logs\*.log' in single quotes, or with slashes`

// syntax turns an error of the YAML library, which knows the line only, into
// ours.
func (d *decoder) syntax(err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if strings.Contains(text, "unknown anchor") { // it names the word, which may be a password
		text = "a value that begins with * has to stand in quotes"
	}
	if strings.Contains(text, "unknown escape character") {
		text += backslashHint
	}
	e := &Error{File: d.file, Text: "not valid YAML: " + text}
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if n, what, ok := strings.Cut(rest, ": "); ok {
			if line, err := strconv.Atoi(n); err == nil {
				e.Line, e.Column, e.Text = line, 1, "not valid YAML: "+what
			}
		}
	}
	d.errs = append(d.errs, e)
}

// key is one key that a mapping may have, and what to do with its value.
type key struct {
	name string
	set  func(n *yaml.Node, path string)
}

// mapping goes through a mapping; each key may be there once.
func (d *decoder) mapping(n *yaml.Node, path string, keys []key) {
	n = d.resolve(n)
	if n.Kind != yaml.MappingNode {
		d.fail(n, path, "%s where keys and values are needed: %s", kindOf(n), names(keys))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if name, _, ok := strings.Cut(k.Value, ":"); ok && slices.ContainsFunc(keys, func(have key) bool { return have.name == name }) {
			d.fail(k, join(path, name), "needs a blank after its colon") // without the value, which may be a password
			continue
		}
		at := join(path, k.Value)
		if line, twice := seen[k.Value]; twice {
			d.fail(k, at, "is there twice, first in line %d", line)
			continue
		}
		seen[k.Value] = k.Line
		j := slices.IndexFunc(keys, func(have key) bool { return have.name == k.Value })
		switch {
		case k.Kind != yaml.ScalarNode:
			d.fail(k, path, "a key has to be a word")
		case k.Tag == "!!merge":
			d.fail(k, path, "merge keys (<<) are not supported; write the keys out")
		case j >= 0:
			keys[j].set(v, at)
		default:
			d.unknown(k, at, keys)
		}
	}
}

func (d *decoder) unknown(k *yaml.Node, path string, keys []key) {
	var words []string
	for _, have := range keys {
		words = append(words, have.name)
	}
	if near := nearest(k.Value, words); near != "" {
		d.fail(k, path, "unknown key; did you mean %s?", near)
		return
	}
	d.fail(k, path, "unknown key; here can be: %s", names(keys))
}

func names(keys []key) string {
	var words []string
	for _, k := range keys {
		words = append(words, k.name)
	}
	return strings.Join(words, ", ")
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// resolve follows an alias to its anchor.
func (d *decoder) resolve(n *yaml.Node) *yaml.Node {
	if d.visited++; d.visited == maxValues {
		d.fail(n, "", "the file has more than %d values, aliases counted: not a configuration", maxValues)
	}
	if d.visited >= maxValues {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Line: n.Line, Column: n.Column}
	}
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	return n
}

// list calls each for every element; a single value stands for a list of one.
func (d *decoder) list(n *yaml.Node, path string, each func(n *yaml.Node, path string)) {
	n = d.resolve(n)
	if n.Kind != yaml.SequenceNode {
		each(n, path)
		return
	}
	for i, c := range n.Content {
		each(c, fmt.Sprintf("%s[%d]", path, i))
	}
}

// scalar returns the text of a value, variables of the environment filled in.
func (d *decoder) scalar(n *yaml.Node, path, want string) (string, bool) {
	n = d.resolve(n)
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		d.fail(n, path, "%s where %s is needed", kindOf(n), want)
		return "", false
	}
	text, err := expand(n.Value, d.getenv)
	if err != nil {
		d.fail(n, path, "%v", err)
		return "", false
	}
	return text, true
}

func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!null":
		return "nothing"
	}
	return "a single value"
}

// include reads the files that carry further inputs.
func (d *decoder) include(c *Config) {
	file := d.file
	for _, n := range d.includes {
		d.file = file
		pattern, ok := d.scalar(n, "include", "a path or pattern")
		if !ok {
			continue
		}
		full := pattern
		if !filepath.IsAbs(full) {
			full = filepath.Join(filepath.Dir(file), full)
		}
		paths, err := filepath.Glob(full)
		if err != nil {
			d.fail(n, "include", "%q is not a valid pattern: %v", pattern, err)
			continue
		}
		if len(paths) == 0 && !strings.ContainsAny(pattern, "*?[") {
			d.fail(n, "include", "%s is not there", full)
		}
		slices.Sort(paths)
		for _, p := range paths {
			d.includeFile(n, file, p, c)
		}
	}
	d.file = file
}

func (d *decoder) includeFile(n *yaml.Node, from, path string, c *Config) {
	f, err := os.Open(path)
	if err != nil {
		d.file = from
		d.fail(n, "include", "%v", err)
		return
	}
	defer f.Close()
	d.file = path
	if root := d.parse(f); root != nil {
		d.mapping(root, "", []key{{"inputs", func(n *yaml.Node, path string) { d.inputList(n, path, c) }}})
	}
}
