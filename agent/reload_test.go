package agent

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

	"shiplog/agent/admin"
	"shiplog/agent/config"
)

// reloadRig is an agent whose configuration can be changed while it runs.
type reloadRig struct {
	*rig
	hangup chan os.Signal
	level  slog.LevelVar
	told   atomic.Int64 // how often a reload began, and was over
	head   string
}

// newReloadRig starts an agent with these inputs. %s stands for its folder; more
// is what else stands in the section kafka.
func newReloadRig(t *testing.T, inputs string, more ...string) *reloadRig {
	r := &reloadRig{rig: newRig(t, kfake.SeedTopics(1, topic, "other")), hangup: make(chan os.Signal)}
	r.head = fmt.Sprintf("application: Pool Cars\nkafka: {%s brokers: [%q], topic: %s}\nstate_dir: %q\nadmin: {listen: \"127.0.0.1:0\"}\ncheckpoint_interval: 20ms\nrescan_interval: 50ms\nshutdown_timeout: 5s\n",
		strings.Join(more, ""), r.kafka.ListenAddrs()[0], topic, r.path("state"))
	r.write(inputs)
	c, err := config.Load(r.path("shiplog.yaml"), nil)
	r.must(err)
	r.c = c
	o := r.options(false)
	o.Hangup, o.Level = r.hangup, &r.level
	o.Reloading = func(begins bool) { r.told.Add(1) }
	o.Load = func() (*config.Config, error) {
		c, err := config.Load(r.path("shiplog.yaml"), nil)
		if err == nil {
			err = Validate(c)
		}
		return c, err
	}
	r.startWith(o)
	r.wait("the admin server", r.healthy)
	return r
}

// write puts a configuration where the agent has it from.
func (r *reloadRig) write(text string) {
	r.t.Helper()
	r.must(os.WriteFile(r.path("shiplog.yaml"), []byte(r.head+strings.ReplaceAll(text, "%s", r.dir)), 0o600))
}

// reload has a configuration applied, by the admin server.
func (r *reloadRig) reload(text string) *Reloaded {
	r.t.Helper()
	r.write(text)
	out, err := Reload(r.t.Context(), r.path("state"))
	if err != nil {
		r.t.Fatalf("reload: %v", err)
	}
	return out
}

func (r *reloadRig) inputOf(name string) string {
	for _, f := range r.status().Files {
		if f.Path == r.path(name) {
			return f.Input
		}
	}
	return ""
}

const oneInput = "inputs:\n  - {name: a, paths: [\"%s/a.log\"], format: raw, rotate_wait: 50ms}\n"

func TestReload(t *testing.T) {
	t.Parallel()
	r := newReloadRig(t, oneInput)
	r.append("a.log", "one\n")
	r.wantMessages("one")

	out := r.reload(oneInput + "  - {name: b, paths: [\"%s/b.log\"], format: json, topic: other}\nlog: {level: warn}\nmemory_limit: 32MiB\n")
	if !slices.Equal(out.Added, []string{"b"}) || out.Unchanged != 1 || len(out.Changed)+len(out.Removed) > 0 || !slices.Equal(out.Applied, []string{"log.level"}) || !slices.Equal(out.Restart, []string{"memory_limit"}) {
		t.Errorf("%+v", out)
	}
	if r.level.Level() != slog.LevelWarn {
		t.Error("the level of the log is as before")
	}
	r.append("b.log", "{\"message\":\"of b\"}\n")
	r.wait("a record in the other topic", func() bool { return slices.Equal(r.messages("other"), []string{"of b"}) })

	out = r.reload(strings.Replace(oneInput, "raw", "raw, transforms: [{set: {message: changed}}]", 1))
	if !slices.Equal(out.Changed, []string{"a"}) || !slices.Equal(out.Removed, []string{"b"}) || !slices.Equal(out.Applied, []string{"log.level"}) || len(out.Restart) > 0 {
		t.Errorf("%+v", out)
	}
	r.append("a.log", "two\n")
	r.append("b.log", "{\"message\":\"while nobody asks\"}\n")
	r.wantMessages("one", "changed")
	if r.inputOf("b.log") != "" {
		t.Error("the file of a removed input is still shown")
	}

	r.reload(oneInput + "  - {name: b again, paths: [\"%s/b.*\"], format: raw, topic: other}\n")
	r.wait("b where it was", func() bool {
		return slices.Equal(r.messages("other"), []string{"of b", `{"message":"while nobody asks"}`})
	})
	if n := r.told.Load(); n != 6 {
		t.Errorf("was told of reloads %d times", n)
	}
	r.stop()
	c, err := config.Load(r.path("shiplog.yaml"), nil)
	r.must(err)
	r.c = c
	v := r.verify(VerifyOptions{})
	if len(v.Files) != 2 {
		t.Errorf("%d files", len(v.Files))
	}
	for _, f := range v.Files { // values are no longer what the configuration would make
		if f.Covered != f.Size || f.GapBytes+f.RepeatBytes+f.LateCount != 0 {
			t.Errorf("not proven: %+v", f)
		}
	}
}

func TestReloadOfABadConfigurationChangesNothing(t *testing.T) {
	t.Parallel()
	r := newReloadRig(t, oneInput)
	r.append("a.log", "one\n")
	r.wantMessages("one")
	refused := 0
	for text, want := range map[string]string{
		"inputs:\n  - {paths: [\"%s/*.log\"], formatt: raw}\n": "shiplog.yaml:9:",
		"inputs: [\n": "shiplog.yaml:",
		"inputs:\n  - {paths: [\"%s/*.log\"], format: regex, pattern: \"(\"}\n":                              "shiplog.yaml:9:",
		"inputs:\n  - {paths: [\"%s/*.log\"], transforms: [{hash: {fields: [a], key_file: \"%s/none\"}}]}\n": "none",
	} {
		r.write(text)
		_, err := Reload(t.Context(), r.path("state"))
		if err == nil || !strings.Contains(err.Error(), want) || CodeOf(err.Error()) != "reload-refused" {
			t.Errorf("%s: %v", text, err)
		}
		if s := r.status().LastReload; s == nil || !strings.Contains(s.Error, want) {
			t.Errorf("%s: the status says %+v", text, s)
		}
		r.hangup <- os.Interrupt
		refused += 2 // the call before, and the signal
		r.wait("the log to tell of it", func() bool { return strings.Count(r.said(), "nothing has changed") == refused })
	}
	r.append("a.log", "two\n")
	r.append("b.log", "not asked for\n")
	r.wantMessages("one", "two")
}

// TestReloadOfWhatTakesARestart: what a running agent cannot change is named, with
// nothing secret, and what does not go without it is refused as a whole.
func TestReloadOfWhatTakesARestart(t *testing.T) {
	t.Parallel()
	r := newReloadRig(t, oneInput)
	r.append("a.log", "one\n")
	r.wantMessages("one")
	listens := r.status().Admin
	head := r.head
	r.head = strings.NewReplacer(" brokers: [", " sasl: {mechanism: PLAIN, username: u, password: hunter2}, dead_letter: {topic: letters}, brokers: [\"127.0.0.1:1\", ", "127.0.0.1:0", "127.0.0.1:2").Replace(head)
	out := r.reload(strings.Replace(oneInput, "raw", "raw, max_line_bytes: 40MiB", 1) + "memory_limit: 128MiB\nlog: {level: warn}\n")
	want := []string{"kafka.brokers", "kafka.sasl", "kafka.dead_letter.topic", "memory_limit", "admin.listen", "max_line_bytes of input a"}
	if !slices.Equal(out.Restart, want) || !slices.Equal(out.Applied, []string{"log.level"}) || !slices.Equal(out.Changed, []string{"a"}) {
		t.Errorf("%+v", out)
	}
	if text := out.String(); !strings.Contains(text, "only a restart applies: "+strings.Join(want, ", ")) {
		t.Error(text)
	}
	s := r.status()
	if s.LastReload == nil || !slices.Equal(s.LastReload.Restart, want) || s.Admin != listens || s.Kafka.MemoryLimit != 64<<20 {
		t.Errorf("%+v, %s, %d", s.LastReload, s.Admin, s.Kafka.MemoryLimit)
	}
	if strings.Contains(r.said()+out.String(), "hunter2") {
		t.Error("the password is said")
	}
	r.append("a.log", "two\n")
	r.wantMessages("one", "two")
}

// TestReloadIsNotHalf: the lines would go to the topic of dead letters, which
// stays what it was.
func TestReloadIsNotHalf(t *testing.T) {
	t.Parallel()
	r := newReloadRig(t, oneInput, "dead_letter: {topic: other},")
	r.head = strings.NewReplacer("dead_letter: {topic: other}", "dead_letter: {topic: letters}", "topic: "+topic, "topic: other").Replace(r.head)
	r.write(oneInput + "  - {name: b, paths: [\"%s/b.log\"], format: raw}\nlog: {level: warn}\n")
	_, err := Reload(t.Context(), r.path("state"))
	if err == nil || !strings.Contains(err.Error(), "kafka.topic") || !strings.Contains(err.Error(), "kafka.dead_letter.topic") {
		t.Error(err)
	}
	if r.level.Level() != slog.LevelInfo || len(r.status().Inputs) != 1 {
		t.Error("a part of it is applied")
	}
	r.append("a.log", "one\n")
	r.append("b.log", "not asked for\n")
	r.wantMessages("one")
}

// TestAnOpenEntryIsNotLostByAReload changes the input of a file of which an entry
// is open.
func TestAnOpenEntryIsNotLostByAReload(t *testing.T) {
	t.Parallel()
	const input = "inputs:\n  - {name: a, paths: [\"%s/*.log\"], format: raw, multiline: {start: \"^> \", wait: 1h}}\n"
	r := newReloadRig(t, input)
	r.append("a.log", "> one\nof it\n")
	r.wait("the file", func() bool { return r.inputOf("a.log") == "a" })
	r.reload(strings.Replace(input, "name: a", "name: b", 1))
	r.append("a.log", "more of it\n")
	r.reload(strings.Replace(input, "raw", "raw, transforms: [{set: {params.x: 1}}]", 1))
	r.reload(input)
	r.append("a.log", "and its end\n> two\n> three\n")
	r.wantMessages("> one\nof it\nmore of it\nand its end", "> two")
}

// TestWhatAParserKnowsGoesOverAReload: the names of columns stand at the head of
// the file, and are read once.
func TestWhatAParserKnowsGoesOverAReload(t *testing.T) {
	t.Parallel()
	const input = "inputs:\n  - {name: a, paths: [\"%s/*.log\"], format: csv}\n"
	r := newReloadRig(t, input)
	r.append("a.log", "user,message\nann,one\n")
	r.wantMessages("user,message", "one")
	r.reload(strings.Replace(input, "csv", "csv, transforms: [{rename: {params.user: params.who}}]", 1))
	r.append("a.log", "bob,two\n")
	r.wantMessages("user,message", "one", "two")
	r.reload("inputs:\n  - {paths: [\"%s/none\"]}\n")
	r.append("a.log", "cid,three\n")
	r.reload(input)
	r.wantMessages("user,message", "one", "two", "three")
}

func TestReloadNeedsTheToken(t *testing.T) {
	t.Parallel()
	r := newReloadRig(t, oneInput)
	a, err := admin.ReadAccess(r.path("state"))
	r.must(err)
	a.Token = "another"
	if err := a.Call(t.Context(), "/reload", struct{}{}, new(Reloaded)); err == nil || r.told.Load() != 0 {
		t.Errorf("%v, %d", err, r.told.Load())
	}
}

// TestReloadOfAKey: what a key file holds is a part of what a transformation does.
func TestReloadOfAKey(t *testing.T) {
	t.Parallel()
	input := strings.Replace(oneInput, "raw", "raw, transforms: [{hash: {fields: [message], key_file: \"%s/key\"}}]", 1)
	key := func(r *reloadRig, text string) { r.must(os.WriteFile(r.path("key"), []byte(text), 0o600)) }
	r := newReloadRig(t, oneInput)
	key(r, "the first of the keys")
	r.reload(input)
	r.append("a.log", "one\n")
	r.wait("a record", func() bool { return len(r.messages(topic)) == 1 })
	if out := r.reload(input); out.Unchanged != 1 {
		t.Errorf("the same key: %+v", out)
	}
	key(r, "the second of the keys")
	if out := r.reload(input); !slices.Equal(out.Changed, []string{"a"}) {
		t.Errorf("another key: %+v", out)
	}
	r.append("a.log", "one\n")
	r.wait("another record", func() bool { return len(r.messages(topic)) == 2 })
	if got := r.messages(topic); got[0] == got[1] || got[0] == "one" {
		t.Errorf("hashed with two keys: %q", got)
	}
}
