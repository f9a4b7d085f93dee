package agent

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// traces are exceptions with twelve frames each, as their languages write them.
func traces() map[string]string {
	repeat := func(line string) string { return strings.Repeat(line, 11) }
	return map[string]string{
		"java": "java.lang.IllegalStateException: no car\n" + repeat("\tat com.example.pool.Cars.load(Cars.java:42)\n") +
			"\tat java.base/java.lang.Thread.run(Thread.java:840)\n" + "Caused by: java.io.IOException: gone\n\t... 11 more\n",
		"dotnet": "System.InvalidOperationException: no car\n ---> System.IO.IOException: gone\n   --- End of inner exception stack trace ---\n" +
			repeat("   at Pool.Cars.Load(String id) in C:\\src\\Cars.cs:line 42\n") + "   at Pool.Program.Main()\n",
		"python": "Traceback (most recent call last):\n" + strings.Repeat("  File \"/srv/pool/cars.py\", line 42, in load\n    return find(car)\n", 12) +
			"ValueError: no car\n",
	}
}

// TestTraces ships a trace as one entry: written at once, over a rotation, over
// a restart, and when nothing comes after it but time.
func TestTraces(t *testing.T) {
	const head, after = "2026-11-23 10:00:01 ERROR failed\n", "{\"message\":\"after\"}\n"
	for language, trace := range traces() {
		want := "failed\n" + strings.TrimSuffix(trace, "\n")
		lines := strings.SplitAfter(trace, "\n")
		first, second := strings.Join(lines[:6], ""), strings.Join(lines[6:], "")
		for _, c := range []struct {
			name string
			play func(r *rig)
		}{
			{"quiet", func(r *rig) { r.append("a.log", head+trace) }},
			{"rotated", func(r *rig) {
				r.append("a.log", head+first)
				r.wait("the entry before", func() bool { return len(r.messages(topic)) == 1 })
				if err := os.Rename(r.path("a.log"), r.path("a.log.1")); err != nil {
					r.t.Fatal(err)
				}
				r.append("a.log", second+after)
			}},
			{"restarted", func(r *rig) {
				r.append("a.log", head+first)
				r.wait("the entry before", func() bool { return len(r.messages(topic)) == 1 })
				r.stop()
				r.append("a.log", second+after)
				r.start()
			}},
		} {
			t.Run(language+" "+c.name, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, kfake.SeedTopics(1, topic))
				n := 2
				if c.name != "quiet" {
					r.c.Inputs[0].Multiline.Wait = time.Minute // nothing but what follows ends the trace
					n = 3
				}
				r.append("a.log", "2026-11-23 10:00:00 INFO before\n")
				r.start()
				c.play(r)
				r.wait("all entries", func() bool { return len(r.messages(topic)) >= n })
				r.stop()
				if got := r.messages(topic); len(got) != n || got[1] != want {
					t.Errorf("%q, want in the middle %q", got, want)
				}
			})
		}
	}
}
