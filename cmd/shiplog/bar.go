package main

import (
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// bar is how far a command is, on a terminal: how much is done, how fast, and how
// much time is left. Its methods may be called from any goroutine.
type bar struct {
	to         io.Writer // nil: it shows nothing
	what, unit string    // unit is "" for bytes

	mu    sync.Mutex // guards what follows, and the terminal
	shown *progressbar.ProgressBar
}

// newBar returns a bar where w is a terminal and nobody asked for silence or
// plain text, else one that shows nothing.
func newBar(w io.Writer, quiet bool, what, unit string) *bar {
	b := &bar{what: what, unit: unit}
	if !quiet && os.Getenv("NO_COLOR") == "" && isTerminal(w) {
		b.to = w
	}
	return b
}

// set shows how far it is. That the terminal is gone matters to nobody.
func (b *bar) set(done, all int64) {
	if b.to == nil || all <= 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shown == nil {
		b.shown = b.draw(all)
	}
	if b.shown.GetMax64() != all {
		b.shown.ChangeMax64(all)
	}
	_ = b.shown.Set64(min(done, all))
}

func (b *bar) draw(all int64) *progressbar.ProgressBar {
	o := []progressbar.Option{
		progressbar.OptionSetWriter(b.to), progressbar.OptionSetDescription(b.what), progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100 * time.Millisecond), progressbar.OptionClearOnFinish(),
	}
	if b.unit == "" {
		o = append(o, progressbar.OptionShowBytes(true), progressbar.OptionUseIECUnits(true))
	} else {
		o = append(o, progressbar.OptionShowIts(), progressbar.OptionSetItsString(b.unit))
	}
	return progressbar.NewOptions64(all, o...)
}

// clear takes the bar off the terminal, until the next set.
func (b *bar) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.erase()
}

func (b *bar) erase() {
	if b.shown != nil {
		_ = b.shown.Clear()
	}
}

// over returns a writer to w, the terminal of the bar, whose lines do not run into
// the bar.
func (b *bar) over(w io.Writer) io.Writer {
	if b.to == nil {
		return w
	}
	return aboveBar{b, w}
}

// aboveBar is a writer whose lines stand above a bar.
type aboveBar struct {
	b *bar
	w io.Writer
}

// Write implements io.Writer.
func (a aboveBar) Write(p []byte) (int, error) {
	a.b.mu.Lock()
	defer a.b.mu.Unlock()
	a.b.erase()
	return a.w.Write(p)
}
