package agent

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"shiplog/agent/parse"
	"shiplog/tailer"
)

// plainInput is what reads the blocks of these tests.
var plainInput = sync.OnceValue(func() *tailer.Input {
	enc, err := NewEncoder("auto", "Pool Cars", parse.Options{})
	if err != nil {
		panic(err)
	}
	return &tailer.Input{Tag: &route{encoder: enc, topic: "t", tally: &tally{}}}
})

func plainBlock(n int) *tailer.Block {
	b := &tailer.Block{File: 1, Stream: 1, Origin: "/var/log/a.log", Input: plainInput()}
	for i := range n {
		line := fmt.Appendf(nil, "2026-11-23T10:00:00.%03dZ INFO [worker-7] com.example.pool.LoadVehicleUsages - request %d user=jpowell status=200 took 118ms path=/api/vehicles/4711", i%1000, i)
		b.Entries = append(b.Entries, tailer.Entry{Start: b.End, End: b.End + int64(len(line)) + 1, Data: line})
		b.End += int64(len(line)) + 1
	}
	return b
}

func newTestPipeline(tb testing.TB) *pipeline {
	tb.Helper()
	return &pipeline{host: []byte("h"), ledger: newLedger(nil, time.Now)}
}

// TestNoAllocationPerLine is the promise of the hot path.
func TestNoAllocationPerLine(t *testing.T) {
	const lines = 1000
	p, b := newTestPipeline(t), plainBlock(lines)
	one := func() { p.recycle(p.encode(b)) }
	one()
	if n := testing.AllocsPerRun(50, one); n > lines/50 {
		t.Errorf("%v allocations for %d lines", n, lines)
	}
}

// TestShipmentsShareNothing encodes two blocks before either is recycled.
func TestShipmentsShareNothing(t *testing.T) {
	p := newTestPipeline(t)
	p.recycle(p.encode(plainBlock(10)))
	first, second := p.encode(plainBlock(5)), p.encode(plainBlock(7))
	for _, s := range []*shipment{first, second} {
		for i, r := range s.batch.Records {
			want := fmt.Sprintf(`{"message":"request %d user=jpowell status=200 took 118ms path=/api/vehicles/4711","payload":{"application":"Pool Cars",`+
				`"params":{"timestamp":"2026-11-23T10:00:00.%03dZ","level":"info","thread":"worker-7","logger":"com.example.pool.LoadVehicleUsages"}}}`, i, i)
			if string(r.Value) != want || string(r.Headers[3].Value) != fmt.Sprint(s.block.Entries[i].Start) {
				t.Errorf("record %d of %d: %s %v", i, len(s.batch.Records), r.Value, r.Headers)
			}
		}
	}
	if first.batch.Bytes <= 0 || len(second.batch.Records) != 7 {
		t.Errorf("bytes %d, records %d", first.batch.Bytes, len(second.batch.Records))
	}
}

func BenchmarkEncode(b *testing.B) {
	p, block := newTestPipeline(b), plainBlock(1783)
	b.ReportAllocs()
	b.SetBytes(block.End)
	for b.Loop() {
		p.recycle(p.encode(block))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1783, "ns/line")
}
