package agent

import (
	"context"
	"net"
	"net/url"

	"shiplog/agent/admin"
)

// source returns what the admin server shows and does.
func (a *Agent) source(addr net.Addr) admin.Source {
	token, guard := admin.NewToken(), adminGuard(a.config())
	if err := admin.NewAccess(addr.Network(), addr.String(), token, guard).Write(a.config().StateDir); err != nil {
		a.log.Warn("shiplog state and shiplog why cannot call this agent [admin-note]", "error", err)
	}
	return admin.Source{Health: a.Problems, Ready: a.NotReady, Stuck: a.Stuck, Follow: a.follow, Page: a.page, Profiles: a.config().Admin.Profiles, Status: a.statusJSON, History: func() any { return a.History() }, Metrics: a.metrics.handler(), Guard: guard, Changes: admin.Changes{
		Token:  token,
		Why:    func(_ context.Context, file string) (any, error) { return a.Why(file) },
		Rewind: func(ctx context.Context, q admin.RewindRequest) (any, error) { return a.rewind(ctx, q) },
		Reload: func(ctx context.Context) (any, error) { return a.reload(ctx) },
		Forget: func(ctx context.Context, q admin.FileRequest) (any, error) { return a.forgetFile(ctx, q) },
	}}
}

// statusJSON answers /status.
func (a *Agent) statusJSON(query url.Values) (any, error) {
	q, err := ParseStatusQuery(query)
	if err != nil {
		return nil, err
	}
	return a.Status(q), nil
}
