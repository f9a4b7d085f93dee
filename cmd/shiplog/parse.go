package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"shiplog/agent"
	"shiplog/agent/config"
	"shiplog/agent/parse"
)

// parseOptions are the flags of shiplog parse.
type parseOptions struct {
	config, input                            string
	format, pattern, application             string
	multiline, encoding, timezone, dateOrder string
	maxLine                                  int64
	follow, quiet                            bool
}

func newParse() *cobra.Command {
	var o parseOptions
	c := &cobra.Command{
		Use:   "parse [--config FILE [--input NAME] | --format FORMAT] [FILE…|-]",
		Short: "Print what would be sent for the entries of files; nothing is sent",
		Long: `Print the envelope of each entry to standard output, one JSON object a line, as
run would send it: decoded, joined, parsed and transformed. Without a file, or
with -, it reads standard input. Files compressed with gzip, zstd or bzip2 are
read as what is in them.

Standard error gets a summary of each file: the format that was chosen and why,
the encoding, how many entries parsed and how many not, and for which reasons,
times and levels. On a terminal an entry that did not parse is red, with the
reason below it, and warnings and errors are coloured; NO_COLOR switches that off.

--follow goes on with what is appended, also over a rotation, until ^C. It is for
looking on: what an application writes to a file that has been renamed is not
shown (run reads it), and a line is held whole, however long it is.`,
		RunE: func(c *cobra.Command, args []string) error {
			n, err := o.inspector(c)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				args = []string{"-"}
			}
			b := newBench(c, n, o.quiet)
			if o.follow {
				return b.follow(c.Context(), args)
			}
			return b.read(c.Context(), args)
		},
	}
	f := c.Flags()
	f.StringVarP(&o.config, "config", "c", "", "read as this configuration `FILE` says")
	f.StringVar(&o.input, "input", "", "the input of the configuration, by `NAME`; the first by default")
	f.StringVarP(&o.format, "format", "f", "auto", strings.Join(parse.Formats(), ", "))
	f.StringVar(&o.pattern, "pattern", "", "the `PATTERN` of the formats regex and grok")
	f.StringVar(&o.application, "application", "", "payload.application where an entry names none")
	f.StringVar(&o.multiline, "multiline", "auto", "which lines make one entry: auto, none, "+strings.Join(config.Presets(), ", "))
	f.StringVar(&o.encoding, "encoding", "auto", "auto, or an IANA name")
	f.StringVar(&o.timezone, "timezone", "local", "the `ZONE` of times that name none: local, UTC, Europe/Berlin …")
	f.StringVar(&o.dateOrder, "date-order", "auto", "of dates such as 03/04/2026: auto, day_first, month_first")
	f.Int64Var(&o.maxLine, "max-line-bytes", 1<<20, "length at which a line is cut")
	f.BoolVar(&o.follow, "follow", false, "go on with what is appended to the files")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no summary")
	return c
}

// inspector returns what reads the files.
func (o *parseOptions) inspector(c *cobra.Command) (*agent.Inspector, error) {
	if o.config == "" {
		return o.plain(c)
	}
	for _, name := range []string{"format", "pattern", "application", "multiline", "encoding", "timezone", "date-order", "max-line-bytes"} {
		if c.Flags().Changed(name) {
			return nil, usageError{fmt.Errorf("--config says how files are read: leave --%s out, or --config", name)}
		}
	}
	conf, err := loadConfig(o.config)
	if err != nil {
		return nil, err
	}
	in, err := inputNamed(conf, o.input)
	if err != nil {
		return nil, err
	}
	return agent.NewInspector(conf, in)
}

// plain returns what reads the files as the flags say.
func (o *parseOptions) plain(c *cobra.Command) (*agent.Inspector, error) {
	in := config.DefaultInput()
	in.Format, in.Pattern, in.Application, in.Encoding = o.format, o.pattern, o.application, o.encoding
	in.Multiline.Preset, in.DateOrder, in.MaxLineBytes = strings.ToLower(o.multiline), o.dateOrder, o.maxLine
	var err error
	switch {
	case o.input != "":
		err = errors.New("--input names an input of a configuration: give --config too")
	case o.maxLine < 1 || o.maxLine > 1<<30:
		err = errors.New("--max-line-bytes has to be from 1 to 1073741824")
	case o.pattern != "" && o.format != "regex" && o.format != "grok":
		err = errors.New("--pattern is for the formats regex and grok: give --format too")
	case o.dateOrder != "auto" && o.dateOrder != "day_first" && o.dateOrder != "month_first":
		err = fmt.Errorf("--date-order %q is none of auto, day_first, month_first", o.dateOrder)
	case strings.EqualFold(o.timezone, "local") || o.timezone == "":
	default:
		if in.Timezone, err = time.LoadLocation(o.timezone); err != nil {
			err = fmt.Errorf("--timezone %q is not the name of a time zone; write local, UTC, or one of the IANA database, such as Europe/Berlin", o.timezone)
		}
	}
	if err != nil {
		return nil, usageError{err}
	}
	n, err := agent.NewInspector(&config.Config{}, &in)
	if errs, ok := errors.AsType[config.Errors](err); ok && len(errs) == 1 {
		return nil, usageError{errors.New(errs[0].Text)} // there is no file in which it could stand
	}
	return n, err
}

func inputNamed(c *config.Config, name string) (*config.Input, error) {
	var names []string
	for i := range c.Inputs {
		if name == "" || c.Inputs[i].Name == name {
			return &c.Inputs[i], nil
		}
		names = append(names, c.Inputs[i].Name)
	}
	return nil, usageError{fmt.Errorf("no input is named %q; there are %q", name, names)}
}

// read reads the files one after another. One that cannot be read is told at
// the end: the others are read all the same.
func (b *bench) read(ctx context.Context, names []string) error {
	var wrong error
	for _, name := range names {
		found, err := b.readFile(ctx, name)
		if err := b.out.Flush(); err != nil {
			return err
		}
		if found != nil {
			b.summary(name, found)
		}
		if ctx.Err() != nil || errors.Is(err, errOutput) {
			return err
		}
		wrong = errors.Join(wrong, err)
	}
	return wrong
}

func (b *bench) readFile(ctx context.Context, name string) (found *agent.Inspection, err error) {
	in := b.in
	if name == "-" {
		r, done, err := agent.Uncompressed(in)
		if err != nil {
			return nil, fmt.Errorf("standard input: %w", err)
		}
		defer done()
		in = r
	} else {
		f, err := agent.OpenLog(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	found, err = b.inspector.Read(in, func(one *agent.Inspected) error { return cmp.Or(ctx.Err(), b.print(one)) })
	if err != nil && !errors.Is(err, errOutput) {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return found, err
}

// follow follows the files until ctx ends. Each has a goroutine, of which one at
// a time prints.
func (b *bench) follow(ctx context.Context, names []string) error {
	for _, name := range names {
		if name == "-" {
			return usageError{errors.New("--follow follows files: standard input is followed without it")}
		}
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	var mu sync.Mutex // guards b.out
	found, errs := make([]*agent.Inspection, len(names)), make([]error, len(names))
	for i, name := range names {
		wg.Go(func() {
			found[i], errs[i] = b.inspector.Follow(ctx, name, func(one *agent.Inspected) error {
				mu.Lock()
				defer mu.Unlock()
				return cmp.Or(b.print(one), b.flush())
			})
			if errs[i] != nil {
				stop() // one that cannot be followed ends all
			}
		})
	}
	wg.Wait()
	for i, name := range names {
		if found[i] != nil {
			b.summary(name, found[i])
		}
	}
	return errors.Join(errs...)
}
