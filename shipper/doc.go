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
// # Transactions
//
// With Options.Transaction there are no healthy or failing lanes: a transactor sends
// whole batches in transactions, see there. Budget, health, dead letters and topics
// are the same.
//
// # More partitions
//
// A stream, or a key, has another partition when the topic has got more of them.
// What failed before must not be sent there behind what came later: so all that a
// lane has on its way chooses of the same number, see sequence.partitionsFor.
//
// # Dead letters
//
// What is refused alone for what it is (too large, invalid), and what the caller
// marks with Record.Refuse, becomes a dead letter. It is settled when its line is
// on disk in the dead letter file: written, synced, and its name as well. Its
// arrival in the dead letter topic settles nothing and holds nothing up: the
// file is that topic's queue. A byte in each line says whether the letter is
// still owed to the topic; it is sent, in the file's order, until Kafka has
// acknowledged it, by this run or a later one, and Health says what keeps it from
// there. A crash between acknowledgement and that byte sends a letter twice.
//
// What speaks of the topic or of this host makes no dead letters, since it would
// make one of every record: a wrong clock, a compacted topic and no keys. Nor
// does a file that is at its limit or on a full disk: the lane waits, shown in
// Health, gives the turn to isolate away, and all other lanes go on.
//
// The file is shared with shiplog replay, in another process. Nobody keeps it
// open. Who does anything with it holds the lock of the file beside it that ends
// in .lock, which never moves. A Replay, of which the .replay.lock allows one:
//
//	(1) locked: moves the file to NAME.replaying; if that is there, from a
//	    replay that was interrupted, both are merged into it, that first
//	(2) sends, while an agent may begin a new file
//	(3) writes NAME.replaying anew, without what was acknowledged
//	(4) locked: moves it back to its name; if there is a new file, merges
//	    both into that, the old letters first
//
// A merge writes a third file, syncs it, renames it over the target, syncs the
// folder, and removes the other source. What a crash leaves:
//
//	after (1), in (2)    NAME.replaying, for the next replay; what was
//	                     acknowledged is sent again
//	in (3)               the old or the new NAME.replaying
//	after (3)            NAME.replaying without what was acknowledged
//	within a merge       the sources and perhaps a third file, which is removed;
//	                     or letters in both, which the next merge takes once
//
// So no letter is missing at any step, and one is sent again only after a crash.
// What Kafka refuses again was never taken out: it is there once.
//
// What else a topic refuses one by one, with nothing accepted in between, is hardly
// the records' fault either: see brake.
//
// # A client that is stuck
//
// The watch replaces a client to which no broker has answered for long, see
// rescue. Closing it fails its records, and the lanes do what they do after any
// failure.
//
// # Which goroutines there are
//
// The watch, which asks Kafka why when nothing arrives and counts the dead
// letters, one recovery for each failing lane, the one that sends letters to
// their topic, and those of kgo. Close ends and waits for all of them.
//
// # Shutdown
//
// Close lets what is in flight finish until its context ends. Then it stops
// the recoveries and closes the clients, which makes kgo tell the outcome of
// each record, and reports what is left with the number of leading records
// that are settled. What was handed to Kafka and not acknowledged counts as
// not settled, though it may have arrived. Letters that are owed to their topic
// get some seconds; they are settled anyway.
//
// # Reading back
//
// ReadBack is for the next run after a crash: it reads the topics from offsets
// that the caller kept, with a client of its own, before anything is produced.
// Batch.Landings and Producer.Ends tell the caller what to keep. What was sent and
// not acknowledged may be read too, or may come in a moment later: it looks at the
// ends again until nothing that was wanted came in between.
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
//   - A record that failed was sent again when the topic had got more partitions,
//     and landed behind later ones. TestOrderHoldsWhilePartitionsAreAdded.
//   - Streams of which a topic was missing filled half of the budget each, and two
//     of them held up all others: see unprovenShare.
//   - The number that a record carries to the partitioner sits in Partition,
//     which kgo overwrites before it asks the partitioner again for a new batch.
package shipper
