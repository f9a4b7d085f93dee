package tailer_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"shiplog/tailer"
)

// Reads what is there in a folder, to its end, with the range of bytes of each line.
func Example() {
	dir, err := os.MkdirTemp("", "logs")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "app.log"), []byte("one\ntwo\nno newline yet"), 0o600); err != nil {
		log.Fatal(err)
	}

	t, err := tailer.New(tailer.Options{
		Inputs: []tailer.Input{{Name: "app", Paths: []string{filepath.Join(dir, "*.log")}}},
		Once:   true, // without it, Run follows the files until its context ends
	})
	if err != nil {
		log.Fatal(err)
	}
	err = t.Run(context.Background(), func(_ context.Context, b *tailer.Block) error {
		defer b.Release() // the entries are not to be used after it
		for _, e := range b.Entries {
			fmt.Printf("%s [%d,%d): %s, partial: %t\n", filepath.Base(b.Path), e.Start, e.End, e.Data, e.Flags&tailer.Partial != 0)
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// app.log [0,4): one, partial: false
	// app.log [4,8): two, partial: false
	// app.log [8,22): no newline yet, partial: true
}

// Joins a stack trace to the line before it.
func ExampleNewPresetJoiner() {
	java, err := tailer.NewPresetJoiner("java")
	if err != nil {
		log.Fatal(err)
	}
	state := uint32(0)
	for _, line := range []string{"ERROR it broke", "java.io.IOException: broken", "\tat a.B.c(B.java:1)", "INFO it goes on"} {
		joins, next := java.Join(state, []byte(line))
		fmt.Printf("%t %q\n", joins && state != 0, line)
		state = next
	}
	// Output:
	// false "ERROR it broke"
	// true "java.io.IOException: broken"
	// true "\tat a.B.c(B.java:1)"
	// false "INFO it goes on"
}
