package checkpoint

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestPrefixAgainstModel(t *testing.T) {
	const size = 200
	rapid.Check(t, func(t *rapid.T) {
		end := rapid.Int64Range(0, 50).Draw(t, "start")
		p := NewPrefix(end)
		var settled [size + 1]bool // a byte each; the last is never settled
		for i := range end {
			settled[i] = true
		}
		for range rapid.IntRange(1, 80).Draw(t, "acks") {
			from := rapid.Int64Range(-5, size).Draw(t, "from")
			to := min(from+rapid.Int64Range(-3, 40).Draw(t, "length"), size)
			for b := max(from, 0); b < to; b++ {
				settled[b] = true
			}
			before := end
			for settled[end] {
				end++
			}
			if grew := p.Ack(from, to); p.End() != end || grew != (end > before) {
				t.Fatalf("after [%d,%d): end %d, want %d; grew %v", from, to, p.End(), end, grew)
			}
			ranges := 0
			for b := end + 1; b < size; b++ {
				if settled[b] && !settled[b-1] {
					ranges++
				}
			}
			if p.Ahead() != ranges {
				t.Fatalf("after [%d,%d): %d ranges ahead, want %d", from, to, p.Ahead(), ranges)
			}
			at := rapid.Int64Range(0, size-1).Draw(t, "at")
			until := rapid.Int64Range(at, size).Draw(t, "until")
			covered := true
			for b := at; b < until; b++ {
				covered = covered && settled[b]
			}
			if p.Covered(at, until) != covered {
				t.Fatalf("[%d,%d) covered: %v, want %v", at, until, !covered, covered)
			}
		}
	})
}

// TestPrefixKeepsNoMemory acknowledges always the second of two ranges first,
// for a long time.
func TestPrefixKeepsNoMemory(t *testing.T) {
	p := NewPrefix(0)
	for i := int64(0); i < 200_000; i += 2 {
		p.Ack(i+1, i+2)
		if !p.Ack(i, i+1) {
			t.Fatalf("the prefix did not grow at %d", i)
		}
	}
	if p.End() != 200_000 || p.Ahead() != 0 || cap(p.ahead) > 8 {
		t.Errorf("end %d, %d ahead, memory for %d", p.End(), p.Ahead(), cap(p.ahead))
	}
	if p.Ack(math.MaxInt64-1, math.MaxInt64) || !p.Covered(math.MaxInt64-1, math.MaxInt64) {
		t.Error("the last range that there can be is not covered after Ack")
	}
}
