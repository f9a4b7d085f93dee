package shipper

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Transaction makes a Producer send in transactions: what it settles was
// committed together with the checkpoint that passes over it, or was not sent at
// all, as far as a consumer sees that reads committed records only.
type Transaction struct {
	// ID is the transactional.id. Who begins with one ends whatever another
	// process with the same one has under way.
	ID string
	// Topic holds the checkpoints. It has to be compacted.
	Topic string
	// Interval is how long a transaction stays open for more records; 0 is
	// DefaultCommitInterval.
	Interval time.Duration
	// Checkpoint returns what is to be kept in Topic once these batches are
	// settled, by key; nil as a value removes a key. It is called before each
	// commit, by one goroutine at a time, again for the same batches if that
	// commit fails. The batches are read only.
	Checkpoint func([]*Batch) []Kept
	// Fenced, if not nil, is told once that another process took over the ID.
	// Nothing is sent any more then.
	Fenced func(error)
}

// DefaultCommitInterval stands in for Transaction.Interval.
const DefaultCommitInterval = 250 * time.Millisecond

const (
	// transactionTimeout is how long Kafka lets a transaction be open of which it
	// hears no more: as long, and at most ten seconds more, a process that was
	// killed holds consumers back that read committed records.
	transactionTimeout = 15 * time.Second
	// sendLimit is how long a transaction may take until all of it is
	// acknowledged. It is safely below transactionTimeout.
	sendLimit = 10 * time.Second
	// endLimit bounds the wait for the answer to a commit.
	endLimit = 20 * time.Second
	// minTransaction is the smallest bound, in bytes of memory, of a transaction on
	// a slow line.
	minTransaction = 256 << 10
)

// Kept is one value of a checkpoint.
type Kept struct {
	Key   string
	Value []byte
	// Number is that of the transaction that it was committed with. Resume sets it.
	Number uint64
}

// Checkpoint is what an earlier process has committed last.
type Checkpoint struct {
	// Number is that of the last transaction; they grow by one. 0: there was none.
	Number uint64
	// Kept are the values, by key.
	Kept map[string]Kept
}

// FencedError says that another process took over the transactional.id.
type FencedError struct {
	ID, Host string
	Since    time.Time
}

// Error says what to do.
func (e *FencedError) Error() string {
	return fmt.Sprintf("another shiplog, on host %q, uses the transactional.id %s since %s, so this one sends nothing any more: stop one of the two; "+
		"if its state_dir is a copy of the other's, remove the file transactional-id in the copy, and start it again [kafka-fenced]", e.Host, e.ID, e.Since.UTC().Format(time.RFC3339))
}

// ErrTooOld is wrapped by what says that brokers cannot do what exactly-once needs.
var ErrTooOld = errors.New("these brokers are too old for delivery: exactly-once")

// errUncommitted marks the records of a transaction that was not committed, or of
// which that is not known.
var errUncommitted = errors.New("not committed")

// errForeign marks a checkpoint that this program cannot read.
var errForeign = errors.New("the checkpoint in Kafka cannot be read")

// headOf is the key of the record that each transaction has, keyOf that of a value.
func headOf(id string) string     { return id }
func keyOf(id, key string) string { return id + "/" + key }

// head is the record of a transaction in the checkpoint topic that says which it
// was, and who made it.
type head struct {
	number   uint64
	instance uint64 // of the process that made it
	at       time.Time
	host     string
}

// checkpointVersion begins each value in the checkpoint topic. A version that is
// newer than this program's is an error, never skipped.
const checkpointVersion = 1

// append adds the value of the record to dst.
func (h *head) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(append(dst, checkpointVersion), h.number)
	dst = binary.LittleEndian.AppendUint64(dst, h.instance)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(h.at.UnixMilli()))
	return append(dst, h.host...)
}

func parseHead(b []byte) (h head, err error) {
	if err := checkVersion(b, 25); err != nil {
		return h, err
	}
	h.number, h.instance = binary.LittleEndian.Uint64(b[1:]), binary.LittleEndian.Uint64(b[9:])
	h.at, h.host = time.UnixMilli(int64(binary.LittleEndian.Uint64(b[17:]))), string(b[25:])
	return h, nil
}

// checkVersion tells whether b is a value of at least so many bytes that this
// program understands.
func checkVersion(b []byte, atLeast int) error {
	switch {
	case len(b) > 0 && b[0] > checkpointVersion:
		return fmt.Errorf("%w: it has format %d, written by a newer shiplog (this one knows %d): install that version again [kafka-checkpoint]", errForeign, b[0], checkpointVersion)
	case len(b) < atLeast || b[0] != checkpointVersion:
		return fmt.Errorf("%w: a record of %d bytes under our key is not shiplog's: name another topic by kafka.exactly_once.checkpoint_topic [kafka-checkpoint]", errForeign, len(b))
	}
	return nil
}

// append adds the value of the record to dst; nil stays nil, which removes.
func (k *Kept) append(number uint64) []byte {
	if k.Value == nil {
		return nil
	}
	return append(binary.LittleEndian.AppendUint64([]byte{checkpointVersion}, number), k.Value...)
}

// take enters a record of the checkpoint topic, if it is one of ours.
func (c *Checkpoint) take(id string, last *head, r *kgo.Record) error {
	key := string(r.Key)
	if key == headOf(id) {
		h, err := parseHead(r.Value)
		if err == nil && h.number >= last.number {
			*last = h
		}
		return err
	}
	name, ours := strings.CutPrefix(key, keyOf(id, ""))
	if !ours {
		return nil
	}
	if r.Value == nil {
		delete(c.Kept, name)
		return nil
	}
	if err := checkVersion(r.Value, 9); err != nil {
		return err
	}
	number := binary.LittleEndian.Uint64(r.Value[1:])
	if number >= c.Kept[name].Number {
		c.Kept[name] = Kept{Key: name, Value: r.Value[9:], Number: number}
	}
	return nil
}

// Resume takes the transactional.id over from whoever had it, waits until what
// that had under way is over, and returns what was committed last. It waits for
// Kafka, for rights and for the topic as long as ctx lasts, and tells waiting
// why, and "" when that is over. Call it once, before Claim and Produce. It fails
// with ErrTooOld, or where the topic has what this program cannot read.
//
// Transactions of this process have numbers above atLeast, whatever Kafka knows.
func (p *Producer) Resume(ctx context.Context, atLeast uint64, waiting func(why string)) (Checkpoint, error) {
	return p.txn.resume(ctx, atLeast, waiting)
}

// Claim commits values in a transaction of their own, the first of this process,
// and lets Produce begin. It retries as Resume does.
func (p *Producer) Claim(ctx context.Context, kept []Kept, waiting func(why string)) error {
	return p.txn.claim(ctx, kept, waiting)
}

// Committed returns the number of the last transaction all of whose batches were
// reported; 0 before Claim has returned.
func (p *Producer) Committed() uint64 { return p.txn.committed.Load() }
