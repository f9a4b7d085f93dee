package agent

import (
	"fmt"
	"runtime"
)

// Grant returns the command that gives a user a right to a file or folder: r to read
// it, x to pass through it, rx to list it.
func Grant(who, right, path string) string { return grantOn(runtime.GOOS, who, right, path) }

func grantOn(system, who, right, path string) string {
	if system == "windows" {
		if right != "r" { // there X alone is to run a file
			right = "rx"
		}
		return fmt.Sprintf(`icacls "%s" /grant "%s:(%s)"`, path, who, map[string]string{"r": "R", "rx": "RX"}[right])
	}
	return fmt.Sprintf("setfacl -m u:%s:%s %s", shellQuote(who), right, shellQuote(path))
}

// handOver returns the command that gives a folder and all in it to a user, to write.
func handOver(system, who, dir string) string {
	if system == "windows" {
		return fmt.Sprintf(`icacls "%s" /grant "%s:(OI)(CI)M" /T`, dir, who)
	}
	return fmt.Sprintf("chown -R %s %s", shellQuote(who), shellQuote(dir))
}

// makeFolder returns the command that makes a folder that is a user's.
func makeFolder(system, who, dir string) string {
	if system == "windows" {
		return fmt.Sprintf(`mkdir "%s" & %s, as administrator`, dir, handOver(system, who, dir))
	}
	return fmt.Sprintf("install -d -m 0700 -o %s %s, as root", shellQuote(who), shellQuote(dir))
}

// moreEvents returns what brings events of the file system where a limit keeps them
// away.
func moreEvents(system, limit string, to int) string {
	if system == "linux" {
		return fmt.Sprintf("sysctl fs.inotify.%s=%d", limit, to)
	}
	return "nothing has to be done: files are looked at each rescan_interval; fewer folders in paths, or more descriptors, may help"
}
