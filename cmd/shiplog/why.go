package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"shiplog/agent"
)

// errNotRead ends the command with status 1; what there is to say has been said.
var errNotRead = errors.New("it is not being read [file-not-read]") //nolint:gochecknoglobals // a constant that Go cannot express

func newWhy() *cobra.Command {
	var path string
	var asJSON bool
	c := &cobra.Command{
		Use:   "why FILE --config FILE",
		Short: "Say why a file is, or is not, being read",
		Long: `Say whether a file is being read, and why not: which pattern asks for it, leaves
it out or comes nearest, what lies there and who may not read it, under which
other name it is read, how far it is, and what it waits for.

The agent that runs is asked; where none does, configuration, state and disk
are. The exit status is 0 if the file is being read or done, 1 if it is not.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			conf, err := loadConfig(path)
			if err != nil {
				return err
			}
			file, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			w, err := agent.ExplainFile(c.Context(), conf, file)
			if err != nil {
				return err
			}
			if err := printWhy(c.OutOrStdout(), &w, asJSON); err != nil {
				return err
			}
			if !w.Read {
				return errNotRead
			}
			return nil
		},
	}
	configFlag(c, &path)
	c.Flags().BoolVar(&asJSON, "json", false, "a JSON object")
	return c
}

func printWhy(to io.Writer, w *agent.Why, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(to).Encode(w)
	}
	_, err := fmt.Fprint(to, w.Text())
	return err
}
