// Package checkpoint keeps on disk how far each file is acknowledged, and from
// where on Kafka has to be read to learn what was acknowledged beyond that.
//
// # Files
//
// A state directory holds LOCK, and generations checkpoint.00000001, …2, and so
// on, of which the newest two are kept. A generation begins with a header and a
// snapshot of all entries, ended by a record that says so; what changes later is
// appended. Each record has its length and a CRC-32C checksum, the header has a
// checksum too; the fields are in protobuf's wire format, so that fields can be
// added. testdata holds a state of each version of the format; all are read.
//
// Open writes a new generation before it returns. So a version never appends to
// another's file, and the mark of a clean end, which is the last record of a
// generation, is not the newest state any more once another run has begun.
//
// # What a crash leaves
//
// We assume that fsync on a file and on a directory is honest, that rename is
// atomic, and nothing else: a write may reach the disk in part, or as zeros.
//
//   - While appending: the record is whole, or its checksum is wrong and it is
//     cut. Save has not returned then, so that its entries were not promised.
//   - While a snapshot is written (temporary file, fsync, close, rename, fsync of
//     the directory): the old generation is untouched until the new one has its
//     name; both are there afterwards, and the newer counts.
//   - While Open writes its generation: as for any snapshot. Until the new one
//     has its name the run has not begun, and has sent nothing: the old mark of a
//     clean end is still true. Where the disk has no room, the mark is cut off
//     the old generation instead.
//   - While old generations are removed: one too many is left.
//
// In each case the entries are those of the last Save that returned, or of the
// one that was under way.
//
// # Horizons
//
// A Horizon is true for the entries that it was saved with, and for all later
// ones, which cover more; it is false for earlier ones, which cover less. So it is
// written behind the entries of its Save, and of what a crash or damage leaves it
// counts only if all records before it in its generation are there. An older
// horizon is lower, and only means reading more.
//
// # Damage
//
// A record that is damaged elsewhere than at the end is passed over, and what is
// intact behind it counts, on top of the generation before it where the snapshot
// is not whole: every record was true when it was written, and offsets only grow,
// so that an older one means sending again, never skipping. The file is set aside
// as checkpoint-damaged.NUMBER, of which the newest few are kept, once its content
// is in a new generation. Only an intact header of a newer version stops Open:
// that is no damage, and must not be overwritten.
//
// # What has gone wrong here
//
//   - After a failed write the file's end may hold half a record: it is cut back,
//     or given up for a new generation. After a failed fsync the page cache may
//     claim what the disk does not have, and a second fsync succeeds: the file is
//     never used again.
//   - A run that was killed before its first save left the mark of the clean end
//     before it in place. See TestCleanEndDoesNotOutliveTheNextStart.
//   - A flipped bit in the version made a damaged file look like one of a newer
//     shiplog, at which Open stops.
package checkpoint
