package agent

import (
	"slices"
	"testing"
	"time"

	"shiplog/agent/checkpoint"
	"shiplog/agent/config"
)

// TestNeedsGrowWithWhatIsKnown: the collector is told of memory_limit, of more once
// many files are known, and of nothing that has not changed.
func TestNeedsGrowWithWhatIsKnown(t *testing.T) {
	var told []int64
	a := &Agent{o: Options{Needs: func(n int64) { told = append(told, n) }}, ledger: newLedger(nil, time.Now)}
	limit := func(n int64) { a.conf.Store(&config.Config{MemoryLimit: n}) }
	limit(64 << 20)
	a.tellNeeds()
	a.tellNeeds()
	var many []checkpoint.Entry
	for id := range uint64(10_000) {
		many = append(many, checkpoint.Entry{ID: id + 1})
	}
	a.ledger = newLedger(many, time.Now)
	a.tellNeeds()
	limit(16 << 20) // a reload
	a.tellNeeds()
	a.started = time.Now() // they are being looked for
	a.tellNeeds()
	want := []int64{64<<20 + ownMemory, 64<<20 + ownMemory + 10_000*fileMemory, 16<<20 + ownMemory + 10_000*fileMemory,
		16<<20 + ownMemory + 10_000*(fileMemory+startMemory)}
	if !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}
