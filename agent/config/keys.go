package config

import (
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// root goes through the top of the configuration.
func (d *decoder) root(n *yaml.Node, c *Config) {
	d.top = n
	d.mapping(n, "", []key{
		{"application", d.text(&c.Application)},
		{"inputs", func(n *yaml.Node, path string) { d.inputList(n, path, c) }},
		{"transforms", d.transforms(&c.Transforms)},
		{"kafka", func(n *yaml.Node, path string) { d.kafkaKeys(n, path, &c.Kafka) }},
		{"state_dir", d.dir(&c.StateDir)},
		{"memory_limit", d.size(&c.MemoryLimit, 1<<20, math.MaxInt64)},
		{"shutdown_timeout", d.duration(&c.ShutdownTimeout, 0, time.Hour)},
		{"checkpoint_interval", d.duration(&c.CheckpointInterval, 10*time.Millisecond, time.Minute)},
		{"readback_timeout", d.duration(&c.ReadbackTimeout, 0, time.Hour)},
		{"rescan_interval", d.duration(&c.RescanInterval, 10*time.Millisecond, time.Hour)},
		{"max_open_files", d.number(&c.MaxOpenFiles, 8, 1<<20)},
		{"pins", func(n *yaml.Node, path string) {
			d.mapping(n, path, []key{{"quota", d.size(&c.Pins.Quota, 0, math.MaxInt64)}})
		}},
		{"admin", func(n *yaml.Node, path string) { d.admin(n, path, &c.Admin) }},
		{"log", func(n *yaml.Node, path string) {
			d.mapping(n, path, []key{{"level", d.level(&c.Log.Level)}, {"format", d.choice(&c.Log.Format, "text", "json")}})
		}},
		{"include", func(n *yaml.Node, path string) {
			d.list(n, path, func(n *yaml.Node, _ string) { d.includes = append(d.includes, n) })
		}},
	})
}

func (d *decoder) inputList(n *yaml.Node, path string, c *Config) {
	if r := d.resolve(n); r.Kind != yaml.SequenceNode {
		d.fail(n, path, "%s where a list of inputs is needed: begin each with a dash", kindOf(r))
		return
	}
	d.list(n, path, func(n *yaml.Node, path string) {
		in := DefaultInput()
		d.inputKeys(n, path, &in)
		c.Inputs = append(c.Inputs, in)
		d.inputs = append(d.inputs, place{d.file, n, path})
	})
}

func (d *decoder) inputKeys(n *yaml.Node, path string, in *Input) {
	d.mapping(n, path, []key{
		{"name", d.text(&in.Name)},
		{"paths", d.patterns(&in.Paths, true)},
		{"exclude", d.patterns(&in.Exclude, false)},
		{"format", d.choice(&in.Format, formats()...)},
		{"timezone", d.timezone(&in.Timezone)},
		{"date_order", d.choice(&in.DateOrder, "auto", "day_first", "month_first")},
		{"inner", d.choice(&in.Inner, innerFormats()...)},
		{"pattern", d.verbatim(&in.Pattern)},
		{"patterns", d.named(&in.Patterns)},
		{"columns", func(n *yaml.Node, path string) { d.list(n, path, d.columns(&in.Columns)) }},
		{"delimiter", d.delimiter(&in.Delimiter)},
		{"map", d.named(&in.Map)},
		{"application", d.text(&in.Application)},
		{"start", d.choice(&in.Start, "beginning", "end")},
		{"multiline", d.multiline(&in.Multiline)},
		{"encoding", d.encoding(in)},
		{"max_line_bytes", d.size(&in.MaxLineBytes, 64, 1<<30)},
		{"rotate_wait", d.duration(&in.RotateWait, 0, time.Hour)},
		{"flush_partial_after", d.duration(&in.FlushPartialAfter, 0, 24*time.Hour)},
		{"pin", d.boolean(&in.Pin)},
		{"topic", d.topicOrTemplate(&in.Topic, &in.TopicAt)},
		{"transforms", d.transforms(&in.Transforms)},
	})
}

func (d *decoder) kafkaKeys(n *yaml.Node, path string, k *Kafka) {
	d.kafka = n
	d.mapping(n, path, []key{
		{"brokers", func(n *yaml.Node, path string) { d.list(n, path, d.broker(&k.Brokers)) }},
		{"topic", d.topicOrTemplate(&k.Topic, &k.TopicAt)},
		{"max_topics", d.number(&k.MaxTopics, 1, 10_000)},
		{"fallback_topic", d.topic(&k.FallbackTopic)},
		{"create_topics", func(n *yaml.Node, path string) {
			k.CreateTopics = &CreateTopics{}
			d.mapping(n, path, []key{
				{"partitions", d.number(&k.CreateTopics.Partitions, 1, 10_000)},
				{"replication", d.number(&k.CreateTopics.Replication, 1, 100)},
			})
		}},
		{"client_id", d.text(&k.ClientID)},
		{"rack", d.text(&k.Rack)},
		{"dial_timeout", d.duration(&k.DialTimeout, 100*time.Millisecond, 5*time.Minute)},
		{"request_timeout", d.duration(&k.RequestTimeout, 100*time.Millisecond, 10*time.Minute)},
		{"watchdog", d.duration(&k.Watchdog, 0, 24*time.Hour)},
		{"compression", d.choice(&k.Compression, "none", "gzip", "snappy", "lz4", "zstd")},
		{"delivery", d.choice(&k.Delivery, "at-least-once", "exactly-once")},
		{"exactly_once", func(n *yaml.Node, path string) {
			d.mapping(n, path, []key{
				{"checkpoint_topic", d.topic(&k.ExactlyOnce.CheckpointTopic)},
				{"transactional_id", d.text(&k.ExactlyOnce.TransactionalID)},
				{"commit_interval", d.duration(&k.ExactlyOnce.CommitInterval, 20*time.Millisecond, 5*time.Second)},
			})
		}},
		{"key", d.recordKey(&k.Key, &k.KeyAt)},
		{"partitioner", d.choice(&k.Partitioner, "murmur2", "sticky")},
		{"timestamp", d.choice(&k.Timestamp, "now", "event")},
		{"linger", d.duration(&k.Linger, 0, 10*time.Second)},
		{"tls", func(n *yaml.Node, path string) { k.TLS = d.tls(n, path) }},
		{"sasl", func(n *yaml.Node, path string) { k.SASL = d.sasl(n, path) }},
		{"too_large", d.choice(&k.TooLarge, "dead_letter", "cut")},
		{"dead_letter", func(n *yaml.Node, path string) {
			d.mapping(n, path, []key{
				{"topic", d.topic(&k.DeadLetter.Topic)},
				{"max_file_bytes", d.size(&k.DeadLetter.MaxFileBytes, 64<<10, math.MaxInt64)},
				{"max_in_a_row", d.number(&k.DeadLetter.MaxInARow, 0, math.MaxInt32)},
			})
		}},
	})
}

type setter = func(n *yaml.Node, path string)

func (d *decoder) text(to *string) setter {
	return func(n *yaml.Node, path string) {
		if s, ok := d.scalar(n, path, "a text"); ok {
			if *to = strings.TrimSpace(s); *to == "" {
				d.fail(n, path, "is empty")
			}
		}
	}
}

func (d *decoder) dir(to *string) setter {
	return func(n *yaml.Node, path string) {
		d.text(to)(n, path)
		if *to == "" {
			return
		}
		abs, err := filepath.Abs(*to)
		if err != nil {
			d.fail(n, path, "%v", err)
			return
		}
		*to = abs
		if abs == "/tmp" || strings.HasPrefix(abs, "/tmp/") || strings.HasPrefix(abs, "/dev/shm") {
			d.warn(n, path, "%s does not outlive a reboot: all files would be sent again", abs)
		}
	}
}

func (d *decoder) boolean(to *bool) setter {
	return func(n *yaml.Node, path string) {
		s, ok := d.scalar(n, path, "true or false")
		if !ok {
			return
		}
		v, err := strconv.ParseBool(s)
		if err != nil {
			d.fail(n, path, "%q is neither true nor false", s)
			return
		}
		*to = v
	}
}

func (d *decoder) number(to *int, low, high int) setter {
	return func(n *yaml.Node, path string) {
		s, ok := d.scalar(n, path, "a number")
		if !ok {
			return
		}
		v, err := strconv.Atoi(s)
		switch {
		case err != nil:
			d.fail(n, path, "%q is not a whole number", s)
		case v < low || v > high:
			d.fail(n, path, "%d is not between %d and %d", v, low, high)
		default:
			*to = v
		}
	}
}

func (d *decoder) duration(to *time.Duration, low, high time.Duration) setter {
	return func(n *yaml.Node, path string) {
		s, ok := d.scalar(n, path, "a duration such as 1s")
		if !ok {
			return
		}
		v, err := time.ParseDuration(s)
		switch {
		case err != nil:
			d.fail(n, path, "%q is not a duration; write 500ms, 10s, 1m30s", s)
		case v < low || v > high:
			d.fail(n, path, "%s is not between %s and %s", s, low, high)
		default:
			*to = v
		}
	}
}

func (d *decoder) size(to *int64, low, high int64) setter {
	return func(n *yaml.Node, path string) {
		s, ok := d.scalar(n, path, "a size such as 64MiB")
		if !ok {
			return
		}
		v, err := parseSize(s)
		switch {
		case err != nil:
			d.fail(n, path, "%v", err)
		case v < low && high == math.MaxInt64:
			d.fail(n, path, "%s is less than %s", s, sizeText(low))
		case v < low || v > high:
			d.fail(n, path, "%s is not between %s and %s", s, sizeText(low), sizeText(high))
		default:
			*to = v
		}
	}
}

var units = []struct { //nolint:gochecknoglobals // a constant table
	name string
	by   float64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"", 1}}

// parseSize reads a number of bytes, such as 64MiB, 10MB or 4096.
func parseSize(s string) (int64, error) {
	for _, u := range units {
		number, ok := strings.CutSuffix(s, u.name)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || v < 0 || v*u.by >= math.MaxInt64 || math.IsNaN(v) {
			break
		}
		return int64(v * u.by), nil
	}
	return 0, fmt.Errorf("%q is not a size; write 4096, 512KiB, 64MiB, 1GiB", s)
}

func (d *decoder) choice(to *string, words ...string) setter {
	return func(n *yaml.Node, path string) {
		s, ok := d.scalar(n, path, "one of "+strings.Join(words, ", "))
		switch {
		case !ok:
		case slices.Contains(words, s):
			*to = s
		default:
			lower := make([]string, len(words))
			for i, w := range words {
				lower[i] = strings.ToLower(w)
			}
			hint := ""
			if i := slices.Index(lower, nearest(s, lower)); i >= 0 {
				hint = fmt.Sprintf(" (did you mean %s?)", words[i])
			}
			d.fail(n, path, "%q is none of %s%s", s, strings.Join(words, ", "), hint)
		}
	}
}

func (d *decoder) level(to *slog.Level) setter {
	return func(n *yaml.Node, path string) {
		word := ""
		d.choice(&word, "debug", "info", "warn", "error")(n, path)
		if word != "" {
			*to = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}[word]
		}
	}
}
