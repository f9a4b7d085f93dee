package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"

	"shiplog/agent"
)

// stopHint is how long the service manager is told that a stop may take beyond
// shutdown_timeout.
const stopHint = 5 * time.Second

// asService reports whether the service manager started this process, and runs
// it as a service then.
func asService(path string) (bool, error) {
	is, err := svc.IsWindowsService()
	if err != nil || !is {
		return false, nil // not to be known is not to be one: a console has no service manager to talk to
	}
	events, err := eventlog.Open(serviceName)
	if err != nil {
		return true, fmt.Errorf("event log: %w", err)
	}
	defer events.Close()
	s := &service{path: path, events: events}
	if err := svc.Run(serviceName, s); err != nil {
		return true, errors.Join(fmt.Errorf("service: %w", err), events.Error(eventFailed, fmt.Sprintf("the service failed: %v", err)))
	}
	return true, s.err
}

// service is the agent as the service manager sees it.
type service struct {
	path   string
	events eventSink
	err    error
}

// Execute runs the agent until the service manager has it stopped. It implements
// svc.Handler.
func (s *service) Execute(_ []string, requests <-chan svc.ChangeRequest, status chan<- svc.Status) (specific bool, code uint32) {
	status <- svc.Status{State: svc.StartPending}
	conf, err := loadConfig(s.path)
	if err != nil {
		return s.failed(err, exitUsage)
	}
	hangup := make(chan os.Signal, 1)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan error, 1)
	log, level := newEventLog(s.events, conf.Log)
	o := runOptions(s.path, log, level, hangup)
	go func() { done <- agent.Run(ctx, conf, o) }()
	const accepts = svc.AcceptStop | svc.AcceptShutdown | svc.AcceptParamChange
	status <- svc.Status{State: svc.Running, Accepts: accepts}
	for {
		select {
		case err := <-done:
			if err != nil {
				return s.failed(err, exitFailed)
			}
			return false, 0
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				status <- r.CurrentStatus
			case svc.ParamChange:
				select {
				case hangup <- syscall.SIGHUP:
				default: // one is on its way
				}
			case svc.Stop, svc.Shutdown:
				status <- svc.Status{State: svc.StopPending, WaitHint: uint32((conf.ShutdownTimeout + stopHint).Milliseconds())}
				stop()
			}
		}
	}
}

// failed ends the service with an exit code of its own, so that the manager
// starts it again.
func (s *service) failed(err error, code uint32) (bool, uint32) {
	s.err = err
	if lerr := s.events.Error(eventFailed, err.Error()); lerr != nil {
		s.err = errors.Join(err, lerr)
	}
	return true, code
}
