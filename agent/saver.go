package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// saverState is how the saving of the checkpoint goes.
type saverState struct {
	mu       sync.Mutex
	began    time.Time // of a save that is under way; zero if none is
	ended    time.Time // of the last one that went well
	took     time.Duration
	saves    int64
	failures int64
	fault    string // why the last one failed; "" if it did not
}

func (s *saverState) begin(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began = now
}

// end notes how a save ended, "" for well, and returns how the one before did.
func (s *saverState) end(now time.Time, fault string) (was string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took, s.began = now.Sub(s.began), time.Time{}
	was, s.fault = s.fault, fault
	if fault != "" {
		s.failures++
	} else {
		s.saves, s.ended = s.saves+1, now
	}
	return was
}

// state returns what the status shows.
func (s *saverState) state() CheckpointState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return CheckpointState{Saves: s.saves, Failures: s.failures, LastSave: s.ended, LastSeconds: s.took.Seconds(), Error: s.fault}
}

// save writes to disk what has changed, each checkpoint_interval, until ctx
// ends. An error leaves shipping alone: it is told, and tried again.
func (a *Agent) save(ctx context.Context) {
	a.tellNeeds()
	every := a.config().CheckpointInterval
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-a.kick:
		}
		a.saveOnce()
		if now := a.config().CheckpointInterval; now != every { // by a reload
			every = now
			tick.Reset(every)
		}
	}
}

const (
	// ownMemory is what a run has use for beside memory_limit: clients, the blocks
	// and records on their way, what is compressed.
	ownMemory = 36 << 20
	// fileMemory is what a known file takes, generously, and startMemory what it
	// takes besides while all of them are looked for: a collector that has to make
	// do without that takes half of the processor time of a start.
	fileMemory  = 3 << 10
	startMemory = 3 << 9
	startFor    = time.Minute
)

// tellNeeds tells Options.Needs, unless next to nothing has changed. It belongs to
// the saver.
func (a *Agent) tellNeeds() {
	if a.o.Needs == nil {
		return
	}
	perFile := int64(fileMemory)
	if time.Since(a.started) < startFor {
		perFile += startMemory
	}
	needs := a.config().MemoryLimit + ownMemory + perFile*int64(a.ledger.size())
	if d := needs - a.needs; d > ownMemory/8 || -d > ownMemory/8 {
		a.needs = needs
		a.o.Needs(needs)
	}
}

// saveSoon asks the saver not to wait for its time.
func (a *Agent) saveSoon() {
	select {
	case a.kick <- struct{}{}:
	default:
	}
}

// saveChanges writes what has changed, with the horizons that belong to it. It
// may be called concurrently.
func (a *Agent) saveChanges() error {
	a.saving.Lock()
	defer a.saving.Unlock()
	if err := a.skips.Flush(); err != nil {
		return err
	}
	committed := a.committed() // before: what is taken knows of at least that
	changed, removed := a.ledger.take()
	a.store.SetCommitted(committed)
	if hs := a.ledger.moved; hs != nil {
		a.store.SetHorizons(hs)
	}
	// What was left out is on disk before the checkpoint passes over it: the
	// second Flush is for what was noted while the first one waited for the disk.
	err := errors.Join(a.skips.Flush(), a.store.Save(changed, removed))
	a.ledger.finished(changed)
	return err
}

// saveOnce is saveChanges, with what the status shows of it.
func (a *Agent) saveOnce() {
	a.saver.begin(time.Now())
	a.tellNeeds()
	err := a.saveChanges()
	if err == nil {
		a.saves.Add(1)
	}
	text := ""
	if err != nil {
		text = fmt.Sprintf("the checkpoint in %s cannot be written: %v; shipping goes on, but a restart would send again what is not saved [state-unwritable]", a.config().StateDir, err)
	}
	switch was := a.saver.end(time.Now(), text); {
	case text != "" && was == "":
		a.log.Error(text)
	case text == "" && was != "":
		a.log.Info("the checkpoint can be written again", "state_dir", a.config().StateDir)
	}
}
