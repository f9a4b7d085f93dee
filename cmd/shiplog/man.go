package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// newMan returns the command by which the packages get their manual pages. It
// is for those who build packages, and not listed.
func newMan() *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "Write the manual pages of all commands into a folder",
		Long:   "Write a manual page for each command into the folder DIR, which is made. They\ncarry the date that SOURCE_DATE_EPOCH gives, else today's.",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("folder for the manual pages: %w", err)
			}
			root := c.Root()
			root.DisableAutoGenTag = true
			head := &doc.GenManHeader{Section: "1", Source: "shiplog " + version, Manual: "shiplog"}
			if err := doc.GenManTree(root, head, args[0]); err != nil {
				return fmt.Errorf("write the manual pages to %s: %w", args[0], err)
			}
			return nil
		},
	}
}
