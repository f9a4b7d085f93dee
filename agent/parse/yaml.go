package parse

import (
	"bytes"
	"errors"
	"io"

	"gopkg.in/yaml.v3"

	"shiplog/agent/envelope"
)

// fromYAML reads an envelope by the YAML library. Aliases, anchors and tags
// have no place in a log line, and are refused.
func (r *fastReader) fromYAML(text []byte) error {
	root, err := yamlMapping(text)
	if err != nil {
		return err
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, v := root.Content[i], root.Content[i+1]
		if key.Value == "payload" && v.Kind == yaml.MappingNode {
			if r.payload {
				return ErrTwice
			}
			r.payload, r.within = true, true
			err = r.yamlPayload(v)
		} else {
			err = r.setTop([]byte(key.Value), yamlNode(v))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *fastReader) yamlPayload(payload *yaml.Node) error {
	for i := 0; i+1 < len(payload.Content); i += 2 {
		key, v := payload.Content[i], payload.Content[i+1]
		if key.Value == "params" && v.Kind == yaml.MappingNode {
			if r.seen[params] {
				return ErrTwice
			}
			r.seen[params] = true
			for j := 0; j+1 < len(v.Content); j += 2 {
				r.e.Params = append(r.e.Params, envelope.Member{Key: textValue(v.Content[j].Value), Value: yamlNode(v.Content[j+1])})
			}
			continue
		}
		if err := r.setPayload([]byte(key.Value), yamlNode(v)); err != nil {
			return err
		}
	}
	return nil
}

// yamlMapping returns the one flow mapping that text is.
func yamlMapping(text []byte) (root *yaml.Node, err error) {
	defer func() { // the library is not ours, and the text is anybody's
		if p := recover(); p != nil {
			root, err = nil, ErrRelaxed
		}
	}()
	var doc, more yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	if dec.Decode(&doc) != nil || doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 || !errors.Is(dec.Decode(&more), io.EOF) {
		return nil, ErrRelaxed
	}
	root = doc.Content[0]
	if doc.HeadComment+doc.FootComment != "" || root.Kind != yaml.MappingNode || root.Style&yaml.FlowStyle == 0 || !simpleYAML(root, 0) {
		return nil, ErrRelaxed
	}
	return root, nil
}

// simpleYAML reports whether a node holds nothing but mappings with plain keys,
// lists and scalars.
func simpleYAML(n *yaml.Node, depth int) bool {
	if n.HeadComment+n.LineComment+n.FootComment != "" {
		return false // a comment is part of the line too, and would be lost
	}
	if depth > maxDepth || n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 || n.Kind == yaml.AliasNode {
		return false
	}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && (c.Kind != yaml.ScalarNode || c.Tag == "!!merge") {
			return false
		}
		if !simpleYAML(c, depth+1) {
			return false
		}
	}
	return true
}

// yamlNode returns a node's scalar as it is written, or its JSON.
func yamlNode(n *yaml.Node) node {
	if n.Kind == yaml.ScalarNode {
		return node{Kind: envelope.Text, Bytes: []byte(n.Value)}
	}
	return node{Kind: envelope.JSON, Bytes: appendYAML(nil, n)}
}

func appendYAML(dst []byte, n *yaml.Node) []byte {
	switch n.Kind {
	case yaml.MappingNode:
		dst = append(dst, '{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(envelope.AppendString(dst, []byte(n.Content[i].Value)), ':')
			dst = appendYAML(dst, n.Content[i+1])
		}
		return append(dst, '}')
	case yaml.SequenceNode:
		dst = append(dst, '[')
		for i, c := range n.Content {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendYAML(dst, c)
		}
		return append(dst, ']')
	}
	return envelope.AppendString(dst, []byte(n.Value))
}
