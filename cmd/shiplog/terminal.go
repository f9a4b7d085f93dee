package main

import (
	"io"
	"os"

	"charm.land/lipgloss/v2"
	"golang.org/x/term"
)

// isTerminal reports whether a person sees what is written to w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// takesColours reports whether what is written to w may be coloured. Neither this nor
// any other command but the live screen asks the terminal anything: its answer
// would be typed into the shell.
func takesColours(w io.Writer) bool {
	if !isTerminal(w) || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	lipgloss.EnableLegacyWindowsANSI(w.(*os.File))
	return true
}
