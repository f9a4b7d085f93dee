package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"shiplog/agent/config"
	"shiplog/agent/transform"
	"shiplog/shipper"
	"shiplog/tailer"
)

// ReplayOptions say which dead letters are sent again, and how.
type ReplayOptions struct {
	// DryRun sends nothing and changes nothing.
	DryRun bool
	// Reason is a glob that the letter's reason or code has to match as a whole,
	// whatever the case; "" takes all.
	Reason string
	// File is a glob that the path has to match, as exclude in an input; "" takes all.
	File string
	// Topic is where to send; "" is where the configuration says.
	Topic string
	// Limit is how many are sent at most; 0 is no limit.
	Limit int
	Log   *slog.Logger // default: discard
	// Item, if set, is told of each letter that would be sent, with DryRun.
	Item func(ReplayItem)
	// Stays, if set, is told of each letter that was selected and stays, and of
	// each line that is no letter. It may be called from any goroutine.
	Stays func(*shipper.Letter, error)
	// Progress, if set, is told how many of the selected letters are done with.
	// It may be called from any goroutine.
	Progress func(done, selected int)
}

// Validate refuses what can match or reach nothing.
func (o *ReplayOptions) Validate() error {
	if _, err := path.Match(o.Reason, ""); err != nil {
		return fmt.Errorf("reason %q is not a valid pattern: check its brackets", o.Reason)
	}
	if o.File != "" && !doublestar.ValidatePathPattern(o.File) {
		return fmt.Errorf("file %q is not a valid pattern: check its brackets and braces", o.File)
	}
	if o.Limit < 0 {
		return fmt.Errorf("limit %d is below zero", o.Limit)
	}
	if o.Topic != "" {
		if err := config.ValidTopic(o.Topic); err != nil {
			return fmt.Errorf("topic: %w", err)
		}
	}
	return nil
}

// ReplayItem is a letter that would be sent.
type ReplayItem struct {
	Letter *shipper.Letter
	Topic  string
	Bytes  int // of the value
}

// ReplayResult counts letters.
type ReplayResult struct {
	Selected int // matched, and within the limit
	Sent     int // acknowledged by Kafka and out of the file
	Stayed   int // selected, and in the file still
	Corrupt  int // lines that are no letter; they stay
}

// replayBatchBytes and replayBatchLetters bound what is handed over at once.
const (
	replayBatchBytes   = 1 << 20
	replayBatchLetters = 500
)

// Replay sends the dead letters of the configuration's state directory again,
// each read by the configuration of now. An agent may run meanwhile. What Kafka
// acknowledges leaves the file; all else stays in it, as it was. It waits for
// Kafka as Run does, until ctx ends.
func Replay(ctx context.Context, c *config.Config, o ReplayOptions) (ReplayResult, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := o.Validate(); err != nil {
		return ReplayResult{}, err
	}
	if o.File != "" && !strings.ContainsAny(o.File, `/\`) {
		o.File = "**/" + o.File // a name alone stands for that name in any folder
	}
	r := &replay{c: c, o: o, refused: map[*shipper.Record]error{}}
	var err error
	if r.reader, err = newLetterReader(c); err != nil {
		return ReplayResult{}, err
	}
	if err := r.reader.learn(); err != nil {
		o.Log.Warn("the checkpoint cannot be read; lines that need the head of their file are sent whole [state-unreadable]", "error", err)
	}
	name := filepath.Join(c.StateDir, deadLetterName)
	if o.DryRun {
		err := shipper.ReadDeadLetters(name, r.list)
		return r.result, err
	}
	r.file, err = shipper.OpenReplay(ctx, name)
	if errors.Is(err, shipper.ErrNoDeadLetters) {
		return ReplayResult{}, nil
	}
	if err != nil {
		return ReplayResult{}, err
	}
	return r.run(ctx)
}

// replay is one call of Replay.
type replay struct {
	c      *config.Config
	o      ReplayOptions
	reader *letterReader
	file   *shipper.Replay

	batch    *shipper.Batch // being filled; nil: none
	selected int            // letters in all, for Progress

	mu      sync.Mutex // guards what follows
	result  ReplayResult
	over    int // selected letters that are done with
	refused map[*shipper.Record]error
}

// selects tells whether the letter is to be sent.
func (r *replay) selects(l *shipper.Letter) bool {
	return (r.o.Reason == "" || matchText(r.o.Reason, l.Reason) || matchText(r.o.Reason, l.Code)) &&
		(r.o.File == "" || tailer.MatchPath(r.o.File, l.Path))
}

// matchText matches text, in which a slash is a character as any other.
func matchText(glob, text string) bool {
	plain := strings.NewReplacer("/", "\x00")
	ok, err := path.Match(plain.Replace(strings.ToLower(glob)), plain.Replace(strings.ToLower(text)))
	return err == nil && ok
}

// wanted counts a line, and tells whether it is a letter to be sent.
func (r *replay) wanted(l *shipper.Letter) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.Err != nil {
		r.result.Corrupt++
		r.stays(l, l.Err)
		return false
	}
	if !r.selects(l) || r.o.Limit > 0 && r.result.Selected == r.o.Limit {
		return false
	}
	r.result.Selected++
	return true
}

func (r *replay) stays(l *shipper.Letter, why error) {
	if r.o.Stays != nil {
		r.o.Stays(l, why)
	}
}

// topic returns where the letter goes.
func (r *replay) topic(read *reading) string {
	if r.o.Topic != "" {
		return r.o.Topic
	}
	return read.topic
}

// list tells of a letter instead of sending it.
func (r *replay) list(l *shipper.Letter) error {
	if !r.wanted(l) {
		return nil
	}
	read := r.reader.read(&l.DeadLetter)
	if err := r.stayReason(&read); err != nil {
		r.result.Stayed++
		r.stays(l, err)
		return nil
	}
	if r.o.Item != nil {
		r.o.Item(ReplayItem{Letter: l, Topic: r.topic(&read), Bytes: len(read.value)})
	}
	return nil
}

// stayReason says why the transformations of now do not let the letter go, or that
// there is no topic for it.
func (r *replay) stayReason(read *reading) error {
	switch read.result.Action {
	case transform.Ship:
		if r.o.Topic != "" {
			return nil
		}
		return read.stays
	case transform.Refused:
		return fmt.Errorf("a redaction failed: %s", read.result.Failed)
	}
	return errors.New("the transforms of its input leave it out; change them, or remove its line")
}

// run sends, and takes out of the file what arrived, whatever happens.
func (r *replay) run(ctx context.Context) (ReplayResult, error) {
	err := r.send(ctx)
	// The letters are put back also when ctx has ended.
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(r.c.ShutdownTimeout, time.Second))
	defer cancel()
	err = errors.Join(err, r.file.Finish(finish))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Stayed = r.result.Selected - r.result.Sent
	return r.result, err
}

func (r *replay) send(ctx context.Context) error {
	o, err := producerOptions(r.c, r.o.Log)
	if err != nil {
		return err
	}
	o.DeadLetterPath, o.DeadLetterTopic, o.Disclose, o.Refused = "", "", nil, r.refuse
	if err := r.count(); err != nil {
		return err
	}
	producer, err := shipper.NewProducer(o, r.done)
	if err != nil {
		return err
	}
	err = r.file.Each(func(l *shipper.Letter) error { return r.add(ctx, producer, l) })
	err = errors.Join(err, r.flush(ctx, producer))
	// What is in flight may arrive still when ctx ends.
	limit, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	timer := time.AfterFunc(time.Hour, giveUp)
	timer.Stop()
	defer timer.Stop()
	defer context.AfterFunc(ctx, func() { timer.Reset(r.c.ShutdownTimeout) })()
	return errors.Join(err, producer.Close(limit))
}

// count finds out how many letters will be sent, for who wants to be told.
func (r *replay) count() error {
	if r.o.Progress == nil {
		return nil
	}
	return r.file.Each(func(l *shipper.Letter) error {
		if l.Err == nil && r.selects(l) && (r.o.Limit == 0 || r.selected < r.o.Limit) {
			r.selected++
		}
		return nil
	})
}

// add hands a letter over, if it is to be sent. Letters of one file that follow
// one another go together, in their order.
func (r *replay) add(ctx context.Context, p *shipper.Producer, l *shipper.Letter) error {
	if !r.wanted(l) {
		return nil
	}
	read := r.reader.read(&l.DeadLetter)
	if why := r.stayReason(&read); why != nil {
		r.stays(l, why)
		r.progress(1)
		return nil
	}
	rec := read.record(&l.DeadLetter)
	rec.Topic = r.topic(&read)
	if b := r.batch; b != nil && (b.Stream != l.StreamID() || b.Source != l.SourceID() || b.Path != l.Path ||
		b.Bytes > replayBatchBytes || len(b.Records) >= replayBatchLetters) {
		if err := r.flush(ctx, p); err != nil {
			return err
		}
	}
	if r.batch == nil {
		r.batch = &shipper.Batch{Stream: l.StreamID(), Source: l.SourceID(), Path: l.Path, Tag: []*shipper.Letter(nil)}
	}
	b := r.batch
	b.Records = append(b.Records, rec)
	b.Bytes += int64(len(rec.Value) + len(rec.Raw))
	b.Tag = append(b.Tag.([]*shipper.Letter), l)
	return nil
}

// flush hands over what was added.
func (r *replay) flush(ctx context.Context, p *shipper.Producer) error {
	b := r.batch
	r.batch = nil
	if b == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	return p.Produce(ctx, b)
}

// refuse notes what Kafka refuses: the letter stays as it is, and is not
// written a second time.
func (r *replay) refuse(rec *shipper.Record, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused[rec] = why
}

// done takes the outcome of a batch. It is called by the producer, once for each.
func (r *replay) done(b *shipper.Batch) {
	letters := b.Tag.([]*shipper.Letter)
	for i, l := range letters {
		r.mu.Lock()
		why, refused := r.refused[&b.Records[i]]
		delete(r.refused, &b.Records[i])
		arrived := !refused && i < b.Settled()
		if arrived {
			r.result.Sent++
		}
		r.mu.Unlock()
		switch {
		case arrived:
			r.file.Sent(l.At)
		case refused:
			r.stays(l, why)
		}
	}
	r.progress(len(letters))
}

func (r *replay) progress(more int) {
	r.mu.Lock()
	r.over += more
	over := r.over
	r.mu.Unlock()
	if r.o.Progress != nil {
		r.o.Progress(over, r.selected)
	}
}
