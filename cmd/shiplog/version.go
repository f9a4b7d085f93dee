package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			at := ""
			if commit != "" {
				at = ", commit " + commit
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "shiplog %s%s (%s, %s/%s)\n", version, at, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}
