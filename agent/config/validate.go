package config

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/bmatcuk/doublestar/v4"
	"gopkg.in/yaml.v3"
)

// topicMax is the longest name that Kafka takes for a topic.
const topicMax = 249

// topic takes a legal topic name: letters, digits, '.', '_' and '-', as
// org.apache.kafka.common.internals.Topic defines it.
func (d *decoder) topic(to *string) setter {
	return func(n *yaml.Node, path string) {
		s, ok := d.scalar(n, path, "a topic name")
		if !ok {
			return
		}
		if strings.Contains(s, "{{") {
			d.fail(n, path, "a template cannot stand here; name one topic")
			return
		}
		if err := ValidTopic(s); err != nil {
			d.fail(n, path, "%v", err)
			return
		}
		*to = s
	}
}

// topicOrTemplate takes a legal topic name, or any text with {{ in it.
func (d *decoder) topicOrTemplate(to *string, at *Place) setter {
	return d.orTemplate(to, at, d.topic(to))
}

// orTemplate takes any text with {{ in it, and has plain take all else.
func (d *decoder) orTemplate(to *string, at *Place, plain setter) setter {
	return func(n *yaml.Node, path string) {
		*at = d.placeOf(n, path)
		switch r := d.resolve(n); {
		case r.Kind == yaml.ScalarNode && strings.Contains(r.Value, "{{"):
			*to, _ = d.scalar(n, path, "a text")
		case r.Kind == yaml.MappingNode:
			d.fail(n, path, "a mapping where a text is needed; a template that begins with {{ has to stand in quotes")
		default:
			plain(n, path)
		}
	}
}

// ValidTopic says why Kafka does not take a topic of that name.
func ValidTopic(s string) error {
	switch legal := legalTopic(s); {
	case s == "" || s == "." || s == "..":
		return fmt.Errorf("%q is not a topic name", s)
	case len(s) > topicMax:
		return fmt.Errorf("has %d characters; Kafka takes at most %d", len(s), topicMax)
	case legal != s:
		return fmt.Errorf("%q is not a legal topic name: Kafka takes letters, digits, '.', '_' and '-'; did you mean %s?", s, legal)
	}
	return nil
}

// legalTopic returns s with what is not legal in a topic name replaced by dots.
func legalTopic(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
			return c
		}
		return '.'
	}, s)
}

func (d *decoder) recordKey(to *string, at *Place) setter {
	return d.orTemplate(to, at, d.choice(to, "none", "file", "host", "application"))
}

// broker takes a host or host:port.
func (d *decoder) broker(to *[]string) setter {
	return func(n *yaml.Node, path string) {
		s, ok := d.scalar(n, path, "a broker as host:port")
		if !ok {
			return
		}
		addr, err := Broker(s)
		switch {
		case errors.Is(err, errNoAddress):
			d.fail(n, path, "%v; several brokers are a list: [\"kafka1:9092\", \"kafka2:9092\"]", err)
		case err != nil:
			d.fail(n, path, "%v", err)
		default:
			*to = append(*to, addr)
		}
	}
}

// errNoAddress says that a text is no address of a broker.
var errNoAddress = errors.New("is not host:port")

// Broker reads the address of a broker, a host or host:port, and returns it with its
// port, 9092 where none is named.
func Broker(s string) (string, error) {
	switch {
	case strings.Contains(s, "@"): // not to be shown
		return "", errors.New("holds a user or password; write host:port, and who we are in kafka.sasl")
	case strings.Contains(s, "://"):
		return "", fmt.Errorf("%q: write host:port without a scheme; for TLS set kafka.tls", s)
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = strings.Trim(s, "[]"), "9092"
	}
	p, err := strconv.Atoi(port)
	if host == "" || strings.ContainsAny(host, " \t/,") || strings.Contains(host, ":") && net.ParseIP(host) == nil || err != nil || p < 1 || p > 65535 {
		return "", fmt.Errorf("%q %w", s, errNoAddress)
	}
	return net.JoinHostPort(host, port), nil
}

// patterns takes paths with * ? [] {} and **. Paths are made absolute; an
// exclude is matched against the absolute path, one without a folder against the
// file's name.
func (d *decoder) patterns(to *[]string, absolute bool) setter {
	return func(n *yaml.Node, path string) {
		d.list(n, path, func(n *yaml.Node, path string) {
			s, ok := d.scalar(n, path, "a path or pattern")
			switch {
			case !ok:
				return
			case s == "":
				d.fail(n, path, "is empty")
				return
			case strings.ContainsFunc(s, unicode.IsControl):
				d.fail(n, path, "%q has a control character%s", s, backslashHint)
				return
			case !doublestar.ValidatePathPattern(s):
				d.fail(n, path, "%q is not a valid pattern: check its brackets and braces", s)
				return
			}
			if absolute {
				abs, err := filepath.Abs(s)
				if err != nil {
					d.fail(n, path, "%v", err)
					return
				}
				s = abs
			} else if !strings.ContainsAny(s, `/\`) {
				s = "**/" + s // a name alone stands for that name in any folder
			}
			*to = append(*to, s)
		})
	}
}

// validate checks what only the whole configuration can tell.
func (d *decoder) validate(c *Config) {
	example := "; " + smallest // once is enough
	if len(d.inputs) == 0 && !d.kafkaOnly && !d.failedAt("inputs") && !d.failedAt("include") {
		d.fail(d.top, "inputs", "is missing or empty: name at least one input with its paths%s", example)
		example = ""
	}
	switch {
	case d.kafka == nil && !d.failedAt("kafka"):
		d.fail(d.top, "kafka", "is missing: name the brokers%s", example)
	case d.kafka != nil && len(c.Kafka.Brokers) == 0 && !d.failedAt("kafka.brokers"):
		d.fail(d.kafka, "kafka.brokers", "is missing or empty: name at least one broker as host:port")
	}
	d.validateDeadLetter(c)
	d.validateCheckpointTopic(c)
	// Between two attempts of a client lie at most ten seconds, beside their timeouts.
	if k, least := &c.Kafka, max(30*time.Second, 2*c.Kafka.RequestTimeout); d.kafka != nil && k.Watchdog > 0 && k.Watchdog < least {
		d.fail(valueOf(d.kafka, "watchdog"), "kafka.watchdog", "%s is less than %s (30s, and twice request_timeout): a slow broker would be taken for a dead connection", k.Watchdog, least)
	}
	nameless := c.Application == "" && !d.kafkaOnly && !d.failedAt("application")
	names := map[string]place{}
	for i := range c.Inputs {
		d.file = d.inputs[i].file
		d.validateInput(c, i, names, nameless)
	}
}

// validateDeadLetter refuses a topic that would get its own dead letters.
func (d *decoder) validateDeadLetter(c *Config) {
	if d.kafka == nil || c.Kafka.DeadLetter.Topic == "" {
		return
	}
	at := valueOf(valueOf(d.kafka, "dead_letter"), "topic")
	if c.Kafka.DeadLetter.Topic == c.Kafka.FallbackTopic {
		d.fail(at, "kafka.dead_letter.topic", "%q is the fallback topic: name another topic for what it refuses", c.Kafka.FallbackTopic)
	}
	if c.Kafka.DeadLetter.Topic == c.Kafka.Topic {
		d.fail(at, "kafka.dead_letter.topic", "%q is where the lines go: name another topic for what it refuses", c.Kafka.Topic)
	}
	for i := range c.Inputs {
		if c.Kafka.DeadLetter.Topic == c.Inputs[i].Topic {
			d.fail(at, "kafka.dead_letter.topic", "%q is where the lines of input %s go: name another topic for what it refuses", c.Inputs[i].Topic, c.Inputs[i].Name)
		}
	}
}

// validateCheckpointTopic refuses a topic that gets something else too.
func (d *decoder) validateCheckpointTopic(c *Config) {
	if d.kafka == nil || c.Kafka.Delivery != "exactly-once" {
		return
	}
	at := valueOf(valueOf(d.kafka, "exactly_once"), "checkpoint_topic")
	if at == nil {
		at = valueOf(d.kafka, "delivery")
	}
	taken := map[string]string{c.Kafka.Topic: "where the lines go", c.Kafka.FallbackTopic: "the fallback topic", c.Kafka.DeadLetter.Topic: "the dead letter topic"}
	for i := range c.Inputs {
		if t := c.Inputs[i].Topic; t != "" {
			taken[t] = "where the lines of input " + c.Inputs[i].Name + " go"
		}
	}
	if what := taken[c.Kafka.ExactlyOnce.CheckpointTopic]; what != "" {
		d.fail(at, "kafka.exactly_once.checkpoint_topic", "%q is %s: name another topic for the checkpoints", c.Kafka.ExactlyOnce.CheckpointTopic, what)
	}
}

func (d *decoder) validateInput(c *Config, i int, names map[string]place, nameless bool) {
	in, at := &c.Inputs[i], d.inputs[i]
	if len(in.Paths) == 0 && !d.failedAt(at.path+".paths") {
		d.fail(at.node, at.path+".paths", "is missing or empty: name the files, such as [\"/var/log/myapp/*.log\"]")
	}
	if in.Name == "" && len(in.Paths) > 0 {
		in.Name = in.Paths[0]
	}
	if first, twice := names[in.Name]; twice && in.Name != "" {
		d.fail(at.node, at.path+".name", "%q is the name of the input in %s:%d as well; give each its own name", in.Name, first.file, first.node.Line)
	}
	names[in.Name] = at
	if nameless && in.Application == "" && !d.failedAt(at.path+".application") {
		d.fail(at.node, at.path+".application", "is missing: name the application at the top of the file, or for this input")
	}
	if in.Application == "" {
		in.Application = c.Application
	}
	d.validateFormat(in, at)
	if set := valueOf(at.node, "max_line_bytes"); set == at.node {
		in.MaxLineBytes = min(in.MaxLineBytes, c.MemoryLimit/2) // the default gives way
	}
	if in.MaxLineBytes > c.MemoryLimit/2 {
		d.fail(valueOf(at.node, "max_line_bytes"), at.path+".max_line_bytes", "%d bytes are more than half of memory_limit (%d bytes)", in.MaxLineBytes, c.MemoryLimit)
	}
	if in.Multiline.MaxBytes > c.MemoryLimit/2 {
		d.fail(valueOf(at.node, "multiline"), at.path+".multiline.max_bytes", "%d bytes are more than half of memory_limit (%d bytes)", in.Multiline.MaxBytes, c.MemoryLimit)
	}
	if in.Start == "end" {
		d.warn(valueOf(at.node, "start"), at.path+".start", "what is in the files when shiplog first starts is not shipped")
	}
}

// failedAt reports whether something is wrong there already, so that what
// follows from it need not be said.
func (d *decoder) failedAt(path string) bool {
	for _, e := range d.errs {
		if e.File == d.file && (e.Path == path || strings.HasPrefix(e.Path, path+".") || strings.HasPrefix(e.Path, path+"[")) {
			return true
		}
	}
	return false
}

// valueOf returns the value of a key, or the mapping where it has none.
func valueOf(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return n
}
