package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"shiplog/agent"
	"shiplog/agent/config"
	"shiplog/agent/envelope"
	"shiplog/agent/parse"
	"shiplog/agent/transform"
	"shiplog/tailer"
)

// parseOptions are the flags of shiplog parse.
type parseOptions struct {
	config, input, format, application string
	maxLine                            int64
}

func newParse() *cobra.Command {
	var o parseOptions
	c := &cobra.Command{
		Use:   "parse [--config FILE [--input NAME] | --format FORMAT] [FILE…|-]",
		Short: "Print what would be sent for the lines of a file; nothing is sent",
		Long: `Print the envelope of each line to standard output, one JSON object a line, as
run would send it. Without a file, or with -, it reads standard input. How many
lines did not parse, and why, goes to standard error.`,
		RunE: func(c *cobra.Command, args []string) error {
			if o.config != "" && c.Flags().Changed("format") {
				return usageError{errors.New("--config names the format: leave --format out")}
			}
			enc, in, err := o.encoder()
			if err != nil {
				return err
			}
			return parseFiles(c, enc, in, args)
		},
	}
	c.Flags().StringVarP(&o.config, "config", "c", "", "take format and application from this configuration `FILE`")
	c.Flags().StringVar(&o.input, "input", "", "the input of the configuration, by `NAME`; the first by default")
	c.Flags().StringVarP(&o.format, "format", "f", "auto", strings.Join(parse.Formats(), ", "))
	c.Flags().StringVar(&o.application, "application", "", "payload.application where a line names none")
	c.Flags().Int64Var(&o.maxLine, "max-line-bytes", 1<<20, "length at which a line is cut")
	return c
}

// encoder returns what reads the lines, and how they are cut.
func (o *parseOptions) encoder() (*agent.Encoder, tailer.Input, error) {
	if o.config != "" {
		c, err := loadConfig(o.config)
		if err != nil {
			return nil, tailer.Input{}, err
		}
		named, err := inputNamed(c, o.input)
		if err != nil {
			return nil, tailer.Input{}, err
		}
		enc, err := agent.NewInputEncoder(c, named)
		if err != nil {
			return nil, tailer.Input{}, err
		}
		in, err := agent.TailerInput(named)
		return enc, in, err
	}
	if o.maxLine < 1 {
		return nil, tailer.Input{}, usageError{errors.New("--max-line-bytes has to be above zero")}
	}
	enc, err := agent.NewEncoder(o.format, o.application, parse.Options{})
	if err != nil {
		return nil, tailer.Input{}, usageError{err}
	}
	plain := config.DefaultInput()
	plain.Format, plain.MaxLineBytes = o.format, o.maxLine
	in, err := agent.TailerInput(&plain)
	return enc, in, err
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

// tally counts what was parsed.
type tally struct {
	lines   int
	reasons map[string]int // why lines are shipped whole
	left    int            // left out on purpose
}

func parseFiles(c *cobra.Command, enc *agent.Encoder, input tailer.Input, args []string) error {
	if len(args) == 0 {
		args = []string{"-"}
	}
	out := bufio.NewWriter(c.OutOrStdout())
	t := tally{reasons: map[string]int{}}
	for _, name := range args {
		if err := parseFile(c.InOrStdin(), name, out, enc, input, &t); err != nil {
			return errors.Join(err, out.Flush())
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if t.left > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "%d of %d lines left out by transforms\n", t.left, t.lines)
	}
	for reason, n := range t.reasons {
		fmt.Fprintf(c.ErrOrStderr(), "%d of %d lines: %s\n", n, t.lines, reason)
	}
	return nil
}

func parseFile(in io.Reader, name string, out *bufio.Writer, enc *agent.Encoder, input tailer.Input, t *tally) error {
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	var e envelope.Envelope
	var line []byte
	file := enc.File(0, nil)
	return tailer.Lines(in, input, func(entry tailer.Entry) error {
		t.lines++
		file.Begin(time.Now())
		if err := file.Encode(entry.Data, &e); err != nil {
			t.reasons["shipped whole: "+err.Error()]++
		}
		result := file.Transform(&e, entry.Start)
		switch result.Action {
		case transform.Ship:
		case transform.Refused:
			t.reasons["it would be a dead letter: "+result.Failed]++
			return nil
		default:
			t.left++
			return nil
		}
		if result.Failed != "" {
			t.reasons["a transformation failed: "+result.Failed]++
		}
		line = append(e.AppendJSON(line[:0]), '\n')
		_, err := out.Write(line)
		return err
	})
}
