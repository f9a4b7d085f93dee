package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"shiplog/agent"
)

func newCheck() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "check --config FILE",
		Short: "Say whether a configuration is right, and where not",
		Long: `Read the configuration and what it includes, and say everything that is wrong
with it, each with file, line and column. Certificates are read, and the rights of
files with secrets looked at; nothing is dialled, and no log file is opened. The
exit status is 2 if anything is wrong.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			conf, err := loadConfig(path)
			if err != nil {
				return err
			}
			if _, err := agent.Connection(conf); err != nil {
				return usageError{fmt.Errorf("%s: %w", path, err)}
			}
			for _, w := range agent.Warnings(conf) {
				fmt.Fprintln(c.ErrOrStderr(), "warning:", w)
			}
			fmt.Fprintf(c.OutOrStdout(), "%s is right: %d inputs, to %v\n", path, len(conf.Inputs), conf.Kafka.Brokers)
			for _, in := range conf.Inputs {
				topic := in.Topic
				if topic == "" {
					topic = conf.Kafka.Topic
				}
				fmt.Fprintf(c.OutOrStdout(), "  %s: %v as %s, to topic %s\n", in.Name, in.Paths, in.Format, topic)
			}
			return nil
		},
	}
	configFlag(c, &path)
	return c
}
