package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"shiplog/agent"
	"shiplog/agent/config"
	"shiplog/shipper"
)

// consumeFlags are the flags of shiplog consume.
type consumeFlags struct {
	kafka     kafkaFlags
	group     string
	from      string
	exitAtEnd bool
	json      bool
	filter    string
	exec      string
	retries   int
}

func newConsume() *cobra.Command {
	var f consumeFlags
	c := &cobra.Command{
		Use:   "consume {--brokers HOST:PORT,… | --config FILE} [--group NAME] [TOPIC…]",
		Short: "Print the messages of topics as they arrive, or hand them to a command",
		Long: `Print the value of each message to standard output, one a line, until ^C, or with
--exit-at-end until all is printed that was there at the start. A value that is no
envelope is printed as it is. With --json each line is an object: topic, partition,
offset, time, key, headers, and the value (as JSON if it is an object, else as text).

--config takes brokers, security and, unless one is named, the topic from a
configuration, of which its section kafka is enough; flags go before it. Where
kafka.topic is a template, all topics are read that it may lead to, also those that
are created later; the dead letter topic is left out.

--group joins that consumer group: its members share the partitions, and what is
printed is committed, at the latest a second later. ^C, and members that come or
go, neither lose nor repeat a message; after a kill -9 what was not committed comes
again. --from is for what the group has not committed yet.

--filter takes an expression (expr-lang.org) over message, application, username,
operation, params and payload; what is no envelope does not match.

--exec runs a command, by the shell, for each message, with the value (with --json
the object) on its standard input, and the variables SHIPLOG_TOPIC, _PARTITION,
_OFFSET and _KEY. The messages of a partition go one after the other, in their
order; with --group each is committed when its command has succeeded. A command
that fails is run again, after 1 s, 2 s, 4 s … up to a minute, --exec-retries times;
then consume ends with status 1, and the message, of which nothing was committed, is
the next one's first. ^C lets the running command end. A command that takes longer
than ten minutes may see its message go to another member as well.`,
		Example: `  shiplog consume --brokers kafka1:9092 --from 1h --filter 'params.level == "error"' applications.central_logging
  shiplog consume --config /etc/shiplog/shiplog.yaml --group alerts --exec 'curl -fsS --data-binary @- https://alerts.example.org/'
  shiplog consume --brokers kafka1:9093 --tls-ca ca.pem --sasl-mechanism SCRAM-SHA-512 --sasl-username me --sasl-password-file password applications.central_logging`,
		RunE: func(c *cobra.Command, args []string) error {
			o, err := f.options(args, time.Now())
			if err != nil {
				return err
			}
			o.Log = slog.New(slog.NewTextHandler(c.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
			for _, w := range shipper.SecurityWarnings(o.TLS, o.SASL) {
				o.Log.Warn(w)
			}
			return f.run(c, o)
		},
	}
	f.kafka.add(c)
	c.Flags().StringVarP(&f.group, "group", "g", "", "consumer group to join, by `NAME`")
	c.Flags().StringVar(&f.from, "from", "beginning", "beginning, end, or a `TIME`: 2026-01-25T10:00:00Z, 2026-01-25, or 2h ago as 2h; a group goes on where it was")
	c.Flags().BoolVar(&f.exitAtEnd, "exit-at-end", false, "end when all is done that was there at the start")
	c.Flags().BoolVar(&f.json, "json", false, "a JSON object a message, with key, headers, partition, offset and time")
	c.Flags().StringVar(&f.filter, "filter", "", "only messages for which this `EXPRESSION` over the envelope holds")
	c.Flags().StringVar(&f.exec, "exec", "", "run this `COMMAND` for each message, which it gets on its standard input")
	c.Flags().IntVar(&f.retries, "exec-retries", 3, "run a failed command `N` times more before giving up; -1: for ever")
	return c
}

func (f *consumeFlags) options(topics []string, now time.Time) (shipper.ConsumeOptions, error) {
	o := shipper.ConsumeOptions{Group: f.group, Topics: topics, ExitAtEnd: f.exitAtEnd, CommitEach: f.exec != ""}
	switch f.from {
	case "beginning":
	case "end":
		o.FromEnd = true
	default:
		var err error
		if o.FromTime, err = timeAt(f.from, now); err != nil {
			return o, usageError{fmt.Errorf("--from %q is none of beginning, end, a time such as 2026-01-25T10:00:00Z, a date, a duration such as 2h", f.from)}
		}
	}
	if f.retries < -1 {
		return o, usageError{fmt.Errorf("--exec-retries %d: give a number of times, or -1", f.retries)}
	}
	if err := checkTopics(topics); err != nil {
		return o, err
	}
	conf, err := f.kafka.connect()
	if err != nil {
		return o, err
	}
	o.Brokers, o.TLS, o.SASL = conf.brokers, conf.tls, conf.sasl
	if len(o.Topics) == 0 {
		if err := conf.topics(&o); err != nil {
			return o, usageError{err}
		}
	}
	if len(o.Topics) == 0 && o.Pattern == nil {
		return o, usageError{errors.New("name at least one topic")}
	}
	return o, nil
}

// checkTopics refuses names that no topic can have: to wait for one would be for ever.
func checkTopics(names []string) error {
	for _, t := range names {
		if err := config.ValidTopic(t); err != nil {
			return usageError{fmt.Errorf("topic: %w", err)}
		}
	}
	return nil
}

// timeAt reads a time, a date (in local time), or how long ago.
func timeAt(s string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(-d.Abs()), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New("no time")
}

// run consumes until the end.
func (f *consumeFlags) run(c *cobra.Command, o shipper.ConsumeOptions) error {
	out := bufio.NewWriter(c.OutOrStdout())
	take := func(_ context.Context, r *kgo.Record, text []byte) error { return printLine(out, text) }
	if f.exec != "" {
		x := &executor{command: f.exec, retries: f.retries, out: c.OutOrStdout(), errOut: c.ErrOrStderr()}
		take = x.take
	}
	var chosen *agent.ValueFilter
	if f.filter != "" {
		var err error
		if chosen, err = agent.NewValueFilter(f.filter); err != nil {
			return usageError{fmt.Errorf("--filter: %w", err)}
		}
	}
	var failed int
	var why error
	if chosen != nil {
		o.Skip = func(r *kgo.Record) bool {
			keep, err := chosen.Keep(r.Value)
			if err != nil {
				if failed++; why == nil {
					why = err
				}
			}
			return !keep
		}
	}
	err := shipper.Consume(c.Context(), o, func(r *kgo.Record) error {
		text := r.Value
		if f.json {
			text = appendRecord(nil, r)
		}
		return take(c.Context(), r, text)
	})
	if failed > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "%d messages were left out, since the expression could not be evaluated for them; the first: %v\n", failed, why)
	}
	return err
}

// printLine prints a line, and does not return before it is out: what is printed
// counts as consumed.
func printLine(out *bufio.Writer, text []byte) error {
	out.Write(text)     //nolint:errcheck // Flush tells
	out.WriteByte('\n') //nolint:errcheck
	if err := out.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// kafkaFlags are the flags that say how to reach Kafka.
type kafkaFlags struct {
	brokers []string
	config  string

	tls          bool
	tlsFiles     shipper.TLS
	mechanism    string
	username     string
	passwordFile string
}

// passwordVariable holds the password where no file does.
const passwordVariable = "SHIPLOG_SASL_PASSWORD"

func (f *kafkaFlags) add(c *cobra.Command) {
	c.Flags().StringSliceVarP(&f.brokers, "brokers", "b", nil, "`HOST:PORT` to start from, several with commas")
	c.Flags().StringVarP(&f.config, "config", "c", "", "take brokers, security and topic from this configuration `FILE`")
	c.Flags().BoolVar(&f.tls, "tls", false, "encrypt; the system's authorities are trusted unless --tls-ca names others")
	c.Flags().StringVar(&f.tlsFiles.CAFile, "tls-ca", "", "`FILE` with the brokers' authority (PEM)")
	c.Flags().StringVar(&f.tlsFiles.CertFile, "tls-cert", "", "`FILE` with our certificate (PEM)")
	c.Flags().StringVar(&f.tlsFiles.KeyFile, "tls-key", "", "`FILE` with its key (PEM)")
	c.Flags().StringVar(&f.tlsFiles.ServerName, "tls-server-name", "", "`NAME` expected in the brokers' certificates")
	c.Flags().StringVar(&f.mechanism, "sasl-mechanism", "", "`NAME`: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, AWS_MSK_IAM; OAUTHBEARER and GSSAPI by --config")
	c.Flags().StringVar(&f.username, "sasl-username", "", "`USER` to log in as")
	c.Flags().StringVar(&f.passwordFile, "sasl-password-file", "", "`FILE` with the password; else it is in $"+passwordVariable)
}

// kafkaConnection is what the flags say.
type kafkaConnection struct {
	brokers []string
	conf    *config.Config // nil: there is none
	tls     *shipper.TLS
	sasl    *shipper.SASL
}

// topics sets what the configuration says of topics.
func (k *kafkaConnection) topics(o *shipper.ConsumeOptions) (err error) {
	if k.conf == nil {
		return nil
	}
	if o.Pattern, err = agent.TopicPattern(k.conf); err != nil {
		return err
	}
	switch dead := k.conf.Kafka.DeadLetter.Topic; {
	case o.Pattern == nil:
		o.Topics = []string{k.conf.Kafka.Topic}
	case dead != "":
		o.Except = []string{dead}
	}
	return nil
}

// connect joins configuration and flags. What is wrong is an error of usage.
func (f *kafkaFlags) connect() (kafkaConnection, error) {
	var k kafkaConnection
	if f.config != "" {
		c, err := config.LoadKafka(f.config, nil)
		if err != nil {
			return k, usageError{err}
		}
		s, err := agent.Connection(c)
		if err != nil {
			return k, usageError{err}
		}
		k = kafkaConnection{c.Kafka.Brokers, c, s.TLS, s.SASL}
	}
	if len(f.brokers) > 0 {
		k.brokers = nil
	}
	for _, b := range f.brokers {
		addr, err := config.Broker(b)
		if err != nil {
			return k, usageError{fmt.Errorf("--brokers: %w", err)}
		}
		k.brokers = append(k.brokers, addr)
	}
	if len(k.brokers) == 0 {
		return k, usageError{errors.New("name the brokers: --brokers HOST:PORT, or --config FILE")}
	}
	if f.tls || f.tlsFiles != (shipper.TLS{}) {
		k.tls = &f.tlsFiles
		if (k.tls.CertFile == "") != (k.tls.KeyFile == "") {
			return k, usageError{errors.New("--tls-cert and --tls-key belong together")}
		}
		if err := k.tls.Check(); err != nil {
			return k, usageError{fmt.Errorf("TLS: %w", err)}
		}
	}
	return k, f.login(&k)
}

// login adds who the flags say that we are.
func (f *kafkaFlags) login(k *kafkaConnection) error {
	if f.mechanism == "" {
		if f.username != "" || f.passwordFile != "" {
			return usageError{errors.New("--sasl-username and --sasl-password-file need --sasl-mechanism")}
		}
		return nil
	}
	k.sasl = &shipper.SASL{Mechanism: strings.ToUpper(f.mechanism), Username: f.username,
		Password: shipper.Secret{File: f.passwordFile, Key: "--sasl-password-file"}}
	if f.passwordFile == "" {
		k.sasl.Password = shipper.Secret{Value: os.Getenv(passwordVariable), Key: "$" + passwordVariable}
	}
	if err := k.sasl.Check(); err != nil {
		return usageError{fmt.Errorf("%w; see shiplog consume --help", err)}
	}
	return nil
}
