package main

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"shiplog/agent/config"
)

type testSink struct{ events []string }

func (s *testSink) add(kind string, id uint32, text string) error {
	s.events = append(s.events, fmt.Sprintf("%s %d %s", kind, id, strings.TrimSpace(text)))
	return nil
}

func (s *testSink) Info(id uint32, text string) error    { return s.add("info", id, text) }
func (s *testSink) Warning(id uint32, text string) error { return s.add("warning", id, text) }
func (s *testSink) Error(id uint32, text string) error   { return s.add("error", id, text) }

func TestEventLog(t *testing.T) {
	sink := &testSink{}
	log, level := newEventLog(sink, config.Log{Level: slog.LevelInfo})
	log.Info("usual")
	log.With("a", 1).Warn("unusual", "b", "two words")
	log.WithGroup("g").Error("wrong", "c", 3)
	level.Set(slog.LevelError)
	log.Warn("no longer of interest")
	level.Set(slog.LevelDebug)
	log.Debug("all")
	want := []string{`warning 2 msg=unusual a=1 b="two words"`, "error 3 msg=wrong g.c=3", "info 1 msg=all"}
	if got := strings.Join(sink.events, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("events\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}
