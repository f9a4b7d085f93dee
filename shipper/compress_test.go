package shipper

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// recordLike returns about so many bytes as a batch of records has them.
func recordLike(size int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "\x00\x01{\"message\":\"request %d took %dms\",\"payload\":{\"application\":\"Pool Cars\",\"params\":{\"level\":\"info\"}}}\x0a\x08host\x08web1\x06off\x0a%d", i, i*7919%900, i*147)
	}
	return b.Bytes()
}

// What is compressed is what kgo's consumers, and so Kafka's, read again.
func TestCompressorsAreReadAgain(t *testing.T) {
	t.Parallel()
	random := make([]byte, 700_000)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(random)
	read := kgo.DefaultDecompressor()
	for _, name := range Compressions() {
		c, err := compressor(name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if c == nil {
			if name != "none" {
				t.Errorf("%s compresses nothing", name)
			}
			continue
		}
		for _, src := range [][]byte{{}, []byte("x"), recordLike(1000), recordLike(256 << 10), recordLike(1 << 20), random, []byte(strings.Repeat("a", 3<<20))} {
			for range 2 { // the second time by what the first one left
				var buf bytes.Buffer
				out, codec := c.Compress(&buf, src)
				if codec < 0 {
					t.Fatalf("%s: %d bytes were not compressed", name, len(src))
				}
				back, err := read.Decompress(out, codec)
				if err != nil {
					t.Fatalf("%s: %d bytes: %v", name, len(src), err)
				}
				if !bytes.Equal(back, src) {
					t.Fatalf("%s: %d bytes came back as %d others", name, len(src), len(back))
				}
			}
		}
	}
}

// The descriptor of the frames is one that Kafka's own clients read: version 1,
// blocks that do not depend on each other, no checksums.
func TestLZ4Descriptor(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	out, codec := newLZ4().Compress(&buf, recordLike(1000))
	if codec != kgo.CodecLz4 || len(out) < 7 {
		t.Fatalf("%d bytes of codec %d", len(out), codec)
	}
	const magic, independentVersion1, blocks256KiB = 0x184D2204, 0x60, 0x50
	if binary.LittleEndian.Uint32(out) != magic || out[4] != independentVersion1 || out[5] != blocks256KiB {
		t.Errorf("the frame begins with % x", out[:7])
	}
}

func BenchmarkCompress(b *testing.B) {
	src := recordLike(990_000)
	for _, name := range Compressions()[1:] {
		b.Run(name, func(b *testing.B) {
			c, err := compressor(name)
			if err != nil {
				b.Fatal(err)
			}
			var buf bytes.Buffer
			size := 0
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				buf.Reset()
				out, _ := c.Compress(&buf, src)
				size = len(out)
			}
			b.ReportMetric(float64(size)/float64(len(src)), "ratio")
		})
	}
}
