package shipper

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kerr"
)

// DeadLetter is one line of the dead letter file: a record that Kafka can
// never accept, or that may not be sent, with the bytes that it was made of.
type DeadLetter struct {
	// DueTopic is 1 while the letter is owed to the dead letter topic, 0 once
	// it is there. It stays the first member: see duePrefix.
	DueTopic int       `json:"due_topic,omitempty"`
	Time     time.Time `json:"time"`
	Reason   string    `json:"reason"`
	// Code is Kafka's name of the error, "" if it was not Kafka's.
	Code  string `json:"code,omitempty"`
	Topic string `json:"topic"`
	Key   string `json:"key,omitempty"`
	// Host is where the source is.
	Host string `json:"host,omitempty"`
	Path string `json:"path"`
	// PathBytes is the path where that is not UTF-8; Path is readable only then.
	PathBytes []byte `json:"path_bytes,omitempty"`
	// Source is the file's id, 16 hexadecimal digits.
	Source string `json:"src"`
	// Stream is Batch.Stream, 16 hexadecimal digits: it chose the partition.
	Stream string `json:"stream,omitempty"`
	// Offset and Length are the raw byte range in the source.
	Offset int64 `json:"off"`
	Length int64 `json:"len"`
	// Headers are those of the record that do not stand in another member.
	Headers map[string]string `json:"headers,omitempty"`
	// Withheld says that the bytes may not leave this host: see Record.Refuse.
	Withheld bool `json:"withheld,omitempty"`
	// Bytes are the entry's original bytes, base64 in JSON.
	Bytes []byte `json:"bytes"`
}

// The headers that name a record's source, also in the dead letter topic.
const (
	headerHost   = "host"
	headerPath   = "path"
	headerSource = "src"
	headerOffset = "off"
	headerLength = "len"
)

// duePrefix begins the line of a letter that is owed to the dead letter topic.
// Its last byte becomes a 0, in place, when the letter is there: one byte is
// written as a whole or not at all, and stays with the letter wherever a replay
// moves it.
var duePrefix = []byte(`{"due_topic":1`) //nolint:gochecknoglobals // a constant that Go cannot express

// letter describes r, which is of b. It shares r's bytes.
func (p *Producer) letter(b *Batch, r *Record, reason error) DeadLetter {
	d := DeadLetter{
		Time:     time.Now().UTC(),
		Reason:   reason.Error(),
		Topic:    r.Topic,
		Key:      string(r.Key),
		Host:     p.opts.Host,
		Path:     b.Path,
		Source:   fmt.Sprintf("%016x", b.Source),
		Stream:   fmt.Sprintf("%016x", b.Stream),
		Offset:   r.Start,
		Length:   r.End - r.Start,
		Withheld: r.Refuse != nil && !errors.Is(r.Refuse, ErrNoTopic),
		Bytes:    r.Raw,
	}
	if code, ok := errors.AsType[*kerr.Error](reason); ok {
		d.Code = code.Message
	}
	if !utf8.ValidString(b.Path) {
		d.PathBytes = []byte(b.Path)
	}
	for _, h := range r.Headers {
		if slices.Contains([]string{headerHost, headerPath, headerSource, headerOffset, headerLength}, h.Key) {
			continue
		}
		if d.Headers == nil {
			d.Headers = make(map[string]string)
		}
		d.Headers[h.Key] = string(h.Value)
	}
	return d
}

// batchOf finds the batch of r, which is not settled and so in the queue of l.
func (p *Producer) batchOf(l *lane, r *Record) *Batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range l.queue {
		for i := range s.len() {
			if s.at(i) == r {
				return s.batch
			}
		}
	}
	return &Batch{} // not reached
}

// line returns d as it stands in the file, newline included.
func (d *DeadLetter) line() ([]byte, error) {
	line, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("dead letter of %s: %w", d.Path, err)
	}
	return append(line, '\n'), nil
}

// parseLetter reads a line of the file, without its newline.
func parseLetter(line []byte) (DeadLetter, error) {
	var d DeadLetter
	if err := json.Unmarshal(line, &d); err != nil {
		return d, fmt.Errorf("is no dead letter: %w", err)
	}
	if bytes.TrimLeft(line, " \t\r")[0] != '{' {
		return d, errors.New("is no dead letter: not an object")
	}
	for name, id := range map[string]string{"src": d.Source, "stream": d.Stream} {
		if id == "" && name == "stream" {
			continue // of an older version
		}
		if _, err := strconv.ParseUint(id, 16, 64); err != nil || len(id) != 16 {
			return d, fmt.Errorf("is no dead letter: %s %q is not 16 hexadecimal digits", name, id)
		}
	}
	if d.Offset < 0 || d.Length < 0 {
		return d, errors.New("is no dead letter: off or len is negative")
	}
	if d.PathBytes != nil {
		d.Path = string(d.PathBytes)
	}
	return d, nil
}

// SourceID returns Source as a number, and StreamID Stream; that of an older
// version, which had none, is the source's.
func (d *DeadLetter) SourceID() uint64 { return hexID(d.Source) }

// StreamID returns Stream as a number, see SourceID.
func (d *DeadLetter) StreamID() uint64 {
	if d.Stream == "" {
		return d.SourceID()
	}
	return hexID(d.Stream)
}

func hexID(s string) uint64 {
	id, err := strconv.ParseUint(s, 16, 64)
	if err != nil {
		return 0 // not reached: parseLetter has looked at it
	}
	return id
}
