package shipper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// ErrClosed is returned by Produce after Close was called. The batch is untouched.
var ErrClosed = errors.New("producer is closed")

// ErrNotDrained is returned by Close when its context ended with records that
// Kafka had not acknowledged. They were reported by done as not settled.
var ErrNotDrained = errors.New("closed before Kafka acknowledged everything")

// ErrNoTopic is what a Record.Refuse wraps for a record that may be sent, if only
// there were a topic for it: its bytes may go to the dead letter topic.
var ErrNoTopic = errors.New("there is no topic for it")

// errUnsent marks a record that was kept back behind a failed one.
var errUnsent = errors.New("not sent: a record before it failed")

// errWantsKey marks the refusal of a record without a key by a topic that is
// compacted, or may be: then the topic would refuse every record of ours.
var errWantsKey = errors.New("record without a key")

// brakeError marks a record that Kafka refuses as it has the n before it.
type brakeError struct {
	n   int
	err error
}

func (e *brakeError) Error() string {
	return fmt.Sprintf("the last %d were refused as well: %v", e.n, e.err)
}
func (e *brakeError) Unwrap() error { return e.err }

// refusal marks a record that the caller does not want to be sent.
type refusal struct{ why error }

func (r *refusal) Error() string { return r.why.Error() }
func (r *refusal) Unwrap() error { return r.why }

// class is what a failed record needs.
type class int

const (
	// retry: the fault is not the record's. It is sent again, for ever.
	retry class = iota
	// isolate: the fault may be the record's. It is sent again alone, and is
	// a dead letter if it is refused alone.
	isolate
	// stop: our own client was closed. Nothing is decided about the record.
	stop
)

// classify says what a record needs that failed with err. What it does not
// know is retried: to be stuck, and red, is better than to drop. So is what
// speaks of the topic or of this host, since it would make a dead letter of
// every record: the time, and the way that the bytes took.
func classify(err error) class {
	switch {
	case errors.Is(err, kgo.ErrClientClosed):
		return stop
	case errors.Is(err, errWantsKey):
		return retry
	}
	if _, ok := errors.AsType[*brakeError](err); ok {
		return retry
	}
	if _, ok := errors.AsType[*refusal](err); ok {
		return isolate
	}
	code, ok := errors.AsType[*kerr.Error](err)
	if !ok {
		// Dial and TLS errors, time-outs, end of file, and kgo's own words
		// about metadata: the network or the cluster, never the record.
		return retry
	}
	switch code {
	case kerr.MessageTooLarge, // more than max.message.bytes, or more than kgo can put into a batch
		kerr.RecordListTooLarge, // more than segment.bytes
		kerr.InvalidRecord:      // the broker's own validation; see wantsKey for when that is not the record's
		return isolate
	}
	// InvalidTimestamp: the clock of this host, or the topic's limits; see
	// restamp. CorruptMessage: what we sent was damaged on its way, or an old
	// broker means that a compacted topic wants keys. And rights, missing
	// topics, leaders, replicas, time-outs, passwords, producer ids, and codes
	// that are newer than this program.
	return retry
}

// cause returns the error that explains why records failed: that of the first
// which is not merely a consequence of another. nil if none failed, or all
// were only kept back.
func cause(records []*Record) error {
	for _, r := range records {
		if r.err != nil && !errors.Is(r.err, errUnsent) && !errors.Is(r.err, context.Canceled) {
			return r.err
		}
	}
	return nil
}

// spoilsClient tells whether a client that has seen err may never send again:
// kgo keeps the first refusal of a producer id for good, and does not adopt
// the new id of a topic that was deleted and created again.
func spoilsClient(err error) bool {
	code, ok := errors.AsType[*kerr.Error](err)
	if !ok {
		return false
	}
	switch code {
	case kerr.UnknownTopicID, kerr.InconsistentTopicID,
		kerr.ClusterAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed,
		kerr.ProducerFenced, kerr.InvalidProducerEpoch, kerr.InvalidProducerIDMapping,
		kerr.UnsupportedVersion, kerr.InvalidRequest:
		return true
	}
	return false
}

// reasonOf returns one word for what failed, of a bounded number of words.
func reasonOf(err error) string {
	if _, ok := errors.AsType[*letterError](err); ok {
		return "dead_letter_file"
	}
	if code, ok := errors.AsType[*kerr.Error](err); ok {
		return code.Message
	}
	if errors.Is(err, errWantsKey) {
		return "key_missing"
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, kgo.ErrRecordTimeout) || errors.Is(err, os.ErrDeadlineExceeded) {
		return "timeout"
	}
	if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "network"
	}
	return "other"
}

// isLogin tells whether Kafka refused our credentials, or we could not show any.
func isLogin(err error) bool {
	if _, ok := errors.AsType[*accessError](err); ok {
		return true
	}
	code, _ := errors.AsType[*kerr.Error](err)
	switch code {
	case kerr.SaslAuthenticationFailed, kerr.UnsupportedSaslMechanism, kerr.IllegalSaslState:
		return true
	}
	return false
}

// isForbidden tells whether Kafka knows us, and does not let us.
func isForbidden(err error) bool {
	code, _ := errors.AsType[*kerr.Error](err)
	switch code {
	case kerr.TopicAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.TransactionalIDAuthorizationFailed:
		return true
	}
	return false
}

// describe tells an operator what err means for topic and what to do about it.
func describe(topic string, err error) string { return describeTo(topic, err, "") }

// describeTo is describe, and says who we are to which brokers, where a right is missing.
func describeTo(topic string, err error, who string) string {
	if isLogin(err) {
		return fmt.Sprintf("Kafka refuses to log us in: check the SASL mechanism, user name and password (%v) [kafka-access]", err)
	}
	if full, ok := errors.AsType[*letterError](err); ok {
		return full.Error()
	}
	if braked, ok := errors.AsType[*brakeError](err); ok {
		return fmt.Sprintf("topic %q has refused the last %d records one by one and taken none between, so the fault is hardly theirs: no more become dead letters, "+
			"its lines wait (%v); put the topic right, or set kafka.dead_letter.max_in_a_row to 0 [kafka-refuses-all]", topic, braked.n, braked.err)
	}
	if errors.Is(err, kgo.ErrClientClosed) {
		return fmt.Sprintf("topic %q: nothing was acknowledged for long, so a new connection is made [kafka-silent]", topic)
	}
	if errors.Is(err, errWantsKey) {
		return fmt.Sprintf("topic %q refuses records without a key (%v): it is compacted, or we may not read whether it is (DESCRIBE_CONFIGS); "+
			"set kafka.key, or give the topic cleanup.policy=delete [kafka-key-missing]", topic, err)
	}
	code, _ := errors.AsType[*kerr.Error](err)
	switch code {
	case kerr.InvalidTimestamp:
		return fmt.Sprintf("topic %q refuses the time of our records, it is %s here: correct the clock of this host, "+
			"or the topic's message.timestamp.before.max.ms and message.timestamp.after.max.ms [kafka-clock]", topic, time.Now().UTC().Format(time.RFC3339))
	case kerr.CorruptMessage:
		return fmt.Sprintf("topic %q: a broker says that our records arrive damaged: look at the network between; "+
			"or the topic is compacted and the broker old, then set kafka.key [kafka-damaged]", topic)
	case kerr.UnknownTopicOrPartition, kerr.UnknownTopicID:
		return fmt.Sprintf("topic %q does not exist: create it, or name another [kafka-topic-missing]", topic)
	case kerr.TopicAuthorizationFailed:
		return fmt.Sprintf("no right to write to topic %q: allow this user WRITE and DESCRIBE on it%s [kafka-forbidden]", topic, who)
	case kerr.ClusterAuthorizationFailed:
		return fmt.Sprintf("no right to produce to topic %q with idempotence: allow this user IDEMPOTENT_WRITE on the cluster%s [kafka-forbidden]", topic, who)
	case kerr.InvalidTopicException:
		return fmt.Sprintf("topic %q has a name that Kafka does not allow: name another [kafka-topic-name]", topic)
	case kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend:
		return fmt.Sprintf("topic %q has fewer in-sync replicas than min.insync.replicas asks for: bring its brokers back [kafka-replicas]", topic)
	case kerr.LeaderNotAvailable, kerr.NotLeaderForPartition:
		return fmt.Sprintf("topic %q has a partition without a leader: bring its brokers back [kafka-leader]", topic)
	case kerr.UnsupportedCompressionType:
		return fmt.Sprintf("the brokers of topic %q do not know this compression: choose another [kafka-compression]", topic)
	}
	return fmt.Sprintf("topic %q: %v%s [kafka-error]", topic, err, who)
}
