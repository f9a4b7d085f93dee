package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"shiplog/agent"
)

func someStatus() *agent.Status {
	return &agent.Status{
		Version: 1, AgentVersion: "v1", Host: "h", Phase: "running", Ready: true, Problems: []string{"topic \"logs\" does not exist"}, FilesMatching: 3,
		Files: []agent.FileState{
			{ID: "000000000000000a", Path: "/var/log/a.log", State: "reading", Lag: 2048, LagSeconds: 90, Format: "json"},
			{ID: "000000000000000b", Path: "/var/log/b.log", State: "unreadable", Reason: "permission denied"},
		},
		LastErrors: []agent.LastError{{At: time.Now(), Level: "warn", Text: "broker\x1b[31m is away", Count: 2}},
	}
}

func TestPrintStatus(t *testing.T) {
	var out bytes.Buffer
	if err := printStatus(&out, someStatus(), false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"NOT HEALTHY, ready", "problem: topic \"logs\"", "2.0 KiB", "1m30s", "/var/log/b.log", "and 1 more", "(2 times)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("an escape sequence reaches the terminal")
	}
}

// TestProbes: --ready and --alive, as the probes of a container ask.
func TestProbes(t *testing.T) {
	var status agent.Status
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := json.NewEncoder(w).Encode(status); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	for _, c := range []struct {
		name   string
		args   []string
		status agent.Status
		code   int
		want   string
	}{
		{"ready, and ill", []string{"--ready"}, agent.Status{Version: 1, Problems: []string{"one log cannot be read"}}, exitDone, "ready\n"},
		{"not ready", []string{"--ready"}, agent.Status{Version: 1, NotReady: []string{"5 bytes wait"}}, exitFailed, "not ready: 5 bytes wait"},
		{"alive, whatever Kafka does", []string{"--alive"}, agent.Status{Version: 1, NotReady: []string{"5 bytes wait"}}, exitDone, "alive\n"},
		{"stuck", []string{"--alive"}, agent.Status{Version: 1, Stuck: []string{"no file was looked after"}}, exitFailed, "not alive: no file"},
		{"both", []string{"--alive", "--ready"}, agent.Status{Version: 1}, exitUsage, "give one of"},
	} {
		status = c.status
		var out bytes.Buffer
		code := run(t.Context(), append([]string{"status", "--admin", server.URL}, c.args...), nil, &out, &out)
		if code != c.code || !strings.Contains(out.String(), c.want) || c.code == exitDone && out.String() != c.want {
			t.Errorf("%s: %d %q", c.name, code, out.String())
		}
	}
	server.Close()
	var out bytes.Buffer
	if code := run(t.Context(), []string{"status", "--alive", "--admin", server.URL}, nil, &out, &out); code != exitFailed {
		t.Errorf("nobody answers: %d %q", code, out.String())
	}
}

// TestWatch presses the keys and looks at the screen.
func TestWatch(t *testing.T) {
	var asked agent.StatusQuery
	m := newWatch(t.Context(), func(_ context.Context, q agent.StatusQuery) (*agent.Status, error) {
		asked = q
		return someStatus(), nil
	}, agent.StatusQuery{})
	m.Update(m.Init()())
	press := func(keys ...string) {
		for _, k := range keys {
			msg := tea.KeyPressMsg{Text: k, Code: []rune(k)[0]}
			switch k {
			case "enter":
				msg = tea.KeyPressMsg{Code: tea.KeyEnter}
			case "esc":
				msg = tea.KeyPressMsg{Code: tea.KeyEsc}
			case "down":
				msg = tea.KeyPressMsg{Code: tea.KeyDown}
			}
			m.Update(msg)
		}
	}
	for _, size := range [][2]int{{120, 40}, {80, 24}, {40, 12}, {20, 8}} {
		m.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		lines := strings.Split(m.text(), "\n")
		for _, l := range lines {
			if lipgloss.Width(l) > size[0] {
				t.Errorf("%v: a line of %d columns", size, lipgloss.Width(l))
			}
		}
	}
	m.Update(tea.WindowSizeMsg{Width: 100, Height: 30})
	press("r", "/", "b", "l", "enter")
	m.Update(m.fetch()())
	if asked.Sort != "rate" || asked.Match != "bl" || asked.Limit != 200 {
		t.Errorf("asked for %+v", asked)
	}
	press("down", "enter")
	if v := m.text(); !strings.Contains(v, "permission denied") || !strings.Contains(v, "000000000000000b") {
		t.Errorf("looked into:\n%s", v)
	}
	press("esc")
	if v := m.text(); !strings.Contains(v, "> unreadable") || !strings.Contains(v, `filter "bl"`) {
		t.Errorf("list:\n%s", v)
	}
	m.Update(answerMsg{nil, errors.New("connection refused")})
	if v := m.text(); !strings.Contains(v, "connection refused") || !strings.Contains(v, "a.log") {
		t.Errorf("without an answer:\n%s", v)
	}
	if _, cmd := m.Update(tea.KeyPressMsg{Text: "q", Code: 'q'}); cmd == nil {
		t.Error("q does not quit")
	}
}
