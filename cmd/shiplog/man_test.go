package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMan has a page written for each command that help lists.
func TestMan(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	dir := filepath.Join(t.TempDir(), "man1")
	if code, _, errOut := call(t, "", "man", dir); code != 0 {
		t.Fatal(errOut)
	}
	for _, c := range newRoot().Commands() {
		page, err := os.ReadFile(filepath.Join(dir, "shiplog-"+c.Name()+".1"))
		if c.Hidden {
			if err == nil {
				t.Errorf("the hidden command %s has a page", c.Name())
			}
			continue
		}
		if err != nil {
			t.Errorf("command %s: %v", c.Name(), err)
			continue
		}
		if !strings.Contains(string(page), "Nov 2023") {
			t.Errorf("the page of %s has another date than SOURCE_DATE_EPOCH's: %.200s", c.Name(), page)
		}
	}
}

// TestCompletion has each shell's completion written.
func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		code, out, errOut := call(t, "", "completion", shell)
		if code != 0 || !strings.Contains(out, "shiplog") {
			t.Errorf("completion %s: exit %d, %s", shell, code, errOut)
		}
	}
}
