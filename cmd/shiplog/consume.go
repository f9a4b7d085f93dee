package main

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"shiplog/agent"
	"shiplog/shipper"
)

// consumeFlags are the flags of shiplog consume.
type consumeFlags struct {
	brokers   []string
	config    string
	group     string
	from      string
	exitAtEnd bool
}

func newConsume() *cobra.Command {
	var f consumeFlags
	c := &cobra.Command{
		Use:   "consume --brokers HOST:PORT,… [--group NAME] TOPIC…",
		Short: "Print the messages of topics as they arrive",
		Long: `Print the value of each message to standard output, one a line, until ^C, or with
--exit-at-end until all is printed that was there at the start. With --group it
joins that consumer group: what is printed is committed, the members share the
partitions, and ^C leaves the group in order. With --config the brokers and the
security come from an agent's configuration, and so does the topic unless one is
named.`,
		RunE: func(c *cobra.Command, args []string) error {
			o, err := f.options(args)
			if err != nil {
				return err
			}
			o.Log = slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
			out := bufio.NewWriter(c.OutOrStdout())
			return shipper.Consume(c.Context(), o, func(r *kgo.Record) error { return printRecord(out, r) })
		},
	}
	c.Flags().StringSliceVarP(&f.brokers, "brokers", "b", nil, "`HOST:PORT` to start from, several with commas")
	c.Flags().StringVarP(&f.config, "config", "c", "", "take brokers, security and topic from this configuration `FILE`")
	c.Flags().StringVarP(&f.group, "group", "g", "", "consumer group to join, by `NAME`")
	c.Flags().StringVar(&f.from, "from", "beginning", "beginning or end; a group goes on where it was")
	c.Flags().BoolVar(&f.exitAtEnd, "exit-at-end", false, "end when all is printed that was there at the start")
	return c
}

func (f *consumeFlags) options(topics []string) (shipper.ConsumeOptions, error) {
	o := shipper.ConsumeOptions{Brokers: f.brokers, Group: f.group, Topics: topics, ExitAtEnd: f.exitAtEnd}
	switch f.from {
	case "beginning":
	case "end":
		o.FromEnd = true
	default:
		return o, usageError{fmt.Errorf("--from %q is none of beginning, end", f.from)}
	}
	if f.config != "" {
		c, err := loadConfig(f.config)
		if err != nil {
			return o, err
		}
		s, err := agent.Connection(c)
		if err != nil {
			return o, err
		}
		o.TLS, o.SASL = s.TLS, s.SASL
		if len(o.Brokers) == 0 {
			o.Brokers = c.Kafka.Brokers
		}
		if len(o.Topics) == 0 {
			o.Topics = []string{c.Kafka.Topic}
		}
	}
	if len(o.Brokers) == 0 {
		return o, usageError{errors.New("name the brokers: --brokers HOST:PORT, or --config FILE")}
	}
	for i, b := range o.Brokers {
		if !strings.Contains(b, ":") {
			o.Brokers[i] = b + ":9092"
		}
	}
	if len(o.Topics) == 0 {
		return o, usageError{errors.New("name at least one topic")}
	}
	return o, nil
}

// printRecord prints a value, and does not return before it is out: what is
// printed counts as consumed.
func printRecord(out *bufio.Writer, r *kgo.Record) error {
	out.Write(r.Value)  //nolint:errcheck // Flush tells
	out.WriteByte('\n') //nolint:errcheck
	if err := out.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
