package shipper

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// lettersKnown bounds how much of the end of the dead letter file is looked at,
// in bytes: what was not committed was written last.
const lettersKnown = 16 << 20

// letterID is the entry of which a dead letter was made.
type letterID struct {
	source         string
	offset, length int64
}

// readLetters learns which letters are in the file already: those of a
// transaction that was not committed are made again.
func (t *transactor) readLetters() error {
	t.letters = make(map[letterID]uint64)
	if t.p.opts.DeadLetterPath == "" {
		return nil
	}
	return ReadLastDeadLetters(t.p.opts.DeadLetterPath, lettersKnown, func(l *Letter) error {
		t.letters[letterID{l.Source, l.Offset, l.Length}] = xxhash.Sum64(l.Bytes)
		return nil
	})
}

// lookAtHeld looks at the held streams that are due: each one's first batch is
// sent by itself.
func (t *transactor) lookAtHeld() {
	t.mu.Lock()
	var due []*transactStream
	for _, st := range t.streams {
		if st.held && len(st.queue) > 0 && !time.Now().Before(st.next) {
			st.busy = true
			due = append(due, st)
		}
	}
	t.mu.Unlock()
	if len(due) == 0 {
		return
	}
	t.careful = true
	t.dropQuietly()
	bad := map[string]error{} // topics that nothing can be sent to in this round
	for _, st := range due {
		t.mu.Lock()
		u := st.queue[0]
		t.mu.Unlock()
		err := t.sendHeld(u, bad)
		switch {
		case t.p.ctx.Err() != nil || errors.Is(err, errGone):
		case err != nil:
			t.hold(u, err)
		default:
			t.unhold(st)
		}
		t.mu.Lock()
		st.busy = false
		t.mu.Unlock()
	}
	t.careful = false
	t.dropQuietly()
}

// dropQuietly ends the client, which is in no transaction.
func (t *transactor) dropQuietly() {
	if t.client != nil {
		t.drop(errStale)
	}
}

// errGone says that the transactor ends.
var errGone = errors.New("the transactional.id is not ours any more")

// sendHeld commits u by itself. What of it is refused alone becomes a dead letter
// before. It fails if u cannot be sent now.
func (t *transactor) sendHeld(u *unit, bad map[string]error) error {
	var topics []string
	for _, s := range u.spans {
		topics = append(topics, s.lane.topic)
	}
	if err := t.ready(); err != nil {
		return err
	}
	maps.Copy(bad, t.p.unavailable(t.client, topics))
	for _, topic := range topics {
		if err := bad[topic]; err != nil {
			return err
		}
	}
	asked := slices.Clone(topics)
	if letters := t.p.opts.DeadLetterTopic; letters != "" {
		asked = append(asked, letters)
	}
	t.p.limits.refresh(t.p.ctx, t.client, asked...)
	if u.stream.restamp {
		now := time.Now()
		for i := range u.batch.Records {
			u.batch.Records[i].Timestamp = now
		}
	}
	var all []int
	for i := range u.batch.Records {
		if r := &u.batch.Records[i]; r.Refuse != nil {
			if err := t.bury(u, i, &refusal{r.Refuse}); err != nil {
				return err
			}
		}
		all = append(all, i)
	}
	u.refused = false
	defer func() { t.singly = false }()
	for round := 0; ; round++ {
		// Batches get smaller each time that one of several records was too large;
		// if that is not enough, each record has one of its own.
		t.singly = round > 8
		err := t.commitCarefully(u, all)
		if err == nil {
			return nil
		}
		if classify(err) != isolate {
			if len(topics) == 1 && isTopical(err) {
				bad[topics[0]] = err
			}
			return err
		}
		if err := t.sift(u, all); err != nil {
			return err
		}
	}
}

// ready makes a client where there is none.
func (t *transactor) ready() error {
	if t.client != nil {
		return nil
	}
	if t.connect(t.p.ctx, t.setTrouble) != nil {
		return errGone
	}
	return nil
}

// commitCarefully commits u with its checkpoint, sent in small groups.
func (t *transactor) commitCarefully(u *unit, all []int) error {
	if err := t.trySend(u, all); err != nil {
		return err
	}
	t.mu.Lock()
	t.takeOut(u)
	t.mu.Unlock()
	if err := t.commit([]*unit{u}, nil); err != nil {
		t.drop(err)
		if err := t.ready(); err != nil {
			return err
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		if slices.Contains(u.stream.queue, u) { // it was not committed
			return err
		}
		return nil
	}
	t.settle([]*unit{u})
	return nil
}

// takeOut takes u, the first of its stream, out of the queue and into the
// transaction, in which all of it is.
func (t *transactor) takeOut(u *unit) {
	u.stream.queue = slices.Delete(u.stream.queue, 0, 1)
	t.queued--
	t.current = []*unit{u}
}

// sift finds the records among those of u with these indices that are refused
// alone, and makes dead letters of them. It fails if that cannot be found out now.
func (t *transactor) sift(u *unit, among []int) error {
	if len(among) == 1 {
		r := &u.batch.Records[among[0]]
		if _, letter := u.letters[among[0]]; !letter && t.p.surelyTooLarge(r.Topic, []*Record{r}) != nil {
			return t.bury(u, among[0], r.err)
		}
	}
	err := t.trySend(u, among)
	if err == nil {
		err = t.abort()
	}
	switch {
	case err == nil:
		return nil
	case classify(err) != isolate:
		return err
	case len(among) == 1:
		return t.bury(u, among[0], err)
	}
	half := len(among) / 2
	if err := t.sift(u, among[:half]); err != nil {
		return err
	}
	return t.sift(u, among[half:])
}

// abort ends a transaction that was only a trial.
func (t *transactor) abort() error {
	ctx, cancel := context.WithTimeout(t.p.ctx, endLimit)
	defer cancel()
	err := t.client.EndTransaction(ctx, kgo.TryAbort)
	if err != nil {
		t.drop(err)
	}
	return err
}

// trySend begins a transaction and sends records of u, in groups that fit into a
// batch each. After an error there is no client any more; the error is that of the
// record at fault, if one was.
func (t *transactor) trySend(u *unit, among []int) error {
	if err := t.ready(); err != nil {
		return err
	}
	err := t.begin()
	for len(among) > 0 && err == nil {
		n, size := t.fit(u, among)
		t.sendSome(u, among[:n])
		if err = t.flush(); n > 1 && errors.Is(err, kerr.MessageTooLarge) {
			for _, i := range among[:n] {
				t.p.limits.refused(u.batch.Records[i].Topic, size)
			}
		}
		among = among[n:]
	}
	if err != nil {
		t.drop(err)
	}
	return err
}

// fit returns how many of these records fit into one batch, whatever their topics,
// and its size.
func (t *transactor) fit(u *unit, among []int) (n, size int) {
	size = batchOverhead
	for n, i := range among {
		r := &u.batch.Records[i]
		more := recordSize(r)
		if n > 0 && (t.singly || size+more > int(t.p.limits.batchMax(r.Topic))) {
			return n, size
		}
		size += more
	}
	return len(among), size
}

// sendSome hands records of u over.
func (t *transactor) sendSome(u *unit, among []int) {
	some := &unit{t: t, batch: &Batch{}, stream: u.stream}
	t.mu.Lock()
	t.unlanded++
	t.mu.Unlock()
	some.open.Store(int64(len(among)) + 1)
	without := 0
	for _, i := range among {
		r := &u.batch.Records[i].Record
		if letter, ok := u.letters[i]; ok {
			if r = letter; r == nil {
				without++
				continue
			}
		}
		r.Context = u.stream
		t.client.Produce(u.stream, r, func(_ *kgo.Record, err error) { some.land(err) })
	}
	some.release(int64(without) + 1)
}

// bury makes a dead letter of the record with index i, or cuts it to what its
// topic takes; of a letter that its own topic refuses it leaves less. It fails if
// that cannot be done now.
func (t *transactor) bury(u *unit, i int, reason error) error {
	p, r := t.p, &u.batch.Records[i]
	if letter, ok := u.letters[i]; ok {
		if letter == nil || len(letter.Value) == 0 {
			return reason
		}
		shorten(letter, len(letter.Value)/2)
		return nil
	}
	switch {
	case p.wantsKey(r.Topic, r, reason):
		return fmt.Errorf("%w: %w", errWantsKey, reason)
	case r.Refuse == nil && p.brake.holds(r.Topic):
		return &brakeError{p.opts.DeadLettersInARow, reason}
	case p.cut(r.Topic, r, reason):
		return nil
	}
	if r.Refuse == nil {
		p.brake.refused(r.Topic)
	}
	d := p.letter(u.batch, r, reason)
	id := letterID{d.Source, d.Offset, d.Length}
	if sum, ok := t.letters[id]; !ok || sum != xxhash.Sum64(d.Bytes) { // else it is there, of a transaction that was not committed
		if err := p.letters.add(d); err != nil {
			return err
		}
		p.opts.Log.Warn("a record is a dead letter now [record-refused]", "topic", d.Topic, "path", d.Path, "offset", d.Offset,
			"length", d.Length, "reason", d.Reason, "dead_letters", p.opts.DeadLetterPath)
		t.letters[id] = xxhash.Sum64(d.Bytes)
	}
	if u.letters == nil {
		u.letters = make(map[int]*kgo.Record)
	}
	u.letters[i] = nil
	if p.letterTopic != nil {
		letter := p.letterTopic.record(&d)
		if limit := int(p.limits.known(letter.Topic)); limit > 0 {
			if over := batchOverhead + recordSize(&Record{Record: *letter}) + headerOverhead + 20 - limit; over > 0 {
				shorten(letter, max(len(letter.Value)-over, 0))
			}
		}
		u.letters[i] = letter
	}
	return nil
}

// shorten leaves so many bytes of a letter's, and says how many there were.
func shorten(letter *kgo.Record, bytes int) {
	whole := len(letter.Value)
	for _, h := range letter.Headers {
		if h.Key == headerTruncated {
			whole, _ = strconv.Atoi(string(h.Value)) // it is ours
		}
	}
	letter.Value = letter.Value[:min(bytes, len(letter.Value))]
	letter.Headers = slices.DeleteFunc(letter.Headers, func(h kgo.RecordHeader) bool { return h.Key == headerTruncated })
	letter.Headers = append(letter.Headers, kgo.RecordHeader{Key: headerTruncated, Value: strconv.AppendInt(nil, int64(whole), 10)})
}

// unavailable returns, of those topics that cannot be written now, why. What
// cannot be found out is not there.
func (p *Producer) unavailable(client *kgo.Client, topics []string) map[string]error {
	if len(topics) == 0 || client == nil {
		return nil
	}
	resp, err := p.metadata(client, topics)
	if err != nil {
		return nil
	}
	bad := map[string]error{}
	for _, t := range resp.Topics {
		err := kerr.ErrorForCode(t.ErrorCode)
		for i := 0; err == nil && i < len(t.Partitions); i++ {
			err = kerr.ErrorForCode(t.Partitions[i].ErrorCode)
		}
		if t.Topic != nil && err != nil {
			bad[*t.Topic] = err
		}
	}
	return bad
}
