//go:build !windows

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// errNotWindows is the answer to all that concerns the Windows service.
func errNotWindows() error {
	return usageError{errors.New("shiplog service is for Windows; here the service manager starts shiplog run --config FILE, see packaging/")}
}

func errNoSubcommand() error { return errNotWindows() }

func serviceInstall(*cobra.Command, string, string) error { return errNotWindows() }

func serviceStart(*cobra.Command) error { return errNotWindows() }

func serviceStop(*cobra.Command) error { return errNotWindows() }

func serviceRemove(*cobra.Command) error { return errNotWindows() }

func serviceStatus(*cobra.Command) error { return errNotWindows() }

// asService reports whether the service manager started this process, and runs
// it as a service then.
func asService(string) (bool, error) { return false, nil }
