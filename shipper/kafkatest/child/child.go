// Package child starts processes for tests that do not outlive the test: not
// when it panics, and on Linux not when it is killed either.
package child

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"
)

// pipeGrace is how long output pipes may stay open after the process has
// ended: a grandchild that inherited one must not hold up Wait for ever.
const pipeGrace = 5 * time.Second

// Process is a started process. Its methods may be called concurrently.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended and err is set
	err  error         // of exec.Cmd.Wait; read after done only
}

// Start starts cmd, which belongs to the Process from then on. The caller ends
// the process by Stop or Kill.
func Start(cmd *exec.Cmd) (*Process, error) {
	p := &Process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.own(started)
	if err := <-started; err != nil {
		<-p.done
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// own starts the process and waits for its end, all on one thread: Linux sends
// the parent-death signal when the thread that started the child ends, and the
// Go runtime ends threads as it likes unless a goroutine is locked to them.
func (p *Process) own(started chan<- error) {
	defer close(p.done)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	dieWithParent(p.cmd)
	if p.cmd.WaitDelay == 0 {
		p.cmd.WaitDelay = pipeGrace
	}
	err := p.cmd.Start()
	started <- err
	if err == nil {
		p.err = p.cmd.Wait()
	}
}

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait waits for the end of the process and returns nil if it exited with
// status 0, an *exec.ExitError if it did not.
func (p *Process) Wait() error {
	<-p.done
	return p.err
}

// Kill ends the process at once (SIGKILL) and waits for its end. It is no error
// if it has ended before.
func (p *Process) Kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill process %d: %w", p.PID(), err)
	}
	<-p.done
	return nil
}

// Stop asks the process to end (SIGTERM; on Windows, which has no such signal,
// it is killed) and kills it if it is still there after grace, which is an
// error. How the process ended is told by Wait. It is no error if it has ended
// before.
func (p *Process) Stop(grace time.Duration) error {
	if err := errors.Join(resume(p.cmd.Process), terminate(p.cmd.Process)); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop process %d: %w", p.PID(), err)
	}
	timeout := time.NewTimer(grace)
	defer timeout.Stop()
	select {
	case <-p.done:
		return nil
	case <-timeout.C:
		return errors.Join(fmt.Errorf("process %d did not end within %v of SIGTERM and was killed", p.PID(), grace), p.Kill())
	}
}

// Pause stops the process without ending it (SIGSTOP), until Resume. It fails
// with errors.ErrUnsupported on Windows.
func (p *Process) Pause() error { return p.signalled("pause", pause) }

// Resume lets a paused process go on (SIGCONT).
func (p *Process) Resume() error { return p.signalled("resume", resume) }

// Signal sends a signal, where the system has them.
func (p *Process) Signal(sig os.Signal) error {
	return p.signalled("send "+sig.String()+" to", func(proc *os.Process) error { return proc.Signal(sig) })
}

func (p *Process) signalled(what string, send func(*os.Process) error) error {
	if err := send(p.cmd.Process); err != nil {
		return fmt.Errorf("%s process %d: %w", what, p.PID(), err)
	}
	return nil
}

// Run runs cmd to its end and returns what it wrote to standard output and
// standard error. When ctx ends first the process is killed.
func Run(ctx context.Context, cmd *exec.Cmd) ([]byte, error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	p, err := Start(cmd)
	if err != nil {
		return nil, err
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		err = errors.Join(ctx.Err(), p.Kill())
	}
	if err = errors.Join(err, p.Wait()); err != nil {
		return out.Bytes(), fmt.Errorf("run %s: %w", cmd.Path, err)
	}
	return out.Bytes(), nil
}
