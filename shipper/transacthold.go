package shipper

import (
	"errors"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// blame holds the streams whose own records or topics were why a transaction failed.
func (t *transactor) blame(units []*unit) {
	for _, u := range units {
		for i := range u.batch.Records {
			if err := u.batch.Records[i].err; isTopical(err) {
				t.hold(u, err)
				break
			}
		}
	}
}

// isTopical tells whether err, of a record, speaks of the record or of its topic,
// rather than of the transaction, the client or the network.
func isTopical(err error) bool {
	code, ok := errors.AsType[*kerr.Error](err)
	if !ok {
		return false
	}
	switch code {
	case kerr.TransactionAbortable, kerr.ProducerFenced, kerr.InvalidProducerEpoch, kerr.InvalidProducerIDMapping, kerr.UnknownProducerID,
		kerr.InvalidTxnState, kerr.OutOfOrderSequenceNumber, kerr.DuplicateSequenceNumber, kerr.TransactionalIDAuthorizationFailed, kerr.ConcurrentTransactions,
		kerr.TransactionCoordinatorFenced, kerr.InvalidTransactionTimeout, kerr.ClusterAuthorizationFailed,
		kerr.NotCoordinator, kerr.CoordinatorNotAvailable, kerr.CoordinatorLoadInProgress, kerr.UnknownServerError, kerr.RequestTimedOut, kerr.NetworkException:
		return false
	}
	return true
}

// hold takes the stream of u out of the transactions of all: err is why.
func (t *transactor) hold(u *unit, err error) {
	st := u.stream
	t.mu.Lock()
	was := st.held && st.blocked
	st.held, st.blocked, st.err = true, true, err
	st.failures++
	st.next = time.Now()
	if classify(err) != isolate || st.failures > 1 {
		st.next = st.next.Add(t.p.tune.backoff(st.failures))
	}
	st.restamp = errors.Is(err, kerr.InvalidTimestamp)
	t.mu.Unlock()
	p := t.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.streams[st.id]; s != nil && !was {
		s.failing++
	}
	p.failures[reasonOf(err)]++
	for _, s := range u.spans {
		s.lane.trouble = err
	}
}

// unhold lets a stream into the transactions of all again.
func (t *transactor) unhold(st *transactStream) {
	t.mu.Lock()
	was := st.blocked
	st.held, st.blocked, st.failures, st.err = false, false, 0, nil
	t.mu.Unlock()
	p := t.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.streams[st.id]; s != nil && was {
		s.failing--
	}
}

// holdMissing holds the streams with records without outcome whose topic is not
// there, or has no leader, and reports whether there are any.
func (t *transactor) holdMissing() bool {
	t.mu.Lock()
	units := slices.Clone(t.current)
	t.mu.Unlock()
	units = slices.DeleteFunc(units, func(u *unit) bool { return u.open.Load() <= 0 })
	var topics []string
	for _, u := range units {
		for _, s := range u.spans {
			if !slices.Contains(topics, s.lane.topic) {
				topics = append(topics, s.lane.topic)
			}
		}
	}
	bad := t.p.unavailable(t.client, topics)
	held := false
	for _, u := range units {
		for _, s := range u.spans {
			if err := bad[s.lane.topic]; err != nil {
				t.hold(u, err)
				held = true
				break
			}
		}
	}
	return held
}
