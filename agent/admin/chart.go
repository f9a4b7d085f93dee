package admin

import (
	"fmt"
	"strings"
	"time"
)

// Chart is a quantity over the last hour.
type Chart struct {
	Title   string
	Summary string // in words, for all
	Top     string // what the upper end of the scale stands for
	// Step is the time between two points; a gap of three of them is drawn as one.
	Step   time.Duration
	Points []Point
	// Rows tell the same in a table.
	Rows Table
}

// Point is a point of a Chart.
type Point struct {
	Ago   time.Duration
	Value float64 // 0 to 1 of the scale
	Bad   bool    // the agent was not healthy
}

// The plot has a width of chartWidth and a height of chartHeight, whatever size it
// is shown in.
const (
	chartSpan   = time.Hour
	chartWidth  = 720
	chartHeight = 100
)

// Line returns the path of an SVG that draws the points.
func (c Chart) Line() string {
	var b strings.Builder
	c.runs(func(run []Point) {
		for i, p := range run {
			fmt.Fprintf(&b, "%c%.1f %.1f", "ML"[min(i, 1)], chartX(p.Ago), chartY(p.Value))
		}
		if len(run) == 1 { // a point alone would not be seen
			b.WriteString("h1")
		}
	})
	return b.String()
}

// Area returns the path of what lies below the line.
func (c Chart) Area() string {
	var b strings.Builder
	c.runs(func(run []Point) {
		fmt.Fprintf(&b, "M%.1f %d", chartX(run[0].Ago), chartHeight)
		for _, p := range run {
			fmt.Fprintf(&b, "L%.1f %.1f", chartX(p.Ago), chartY(p.Value))
		}
		fmt.Fprintf(&b, "L%.1f %dZ", chartX(run[len(run)-1].Ago), chartHeight)
	})
	return b.String()
}

// Bad returns the path of the times when the agent was not healthy.
func (c Chart) Bad() string {
	var b strings.Builder
	for i := 0; i < len(c.Points); i++ {
		if !c.Points[i].Bad {
			continue
		}
		from := i
		for i+1 < len(c.Points) && c.Points[i+1].Bad {
			i++
		}
		begin, end := chartX(c.Points[from].Ago+c.Step), chartX(c.Points[i].Ago)
		fmt.Fprintf(&b, "M%.1f 0H%.1fV%dH%.1fZ", max(0, begin), end, chartHeight, max(0, begin))
	}
	return b.String()
}

// runs calls each for points without a gap between them.
func (c Chart) runs(each func([]Point)) {
	from := 0
	for i := range c.Points {
		if i+1 == len(c.Points) || c.Points[i].Ago-c.Points[i+1].Ago > 3*c.Step {
			each(c.Points[from : i+1])
			from = i + 1
		}
	}
}

func chartX(ago time.Duration) float64 {
	return chartWidth * (1 - min(1, max(0, ago.Seconds()/chartSpan.Seconds())))
}

// chartY leaves room for the width of the line at both ends.
func chartY(v float64) float64 { return 98 - 96*min(1, max(0, v)) }
