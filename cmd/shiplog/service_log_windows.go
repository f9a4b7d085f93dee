package main

import (
	"bytes"
	"context"
	"log/slog"
	"sync"

	"shiplog/agent/config"
)

// Ids of events, as shiplog service install registers them (EventCreate.exe's
// message file takes 1 to 1000).
const (
	eventInfo    = 1
	eventWarning = 2
	eventError   = 3
	eventFailed  = 4 // the service has ended
)

// eventSink is the event log of Windows; tests have another.
type eventSink interface {
	Info(id uint32, text string) error
	Warning(id uint32, text string) error
	Error(id uint32, text string) error
}

// eventHandler writes what needs somebody's attention, warnings and errors, into
// the event log, and at the level debug all.
type eventHandler struct {
	sink  eventSink
	level slog.Leveler
	state *eventState
	text  slog.Handler // writes into state
}

type eventState struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// newEventLog returns a log into the event log, and its level.
func newEventLog(sink eventSink, l config.Log) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(l.Level)
	state := &eventState{}
	o := &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
			return slog.Attr{} // an event has both
		}
		return a
	}}
	return slog.New(&eventHandler{sink, level, state, slog.NewTextHandler(&state.buf, o)}), level
}

// Enabled implements slog.Handler.
func (h *eventHandler) Enabled(_ context.Context, l slog.Level) bool {
	least := slog.LevelWarn
	if h.level.Level() <= slog.LevelDebug {
		least = slog.LevelDebug
	}
	return l >= max(least, h.level.Level())
}

// Handle implements slog.Handler.
func (h *eventHandler) Handle(ctx context.Context, r slog.Record) error {
	h.state.mu.Lock()
	defer h.state.mu.Unlock()
	h.state.buf.Reset()
	if err := h.text.Handle(ctx, r); err != nil {
		return err
	}
	text := h.state.buf.String()
	switch {
	case r.Level >= slog.LevelError:
		return h.sink.Error(eventError, text)
	case r.Level >= slog.LevelWarn:
		return h.sink.Warning(eventWarning, text)
	}
	return h.sink.Info(eventInfo, text)
}

// WithAttrs implements slog.Handler.
func (h *eventHandler) WithAttrs(as []slog.Attr) slog.Handler {
	return &eventHandler{h.sink, h.level, h.state, h.text.WithAttrs(as)}
}

// WithGroup implements slog.Handler.
func (h *eventHandler) WithGroup(name string) slog.Handler {
	return &eventHandler{h.sink, h.level, h.state, h.text.WithGroup(name)}
}
