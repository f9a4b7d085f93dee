package main

import (
	"errors"

	"github.com/spf13/cobra"

	"shiplog/agent/envelope"
)

func newSchema() *cobra.Command {
	c := &cobra.Command{
		Use:   "schema",
		Short: "Print a JSON Schema",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return usageError{errors.New("say of what: shiplog schema envelope")}
		},
	}
	c.AddCommand(&cobra.Command{
		Use:   "envelope",
		Short: "Print the JSON Schema of the messages that shiplog sends",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := c.OutOrStdout().Write(envelope.Schema())
			return err
		},
	})
	return c
}
