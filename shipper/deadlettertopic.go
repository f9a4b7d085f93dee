package shipper

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// dueBytes bounds the letters that are read, and sent, at once.
	dueBytes = 512 << 10
	// letterRetries is after how many looks for a missing topic kgo gives a
	// letter up for this time: it is in the file, and must not wait in memory.
	letterRetries = 3
	// letterGrace bounds how long Close waits for the last letters.
	letterGrace = 5 * time.Second
)

// The headers of a record in the dead letter topic, beside those of its source.
const (
	headerReason    = "reason"
	headerCode      = "code"
	headerTopic     = "topic"
	headerTime      = "time"
	headerTruncated = "truncated" // the length of the bytes before they were cut
	headerWithheld  = "withheld"  // "1": the bytes may not leave the host
)

// Disclosure is what of a dead letter may leave this host.
type Disclosure struct {
	Reason, Path string
	Bytes        []byte
	// Withheld says that Bytes may not be sent at all.
	Withheld bool
}

// letterTopic copies the letters of the file to a topic. The file is its
// queue: a letter is settled once it is there, and owed to the topic until it
// has arrived, over restarts too. Its goroutine is one of the Producer's.
type letterTopic struct {
	p       *Producer
	client  solo          // only the goroutine uses it
	closing chan struct{} // closed by Close: one more pass, then end
	over    chan struct{} // closed when the goroutine has ended

	mu  sync.Mutex // guards what follows
	err error      // of the last pass
}

func newLetterTopic(p *Producer) *letterTopic {
	return &letterTopic{p: p, closing: make(chan struct{}), over: make(chan struct{})}
}

// run sends what is due, when something is, until the Producer closes.
func (t *letterTopic) run() {
	defer close(t.over)
	failures := 0
	for last := false; !last; {
		var again <-chan time.Time
		if failures > 0 {
			again = time.After(t.p.tune.backoff(failures))
		}
		select {
		case <-t.p.letters.wake:
		case <-again:
		case <-t.closing:
			last = true
		case <-t.p.ctx.Done():
			return
		}
		err := t.pass()
		failures++
		if err == nil {
			failures = 0
		}
		t.mu.Lock()
		t.err = err
		t.mu.Unlock()
	}
}

// problem returns why letters are not in the topic, "" if nothing is wrong.
func (t *letterTopic) problem() string {
	t.mu.Lock()
	err := t.err
	t.mu.Unlock()
	if err == nil {
		return ""
	}
	return fmt.Sprintf("%d dead letters are not in their topic yet; they are safe in %s, and it is tried again: %s [letter-topic]",
		t.p.letters.state().Due, t.p.letters.path, t.p.brokers.describe(t.p.opts.DeadLetterTopic, err))
}

// pass sends all letters that are due now. One that is refused itself is left
// for the next pass; what speaks of the topic or the cluster ends this one.
func (t *letterTopic) pass() error {
	var refused error
	letters, in, next, err := t.p.letters.due(nil, 0, dueBytes)
	for err == nil && len(letters) > 0 {
		var arrived []int64
		arrived, err = t.send(letters)
		if err != nil && classify(err) == isolate {
			refused, err = err, nil
		}
		err = errors.Join(err, t.note(in, arrived))
		if err == nil {
			letters, in, next, err = t.p.letters.due(in, next, dueBytes)
		}
	}
	if err == nil {
		err = refused
	}
	return err
}

// note notes in the file what has arrived, once a replay lets it: else it would
// be sent twice.
func (t *letterTopic) note(in fs.FileInfo, arrived []int64) error {
	for failures := 1; ; failures++ {
		err := t.p.letters.arrived(in, arrived)
		if !errors.Is(err, errLetterBusy) || !sleep(t.p.ctx, t.p.tune.backoff(failures)) {
			return err
		}
	}
}

// send sends the letters, together first, and returns those that arrived. The
// error is of the last that did not.
func (t *letterTopic) send(letters []dueLetter) (arrived []int64, err error) {
	client, err := t.client.get(t.p.opts, &t.p.brokers,
		kgo.UnknownTopicRetries(letterRetries), kgo.RecordDeliveryTimeout(max(4*t.p.tune.ask, time.Second)))
	if err != nil {
		return nil, err
	}
	topic := t.p.opts.DeadLetterTopic
	t.p.limits.refresh(t.p.ctx, client, topic)
	records := make([]*Record, len(letters))
	for i := range letters {
		records[i] = &Record{Record: *t.record(&letters[i].DeadLetter)}
	}
	send(client, newSequence(0), records)
	for i, r := range records {
		if r.err != nil {
			// Alone, since in its batch another may have been at fault.
			if r.err = t.alone(client, r); r.err != nil {
				err = r.err
			}
		}
		if r.err == nil {
			arrived = append(arrived, letters[i].at)
		} else if classify(r.err) != isolate {
			break
		}
	}
	if spoilsClient(err) {
		t.client.drop()
	}
	return arrived, err
}

// alone sends one letter, with its bytes cut as far as the topic asks for.
func (t *letterTopic) alone(client *kgo.Client, r *Record) error {
	whole := len(r.Value)
	for {
		send(client, newSequence(0), []*Record{r})
		if !errors.Is(r.err, kerr.MessageTooLarge) && !errors.Is(r.err, kerr.RecordListTooLarge) || len(r.Value) == 0 {
			return r.err
		}
		fits := len(r.Value) / 2
		if limit := int(t.p.limits.known(r.Topic)); limit > 0 {
			fits = min(len(r.Value)-1, max(limit-batchOverhead-(recordSize(r)-len(r.Value))-headerOverhead-20, 0))
			if whole > len(r.Value) { // that was not enough
				fits = len(r.Value) / 2
			}
		}
		r.Value = r.Value[:fits]
		r.Headers = slices.DeleteFunc(r.Headers, func(h kgo.RecordHeader) bool { return h.Key == headerTruncated })
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: headerTruncated, Value: strconv.AppendInt(nil, int64(whole), 10)})
	}
}

// record makes the topic's record of d. Its key is the place of the entry, so
// that a compacted topic takes it, and keeps the last letter of each place.
func (t *letterTopic) record(d *DeadLetter) *kgo.Record {
	open := Disclosure{Reason: d.Reason, Path: d.Path, Bytes: d.Bytes, Withheld: d.Withheld}
	if t.p.opts.Disclose != nil {
		open = t.p.opts.Disclose(d)
	}
	r := &kgo.Record{
		Topic:     t.p.opts.DeadLetterTopic,
		Key:       fmt.Appendf(nil, "%s-%d", d.Source, d.Offset),
		Timestamp: time.Now(),
		Headers: []kgo.RecordHeader{
			{Key: headerReason, Value: []byte(open.Reason)},
			{Key: headerCode, Value: []byte(d.Code)},
			{Key: headerTopic, Value: []byte(d.Topic)},
			{Key: headerPath, Value: []byte(open.Path)},
			{Key: headerSource, Value: []byte(d.Source)},
			{Key: headerOffset, Value: strconv.AppendInt(nil, d.Offset, 10)},
			{Key: headerLength, Value: strconv.AppendInt(nil, d.Length, 10)},
			{Key: headerHost, Value: []byte(d.Host)},
			{Key: headerTime, Value: []byte(d.Time.UTC().Format(time.RFC3339Nano))},
		},
	}
	if d.Withheld || open.Withheld {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: headerWithheld, Value: []byte("1")})
		r.Value = []byte{} // not nil, which a compacted topic takes for a deletion
		return r
	}
	r.Value = open.Bytes
	return r
}
