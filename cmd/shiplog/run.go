package main

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"shiplog/agent"
	"shiplog/agent/config"
)

func newRun() *cobra.Command {
	var path string
	var once, drain bool
	c := &cobra.Command{
		Use:   "run --config FILE",
		Short: "Follow the files and ship their lines, until it is told to stop",
		Long: `Follow the files of the configuration and ship their lines to Kafka.

SIGTERM or SIGINT ends the reading, waits for Kafka's acknowledgements (at most
shutdown_timeout), and writes the checkpoint; a second signal ends at once.
SIGHUP reads the configuration again and applies what has changed, without
reading a line twice; if it is wrong, nothing changes and the log says why.
shiplog reload does the same, and prints what has come of it.
With --once it reads what is there, takes the files as finished (a last line
without a newline is shipped too), ships all of it, and ends. With --drain it
does so after a SIGTERM, within shutdown_timeout: for where the logs go together
with it, as in a pod.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if once && drain {
				return usageError{errors.New("--once and --drain do not go together: --once ends by itself, with all shipped")}
			}
			if service, err := asService(path); service {
				return err
			}
			conf, err := loadConfig(path)
			if err != nil {
				return err
			}
			abs, err := filepath.Abs(path)
			if err != nil {
				return err
			}
			// Before the agent can use it: a signal that nobody waits for would end it.
			hangup := make(chan os.Signal, 1)
			signal.Notify(hangup, syscall.SIGHUP)
			defer signal.Stop(hangup)
			level := new(slog.LevelVar)
			level.Set(conf.Log.Level)
			bar := newBar(c.ErrOrStderr(), !once, "shipping", "")
			defer bar.clear()
			o := runOptions(abs, newLevelLog(conf.Log, level, bar.over(c.ErrOrStderr())), level, hangup)
			if once {
				o.Once, o.Load, o.Progress = true, nil, bar.set
			} else {
				hint(c, "next, elsewhere: shiplog status --config %s --watch; ^C ends this", path)
			}
			if drain {
				return agent.RunAndDrain(c.Context(), conf, o)
			}
			return agent.Run(c.Context(), conf, o)
		},
	}
	configFlag(c, &path)
	c.Flags().BoolVar(&once, "once", false, "read what is there, ship it, and end")
	c.Flags().BoolVar(&drain, "drain", false, "when told to stop, first ship what the files hold by then")
	return c
}

// runOptions are those of an agent that is told by hangup to read its
// configuration, at the absolute path, again.
func runOptions(path string, log *slog.Logger, level *slog.LevelVar, hangup <-chan os.Signal) agent.Options {
	return agent.Options{
		Version: version, ConfigPath: path, Log: log, Level: level, Hangup: hangup, Needs: limitMemory(),
		Load: func() (*config.Config, error) { return loadConfig(path) },
	}
}

// configFlag adds --config, which loadConfig reads.
func configFlag(c *cobra.Command, path *string) {
	c.Flags().StringVarP(path, "config", "c", "", "configuration `FILE`")
}

// loadConfig reads the configuration; what is wrong with it is an error of
// usage.
func loadConfig(path string) (*config.Config, error) {
	if path == "" {
		return nil, usageError{errors.New("name the configuration: --config FILE")}
	}
	c, err := config.Load(path, nil)
	if err != nil {
		return nil, usageError{err}
	}
	if err := agent.Validate(c); err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

// newLog returns shiplog's own log.
func newLog(l config.Log, w io.Writer) *slog.Logger { return newLevelLog(l, l.Level, w) }

// newLevelLog is newLog with a level that can change.
func newLevelLog(l config.Log, level slog.Leveler, w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// limitMemory returns what has the garbage collector keep to what a run has use
// for; nil where the environment says what it has to keep to.
func limitMemory() func(bytes int64) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	return func(bytes int64) { debug.SetMemoryLimit(bytes) }
}
