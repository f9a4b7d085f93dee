package config

import (
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Changes returns the keys whose values differ between two configurations, as
// they are written, in the order of Config: kafka.brokers, kafka.sasl.username,
// log.level; of a section that only one of them has, the section. Of inputs
// and transforms it says nothing: see Input.Same and SameTransforms.
func Changes(a, b *Config) []string {
	var out []string
	walk(reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem(), "", func(key string, a, b reflect.Value) {
		if !same(a, b) {
			out = append(out, key)
		}
	})
	return out
}

// Keep gives these keys, of those that Changes returns, the values that from has.
func (c *Config) Keep(from *Config, keys []string) {
	walk(reflect.ValueOf(c).Elem(), reflect.ValueOf(from).Elem(), "", func(key string, to, from reflect.Value) {
		if slices.Contains(keys, key) {
			to.Set(from)
		}
	})
}

// Fit makes whole what Keep has left: a configuration of which some keys are
// those of before. It bounds the lines of inputs by the memory_limit that applies,
// and returns which of their keys a restart would apply in full. Its error says
// that what can be applied now must not be, without what cannot.
func (c *Config) Fit() (restart []string, err error) {
	most := c.MemoryLimit / 2
	for i := range c.Inputs {
		in := &c.Inputs[i]
		for _, bound := range []struct {
			key   string
			bytes *int64
		}{{"max_line_bytes", &in.MaxLineBytes}, {"multiline.max_bytes", &in.Multiline.MaxBytes}} {
			if *bound.bytes > most {
				*bound.bytes = most
				restart = append(restart, bound.key+" of input "+in.Name)
			}
		}
		if err := c.mayGetLines("topic of input "+in.Name, in.Topic); err != nil {
			return nil, err
		}
	}
	return restart, c.mayGetLines("kafka.topic", c.Kafka.Topic)
}

// mayGetLines refuses a topic that dead letters go to.
func (c *Config) mayGetLines(key, topic string) error {
	if topic == "" || topic != c.Kafka.DeadLetter.Topic {
		return nil
	}
	return fmt.Errorf("%s: %q is where dead letters go until a restart applies kafka.dead_letter.topic: restart, or name another topic", key, topic)
}

// Same reports whether two inputs say the same, wherever they stand.
func (in *Input) Same(other *Input) bool {
	return same(reflect.ValueOf(*in), reflect.ValueOf(*other))
}

// SameTransforms reports whether two lists of transformations say the same,
// wherever they stand. What a key file holds is not looked at.
func SameTransforms(a, b []Transform) bool { return same(reflect.ValueOf(a), reflect.ValueOf(b)) }

// walk calls each for every key that has a value of its own.
func walk(a, b reflect.Value, path string, each func(key string, a, b reflect.Value)) {
	for i := range a.NumField() {
		f := a.Type().Field(i)
		switch f.Name {
		case "Inputs", "Transforms", "Warnings":
			continue
		}
		if f.Type == reflect.TypeFor[Place]() {
			continue
		}
		name := f.Tag.Get("key") // where the field's name is another
		if name == "" {
			name = keyOf(f.Name)
		}
		key := join(path, name)
		x, y := a.Field(i), b.Field(i)
		if f.Type.Kind() == reflect.Pointer && f.Type.Elem().Kind() == reflect.Struct && f.Type != reflect.TypeFor[*time.Location]() && !x.IsNil() && !y.IsNil() {
			x, y = x.Elem(), y.Elem()
		}
		if x.Kind() == reflect.Struct {
			walk(x, y, key, each)
			continue
		}
		each(key, x, y)
	}
}

// keyOf returns the key that a field stands for: MaxOpenFiles is max_open_files,
// ClientID client_id.
func keyOf(field string) string {
	switch field {
	case "OAuth":
		return "oauth"
	case "ConfigFile":
		return "krb5_conf"
	case "Profiles":
		return "pprof"
	}
	rs := []rune(field)
	var b strings.Builder
	for i, r := range rs {
		begins := i > 0 && unicode.IsUpper(r) && (unicode.IsLower(rs[i-1]) || i+1 < len(rs) && unicode.IsLower(rs[i+1]))
		if begins {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// same is reflect.DeepEqual for what a configuration is made of, without the
// places where things stand.
func same(a, b reflect.Value) bool {
	switch x := a.Interface().(type) {
	case Place:
		return true
	case slog.Level:
		return x == b.Interface()
	case *regexp.Regexp:
		y := b.Interface().(*regexp.Regexp)
		return x == y || x != nil && y != nil && x.String() == y.String()
	case *time.Location:
		y := b.Interface().(*time.Location)
		return x == y || x != nil && y != nil && x.String() == y.String()
	}
	switch a.Kind() {
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return same(a.Elem(), b.Elem())
	case reflect.Struct:
		for i := range a.NumField() {
			if !same(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !same(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}
