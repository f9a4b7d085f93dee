package transform

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template/parse"

	"shiplog/agent/envelope"
)

// Template makes a text of the fields of an envelope and of where that comes
// from: text with fields in double braces, as text/template writes them. A field
// is application, username, operation, message, params.NAME (for a name that is
// no word, index .params "NAME"), host, path, file or input; it may be followed by
// | lower and | default "TEXT". There is nothing else of text/template.
type Template struct {
	parts []part
}

// Origin is where an envelope comes from.
type Origin struct {
	Host  []byte // that shiplog runs on
	Path  []byte // of the file, as its application names it
	Input []byte // name of the input
}

// part is a piece of text or, with get, a field.
type part struct {
	text  string
	get   func(dst []byte, e *envelope.Envelope, from *Origin) []byte
	lower bool
	empty string // stands for a field that is empty or not there
	whose ownership
}

// ownership is what a field is a property of.
type ownership uint8

const (
	ofFile        ownership = iota // all entries of a file have it
	ofApplication                  // the application, which an envelope always has at hand
	ofEntry                        // the entry
)

// ParseTemplate reads a template.
func ParseTemplate(text string) (*Template, error) {
	tree := parse.New("template")
	tree.Mode = parse.SkipFuncCheck
	if _, err := tree.Parse(text, "", "", map[string]*parse.Tree{}); err != nil {
		return nil, fmt.Errorf("%q is not a template: %s", text, strings.TrimPrefix(err.Error(), "template: template:1: "))
	}
	t := &Template{}
	if tree.Root == nil {
		return t, nil
	}
	for _, node := range tree.Root.Nodes {
		switch n := node.(type) {
		case *parse.TextNode:
			t.parts = append(t.parts, part{text: string(n.Text)})
		case *parse.ActionNode:
			p, err := parsePart(n.Pipe)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", n, err)
			}
			t.parts = append(t.parts, p)
		default:
			return nil, fmt.Errorf("%s: a template has texts and fields only", n)
		}
	}
	return t, nil
}

// parsePart reads what stands in a pair of braces.
func parsePart(pipe *parse.PipeNode) (part, error) {
	if len(pipe.Decl) > 0 {
		return part{}, errors.New("there are no variables")
	}
	p, err := parseSource(pipe.Cmds[0].Args)
	if err != nil {
		return p, err
	}
	for _, cmd := range pipe.Cmds[1:] {
		name, ok := cmd.Args[0].(*parse.IdentifierNode)
		text := (*parse.StringNode)(nil)
		if len(cmd.Args) == 2 {
			text, _ = cmd.Args[1].(*parse.StringNode)
		}
		switch {
		case ok && name.Ident == "lower" && len(cmd.Args) == 1:
			p.lower = true
		case ok && name.Ident == "default" && text != nil:
			p.empty = text.Text
		default:
			return p, fmt.Errorf("%s is not known: a field can be followed by lower and by default \"TEXT\"", cmd)
		}
	}
	return p, nil
}

// parseSource reads the field at the beginning of a pipe.
func parseSource(args []parse.Node) (part, error) {
	switch first := args[0].(type) {
	case *parse.FieldNode:
		if len(args) == 1 {
			return fieldPart(strings.Join(first.Ident, "."))
		}
	case *parse.IdentifierNode:
		if first.Ident == "index" && len(args) == 3 {
			of, isField := args[1].(*parse.FieldNode)
			name, isText := args[2].(*parse.StringNode)
			if isField && isText && slices.Equal(of.Ident, []string{"params"}) {
				return fieldPart("params." + name.Text)
			}
		}
	}
	return part{}, errors.New(`write a field, such as .application, .params.tenant or index .params "tenant-id"`)
}

func fieldPart(name string) (part, error) {
	switch name {
	case "host":
		return part{get: func(dst []byte, _ *envelope.Envelope, from *Origin) []byte { return append(dst, from.Host...) }}, nil
	case "path":
		return part{get: func(dst []byte, _ *envelope.Envelope, from *Origin) []byte { return append(dst, from.Path...) }}, nil
	case "file":
		return part{get: func(dst []byte, _ *envelope.Envelope, from *Origin) []byte { return append(dst, base(from.Path)...) }}, nil
	case "input":
		return part{get: func(dst []byte, _ *envelope.Envelope, from *Origin) []byte { return append(dst, from.Input...) }}, nil
	}
	f, err := parseField(name)
	if err != nil {
		return part{}, fmt.Errorf("%q is no field: there are application, username, operation, params.NAME, message, host, path, file and input", "."+name)
	}
	p := part{whose: ofEntry, get: func(dst []byte, e *envelope.Envelope, _ *Origin) []byte { return appendText(dst, f.get(e)) }}
	if strings.TrimPrefix(name, "payload.") == "application" {
		p.whose = ofApplication
		p.get = func(dst []byte, e *envelope.Envelope, _ *Origin) []byte { return e.AppendApplication(dst) }
	}
	return p, nil
}

// base returns the last part of a path, of either kind.
func base(path []byte) []byte {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' || path[i] == '\\' {
			return path[i+1:]
		}
	}
	return path
}

// OfFile tells whether all entries of a file have the same text.
func (t *Template) OfFile() bool {
	return !slices.ContainsFunc(t.parts, func(p part) bool { return p.get != nil && p.whose != ofFile })
}

// Unfolded tells whether Append needs an envelope that has been taken apart, with
// parse.Unfold, where it was taken as it stands.
func (t *Template) Unfolded() bool {
	return slices.ContainsFunc(t.parts, func(p part) bool { return p.get != nil && p.whose == ofEntry })
}

// Texts returns the texts that stand in the template, its defaults included.
func (t *Template) Texts() (out []string) {
	for _, p := range t.parts {
		out = append(out, p.text+p.empty)
	}
	return out
}

// Pattern returns a regular expression of what Append makes, of which a field is
// any text that field matches. literal tells how much of it is fixed.
func (t *Template) Pattern(quote func(string) string, field string) (pattern string, literal int) {
	var b strings.Builder
	b.WriteString("^")
	for _, p := range t.parts {
		if p.get == nil {
			literal += len(p.text)
			b.WriteString(quote(p.text))
			continue
		}
		b.WriteString(field)
	}
	b.WriteString("$")
	return b.String(), literal
}

// Append appends the text for an envelope. A field that is empty or not there, and
// has no default, becomes absent. found tells whether any field was there.
func (t *Template) Append(dst []byte, e *envelope.Envelope, from *Origin, absent string) (out []byte, found bool) {
	for i := range t.parts {
		p := &t.parts[i]
		if p.get == nil {
			dst = append(dst, p.text...)
			continue
		}
		start := len(dst)
		dst = p.get(dst, e, from)
		if text := dst[start:]; len(text) == 0 || p.whose == ofEntry && isNull(text) {
			dst = dst[:start]
			if p.empty != "" {
				dst = append(dst, p.empty...)
			} else {
				dst = append(dst, absent...)
			}
			continue
		}
		found = true
		if p.lower {
			lowerASCII(dst[start:])
		}
	}
	return dst, found
}

func isNull(text []byte) bool { return string(text) == "null" }

// lowerASCII is all that is needed: what is not ASCII is not legal in a topic, and
// stays as it is in a key.
func lowerASCII(text []byte) {
	for i, c := range text {
		if 'A' <= c && c <= 'Z' {
			text[i] = c + 'a' - 'A'
		}
	}
}
