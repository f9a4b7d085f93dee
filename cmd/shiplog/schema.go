package main

import (
	"errors"

	"github.com/spf13/cobra"

	"shiplog/agent/config"
	"shiplog/agent/envelope"
)

func newSchema() *cobra.Command {
	c := &cobra.Command{
		Use:   "schema",
		Short: "Print a JSON Schema",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return usageError{errors.New("say of what: shiplog schema envelope, or shiplog schema config")}
		},
	}
	c.AddCommand(
		printSchema("envelope", "Print the JSON Schema of the messages that shiplog sends", envelope.Schema),
		printSchema("config", "Print the JSON Schema of the configuration, for editors", config.Schema),
	)
	return c
}

func printSchema(of, short string, schema func() []byte) *cobra.Command {
	return &cobra.Command{
		Use:   of,
		Short: short,
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := c.OutOrStdout().Write(schema())
			return err
		},
	}
}
