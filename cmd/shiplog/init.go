package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"shiplog/agent"
	"shiplog/agent/config"
)

// initOptions are the flags of shiplog init.
type initOptions struct {
	output string
	force  bool
	conf   agent.SurveyConfig
}

func newInit() *cobra.Command {
	var o initOptions
	c := &cobra.Command{
		Use:   "init [-o FILE] [PATH|GLOB…]",
		Short: "Look at logs, and write a configuration for them",
		Long: `Look at files, folders and patterns, or at the places where logs usually are;
recognise formats, encodings, entries of several lines and rotation; and write a
commented configuration for them to standard output, or to a file. Nothing is
sent, and no log is changed. What cannot be read is named, with what to do.`,
		RunE: func(c *cobra.Command, args []string) error { return o.run(c, args) },
	}
	f := c.Flags()
	f.StringVarP(&o.output, "output", "o", "", "write to this `FILE`, which must not be there yet")
	f.BoolVar(&o.force, "force", false, "write over the file of -o")
	f.StringVar(&o.conf.Application, "application", "", "payload.application where a line names none; by default told from names of folders")
	f.StringSliceVar(&o.conf.Brokers, "brokers", nil, "Kafka's addresses, `HOST:PORT,…`")
	f.StringVar(&o.conf.Topic, "topic", "", "the topic")
	return c
}

func (o *initOptions) run(c *cobra.Command, args []string) error {
	if o.force && o.output == "" {
		return usageError{errors.New("--force writes over a file: name it with -o")}
	}
	if o.output != "" && !o.force {
		if _, err := os.Lstat(o.output); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is there already: name another file, or give --force [file-there]", o.output)
		}
	}
	s, err := takeSurvey(args)
	if err != nil {
		return err
	}
	printSkipped(c.ErrOrStderr(), s)
	if len(s.Inputs) == 0 {
		if len(args) == 0 {
			return errors.New("no logs were found at the usual places: name files, folders or patterns [logs-none]")
		}
		return errors.New("no logs that can be read were found there [logs-none]")
	}
	text := s.AppendYAML(nil, o.conf)
	conf, err := config.Decode(bytes.NewReader(text), "the new configuration", os.LookupEnv)
	if err == nil {
		err = agent.Validate(conf)
	}
	if err != nil {
		return usageError{fmt.Errorf("nothing was written: %w", err)}
	}
	if err := o.write(c.OutOrStdout(), text); err != nil {
		return err
	}
	printNext(c.ErrOrStderr(), s, o.output)
	return nil
}

func takeSurvey(places []string) (*agent.Survey, error) {
	if len(places) == 0 {
		return agent.SurveyUsual(), nil
	}
	return agent.TakeSurvey(places)
}

// write writes the configuration. With force one that is there is replaced at
// once, or not at all.
func (o *initOptions) write(out io.Writer, text []byte) error {
	if o.output == "" {
		_, err := out.Write(text)
		return err
	}
	path := o.output
	if o.force {
		path += ".tmp"
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil && o.force {
		err = os.Rename(path, o.output)
	}
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// printSkipped names what is in no input, with what to do.
func printSkipped(w io.Writer, s *agent.Survey) {
	for _, f := range s.Skipped {
		fmt.Fprintf(w, "left out: %s: %s\n", f.Path, f.Reason)
		if errors.Is(f.Err, fs.ErrPermission) {
			fmt.Fprintf(w, "  to let it be read: %s\n", mend(f.Path))
		}
	}
	if s.More {
		fmt.Fprintln(w, "there are more files than can be looked at: name some of the folders")
	}
}

// mend is the command that lets who runs shiplog read a file or list a folder.
func mend(path string) string {
	name := "shiplog"
	if u, err := user.Current(); err == nil && u.Uid != "0" {
		name = u.Username
	}
	rights := "r"
	for {
		fi, err := os.Stat(path)
		if err == nil {
			if fi.IsDir() {
				rights = "rx"
			}
			break
		}
		up := filepath.Dir(path)
		if !errors.Is(err, fs.ErrPermission) || up == path {
			break
		}
		path = up // which may not be searched
	}
	as := "sudo "
	if runtime.GOOS == "windows" {
		as = ""
	}
	return as + agent.Grant(name, rights, path)
}

// printNext says what was found, and the next step.
func printNext(w io.Writer, s *agent.Survey, path string) {
	for i := range s.Inputs {
		in := &s.Inputs[i]
		fmt.Fprintf(w, "%s: %s as %s (%s)\n", in.Name, strings.Join(in.Paths, ", "), in.Format, in.Seen)
	}
	if path == "" {
		fmt.Fprintln(w, "next: write it to a file (-o shiplog.yaml), and set kafka.brokers there")
		return
	}
	in := &s.Inputs[0]
	fmt.Fprintf(w, "next: set kafka.brokers in %s; then\n  shiplog check --connect --config %[1]s\n  shiplog parse --config %[1]s --input %s %s\n  shiplog run --config %[1]s\n", path, in.Name, in.Example)
}
