// Package checkpoint keeps on disk how far each file is acknowledged.
//
// # Files
//
// A state directory holds LOCK, and generations checkpoint.00000001, …2, and so
// on, of which the newest two are kept. A generation begins with a snapshot of
// all entries, ended by a record that says so; what changes later is appended.
// Each record has its length and a CRC-32C checksum; its fields are in
// protobuf's wire format, so that fields can be added.
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
//   - While old generations are removed: one too many is left.
//
// In each case the entries are those of the last Save that returned, or of the
// one that was under way.
//
// # Damage
//
// A file that is damaged elsewhere than at its end counts up to the damage, on
// top of the generation before it: every record was true when it was written,
// and offsets only grow, so that an older one means sending again, never
// skipping. The file is set aside as checkpoint-damaged. Only a newer format
// version stops Open: that is no damage, and must not be overwritten.
//
// # What has gone wrong here
//
// After a failed write the file's end may hold half a record: it is cut back,
// or given up for a new generation. After a failed fsync the page cache may
// claim what the disk does not have, and a second fsync succeeds: the file is
// never used again.
package checkpoint
