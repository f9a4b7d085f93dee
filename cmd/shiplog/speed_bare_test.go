package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// bareEnv, if set, makes the test binary the bare producer: the address of the
// broker. bareFileEnv is then the file.
const (
	bareEnv     = "SPEED_BARE_BROKER"
	bareFileEnv = "SPEED_BARE_FILE"
)

// bareMain is the test binary as the bare producer. It stays until its input
// ends or it is stopped, so that what it used can be asked.
func bareMain(broker string) int {
	err := bareProducer(broker, os.Getenv(bareFileEnv), speedTopic)
	if err == nil {
		_, err = io.Copy(io.Discard, os.Stdin)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// The constant envelope that the bare producer puts around each line.
const (
	barePrefix = `{"message":"`
	bareSuffix = `","payload":{"application":"Pool Cars","username":"jpowell","operation":"x","params":{}}}`
)

// bareProducer ships a file at the least that a shipper on franz-go can cost: it
// reads large blocks, makes each line a record with a constant envelope, and
// produces it. It knows no identity, parses nothing, and keeps no checkpoint.
func bareProducer(broker, path, topic string) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(kgo.Lz4Compression()),
		kgo.MaxBufferedRecords(200_000), kgo.MaxBufferedBytes(64<<20), kgo.ProducerLinger(5*time.Millisecond), kgo.ProducerBatchMaxBytes(1_000_000),
		kgo.RecordPartitioner(kgo.UniformBytesPartitioner(900_000, true, true, nil)))
	if err != nil {
		return err
	}
	defer client.Close()
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	failed := make(chan error, 1)
	acked := func(_ *kgo.Record, err error) {
		if err != nil {
			select {
			case failed <- err:
			default:
			}
		}
	}
	var rest []byte
	for {
		block := make([]byte, 256<<10)
		copy(block, rest)
		n, err := f.Read(block[len(rest):])
		var records []kgo.Record
		records, rest = bareRecords(block[:len(rest)+n])
		for i := range records {
			client.Produce(context.Background(), &records[i], acked)
		}
		switch {
		case errors.Is(err, io.EOF):
			if err = client.Flush(context.Background()); err != nil {
				return err
			}
			select {
			case err = <-failed:
				return fmt.Errorf("produce: %w", err)
			default:
				return nil
			}
		case err != nil:
			return err
		}
	}
}

// bareRecords makes a record of each whole line in block, and returns what is
// behind the last one.
func bareRecords(block []byte) (records []kgo.Record, rest []byte) {
	records = make([]kgo.Record, 0, bytes.Count(block, []byte{'\n'}))
	out := make([]byte, 0, len(block)+cap(records)*(len(barePrefix)+len(bareSuffix)))
	for i := bytes.IndexByte(block, '\n'); i >= 0; i = bytes.IndexByte(block, '\n') {
		at := len(out)
		out = append(append(append(out, barePrefix...), block[:i]...), bareSuffix...)
		records = append(records, kgo.Record{Value: out[at:len(out):len(out)]})
		block = block[i+1:]
	}
	return records, block
}
