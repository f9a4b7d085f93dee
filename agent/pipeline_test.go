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

// linesOf are entries of the kinds that applications write most.
func linesOf(i int) map[string]string {
	return map[string]string{
		"plain":    fmt.Sprintf("2026-11-23T10:00:00.%03dZ INFO [worker-7] com.example.pool.LoadVehicleUsages - request %d user=jpowell status=200", i%1000, i),
		"envelope": fmt.Sprintf(`{"message":"request %d","payload":{"application":"Pool Cars","username":"jpowell","operation":"Save","params":{"n":%d}}}`, i, i),
		"relaxed":  fmt.Sprintf(`{message: 'request %d', payload: {application: 'Pool Cars', username: jpowell, operation: 'Save', params: {n: %d}}}`, i, i),
		"json":     fmt.Sprintf(`{"ts":"2026-11-23T10:00:00.%03dZ","level":"info","logger":"pool","msg":"request %d","took":%d}`, i%1000, i, i),
		"broken":   fmt.Sprintf(`{"message":"request %d","payload":{"application":`, i),
		"stack":    fmt.Sprintf("2026-11-23 10:00:00,%03d ERROR [main] pool.Cars - failed\njava.io.IOException: %d\n\tat pool.Cars.save(Cars.java:%d)", i%1000, i, i),
	}
}

// TestNoAllocationPerLine is the promise of the hot path, from a block to what is
// produced and back to the checkpoint: not one allocation in ten lines.
func TestNoAllocationPerLine(t *testing.T) {
	const lines = 1000
	for kind := range linesOf(0) {
		t.Run(kind, func(t *testing.T) {
			p := newTestPipeline(t)
			b := &tailer.Block{File: 1, Stream: 1, Origin: "/var/log/a.log", Input: plainInput()}
			for i := range lines {
				line := linesOf(i)[kind]
				b.Entries = append(b.Entries, tailer.Entry{Start: b.End, End: b.End + int64(len(line)) + 1, Data: []byte(line)})
				b.End += int64(len(line)) + 1
			}
			size := b.End
			one := func() {
				s := p.encode(b)
				p.ledger.handed(b, s.topics...)
				p.ledger.settled(b, b.End, nil)
				p.recycle(s)
				for i := range b.Entries { // the next block of the file
					b.Entries[i].Start += size
					b.Entries[i].End += size
				}
				b.Start, b.End = b.End, b.End+size
			}
			for range 3 {
				one()
			}
			if n := testing.AllocsPerRun(50, one) / lines; n > 0.1 {
				t.Errorf("%.2f allocations a line", n)
			}
		})
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
