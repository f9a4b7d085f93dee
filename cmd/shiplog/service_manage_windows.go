package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/eventlog"
	"golang.org/x/sys/windows/svc/mgr"

	"shiplog/agent/config"
)

// serviceName is the name of the Windows service, and of the source of its
// events.
const serviceName = "shiplog"

func errNoSubcommand() error {
	return usageError{errors.New("say what to do: install, start, stop, remove or status; see shiplog service --help")}
}

const (
	serviceWait = 40 * time.Second // for a state; more than the default of shutdown_timeout
	servicePoll = 200 * time.Millisecond
	// failureReset is how long the service runs well until the next failure
	// counts as the first.
	failureReset = 24 * time.Hour
)

// recovery says how soon the service is started again after a failure.
func recovery() []mgr.RecoveryAction {
	return []mgr.RecoveryAction{
		{Type: mgr.ServiceRestart, Delay: 5 * time.Second},
		{Type: mgr.ServiceRestart, Delay: 30 * time.Second},
		{Type: mgr.ServiceRestart, Delay: time.Minute},
	}
}

// withManager opens the service manager for do.
func withManager(do func(*mgr.Mgr) error) error {
	m, err := mgr.Connect()
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		return fmt.Errorf("service manager: %w; run this as administrator [service-manager]", err)
	}
	if err != nil {
		return fmt.Errorf("service manager: %w", err)
	}
	return errors.Join(do(m), m.Disconnect())
}

// withService opens the service for do.
func withService(do func(*mgr.Service) error) error {
	return withManager(func(m *mgr.Mgr) error {
		s, err := m.OpenService(serviceName)
		if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
			return fmt.Errorf("service %s: %w; shiplog service install makes it [service-manager]", serviceName, err)
		}
		if err != nil {
			return fmt.Errorf("service %s: %w", serviceName, err)
		}
		return errors.Join(do(s), s.Close())
	})
}

func serviceInstall(c *cobra.Command, path, account string) error {
	if path == "" {
		path = config.DefaultPath()
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if _, err := loadConfig(path); err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("path of this program: %w", err)
	}
	err = withManager(func(m *mgr.Mgr) error {
		s, err := m.CreateService(serviceName, exe, mgr.Config{
			DisplayName: "shiplog", Description: "Ships the lines of log files to Kafka",
			StartType: mgr.StartAutomatic, DelayedAutoStart: true, ServiceStartName: account,
		}, "run", "--config", path)
		if errors.Is(err, windows.ERROR_SERVICE_EXISTS) {
			return fmt.Errorf("service %s: %w; shiplog service remove takes it away [service-manager]", serviceName, err)
		}
		if err != nil {
			return fmt.Errorf("make the service %s: %w", serviceName, err)
		}
		err = errors.Join(s.SetRecoveryActions(recovery(), uint32(failureReset.Seconds())), s.SetRecoveryActionsOnNonCrashFailures(true))
		if err != nil {
			err = fmt.Errorf("recovery of the service %s: %w", serviceName, errors.Join(err, s.Delete()))
		}
		return errors.Join(err, s.Close())
	})
	if err != nil {
		return err
	}
	// A source that an earlier installation left is as good.
	if err := eventlog.InstallAsEventCreate(serviceName, eventlog.Error|eventlog.Warning|eventlog.Info); err != nil {
		fmt.Fprintln(c.ErrOrStderr(), "warning: the source of events:", err)
	}
	fmt.Fprintf(c.OutOrStdout(), "service %s is installed, with %s; shiplog service start starts it\n", serviceName, path)
	return nil
}

func serviceStart(c *cobra.Command) error {
	return withService(func(s *mgr.Service) error {
		if err := s.Start(); err != nil && !errors.Is(err, windows.ERROR_SERVICE_ALREADY_RUNNING) {
			return fmt.Errorf("start %s: %w", serviceName, err)
		}
		return reach(c, s, svc.Running)
	})
}

func serviceStop(c *cobra.Command) error {
	return withService(func(s *mgr.Service) error {
		if _, err := s.Control(svc.Stop); err != nil && !errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
			return fmt.Errorf("stop %s: %w", serviceName, err)
		}
		return reach(c, s, svc.Stopped)
	})
}

// reach waits until the service is in that state, and says so.
func reach(c *cobra.Command, s *mgr.Service, want svc.State) error {
	ctx := c.Context()
	for end := time.Now().Add(serviceWait); ; {
		now, err := s.Query()
		if err != nil {
			return fmt.Errorf("state of %s: %w", serviceName, err)
		}
		switch {
		case now.State == want:
			fmt.Fprintf(c.OutOrStdout(), "service %s is %s\n", serviceName, stateName(want))
			return nil
		case want == svc.Running && now.State == svc.Stopped:
			return fmt.Errorf("service %s has ended at once, with code %d (own code %d): the event log (Application, source %s) says why [service-failed]", serviceName, now.Win32ExitCode, now.ServiceSpecificExitCode, serviceName)
		case time.Now().After(end):
			return fmt.Errorf("service %s is %s after %s [service-failed]", serviceName, stateName(now.State), serviceWait)
		}
		select {
		case <-time.After(servicePoll):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func serviceRemove(c *cobra.Command) error {
	err := withService(func(s *mgr.Service) error {
		if _, err := s.Control(svc.Stop); err == nil {
			if err := reach(c, s, svc.Stopped); err != nil {
				return err
			}
		} else if !errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
			return fmt.Errorf("stop %s: %w", serviceName, err)
		}
		if err := s.Delete(); err != nil {
			return fmt.Errorf("remove the service %s: %w", serviceName, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := eventlog.Remove(serviceName); err != nil {
		fmt.Fprintln(c.ErrOrStderr(), "warning: the source of events:", err)
	}
	fmt.Fprintf(c.OutOrStdout(), "service %s is removed; configuration and state are left\n", serviceName)
	return nil
}

func serviceStatus(c *cobra.Command) error {
	return withService(func(s *mgr.Service) error {
		now, err := s.Query()
		if err != nil {
			return fmt.Errorf("state of %s: %w", serviceName, err)
		}
		conf, err := s.Config()
		if err != nil {
			return fmt.Errorf("configuration of %s: %w", serviceName, err)
		}
		fmt.Fprintf(c.OutOrStdout(), "state\t%s\nprocess\t%d\ncommand\t%s\naccount\t%s\n", stateName(now.State), now.ProcessId, conf.BinaryPathName, conf.ServiceStartName)
		if now.State != svc.Running {
			return fmt.Errorf("service %s is %s", serviceName, stateName(now.State))
		}
		return nil
	})
}

func stateName(s svc.State) string {
	names := map[svc.State]string{
		svc.Stopped: "stopped", svc.StartPending: "starting", svc.StopPending: "stopping", svc.Running: "running",
		svc.ContinuePending: "continuing", svc.PausePending: "pausing", svc.Paused: "paused",
	}
	if n, ok := names[s]; ok {
		return n
	}
	return fmt.Sprintf("in state %d", s)
}
