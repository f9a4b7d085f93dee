package main_test

import (
	"encoding/binary"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// nullBroker speaks Kafka, acknowledges every record, counts it, and stores
// nothing: what is measured against it is the producer alone.
type nullBroker struct {
	addr    string
	records atomic.Int64
	refuses atomic.Bool // it answers every Produce that it cannot take it now
}

const speedTopic = "speed"

// speedPartitions is what the topic is divided into.
const speedPartitions = 4

func startNullBroker(t *testing.T) *nullBroker {
	t.Helper()
	c := newCluster(t, kfake.NumBrokers(1), kfake.SeedTopics(speedPartitions, speedTopic))
	b := &nullBroker{addr: c.ListenAddrs()[0]}
	ends := map[int32]int64{} // kfake calls the function below for one request after the other
	c.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		return b.produce(r.(*kmsg.ProduceRequest), ends), nil, true
	})
	return b
}

func (b *nullBroker) produce(req *kmsg.ProduceRequest, ends map[int32]int64) *kmsg.ProduceResponse {
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	refuses := b.refuses.Load()
	for i := range req.Topics {
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic, rt.TopicID = req.Topics[i].Topic, req.Topics[i].TopicID
		for _, p := range req.Topics[i].Partitions {
			rp := kmsg.NewProduceResponseTopicPartition()
			rp.Partition, rp.BaseOffset = p.Partition, ends[p.Partition]
			if refuses {
				rp.ErrorCode = kerr.NotEnoughReplicas.Code
			} else {
				n := recordsIn(p.Records)
				ends[p.Partition] += n
				b.records.Add(n)
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

// recordsIn counts the records of batches of the format 2 by what their headers
// say: the length at byte 8, the number at byte 57.
func recordsIn(batches []byte) (n int64) {
	const header = 61
	for len(batches) >= header {
		n += int64(binary.BigEndian.Uint32(batches[57:]))
		length := int(binary.BigEndian.Uint32(batches[8:])) + 12
		batches = batches[min(length, len(batches)):]
	}
	return n
}
