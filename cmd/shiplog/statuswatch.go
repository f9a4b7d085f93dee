package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"

	"shiplog/agent"
	"shiplog/agent/admin"
)

// watchInterval is the time between two looks at the agent.
const watchInterval = time.Second

// watchStatus shows the status live until q is pressed.
func watchStatus(c *cobra.Command, access admin.Access, q agent.StatusQuery) error {
	if !isTerminal(c.OutOrStdout()) {
		return usageError{errors.New("--watch needs a terminal; without it the status is printed once")}
	}
	m := newWatch(c.Context(), func(ctx context.Context, q agent.StatusQuery) (*agent.Status, error) {
		return askStatus(ctx, access, q)
	}, q)
	_, err := tea.NewProgram(m, tea.WithContext(c.Context()), tea.WithInput(c.InOrStdin()), tea.WithOutput(c.OutOrStdout())).Run()
	if errors.Is(err, tea.ErrProgramKilled) && c.Context().Err() != nil {
		return nil
	}
	return err
}

// watch is the live screen: what was told last, and what is asked for.
type watch struct {
	ctx    context.Context //nolint:containedctx // the library calls without one
	ask    func(context.Context, agent.StatusQuery) (*agent.Status, error)
	query  agent.StatusQuery
	status *agent.Status
	err    error
	asking bool

	width, height int
	cursor        int    // of the files
	chosen        string // id of the file that is looked into; "": none
	typing        bool   // a filter
	help          bool
	bad, good     lipgloss.Style
	strong, faint lipgloss.Style
}

type (
	answerMsg struct {
		status *agent.Status
		err    error
	}
	tickMsg struct{}
)

func newWatch(ctx context.Context, ask func(context.Context, agent.StatusQuery) (*agent.Status, error), q agent.StatusQuery) *watch {
	q.Limit = 200
	return &watch{
		ctx: ctx, ask: ask, query: q, width: 80, height: 24, asking: true,
		bad: lipgloss.NewStyle().Bold(true).Foreground(lipgloss.Color("9")), good: lipgloss.NewStyle().Foreground(lipgloss.Color("10")),
		strong: lipgloss.NewStyle().Bold(true), faint: lipgloss.NewStyle().Faint(true),
	}
}

// Init implements tea.Model.
func (m *watch) Init() tea.Cmd { return m.fetch() }

func (m *watch) fetch() tea.Cmd {
	q := m.query
	return func() tea.Msg {
		s, err := m.ask(m.ctx, q)
		return answerMsg{s, err}
	}
}

// Update implements tea.Model.
func (m *watch) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case answerMsg:
		m.asking, m.err = false, msg.err
		if msg.err == nil {
			m.status = msg.status
			m.cursor = max(0, min(m.cursor, len(m.status.Files)-1))
		}
		return m, tea.Tick(watchInterval, func(time.Time) tea.Msg { return tickMsg{} })
	case tickMsg:
		m.asking = true
		return m, m.fetch()
	case tea.KeyPressMsg:
		return m, m.key(msg)
	}
	return m, nil
}

// key does what a key asks for. What it changes in the query shows with the next
// answer.
func (m *watch) key(k tea.KeyPressMsg) tea.Cmd {
	if m.typing {
		m.typed(k)
		return nil
	}
	switch k.String() {
	case "q", "ctrl+c":
		return tea.Quit
	case "?", "h":
		m.help = !m.help
	case "l":
		m.query.Sort = "lag"
	case "r":
		m.query.Sort = "rate"
	case "n":
		m.query.Sort = "path"
	case "s":
		m.query.Sort = "size"
	case "/":
		m.typing = true
	case "up", "k":
		m.cursor = max(0, m.cursor-1)
	case "down", "j":
		m.cursor++
	case "home", "g":
		m.cursor = 0
	case "enter":
		if m.status != nil && m.cursor < len(m.status.Files) {
			m.chosen = m.status.Files[m.cursor].ID
		}
	case "esc", "backspace":
		m.chosen, m.help = "", false
	}
	if m.status != nil {
		m.cursor = max(0, min(m.cursor, len(m.status.Files)-1))
	}
	return nil
}

// typed enters what is typed into the filter.
func (m *watch) typed(k tea.KeyPressMsg) {
	switch k.Code {
	case tea.KeyEnter:
		m.typing = false
	case tea.KeyEsc:
		m.typing, m.query.Match = false, ""
	case tea.KeyBackspace:
		if r := []rune(m.query.Match); len(r) > 0 {
			m.query.Match = string(r[:len(r)-1])
		}
	default:
		m.query.Match += k.Text // "" for what is no letter
	}
}

// View implements tea.Model.
func (m *watch) View() tea.View {
	v := tea.NewView(m.text())
	v.AltScreen = true
	return v
}

// text is what stands on the screen.
func (m *watch) text() string {
	if m.status == nil {
		if m.err != nil {
			return m.bad.Render(clip("no answer: "+plainLine(m.err.Error()), m.width)) + "\n" + clip("it is asked again; q quits", m.width)
		}
		return "asking the agent…"
	}
	top, bottom := m.top(), m.bottom()
	room := max(1, m.height-len(top)-len(bottom))
	var middle []string
	switch {
	case m.help:
		middle = helpLines()
	case m.chosen != "":
		middle = m.details()
	default:
		middle = m.files(room)
	}
	for i := range middle {
		middle[i] = clip(middle[i], m.width)
	}
	middle = middle[:min(len(middle), room)]
	for len(middle) < room {
		middle = append(middle, "")
	}
	return strings.Join(slices.Concat(top, middle, bottom), "\n")
}

// top are the lines above the files.
func (m *watch) top() []string {
	s := m.status
	style := m.good
	if !s.Healthy || !s.Ready {
		style = m.bad
	}
	out := []string{style.Render(clip(headline(s), m.width)), clip(shippingLine(s), m.width), clip(kafkaLine(s), m.width)}
	if m.err != nil {
		out = append(out, m.bad.Render(clip("no answer since "+s.At.Local().Format("15:04:05")+": "+plainLine(m.err.Error()), m.width)))
	}
	for _, p := range slices.Concat(s.Problems, s.NotReady)[:min(3, len(s.Problems)+len(s.NotReady))] {
		out = append(out, m.bad.Render(clip("! "+plainLine(p), m.width)))
	}
	return append(out, "")
}

// bottom are the lines below the files.
func (m *watch) bottom() []string {
	out := []string{""}
	for i := range min(len(m.status.LastErrors), 3) {
		out = append(out, m.faint.Render(clip(errorLine(&m.status.LastErrors[i]), m.width)))
	}
	foot := fmt.Sprintf("sorted by %s · l lag  r rate  n name  s size  / filter  enter look  ? help  q quit", m.query.Sort)
	if m.query.Match != "" {
		foot = fmt.Sprintf("filter %q · %s", m.query.Match, foot)
	}
	if m.typing {
		foot = "filter: " + m.query.Match + "▏  enter keeps it, esc drops it"
	}
	return append(out, m.strong.Render(clip(foot, m.width)))
}

// files are the lines of the files, as many as there is room for, the cursor
// among them.
func (m *watch) files(room int) []string {
	rows := [][]string{{"STATE", "LAG", "BEHIND", "ACKED/S", "SIZE", "FORMAT", "FILE"}}
	visible := max(1, room-1)
	first := max(0, min(m.cursor-visible/2, len(m.status.Files)-visible))
	last := min(len(m.status.Files), first+visible)
	for i := first; i < last; i++ {
		rows = append(rows, fileCells(&m.status.Files[i]))
	}
	widths := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, cell := range r {
			widths[i] = max(widths[i], lipgloss.Width(cell))
		}
	}
	var out []string
	for n, r := range rows {
		line := "  "
		if n > 0 && first+n-1 == m.cursor {
			line = "> "
		}
		for i, cell := range r[:len(r)-1] {
			line += cell + strings.Repeat(" ", widths[i]-lipgloss.Width(cell)+2)
		}
		line = clip(line+shortPath(r[len(r)-1], m.width-lipgloss.Width(line)), m.width)
		switch {
		case n == 0 || first+n-1 == m.cursor:
			line = m.strong.Render(line)
		case r[0] == "unreadable" || r[0] == "missing":
			line = m.bad.Render(line)
		}
		out = append(out, line)
	}
	if len(rows) == 1 {
		out = append(out, "  no file matches")
	}
	return out
}

// details are the lines of one file.
func (m *watch) details() []string {
	i := slices.IndexFunc(m.status.Files, func(f agent.FileState) bool { return f.ID == m.chosen })
	if i < 0 {
		return []string{"file " + m.chosen + " is not among those that are shown any more; esc goes back"}
	}
	f := &m.status.Files[i]
	stampOf := func(t time.Time) string {
		if t.IsZero() {
			return "never"
		}
		return t.Local().Format(time.DateTime)
	}
	out := []string{agent.Printable(f.Path), ""}
	row := func(name, format string, args ...any) {
		out = append(out, fmt.Sprintf("%-20s %s", name, fmt.Sprintf(format, args...)))
	}
	row("state", "%s %s", f.State, plainLine(f.Reason))
	row("id", "%s", f.ID)
	row("input", "%s", agent.Printable(f.Input))
	row("found first as", "%s", agent.Printable(f.Origin))
	row("size", "%d bytes", f.Size)
	row("read", "%d bytes", f.Read)
	row("acknowledged", "%d bytes", f.Acknowledged)
	row("lag", "%d bytes, of them %d in an entry that is not complete; %s", f.Lag, f.Pending, agent.Behind(f.LagSeconds))
	row("acknowledged/s", "%s", agent.ByteCount(int64(f.Rate)))
	row("format", "%s %s", f.Format, plainLine(f.FormatReason))
	row("encoding", "%s", f.Encoding)
	row("last read", "%s", stampOf(f.LastRead))
	row("last acknowledged", "%s", stampOf(f.LastAck))
	row("open, deleted", "%t, %t", f.Open, f.Deleted)
	row("rotated, pinned", "%t, %t", f.Rotated, f.Pinned)
	return append(out, "", "esc goes back")
}

func helpLines() []string {
	return []string{
		"l r n s    sort by lag, rate, name, size",
		"/          show files whose path contains what is typed; esc shows all again",
		"up down    choose a file (or k j)",
		"enter      look into it; esc goes back",
		"q          quit",
	}
}

// clip cuts a line to the width of the screen.
func clip(s string, width int) string {
	if lipgloss.Width(s) <= width {
		return s
	}
	r := []rune(s)
	for len(r) > 0 && lipgloss.Width(string(r)) >= width {
		r = r[:len(r)-1]
	}
	return string(r) + "…"
}

// shortPath cuts a path at its beginning: its end tells files apart.
func shortPath(s string, width int) string {
	if lipgloss.Width(s) <= width || width < 2 {
		return s
	}
	r := []rune(s)
	for len(r) > 0 && lipgloss.Width(string(r)) >= width {
		r = r[1:]
	}
	return "…" + string(r)
}
