package config

import (
	"math"
	"strconv"

	"gopkg.in/yaml.v3"
)

// Place is where something stands in the configuration, for errors that only
// its user can find.
type Place struct {
	File         string
	Line, Column int
	Path         string
}

// Error returns an error about what stands there.
func (p Place) Error(text string) *Error {
	return &Error{File: p.File, Line: p.Line, Column: p.Column, Path: p.Path, Text: text}
}

func (d *decoder) placeOf(n *yaml.Node, path string) Place {
	return Place{d.file, n.Line, n.Column, path}
}

// Transform is one change to the envelopes of an input. One of its fields is
// set, beside At and When.
type Transform struct {
	At     Place
	When   string // an expression; "" is always
	Drop   string // an expression
	Keep   string // an expression
	Set    []Pair
	Rename []Pair
	Remove []string
	Redact *Redact
	Hash   *Hash
	Sample *float64 // 0 to 1
	Limit  *Limit
}

// KeyFiles returns the files that the transformation takes a secret from.
func (t *Transform) KeyFiles() (files []string) {
	if t.Redact != nil && t.Redact.KeyFile != "" {
		files = append(files, t.Redact.KeyFile)
	}
	if t.Hash != nil && t.Hash.KeyFile != "" {
		files = append(files, t.Hash.KeyFile)
	}
	return files
}

// Pair is a key of a mapping and its value, in the order of the file.
type Pair struct{ Name, Value string }

// Redact says what to replace in the texts of an entry.
type Redact struct {
	Presets  []string
	Patterns []string
	Fields   []string
	With     string
	Key      Secret // this or KeyFile: a keyed hash instead of With
	KeyFile  string
}

// Hash says which fields become a keyed hash.
type Hash struct {
	Fields  []string
	Key     Secret // this or KeyFile
	KeyFile string
}

// Limit says how many entries of a file may go in a second.
type Limit struct {
	PerSecond float64
	Burst     int // 0: PerSecond, rounded up
}

// transforms takes a list of steps, each a mapping with what it does and,
// perhaps, when.
func (d *decoder) transforms(to *[]Transform) setter {
	return func(n *yaml.Node, path string) {
		if r := d.resolve(n); r.Kind != yaml.SequenceNode {
			d.fail(n, path, "%s where a list of steps is needed: begin each with a dash", kindOf(r))
			return
		}
		d.list(n, path, func(n *yaml.Node, path string) {
			r := d.resolve(n)
			t := Transform{At: Place{d.file, r.Line, r.Column, path}}
			d.mapping(n, path, []key{
				{"when", d.text(&t.When)},
				{"drop", d.text(&t.Drop)},
				{"keep", d.text(&t.Keep)},
				{"set", d.pairs(&t.Set)},
				{"rename", d.pairs(&t.Rename)},
				{"remove", d.texts(&t.Remove)},
				{"redact", func(n *yaml.Node, path string) { t.Redact = d.redact(n, path) }},
				{"hash", func(n *yaml.Node, path string) { t.Hash = d.hash(n, path) }},
				{"sample", func(n *yaml.Node, path string) { t.Sample = new(float64); d.float(t.Sample)(n, path) }},
				{"limit", func(n *yaml.Node, path string) { t.Limit = d.limit(n, path) }},
			})
			*to = append(*to, t)
		})
	}
}

func (d *decoder) texts(to *[]string) setter {
	return func(n *yaml.Node, path string) {
		d.list(n, path, func(n *yaml.Node, path string) {
			var s string
			if d.text(&s)(n, path); s != "" {
				*to = append(*to, s)
			}
		})
	}
}

// pairs takes a mapping of texts, in the order of the file.
func (d *decoder) pairs(to *[]Pair) setter {
	return func(n *yaml.Node, path string) {
		r := d.resolve(n)
		if r.Kind != yaml.MappingNode || len(r.Content) == 0 {
			d.fail(n, path, "%s where names and values are needed", kindOf(r))
			return
		}
		for i := 0; i+1 < len(r.Content); i += 2 {
			name, ok := d.scalar(r.Content[i], path, "a name")
			if !ok {
				continue
			}
			if value, ok := d.scalar(r.Content[i+1], join(path, name), "a text"); ok {
				*to = append(*to, Pair{name, value})
			}
		}
	}
}

func (d *decoder) float(to *float64) setter {
	return func(n *yaml.Node, path string) {
		s, ok := d.scalar(n, path, "a number")
		if !ok {
			return
		}
		v, err := strconv.ParseFloat(s, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			d.fail(n, path, "%q is not a number", s)
			return
		}
		*to = v
	}
}

// redact takes a mapping, or a list of presets.
func (d *decoder) redact(n *yaml.Node, path string) *Redact {
	r := &Redact{}
	if d.resolve(n).Kind != yaml.MappingNode {
		d.texts(&r.Presets)(n, path)
		return r
	}
	d.mapping(n, path, []key{
		{"presets", d.texts(&r.Presets)},
		{"patterns", d.texts(&r.Patterns)},
		{"fields", d.texts(&r.Fields)},
		{"with", d.text(&r.With)},
		{"key", d.secretKey(&r.Key)},
		{"key_file", d.text(&r.KeyFile)},
	})
	if r.Key != "" && r.KeyFile != "" || r.With != "" && (r.Key != "" || r.KeyFile != "") {
		d.fail(n, path, "give one of with, key and key_file")
	}
	return r
}

func (d *decoder) hash(n *yaml.Node, path string) *Hash {
	h := &Hash{}
	d.mapping(n, path, []key{
		{"fields", d.texts(&h.Fields)},
		{"key", d.secretKey(&h.Key)},
		{"key_file", d.text(&h.KeyFile)},
	})
	if (h.Key == "") == (h.KeyFile == "") {
		d.fail(n, path, "give the key by key_file, or by key: one of the two")
	}
	return h
}

func (d *decoder) secretKey(to *Secret) setter {
	return func(n *yaml.Node, path string) {
		var s string
		if d.text(&s)(n, path); s != "" {
			*to = Secret(s)
		}
	}
}

// limit takes lines a second, or a mapping.
func (d *decoder) limit(n *yaml.Node, path string) *Limit {
	l := &Limit{}
	if d.resolve(n).Kind != yaml.MappingNode {
		d.float(&l.PerSecond)(n, path)
		return l
	}
	d.mapping(n, path, []key{
		{"per_second", d.float(&l.PerSecond)},
		{"burst", d.number(&l.Burst, 1, math.MaxInt32)},
	})
	return l
}
