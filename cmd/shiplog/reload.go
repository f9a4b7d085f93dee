package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"shiplog/agent"
)

func newReload() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "reload --config FILE",
		Short: "Have the running agent read its configuration again",
		Long: `Have the agent that runs with the state_dir of this configuration read its own
configuration again and apply what has changed, as SIGHUP does, and print what
has come of it. If the configuration is wrong, nothing changes. Not all can
change while it runs: what takes a restart is said, and the rest applies.

It asks the agent by its admin address (admin.listen), and needs the right to
read the state directory.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			conf, err := loadConfig(path) // what is wrong with it is said without the agent
			if err != nil {
				return err
			}
			r, err := agent.Reload(c.Context(), conf.StateDir)
			if err != nil {
				return err
			}
			for _, w := range r.Warnings {
				fmt.Fprintln(c.ErrOrStderr(), "warning:", w)
			}
			fmt.Fprintln(c.OutOrStdout(), r)
			return nil
		},
	}
	configFlag(c, &path)
	return c
}
