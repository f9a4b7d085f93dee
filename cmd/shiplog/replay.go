package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"shiplog/agent"
	"shiplog/shipper"
)

func newReplay() *cobra.Command {
	var path string
	var asJSON bool
	var o agent.ReplayOptions
	c := &cobra.Command{
		Use:   "replay --config FILE",
		Short: "Send dead letters again",
		Long: `Send the dead letters of state_dir again, each read by the configuration of now:
after a topic's limit was raised, say, or a transformation was put right. What
Kafka acknowledges leaves the file; what it refuses stays in it as it was, and so
does what is not selected. An agent may run meanwhile. Like run, it waits for a
Kafka that is away; ^C ends it, and loses nothing.

Records get the headers that they would have had, and replayed: 1.
Exit status 0: all that was selected has been acknowledged.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			conf, err := loadConfig(path)
			if err != nil {
				return err
			}
			if err := o.Validate(); err != nil {
				return usageError{fmt.Errorf("--%w", err)}
			}
			if asJSON && !o.DryRun {
				return usageError{errors.New("--json belongs to --dry-run")}
			}
			bar := newBar(c.ErrOrStderr(), o.DryRun, "replay", "letters")
			show := &replayView{out: c.OutOrStdout(), errOut: bar.over(c.ErrOrStderr()), dryRun: o.DryRun, json: asJSON}
			o.Log = newLog(conf.Log, show.errOut)
			o.Item, o.Stays, o.Progress = show.item, show.stays, func(done, selected int) { bar.set(int64(done), int64(selected)) }
			result, err := agent.Replay(c.Context(), conf, o)
			return show.end(result, err)
		},
	}
	configFlag(c, &path)
	c.Flags().BoolVar(&o.DryRun, "dry-run", false, "list what would be sent; send and change nothing")
	c.Flags().StringVar(&o.Reason, "reason", "", "only letters with this reason or code, a `GLOB` such as MESSAGE_TOO_LARGE or '*too large*'")
	c.Flags().StringVar(&o.File, "file", "", "only letters of the files that this `GLOB` matches")
	c.Flags().StringVar(&o.Topic, "topic", "", "send to this `TOPIC`, not to that of the configuration")
	c.Flags().IntVar(&o.Limit, "limit", 0, "send at most `N` letters")
	c.Flags().BoolVar(&asJSON, "json", false, "with --dry-run: a JSON object a line, the letter's bytes included")
	return c
}

// replayView shows a replay as it goes.
type replayView struct {
	out, errOut  io.Writer
	dryRun, json bool

	mu     sync.Mutex // guards what follows
	listed int
	table  *tabwriter.Writer
	stayed int
}

// maxStays is how many of the letters that stay are told one by one.
const maxStays = 20

// replayLine is a letter as JSON.
type replayLine struct {
	shipper.DeadLetter
	To string `json:"to"` // the topic where it would go
}

func (v *replayView) item(i agent.ReplayItem) {
	v.listed++
	if v.json {
		json.NewEncoder(v.out).Encode(replayLine{i.Letter.DeadLetter, i.Topic}) //nolint:errcheck // standard output has gone
		return
	}
	if v.table == nil {
		v.table = tabwriter.NewWriter(v.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(v.table, "TIME\tPATH\tOFFSET\tLENGTH\tTOPIC\tREASON")
	}
	l := i.Letter
	fmt.Fprintf(v.table, "%s\t%q\t%d\t%d\t%s\t%s\n", l.Time.UTC().Format(time.RFC3339), l.Path, l.Offset, l.Length, i.Topic, oneLine(l.Reason))
}

// oneLine keeps a reason, which may hold anything, on its line of a terminal.
func oneLine(s string) string {
	q := fmt.Sprintf("%+q", s)
	return q[1 : len(q)-1]
}

func (v *replayView) stays(l *shipper.Letter, why error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stayed++
	if v.stayed > maxStays {
		return
	}
	if l.Err != nil {
		fmt.Fprintf(v.errOut, "stays: the line at byte %d of the dead letter file %v\n", l.At, why)
		return
	}
	fmt.Fprintf(v.errOut, "stays: %q, offset %d: %v\n", l.Path, l.Offset, why)
}

// end tells how it went.
func (v *replayView) end(r agent.ReplayResult, err error) error {
	if v.table != nil {
		err = errors.Join(err, v.table.Flush())
	}
	if v.stayed > maxStays {
		fmt.Fprintf(v.errOut, "and %d more\n", v.stayed-maxStays)
	}
	if v.dryRun {
		fmt.Fprintf(v.errOut, "would send %d dead letters\n", v.listed)
	} else {
		fmt.Fprintf(v.errOut, "sent %d of %d dead letters\n", r.Sent, r.Selected)
	}
	if r.Corrupt > 0 {
		err = errors.Join(err, fmt.Errorf("%d lines of the dead letter file are no letters and stay there: look at them with an editor", r.Corrupt))
	}
	if r.Stayed > 0 && err == nil {
		err = fmt.Errorf("%d dead letters stay in the file", r.Stayed)
	}
	return err
}
