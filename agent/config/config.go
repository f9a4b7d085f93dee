// Package config turns the configuration file into typed, defaulted, validated
// values. It opens nothing but the configuration file and what that includes,
// and dials nothing. Every error names file, line and column.
package config

import (
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// Config is a whole configuration, ready for use.
type Config struct {
	Application        string // payload.application where a line names none
	Inputs             []Input
	Transforms         []Transform // for all inputs, before their own
	Kafka              Kafka
	StateDir           string        // checkpoint, dead letters, lock
	MemoryLimit        int64         // bytes in flight, for all files together
	ShutdownTimeout    time.Duration // how long a stop waits for acknowledgements
	CheckpointInterval time.Duration // how often progress is written to disk
	ReadbackTimeout    time.Duration // how long own records are looked for after a crash; 0: not at all
	RescanInterval     time.Duration // how often folders are listed
	MaxOpenFiles       int           // descriptors of log files
	Pins               Pins
	Admin              Admin
	Log                Log
	// Warnings are legal but risky choices, each as file:line:column: text.
	Warnings []string
}

// Input is a set of files that are read in the same way.
type Input struct {
	Name              string // unique; the first path pattern by default
	Paths             []string
	Exclude           []string
	Format            string            // auto, envelope, json, … as parse.Formats has them
	Timezone          *time.Location    // of times that name none
	DateOrder         string            // auto, day_first, month_first
	Inner             string            // of docker and cri: the format of what they carry; "" is auto
	Pattern           string            // of regex and grok
	Patterns          map[string]string // of grok: further patterns, by name
	Columns           []string          // of csv; none: the file's first line names them
	Delimiter         byte              // of csv; 0: by recognition
	Map               map[string]string // other names of fields, by the names they have in the log
	Application       string            // overrides Config.Application
	Start             string            // beginning, end
	Multiline         Multiline
	Encoding          string // auto, or an IANA name that is not yet checked
	EncodingAt        Place
	MaxLineBytes      int64
	RotateWait        time.Duration
	FlushPartialAfter time.Duration // 0: never
	Pin               bool          // rotated files are kept until they are acknowledged
	Topic             string        // overrides Kafka.Topic; "" otherwise; a name, or a template that is not yet checked
	TopicAt           Place
	Transforms        []Transform
	// At is where the pattern stands, else the input, for errors that only making
	// the format can find.
	At Place
}

// Kafka says where records go.
type Kafka struct {
	Brokers       []string // host:port
	Topic         string   // a name, or a template that is not yet checked
	TopicAt       Place
	MaxTopics     int           // that templates may lead to
	FallbackTopic string        // for what would lead to one more; "": a dead letter
	CreateTopics  *CreateTopics // nil: missing topics are waited for
	ClientID      string
	// Rack is where this host is, as the brokers have it.
	Rack           string
	DialTimeout    time.Duration
	RequestTimeout time.Duration // that a broker has to store records
	Watchdog       time.Duration // how long no broker may answer to records, though brokers answer; 0: for ever
	Compression    string        // none, gzip, snappy, lz4, zstd
	Delivery       string        // at-least-once, exactly-once
	ExactlyOnce    ExactlyOnce   // counts with Delivery exactly-once
	Key            string        // none, file, host, application, or a template that is not yet checked
	KeyAt          Place
	Partitioner    string // murmur2, sticky
	Timestamp      string // of a record: now (when it is sent), event (when its entry says that it happened)
	Linger         time.Duration
	TLS            *TLS   // nil: plaintext
	SASL           *SASL  // nil: none
	TooLarge       string // for what a topic does not take for its size: dead_letter, cut
	DeadLetter     DeadLetter
}

// CreateTopics says how missing topics are created; 0 stands for the brokers'
// default.
type CreateTopics struct {
	Partitions  int
	Replication int
}

// ExactlyOnce says how records are sent in transactions.
type ExactlyOnce struct {
	CheckpointTopic string
	TransactionalID string        // "": one of the state directory's own
	CommitInterval  time.Duration // how long a transaction stays open for more
}

// DeadLetter says what becomes of records that Kafka can never take. They are
// kept in a file under StateDir, always.
type DeadLetter struct {
	Topic        string // gets a copy of each; "": none
	MaxFileBytes int64  // at this size of the file, records wait
	MaxInARow    int    // records of a topic with none accepted in between, then the rest waits; 0: no bound
}

// Pins says how rotated files are kept for inputs with pin.
type Pins struct {
	Quota int64 // bytes that all of them together may hold
}

// Log is shiplog's own log, on standard error.
type Log struct {
	Level  slog.Level
	Format string // text, json
}

// Secret is a string that prints as ***.
type Secret string

const hidden = "***"

// String hides the secret; use string(s) to read it.
func (Secret) String() string { return hidden }

// GoString hides the secret.
func (Secret) GoString() string { return hidden }

// MarshalText hides the secret.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue hides the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// Default returns the configuration that an empty file would stand for, were
// it legal.
func Default() Config {
	return Config{
		Kafka: Kafka{
			Topic: "applications.central_logging", MaxTopics: 100, Partitioner: "murmur2", ClientID: "shiplog", Compression: "lz4",
			Delivery: "at-least-once", ExactlyOnce: ExactlyOnce{CheckpointTopic: "shiplog.checkpoints", CommitInterval: 250 * time.Millisecond}, Key: "none", Timestamp: "now", Linger: 5 * time.Millisecond,
			TooLarge: "dead_letter", DeadLetter: DeadLetter{MaxFileBytes: 1 << 30, MaxInARow: 100},
			DialTimeout: 5 * time.Second, RequestTimeout: 10 * time.Second, Watchdog: 5 * time.Minute,
		},
		StateDir:           defaultStateDir(),
		MemoryLimit:        64 << 20,
		ShutdownTimeout:    10 * time.Second,
		CheckpointInterval: time.Second,
		ReadbackTimeout:    30 * time.Second,
		RescanInterval:     time.Second,
		MaxOpenFiles:       1024,
		Pins:               Pins{Quota: 1 << 30},
		Admin:              Admin{Listen: "127.0.0.1:9600"},
		Log:                Log{Level: slog.LevelInfo, Format: "text"},
	}
}

// DefaultInput returns an input of which no key is set.
func DefaultInput() Input {
	return Input{Format: "auto", Timezone: time.Local, DateOrder: "auto", Start: "beginning", Multiline: defaultMultiline(), Encoding: "auto", MaxLineBytes: 1 << 20, RotateWait: time.Second}
}

// DefaultPath is where the configuration of a service is kept.
func DefaultPath() string {
	if runtime.GOOS == "windows" {
		return filepath.Join(os.Getenv("ProgramData"), "shiplog", "shiplog.yaml")
	}
	return "/etc/shiplog/shiplog.yaml"
}

func defaultStateDir() string {
	if runtime.GOOS == "windows" {
		return filepath.Join(os.Getenv("ProgramData"), "shiplog", "state")
	}
	return "/var/lib/shiplog"
}
