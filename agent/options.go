package agent

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"

	"shiplog/agent/config"
	"shiplog/agent/envelope"
	"shiplog/agent/parse"
	"shiplog/agent/transform"
	"shiplog/shipper"
	"shiplog/tailer"
)

// deadLetterName is the file under state_dir for what Kafka can never take.
const deadLetterName = "dead-letters.jsonl"

// tailerOptions says to the tailer what the configuration says.
func tailerOptions(c *config.Config, log *slog.Logger) (tailer.Options, error) {
	inputs, err := tailerInputs(c)
	return tailer.Options{
		Inputs: inputs, RescanInterval: c.RescanInterval, MaxOpenFiles: openFiles(c.MaxOpenFiles, log), PinDir: pinDir(c.StateDir), Carry: true, Log: log,
	}, err
}

// tailerInputs says to the tailer what the inputs of the configuration say.
func tailerInputs(c *config.Config) (out []tailer.Input, err error) {
	for i := range c.Inputs {
		in, err := TailerInput(&c.Inputs[i])
		if err != nil {
			return nil, err
		}
		out = append(out, in)
	}
	return out, nil
}

// producerOptions says to the producer what the configuration says.
func producerOptions(c *config.Config, log *slog.Logger) (shipper.Options, error) {
	conn, err := Connection(c)
	if err != nil {
		return shipper.Options{}, err
	}
	o := shipper.Options{
		Brokers: c.Kafka.Brokers, Topic: c.Kafka.Topic, ClientID: c.Kafka.ClientID, Compression: c.Kafka.Compression,
		Linger: c.Kafka.Linger, MemoryLimit: c.MemoryLimit, TLS: conn.TLS, SASL: conn.SASL,
		DeadLetterPath: filepath.Join(c.StateDir, deadLetterName), DeadLetterMaxBytes: c.Kafka.DeadLetter.MaxFileBytes,
		DeadLetterTopic: c.Kafka.DeadLetter.Topic, DeadLettersInARow: c.Kafka.DeadLetter.MaxInARow, Partitioner: c.Kafka.Partitioner,
		Network: network(c), Watchdog: c.Kafka.Watchdog, Log: log,
	}
	if o.Watchdog == 0 {
		o.Watchdog = -1 // the shipper takes zero for its default
	}
	if o.DeadLettersInARow == 0 {
		o.DeadLettersInARow = -1
	}
	if isTemplate(o.Topic) {
		o.Topic = "" // each record names its own
	}
	if t := c.Kafka.CreateTopics; t != nil {
		o.CreateTopics = &shipper.TopicSpec{Partitions: int32(t.Partitions), Replication: int16(t.Replication)}
	}
	if c.Kafka.TooLarge == "cut" {
		o.Cut = cutRecord
	}
	if o.DeadLetterTopic != "" {
		letters, err := newLetterReader(c)
		if err != nil {
			return o, err
		}
		o.Disclose = letters.disclose
	}
	if o.Linger == 0 {
		o.Linger = -1 // the shipper takes zero for its default
	}
	return o, nil
}

// network says how patient connections are.
func network(c *config.Config) shipper.Network {
	return shipper.Network{Rack: c.Kafka.Rack, DialTimeout: c.Kafka.DialTimeout, RequestTimeout: c.Kafka.RequestTimeout}
}

// routes returns what happens to the entries of each input; templates of topics
// lead to those of the set. Its error is of type config.Errors where the
// configuration is at fault.
func routes(c *config.Config, topics *topicSet) ([]*route, error) {
	var out []*route
	var wrong config.Errors
	plan := route{topics: topics, keyText: c.Kafka.Key}
	var ok bool
	if plan.key, ok = map[string]keyKind{"none": keyNone, "file": keyFile, "host": keyHost, "application": keyApplication}[c.Kafka.Key]; !ok {
		var err error
		plan.key = keyTemplate
		if plan.keyOf, err = transform.ParseTemplate(c.Kafka.Key); err != nil {
			wrong = append(wrong, c.Kafka.KeyAt.Error(err.Error()))
		}
	}
	for i := range c.Inputs {
		r, err := newRoute(c, &c.Inputs[i], plan)
		var errs config.Errors
		switch {
		case errors.As(err, &errs):
			wrong = append(wrong, errs...)
			continue
		case err != nil:
			return nil, fmt.Errorf("input %s: %w", c.Inputs[i].Name, err)
		}
		out = append(out, r)
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	return out, nil
}

// newRoute returns what happens to the entries of an input; r has what all inputs
// have in common.
func newRoute(c *config.Config, in *config.Input, r route) (*route, error) {
	var err error
	if r.encoder, err = NewInputEncoder(c, in); err != nil {
		return nil, err
	}
	r.times, r.tally, r.input, r.name, r.common = newEventTimes(c, in), &tally{}, in, []byte(in.Name), c.Transforms
	if err := r.leadTo(c, in); err != nil {
		return nil, err
	}
	r.secrets, err = digestSecrets(c.Transforms, in.Transforms)
	return &r, err
}

// leadTo sets the topic of the input's entries, or its template.
func (r *route) leadTo(c *config.Config, in *config.Input) error {
	text, at := in.Topic, in.TopicAt
	if text == "" {
		text, at = c.Kafka.Topic, c.Kafka.TopicAt
	}
	if r.topic, r.topicText = text, text; !isTemplate(text) {
		return nil
	}
	var err error
	if r.to, err = topicTemplate(text); err != nil {
		return config.Errors{at.Error(err.Error())}
	}
	nobody, _ := r.to.Append(nil, &envelope.Envelope{}, &transform.Origin{}, absentField)
	r.topic = string(legalTopic(nobody))
	return nil
}

// Validate checks what package config cannot: expressions, patterns, keys. Its
// error is of type config.Errors where the configuration is at fault.
func Validate(c *config.Config) error {
	var wrong config.Errors
	_, err := routes(c, nil)
	if err != nil && !errors.As(err, &wrong) {
		return err
	}
	for i := range c.Inputs {
		var more config.Errors
		if _, err := TailerInput(&c.Inputs[i]); err != nil && !errors.As(err, &more) {
			return err
		}
		wrong = append(wrong, more...)
	}
	if len(wrong) > 0 {
		return wrong
	}
	return nil
}

// NewInputEncoder returns the encoder that an input of the configuration asks
// for, with its transformations. Its error is of type config.Errors where the
// configuration is at fault.
func NewInputEncoder(c *config.Config, in *config.Input) (*Encoder, error) {
	enc, err := NewEncoder(in.Format, in.Application, parse.Options{
		Location: in.Timezone, DateOrder: parse.DateOrder(in.DateOrder),
		Map: in.Map, Inner: in.Inner, Pattern: in.Pattern, Patterns: in.Patterns, Columns: in.Columns, Delimiter: in.Delimiter,
	})
	if err != nil {
		return nil, config.Errors{in.At.Error(err.Error())}
	}
	enc.chain, err = chain(append(slices.Clone(c.Transforms), in.Transforms...))
	return enc, err
}

// chain compiles transformations. Its error is of type config.Errors.
func chain(ts []config.Transform) (*transform.Chain, error) {
	if len(ts) == 0 {
		return nil, nil
	}
	var wrong config.Errors
	steps := make([]transform.Step, len(ts))
	for i := range ts {
		var err error
		if steps[i], err = transformStep(&ts[i]); err != nil {
			wrong = append(wrong, ts[i].At.Error(err.Error()))
		}
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	c, err := transform.New(steps)
	if err == nil {
		return c, nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil, err
	}
	for _, e := range joined.Unwrap() {
		if at, ok := errors.AsType[*transform.StepError](e); ok {
			wrong = append(wrong, ts[at.Index].At.Error(at.Err.Error()))
		}
	}
	return nil, wrong
}

func transformStep(t *config.Transform) (transform.Step, error) {
	pairs := func(ps []config.Pair) (out []transform.Pair) {
		for _, p := range ps {
			out = append(out, transform.Pair(p))
		}
		return out
	}
	s := transform.Step{When: t.When, Drop: t.Drop, Keep: t.Keep, Set: pairs(t.Set), Rename: pairs(t.Rename), Remove: t.Remove, Sample: t.Sample}
	if r := t.Redact; r != nil {
		key, err := secretKey(r.Key, r.KeyFile)
		if err != nil {
			return s, fmt.Errorf("redact: %w", err)
		}
		s.Redact = &transform.Redact{Presets: r.Presets, Patterns: r.Patterns, Fields: r.Fields, With: r.With, HashKey: key}
	}
	if h := t.Hash; h != nil {
		key, err := secretKey(h.Key, h.KeyFile)
		if err != nil {
			return s, fmt.Errorf("hash: %w", err)
		}
		s.Hash = &transform.Hash{Fields: h.Fields, Key: key}
	}
	if l := t.Limit; l != nil {
		s.Limit = &transform.Limit{PerSecond: l.PerSecond, Burst: l.Burst}
	}
	return s, nil
}

// digestSecrets returns a digest of what the key files of transformations hold,
// which is a part of what these do.
func digestSecrets(lists ...[]config.Transform) ([sha256.Size]byte, error) {
	h := sha256.New()
	for _, ts := range lists {
		for i := range ts {
			for _, file := range ts[i].KeyFiles() {
				key, err := secretKey("", file)
				if err != nil {
					return [sha256.Size]byte{}, err
				}
				fmt.Fprintf(h, "%d:%s", len(key), key)
			}
		}
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}
