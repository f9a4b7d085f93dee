package main

import (
	"bufio"
	"errors"
	"fmt"
	"image/color"
	"io"
	"maps"
	"slices"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"

	"shiplog/agent"
	"shiplog/agent/transform"
)

// bench prints what an inspector finds.
type bench struct {
	inspector *agent.Inspector
	in        io.Reader
	out       *bufio.Writer
	errOut    io.Writer
	quiet     bool
	colours   *colours // nil: plain text
}

// errOutput says that nothing more can be printed.
var errOutput = errors.New("writing to standard output")

func newBench(c *cobra.Command, n *agent.Inspector, quiet bool) *bench {
	b := &bench{inspector: n, in: c.InOrStdin(), errOut: c.ErrOrStderr(), quiet: quiet}
	b.printTo(c.OutOrStdout(), takesColours(c.OutOrStdout()))
	return b
}

// printTo sends the entries to w.
func (b *bench) printTo(w io.Writer, coloured bool) {
	b.out, b.colours = bufio.NewWriterSize(w, 64<<10), nil
	if coloured {
		b.colours = newColours()
	}
}

// colours are how entries look on a terminal.
type colours struct {
	unparsed, reason lipgloss.Style
	levels           map[string]lipgloss.Style
}

func newColours() *colours {
	colour := func(c color.Color) lipgloss.Style { return lipgloss.NewStyle().Foreground(c).Inline(true) }
	const red, yellow, magenta, grey = lipgloss.Red, lipgloss.Yellow, lipgloss.Magenta, lipgloss.BrightBlack
	return &colours{
		unparsed: colour(red), reason: colour(red).Italic(true),
		levels: map[string]lipgloss.Style{
			"trace": colour(grey), "debug": colour(grey), "warn": colour(yellow), "error": colour(magenta), "fatal": colour(magenta).Bold(true),
		},
	}
}

// print prints one entry, as far as it would be sent.
func (b *bench) print(one *agent.Inspected) error {
	if b.colours != nil {
		return b.printInColour(one)
	}
	if one.Action != transform.Ship {
		return nil
	}
	if _, err := b.out.Write(one.JSON); err != nil {
		return fmt.Errorf("%w: %w", errOutput, err)
	}
	if err := b.out.WriteByte('\n'); err != nil {
		return fmt.Errorf("%w: %w", errOutput, err)
	}
	return nil
}

// printInColour prints one entry, and below it what is wrong with it.
func (b *bench) printInColour(one *agent.Inspected) error {
	var text string
	switch style, ok := b.colours.levels[one.Level]; {
	case one.Action != transform.Ship:
	case one.Unparsed != "":
		text = b.colours.unparsed.Render(string(one.JSON)) + "\n"
	case ok:
		text = style.Render(string(one.JSON)) + "\n"
	default:
		text = string(one.JSON) + "\n"
	}
	var wrong []string
	if one.Unparsed != "" {
		wrong = append(wrong, "shipped whole: "+one.Unparsed)
	}
	switch {
	case one.Action == transform.Refused:
		wrong = append(wrong, "it would be a dead letter: "+one.Failed)
	case one.Failed != "":
		wrong = append(wrong, "a transformation failed: "+one.Failed)
	}
	if len(wrong) > 0 {
		text += b.colours.reason.Render("  ^ "+strings.Join(wrong, "; ")) + "\n"
	}
	if _, err := b.out.WriteString(text); err != nil {
		return fmt.Errorf("%w: %w", errOutput, err)
	}
	return nil
}

func (b *bench) flush() error {
	if err := b.out.Flush(); err != nil {
		return fmt.Errorf("%w: %w", errOutput, err)
	}
	return nil
}

// summary tells what was found in a file.
func (b *bench) summary(name string, i *agent.Inspection) {
	if b.quiet {
		return
	}
	if name == "-" {
		name = "standard input"
	}
	var s strings.Builder
	format := i.Format
	if i.Reason != "" {
		format += " (" + i.Reason + ")"
	}
	if i.Entries == 0 {
		fmt.Fprintf(b.errOut, "%s: no entries\n", name)
		return
	}
	whole := i.Whole()
	fmt.Fprintf(&s, "%s: %s, %s\n", name, format, i.Encoding)
	fmt.Fprintf(&s, "  %d entries, %d parsed, %d not; a time in %d\n", i.Entries, i.Entries-whole, whole, i.Times)
	for _, reason := range byCount(i.Unparsed) {
		fmt.Fprintf(&s, "  %d of %d shipped whole: %s\n", i.Unparsed[reason], i.Entries, reason)
	}
	if len(i.Levels) > 0 {
		fmt.Fprint(&s, "  levels:")
		for n, level := range byCount(i.Levels) {
			if n == mostLevels {
				fmt.Fprint(&s, " …")
				break
			}
			fmt.Fprintf(&s, " %s %d", oneLine(level), i.Levels[level])
		}
		fmt.Fprintln(&s)
	}
	if i.Joined > 0 {
		fmt.Fprintf(&s, "  %d of several lines, the longest of %d\n", i.Joined, i.Longest)
	}
	if i.Cut > 0 {
		fmt.Fprintf(&s, "  %d cut at a limit\n", i.Cut)
	}
	if i.Left > 0 {
		fmt.Fprintf(&s, "  %d left out by transforms\n", i.Left)
	}
	if i.Refused > 0 {
		fmt.Fprintf(&s, "  %d would be dead letters\n", i.Refused)
	}
	for _, reason := range byCount(i.Failed) {
		fmt.Fprintf(&s, "  %d of %d: a transformation failed: %s\n", i.Failed[reason], i.Entries, reason)
	}
	fmt.Fprint(b.errOut, s.String())
}

// mostLevels bounds the levels that a summary names: some applications write
// whatever they like as one.
const mostLevels = 10

// byCount returns the names that are counted, the most frequent first.
func byCount(counts map[string]int) []string {
	return slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
}
