package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"shiplog/agent"
	"shiplog/agent/admin"
)

// errUnwell ends the command with status 1; what there is to say has been said.
var errUnwell = errors.New("the agent is not well [agent-unwell]") //nolint:gochecknoglobals // a constant that Go cannot express

// probeTimeout is how long an agent may take to answer a probe.
const probeTimeout = 5 * time.Second

// statusFlags say which agent is asked, and for what.
type statusFlags struct {
	config, admin string
	tokenFile     string
	secure        admin.Access // only its files
	json, watch   bool
	ready, alive  bool
	query         agent.StatusQuery
}

func newStatus() *cobra.Command {
	var f statusFlags
	c := &cobra.Command{
		Use:   "status --config FILE | --admin ADDR",
		Short: "Show what the running agent does: files, lag, rates, brokers, last errors",
		Long: `Ask the running agent how it stands: what each file is at, how far behind, how
fast, the brokers, what waits, and the last errors. --watch keeps it on the screen;
? there shows the keys.

The exit status is 0 if the agent is healthy, 1 if it is not or does not answer.

--ready and --alive print one line, and are probes for where no HTTP request can
be made, such as a container of a pod. The exit status is 0 if Kafka acknowledges
or nothing waits, as /readyz has it; and if the agent answers and its reading does
not hang, as /livez has it: else only a restart can help. A probe is given up
after 5 s.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if f.query.Limit < 0 {
				return usageError{fmt.Errorf("--limit %d is below zero", f.query.Limit)}
			}
			access, err := f.access()
			if err != nil {
				return err
			}
			if f.ready || f.alive {
				return probe(c.Context(), c.OutOrStdout(), access, f.alive)
			}
			if f.watch {
				return watchStatus(c, access, f.query)
			}
			s, err := askStatus(c.Context(), access, f.query)
			if err != nil {
				return err
			}
			if err := printStatus(c.OutOrStdout(), s, f.json); err != nil {
				return err
			}
			if !s.Healthy {
				return errUnwell
			}
			return nil
		},
	}
	configFlag(c, &f.config)
	c.Flags().StringVar(&f.admin, "admin", "", "`ADDR`ess of the agent: host:port, https://host:port, or unix:///path")
	c.Flags().StringVar(&f.tokenFile, "token-file", "", "with --admin: `FILE` with the token of the agent's admin.token_file")
	c.Flags().StringVar(&f.secure.CAFile, "tls-ca", "", "with --admin: `FILE` with the authority of the agent's certificate (PEM); the system's by default")
	c.Flags().StringVar(&f.secure.CertFile, "tls-cert", "", "with --admin: `FILE` with our certificate (PEM)")
	c.Flags().StringVar(&f.secure.KeyFile, "tls-key", "", "with --admin: `FILE` with its key (PEM)")
	c.Flags().BoolVar(&f.json, "json", false, "a JSON object, as /status")
	c.Flags().BoolVarP(&f.watch, "watch", "w", false, "stay, and show it live")
	c.Flags().BoolVar(&f.ready, "ready", false, "say only whether it does its work")
	c.Flags().BoolVar(&f.alive, "alive", false, "say only whether it lives")
	c.Flags().IntVar(&f.query.Limit, "limit", 20, "show `N` files at most")
	c.Flags().StringVar(&f.query.Sort, "sort", "lag", "order of the files: lag, rate, path, size, id")
	c.Flags().StringVar(&f.query.Input, "input", "", "files of the input `NAME` only")
	c.Flags().StringVar(&f.query.Match, "match", "", "files whose path contains `TEXT` only")
	return c
}

// probe asks the agent whether it does its work, or only whether it is alive.
func probe(ctx context.Context, w io.Writer, access admin.Access, alive bool) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	s, err := askStatus(ctx, access, agent.StatusQuery{Limit: 1})
	if err != nil {
		return err
	}
	yes, why := "ready", s.NotReady
	if alive {
		yes, why = "alive", s.Stuck
	}
	if len(why) > 0 {
		return fmt.Errorf("not %s: %s", yes, strings.Join(why, "; "))
	}
	fmt.Fprintln(w, yes)
	return nil
}

// access returns how to reach the agent.
func (f *statusFlags) access() (admin.Access, error) {
	if _, err := agent.ParseStatusQuery(f.query.Values()); err != nil {
		return admin.Access{}, usageError{err}
	}
	only := 0
	for _, set := range []bool{f.ready, f.alive, f.json, f.watch} {
		if set {
			only++
		}
	}
	if only > 1 {
		return admin.Access{}, usageError{errors.New("give one of --ready, --alive, --json and --watch")}
	}
	if (f.config == "") == (f.admin == "") {
		return admin.Access{}, usageError{errors.New("give --config FILE or --admin ADDR")}
	}
	if f.admin == "" {
		if f.tokenFile != "" || f.secure != (admin.Access{}) {
			return admin.Access{}, usageError{errors.New("--token-file and --tls-… go with --admin; with --config they are in the configuration")}
		}
		conf, err := loadConfig(f.config)
		if err != nil {
			return admin.Access{}, err
		}
		access, err := agent.AdminAccess(conf)
		if errors.Is(err, agent.ErrNoAdmin) {
			err = usageError{err}
		}
		return access, err
	}
	access, err := agent.ParseAdmin(f.admin)
	if err != nil {
		return admin.Access{}, usageError{fmt.Errorf("--admin: %w", err)}
	}
	if (f.secure.CertFile == "") != (f.secure.KeyFile == "") {
		return admin.Access{}, usageError{errors.New("--tls-cert and --tls-key belong together")}
	}
	access.CAFile, access.CertFile, access.KeyFile = f.secure.CAFile, f.secure.CertFile, f.secure.KeyFile
	if f.tokenFile != "" {
		if access.Token, err = agent.AdminToken(f.tokenFile); err != nil {
			return admin.Access{}, usageError{fmt.Errorf("--%w", err)}
		}
	}
	return access, nil
}

// askStatus asks the agent.
func askStatus(ctx context.Context, access admin.Access, q agent.StatusQuery) (*agent.Status, error) {
	var s agent.Status
	if err := access.Call(ctx, "/status?"+q.Values().Encode(), nil, &s); err != nil {
		return nil, fmt.Errorf("%w; does the agent run, and is this its admin address? [agent-silent]", err)
	}
	if s.Version != agent.StatusVersion {
		return nil, fmt.Errorf("the agent at %s tells its status in version %d, this program reads %d: use that of the agent [agent-version]", access.Address, s.Version, agent.StatusVersion)
	}
	return &s, nil
}

func printStatus(w io.Writer, s *agent.Status, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(s)
	}
	fmt.Fprintln(w, headline(s))
	fmt.Fprintln(w, shippingLine(s))
	fmt.Fprintln(w, kafkaLine(s))
	for _, p := range s.Problems {
		fmt.Fprintln(w, "problem:", p)
	}
	for _, p := range s.NotReady {
		fmt.Fprintln(w, "not ready:", p)
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "INPUT\tFILES\tLAG\tBEHIND\tREAD/S\tACKED/S\tLINES\tACKED\tUNPARSED")
	for i := range s.Inputs {
		in := &s.Inputs[i]
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t%d\t%d\t%d\n", agent.Printable(in.Name), in.Sums.Files, agent.ByteCount(in.Sums.Lag), agent.Behind(in.Sums.LagSeconds),
			agent.ByteCount(int64(in.Rates.ReadBytes)), agent.ByteCount(int64(in.Rates.AcknowledgedBytes)), in.Totals.Lines, in.Totals.Acknowledged, in.Totals.Unparsed)
	}
	fmt.Fprintln(t, "\nSTATE\tLAG\tBEHIND\tACKED/S\tSIZE\tFORMAT\tFILE")
	for i := range s.Files {
		fmt.Fprintln(t, strings.Join(fileCells(&s.Files[i]), "\t"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if more := s.FilesMatching - len(s.Files); more > 0 {
		fmt.Fprintf(w, "and %d more; --limit shows them\n", more)
	}
	for i := range min(len(s.LastErrors), 5) {
		fmt.Fprintln(w, errorLine(&s.LastErrors[i]))
	}
	return nil
}

// headline says what runs, and whether it is well.
func headline(s *agent.Status) string {
	health, ready := "healthy", "ready"
	if !s.Healthy {
		health = "NOT HEALTHY"
	}
	if !s.Ready {
		ready = "NOT READY"
	}
	return fmt.Sprintf("shiplog %s on %s, process %d, %s for %s: %s, %s", s.AgentVersion, agent.Printable(s.Host), s.PID, s.Phase, agent.Span(s.Uptime), health, ready)
}

// shippingLine says what is shipped now.
func shippingLine(s *agent.Status) string {
	return fmt.Sprintf("files %d, lag %s (%s), read %s/s, acknowledged %s/s, %.0f lines/s", s.Sums.Files, agent.ByteCount(s.Sums.Lag), agent.Behind(s.Sums.LagSeconds),
		agent.ByteCount(int64(s.Rates.ReadBytes)), agent.ByteCount(int64(s.Rates.AcknowledgedBytes)), s.Rates.Lines)
}

// kafkaLine says how Kafka stands.
func kafkaLine(s *agent.Status) string {
	var brokers []string
	for i := range s.Kafka.Brokers {
		brokers = append(brokers, s.Kafka.Brokers[i].Addr+" "+s.Kafka.Brokers[i].State)
	}
	if len(brokers) == 0 {
		brokers = []string{"no broker was asked yet"}
	}
	return fmt.Sprintf("kafka: %s; in flight %s of %s; dead letters %d", strings.Join(brokers, ", "), agent.ByteCount(s.Kafka.InFlightBytes), agent.ByteCount(s.Kafka.MemoryLimit), s.Kafka.DeadLetters)
}

// fileCells are the columns of a file.
func fileCells(f *agent.FileState) []string {
	return []string{f.State, agent.ByteCount(f.Lag), agent.Behind(f.LagSeconds), agent.ByteCount(int64(f.Rate)), agent.ByteCount(f.Size), f.Format, agent.Printable(f.Path)}
}

func errorLine(e *agent.LastError) string {
	text := e.At.Local().Format("15:04:05") + " " + e.Level + ": " + plainLine(e.Text)
	if e.Path != "" {
		text += " " + e.Path
	}
	if e.Count > 1 {
		text += fmt.Sprintf(" (%d times)", e.Count)
	}
	return text
}

// plainLine makes a text that can stand in a line of a terminal.
func plainLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}
