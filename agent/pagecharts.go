package agent

import (
	"fmt"
	"math"
	"time"

	"shiplog/agent/admin"
)

// charts are the last hour: how far behind the agent was, and what it shipped.
func charts(h *History, now time.Time) []admin.Chart {
	step := time.Duration(h.StepSeconds * float64(time.Second))
	of := func(title string, scale func(float64) float64, write, words func(float64) string, value func(*Point) float64) admin.Chart {
		c := admin.Chart{Title: title, Step: step}
		most, at, bad := 0.0, time.Time{}, time.Duration(0)
		for i := range h.Points {
			if v := value(&h.Points[i]); v > most {
				most, at = v, h.Points[i].At
			}
		}
		top := scale(most)
		for i := range h.Points {
			p := &h.Points[i]
			c.Points = append(c.Points, admin.Point{Ago: now.Sub(p.At), Value: value(p) / top, Bad: !p.Healthy})
			if !p.Healthy && i > 0 {
				bad += min(3*step, p.At.Sub(h.Points[i-1].At))
			}
		}
		c.Top = write(top)
		switch {
		case len(h.Points) == 0:
			c.Summary = "nothing is known yet"
		case most == 0:
			c.Summary = words(0) + since(now.Sub(h.Points[0].At))
		default:
			c.Summary = fmt.Sprintf("now %s; at most %s, %s", words(value(&h.Points[len(h.Points)-1])), write(most), minutesAgo(now.Sub(at)))
		}
		if bad > 0 {
			c.Summary += fmt.Sprintf("; not healthy for %s (shaded)", Span(bad.Seconds()))
		}
		return c
	}
	span := func(v float64) string { return Span(v) }
	rate := func(v float64) string { return ByteCount(int64(v)) + "/s" }
	out := []admin.Chart{
		of("Behind", timeScale, span, behindWords, func(p *Point) float64 { return p.LagSeconds }),
		of("Shipped", byteScale, rate, rate, func(p *Point) float64 { return p.Rates.AcknowledgedBytes }),
	}
	out[0].Rows = hourTable(h, now)
	return out
}

// timeScale returns the upper end of a scale for seconds.
func timeScale(most float64) float64 {
	for _, top := range []float64{1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 6 * 3600, 12 * 3600} {
		if top >= most {
			return top
		}
	}
	const day = 24 * 3600
	return day * math.Ceil(most/day)
}

// byteScale returns the upper end of a scale for bytes a second.
func byteScale(most float64) float64 {
	return math.Exp2(math.Ceil(math.Log2(max(most, 1024))))
}

// since says for how long the points are known.
func since(d time.Duration) string {
	switch m := int(d.Minutes()); {
	case m >= 55:
		return " all the time"
	case m >= 2:
		return fmt.Sprintf(" in the %d min since the start", m)
	}
	return " since the start"
}

func minutesAgo(d time.Duration) string {
	if d < time.Minute {
		return "just now"
	}
	return fmt.Sprintf("%d min ago", int(d.Minutes()))
}

// hourRow is the time that a row of hourTable stands for.
const hourRow = 5 * time.Minute

// hourTable tells the last hour in rows, the newest first.
func hourTable(h *History, now time.Time) admin.Table {
	t := admin.Table{Caption: "The last hour, in steps of five minutes", Columns: []admin.Column{
		{Name: "From", Kind: "head"}, {Name: "Behind at most", Kind: "number"}, {Name: "Lag at most", Kind: "number"}, {Name: "Shipped", Kind: "number"}, {Name: "Healthy", Kind: "text"},
	}}
	for from := time.Duration(0); from < time.Hour; from += hourRow {
		n, behind, lag, shipped, healthy := 0, 0.0, int64(0), 0.0, 0
		for i := range h.Points {
			p := &h.Points[i]
			if ago := now.Sub(p.At); ago < from || ago >= from+hourRow {
				continue
			}
			n++
			behind, lag = max(behind, p.LagSeconds), max(lag, p.Lag)
			shipped += p.Rates.AcknowledgedBytes
			if p.Healthy {
				healthy++
			}
		}
		if n == 0 {
			continue
		}
		word := "yes"
		switch healthy {
		case 0:
			word = "no"
		case n:
		default:
			word = "at times"
		}
		t.Rows = append(t.Rows, admin.Row{Cells: []admin.Cell{
			{Text: fmt.Sprintf("%d min ago", int((from + hourRow).Minutes()))}, {Text: behindWords(behind)}, {Text: ByteCount(lag)},
			{Text: ByteCount(int64(shipped/float64(n))) + "/s"}, {Text: word},
		}})
	}
	return t
}
