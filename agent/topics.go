package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"shiplog/agent/checkpoint"
	"shiplog/agent/config"
	"shiplog/agent/transform"
	"shiplog/shipper"
)

// absentField stands in a topic for a field that an entry does not have.
const absentField = "unknown"

// topicSet are the topics that templates have led to. What an application writes
// must not make topics without end: where there are as many as may be, what would
// lead to one more goes to the fallback topic, or is a dead letter. The set is
// safe for concurrent use; to look a topic up takes no lock.
type topicSet struct {
	max      int
	fallback string // "": none
	dead     string // the dead letter topic, which must not get lines; "": none
	log      *slog.Logger

	known  atomic.Pointer[map[string]string] // replaced, never changed
	mu     sync.Mutex                        // guards replacing it
	told   atomic.Bool
	beyond atomic.Int64 // entries that had no place
}

func newTopicSet(c *config.Config, log *slog.Logger) *topicSet {
	t := &topicSet{max: c.Kafka.MaxTopics, fallback: c.Kafka.FallbackTopic, dead: c.Kafka.DeadLetter.Topic, log: log}
	t.known.Store(&map[string]string{})
	return t
}

// resolve returns the topic of that name, or where goes what has no place: "" where
// that becomes a dead letter.
func (t *topicSet) resolve(name []byte) (topic string, ok bool) {
	if topic, ok = (*t.known.Load())[string(name)]; ok {
		return topic, true
	}
	if topic, ok = t.add(string(name)); ok {
		return topic, true
	}
	t.beyond.Add(1)
	if !t.told.Swap(true) {
		t.log.Warn("a line leads to one topic more than max_topics, or to the dead letter topic: it goes to the fallback topic, or is a dead letter; further ones are counted only [topic-limit]",
			"topic", string(name), "max_topics", t.max, "fallback_topic", t.fallback)
	}
	return t.fallback, false
}

// add takes the topic in, if there is room for it.
func (t *topicSet) add(name string) (topic string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := *t.known.Load()
	if topic, ok = known[name]; ok {
		return topic, true
	}
	if len(known) >= t.max || name == t.dead {
		return "", false
	}
	more := maps.Clone(known)
	more[name] = name
	t.known.Store(&more)
	return name, true
}

// list returns the topics, sorted.
func (t *topicSet) list() []string { return slices.Sorted(maps.Keys(*t.known.Load())) }

// maxTopicName is the longest name that Kafka takes for a topic.
const maxTopicName = 249

// legalTopic makes a legal topic name of name, in place: what Kafka does not take
// becomes an underscore, and what is too long is cut. Names that begin with two of
// them are Kafka's own.
func legalTopic(name []byte) []byte {
	n := 0
	for i := 0; i < len(name); {
		c, size := name[i], 1
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		case c < utf8.RuneSelf:
			c = '_'
		default:
			_, size = utf8.DecodeRune(name[i:])
			c = '_'
		}
		name[n] = c
		i, n = i+size, n+1
	}
	name = name[:min(n, maxTopicName)]
	for len(name) > 1 && name[0] == '_' && name[1] == '_' {
		name = name[1:]
	}
	if text := string(name); text == "." || text == ".." {
		for i := range name {
			name[i] = '_'
		}
	}
	return name
}

// topicTemplate reads the template of a topic.
func topicTemplate(text string) (*transform.Template, error) {
	t, err := transform.ParseTemplate(text)
	if err != nil {
		return nil, err
	}
	for _, fixed := range t.Texts() {
		if fixed == "" || fixed == "." || fixed == ".." {
			continue
		}
		if err := config.ValidTopic(fixed); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// topicPattern returns what the names have in common that a template leads to, and
// how many of their characters are fixed.
func topicPattern(t *transform.Template) (*regexp.Regexp, int, error) {
	text, literal := t.Pattern(regexp.QuoteMeta, `[a-zA-Z0-9._-]*`)
	pattern, err := regexp.Compile(text)
	return pattern, literal, err
}

// isTemplate tells a template from a name.
func isTemplate(topic string) bool { return strings.Contains(topic, "{{") }

// FixedTopics returns the topics that the configuration names, without those that
// only templates lead to, and whether there are templates.
func FixedTopics(c *config.Config) (fixed []string, templates bool) {
	topics := []string{c.Kafka.FallbackTopic}
	for i := range c.Inputs {
		topics = append(topics, cmp.Or(c.Inputs[i].Topic, c.Kafka.Topic))
	}
	for _, topic := range topics {
		switch {
		case isTemplate(topic):
			templates = true
		case topic != "" && !slices.Contains(fixed, topic):
			fixed = append(fixed, topic)
		}
	}
	if !templates { // nothing falls back
		fixed = slices.DeleteFunc(fixed, func(s string) bool { return s == c.Kafka.FallbackTopic && !named(c, s) })
	}
	return fixed, templates
}

// named tells whether an input sends to the topic.
func named(c *config.Config, topic string) bool {
	return slices.ContainsFunc(c.Inputs, func(in config.Input) bool { return cmp.Or(in.Topic, c.Kafka.Topic) == topic })
}

// templatePatterns returns the patterns of the names that the configuration's
// templates lead to. Those of which nothing is fixed are in open.
func templatePatterns(c *config.Config) (patterns []*regexp.Regexp, open []*regexp.Regexp, err error) {
	for i := range c.Inputs {
		text := cmp.Or(c.Inputs[i].Topic, c.Kafka.Topic)
		if !isTemplate(text) {
			continue
		}
		t, err := topicTemplate(text)
		if err != nil {
			return nil, nil, err
		}
		p, literal, err := topicPattern(t)
		if err != nil {
			return nil, nil, err
		}
		if patterns = append(patterns, p); literal == 0 {
			open = append(open, p)
		}
	}
	return patterns, open, nil
}

// TopicPattern returns what the names have in common of the topics that the template
// kafka.topic leads to, nil where it is a name. Its error is that of a template which
// is not valid, or has nothing fixed, so that it may lead to any topic.
func TopicPattern(c *config.Config) (*regexp.Regexp, error) {
	if !isTemplate(c.Kafka.Topic) {
		return nil, nil
	}
	t, err := topicTemplate(c.Kafka.Topic)
	if err != nil {
		return nil, c.Kafka.TopicAt.Error(err.Error())
	}
	pattern, literal, err := topicPattern(t)
	if err == nil && literal == 0 {
		err = fmt.Errorf("kafka.topic, %s, may lead to any topic, since nothing in it is fixed: name the topics", c.Kafka.Topic)
	}
	return pattern, err
}

func matchesAny(patterns []*regexp.Regexp, s string) bool {
	return slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool { return p.MatchString(s) })
}

// Topics returns the topics that the configuration has sent to: those that it
// names, those that the checkpoint knows, and those in Kafka that its templates
// may have led to. A template without any fixed text leads to all that there are:
// what of these the checkpoint does not know is left out, and partly says so.
func Topics(ctx context.Context, c *config.Config, log *slog.Logger) (topics []string, partly bool, err error) {
	topics, templates := FixedTopics(c)
	if !templates {
		return topics, false, nil
	}
	patterns, open, err := templatePatterns(c)
	if err != nil {
		return nil, false, err
	}
	horizons, err := checkpoint.ReadOnlyHorizons(c.StateDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, false, err
	}
	conn, err := Connection(c)
	if err != nil {
		return nil, false, err
	}
	there, err := shipper.TopicNames(ctx, shipper.ScanOptions{Brokers: c.Kafka.Brokers, ClientID: c.Kafka.ClientID, TLS: conn.TLS, SASL: conn.SASL, Network: network(c), Log: log})
	if err != nil {
		return nil, false, err
	}
	closed := slices.DeleteFunc(patterns, func(p *regexp.Regexp) bool { return slices.Contains(open, p) })
	for _, topic := range there {
		known := slices.ContainsFunc(horizons, func(h checkpoint.Horizon) bool { return h.Topic == topic })
		if (known || matchesAny(closed, topic)) && topic != c.Kafka.DeadLetter.Topic {
			topics = append(topics, topic)
		}
	}
	slices.Sort(topics)
	if topics = slices.Compact(topics); len(topics) == 0 {
		return nil, false, fmt.Errorf("no topic is there to which the templates of the configuration lead")
	}
	return topics, len(open) > 0, nil
}
