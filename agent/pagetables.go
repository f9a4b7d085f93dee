package agent

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"shiplog/agent/admin"
)

// inputTable has a row for each input.
func inputTable(s *Status) admin.Table {
	t := admin.Table{
		Caption: "Inputs", Empty: "There are no inputs.",
		Columns: []admin.Column{{Name: "Input", Kind: "head"}, {Name: "Topic", Kind: "text"}, {Name: "Files", Kind: "number"}, {Name: "Behind", Kind: "number"}, {Name: "Lag", Kind: "number aside"},
			{Name: "Shipped/s", Kind: "number aside"}, {Name: "Lines", Kind: "number aside"}, {Name: "Not parsed", Kind: "number aside"}, {Name: "Left out", Kind: "number aside"}, {Name: "Rotations", Kind: "text aside"}},
	}
	for i := range s.Inputs {
		in := &s.Inputs[i]
		left := in.Totals.Filtered + in.Totals.Sampled + in.Totals.Limited
		patterns := make([]string, len(in.Paths))
		for j, p := range in.Paths {
			patterns[j] = Printable(p)
		}
		note := strings.Join(patterns, ", ")
		if note == Printable(in.Name) {
			note = ""
		}
		t.Rows = append(t.Rows, admin.Row{Cells: []admin.Cell{
			{Text: Printable(in.Name), Note: note},
			{Text: in.Topic, Note: "read as " + in.Format},
			{Text: Count(int64(in.Sums.Files))}, {Text: Behind(in.Sums.LagSeconds)}, {Text: ByteCount(in.Sums.Lag)},
			{Text: perSecond(in.Rates.Acknowledged)}, {Text: Count(in.Totals.Lines)}, {Text: Count(in.Totals.Unparsed)}, {Text: Count(left)}, {Text: kindCounts(in.Rotations)},
		}})
	}
	return t
}

// kindCounts lists counts by name, without those of nothing.
func kindCounts(by map[string]int64) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(by)) {
		if by[name] > 0 {
			out = append(out, Count(by[name])+" "+strings.ReplaceAll(name, "_", " "))
		}
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}

// brokerTable has a row for each broker.
func brokerTable(s *Status) admin.Table {
	t := admin.Table{
		Caption: "Brokers", Empty: "No broker was asked yet.",
		Columns: []admin.Column{{Name: "State", Kind: "word"}, {Name: "Broker", Kind: "head"}, {Name: "Since", Kind: "text aside"}, {Name: "Failures to connect", Kind: "number aside"}},
	}
	for i := range s.Kafka.Brokers {
		b := &s.Kafka.Brokers[i]
		row := admin.Row{}
		name := admin.Cell{Text: b.Addr}
		if b.ID >= 0 {
			name.Text = fmt.Sprintf("%s (%d)", b.Addr, b.ID)
		}
		if b.State == "unreachable" {
			row.State, name.Note = "bad", b.Error
		}
		row.Cells = []admin.Cell{{Text: b.State}, name, {Text: clock(b.Since, s.At)}, {Text: Count(b.Failures)}}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// kafkaFacts say how the connection to Kafka stands.
func kafkaFacts(s *Status) []admin.Fact {
	k := &s.Kafka
	oldest := "none"
	if k.OldestSeconds > 0 {
		oldest = "since " + Span(float64(int64(k.OldestSeconds)))
	}
	out := []admin.Fact{
		{Name: "Topic", Value: k.Topic},
		{Name: "On the way", Value: ByteCount(k.InFlightBytes), Note: Count(int64(k.InFlightRecords)) + " records"},
		{Name: "Oldest that waits", Value: oldest},
		{Name: "Failed attempts", Value: kindCounts(k.Errors), Note: "each is tried again"},
	}
	if len(k.Topics) > 0 {
		out = append(out, admin.Fact{Name: "Topics of templates", Value: fmt.Sprintf("%d of %d", len(k.Topics), k.TopicsMax), Note: shorten(strings.Join(k.Topics, ", "), 500)})
	}
	if k.Homeless > 0 {
		out = append(out, admin.Fact{Name: "Lines beyond max_topics", Value: Count(k.Homeless), State: "warn"})
	}
	if k.Rebuilt > 0 {
		out = append(out, admin.Fact{Name: "Clients rebuilt", Value: Count(k.Rebuilt), Note: "by the watchdog", State: "warn"})
	}
	return out
}

// letterFacts are about dead letters.
func letterFacts(s *Status) []admin.Fact {
	k := &s.Kafka
	if k.DeadLetters == 0 && k.DeadLettersWritten == 0 {
		return []admin.Fact{{Name: "Kept", Value: "none", Note: "nothing was refused for good"}}
	}
	out := []admin.Fact{
		{Name: "Kept", Value: Count(k.DeadLetters), Note: ByteCount(k.DeadLetterBytes)},
		{Name: "Since the start", Value: Count(k.DeadLettersWritten)},
	}
	if k.DeadLetters > 0 {
		out[0].State = "warn"
	}
	if k.DeadLettersDue > 0 {
		out = append(out, admin.Fact{Name: "Not in their topic yet", Value: Count(k.DeadLettersDue), State: "warn"})
	}
	return out
}

// errorTable has a row for each of the last warnings and errors.
func errorTable(s *Status) admin.Table {
	t := admin.Table{
		Caption: "Last warnings and errors, the newest first", Empty: "There were none since the start.",
		Columns: []admin.Column{{Name: "At", Kind: "when"}, {Name: "What", Kind: "head"}},
	}
	for i := range s.LastErrors {
		e := &s.LastErrors[i]
		row := admin.Row{State: "warn", Cells: []admin.Cell{{Text: clock(e.At, s.At), Note: "warning"}, {Text: e.Text, Note: e.Path}}}
		if e.Level == "error" {
			row.State, row.Cells[0].Note = "bad", "error"
		}
		if e.Count > 1 {
			row.Cells[0].Note += fmt.Sprintf(", %s times", Count(e.Count))
			row.Cells[1].Note = strings.TrimSpace(row.Cells[1].Note + " since " + clock(e.First, s.At))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// agentFacts are about the process.
func agentFacts(s *Status) []admin.Fact {
	saved := admin.Fact{Name: "Checkpoint saved", Value: clock(s.Checkpoint.LastSave, s.At), Note: Count(s.Checkpoint.Saves) + " times"}
	if s.Checkpoint.Error != "" {
		saved.Value, saved.Note, saved.State = "failed", s.Checkpoint.Error, "bad"
	}
	out := []admin.Fact{
		{Name: "Version", Value: s.AgentVersion},
		{Name: "Process", Value: fmt.Sprint(s.PID), Note: "since " + clock(s.Started, s.At)},
		{Name: "Configuration", Value: orDash(Printable(s.Config), s.Config)},
		{Name: "State", Value: Printable(s.StateDir)},
		saved,
		{Name: "Logged", Value: counted(int(s.Logged.Warnings), "warning") + ", " + counted(int(s.Logged.Errors), "error"), Note: "since the start"},
	}
	if s.Pins.Files > 0 || s.Pins.Unpinned > 0 {
		pins := admin.Fact{Name: "Pinned files", Value: Count(int64(s.Pins.Files)), Note: ByteCount(s.Pins.Bytes) + " of " + ByteCount(s.Pins.Quota)}
		if s.Pins.Unpinned > 0 {
			pins.State, pins.Note = "bad", fmt.Sprintf("%s; %d are not pinned", pins.Note, s.Pins.Unpinned)
		}
		out = append(out, pins)
	}
	if r := s.LastReload; r != nil {
		f := admin.Fact{Name: "Last reload", Value: clock(r.At, s.At)}
		if r.Error != "" {
			f.State, f.Note = "warn", "nothing was changed: "+r.Error
		}
		out = append(out, f)
	}
	for _, d := range s.Damaged {
		out = append(out, admin.Fact{Name: "Damaged state", Value: d, State: "warn"})
	}
	return out
}

// orDash returns shown, or a dash where value is empty.
func orDash(shown, value string) string {
	if value == "" {
		return "-"
	}
	return shown
}
