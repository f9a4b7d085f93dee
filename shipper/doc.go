// Package shipper is all that is Kafka: connection and security, the
// producer, dead letters and the consumer. It knows no files: it is given
// opaque sources and byte ranges, and gives the same back when they are settled.
//
// # What the Producer promises
//
// A batch that Produce took over is reported by done exactly once. When it is
// reported as settled, each of its records is on all in-sync replicas, or is on
// disk in the dead letter file. Nothing else ends a record: not a missing
// topic, a lost right, a wrong password, a time-out, or a broker that is away
// for days. Those are waited out, and shown in Health.Problems with the remedy.
//
// The records of one stream that go to one partition are in Kafka in the
// order of Produce, also through failures. A record is there once, as far as
// idempotence reaches; it can be there twice only if the Producer was closed
// before the acknowledgement came, and the record is read and sent again.
//
// A batch keeps its memory until it is settled, because what fails is sent
// again from there; the source may be gone by then. One budget bounds that
// memory. While it is used up, Produce blocks.
//
// # Lanes
//
// A lane is the way of one stream into one topic. kgo fails everything that
// is buffered for a partition when one batch fails, so lanes fail together,
// but each recovers by itself:
//
//	healthy --(1)--> landing --(2)--> sending <--(3)--> isolating
//	   ^                                 |
//	   +---------------(4)---------------+
//
//	(1) a record failed
//	(2) nothing of the lane is in flight any more
//	(3) a record was refused that may be at fault itself; all are settled, or
//	    what fails now is no record's fault
//	(4) nothing is queued any more
//
// In the healthy state batches go straight to kgo: no goroutine, per record no
// lock and no allocation of ours, per batch one closure. From (1) to (4) the
// lane is failing, and new batches queue.
//
// Landing: the outcomes of what is in flight come in. Only then is it known
// what has to be sent again. Sending: one goroutine sends what failed, then
// what queued up, in order, with a growing pause between failures. Isolating:
// the record that is refused is looked for by halving, with a client of which
// one lane has the turn at a time, so that what is refused alone was certainly
// alone in its batch. It becomes a dead letter.
//
// classify tells which failures lead where, and sequence and gate how a record
// is kept from overtaking one that failed.
//
// # Which goroutines there are
//
// The watch, which asks Kafka why when nothing arrives, one recovery for each
// failing lane, and those of kgo. Close ends and waits for all of them.
//
// # Shutdown
//
// Close lets what is in flight finish until its context ends. Then it stops
// the recoveries and closes the clients, which makes kgo tell the outcome of
// each record, and reports what is left with the number of leading records
// that are settled. What was handed to Kafka and not acknowledged counts as
// not settled, though it may have arrived.
//
// # What has gone wrong here
//
//   - kgo calls promises later than it fails records, from another goroutine.
//     Records handed over in between opened a new batch and overtook those that
//     had failed: thousands of records out of order for each refusal under load.
//     The gate closes this. TestOrderHoldsThroughFailures fails without it.
//   - kgo keeps a refusal of InitProducerID (CLUSTER_AUTHORIZATION_FAILED) for
//     good, so granting the right later did not help; and it does not adopt the
//     new id of a topic that was deleted and created again. Both need a new
//     client, see session.
//   - A topic with a max.message.bytes below our batch size had every full batch
//     refused, though no record was too large. Batches follow the topic's limit,
//     and where that cannot be read, what was refused.
//   - kgo's size check is before compression, the broker's after it: a record
//     that kgo calls too large may be acceptable. Only the isolating client,
//     whose batches may be far larger, can tell.
//   - A host whose clock was wrong, and a topic that was made compacted, had
//     every record refused alone, and so every record became a dead letter.
//     Neither is the record's fault: classify and wantsKey.
//   - A lane whose right was taken away while it isolated kept the turn, and no
//     other lane could isolate until the right was back.
//   - The number that a record carries to the partitioner sits in Partition,
//     which kgo overwrites before it asks the partitioner again for a new batch.
package shipper
