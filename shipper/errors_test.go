package shipper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestClassify(t *testing.T) {
	isolated := map[*kerr.Error]bool{
		kerr.MessageTooLarge: true, kerr.RecordListTooLarge: true, kerr.InvalidRecord: true,
	}
	const newest = 136 // the highest code that kerr knows
	for code := int16(-1); code <= newest; code++ {
		err := kerr.TypedErrorForCode(code)
		if err == nil {
			continue // 0: no error
		}
		want := retry
		if isolated[err] {
			want = isolate
		}
		if got := classify(err); got != want {
			t.Errorf("%s: class %d, want %d", err.Message, got, want)
		}
		if got := classify(fmt.Errorf("as kgo wraps it: %w", err)); got != want {
			t.Errorf("wrapped %s: class %d, want %d", err.Message, got, want)
		}
	}
	for _, tc := range []struct {
		err  error
		want class
	}{
		{kgo.ErrClientClosed, stop},
		{fmt.Errorf("late: %w", kgo.ErrClientClosed), stop},
		{kgo.ErrRecordTimeout, retry},
		{kgo.ErrRecordRetries, retry},
		{kgo.ErrMaxBuffered, retry},
		{kgo.ErrAborting, retry},
		{kerr.ErrorForCode(32000), retry}, // newer than kerr
		{io.EOF, retry},
		{context.Canceled, retry},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, retry},
		{errors.New("invalid record partitioning choice of -1 from 1 available"), retry},
		{errUnsent, retry},
		{fmt.Errorf("%w: %w", errWantsKey, kerr.InvalidRecord), retry},
	} {
		if got := classify(tc.err); got != tc.want {
			t.Errorf("%v: class %d, want %d", tc.err, got, tc.want)
		}
	}
}

func TestCauseLooksThroughConsequences(t *testing.T) {
	record := func(err error) *Record { return &Record{err: err} }
	for _, tc := range []struct {
		name    string
		records []*Record
		want    error
	}{
		{"none failed", []*Record{record(nil), record(nil)}, nil},
		{"only consequences", []*Record{record(context.Canceled), record(errUnsent)}, nil},
		{"behind consequences", []*Record{record(nil), record(context.Canceled), record(kerr.InvalidRecord), record(kerr.MessageTooLarge)}, kerr.InvalidRecord},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := cause(tc.records); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestDescribeNamesTopicAndRemedy(t *testing.T) {
	for err, want := range map[error]string{
		kerr.UnknownTopicOrPartition:    "create it",
		kerr.TopicAuthorizationFailed:   "allow this user WRITE",
		kerr.ClusterAuthorizationFailed: "IDEMPOTENT_WRITE",
		kerr.InvalidTopicException:      "name another",
		kerr.NotEnoughReplicas:          "bring its brokers back",
		kerr.LeaderNotAvailable:         "without a leader",
		kerr.UnsupportedCompressionType: "choose another",
		kerr.InvalidTimestamp:           "correct the clock",
		kerr.CorruptMessage:             "look at the network",
		errWantsKey:                     "set kafka.key",
		io.ErrUnexpectedEOF:             "unexpected EOF",
	} {
		if got := describe("logs", err); !strings.Contains(got, `"logs"`) || !strings.Contains(got, want) {
			t.Errorf("%v is described as %q, want the topic and %q", err, got, want)
		}
	}
	if got := describe("", kerr.SaslAuthenticationFailed); !strings.Contains(got, "password") {
		t.Errorf("a refused login is described as %q", got)
	}
}

func TestReasonOf(t *testing.T) {
	for want, err := range map[string]error{
		"UNKNOWN_TOPIC_OR_PARTITION": fmt.Errorf("produce: %w", kerr.UnknownTopicOrPartition),
		"dead_letter_file":           &letterError{"f", os.ErrPermission},
		"key_missing":                errWantsKey,
		"timeout":                    fmt.Errorf("wait: %w", context.DeadlineExceeded),
		"network":                    &net.OpError{Op: "dial", Err: errors.New("connection refused")},
		"other":                      errors.New("what is this"),
	} {
		if got := reasonOf(err); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}
