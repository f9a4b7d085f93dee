package main_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	ossignal "os/signal"
	"path/filepath"
	"runtime/pprof"
	"syscall"
	"testing"

	"shiplog/agent"
	"shiplog/agent/config"
	"shiplog/shipper/kafkatest/child"
)

// profileEnv, if set, makes the test binary an agent that writes a profile of
// where its processor time goes to this file. profileConfigEnv is then its
// configuration.
const (
	profileEnv       = "SPEED_PROFILE_TO"
	profileConfigEnv = "SPEED_PROFILE_CONFIG"
)

// profileMain is the test binary as the profiled agent: what `shiplog run` does,
// until SIGTERM.
func profileMain(path string) int {
	if err := profiled(path, os.Getenv(profileConfigEnv)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func profiled(path, configuration string) (err error) {
	conf, err := config.Load(configuration, nil)
	if err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	ctx, stop := ossignal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return agent.Run(ctx, conf, agent.Options{})
}

// TestProfile writes a profile of the agent at the work of the first rows of
// TestSpeed to the file that SPEED_PROFILE names: make pgo.
func TestProfile(t *testing.T) {
	to := os.Getenv("SPEED_PROFILE")
	if to == "" {
		t.Skip("make pgo runs it")
	}
	to, err := filepath.Abs(to)
	if err != nil {
		t.Fatal(err)
	}
	const lines = 2_000_000
	s := &speed{T: t, dir: t.TempDir()}
	args := []string{"tool", "pprof", "-proto", "-output", to}
	wanted := func(name string) bool { only := os.Getenv("SPEED_ROW"); return only == "" || only == name }
	profile := func(name, pattern string, work func(*contestant)) {
		profile := filepath.Join(s.dir, name+".pprof")
		b, cmd := startNullBroker(t), exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), profileEnv+"="+profile, profileConfigEnv+"="+s.configure(b, pattern, t.TempDir()))
		c := s.start(b, cmd)
		work(c)
		c.stop()
		args = append(args, profile)
	}
	for name, kind := range map[string]logKind{"plain": plainKind, "envelope": envelopeKind, "relaxed": relaxedKind, "stack": stackKind} {
		if !wanted(name) {
			continue
		}
		path := filepath.Join(s.dir, name+".log")
		entries, err := writeLog(path, kind, lines)
		if err != nil {
			t.Fatal(err)
		}
		profile(name, path, func(c *contestant) { c.arrived(entries) })
	}
	if wanted("live") {
		live := t.TempDir()
		profile("live", filepath.Join(live, "app*.log"), func(c *contestant) {
			c.follow(newSpeedWriter(s, live, following10, 100_000), 0)
		})
	}
	if out, err := child.Run(t.Context(), exec.Command("go", args...)); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
