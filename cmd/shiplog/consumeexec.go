package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	execRetryFirst = time.Second
	execRetryMost  = time.Minute
)

// executor runs a command for each message.
type executor struct {
	command     string
	retries     int // after the first failure; below zero: without end
	out, errOut io.Writer
}

// take runs the command until it succeeds. A context that ends lets the command
// end that is running, and is the error between two attempts.
func (x *executor) take(ctx context.Context, r *kgo.Record, text []byte) error {
	pause := execRetryFirst
	for attempt := 1; ; attempt++ {
		err := x.once(r, text)
		if err == nil {
			return nil
		}
		what := fmt.Sprintf("the command failed for the message at offset %d of partition %d of %s", r.Offset, r.Partition, r.Topic)
		if x.retries >= 0 && attempt > x.retries {
			return fmt.Errorf("%s, %d times; nothing of the message is committed: %w [exec-failed]", what, attempt, err)
		}
		fmt.Fprintf(x.errOut, "%s, it is run again in %s: %v\n", what, pause, err)
		wait := time.NewTimer(pause)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return ctx.Err()
		}
		pause = min(2*pause, execRetryMost)
	}
}

// once runs the command to its end, whatever happens meanwhile: a message whose
// command was interrupted would be neither done nor not done.
func (x *executor) once(r *kgo.Record, text []byte) error {
	cmd := shell(x.command)
	cmd.Stdin = bytes.NewReader(text)
	cmd.Stdout, cmd.Stderr = x.out, x.errOut
	cmd.Env = append(os.Environ(), "SHIPLOG_TOPIC="+r.Topic, "SHIPLOG_PARTITION="+strconv.Itoa(int(r.Partition)),
		"SHIPLOG_OFFSET="+strconv.FormatInt(r.Offset, 10))
	if !bytes.ContainsRune(r.Key, 0) { // which no variable can hold
		cmd.Env = append(cmd.Env, "SHIPLOG_KEY="+string(r.Key))
	}
	return cmd.Run()
}
