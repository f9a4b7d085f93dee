package admin

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

const (
	// eventClients bounds how many follow /events at the same time.
	eventClients = 16
	// eventPatience is how long a client may take to accept an event.
	eventPatience = 10 * time.Second
	// eventRetry is how long a browser waits before it connects again.
	eventRetry = 2 * time.Second
)

// events answers /events: server-sent events (WHATWG HTML, 9.2), each named
// status, with a JSON object in one line. It ends with the client, with the
// server, or when the source does. The goroutine is the request's own.
func events(follow func(context.Context) (<-chan []byte, error), closing <-chan struct{}) http.HandlerFunc {
	places := make(chan struct{}, eventClients)
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		default:
			w.Header().Set("Retry-After", "10")
			reply(w, http.StatusServiceUnavailable, failure{fmt.Sprintf("%d clients follow already; ask /status instead", eventClients)})
			return
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		from, err := follow(ctx)
		if err != nil {
			reply(w, http.StatusServiceUnavailable, failure{err.Error()})
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		control := http.NewResponseController(w)
		send := func(format string, args ...any) bool {
			if err := control.SetWriteDeadline(time.Now().Add(eventPatience)); err != nil {
				return false
			}
			if _, err := fmt.Fprintf(w, format, args...); err != nil {
				return false
			}
			return control.Flush() == nil
		}
		// The server's bound for reading a request would end this one.
		if err := control.SetReadDeadline(time.Time{}); err != nil {
			return
		}
		if !send("retry: %d\n\n", eventRetry.Milliseconds()) {
			return
		}
		for {
			select {
			case data, ok := <-from:
				if !ok || !send("event: status\ndata: %s\n\n", data) {
					return
				}
			case <-closing:
				return
			case <-ctx.Done():
				return
			}
		}
	}
}
