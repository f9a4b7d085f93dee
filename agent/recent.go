package agent

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// recentMax is how many of the last errors are kept.
const recentMax = 50

// recentText bounds the text of one.
const recentText = 1000

// LastError is something that was logged as a warning or an error. The log
// holds no secrets and no lines of the files, so neither do these.
type LastError struct {
	At    time.Time `json:"at"`             // when it was said last
	First time.Time `json:"first"`          // and first, of the same text in a row
	Count int64     `json:"count"`          // how often in a row
	Level string    `json:"level"`          // warn, error
	Code  string    `json:"code,omitempty"` // see CodeOf
	Text  string    `json:"text"`           // with its attributes as name=value; at most 1000 bytes
	Path  string    `json:"path,omitempty"` // of the file that it is about
}

// recentErrors keeps the last warnings and errors of the agent's log.
type recentErrors struct {
	mu     sync.Mutex
	kept   []LastError // the oldest first
	logged LoggedErrors
}

// note keeps one.
func (r *recentErrors) note(e LastError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Level == "error" {
		r.logged.Errors++
	} else {
		r.logged.Warnings++
	}
	if n := len(r.kept); n > 0 && r.kept[n-1].Text == e.Text && r.kept[n-1].Path == e.Path {
		r.kept[n-1].At = e.At
		r.kept[n-1].Count++
		return
	}
	if len(r.kept) == recentMax {
		copy(r.kept, r.kept[1:])
		r.kept = r.kept[:recentMax-1]
	}
	r.kept = append(r.kept, e)
}

// list returns the last n errors, the newest first.
func (r *recentErrors) list(n int) []LastError {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]LastError, 0, min(n, len(r.kept)))
	for i := len(r.kept) - 1; i >= 0 && len(out) < n; i-- {
		out = append(out, r.kept[i])
	}
	return out
}

// counts returns how many there were.
func (r *recentErrors) counts() LoggedErrors {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.logged
}

// handler returns a handler that hands on to next, and keeps what is worth it.
func (r *recentErrors) handler(next slog.Handler) slog.Handler {
	return &recentHandler{keep: r, next: next}
}

// recentHandler is a slog.Handler that keeps warnings and errors, also those
// that the configured level leaves out of the log.
type recentHandler struct {
	keep  *recentErrors
	next  slog.Handler
	attrs []slog.Attr
}

// Enabled implements slog.Handler.
func (h *recentHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn || h.next.Enabled(ctx, l)
}

// Handle implements slog.Handler.
func (h *recentHandler) Handle(ctx context.Context, rec slog.Record) error {
	if rec.Level >= slog.LevelWarn {
		h.keep.note(h.lastError(&rec))
	}
	if !h.next.Enabled(ctx, rec.Level) {
		return nil
	}
	return h.next.Handle(ctx, rec)
}

func (h *recentHandler) lastError(rec *slog.Record) LastError {
	e := LastError{At: rec.Time, First: rec.Time, Count: 1, Level: strings.ToLower(rec.Level.String()), Code: CodeOf(rec.Message)}
	var text strings.Builder
	text.WriteString(rec.Message)
	add := func(a slog.Attr) bool {
		value := a.Value.Resolve().String()
		if a.Key == "path" {
			e.Path = Printable(value)
			return true
		}
		text.WriteString(" " + a.Key + "=" + value)
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	rec.Attrs(add)
	e.Text = shorten(strings.ToValidUTF8(text.String(), "\ufffd"), recentText)
	return e
}

// shorten cuts a text to n bytes, at the end of a character.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// WithAttrs implements slog.Handler.
func (h *recentHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &recentHandler{h.keep, h.next.WithAttrs(attrs), append(h.attrs[:len(h.attrs):len(h.attrs)], attrs...)}
}

// WithGroup implements slog.Handler. The agent's log has no groups.
func (h *recentHandler) WithGroup(name string) slog.Handler {
	return &recentHandler{h.keep, h.next.WithGroup(name), h.attrs}
}
