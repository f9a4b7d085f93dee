package config

import (
	"testing"
	"time"
)

func TestMultilineAndEncoding(t *testing.T) {
	input := func(text string) Input {
		c, err := decodeText(t, "application: A\ninputs:\n  - paths: [/l]\n"+text+"kafka: {brokers: [k]}\n")
		if err != nil {
			t.Fatal(err)
		}
		return c.Inputs[0]
	}
	if in := input(""); in.Multiline != defaultMultiline() || in.Multiline.Preset != "auto" || in.Encoding != "auto" {
		t.Errorf("defaults: %+v, %q", in.Multiline, in.Encoding)
	}
	if in := input("    multiline: java\n"); in.Multiline.Preset != "java" || in.Multiline.Wait != 500*time.Millisecond {
		t.Errorf("a preset: %+v", in.Multiline)
	}
	in := input("    multiline: {start: '^\\d ', end: ';$', max_lines: 7, max_bytes: 1KiB, wait: 2s}\n    encoding: windows-1252\n")
	m := in.Multiline
	if m.Preset != "" || m.Start.String() != `^\d ` || m.Continue != nil || m.End.String() != ";$" || m.MaxLines != 7 || m.MaxBytes != 1024 || m.Wait != 2*time.Second {
		t.Errorf("patterns: %+v", m)
	}
	if at := in.EncodingAt; in.Encoding != "windows-1252" || at.Line != 5 || at.Column != 15 || at.Path != "inputs[0].encoding" {
		t.Errorf("encoding %q at %+v", in.Encoding, at)
	}
	if in := input("    multiline: {preset: go, wait: 1s}\n"); in.Multiline.Preset != "go" || in.Multiline.Wait != time.Second {
		t.Errorf("a preset with a limit: %+v", in.Multiline)
	}
}
