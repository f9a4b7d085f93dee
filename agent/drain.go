package agent

import (
	"context"
	"log/slog"
	"time"

	"shiplog/agent/config"
)

// RunAndDrain is Run, and then once more with Options.Once: it ships what the
// files hold when ctx ends, a last line without a newline too. Run leaves to the
// next start what it has not read by then; where the logs go together with this
// process, as those of a pod do, there is none. All of it has shutdown_timeout
// from the end of ctx; what was not reached by then is an error.
func RunAndDrain(ctx context.Context, c *config.Config, o Options) error {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	limit, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	timer, after := time.AfterFunc(time.Hour, stop), c.ShutdownTimeout
	timer.Stop()
	defer timer.Stop()
	defer context.AfterFunc(ctx, func() { timer.Reset(after) })()

	if err := Run(ctx, c, o); err != nil {
		return err
	}
	if o.Load != nil {
		if latest, err := o.Load(); err == nil { // else what applied at the start still does
			c = latest
		}
	}
	last := *c
	last.ShutdownTimeout = 0 // limit bounds what is in flight, too
	o.Once, o.Load, o.Hangup = true, nil, nil
	o.Log.Info("reading what is there to its end, then this is over")
	return Run(limit, &last, o)
}
