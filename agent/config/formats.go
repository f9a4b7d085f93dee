package config

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// formats returns the names that an input's format may have: those of
// parse.Formats, which this package does not import.
func formats() []string {
	return []string{
		"auto", "envelope", "json", "logfmt", "csv", "w3c", "clf", "nginx_error", "apache_error", "syslog",
		"sqlserver", "docker", "cri", "regex", "grok", "text", "raw",
	}
}

// innerFormats returns the formats of what a container's log carries.
func innerFormats() []string {
	return slices.DeleteFunc(formats(), func(f string) bool { return f == "docker" || f == "cri" })
}

// verbatim takes a text whose blanks count.
func (d *decoder) verbatim(to *string) setter {
	return func(n *yaml.Node, path string) {
		if s, ok := d.scalar(n, path, "a text"); ok {
			if *to = s; s == "" {
				d.fail(n, path, "is empty")
			}
		}
	}
}

// named takes a mapping of names that are the user's own to texts.
func (d *decoder) named(to *map[string]string) setter {
	return func(n *yaml.Node, path string) {
		n = d.resolve(n)
		if n.Kind != yaml.MappingNode {
			d.fail(n, path, "%s where names and texts are needed: {name: text}", kindOf(n))
			return
		}
		*to = map[string]string{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			k, v := n.Content[i], n.Content[i+1]
			at := join(path, k.Value)
			if _, twice := (*to)[k.Value]; twice || k.Kind != yaml.ScalarNode || k.Value == "" {
				d.fail(k, at, "each name has to be a word, and there once")
				continue
			}
			text := ""
			if d.verbatim(&text)(v, at); text != "" {
				(*to)[k.Value] = text
			}
		}
	}
}

// columns takes the names of columns, each there once.
func (d *decoder) columns(to *[]string) setter {
	return func(n *yaml.Node, path string) {
		name := ""
		d.text(&name)(n, path)
		switch {
		case name == "":
		case slices.Contains(*to, name):
			d.fail(n, path, "%q is there twice", name)
		default:
			*to = append(*to, name)
		}
	}
}

// delimiter takes one character of ASCII, or tab by its name.
func (d *decoder) delimiter(to *byte) setter {
	return func(n *yaml.Node, path string) {
		s, ok := d.scalar(n, path, "one character")
		switch {
		case !ok:
		case s == "tab" || s == `\t`:
			*to = '\t'
		case len(s) != 1 || s[0] >= 0x80 || s[0] == '"' || s[0] == '\n' || s[0] == '\r' || s[0] == 0:
			d.fail(n, path, "%q is not one character of ASCII that can separate fields; write \",\", \";\", \"|\" or tab", s)
		default:
			*to = s[0]
		}
	}
}

// validateFormat checks that the keys of an input go with its format.
func (d *decoder) validateFormat(in *Input, at place) {
	in.At = Place{d.file, at.node.Line, at.node.Column, at.path}
	if by := valueOf(at.node, "pattern"); by != at.node {
		in.At = Place{d.file, by.Line, by.Column, at.path + ".pattern"}
	}
	used := func(names ...string) bool {
		return slices.Contains(names, in.Format) || slices.Contains(names, in.Inner) && (in.Format == "docker" || in.Format == "cri")
	}
	for _, k := range []struct {
		name string
		set  bool
		of   []string
	}{
		{"inner", in.Inner != "", []string{"docker", "cri"}},
		{"pattern", in.Pattern != "", []string{"regex", "grok"}},
		{"patterns", in.Patterns != nil, []string{"grok"}},
		{"columns", in.Columns != nil, []string{"csv"}},
		{"delimiter", in.Delimiter != 0, []string{"csv"}},
	} {
		if k.set && !used(k.of...) && !d.failedAt(at.path+".format") && !d.failedAt(at.path+".inner") {
			d.fail(valueOf(at.node, k.name), at.path+"."+k.name, "belongs to the format %s; this input's is %s", strings.Join(k.of, " or "), in.Format)
		}
	}
	if used("regex", "grok") && in.Pattern == "" && !d.failedAt(at.path+".pattern") {
		d.fail(at.node, at.path+".pattern", "is missing: regex wants named groups, such as ^(?P<timestamp>\\S+) (?P<message>.*); grok patterns, such as %%{COMBINEDAPACHELOG}")
	}
}
