package agent

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"shiplog/tailer"
)

// sayUnasked warns of pins that nothing will ever give up.
func (p *pinner) sayUnasked(inputs []tailer.Input) {
	for id, kept := range p.snapshot() {
		if m, err := tailer.Explain(inputs, kept.origin); err == nil && !m.Wanted {
			p.log.Warn("no input asks for a pinned file any more: it is kept, and not read; shiplog state forget gives it up [pin-unasked]",
				"path", Printable(kept.origin), "file", id.String(), "pin", kept.path, "bytes", kept.size)
		}
	}
}

// refuse notes that a file is not pinned, and says so at the first time.
func (p *pinner) refuse(f *tailer.Status, bytes int64, reason string) {
	p.mu.Lock()
	was, said := p.refused[f.ID]
	p.refused[f.ID] = refusal{f.Path, bytes, reason}
	if !said {
		p.denials++
	}
	p.mu.Unlock()
	if !said || was.reason != reason {
		p.log.Error("a rotated file is not pinned: if it is removed while Kafka is away, a restart loses what is not acknowledged [pin-refused]",
			"path", Printable(f.Path), "file", f.ID.String(), "bytes", bytes, "reason", reason, "oldest", p.oldest())
	}
}

// held returns how many pins there are, and what they hold.
func (p *pinner) held() (files int, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.pins {
		bytes += k.size
	}
	return len(p.pins), bytes
}

// has reports whether a file is pinned.
func (p *pinner) has(id tailer.FileID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pins[id] != nil
}

// oldest names the pins, the oldest first, with their sizes; a few of them.
func (p *pinner) oldest() string {
	const few = 5
	p.mu.Lock()
	defer p.mu.Unlock()
	var ks []*keptPin
	for _, k := range p.pins {
		ks = append(ks, k)
	}
	slices.SortFunc(ks, func(a, b *keptPin) int {
		return cmp.Or(a.record.Found.Compare(b.record.Found), strings.Compare(a.path, b.path))
	})
	var names []string
	for i, k := range ks {
		if i == few {
			names = append(names, fmt.Sprintf("and %d more", len(ks)-few))
			break
		}
		names = append(names, fmt.Sprintf("%s of %s (%d bytes)", Printable(k.origin), k.record.PinnedAt.UTC().Format(time.RFC3339), k.size))
	}
	return strings.Join(names, ", ")
}

// status returns the counters.
func (p *pinner) status() PinState {
	s := PinState{Quota: p.quota.Load()}
	s.Files, s.Bytes = p.held()
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Refused, s.Unpinned = p.denials, len(p.refused)
	return s
}

// problems returns what should be pinned and is not.
func (p *pinner) problems() []string {
	p.mu.Lock()
	refused := make([]refusal, 0, len(p.refused))
	for _, r := range p.refused {
		refused = append(refused, r)
	}
	p.mu.Unlock()
	if len(refused) == 0 {
		return nil
	}
	slices.SortFunc(refused, func(a, b refusal) int { return strings.Compare(a.path, b.path) })
	r := refused[0]
	text := fmt.Sprintf("%d rotated files with unacknowledged bytes are not pinned, such as %s (%d bytes): %s", len(refused), Printable(r.path), r.bytes, r.reason)
	if oldest := p.oldest(); oldest != "" {
		text += "; pinned are, the oldest first: " + oldest
	}
	return []string{text + "; bring Kafka back, keep rotated files longer, or raise pins.quota [pin-refused]"}
}
