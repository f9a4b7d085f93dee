package shipper

import (
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"
)

// unit is a batch in the hands of the transactor.
type unit struct {
	t      *transactor
	batch  *Batch
	spans  []*span
	stream *transactStream
	// refused says that it has records that may not be sent, and that are no dead
	// letters yet.
	refused bool
	open    atomic.Int64 // records without outcome, and one for who hands over
	failed  atomic.Bool  // one of them has failed
	hint    int          // where the next failed record is looked for; owned by the promises
	// letters are what is sent in place of records that became dead letters, by
	// their index; nil where nothing is.
	letters map[int]*kgo.Record
}

// handOver gives the records to client.
func (u *unit) handOver(client *kgo.Client) {
	records := u.batch.Records
	u.open.Store(int64(len(records)) + 1)
	u.failed.Store(false)
	u.hint = 0
	promise := u.promise // one closure for all of them
	without := 0
	for i := range records {
		r := &records[i].Record
		records[i].err = errUncommitted
		if u.letters != nil {
			if letter, ok := u.letters[i]; ok {
				if letter == nil {
					without++
					continue
				}
				letter.Context = u.stream
				client.Produce(u.stream, letter, func(_ *kgo.Record, err error) {
					if err != nil {
						records[i].err = err
					}
					u.land(err)
				})
				continue
			}
		}
		r.Context = u.stream
		client.Produce(u.stream, r, promise)
	}
	u.release(int64(without) + 1)
}

// promise is called by kgo for each record, one after the other.
func (u *unit) promise(r *kgo.Record, err error) {
	if err != nil {
		u.find(r).err = err
	}
	u.land(err)
}

func (u *unit) land(err error) {
	if err != nil {
		u.failed.Store(true)
		u.t.fail(err)
	}
	u.release(1)
}

// find returns our record around r.
func (u *unit) find(r *kgo.Record) *Record {
	records := u.batch.Records
	for range records {
		mine := &records[u.hint]
		u.hint = (u.hint + 1) % len(records)
		if &mine.Record == r {
			return mine
		}
	}
	return &Record{} // not reached: kgo calls a promise with the record it was given
}

// prove notes that the topics of u take records, unless one of u was refused. The
// commit is for later: a stream that waited for it would begin with a pause.
func (p *Producer) prove(u *unit) {
	if u.failed.Load() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range u.spans {
		s.lane.proven = true
	}
}

func (u *unit) release(n int64) {
	if u.open.Add(-n) > 0 {
		return
	}
	t := u.t
	t.p.prove(u)
	t.mu.Lock()
	t.unlanded--
	last := t.unlanded == 0 && !t.open
	t.mu.Unlock()
	if last {
		t.poke()
	}
}
