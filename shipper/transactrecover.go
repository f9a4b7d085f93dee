package shipper

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// initLimit bounds one attempt at taking the transactional.id over. Kafka answers
// only when what was under way with it is over.
const initLimit = 30 * time.Second

// claimBytes bounds the values in one transaction of a claim.
const claimBytes = 4 << 20

// resume is Producer.Resume.
func (t *transactor) resume(ctx context.Context, atLeast uint64, waiting func(string)) (Checkpoint, error) {
	t.known = Checkpoint{Kept: map[string]Kept{}}
	if err := t.readLetters(); err != nil {
		return Checkpoint{}, err
	}
	if err := t.connect(ctx, waiting); err != nil {
		return Checkpoint{}, err
	}
	out := t.known
	out.Number, t.number = t.last.number, max(t.last.number, atLeast)
	t.known, t.resumed = Checkpoint{}, true
	return out, nil
}

// claim is Producer.Claim.
func (t *transactor) claim(ctx context.Context, kept []Kept, waiting func(string)) error {
	for first := true; first || len(kept) > 0; first = false {
		n, size := 0, 0
		for n < len(kept) && size < claimBytes {
			size += len(kept[n].Key) + len(kept[n].Value)
			n++
		}
		if err := t.claimSome(ctx, kept[:n], waiting); err != nil {
			return err
		}
		kept = kept[n:]
	}
	t.claimed = true
	t.committed.Store(t.number)
	t.p.mu.Lock()
	defer t.p.mu.Unlock()
	if !t.p.stopped {
		t.p.wg.Go(t.run)
	}
	return nil
}

func (t *transactor) claimSome(ctx context.Context, kept []Kept, waiting func(string)) error {
	want := t.number + 1
	for t.number < want {
		err := ctx.Err()
		if err == nil {
			err = t.begin()
		}
		if err == nil {
			err = t.commit(nil, kept)
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
		waiting(t.describe(err).Error())
		t.drop(err)
		if err := t.connect(ctx, waiting); err != nil {
			return err
		}
	}
	return nil
}

// connect makes a client where there is none, and takes the transactional.id
// over with it, until that succeeds: the outcome of a commit that was asked for is
// known then. It fails only if ctx ends first, or where waiting does not help.
func (t *transactor) connect(ctx context.Context, waiting func(string)) error {
	if t.lost != nil {
		return t.lost
	}
	for failures := 0; ; failures++ {
		if failures > 0 && !sleep(ctx, t.p.tune.backoff(failures)) || ctx.Err() != nil {
			return ctx.Err()
		}
		s, err := t.renewSession()
		if err == nil {
			err = t.takeOver(ctx, s.client)
		}
		switch fenced, is := errors.AsType[*FencedError](err); {
		case err == nil:
			waiting("")
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case is:
			t.lose(fenced)
			return err
		case !t.claimed && (errors.Is(err, ErrTooOld) || errors.Is(err, errForeign)):
			return err
		case errors.Is(err, kgo.ErrClientClosed) && t.p.ctx.Err() != nil:
			return err
		}
		waiting(t.describe(err).Error())
		t.p.opts.Log.Debug("cannot take the transactional.id over yet", "transactional_id", t.o.ID, "error", err)
	}
}

// lose notes, once, that another process has the transactional.id.
func (t *transactor) lose(fenced *FencedError) {
	t.lost = fenced
	close(t.gone)
	t.setTrouble(fenced.Error())
	t.p.opts.Log.Error(fenced.Error())
	if t.o.Fenced != nil {
		t.o.Fenced(fenced)
	}
}

// renewSession puts a new client in the place of the current one, which ends.
func (t *transactor) renewSession() (*session, error) {
	p := t.p
	fresh, err := p.newSession()
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	if p.stopped {
		p.mu.Unlock()
		fresh.client.Close()
		return nil, kgo.ErrClientClosed
	}
	old := p.current
	p.current = fresh
	p.sessions[fresh] = struct{}{}
	delete(p.sessions, old)
	p.mu.Unlock()
	old.client.Close()
	return fresh, nil
}

// takeOver makes client the one that sends.
func (t *transactor) takeOver(ctx context.Context, client *kgo.Client) error {
	if err := t.topic.supported(ctx, client); err != nil {
		return err
	}
	if err := t.topic.find(ctx, client); err != nil {
		return err
	}
	if t.claimed { // before we end what another one does
		if err := t.look(ctx, client, false); err != nil {
			return err
		}
	}
	ask, cancel := context.WithTimeout(ctx, initLimit)
	defer cancel()
	if id, _, err := client.ProducerID(ask); err != nil {
		return err
	} else if id < 0 {
		return fmt.Errorf("%w: they do not know InitProducerId", ErrTooOld)
	}
	if err := t.look(ctx, client, true); err != nil {
		return err
	}
	t.resolve()
	t.mu.Lock()
	t.client = client
	t.mu.Unlock()
	return nil
}

// look reads the checkpoint topic on, and fails with a FencedError if another
// process has committed something.
func (t *transactor) look(ctx context.Context, client *kgo.Client, all bool) error {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	into := &t.known
	if into.Kept == nil {
		into = &Checkpoint{Kept: map[string]Kept{}} // it is known
	}
	if err := t.topic.read(ctx, client, all, into, &t.last); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("checkpoint topic %q: transactions of others are open in it for more than %s: %w [kafka-transaction]", t.topic.name, readLimit, err)
		}
		return err
	}
	if t.resumed && t.last.instance != t.instance && t.last.number > t.number {
		return &FencedError{ID: t.o.ID, Host: t.last.host, Since: t.last.at}
	}
	return nil
}

// resolve finds out what became of the commit whose outcome was not known, now
// that Kafka has decided, and queues what was not committed.
func (t *transactor) resolve() {
	c := t.pending
	t.pending = nil
	if c == nil {
		return
	}
	if t.last.instance == t.instance && t.last.number >= c.number {
		t.p.opts.Log.Info("a commit whose answer was lost had succeeded", "transaction", c.number)
		t.number = c.number
		t.settle(c.units)
		return
	}
	t.requeue(c.units)
}

// requeue puts units in front of the queues of their streams.
func (t *transactor) requeue(units []*unit) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current, t.bytes = nil, 0
	front := map[*transactStream][]*unit{}
	for _, u := range units {
		front[u.stream] = append(front[u.stream], u)
		t.queued++
	}
	for st, us := range front {
		st.queue = slices.Concat(us, st.queue)
		t.streams[st.id] = st
	}
}

// drop ends the client after a failure, and holds the streams that were at fault.
// What was in the transaction is queued again, unless its commit was asked for:
// then resolve finds out.
func (t *transactor) drop(why error) {
	units := t.closeClient()
	t.mu.Lock()
	err := t.broken
	t.broken = nil
	t.mu.Unlock()
	if err == nil {
		err = why
	}
	if errors.Is(err, errStale) || t.p.ctx.Err() != nil {
		err = nil
	}
	if t.pending == nil {
		t.blame(units)
		t.requeue(units)
	}
	if err == nil {
		return
	}
	t.p.count(reasonOf(err))
	t.p.opts.Log.Info("a transaction was given up, and is made again", "transaction", t.number+1, "batches", len(units), "outcome_known", t.pending == nil, "error", err)
}

// closeClient ends the client, and returns what was in the transaction when all
// outcomes are in.
func (t *transactor) closeClient() []*unit {
	units := t.shut()
	t.mu.Lock()
	client := t.client
	t.client = nil
	t.mu.Unlock()
	if client != nil {
		client.Close()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.unlanded > 0 {
		t.mu.Unlock()
		<-t.wake
		t.mu.Lock()
	}
	return units
}

// renew asks for a new client between two transactions.
func (t *transactor) renew() {
	t.mu.Lock()
	t.stale = true
	t.mu.Unlock()
	t.poke()
}

// setTrouble notes what keeps all transactions from being made; "" is nothing.
func (t *transactor) setTrouble(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trouble = text
}

// problem returns what keeps all transactions from being made.
func (t *transactor) problem() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.trouble
}

// describe puts words to what went wrong with a transaction as such.
func (t *transactor) describe(err error) error {
	switch code, _ := errors.AsType[*kerr.Error](err); code {
	case kerr.TransactionalIDAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.InvalidTransactionTimeout, kerr.TopicAuthorizationFailed:
		return t.topic.describe(err)
	}
	if text := t.p.brokers.refusal(err); text != "" {
		return errors.New(text)
	}
	return err
}
