package agent

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"
	"time"

	"shiplog/agent/admin"
)

// pageFiles is how many files the status page has, unless its address asks for
// others, and pageFilesMax how many at most: it is sent anew each second.
const (
	pageFiles    = 100
	pageFilesMax = 500
)

// page returns what the status page shows, by the query of its address, which is
// that of /status.
func (a *Agent) page(query url.Values) (*admin.Page, error) {
	q, err := ParseStatusQuery(query)
	if err != nil {
		return nil, err
	}
	if q.Limit = min(q.Limit, pageFilesMax); q.Limit <= 0 {
		q.Limit = pageFiles
	}
	s := a.Status(q)
	h := a.History()
	h.Points = append(h.Points, Point{At: s.At, Lag: s.Sums.Lag, LagSeconds: s.Sums.LagSeconds, Rates: s.Rates, Healthy: s.Healthy})
	p := statusPage(&s, q)
	p.Charts = charts(&h, s.At)
	p.Config = a.config().Text()
	return p, nil
}

// statusPage turns a status into what a person sees of it.
func statusPage(s *Status, q StatusQuery) *admin.Page {
	p := &admin.Page{
		Host: Printable(s.Host), Program: "shiplog " + s.AgentVersion, At: clock(s.At, s.At) + s.At.Local().Format(" MST"),
		Detail: detail(s), Now: nowFacts(s), Files: filesOf(s, q),
		Inputs: inputTable(s), Kafka: kafkaFacts(s), Brokers: brokerTable(s), Letters: letterFacts(s), Errors: errorTable(s), Agent: agentFacts(s),
	}
	p.State, p.Verdict, p.Reasons = verdict(s)
	if s.Kafka.DeadLetters > 0 {
		config := ""
		if s.Config != "" {
			config = " --config " + Printable(s.Config)
		}
		p.Advice = "To see them: shiplog replay" + config + " --dry-run. When the cause is mended: shiplog replay" + config
	}
	return p
}

const (
	// behindLong is a lag, in seconds, from which on the verdict speaks of it.
	behindLong = 30
	// ackLong is how long lines wait and nothing is acknowledged, in seconds, until
	// the verdict says so.
	ackLong = 5
)

// verdict says in one sentence whether lines are shipped, and what is wrong. The
// sentence has no figures that change by themselves.
func verdict(s *Status) (state, sentence string, reasons []string) {
	reasons = s.Problems
	if len(reasons) == 0 {
		reasons = s.NotReady
	}
	switch {
	case s.Phase == "stopping":
		return "warn", "Stopping: nothing more is read; what is on its way may still be acknowledged.", s.Problems
	case s.Phase == "starting":
		return "warn", "Starting: nothing is sent before it is known what Kafka has already.", reasons
	case !s.Ready || !s.Healthy && stalled(s):
		if len(s.Problems) == 0 {
			reasons = append([]string{"See the brokers, and the last warnings and errors, below."}, s.NotReady...)
		}
		return "bad", "Not shipping: lines wait, and Kafka acknowledges none.", reasons
	case !s.Healthy && len(s.Problems) == 1:
		return "warn", "Shipping, but one thing is wrong.", reasons
	case !s.Healthy:
		return "warn", fmt.Sprintf("Shipping, but %d things are wrong.", len(s.Problems)), reasons
	case s.Sums.Files == 0:
		return "warn", "Nothing to ship: no file matches the patterns of the inputs.",
			[]string{"If there should be one, see the patterns below, and ask: shiplog why FILE --config " + cmp.Or(Printable(s.Config), "FILE")}
	case s.Sums.LagSeconds > behindLong:
		return "good", "Shipping, and catching up.", nil
	}
	return "good", "Shipping: all is well.", nil
}

// stalled reports whether something waits for Kafka, and for some seconds nothing
// has been acknowledged.
func stalled(s *Status) bool {
	waits := max(s.Sums.LagSeconds, s.Kafka.OldestSeconds)
	since := s.Uptime
	if !s.Kafka.LastAck.IsZero() {
		since = s.At.Sub(s.Kafka.LastAck).Seconds()
	}
	return waits > ackLong && since > ackLong
}

// detail says how far behind the agent is.
func detail(s *Status) string {
	due := s.Sums.Lag - s.Sums.Pending
	var text string
	switch rate := s.Rates.AcknowledgedBytes; {
	case due <= 0:
		text = "All that is complete in the files is acknowledged."
	case s.Sums.LagSeconds > behindLong && rate > 1 && rate > s.Rates.ReadBytes/2:
		text = fmt.Sprintf("%s wait, the oldest for %s; at this rate that takes some %s.", ByteCount(due), Span(s.Sums.LagSeconds), Span(float64(int64(float64(due)/rate))))
	default:
		text = fmt.Sprintf("%s wait, the oldest for %s.", ByteCount(due), Span(s.Sums.LagSeconds))
	}
	return text
}

// nowFacts say what is shipped now.
func nowFacts(s *Status) []admin.Fact {
	k := &s.Kafka
	out := []admin.Fact{
		{Name: "Shipped", Value: perSecond(s.Rates.Acknowledged) + " lines/s", Note: ByteCount(int64(s.Rates.AcknowledgedBytes)) + "/s, of late"},
		{Name: "Read", Value: perSecond(s.Rates.Lines) + " lines/s", Note: ByteCount(int64(s.Rates.ReadBytes)) + "/s, of late"},
		{Name: "Behind", Value: behindWords(s.Sums.LagSeconds), Note: ByteCount(s.Sums.Lag)},
		{Name: "Last acknowledged", Value: ago(k.LastAck, s.At), Note: Count(s.Totals.Acknowledged) + " since the start"},
		{Name: "On the way to Kafka", Value: ByteCount(k.InFlightBytes), Note: "of " + ByteCount(k.MemoryLimit)},
		{Name: "Files", Value: Count(int64(s.Sums.Files)), Note: states(s.Sums.States)},
		{Name: "Dead letters", Value: Count(k.DeadLetters)},
	}
	if stalled(s) {
		out[2].State, out[3].State = "bad", "bad"
	}
	if k.DeadLetters > 0 {
		out[len(out)-1].State, out[len(out)-1].Note = "warn", ByteCount(k.DeadLetterBytes)
	}
	if s.Totals.LostBytes > 0 {
		out = append(out, admin.Fact{Name: "Lost", Value: ByteCount(s.Totals.LostBytes), Note: "truncated or removed before they were read", State: "bad"})
	}
	return out
}

// states lists how many files are in which state.
func states(by map[string]int) string {
	var out []string
	for _, name := range fileStates() {
		if n := by[name]; n > 0 {
			out = append(out, Count(int64(n))+" "+name)
		}
	}
	return strings.Join(out, ", ")
}

// perSecond writes a rate; small ones with a digit behind the point.
func perSecond(x float64) string {
	if x > 0 && x < 10 {
		return fmt.Sprintf("%.1f", x)
	}
	return Count(int64(x + 0.5))
}

func behindWords(seconds float64) string {
	if seconds <= 0 {
		return "nothing"
	}
	return Span(seconds)
}

// ago says how long ago something was, in whole seconds.
func ago(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return now.Sub(t).Truncate(time.Second).String() + " ago"
}

// clock writes an instant as the clock of this host shows it, with the day where
// it is not today.
func clock(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	t, now = t.Local(), now.Local()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format(time.TimeOnly)
	}
	return t.Format(time.DateTime)
}
