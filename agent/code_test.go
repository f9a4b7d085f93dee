package agent

import (
	"errors"
	"log/slog"
	"testing"
)

func TestCodeOf(t *testing.T) {
	for message, want := range map[string]string{
		"":                              "",
		"no code":                       "",
		"a b [file-lost]":               "file-lost",
		"a [x-y]: b [file-lost] c":      "file-lost",
		"a [file-lost] of [it] [A-b] ]": "file-lost",
		"[file-lost]":                   "", // a blank goes before it
		"a [file]":                      "",
		"a [-a] [a-] [a--b] [a b]":      "",
		"a [file-lost":                  "",
	} {
		if got := CodeOf(message); got != want {
			t.Errorf("%q: %q, want %q", message, got, want)
		}
	}
}

// TestCodeOfLastError is what a status shows of what was logged: the code of the message,
// not one in an attribute.
func TestCodeOfLastError(t *testing.T) {
	var r recentErrors
	log := slog.New(r.handler(slog.DiscardHandler))
	log.With("path", "/a").Warn("cannot be read [file-unreadable]", "error", errors.New("no [other-code]"))
	log.Error("no code", "error", errors.New("no [other-code]"))
	got := r.list(2)
	if len(got) != 2 || got[0].Code != "" || got[1].Code != "file-unreadable" || got[1].Path != "/a" {
		t.Errorf("%+v", got)
	}
}
