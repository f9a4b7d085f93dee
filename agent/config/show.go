package config

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// Text returns the configuration as it applies, defaults and included inputs
// filled in, as YAML that could be read again. Secrets are ***, and so is what a
// URL carries beside its path; what is empty by default is left out.
func (c *Config) Text() string {
	var b strings.Builder
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := errors.Join(e.Encode(shown(reflect.ValueOf(*c), reflect.ValueOf(Default()))), e.Close()); err != nil {
		return "# it cannot be shown: " + err.Error() + "\n"
	}
	return b.String()
}

// shown returns the node of a value, nil of one that is empty as its default is.
// An invalid default stands for the zero value.
func shown(v, by reflect.Value) *yaml.Node {
	if v.IsZero() && (!by.IsValid() || by.IsZero()) {
		return nil
	}
	switch x := v.Interface().(type) {
	case Secret:
		return textNode(hidden)
	case slog.Level:
		return textNode(strings.ToLower(x.String()))
	case time.Duration:
		return plainNode(strings.Replace(x.String(), "m0s", "m", 1))
	case *time.Location:
		return textNode(x.String())
	case *regexp.Regexp:
		return textNode(x.String())
	case byte: // a delimiter
		return textNode(string(rune(x)))
	case int64:
		return plainNode(sizeText(x))
	case []Pair:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, p := range x {
			n.Content = append(n.Content, textNode(p.Name), textNode(p.Value))
		}
		return n
	case map[string]string:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, name := range slices.Sorted(maps.Keys(x)) {
			n.Content = append(n.Content, textNode(name), textNode(x[name]))
		}
		return n
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.Elem().Kind() != reflect.Struct {
			return plainNode(fmt.Sprint(v.Elem().Interface()))
		}
		return shownStruct(v.Elem(), defaultOf(v.Type().Elem()))
	case reflect.Struct:
		return shownStruct(v, by)
	case reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range v.Len() {
			n.Content = append(n.Content, shown(v.Index(i), defaultOf(v.Type().Elem())))
		}
		return n
	case reflect.String:
		return textNode(v.String())
	}
	return plainNode(fmt.Sprint(v.Interface()))
}

// defaultOf returns what something is of which no key is set.
func defaultOf(t reflect.Type) reflect.Value {
	switch t {
	case reflect.TypeFor[Input]():
		return reflect.ValueOf(DefaultInput())
	case reflect.TypeFor[SASL]():
		return reflect.ValueOf(SASL{Kerberos: Kerberos{FAST: true}})
	}
	return reflect.Zero(t)
}

// shownStruct returns the keys of a struct.
func shownStruct(v, by reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Type == reflect.TypeFor[Place]() || f.Name == "Warnings" {
			continue
		}
		value := shown(v.Field(i), by.Field(i))
		switch f.Name {
		case "TokenEndpoint":
			if value != nil {
				value = textNode(bareURL(v.Field(i).String()))
			}
		case "Preset": // and patterns exclude each other
			if v.Field(i).String() == "" {
				value = nil
			}
		case "Kerberos": // has a default that goes with one mechanism only
			if v.FieldByName("Mechanism").String() != GSSAPI {
				value = nil
			}
		}
		if value != nil {
			n.Content = append(n.Content, textNode(keyOf(f.Name)), value)
		}
	}
	return n
}

// bareURL returns a URL without what may be a secret.
func bareURL(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.RawQuery == "" && u.Fragment == "" && u.User == nil {
		return s
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawQuery: hidden}).String()
}

// textNode is a text as [expand] reads it.
func textNode(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(strings.ReplaceAll(s, "${", "$${"))
	return n
}

// plainNode is a number, a size, or true or false.
func plainNode(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: s} }

// sizeText writes a number of bytes as parseSize reads it.
func sizeText(n int64) string {
	for _, u := range units[:3] {
		if by := int64(u.by); n >= by && n%by == 0 && n/by < 1024 {
			return strconv.FormatInt(n/by, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}
