package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"regexp"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"shiplog/agent"
	"shiplog/agent/admin"
	"shiplog/agent/config"
)

func newState() *cobra.Command {
	c := &cobra.Command{
		Use:   "state",
		Short: "Look at the checkpoint, and repair it",
		Long: `Look at the checkpoint, which says how far each file is acknowledged, and repair
it. Files are named by path or by id. What changes the state is done by the agent
that runs, where one does, and else in the state directory.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return usageError{errors.New("say what: shiplog state list, show, rewind or forget")}
		},
	}
	c.AddCommand(newStateList(), newStateShow(), newStateRewind(), newStateForget())
	return c
}

// stateFlags say where the state is.
type stateFlags struct {
	config, dir string
	json        bool
}

func (f *stateFlags) add(c *cobra.Command, what string) {
	c.Flags().StringVarP(&f.config, "config", "c", "", "configuration `FILE`")
	c.Flags().StringVar(&f.dir, "state-dir", "", "state `DIR`ectory")
	c.Flags().BoolVar(&f.json, "json", false, what)
}

// resolve returns the state directory, and the configuration where one is named.
func (f *stateFlags) resolve() (string, *config.Config, error) {
	if (f.config == "") == (f.dir == "") {
		return "", nil, usageError{errors.New("give --config FILE or --state-dir DIR")}
	}
	if f.config == "" {
		return f.dir, nil, nil
	}
	conf, err := loadConfig(f.config)
	if err != nil {
		return "", nil, err
	}
	return conf.StateDir, conf, nil
}

// fileID is how an id looks; a file of that name in this folder is ./ID.
var fileID = regexp.MustCompile(`^[0-9a-f]{16}$`) //nolint:gochecknoglobals // a constant that Go cannot express

// fileArg returns an id as it is, and a path absolute.
func fileArg(arg string) (string, error) {
	if fileID.MatchString(arg) {
		return arg, nil
	}
	return filepath.Abs(arg)
}

func newStateList() *cobra.Command {
	var f stateFlags
	c := &cobra.Command{
		Use:   "list --config FILE | --state-dir DIR",
		Short: "List the files that the checkpoint knows, and how far each is acknowledged",
		Long: `List the files that the checkpoint knows. Offsets and sizes count raw bytes:
everything before an offset has been acknowledged by Kafka. It can be called
while an agent runs.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			dir, _, err := f.resolve()
			if err != nil {
				return err
			}
			s, err := agent.ReadState(c.Context(), dir)
			if err != nil {
				return err
			}
			if f.json {
				return printLines(c.OutOrStdout(), s.Files())
			}
			return printState(c.OutOrStdout(), s.Files())
		},
	}
	f.add(c, "a JSON object a line")
	return c
}

func printLines(w io.Writer, files []agent.KnownFile) error {
	enc := json.NewEncoder(w)
	for i := range files {
		if err := enc.Encode(&files[i]); err != nil {
			return err
		}
	}
	return nil
}

func printState(w io.Writer, files []agent.KnownFile) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tOFFSET\tSIZE\tLAG\tSTATE\tSEEN\tPATH")
	for i := range files {
		k := &files[i]
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Offset, number(k.Size), number(k.Lag), k.State, stamp(k.Seen), pathOf(k))
	}
	return t.Flush()
}

// pathOf returns the file's path as it can be printed.
func pathOf(k *agent.KnownFile) string {
	if len(k.PathBytes) > 0 {
		return agent.Printable(string(k.PathBytes))
	}
	return agent.Printable(k.Path)
}

func number(n *int64) string {
	if n == nil {
		return "-"
	}
	return strconv.FormatInt(*n, 10)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

func newStateShow() *cobra.Command {
	var f stateFlags
	c := &cobra.Command{
		Use:   "show FILE|ID --config FILE | --state-dir DIR",
		Short: "Show all that is known of a file",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dir, _, err := f.resolve()
			if err != nil {
				return err
			}
			name, err := fileArg(args[0])
			if err != nil {
				return err
			}
			s, err := agent.ReadState(c.Context(), dir)
			if err != nil {
				return err
			}
			k, err := s.File(name)
			if err != nil {
				return err
			}
			if f.json {
				return printLines(c.OutOrStdout(), []agent.KnownFile{k})
			}
			return printKnown(c.OutOrStdout(), &k, s)
		},
	}
	f.add(c, "a JSON object")
	return c
}

func printKnown(w io.Writer, k *agent.KnownFile, s *agent.State) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...)) }
	row("id", "%s", k.ID)
	row("path", "%s", pathOf(k))
	row("found first as", "%s", agent.Printable(k.Origin))
	row("stream", "%s", k.Stream)
	row("state", "%s", k.State)
	if k.Reason != "" {
		row("", "%s", k.Reason)
	}
	row("offset", "%d bytes are acknowledged", k.Offset)
	row("saved offset", "%d bytes", k.Saved)
	row("size", "%s bytes", number(k.Size))
	row("lag", "%s bytes", number(k.Lag))
	row("device, inode", "%d, %d", k.Device, k.Inode)
	row("head mark", "%s of %d bytes", k.Head.Hash, k.Head.Length)
	row("tail mark", "%s of %d bytes", k.Tail.Hash, k.Tail.Length)
	row("rotated", "%t", k.Rotated)
	row("pinned", "%t", k.Pinned)
	row("found", "%s", stamp(k.Found))
	row("seen at its path", "%s", stamp(k.Seen))
	if !k.Gone.IsZero() {
		row("gone", "%s", stamp(k.Gone))
	}
	if k.Live != nil {
		row("last acknowledgement", "%s", stamp(k.LastAck))
		row("the agent says", "%s %s", k.Live.State, k.Live.Reason)
		row("read", "%d bytes", k.Live.Read)
	}
	switch {
	case !s.Running:
		row("agent", "none runs")
	case s.PID > 0:
		row("agent", "process %d", s.PID)
	default:
		row("agent", "runs")
	}
	for _, d := range k.Open {
		row("descriptor", "%s", d)
	}
	return t.Flush()
}

func newStateRewind() *cobra.Command {
	var f stateFlags
	var to string
	var line int64
	c := &cobra.Command{
		Use:   "rewind FILE|ID (--to OFFSET | --to beginning | --to-line N) --config FILE | --state-dir DIR",
		Short: "Set a file back, so that its lines from there on are sent again",
		Long: `Set a file back to an offset at which a line begins: what follows is read and
sent again. It goes back only; nothing is ever skipped. What the file's parser
knows (the columns of a W3C log) stays, except at the beginning. If the last run
ended in a crash, what it had sent after its last save is found in Kafka at the
next start, and not sent again for the rewind.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			q, err := rewindRequest(args[0], to, line)
			if err != nil {
				return err
			}
			dir, conf, err := f.resolve()
			if err != nil {
				return err
			}
			r, err := agent.Rewind(c.Context(), dir, conf, q, stateLog(conf, c.ErrOrStderr()))
			if err != nil {
				return err
			}
			if f.json {
				return json.NewEncoder(c.OutOrStdout()).Encode(r)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s (%s) is set back from %d to %d: %d bytes are sent again\n", agent.Printable(r.Path), r.ID, r.From, r.To, r.Bytes)
			return err
		},
	}
	f.add(c, "a JSON object")
	c.Flags().StringVar(&to, "to", "", "`OFFSET` in raw bytes at which a line begins, or beginning")
	c.Flags().Int64Var(&line, "to-line", 0, "line `N`, counted from 1")
	return c
}

func rewindRequest(file, to string, line int64) (q admin.RewindRequest, err error) {
	if (to == "") == (line == 0) {
		return q, usageError{errors.New("say where to: --to OFFSET, --to beginning, or --to-line N")}
	}
	if file, err = fileArg(file); err != nil {
		return q, err
	}
	q = admin.RewindRequest{FileRequest: admin.NewFileRequest(file), Line: line, Beginning: to == "beginning"}
	if to != "" && !q.Beginning {
		n, err := strconv.ParseInt(to, 10, 64)
		if err != nil || n < 0 {
			return q, usageError{fmt.Errorf("--to %q is neither an offset in bytes nor beginning", to)}
		}
		q.To = &n
	}
	if line < 0 {
		return q, usageError{fmt.Errorf("--to-line %d: lines are counted from 1", line)}
	}
	return q, nil
}

func newStateForget() *cobra.Command {
	var f stateFlags
	c := &cobra.Command{
		Use:   "forget FILE|ID --config FILE | --state-dir DIR",
		Short: "Forget a file, as if it had never been seen",
		Long: `Forget a file, as if it had never been seen, and remove its pin if it has one.
If it lies under a name that a pattern matches, it is found again with a new id
and sent from its beginning (where the input says start: end and no agent runs,
from its end). A rotated file that no pattern matches is not read again: what
was not acknowledged of it is not sent.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dir, conf, err := f.resolve()
			if err != nil {
				return err
			}
			name, err := fileArg(args[0])
			if err != nil {
				return err
			}
			r, err := agent.Forget(c.Context(), dir, admin.NewFileRequest(name), stateLog(conf, c.ErrOrStderr()))
			if err != nil {
				return err
			}
			if f.json {
				return json.NewEncoder(c.OutOrStdout()).Encode(r)
			}
			return printForgotten(c.OutOrStdout(), &r, conf)
		},
	}
	f.add(c, "a JSON object")
	return c
}

func printForgotten(w io.Writer, r *agent.Forgotten, conf *config.Config) error {
	if _, err := fmt.Fprintf(w, "%s (%s) is forgotten; %d bytes of it had been acknowledged\n", agent.Printable(r.Path), r.ID, r.Offset); err != nil {
		return err
	}
	if r.Unpin {
		fmt.Fprintln(w, "its pin is removed")
	}
	if conf == nil {
		return nil
	}
	what, err := agent.AfterForget(conf, r.Path)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, what)
	return err
}

// stateLog is where commands that open the state say what is wrong with it.
func stateLog(conf *config.Config, w io.Writer) *slog.Logger {
	l := config.Log{Format: "text"}
	if conf != nil {
		l.Format = conf.Log.Format
	}
	l.Level = slog.LevelWarn
	return newLog(l, w)
}
