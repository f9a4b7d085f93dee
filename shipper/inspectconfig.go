package shipper

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// topicKeys are the keys of a topic's configuration that are asked for. Kafka has
// message.timestamp.before.max.ms and after since 3.6, and difference before that.
var topicKeys = []string{ //nolint:gochecknoglobals // a constant that Go cannot express
	"max.message.bytes", "min.insync.replicas", "cleanup.policy", "retention.ms",
	"message.timestamp.type", "message.timestamp.before.max.ms", "message.timestamp.after.max.ms", "message.timestamp.difference.max.ms",
}

// topicConfig is a topic's configuration; nil where it is not known.
type topicConfig map[string]string

func newTopicConfig(entries []kmsg.DescribeConfigsResponseResourceConfig) topicConfig {
	c := topicConfig{}
	for _, e := range entries {
		if e.Value != nil {
			c[e.Name] = *e.Value
		}
	}
	return c
}

// number returns the value of a key, 0 where it is not known.
func (c topicConfig) number(key string) int64 {
	n, err := strconv.ParseInt(c[key], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// span returns a duration that is given in milliseconds; no bound is a negative one.
func (c topicConfig) span(keys ...string) time.Duration {
	for _, key := range keys {
		if n, err := strconv.ParseInt(c[key], 10, 64); err == nil && n >= 0 && n <= math.MaxInt64/int64(time.Millisecond) {
			return time.Duration(n) * time.Millisecond
		}
	}
	return -1
}

// spanText is a duration as people write long ones.
func spanText(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == day:
		return "a day"
	case d > 0 && d%day == 0:
		return fmt.Sprintf("%d days", d/day)
	case d > 0 && d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return d.String()
}

func (t *InspectTopic) judgeSize(c topicConfig) Finding {
	const check = "topic.max_message_bytes"
	limit := c.number("max.message.bytes")
	switch {
	case limit == 0:
		return t.found(check, Unknown, "its max.message.bytes is not told", "")
	case limit < t.Largest:
		fate := "becomes a dead letter [record-refused]"
		if t.Cut {
			fate = "is cut [record-cut]"
		}
		return t.found(check, Warning, fmt.Sprintf("takes records of %d bytes after compression; an entry may have %d, and what is too large %s", limit, t.Largest, fate),
			"raise the topic's max.message.bytes, or lower max_line_bytes and multiline.max_bytes")
	case t.Largest == 0:
		return t.found(check, OK, fmt.Sprintf("takes records of %d bytes after compression", limit), "")
	}
	return t.found(check, OK, fmt.Sprintf("takes records of %d bytes after compression; entries have %d at most, without their envelope", limit, t.Largest), "")
}

// judgeTime tells whether the topic will take the times of our records.
func (t *InspectTopic) judgeTime(v *topicView) Finding {
	const check = "topic.timestamps"
	kind := v.config["message.timestamp.type"]
	if kind == "LogAppendTime" {
		if t.EventTime {
			return t.found(check, Warning, "it puts its own time on records, and not that of the event as kafka.timestamp asks", "give the topic message.timestamp.type=CreateTime")
		}
		return t.found(check, OK, "it puts its own time on records", "")
	}
	before := v.config.span("message.timestamp.before.max.ms", "message.timestamp.difference.max.ms")
	after := v.config.span("message.timestamp.after.max.ms", "message.timestamp.difference.max.ms")
	if s := v.skew; s != nil {
		switch early, late := -s.ahead-s.within, s.ahead-s.within; { // how far our times are after, and before, Kafka's
		case after >= 0 && early > after:
			return t.found(check, Problem, fmt.Sprintf("it refuses times more than %s after its own, and this host's clock is further ahead [kafka-clock]", spanText(after)), "set the clock of this host")
		case before >= 0 && late > before:
			return t.found(check, Problem, fmt.Sprintf("it refuses times more than %s before its own, and this host's clock is further behind [kafka-clock]", spanText(before)), "set the clock of this host")
		}
	}
	kept := v.config.span("retention.ms")
	if t.EventTime && kept >= 0 {
		return t.found(check, Warning, fmt.Sprintf("it keeps records for %s after the time of their event: older lines are deleted as they arrive", spanText(kept)), "raise the topic's retention.ms, or set kafka.timestamp: now")
	}
	says := "it takes the times of records"
	switch {
	case before >= 0 && after >= 0:
		says += fmt.Sprintf(", from %s before its own to %s after", spanText(before), spanText(after))
	case after >= 0:
		says += fmt.Sprintf(", to %s after its own", spanText(after))
	case before >= 0:
		says += fmt.Sprintf(", from %s before its own", spanText(before))
	}
	return t.found(check, OK, says, "")
}
