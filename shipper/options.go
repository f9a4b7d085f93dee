package shipper

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"
)

// Values that stand in for zero fields of Options and ConsumeOptions.
const (
	DefaultClientID    = "shiplog"
	DefaultCompression = "lz4"
	DefaultLinger      = 10 * time.Millisecond
	DefaultMemoryLimit = 64 << 20

	DefaultWatchdog          = 5 * time.Minute
	DefaultDeadLettersInARow = 100
)

// maxBatchBytes bounds a Kafka batch before compression. It stays below the
// default of a topic's max.message.bytes, 1 048 588.
const maxBatchBytes = 1_000_000

// Options says where and how a Producer sends. All of it is read by
// NewProducer; nothing of it is changed.
type Options struct {
	// Brokers are the addresses to start from, host:port; at least one.
	Brokers []string
	// Topic is for records that name none. It may be empty if all name one.
	Topic string
	Network
	// Watchdog is after how long without any answer to what is sent, though brokers
	// answer, a new client sends it again; 0 is DefaultWatchdog, less is never.
	Watchdog time.Duration
	// DeadLettersInARow is how many records of a topic become dead letters by
	// Kafka's refusal with none accepted in between; what it refuses then waits,
	// since the fault is hardly theirs. 0 is DefaultDeadLettersInARow, less is no
	// bound. With Refused there is none.
	DeadLettersInARow int
	// Partitioner is one of Partitioners; "" is PartitionerMurmur2.
	Partitioner string
	// CreateTopics, if not nil, says how topics are created that are missing when
	// records are to go to them, or dead letters; else these wait.
	CreateTopics *TopicSpec
	// ClientID is what brokers write into their logs and quotas; "" is DefaultClientID.
	ClientID string
	// Compression is one of Compressions; "" is DefaultCompression.
	Compression string
	// Linger is how long a batch waits for more records before it is sent;
	// 0 is DefaultLinger, less than 0 is no waiting. At most a minute.
	Linger time.Duration
	// MemoryLimit bounds the sum of Batch.Bytes that is not settled yet, in
	// bytes; 0 is DefaultMemoryLimit.
	MemoryLimit int64
	// TLS, if not nil, encrypts all connections.
	TLS *TLS
	// SASL, if not nil, authenticates all connections.
	SASL *SASL
	// DeadLetterPath is the file for records that Kafka can never accept. It
	// and its directory are created when first needed. Must be set, unless
	// Refused is.
	DeadLetterPath string
	// DeadLetterMaxBytes bounds that file; 0 is no bound. At the bound, records
	// that would have to go there wait, and their lanes with them.
	DeadLetterMaxBytes int64
	// DeadLetterTopic, if not empty, gets a copy of each dead letter, after it
	// is in the file.
	DeadLetterTopic string
	// Disclose, if not nil, says what of a letter may go to that topic; else
	// all does, but the bytes of what was refused by Record.Refuse. It is
	// called by one goroutine at a time. The letter is read only.
	Disclose func(*DeadLetter) Disclosure
	// Cut, if not nil, is asked to make a record smaller that is too large for
	// its topic: its Value to so many bytes at most. A header may be added that
	// says so. If it reports false the record becomes a dead letter. It is
	// called from any goroutine.
	Cut func(r *Record, bytes int) bool
	// Refused, if not nil, is given each record that would become a dead
	// letter, instead of the file. The record is settled then. It is called
	// before done, from any goroutine, and must not block.
	Refused func(*Record, error)
	// Transaction, if not nil, has everything sent in transactions. A letter then
	// goes to DeadLetterTopic in the transaction of its batch.
	Transaction *Transaction
	// Host is for dead letters; "" is the name that the system has.
	Host string
	// Log gets what an operator cares for; nil discards it.
	Log *slog.Logger
}

// TopicSpec says how a topic is created. Zero stands for the brokers' default.
type TopicSpec struct {
	Partitions  int32
	Replication int16
}

// What Options.Partitioner may be. A record without a key goes to the partition
// that its stream chooses, whichever it is.
const (
	PartitionerMurmur2 = "murmur2" // the key chooses, as with the Java client and librdkafka's murmur2_random
	PartitionerSticky  = "sticky"  // the stream chooses, also with a key
)

// Partitioners lists what Options.Partitioner may be.
func Partitioners() []string { return []string{PartitionerMurmur2, PartitionerSticky} }

// Compressions lists what Options.Compression may be.
func Compressions() []string { return []string{"none", "gzip", "snappy", "lz4", "zstd"} }

func (o Options) withDefaults() (Options, error) {
	if o.ClientID == "" {
		o.ClientID = DefaultClientID
	}
	if o.Compression == "" {
		o.Compression = DefaultCompression
	}
	switch {
	case o.Linger == 0:
		o.Linger = DefaultLinger
	case o.Linger < 0:
		o.Linger = 0
	}
	if o.MemoryLimit == 0 {
		o.MemoryLimit = DefaultMemoryLimit
	}
	if o.Watchdog == 0 {
		o.Watchdog = DefaultWatchdog
	}
	if o.DeadLettersInARow == 0 {
		o.DeadLettersInARow = DefaultDeadLettersInARow
	}
	if o.Partitioner == "" {
		o.Partitioner = PartitionerMurmur2
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Host == "" {
		o.Host, _ = os.Hostname() // a letter without it is better than none
	}
	var errs []error
	if len(o.Brokers) == 0 {
		errs = append(errs, errors.New("no broker named: give at least one host:port"))
	}
	if o.MemoryLimit < 0 {
		errs = append(errs, fmt.Errorf("memory limit %d is negative: give a number of bytes", o.MemoryLimit))
	}
	if o.DeadLetterPath == "" && o.Refused == nil {
		errs = append(errs, errors.New("no dead letter file named: give a path"))
	}
	if !slices.Contains(Partitioners(), o.Partitioner) {
		errs = append(errs, fmt.Errorf("partitioner %q is none of %v", o.Partitioner, Partitioners()))
	}
	if !slices.Contains(Compressions(), o.Compression) {
		errs = append(errs, fmt.Errorf("compression %q is none of %v", o.Compression, Compressions()))
	}
	return o, errors.Join(errs...)
}
