package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/color"
	"io"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"

	"shiplog/agent"
	"shiplog/agent/config"
	"shiplog/shipper"
)

// connectTimeout bounds check --connect as a whole; each of its questions has a
// shorter bound of its own.
const connectTimeout = 2 * time.Minute

// errNotReady ends the command with status 1; what there is to say has been said.
var errNotReady = errors.New("lines would not arrive, or not be read, before that is put right [check-failed]") //nolint:gochecknoglobals // a constant that Go cannot express

func newCheck() *cobra.Command {
	var path string
	var connect, asJSON bool
	c := &cobra.Command{
		Use:   "check --config FILE [--connect [--json]]",
		Short: "Say whether a configuration is right, and with --connect whether it would run here",
		Long: `Read the configuration and what it includes, and say everything that is wrong
with it, each with file, line and column. Certificates are read, and the rights of
files with secrets looked at; nothing is dialled, and no log file is opened. The
exit status is 2 if anything is wrong.

With --connect look also whether it would run here and now, as the user who checks:
each address to start from and each broker that these tell of is dialled, with the
TLS and SASL that run uses; the clocks are compared, where Kafka tells its own; of
each topic what is allowed, partitions, replicas and limits; the state directory;
whether each file that the inputs want can be read; the system's limits. Nothing is
written to Kafka, no topic is created, and it ends within two minutes. What is wrong
comes with what to do. The exit status is 0, or 1 if there is a problem; a warning
is none.`,
		Example: `  shiplog check --config /etc/shiplog/shiplog.yaml
  runuser -u shiplog -- shiplog check --connect --config /etc/shiplog/shiplog.yaml`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if asJSON && !connect {
				return usageError{errors.New("--json is for --connect")}
			}
			conf, err := loadConfig(path)
			if err != nil {
				return err
			}
			if _, err := agent.Connection(conf); err != nil {
				return usageError{fmt.Errorf("%s: %w", path, err)}
			}
			if err := agent.CheckAdmin(conf); err != nil {
				return usageError{fmt.Errorf("%s: %w", path, err)}
			}
			for _, w := range agent.Warnings(conf) {
				fmt.Fprintln(c.ErrOrStderr(), "warning:", w)
			}
			if !asJSON {
				printRight(c.OutOrStdout(), path, conf)
			}
			if connect {
				return checkConnect(c, path, conf, asJSON)
			}
			hint(c, "next: shiplog check --connect --config %s looks at Kafka, the topics, and the files", path)
			return nil
		},
	}
	configFlag(c, &path)
	c.Flags().BoolVar(&connect, "connect", false, "dial all brokers, and look at topics, rights, files and limits")
	c.Flags().BoolVar(&asJSON, "json", false, "with --connect: what was found as a JSON object")
	return c
}

// printRight says what a configuration that is right leads to.
func printRight(w io.Writer, path string, conf *config.Config) {
	fmt.Fprintf(w, "%s is right: %d inputs, to %v\n", path, len(conf.Inputs), conf.Kafka.Brokers)
	for _, in := range conf.Inputs {
		topic := in.Topic
		if topic == "" {
			topic = conf.Kafka.Topic
		}
		fmt.Fprintf(w, "  %s: %v as %s, to topic %s\n", in.Name, in.Paths, in.Format, topic)
	}
}

// checked is what check --connect --json prints.
type checked struct {
	Config   string    `json:"config"`
	At       time.Time `json:"at"`
	OK       bool      `json:"ok"` // there is no problem
	Problems int       `json:"problems"`
	Warnings int       `json:"warnings"`
	Findings []finding `json:"findings"`
}

// finding is one of them, with the code that what it says ends with.
type finding struct {
	shipper.Finding
	Code string `json:"code,omitempty"`
}

func checkConnect(c *cobra.Command, path string, conf *config.Config, asJSON bool) error {
	ctx, cancel := context.WithTimeout(c.Context(), connectTimeout)
	defer cancel()
	found, err := agent.Preflight(ctx, conf)
	if err != nil {
		return err
	}
	if c.Context().Err() != nil {
		return c.Context().Err()
	}
	out := checked{Config: path, At: time.Now().UTC().Truncate(time.Second)}
	for _, f := range found {
		out.Findings = append(out.Findings, finding{f, agent.CodeOf(f.Says)})
		switch f.Status {
		case shipper.Problem:
			out.Problems++
		case shipper.Warning:
			out.Warnings++
		}
	}
	out.OK = out.Problems == 0
	if asJSON {
		enc := json.NewEncoder(c.OutOrStdout())
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(out); err != nil {
			return err
		}
	} else {
		printFindings(c.OutOrStdout(), takesColours(c.OutOrStdout()), &out)
	}
	if !out.OK {
		return errNotReady
	}
	hint(c, "next: shiplog run --config %s; then shiplog status --config %[1]s", path)
	return nil
}

// printFindings prints a table: a line for each finding, and below it what to do.
func printFindings(w io.Writer, coloured bool, all *checked) {
	word := map[shipper.Status]string{shipper.OK: "ok     ", shipper.Unknown: "unknown", shipper.Warning: "WARNING", shipper.Problem: "PROBLEM"}
	if coloured {
		colour := map[shipper.Status]color.Color{
			shipper.OK: lipgloss.Green, shipper.Unknown: lipgloss.BrightBlack, shipper.Warning: lipgloss.Yellow, shipper.Problem: lipgloss.Red,
		}
		for status, text := range word {
			word[status] = lipgloss.NewStyle().Foreground(colour[status]).Inline(true).Render(text)
		}
	}
	name, subject := 0, 0
	const widest = 44 // subjects that are longer are not lined up
	for _, f := range all.Findings {
		name = max(name, len(f.Check))
		if len(f.Subject) <= widest {
			subject = max(subject, len(f.Subject))
		}
	}
	for _, f := range all.Findings {
		fmt.Fprintf(w, "%s  %-*s  %-*s  %s\n", word[f.Status], name, f.Check, subject, f.Subject, f.Says)
		if f.Remedy != "" {
			fmt.Fprintf(w, "%*s-> %s\n", 9, "", f.Remedy)
		}
	}
	fmt.Fprintf(w, "looked at: %d, problems: %d, warnings: %d\n", len(all.Findings), all.Problems, all.Warnings)
}
