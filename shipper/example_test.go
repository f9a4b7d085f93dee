package shipper_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"shiplog/shipper"
)

// Sends two lines with the ranges of bytes that they stand for, learns that Kafka has
// acknowledged them, and reads the topic.
func Example() {
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "logs")) // a Kafka for tests
	if err != nil {
		log.Fatal(err)
	}
	defer kafka.Close()
	dir, err := os.MkdirTemp("", "letters")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	settled := make(chan *shipper.Batch, 1)
	p, err := shipper.NewProducer(shipper.Options{
		Brokers: kafka.ListenAddrs(), Topic: "logs",
		DeadLetterPath: filepath.Join(dir, "dead-letters.jsonl"), // for what Kafka can never take
	}, func(b *shipper.Batch) { settled <- b })
	if err != nil {
		log.Fatal(err)
	}
	b := &shipper.Batch{Stream: 1, Source: 1, Path: "/var/log/app.log", Bytes: 8, Records: []shipper.Record{
		{Record: kgo.Record{Value: []byte("one")}, Start: 0, End: 4},
		{Record: kgo.Record{Value: []byte("two")}, Start: 4, End: 8},
	}}
	ctx := context.Background()
	if err := p.Produce(ctx, b); err != nil { // waits while the budget is used up
		log.Fatal(err)
	}
	b = <-settled
	fmt.Printf("%d of %d records, up to byte %d\n", b.Settled(), len(b.Records), b.Records[b.Settled()-1].End)
	if err := p.Close(ctx); err != nil {
		log.Fatal(err)
	}

	err = shipper.Consume(ctx, shipper.ConsumeOptions{Brokers: kafka.ListenAddrs(), Topics: []string{"logs"}, ExitAtEnd: true}, func(r *kgo.Record) error {
		_, err := fmt.Printf("offset %d: %s\n", r.Offset, r.Value)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// 2 of 2 records, up to byte 8
	// offset 0: one
	// offset 1: two
}
