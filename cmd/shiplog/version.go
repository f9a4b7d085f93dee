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
			_, err := fmt.Fprintln(c.OutOrStdout(), versionText())
			return err
		},
	}
}

// versionText is what shiplog version, and --version, print.
func versionText() string {
	at := ""
	if commit != "" {
		at = ", commit " + commit
	}
	return fmt.Sprintf("shiplog %s%s (%s, %s/%s)", version, at, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
