package agent

import (
	"context"
	"time"

	"shiplog/agent/admin"
)

// adminRetry is the time between two attempts at the admin address.
const adminRetry = 10 * time.Second

// serve runs the admin server until ctx ends. A taken address keeps nobody from
// shipping: it is told, and tried again.
func (a *Agent) serve(ctx context.Context) {
	if a.config().Admin.Listen == "" {
		return
	}
	said := false
	for ctx.Err() == nil {
		l, err := admin.Listen(a.config().Admin.Listen)
		if err == nil {
			if err := CheckAdmin(a.config()); err != nil { // it may be mended while the agent runs
				a.log.Error("who calls the admin address cannot be checked; until that is mended only who can read state_dir can call, if anybody [admin-files]", "error", err)
			}
			said = false
			addr := l.Addr().String()
			if a.config().Admin.TLS.CertFile != "" {
				addr = "https://" + addr
			}
			a.adminAddr.Store(&addr)
			a.log.Info("health and status", "admin", addr)
			if a.o.Listening != nil {
				a.o.Listening(l.Addr())
			}
			err = admin.Serve(ctx, l, a.source(l.Addr()), a.log)
			if rerr := admin.RemoveAccess(a.config().StateDir); rerr != nil {
				a.log.Debug("admin access", "error", rerr)
			}
		}
		if err != nil && !said {
			said = true
			a.log.Error("no health and status over HTTP; shipping goes on, and it is tried again [admin-address]", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(adminRetry):
		}
	}
}
