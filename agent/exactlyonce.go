package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"shiplog/agent/checkpoint"
	"shiplog/shipper"
	"shiplog/tailer"
)

// exactlyOnce is the part of an agent that sends in transactions: the checkpoint
// of each file is committed with the records that it covers, so that what Kafka
// has counts, and the checkpoint on disk is a cache of that.
//
// # Which of the two counts
//
// Each transaction has a number, and each file's entry in Kafka that of the
// transaction that it was committed with. A save of the checkpoint notes the last
// transaction that its entries know of, in the same write. At a start an entry in
// Kafka of a later number has its offset from a transaction that the disk does not
// know of: it counts. Of the same number or an earlier one the disk has that or
// something newer: lines that were left out, a file's new name, a rewind. So a
// rewind while no agent runs counts, and one while it runs does too: the entry
// says up to which transaction what was committed of the file is of before.
//
// What the disk knows better is committed at the start, before anything is read.
// From then on Kafka has an entry for each file that was known, and a lost disk
// costs nothing.
type exactlyOnce struct {
	id    string // transactional.id
	agent *Agent
	ready atomic.Bool              // the ledger has what was committed
	gone  map[tailer.FileID]uint64 // files to be forgotten in Kafka, and the transaction that was to do it; the producer's
}

// idName is the file under state_dir with the transactional.id.
const idName = "transactional-id"

// newExactlyOnce returns nil where records are not sent in transactions.
func newExactlyOnce(a *Agent) (*exactlyOnce, error) {
	if a.config().Kafka.Delivery != "exactly-once" {
		return nil, nil
	}
	x := &exactlyOnce{id: a.config().Kafka.ExactlyOnce.TransactionalID, agent: a, gone: map[tailer.FileID]uint64{}}
	if x.id == "" {
		var err error
		if x.id, err = ownID(a.config().StateDir); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// ownID returns the transactional.id of a state directory, which has one from its
// first use on.
func ownID(dir string) (string, error) {
	path := filepath.Join(dir, idName)
	b, err := os.ReadFile(path)
	if id := strings.TrimSpace(string(b)); err == nil && id != "" {
		return id, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("transactional.id of this agent: %w", err)
	}
	var random [8]byte
	rand.Read(random[:]) //nolint:errcheck // it never fails
	id := fmt.Sprintf("shiplog-%x", random)
	// Whole or not at all: another id would be another agent.
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(id + "\n")
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err == nil {
		err = checkpoint.SyncDir(dir)
	}
	if err != nil {
		return "", fmt.Errorf("transactional.id of this agent: %w", err)
	}
	return id, nil
}

// transaction says to the producer how to send.
func (x *exactlyOnce) transaction() *shipper.Transaction {
	c := x.agent.config().Kafka.ExactlyOnce
	return &shipper.Transaction{ID: x.id, Topic: c.CheckpointTopic, Interval: c.CommitInterval, Checkpoint: x.kept, Fenced: x.agent.fenced}
}

// kept is shipper.Transaction.Checkpoint.
func (x *exactlyOnce) kept(batches []*shipper.Batch) []shipper.Kept {
	shipments := make([]*shipment, len(batches))
	for i, b := range batches {
		shipments[i] = b.Tag.(*shipment)
	}
	return x.keptOf(x.agent.ledger, shipments)
}

// keptOf returns what Kafka is to keep once these shipments are settled.
func (x *exactlyOnce) keptOf(l *ledger, shipments []*shipment) []shipper.Kept {
	entries, gone := l.after(shipments)
	out := make([]shipper.Kept, 0, len(entries))
	for i := range entries {
		delete(x.gone, tailer.FileID(entries[i].ID))
		out = append(out, keptEntry(&entries[i]))
	}
	committed := l.committed()
	for _, id := range gone {
		x.gone[id] = 0
	}
	for id, by := range x.gone {
		if by != 0 && by <= committed {
			delete(x.gone, id)
			continue
		}
		x.gone[id] = committed + 1
		out = append(out, shipper.Kept{Key: id.String()})
	}
	return out
}

func keptEntry(e *checkpoint.Entry) shipper.Kept {
	return shipper.Kept{Key: tailer.FileID(e.ID).String(), Value: e.Encode()}
}

// resume takes up what the run before has committed, before any file is read. It
// waits for Kafka as long as ctx lasts.
func (x *exactlyOnce) resume(ctx context.Context) error {
	a := x.agent
	a.log.Info("delivery is exactly-once: nothing is read before the last commit is known", "transactional_id", x.id, "checkpoint_topic", a.config().Kafka.ExactlyOnce.CheckpointTopic)
	defer a.waiting.Store(nil)
	said := ""
	waiting := func(why string) {
		if why == "" {
			a.waiting.Store(nil)
			return
		}
		text := "before files are read, what was committed last has to be known: " + why
		a.waiting.Store(&text)
		if said != why {
			said = why
			a.log.Warn(text)
		}
	}
	known := a.store.Committed()
	if known.ID != x.id {
		known = checkpoint.Committed{}
	}
	in, err := a.producer.Resume(ctx, known.Number, waiting)
	if err != nil {
		return x.explain(ctx, err)
	}
	if known.Left {
		known.Number = math.MaxUint64
	}
	disk := a.ledger.entries()
	entries, claim, err := reconcile(disk, known.Number, in.Kept)
	if err != nil {
		return err
	}
	if err := a.producer.Claim(ctx, claim, waiting); err != nil {
		return x.explain(ctx, err)
	}
	a.ledger.replace(entries)
	x.ready.Store(true)
	a.log.Info("what was committed last is known", "transactions", in.Number, "files", len(entries), "corrected", len(claim))
	a.tailer.Resume(a.ledger.resume())
	if !known.Left && !slices.ContainsFunc(disk, func(e checkpoint.Entry) bool { return e.Amended > 0 }) {
		a.saveSoon()
		return nil
	}
	// Else the disk would count again at the next start for what was set back by
	// hand, and for what was sent without transactions.
	return a.saveChanges()
}

// explain puts words to why the run cannot begin; nil where it was told to end.
func (x *exactlyOnce) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("delivery: exactly-once: %w", err)
}

// reconcile joins what the disk knows, in which transactions up to number known are,
// with what Kafka has. It returns what is true, and what Kafka is to be told.
func reconcile(disk []checkpoint.Entry, known uint64, kept map[string]shipper.Kept) (entries []checkpoint.Entry, claim []shipper.Kept, err error) {
	there := map[string]bool{}
	for _, d := range disk {
		key := tailer.FileID(d.ID).String()
		there[key] = true
		k, committed := kept[key]
		amended := d.Amended
		d.Amended = 0
		if !committed {
			claim = append(claim, keptEntry(&d))
			entries = append(entries, d)
			continue
		}
		e, err := checkpoint.DecodeEntry(k.Value)
		if err != nil {
			return nil, nil, fmt.Errorf("the checkpoint in Kafka of file %s: %w", key, err)
		}
		switch {
		case k.Number > known && k.Number > amended: // the disk does not know of it
			d.Offset, d.Head, d.Tail, d.Parser, d.Ahead = e.Offset, e.Head, e.Tail, e.Parser, nil
			if e.Seen.After(d.Seen) {
				d.Seen = e.Seen
			}
		case d.Offset != e.Offset || d.Tail != e.Tail:
			claim = append(claim, keptEntry(&d))
		}
		entries = append(entries, d)
	}
	for key, k := range kept {
		if there[key] {
			continue
		}
		if k.Number <= known { // the disk has forgotten it
			claim = append(claim, shipper.Kept{Key: key})
			continue
		}
		e, err := checkpoint.DecodeEntry(k.Value)
		if id, kerr := strconv.ParseUint(key, 16, 64); err != nil || kerr != nil || id != e.ID {
			return nil, nil, fmt.Errorf("the checkpoint in Kafka of file %s: %w", key, errors.Join(err, kerr))
		}
		e.Amended = 0
		entries = append(entries, e)
	}
	return entries, claim, nil
}

// committed returns what a save that begins now may say of the last transaction.
func (a *Agent) committed() checkpoint.Committed {
	if a.exact == nil {
		c := a.store.Committed()
		c.Left = c.ID != ""
		return c
	}
	if !a.exact.ready.Load() { // the entries are still the disk's own
		return a.store.Committed()
	}
	return checkpoint.Committed{ID: a.exact.id, Number: a.producer.Committed()}
}

// fenced is told that another agent has taken the transactional.id over. This one
// stays, so that its health says so, and that a service manager does not have
// both take it from each other in turns; a run with Once ends.
func (a *Agent) fenced(err error) {
	if a.o.Once {
		a.giveUp(err)
	}
}
