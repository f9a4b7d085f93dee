package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"shiplog/agent/admin"
	"shiplog/agent/config"
	"shiplog/shipper"
	"shiplog/tailer"
)

// # A reload
//
// The new configuration is read and checked as a whole before anything changes.
// Then the files are given to the inputs that ask for them now (see
// [tailer.Tailer.Reconfigure]): none is read again, and none loses its place,
// also while no input asks for it. An input that says what it said keeps its
// route, and its files notice nothing. Of one that says something else the files
// go on with the entry that is next: blocks lead to the route that they were
// read for, so that nothing waits for what is in flight.
//
// What a running agent cannot change is left as it was, and said.

// Reloaded is what a reload came to.
type Reloaded struct {
	Added     []string `json:"added"`   // inputs
	Removed   []string `json:"removed"` // their files keep their place
	Changed   []string `json:"changed"`
	Unchanged int      `json:"unchanged"`
	Applied   []string `json:"applied"`        // other keys that have changed
	Restart   []string `json:"restart_needed"` // keys that have changed in the file, and take a restart
	Warnings  []string `json:"warnings"`       // of the new configuration
}

// String says in a sentence what has changed.
func (r *Reloaded) String() string {
	var parts []string
	for _, p := range []struct {
		what  string
		names []string
	}{{"inputs added", r.Added}, {"inputs changed", r.Changed}, {"inputs removed", r.Removed}, {"applied", r.Applied}, {"only a restart applies", r.Restart}} {
		if len(p.names) > 0 {
			parts = append(parts, p.what+": "+strings.Join(p.names, ", "))
		}
	}
	if len(parts) == 0 {
		return "nothing has changed"
	}
	return strings.Join(parts, "; ")
}

// live are the keys, beside inputs and transforms, that a reload applies.
func live() []string {
	return []string{"application", "kafka.topic", "kafka.key", "kafka.timestamp", "shutdown_timeout", "checkpoint_interval", "readback_timeout", "rescan_interval", "max_open_files", "pins.quota", "log.level"}
}

// config returns the configuration that applies now. It is not changed.
func (a *Agent) config() *config.Config { return a.conf.Load() }

// followReloads carries out the reloads that Options.Hangup asks for, until ctx
// ends.
func (a *Agent) followReloads(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.o.Hangup:
			if _, err := a.reload(ctx); err != nil { // it is in the log
				continue
			}
		}
	}
}

// reload reads the configuration again and applies it. After an error all is as
// it was. Both are said in the log.
func (a *Agent) reload(ctx context.Context) (*Reloaded, error) {
	a.reloads.Lock()
	defer a.reloads.Unlock()
	defer a.tellReload()()
	if a.o.Reloading != nil {
		a.o.Reloading(true)
		defer a.o.Reloading(false)
	}
	known := Warnings(a.config())
	out, err := a.reloadNow(ctx)
	last := &ReloadState{At: time.Now()}
	defer a.lastReload.Store(last)
	if err != nil {
		last.Error = err.Error()
		a.log.Error("the configuration is not reloaded, and nothing has changed [reload-refused]", "error", err)
		return nil, err
	}
	for _, w := range out.Warnings {
		if !slices.Contains(known, w) {
			a.log.Warn(w)
		}
	}
	last.Restart = out.Restart
	if len(out.Restart) > 0 {
		a.log.Warn("some changes of the configuration take a restart; the rest applies [reload-partial]", "keys", out.Restart)
	}
	a.log.Info("configuration reloaded", "added", out.Added, "changed", out.Changed, "removed", out.Removed, "unchanged", out.Unchanged, "applied", out.Applied)
	return out, nil
}

func (a *Agent) reloadNow(ctx context.Context) (*Reloaded, error) {
	if a.o.Load == nil {
		return nil, errors.New("this run keeps the configuration that it began with (--once does)")
	}
	next, err := a.o.Load()
	if err != nil {
		return nil, err
	}
	now := a.config()
	out := &Reloaded{Added: []string{}, Removed: []string{}, Changed: []string{}, Applied: []string{}, Restart: []string{}, Warnings: append([]string{}, Warnings(next)...)}
	for _, key := range config.Changes(now, next) {
		if slices.Contains(live(), key) {
			out.Applied = append(out.Applied, key)
		} else {
			out.Restart = append(out.Restart, key)
		}
	}
	next.Keep(now, out.Restart)
	more, err := next.Fit()
	if err != nil {
		return nil, err
	}
	out.Restart = append(out.Restart, more...)
	if !config.SameTransforms(now.Transforms, next.Transforms) {
		out.Applied = append(out.Applied, "transforms")
	}
	rs, err := a.reroute(next, out)
	if err != nil {
		return nil, err
	}
	inputs, err := routedInputs(rs)
	if err != nil {
		return nil, err
	}
	letters, err := newLetterReader(next)
	if err != nil {
		return nil, err
	}
	a.beginTopics(ctx, rs)
	// First what takes private things out of letters, then what makes them.
	a.letters.renew(letters)
	if err := a.tailer.Reconfigure(context.WithoutCancel(ctx), tailer.Inputs{Inputs: inputs, RescanInterval: next.RescanInterval, MaxOpenFiles: openFiles(next.MaxOpenFiles, a.log)}); err != nil {
		return nil, err
	}
	a.conf.Store(next)
	a.counts.retain(rs)
	a.pins.quota.Store(next.Pins.Quota)
	a.pins.asked.Store(anyPinned(rs))
	a.pins.soon()
	a.pins.sayUnasked(inputs)
	if a.o.Level != nil {
		a.o.Level.Set(next.Log.Level)
	}
	a.saveSoon()
	return out, nil
}

// reroute makes the routes of a new configuration. Those that would be as before
// are the same.
func (a *Agent) reroute(next *config.Config, out *Reloaded) ([]*route, error) {
	rs, err := routes(next, a.names)
	if err != nil {
		return nil, err
	}
	a.count(rs)
	before := map[string]*route{}
	for _, r := range *a.routes.Load() {
		before[r.input.Name] = r
	}
	for i, r := range rs {
		was := before[r.input.Name]
		switch {
		case was == nil:
			out.Added = append(out.Added, r.input.Name)
		case was.same(r):
			rs[i] = was
			out.Unchanged++
		default:
			out.Changed = append(out.Changed, r.input.Name)
		}
		delete(before, r.input.Name)
	}
	for _, r := range *a.routes.Load() {
		if before[r.input.Name] != nil {
			out.Removed = append(out.Removed, r.input.Name)
		}
	}
	return rs, nil
}

// same reports whether what r does is what other does.
func (r *route) same(other *route) bool {
	return r.topicText == other.topicText && r.keyText == other.keyText && (r.times == nil) == (other.times == nil) && r.secrets == other.secrets &&
		r.input.Same(other.input) && config.SameTransforms(r.common, other.common)
}

// beginTopics makes rs the routes, and the ends of topics that are new known to
// the ledger before anything is sent to them: a crash then reads back from there.
func (a *Agent) beginTopics(ctx context.Context, rs []*route) {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	a.routes.Store(&rs)
	if !a.begun {
		return // begin will do it
	}
	fresh := a.ledger.unbegun(a.topics())
	if len(fresh) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, endsPatience)
	defer cancel()
	ends, err := a.producer.Ends(ctx, fresh...)
	if err != nil { // the producer says what is wrong with Kafka
		a.log.Debug("going on without the ends of new topics", "error", err)
	}
	begin := shipper.Offsets{}
	for _, topic := range fresh {
		begin[topic] = ends[topic]
	}
	a.ledger.begin(nil, begin, nil)
	a.saveOnce()
}

// routedInputs returns the tailer's inputs, whose tags lead to the routes.
func routedInputs(rs []*route) ([]tailer.Input, error) {
	out := make([]tailer.Input, 0, len(rs))
	for _, r := range rs {
		in, err := TailerInput(r.input)
		if err != nil {
			return nil, err
		}
		in.Tag = r
		out = append(out, in)
	}
	return out, nil
}

func anyPinned(rs []*route) bool {
	return slices.ContainsFunc(rs, func(r *route) bool { return r.input.Pin })
}

// letterDesk says what of a dead letter may leave the host, by the configuration
// that applies, and by earlier ones for files that it does not ask for.
type letterDesk struct {
	mu      sync.Mutex
	readers []*letterReader // the latest first
}

// maxLetterReaders bounds how many earlier configurations are kept in mind.
const maxLetterReaders = 8

// renew puts a reader before all others.
func (d *letterDesk) renew(r *letterReader) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.readers = append([]*letterReader{r}, d.readers[:min(len(d.readers), maxLetterReaders-1)]...)
}

// disclose is what shipper.Options.Disclose asks for.
func (d *letterDesk) disclose(letter *shipper.DeadLetter) shipper.Disclosure {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.readers {
		if r.input(letter.Path) >= 0 {
			return r.disclose(letter)
		}
	}
	return d.readers[0].disclose(letter)
}

// Reload has the agent that runs with a state directory read its configuration
// again.
func Reload(ctx context.Context, stateDir string) (*Reloaded, error) {
	access, err := admin.ReadAccess(stateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no agent with an admin address runs with state_dir %s (%w); start it, or where admin.listen is \"\" send it SIGHUP; another state_dir takes a restart [agent-silent]", stateDir, err)
	}
	if err != nil {
		return nil, err
	}
	out := &Reloaded{}
	err = access.Call(ctx, "/reload", struct{}{}, out)
	if _, refused := errors.AsType[*admin.RefusedError](err); refused {
		return nil, fmt.Errorf("reload: nothing has changed: %w [reload-refused]", err)
	}
	if err != nil {
		return nil, fmt.Errorf("reload: %w [agent-silent]", err)
	}
	return out, nil
}
