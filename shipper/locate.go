package shipper

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// locate finds out where the reading of a topic begins and ends.
func (r *readBack) locate(ctx context.Context, admin *kadm.Client, t ReadBackTopic) {
	ends, err := listOffsets(ctx, t.Topic, admin.ListEndOffsets)
	var starts, since map[int32]int64
	if err == nil {
		starts, err = listOffsets(ctx, t.Topic, admin.ListStartOffsets)
	}
	switch {
	case err != nil || t.names(ends):
	case t.Since.IsZero():
		since = starts
	default:
		since, err = listOffsets(ctx, t.Topic, func(ctx context.Context, topics ...string) (kadm.ListedOffsets, error) {
			return admin.ListOffsetsAfterMilli(ctx, t.Since.Add(-sinceSlack).UnixMilli(), topics...)
		})
	}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		r.problem("the offsets of topic %q could not be learnt", t.Topic)
		return
	default:
		r.drop(t.Topic, err)
		return
	}
	ps := make(map[int32]*part)
	for n, end := range ends {
		from, named := t.From[n]
		if !named {
			from = since[n]
		}
		log := r.opts.Log.With("topic", t.Topic, "partition", n, "expected", from, "start", starts[n], "end", end)
		switch {
		case from < starts[n]:
			if named {
				log.Warn("the retention has passed where to read back from: what is left is read [kafka-retention]")
			}
			from = starts[n]
		case from > end:
			log.Warn("the topic ends before where to read back from: it was made anew, and is read from its start [kafka-topic-anew]")
			from = starts[n]
		}
		p := &part{next: from, end: end, before: end}
		if !p.atEnd() {
			r.left++
		}
		ps[n] = p
	}
	r.parts[t.Topic] = ps
}

// names reports whether From has all partitions.
func (t *ReadBackTopic) names(partitions map[int32]int64) bool {
	for n := range partitions {
		if _, ok := t.From[n]; !ok {
			return false
		}
	}
	return true
}

// listOffsets asks for offsets of all partitions of a topic until it has them. It
// fails where waiting does not help, and when ctx ends.
func listOffsets(ctx context.Context, topic string, list func(context.Context, ...string) (kadm.ListedOffsets, error)) (map[int32]int64, error) {
	for {
		listed, err := list(ctx, topic)
		out := make(map[int32]int64)
		listed.Each(func(o kadm.ListedOffset) {
			if out[o.Partition] = o.Offset; o.Err != nil {
				err = o.Err
			}
		})
		if err == nil && len(out) == 0 {
			err = kerr.UnknownTopicOrPartition
		}
		switch code, _ := errors.AsType[*kerr.Error](err); {
		case err == nil:
			return out, nil
		case code == kerr.UnknownTopicOrPartition || code != nil && !code.Retriable:
			return nil, err
		}
		if !sleep(ctx, listPause) {
			return nil, ctx.Err()
		}
	}
}
