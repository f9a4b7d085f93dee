package agent

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"shiplog/agent/config"
	"shiplog/shipper"
)

// Preflight looks whether the configuration would run here and now, as the user of
// this process: Kafka, the state directory, the inputs, the system's limits. It
// changes nothing, sends nothing, and ends within a bounded time. Its error is that of
// a configuration which cannot be used at all.
func Preflight(ctx context.Context, c *config.Config) ([]shipper.Finding, error) {
	o, err := inspectOptions(c)
	if err != nil {
		return nil, err
	}
	out := shipper.Inspect(ctx, o)
	out = append(out, checkUser(c.StateDir))
	out = append(out, checkStateDir(ctx, c)...)
	inputs, err := checkInputs(ctx, c)
	return append(out, inputs...), err
}

// inspectOptions says to the shipper what records of the configuration are like, and
// where they go.
func inspectOptions(c *config.Config) (shipper.InspectOptions, error) {
	p, err := producerOptions(c, nil)
	if err != nil {
		return shipper.InspectOptions{}, err
	}
	o := shipper.InspectOptions{Brokers: p.Brokers, ClientID: p.ClientID, TLS: p.TLS, SASL: p.SASL, Network: p.Network, CreateTopics: p.CreateTopics}
	if c.Kafka.Delivery == "exactly-once" {
		o.CheckpointTopic = c.Kafka.ExactlyOnce.CheckpointTopic
	}
	fixed, templates := FixedTopics(c)
	for _, name := range fixed {
		o.Topics = append(o.Topics, recordTopic(c, name, ""))
	}
	if dead := c.Kafka.DeadLetter.Topic; dead != "" {
		o.Topics = append(o.Topics, shipper.InspectTopic{Name: dead, Role: "dead letters", Keyed: true})
	}
	if !templates {
		return o, nil
	}
	all, err := routes(c, nil)
	if err != nil {
		return o, err
	}
	for _, r := range all {
		known := func(t shipper.InspectTemplate) bool { return t.Text == r.topicText }
		if r.to == nil || slices.ContainsFunc(o.Templates, known) {
			continue
		}
		pattern, _, err := topicPattern(r.to)
		if err != nil {
			return o, err
		}
		o.Templates = append(o.Templates, shipper.InspectTemplate{
			Text: r.topicText, Pattern: pattern, Example: r.topic, Except: []string{c.Kafka.DeadLetter.Topic},
			Topic: recordTopic(c, r.topicText, "by template"),
		})
	}
	return o, nil
}

// recordTopic says what the records are like of the inputs that send to a topic, or
// by a template, and those that fall back on it.
func recordTopic(c *config.Config, topic, role string) shipper.InspectTopic {
	t := shipper.InspectTopic{
		Name: topic, Role: role, Keyed: c.Kafka.Key != "none", EventTime: c.Kafka.Timestamp == "event",
		Cut: c.Kafka.TooLarge == "cut", ReadBack: c.ReadbackTimeout > 0 && c.Kafka.Delivery != "exactly-once",
	}
	for i := range c.Inputs {
		in := &c.Inputs[i]
		to := cmp.Or(in.Topic, c.Kafka.Topic)
		if to == topic || isTemplate(to) && topic == c.Kafka.FallbackTopic {
			t.Largest = max(t.Largest, in.MaxLineBytes, in.Multiline.MaxBytes)
		}
	}
	return t
}

// checkUser tells as whom rights are looked at, which need not be the service's user.
func checkUser(stateDir string) shipper.Finding {
	who := thisUser()
	f := shipper.Finding{Check: "user", Subject: who, Status: shipper.OK, Says: "rights are looked at as this user"}
	switch owner := ownerOf(stateDir); {
	case owner != "" && owner != who:
		f.Status = shipper.Warning
		f.Says = fmt.Sprintf("rights are looked at as this user, but %s belongs to %s", Printable(stateDir), owner)
		f.Remedy = fmt.Sprintf("check as the user of the service: runuser -u %s -- shiplog check --connect --config FILE", shellQuote(owner))
	case isRoot():
		f.Says += ", who may read everything: where the service runs as another, check as that one"
	}
	return f
}

// counted is a number of files or folders with its noun.
func counted(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// nearestFolder returns the first of path and the folders above it that is there.
func nearestFolder(path string) string {
	if first := firstMissing(path); first != path || !isThere(path) {
		return filepath.Dir(first)
	}
	return path
}
