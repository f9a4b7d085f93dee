package tailer

import (
	"os"
	"testing"
)

func TestMatchPath(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{`C:\Logs\*.LOG`, `c:\logs\App.log`, true},
		{`C:/logs/**/*.log`, `C:\logs\a\b\app.log`, true},
		{`**/debug-*.log`, `C:\logs\debug-1.log`, true},
		{`\\server\share\logs\*.log`, `\\SERVER\share\logs\app.log`, true},
		{`//server/share/*.log`, `\\server\share\app.log`, true},
		{`C:\logs\*.log`, `D:\logs\app.log`, false},
		{`C:\logs\*.log`, `C:\logs\sub\app.log`, false},
	} {
		if got := MatchPath(c.pattern, c.path); got != c.want {
			t.Errorf("%s %s: %v", c.pattern, c.path, got)
		}
	}
}

// TestPatternOfADrive: C: alone would be the current folder of the drive.
func TestPatternOfADrive(t *testing.T) {
	for glob, want := range map[string]string{
		`C:\*.log`: `C:\`, `C:\logs\*.log`: `C:\logs`, `\\server\share\*.log`: `\\server\share\`, `\\server\share\a\**\*.log`: `\\server\share\a`,
	} {
		p, err := newPattern(glob)
		if err != nil || p.base != want {
			t.Errorf("%s: base %q, %v; want %q", glob, p.base, err, want)
		}
	}
}

// TestADeletedFileGivesItsNameFree: as long as it is open here nobody could make
// another of that name.
func TestADeletedFileGivesItsNameFree(t *testing.T) {
	r := newRig(t)
	r.write("a.log", "one\n")
	r.start().want("one")
	r.append("a.log", "two\n")
	r.must(os.Remove(r.path("a.log")))
	r.want("one", "two")
	r.wait("the name to be free", func() bool { return os.WriteFile(r.path("a.log"), []byte("three\n"), 0o600) == nil })
	r.want("one", "two", "three")
}
