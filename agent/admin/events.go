package admin

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

const (
	// eventClients bounds how many follow /events and /live at the same time.
	eventClients = 16
	// eventPatience is how long a client may take to accept an event.
	eventPatience = 10 * time.Second
	// eventRetry is how long a browser waits before it connects again.
	eventRetry = 2 * time.Second
	// liveInterval is the time between two looks of /live, liveShare what they may
	// cost: one part of so many of a core.
	liveInterval = time.Second
	liveShare    = 10
)

// seats are the places for those who follow.
type seats chan struct{}

// take takes a place, or answers that there is none.
func (s seats) take(w http.ResponseWriter) bool {
	select {
	case s <- struct{}{}:
		return true
	default:
		w.Header().Set("Retry-After", "10")
		reply(w, http.StatusServiceUnavailable, failure{fmt.Sprintf("%d clients follow already; ask /status instead", eventClients)})
		return false
	}
}

func (s seats) leave() { <-s }

// stream is an answer of server-sent events (WHATWG HTML, 9.2).
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// newStream begins the answer. It reports whether the client takes it.
func newStream(w http.ResponseWriter) (*stream, bool) {
	s := &stream{w, http.NewResponseController(w)}
	w.Header().Set("Content-Type", "text/event-stream")
	// The server's bound for reading a request would end this one.
	if err := s.control.SetReadDeadline(time.Time{}); err != nil {
		return nil, false
	}
	return s, s.write("retry: %d\n\n", eventRetry.Milliseconds())
}

// send sends an event, and reports whether the client took it.
func (s *stream) send(name string, data []byte) bool {
	return s.write("event: %s\ndata: %s\n\n", name, bytes.ReplaceAll(data, []byte("\n"), []byte("\ndata: ")))
}

func (s *stream) write(format string, args ...any) bool {
	if err := s.control.SetWriteDeadline(time.Now().Add(eventPatience)); err != nil {
		return false
	}
	if _, err := fmt.Fprintf(s.w, format, args...); err != nil {
		return false
	}
	return s.control.Flush() == nil
}

// events answers /events: events named status, each with a JSON object in one
// line. It ends with the client, with the server, or when the source does. The
// goroutine is the request's own.
func events(follow func(context.Context) (<-chan []byte, error), places seats, closing <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !places.take(w) {
			return
		}
		defer places.leave()
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		from, err := follow(ctx)
		if err != nil {
			reply(w, http.StatusServiceUnavailable, failure{err.Error()})
			return
		}
		s, ok := newStream(w)
		for ok {
			select {
			case data, more := <-from:
				ok = more && s.send("status", data)
			case <-closing:
				return
			case <-ctx.Done():
				return
			}
		}
	}
}

// live answers /live: the parts of the page that have changed, each an event
// named like the part with its HTML, and then one named at with the time.
func live(page func(url.Values) (*Page, error), places seats, closing <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		began := time.Now()
		p, err := page(query)
		if err != nil {
			reply(w, http.StatusBadRequest, failure{err.Error()})
			return
		}
		if !places.take(w) {
			return
		}
		defer places.leave()
		s, ok := newStream(w)
		sent := map[string][]byte{}
		for ok && s.sendParts(p, sent) {
			timer := time.NewTimer(max(liveInterval, liveShare*time.Since(began)))
			select {
			case <-timer.C:
			case <-closing:
				timer.Stop()
				return
			case <-r.Context().Done():
				timer.Stop()
				return
			}
			began = time.Now()
			if p, err = page(query); err != nil {
				return
			}
		}
	}
}

// sendParts sends the parts that are not as they were sent last.
func (s *stream) sendParts(p *Page, sent map[string][]byte) bool {
	for _, name := range parts() {
		html, err := p.part(name)
		if err != nil {
			return false
		}
		if bytes.Equal(sent[name], html) {
			continue
		}
		sent[name] = html
		// A carriage return would end a line of the stream.
		if !s.send(name, bytes.ReplaceAll(html, []byte("\r"), []byte("&#13;"))) {
			return false
		}
	}
	return s.send("at", []byte(p.At))
}
