package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"shiplog/agent/checkpoint"
)

func newState() *cobra.Command {
	c := &cobra.Command{
		Use:   "state",
		Short: "Look at the checkpoint",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("say what: shiplog state list")}
		},
	}
	c.AddCommand(newStateList())
	return c
}

func newStateList() *cobra.Command {
	var path, dir string
	var asJSON bool
	c := &cobra.Command{
		Use:   "list --config FILE | --state-dir DIR",
		Short: "List the files that the checkpoint knows, and how far each is acknowledged",
		Long: `List the files that the checkpoint knows. Offsets count raw bytes: everything
before an offset has been acknowledged by Kafka. It can be called while an agent
runs, and shows what that has written to disk.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if (path == "") == (dir == "") {
				return usageError{errors.New("give --config FILE or --state-dir DIR")}
			}
			if path != "" {
				conf, err := loadConfig(path)
				if err != nil {
					return err
				}
				dir = conf.StateDir
			}
			entries, err := checkpoint.ReadOnly(dir)
			if err != nil {
				return err
			}
			if asJSON {
				return printStateJSON(c.OutOrStdout(), entries)
			}
			return printState(c.OutOrStdout(), entries)
		},
	}
	c.Flags().StringVarP(&path, "config", "c", "", "configuration `FILE`")
	c.Flags().StringVar(&dir, "state-dir", "", "state `DIR`ectory")
	c.Flags().BoolVar(&asJSON, "json", false, "a JSON object a line")
	return c
}

// stateLine is a file of the checkpoint as JSON.
type stateLine struct {
	ID      string    `json:"id"`
	Path    string    `json:"path"`
	Origin  string    `json:"origin"`
	Offset  int64     `json:"offset"`
	Device  uint64    `json:"device"`
	Inode   uint64    `json:"inode"`
	Rotated bool      `json:"rotated"`
	Seen    time.Time `json:"seen,omitzero"`
	Gone    time.Time `json:"gone,omitzero"`
}

func printStateJSON(w io.Writer, entries []checkpoint.Entry) error {
	enc := json.NewEncoder(w)
	for _, e := range entries {
		if err := enc.Encode(stateLine{fmt.Sprintf("%016x", e.ID), e.Path, e.Origin, e.Offset, e.Dev, e.Ino, e.Rotated, e.Seen, e.Gone}); err != nil {
			return err
		}
	}
	return nil
}

func printState(w io.Writer, entries []checkpoint.Entry) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tOFFSET\tSTATE\tSEEN\tPATH")
	for _, e := range entries {
		state := "there"
		switch {
		case !e.Gone.IsZero():
			state = "gone"
		case e.Rotated:
			state = "rotated"
		}
		fmt.Fprintf(t, "%016x\t%d\t%s\t%s\t%q\n", e.ID, e.Offset, state, e.Seen.UTC().Format(time.RFC3339), e.Path)
	}
	return t.Flush()
}
