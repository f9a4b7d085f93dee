package agent

import (
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// groupLogs makes inputs of logs: those of one kind in one folder are one.
func groupLogs(logs []*surveyedLog) []SurveyedInput {
	slices.SortFunc(logs, func(a, b *surveyedLog) int {
		return cmp.Or(strings.Compare(a.dir, b.dir), strings.Compare(a.pattern, b.pattern))
	})
	type kind struct{ dir, ext, format, encoding string }
	kindOf := func(l *surveyedLog) kind {
		k := kind{l.dir, filepath.Ext(l.pattern), l.input.Format, l.input.Encoding}
		own := applicationOf(l.input.Example) == stem(l.input.Example) // a folder of many applications
		if l.dated || k.ext == "" || own || k.format == "csv" {        // columns are the file's own
			k.ext = l.pattern
		}
		return k
	}
	groups := map[kind][]*surveyedLog{}
	var kinds []kind
	for _, l := range logs {
		k := kindOf(l)
		if groups[k] == nil {
			kinds = append(kinds, k)
		}
		groups[k] = append(groups[k], l)
	}
	var out []SurveyedInput
	for _, k := range kinds {
		out = append(out, merge(groups[k], logs))
	}
	out = joinContainers(out)
	nameInputs(out)
	return out
}

// containerLog are the paths at which Docker and Kubernetes keep a file for each
// container: what is there today says nothing of tomorrow.
var containerLog = regexp.MustCompile(`^(.*/)(?:(containers/)[0-9a-f]{64}/[0-9a-f]{64}-json\.log|(pods/)[^/]+/[^/]+/[^/]+\.log)$`) //nolint:gochecknoglobals // a constant that Go cannot express

// joinContainers makes one input of those of containers.
func joinContainers(inputs []SurveyedInput) []SurveyedInput {
	first := map[string]int{}
	var out []SurveyedInput
	for _, in := range inputs {
		m := containerLog.FindStringSubmatch(filepath.ToSlash(in.Example))
		if m == nil || in.Format != "docker" && in.Format != "cri" {
			out = append(out, in)
			continue
		}
		pattern := escapePattern(m[1]+m[2]+m[3]) + "*/*-json.log"
		if m[3] != "" {
			pattern = escapePattern(m[1]+m[3]) + "*/*/*.log"
		}
		at, known := first[pattern]
		if !known {
			first[pattern] = len(out)
			in.Paths = []string{pattern}
			out = append(out, in)
			continue
		}
		one := &out[at]
		one.Live, one.Old, one.Entries, one.Joined, one.Times = one.Live+in.Live, one.Old+in.Old, one.Entries+in.Entries, one.Joined+in.Joined, one.Times+in.Times
		one.Longest = max(one.Longest, in.Longest)
	}
	return out
}

// merge makes one input of logs of one kind. all is every log there is.
func merge(group, all []*surveyedLog) SurveyedInput {
	in := group[0].input
	in.Live, in.Old = 0, 0
	for i, l := range group {
		in.Paths = append(in.Paths, slashed(l.dir)+l.pattern)
		in.Live += len(l.live)
		in.Old += len(l.old)
		if i > 0 {
			in.Entries, in.Joined, in.Times = in.Entries+l.input.Entries, in.Joined+l.input.Joined, in.Times+l.input.Times
			in.Longest = max(in.Longest, l.input.Longest)
			in.Strange = cmp.Or(in.Strange, l.input.Strange)
		}
	}
	if glob := slashed(group[0].dir) + "*" + filepath.Ext(group[0].pattern); len(group) > 1 && matchesOnly(glob, group, all) {
		in.Paths = []string{glob}
	}
	for _, p := range in.Paths {
		if strings.HasSuffix(p, "*") && len(in.Exclude) == 0 {
			in.Exclude = []string{"*.{gz,zst,bz2,xz,zip}"}
		}
	}
	return in
}

// slashed is a folder as patterns write it: with slashes everywhere.
func slashed(dir string) string { return escapePattern(filepath.ToSlash(dir)) }

// matchesOnly reports whether a pattern matches the live files of a group, and no
// other file that was looked at.
func matchesOnly(glob string, group, all []*surveyedLog) bool {
	for _, l := range all {
		own := slices.Contains(group, l)
		for i, path := range append(slices.Clone(l.live), l.old...) {
			if ok, err := doublestar.Match(glob, filepath.ToSlash(path)); err != nil || ok != (own && i < len(l.live)) {
				return false
			}
		}
	}
	return true
}

// nameInputs gives the inputs names, each of its own, and guesses whose logs they
// are.
func nameInputs(inputs []SurveyedInput) {
	taken := map[string]bool{}
	for i := range inputs {
		in := &inputs[i]
		in.Application = applicationOf(in.Example)
		file := stem(in.Example)
		if len(in.Paths) > 1 || strings.Contains(in.Paths[0], "/*") {
			file = in.Application
		}
		for _, name := range []string{file, in.Application + "-" + file} {
			if in.Name = name; !taken[name] {
				break
			}
		}
		for n, base := 2, in.Name; taken[in.Name]; n++ {
			in.Name = fmt.Sprintf("%s-%d", base, n)
		}
		taken[in.Name] = true
	}
}

// applicationOf guesses from a file's path whose log it is: the last folder that
// is no usual name for one, else the file's name.
func applicationOf(path string) string {
	usual := []string{"log", "logs", "logfiles", "var", "tmp", "data", "opt", "srv", "current", "containers", "home", "library", "usr", "local", "shared", "mssql"}
	parts := strings.Split(filepath.ToSlash(filepath.Dir(path)), "/")
	for _, part := range slices.Backward(parts) {
		lower := strings.ToLower(part)
		if !slices.Contains(usual, lower) && part != "" && !strings.HasSuffix(part, ":") && strings.Trim(lower, "0123456789abcdef.") != "" {
			return part
		}
	}
	return stem(path)
}

// stem is the name of a log without what rotation and the kind of file add.
func stem(path string) string {
	name := logNameOf(filepath.Base(path), func(string) bool { return false }).pattern
	name, _, _ = strings.Cut(name, "[0-9]")
	name, _, _ = strings.Cut(name, "???")
	name = strings.TrimSuffix(name, filepath.Ext(name))
	if name = strings.Trim(strings.ReplaceAll(name, `\`, ""), "-_."); name == "" {
		return "log"
	}
	return name
}
