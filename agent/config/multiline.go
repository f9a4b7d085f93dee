package config

import (
	"regexp"
	"slices"
	"time"

	"gopkg.in/yaml.v3"
)

// Multiline says which lines of a file make one entry.
type Multiline struct {
	Preset   string // auto, none, or a language; "" where patterns say it
	Start    *regexp.Regexp
	Continue *regexp.Regexp
	End      *regexp.Regexp
	MaxLines int           // of one entry
	MaxBytes int64         // of one entry; 0: as MaxLineBytes
	Wait     time.Duration // how long the last entry of a file is quiet before it is complete
}

func defaultMultiline() Multiline {
	return Multiline{Preset: "auto", MaxLines: 2000, Wait: 500 * time.Millisecond}
}

// Presets are the languages whose stack traces multiline knows by name.
func Presets() []string { return []string{"java", "dotnet", "python", "go", "ruby", "node", "php"} }

// multiline takes the name of a preset, or a mapping.
func (d *decoder) multiline(to *Multiline) setter {
	return func(n *yaml.Node, path string) {
		preset := d.choice(&to.Preset, append([]string{"auto", "none"}, Presets()...)...)
		if d.resolve(n).Kind != yaml.MappingNode {
			preset(n, path)
			return
		}
		named := false
		d.mapping(n, path, []key{
			{"preset", func(n *yaml.Node, path string) { named = true; preset(n, path) }},
			{"start", d.regexp(&to.Start)},
			{"continue", d.regexp(&to.Continue)},
			{"end", d.regexp(&to.End)},
			{"max_lines", d.number(&to.MaxLines, 1, 1_000_000)},
			{"max_bytes", d.size(&to.MaxBytes, 64, 1<<30)},
			{"wait", d.duration(&to.Wait, 10*time.Millisecond, time.Hour)},
		})
		patterns := slices.ContainsFunc([]*regexp.Regexp{to.Start, to.Continue, to.End}, func(r *regexp.Regexp) bool { return r != nil })
		switch {
		case named && patterns:
			d.fail(n, path, "give preset, or patterns (start, continue, end), not both")
		case patterns:
			to.Preset = ""
		}
	}
}

func (d *decoder) regexp(to **regexp.Regexp) setter {
	return func(n *yaml.Node, path string) {
		s, ok := d.scalar(n, path, "a regular expression")
		switch {
		case !ok:
		case s == "":
			d.fail(n, path, "is empty")
		default:
			re, err := regexp.Compile(s)
			if err != nil {
				d.fail(n, path, "%v; the syntax is that of RE2", err)
				return
			}
			*to = re
		}
	}
}

// encoding takes any name; whether there is such an encoding is found out by
// who reads in it.
func (d *decoder) encoding(in *Input) setter {
	return func(n *yaml.Node, path string) {
		d.text(&in.Encoding)(n, path)
		in.EncodingAt = Place{d.file, n.Line, n.Column, path}
	}
}
