package child

import (
	"errors"
	"io"
	"testing"
)

// The child of a killed process ends too: the pipe that both hold is closed.
func TestChildDiesWithParent(t *testing.T) {
	p, pipe := start(t, "parent")
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	for {
		var b [64]byte
		if _, err := pipe.Read(b[:]); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("the child outlived its parent: %v", err)
		}
	}
}
