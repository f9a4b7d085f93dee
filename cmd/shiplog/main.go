// Command shiplog follows log files and ships their lines to Kafka. Each
// subcommand has a file of its own here; the work is done by the packages
// agent, tailer and shipper.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit statuses, for all subcommands.
const (
	exitDone   = 0
	exitFailed = 1 // it failed while it ran
	exitUsage  = 2 // wrong usage or configuration
)

// version and commit are set by the linker: -ldflags "-X main.version=…".
var (
	version = "dev"
	commit  = ""
)

// usageError is an error of the user's call or configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run carries one command line out and returns its exit status.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(errOut, "shiplog:", withCode(err))
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "shiplog",
		Short:         "Ships the lines of log files to Kafka, and loses none",
		Version:       versionText(), // for --version
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return usageError{errors.New("say what to do: shiplog run --config FILE; shiplog --help lists the commands")}
		},
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, c.CommandPath())}
	})
	root.AddCommand(newRun(), newReload(), newCheck(), newParse(), newInit(), newConsume(), newVerify(), newReplay(), newStatus(), newState(), newWhy(), newSchema(), newDemo(), newMan(), newVersion(), newService())
	markUsage(root)
	return root
}

// hint tells a person what to do next; scripts, and whoever reads standard error from
// a file, are not told.
func hint(c *cobra.Command, format string, args ...any) {
	if isTerminal(c.ErrOrStderr()) {
		fmt.Fprintf(c.ErrOrStderr(), format+"\n", args...)
	}
}

// markUsage makes wrong arguments an error of usage, in c and all below it.
func markUsage(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usageError{fmt.Errorf("%w; see %s --help", err, c.CommandPath())}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		markUsage(sub)
	}
}
