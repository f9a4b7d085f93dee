package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"shiplog/agent/checkpoint"
	"shiplog/shipper"
)

const (
	demoTopic = "applications.central_logging"
	demoLines = 400 // lines that the application writes
	demoLimit = 18 * time.Second
)

func newDemo() *cobra.Command {
	var keep bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show the whole way on this machine: a log, the agent, Kafka, a consumer",
		Long: `Start a Kafka in this process, an application that writes a log in three forms
and rotates it, and an agent as a process of its own, which is killed half-way
(SIGKILL) while the application writes and rotates on, and started again. A
consumer prints the envelopes to standard output. At the end it counts what was
written and what arrived. The exit status is 1 if a line was lost.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			dir, err := os.MkdirTemp("", "shiplog-demo-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			d := &demo{dir: dir, log: c.ErrOrStderr(), out: bufio.NewWriter(c.OutOrStdout()), arrived: map[int]int{}}
			return d.run(c.Context(), keep)
		},
	}
	c.Flags().BoolVar(&keep, "keep", false, "go on until ^C, for other consumers to look")
	return c
}

// demo is one run of the command.
type demo struct {
	dir string
	log io.Writer
	out *bufio.Writer

	broker  string
	agent   *exec.Cmd
	written int
	rotated int

	mu      sync.Mutex
	arrived map[int]int // how often each line came
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.log, "demo: "+format+"\n", args...) }

func (d *demo) run(ctx context.Context, keep bool) error {
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, demoTopic))
	if err != nil {
		return fmt.Errorf("start the embedded Kafka: %w", err)
	}
	defer k.Close()
	d.broker = k.ListenAddrs()[0]
	d.say("an embedded Kafka listens on %s", d.broker)

	consuming, stop := context.WithCancel(ctx)
	consumed := make(chan error, 1)
	go func() {
		consumed <- shipper.Consume(consuming, shipper.ConsumeOptions{Brokers: []string{d.broker}, Topics: []string{demoTopic}}, d.count)
	}()
	err = d.play(ctx)
	if err == nil && keep {
		d.say("topic %s on %s stays until ^C; the log is %s", demoTopic, d.broker, d.logPath())
		<-ctx.Done()
	}
	err = errors.Join(err, d.stopAgent())
	stop()
	return errors.Join(err, <-consumed)
}

// play lets the application write, and the agent die in the middle.
func (d *demo) play(ctx context.Context) error {
	if err := d.configure(); err != nil {
		return err
	}
	if err := d.startAgent(); err != nil {
		return err
	}
	limit, cancel := context.WithTimeout(ctx, demoLimit)
	defer cancel()
	steps := []func(context.Context) error{
		d.write, d.rotate, d.write,
		d.saved, d.kill, // while it is dead the application goes on
		d.write, d.rotate, d.write,
		func(context.Context) error { return d.startAgent() },
		d.write, d.allArrived,
	}
	for _, step := range steps {
		if err := step(limit); err != nil {
			if ctx.Err() != nil {
				return errors.New("interrupted")
			}
			d.summary() //nolint:errcheck // the first error counts
			return err
		}
	}
	return d.summary()
}

func (d *demo) logPath() string  { return filepath.Join(d.dir, "poolcars.log") }
func (d *demo) stateDir() string { return filepath.Join(d.dir, "state") }

func (d *demo) configure() error {
	text := fmt.Sprintf("application: Pool Cars\ninputs:\n  - paths: [%q]\nkafka:\n  brokers: [%q]\nstate_dir: %q\nadmin: {listen: \"\"}\nlog: {level: error}\n",
		filepath.Join(d.dir, "*.log"), d.broker, d.stateDir())
	return os.WriteFile(filepath.Join(d.dir, "shiplog.yaml"), []byte(text), 0o600)
}

// startAgent starts this program again, as the agent.
func (d *demo) startAgent() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	d.agent = exec.Command(self, "run", "--config", filepath.Join(d.dir, "shiplog.yaml"))
	d.agent.Stderr = d.log
	if err := d.agent.Start(); err != nil {
		return fmt.Errorf("start the agent: %w", err)
	}
	d.say("the agent runs as process %d", d.agent.Process.Pid)
	return nil
}

func (d *demo) kill(context.Context) error {
	d.say("the agent is killed (SIGKILL); the application writes and rotates on")
	if err := d.agent.Process.Kill(); err != nil {
		return err
	}
	d.agent.Wait() //nolint:errcheck // it was killed
	d.agent = nil
	return nil
}

func (d *demo) stopAgent() error {
	if d.agent == nil {
		return nil
	}
	if err := d.agent.Process.Signal(os.Interrupt); err != nil { // not on Windows
		d.agent.Process.Kill() //nolint:errcheck
		d.agent.Wait()         //nolint:errcheck
		return nil
	}
	return d.agent.Wait()
}

// write appends a fifth of the lines, in the three forms that applications use.
func (d *demo) write(ctx context.Context) error {
	f, err := os.OpenFile(d.logPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := d.written + demoLines/5; d.written < end; d.written++ {
		if _, err := fmt.Fprintln(f, demoLine(d.written)); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func demoLine(n int) string {
	switch n % 3 {
	case 0:
		return fmt.Sprintf(`{"message":"vehicle %d loaded, line #%d","payload":{"application":"Pool Cars","username":"jpowell","operation":"LoadVehicleUsages","params":{"tookMs":%d}}}`, n*7%97, n, n%50)
	case 1:
		return fmt.Sprintf(`{message: 'There was a connection error: [db%d].example.org, line #%d', payload: {application: 'Pool Cars', username: jpowell, operation: 'LoadVehicleUsages', params: {paramA: 'test_parameter_valueA', paramB: 'test_parameter_valueB'}}}`, n%4, n)
	}
	return fmt.Sprintf("%s INFO plain text from the same application, line #%d", time.Now().UTC().Format(time.RFC3339), n)
}

func (d *demo) rotate(context.Context) error {
	d.rotated++
	to := fmt.Sprintf("%s.%d", d.logPath(), d.rotated)
	d.say("the log is rotated to %s, a name that the agent was not told of", filepath.Base(to))
	return os.Rename(d.logPath(), to)
}

// saved waits until the checkpoint covers what was written, so that the kill
// finds a known state. After a kill at any other instant up to one
// checkpoint_interval of lines would come twice.
func (d *demo) saved(ctx context.Context) error {
	return poll(ctx, "the checkpoint", func() bool {
		fi, err := os.Stat(d.logPath())
		if err != nil {
			return false
		}
		entries, err := checkpoint.ReadOnly(d.stateDir())
		for _, e := range entries {
			if e.Path == d.logPath() && e.Offset == fi.Size() {
				return err == nil
			}
		}
		return false
	})
}

func (d *demo) allArrived(ctx context.Context) error {
	err := poll(ctx, "all lines", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return len(d.arrived) == d.written
	})
	if err == nil { // a repeat would come now
		time.Sleep(300 * time.Millisecond)
	}
	return err
}

func poll(ctx context.Context, what string, ok func() bool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waited in vain for %s", what)
		}
	}
	return nil
}

// count prints what the consumer gets, and counts it.
func (d *demo) count(r *kgo.Record) error {
	_, after, _ := strings.Cut(string(r.Value), "line #")
	n := -1
	fmt.Sscanf(after, "%d", &n) //nolint:errcheck // n stays -1
	d.mu.Lock()
	d.arrived[n]++
	d.mu.Unlock()
	return printLine(d.out, r.Value)
}

func (d *demo) summary() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	lost, repeated, total := 0, 0, 0
	for n := range d.written {
		if d.arrived[n] == 0 {
			lost++
		}
	}
	for _, times := range d.arrived {
		total += times
		repeated += times - 1
	}
	d.say("written %d, arrived %d, lost %d, repeated %d", d.written, total, lost, repeated)
	if lost > 0 {
		return fmt.Errorf("%d lines were lost", lost)
	}
	return nil
}
