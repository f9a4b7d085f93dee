package agent

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// TestCoverageIsTheModel holds the runs against an array of counters.
func TestCoverageIsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 60
		var c coverage
		var model [size]uint32
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			start := rapid.Int64Range(0, size).Draw(t, "start")
			end := rapid.Int64Range(start, size).Draw(t, "end")
			times := uint32(rapid.IntRange(1, 3).Draw(t, "times"))
			want := int64(0)
			for i := start; i < end; i++ {
				if model[i] == 0 {
					want++
				}
				model[i] += times
			}
			if got := c.addTimes(start, end, times); got != want {
				t.Fatalf("[%d,%d): %d are new, want %d", start, end, got, want)
			}
			check(t, &c, model[:])
		}
		var other, sum coverage
		for range rapid.IntRange(0, 10).Draw(t, "others") {
			start := rapid.Int64Range(0, size).Draw(t, "start")
			end := rapid.Int64Range(start, size).Draw(t, "end")
			other.add(start, end)
			for i := start; i < end; i++ {
				model[i]++
			}
		}
		sum.merge(&c)
		sum.merge(&other)
		check(t, &sum, model[:])
	})
}

// check compares c with the model, byte by byte, and sees that no two of its
// runs should be one.
func check(t *rapid.T, c *coverage, model []uint32) {
	got := make([]uint32, len(model))
	for i, r := range c.runs {
		if r.end <= r.start || r.times == 0 || i > 0 && (r.start < c.runs[i-1].end || r.start == c.runs[i-1].end && r.times == c.runs[i-1].times) {
			t.Fatalf("runs %v", c.runs)
		}
		for at := r.start; at < r.end; at++ {
			got[at] = r.times
		}
	}
	if !reflect.DeepEqual(got, model) {
		t.Fatalf("runs %v, want %v", c.runs, model)
	}
	from := rapid.Int64Range(0, int64(len(model))).Draw(t, "from")
	to := rapid.Int64Range(from, int64(len(model))).Draw(t, "to")
	there := int64(0)
	missing := map[int64]bool{}
	for at := from; at < to; at++ {
		if model[at] > 0 {
			there++
		} else {
			missing[at] = true
		}
	}
	if n := c.within(from, to); n != there {
		t.Fatalf("%d of [%d,%d) came, want %d", n, from, to, there)
	}
	for _, m := range c.missing(from, to) {
		for at := m.start; at < m.end; at++ {
			if !missing[at] {
				t.Fatalf("byte %d is not missing", at)
			}
			delete(missing, at)
		}
	}
	if len(missing) > 0 {
		t.Fatalf("not told as missing: %v", missing)
	}
}

// TestCoverageOfConsecutiveRecordsIsSmall: memory is for runs, not records.
func TestCoverageOfConsecutiveRecordsIsSmall(t *testing.T) {
	var c coverage
	allocs := testing.AllocsPerRun(100, func() {
		for i := range int64(1000) {
			c.add(c.end(), c.end()+1+i%7)
		}
	})
	if len(c.runs) != 1 || allocs > 0 {
		t.Errorf("%d runs, %v allocations", len(c.runs), allocs)
	}
}

func BenchmarkCoverageAdd(b *testing.B) {
	b.ReportAllocs()
	var c coverage
	for i := range b.N {
		c.add(int64(i)*100, int64(i)*100+100)
	}
}
