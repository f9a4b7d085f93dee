package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"shiplog/agent"
)

// verifyFlags are the flags of shiplog verify.
type verifyFlags struct {
	config, stateDir      string
	since, host           string
	topics                []string
	from                  int64
	noState, deep, strict bool
	asJSON, all, quiet    bool
}

// linesShown and allLines bound what is told one by one, of each kind and file.
const (
	linesShown = 20
	allLines   = 1_000_000
)

func newVerify() *cobra.Command {
	var f verifyFlags
	c := &cobra.Command{
		Use:   "verify --config FILE [FILE…]",
		Short: "Prove from the topics that every line of the files has arrived",
		Long: `Read the topics of the configuration and prove, for each file, that the ranges of
bytes that its records stand for cover it. Without FILE these are all files that
the inputs want and all that the checkpoint knows; rotated and compressed ones
beside them are found by their content. It works while an agent runs, and on
another host, where there is no state and the files are found by their content
alone. Nothing is changed anywhere.

Bytes that never came are told apart: blank lines and the like, which are never
sent; a last line without a newline; lines behind the checkpoint while an agent
runs (pending); dead letters; what was left out on purpose, which the agent keeps
a journal of. All else is a gap, and its lines are printed. Some records of each
file are compared with it, with --deep all.

The exit status is 0 only if nothing is missing, with --strict only if nothing came
twice or out of order either.`,
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args) },
	}
	c.Flags().StringVarP(&f.config, "config", "c", "", "configuration `FILE`")
	c.Flags().StringVar(&f.stateDir, "state-dir", "", "state `DIR`ectory, instead of the configuration's")
	c.Flags().BoolVar(&f.noState, "no-state", false, "find the files in the topics by their content alone")
	c.Flags().StringSliceVar(&f.topics, "topic", nil, "`TOPIC` to read, instead of the configuration's; several with commas")
	c.Flags().StringVar(&f.since, "since", "", "read records from this `TIME` on: 2026-11-25T10:00:00Z, 2026-11-25, or 36h ago")
	c.Flags().Int64Var(&f.from, "from-offset", 0, "read from this `OFFSET` on, in each partition")
	c.Flags().StringVar(&f.host, "host", "", "records of this `HOST` only (default this one where there is a state, else *: all)")
	c.Flags().BoolVar(&f.deep, "deep", false, "compare every record with its file; reads the topics twice")
	c.Flags().BoolVar(&f.strict, "strict", false, "fail if anything came twice or out of order")
	c.Flags().BoolVar(&f.all, "all", false, "print all gaps, lines, repeats and files that are gone, not only the first")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object")
	c.Flags().BoolVarP(&f.quiet, "quiet", "q", false, "no progress bar")
	return c
}

func (f *verifyFlags) run(c *cobra.Command, args []string) error {
	conf, err := loadConfig(f.config)
	if err != nil {
		return err
	}
	if f.stateDir != "" {
		conf.StateDir = f.stateDir
	}
	o := agent.VerifyOptions{
		Files: args, Topics: f.topics, From: f.from, Host: f.host, NoState: f.noState, Deep: f.deep, MaxLines: linesShown,
		Log: slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if f.all {
		o.MaxLines = allLines
	}
	if err := checkTopics(f.topics); err != nil {
		return err
	}
	if f.from < 0 {
		return usageError{fmt.Errorf("--from-offset %d is below zero", f.from)}
	}
	if o.Since, err = parseSince(f.since, time.Now()); err != nil {
		return usageError{err}
	}
	bar := newBar(c.ErrOrStderr(), f.quiet, "reading the topics", "records")
	o.Progress = bar.set
	v, err := agent.Verify(c.Context(), conf, o)
	bar.clear()
	if err != nil {
		return err
	}
	if f.asJSON {
		err = json.NewEncoder(c.OutOrStdout()).Encode(v)
	} else {
		most := goneShown
		if f.all {
			most = len(v.Gone)
		}
		err = printVerification(c.OutOrStdout(), v, most)
	}
	switch {
	case err != nil:
		return fmt.Errorf("print: %w", err)
	case !v.Complete:
		return errors.New("not proved: " + shortOf(v) + " [verify-gaps]")
	case f.strict && v.Repeated:
		return errors.New("complete, but something came twice or out of order [verify-repeats]")
	}
	return nil
}

// parseSince reads a time, a day, or how long ago.
func parseSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--since %q is no time: write 2026-11-25T10:00:00Z, 2026-11-25 or 36h", s)
}

// shortOf sums up what is missing.
func shortOf(v *agent.Verification) string {
	var files, lines, bytes, unknown, differ, problems int64
	for i := range v.Files {
		f := &v.Files[i]
		if f.GapBytes > 0 {
			files++
		}
		lines += f.GapLines
		bytes += f.GapBytes
		unknown += f.Unknown + f.Unseen
		differ += f.DifferCount
		if f.Problem != "" {
			problems++
		}
	}
	var parts []string
	add := func(n int64, text string) {
		if n > 0 {
			parts = append(parts, text)
		}
	}
	add(files, fmt.Sprintf("%d lines (%d bytes) of %d files never came", lines, bytes, files))
	add(unknown, fmt.Sprintf("of %d bytes it cannot be known", unknown))
	add(differ, fmt.Sprintf("%d records differ from their files", differ))
	add(problems, fmt.Sprintf("%d files could not be verified", problems))
	return strings.Join(parts, "; ")
}

// printVerification prints the table, and below it what is to be said of single
// files, and of so many at the most that are not there any more.
func printVerification(w io.Writer, v *agent.Verification, most int) error {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "RESULT\tBYTES\tCOVERED\tMISSING\tREPEATED\tLATE\tNOT SENT\tFILE")
	for i := range v.Files {
		f := &v.Files[i]
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", resultOf(f), f.Size, f.Covered, f.GapBytes, f.RepeatBytes, f.LateCount,
			f.Blank+f.Unfinished+f.Pending+f.DeadLettered+f.SkippedBytes(), shown(f.Path))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i := range v.Files {
		printFile(&b, &v.Files[i])
	}
	printGone(&b, v.Gone, most)
	if len(v.Notes) > 0 {
		b.WriteByte('\n')
	}
	for _, n := range v.Notes {
		fmt.Fprintln(&b, "note:", n)
	}
	fmt.Fprintf(&b, "\n%s: %d files, %d records in %d partitions", verdictOf(v), len(v.Files), v.Records, len(v.Topics))
	if v.Foreign > 0 {
		fmt.Fprintf(&b, ", %d of them not by shiplog", v.Foreign)
	}
	if !v.Complete {
		fmt.Fprintf(&b, "; %s", shortOf(v))
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}

func verdictOf(v *agent.Verification) string {
	switch {
	case !v.Complete:
		return "NOT PROVED"
	case v.Repeated:
		return "complete, with repeats"
	}
	return "complete"
}

// resultOf is a file's result in a word.
func resultOf(f *agent.FileProof) string {
	switch {
	case f.Problem != "":
		return "FAILED"
	case f.GapBytes > 0:
		return "GAP"
	case f.DifferCount > 0:
		return "DIFFERS"
	case f.Unknown+f.Unseen > 0:
		return "UNKNOWN"
	case f.Again():
		return "repeated"
	case f.Pending+f.Unfinished > 0:
		return "so far"
	}
	return "complete"
}

// shown makes a path fit for a terminal.
func shown(path string) string {
	if q := fmt.Sprintf("%q", path); q != `"`+path+`"` {
		return q
	}
	return path
}

func printFile(b *strings.Builder, f *agent.FileProof) {
	fmt.Fprintf(b, "\n%s\n  %s", shown(f.Path), f.Matched)
	if len(f.Sources) > 0 {
		fmt.Fprintf(b, " (src %s)", strings.Join(f.Sources, ", "))
	}
	if f.Compression != "" {
		fmt.Fprintf(b, ", %s", f.Compression)
	}
	fmt.Fprintf(b, "; %d records, %d compared\n", f.Records, f.Compared)
	say := func(n int64, format string) {
		if n > 0 {
			fmt.Fprintf(b, "  "+format+"\n", n)
		}
	}
	if f.Problem != "" {
		fmt.Fprintf(b, "  could not be verified: %s\n", f.Problem)
	}
	say(f.Blank, "%d bytes are blank lines and the like, which are never sent")
	say(f.Unfinished, "%d bytes are a last line without a newline: not sent yet")
	say(f.Pending, "%d bytes lie behind the checkpoint of the agent that runs: pending")
	say(f.DeadLettered, "%d bytes are in the dead letter file")
	for _, s := range f.Skipped {
		say(s.Bytes, "%d bytes were left out on purpose: "+s.Reason)
	}
	say(f.Unknown, "%d bytes may have been left out on purpose: the journal had no room to remember")
	say(f.Unseen, "%d bytes may have come in a part of the topic that is gone")
	say(f.NotRead, "%d bytes may have come in a part of the topic that was not to be read")
	say(f.Otherwise, "%d records have the file's text in an envelope that this configuration would not make")
	say(f.Unsure, "%d records could not be compared: what the parser knew at their place is not known")
	printGaps(b, f)
	for _, r := range f.Repeats {
		fmt.Fprintf(b, "  repeat: bytes %d to %d came %d times\n", r.Start, r.End, r.Times)
	}
	say(f.RepeatCount-int64(len(f.Repeats)), "and %d more repeats; --all prints them")
	for _, l := range f.Late {
		fmt.Fprintf(b, "  out of order: bytes %d to %d came behind later ones, at offset %d of %s/%d\n", l.Start, l.End, l.Offset, l.Topic, l.Partition)
	}
	say(f.LateCount-int64(len(f.Late)), "and %d more out of order")
	for _, d := range f.Differ {
		fmt.Fprintf(b, "  differs: the record of bytes %d to %d", d.Start, d.End)
		if d.Offset >= 0 {
			fmt.Fprintf(b, ", at offset %d of %s/%d,", d.Offset, d.Topic, d.Partition)
		}
		fmt.Fprintf(b, " %s\n", d.Why)
	}
	say(f.DifferCount-int64(len(f.Differ)), "and %d more that differ")
}

func printGaps(b *strings.Builder, f *agent.FileProof) {
	lines := int64(0)
	for _, g := range f.Gaps {
		where := fmt.Sprintf("line %d", g.Line)
		if g.Lines > 1 {
			where = fmt.Sprintf("lines %d to %d", g.Line, g.Line+g.Lines-1)
		}
		why := "never came"
		if g.Unsent {
			why = "not sent: behind the checkpoint, and no agent runs"
		}
		fmt.Fprintf(b, "  gap: %s, bytes %d to %d: %s\n", where, g.Start, g.End, why)
		for i, text := range g.Text {
			fmt.Fprintf(b, "    %d: %s\n", g.Line+int64(i), text)
		}
		lines += int64(len(g.Text))
	}
	if more := f.GapLines - lines; more > 0 {
		fmt.Fprintf(b, "  and %d more lines, in %d gaps in all; --all prints them\n", more, f.GapCount)
	}
}

// goneShown bounds how many files are named that are not there any more: the topics
// may know those of months.
const goneShown = 20

// printGone says what came of files that are not there any more: of so many at the
// most, those first of which something is missing or came twice.
func printGone(b *strings.Builder, gone []agent.GoneProof, most int) {
	if len(gone) == 0 {
		return
	}
	whole := func(g agent.GoneProof) bool { return g.Records > 0 && g.Holes == 0 && g.RepeatBytes == 0 }
	var bad, good []agent.GoneProof
	for _, g := range gone {
		if whole(g) {
			good = append(good, g)
		} else {
			bad = append(bad, g)
		}
	}
	all := append(bad, good...)
	most = min(most, len(all))
	fmt.Fprintln(b, "\nfiles that are not here any more, and what came of them:")
	for i := range all[:most] {
		printGoneFile(b, &all[i])
	}
	if more := len(all) - most; more > 0 {
		fmt.Fprintf(b, "  and %d more, of %d of which something is missing or came twice; --all prints them\n", more, max(0, len(bad)-most))
	}
}

func printGoneFile(b *strings.Builder, g *agent.GoneProof) {
	fmt.Fprintf(b, "  %s (src %s", shown(g.Path), g.Source)
	if g.Host != "" {
		fmt.Fprintf(b, ", host %s", shown(g.Host))
	}
	fmt.Fprintf(b, "): %d records, bytes 0 to %d", g.Records, g.End)
	switch {
	case g.Records == 0:
		fmt.Fprintf(b, "; acknowledged to %d, and nothing of it in what was read", g.Checkpoint)
	case g.Holes > 0:
		fmt.Fprintf(b, ", without %d bytes in between: blank lines, or lost", g.Holes)
	default:
		fmt.Fprint(b, ", all of them")
	}
	if g.RepeatBytes > 0 {
		fmt.Fprintf(b, "; %d bytes more than once", g.RepeatBytes)
	}
	b.WriteByte('\n')
}
