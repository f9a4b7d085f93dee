package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"shiplog/shipper"
)

// drain lets what is in flight be acknowledged, and reports whether all of it
// was. It has shutdown_timeout from the end of ctx, or of the reading; a run
// with Once has all the time until ctx ends.
func (a *Agent) drain(ctx context.Context) bool {
	limit, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	timer := time.AfterFunc(time.Hour, giveUp)
	timer.Stop()
	defer timer.Stop()
	if a.o.Once {
		defer context.AfterFunc(ctx, func() { timer.Reset(a.config().ShutdownTimeout) })()
	} else {
		timer.Reset(a.config().ShutdownTimeout)
	}
	if err := a.producer.Close(limit); err != nil {
		a.log.Warn("stopped before Kafka acknowledged everything: the rest is sent again at the next start [stop-early]", "error", err)
		return false
	}
	return true
}

// close writes the last state. A run that had not begun has sent nothing, and
// leaves the end of the one before as it was.
func (a *Agent) close(begun, drained bool) error {
	if !drained {
		a.ledger.giveUp()
	}
	err := a.saveChanges()
	if err == nil {
		a.pins.look(context.Background(), everSaved)
	}
	err = errors.Join(err, a.skips.Close())
	switch {
	case !begun:
		return errors.Join(err, a.store.Release())
	case drained:
		return errors.Join(err, a.store.Close())
	}
	return errors.Join(err, a.store.Abandon())
}

// onceResult says what kept a run with Once from doing all.
func (a *Agent) onceResult(ctx context.Context, drained bool) error {
	var errs []error
	if fenced, ok := errors.AsType[*shipper.FencedError](context.Cause(ctx)); ok {
		errs = append(errs, fenced)
	}
	if !drained || ctx.Err() != nil {
		errs = append(errs, errors.New("ended before everything was read and acknowledged; run it again to go on [stopped-early]"))
	}
	for path, reason := range a.tailer.Unreadable() {
		errs = append(errs, fmt.Errorf("%s: %s [file-unreadable]", path, reason))
	}
	for _, f := range a.tailer.Files() {
		if f.State == "unreadable" {
			errs = append(errs, fmt.Errorf("%s: %s [file-unreadable]", f.Path, f.Reason))
		}
	}
	return errors.Join(errs...)
}
