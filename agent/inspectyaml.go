package agent

import (
	"fmt"
	"strings"
)

// SurveyConfig is what a configuration needs that logs do not tell.
type SurveyConfig struct {
	Application string // "": that of the first input
	Brokers     []string
	Topic       string // "": the default
}

// AppendYAML appends a commented configuration for the inputs of a survey to dst.
// There is one at least.
func (s *Survey) AppendYAML(dst []byte, c SurveyConfig) []byte {
	var b strings.Builder
	application := c.Application
	if application == "" {
		application = s.Inputs[0].Application
	}
	b.WriteString("# Written by shiplog init from the logs that it found; config.example.yaml has every key.\n\n")
	b.WriteString("# What goes into payload.application where a line names none: a guess, from names of folders.\n")
	fmt.Fprintf(&b, "application: %s\n\ninputs:\n", quoted(application))
	for i := range s.Inputs {
		s.Inputs[i].write(&b, c.Application == "" && s.Inputs[i].Application != application)
	}
	s.writeSkipped(&b)
	b.WriteString("\nkafka:\n")
	if len(c.Brokers) == 0 {
		b.WriteString("  brokers: [\"localhost:9092\"]      # yours: host:port; name two or three of a cluster\n")
	} else {
		fmt.Fprintf(&b, "  brokers: [%s]\n", quotedList(c.Brokers))
	}
	if c.Topic == "" {
		b.WriteString("  # topic: applications.central_logging   # the default; it has to exist\n")
	} else {
		fmt.Fprintf(&b, "  topic: %s\n", quoted(c.Topic))
	}
	b.WriteString("  # tls: {}                          # where the brokers ask for it\n")
	b.WriteString("  # sasl: {mechanism: SCRAM-SHA-512, username: shiplog, password_file: /etc/shiplog/kafka.password}\n")
	return append(dst, b.String()...)
}

func (in *SurveyedInput) write(b *strings.Builder, application bool) {
	fmt.Fprintf(b, "  - name: %s\n    # %s\n    paths: [%s]\n", quoted(in.Name), in.files(), quotedList(in.Paths))
	if len(in.Exclude) > 0 {
		fmt.Fprintf(b, "    exclude: [%s]\n", quotedList(in.Exclude))
	}
	if application {
		fmt.Fprintf(b, "    application: %s\n", quoted(in.Application))
	}
	fmt.Fprintf(b, "    format: %-10s # %s\n", in.Format, in.Seen)
	if in.Strange > 0 {
		fmt.Fprintf(b, "    # Line %d of %s is no UTF-8. The encoding is a guess: look at such lines with shiplog parse.\n", in.Strange, quoted(in.Example))
		fmt.Fprintf(b, "    encoding: %s\n", in.Encoding)
	}
	if in.Joined > 0 {
		fmt.Fprintf(b, "    multiline: auto    # %d of %d entries have several lines, the longest %d\n", in.Joined, in.Entries, in.Longest)
	}
	if in.Entries > 0 && in.Times == 0 {
		b.WriteString("    # No time was found: a format of your own may be a regex or a grok pattern.\n")
	}
}

// files says what the paths match.
func (in *SurveyedInput) files() string {
	var s strings.Builder
	switch {
	case in.Live == 1:
		s.WriteString("one file")
	default:
		fmt.Fprintf(&s, "%d files", in.Live)
	}
	if in.Dated {
		s.WriteString("; each period has its own, and those that are there are read too (start: end leaves them out)")
	}
	if in.Old > 0 {
		fmt.Fprintf(&s, "; %d rotated ones are left alone", in.Old)
	}
	return s.String()
}

// writeSkipped names what could not be read.
func (s *Survey) writeSkipped(b *strings.Builder) {
	said := false
	for _, f := range s.Skipped {
		if f.Err == nil {
			continue
		}
		if !said {
			b.WriteString("  # Not here, since it cannot be read:\n")
			said = true
		}
		fmt.Fprintf(b, "  #   %s: %s\n", quoted(f.Path), strings.ReplaceAll(f.Reason, "\n", " "))
	}
}

// quoted is a text as YAML, in which ${ stands for no variable.
func quoted(s string) string { return fmt.Sprintf("%q", strings.ReplaceAll(s, "${", "$${")) }

func quotedList(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = quoted(s)
	}
	return strings.Join(out, ", ")
}
