package agent

import (
	"time"

	"shiplog/agent/config"
	"shiplog/agent/envelope"
	"shiplog/agent/parse"
)

// eventTimes gives records the times that their entries tell.
type eventTimes struct{ o parse.Options }

// earliestEvent is before any log that a file can hold: an older time is that of
// a clock without a battery, or no time at all.
var earliestEvent = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a constant that Go cannot express

// newEventTimes returns what an input's records get their times from, nil where
// that is the clock.
func newEventTimes(c *config.Config, in *config.Input) *eventTimes {
	if c.Kafka.Timestamp != "event" {
		return nil
	}
	return &eventTimes{parse.Options{Location: in.Timezone, DateOrder: parse.DateOrder(in.DateOrder)}}
}

// of returns the time that an envelope tells, in milliseconds since 1970; 0 if it
// tells none, or one that cannot be: before 1990, or later than now. Kafka
// refuses times that are in the future by more than a topic allows, an hour by
// default, and retention would count from them.
func (t *eventTimes) of(e *envelope.Envelope, now time.Time) int64 {
	at, ok := parse.EventTime(e, t.o)
	if !ok || at.Before(earliestEvent) || at.After(now) {
		return 0
	}
	return at.UnixMilli()
}
