package tailer

import "testing"

func TestExplain(t *testing.T) {
	inputs := []Input{
		{Name: "a", Paths: []string{"/var/log/app/*.log"}, Exclude: []string{"**/debug-*"}},
		{Name: "b", Paths: []string{"/srv/**/out.txt", "/var/log/app/debug-x.log"}},
		{Name: "c", Paths: []string{"/srv/**/trace*"}, Exclude: []string{"/srv/old/**"}},
	}
	for path, want := range map[string]Match{
		"/var/log/app/x.log":        {Wanted: true, Pattern: "/var/log/app/*.log"},
		"/var/log/app/../app/x.log": {Wanted: true, Pattern: "/var/log/app/*.log"},
		"/var/log/app/debug-x.log":  {Wanted: true, Input: 1, Pattern: "/var/log/app/debug-x.log"},
		"/var/log/app/debug-y.log":  {Pattern: "/var/log/app/*.log", Exclude: "**/debug-*"},
		"/srv/old/trace1":           {Input: 2, Pattern: "/srv/**/trace*", Exclude: "/srv/old/**"},
		"/var/log/app/x.txt":        {Nearest: "/var/log/app/*.log", Part: "x.txt", Want: "*.log"},
		"/var/log/app/sub/x.log":    {Nearest: "/var/log/app/*.log", Part: "sub", Want: "*.log"},
		"/var/log/app":              {Nearest: "/var/log/app/*.log", Want: "*.log"},
		"/srv/one/two/out.log":      {Input: 1, Nearest: "/srv/**/out.txt", Part: "out.log", Want: "out.txt"},
		"/opt/x":                    {Nearest: "/var/log/app/*.log", Part: "opt", Want: "var"},
	} {
		if got, err := Explain(inputs, path); err != nil || got != want {
			t.Errorf("%s:\n got  %+v, %v\n want %+v", path, got, err, want)
		}
	}
	if _, err := Explain([]Input{{Paths: []string{"/a/["}}}, "/a/b"); err == nil {
		t.Error("a pattern that is not valid is taken")
	}
}
