// Package tailer finds log files, knows them again, reads them in blocks, and
// cuts the blocks into lines with their exact byte ranges. It knows nothing of
// Kafka and keeps no state on disk: what it needs from an earlier run comes in
// by Options.Resume, and what is worth keeping goes out by Options.OnEvent and
// with each Block.
//
// # Who owns what
//
// One goroutine, in Run, owns all files and decides; it never waits for a disk.
// Workers read: a file is given to one of them for a turn, which is one block,
// and comes back with what the turn came to. The finder lists folders and looks
// for missing files, a question at a time. Parked files have neither goroutine
// nor buffer. A Block belongs to its receiver until Release; while the Handler
// blocks, its file is not read on.
//
// # The life of a file
//
//	           met by a scan                 its predecessor is finished
//	(nothing) ---------------> waiting ---------------------------------> reading
//	                                                                      |     ^
//	                                                      at its end      v     | written to
//	                                                                       idle
//	its name leads elsewhere, or nowhere: displaced
//	  displaced, at its end, quiet for RotateWait: finished, its successor starts;
//	  it stays watched for late lines
//	  finished, deleted, quiet for a minute: forgotten
//	truncated, written anew, its inode used again: replaced
//	  what is there now is another file; its old bytes are looked for in a copy
//	nowhere to be found: vanished (missing); it may come back
//
// # Which file is which
//
// Device and inode are a hint. The proof is content: the hash of the first
// bytes that were handed over (up to 1 KiB, growing with the file), and the 64
// bytes before the offset, which are compared at every read. A file that is
// missed under its name is looked for beside it: by device and inode, by inode
// alone (device numbers change with a reboot), by content alone (moved between
// file systems, compressed, or copied before it was truncated). Content alone
// is proof from 256 bytes on; with fewer the name has to be a rotated form of
// the file's own as well.
//
// # Rotation
//
// Files that were found under one name are a stream, in the order in which they
// had the name; each is finished before the next starts. Between the last file
// that was seen under a name and the one that has it now others may have had
// it, for a moment, or while the agent was down: siblings whose names look
// rotated (app.log.1, app-20261124.log, app.log.2.gz), and that were made since,
// are read between the two. They are looked for when the next file has the name,
// and while nothing has it.
//
// # Compressed files
//
// gzip (of any number of members), zstd and bzip2 are recognised by their first
// bytes. Offsets, marks and sizes are of the uncompressed stream, so that a file
// stays itself when it is compressed, and is read on where it was. A compressed
// file is unpacked as it is read; after a restart once more from its beginning.
// No more of them are unpacked at a time than there are workers. One that ends
// too early is being written: it is read as far as it goes, and waited for. One
// that is damaged is read up to the damage, which is said. One that was read to
// its end is closed and not looked at again; its Seal says to the next run that
// it need not be unpacked. The order of generations is that of their times; as
// the time of a compressed file may be that of its compression, else that of
// the numbers or dates in their names.
//
// # What is a copy
//
// A file that was never seen before, under a name that a file which is known
// can get by a rotation, is a copy of it if it holds nothing but bytes of that
// file: all of both, from the first byte to the end of the copy, are compared.
// Most differ in their first KiB, and are looked at no further.
// Where the original is no longer at hand (it was finished, and is compressed or
// gone), the copy has to be exactly as long as what was read, and agree with its
// marks. A copy is not read. It stays doubtful: when it changes it is compared
// again, and read whole as soon as a byte differs; one below 256 bytes, which
// chance can explain, is read after a minute. Files whose names have nothing to
// do with each other are never compared, however much they are alike.
//
// When the original is truncated it goes on in the copy, at the offset where it
// was. A copy that ends before that offset (what came between the copying and
// the truncation was read in time) is recognised by marks of the offsets that
// were passed lately, and taken as read. What was written between the two and
// not read is lost by whoever rotates so: HowRotated tells the time window and
// what is known of the bytes.
//
// # Entries of several lines
//
// The lines of an entry are contiguous in the file, so that an entry is a part
// of the block as it stands. The one at the end of what is there is open: it
// lies behind the source's offset, like a last line without a newline, and is
// read again with what comes after it; but its lines are looked at once
// (openEntry.seen). It is complete with the line that begins another, with a
// line after which the Joiner waits for none, at a limit, when the file is quiet
// for JoinWait (longer in the middle of a line: its writer has a buffer), and
// when the file is finished. Nothing of it is on its way before that, so that a
// crash costs nothing. What entries a file comes to does not depend on the size
// of blocks or on when it was written, except where the quiet ends one.
//
// An entry that grows beyond farOpen is no longer read at each turn, only what
// comes to it; and once it is complete, it has a block of its own. See long.go.
//
// # Encodings
//
// Offsets are those of the raw bytes, and newlines are looked for in them:
// 0x0A, which is part of no other character in all that x/text decodes; for
// UTF-16 at even offsets only; in EBCDIC 0x15 and 0x25. A line is decoded by
// itself, into memory of its block, so that damage ends with its line. What a
// file is encoded in is told from its first line, again after each restart, and
// so always with the same answer. UTF-8 is not decoded.
//
// # An entry over a rotation
//
// A rotated file at its end, quiet for RotateWait, may have an open entry. With
// Options.Carry it is read once more and lent to the successor, which starts
// now. What the successor's first line says decides: it goes on with the entry,
// which is then the successor's first, with Entry.Carry; or it begins one of its
// own, and the rotated file hands over what it has, is finished, and the
// successor starts, as without Carry. Nothing decides for JoinWait: the same.
//
// What can go wrong, step by step; before the entry is settled, neither
// checkpoint has moved:
//
//   - A crash at any time before that: both files are read again from where they
//     were, and come to the same.
//   - A crash after the entry was acknowledged, with one of two checkpoints
//     saved: if it is the successor's, the rotated file's part comes once more,
//     by itself, since the successor is no longer at its beginning; if it is the
//     rotated file's, the successor's part does. They are saved together.
//   - The rotated file is written to while it lends: the loan is revoked, and it
//     is read on. The successor has not been handed over, since only one file of
//     a stream has a turn at a time.
//   - The rotated file is deleted, replaced or cannot be read any more while it
//     lends: what was lent is in memory, and was compared with what had been read
//     before it. It goes with the successor all the same.
//   - The successor is replaced, or cannot be read: the loan is revoked.
//   - The successor is rotated in its turn, within the entry: the entry ends with
//     it. It is carried once.
//
// # Requests
//
// Rewind, Drop and Descriptor are messages to the owner, who carries them out
// between two turns of the file. Blocks of before a rewind are told apart from
// those after it by Block.Epoch. A file that is missed is looked for in
// Options.PinDir too, by its id.
//
// # Other inputs
//
// Reconfigure is a message to the owner too. A file belongs to the input that
// asks for the name under which it was found first. Between two turns it can be
// given to another, since nothing of it is under way then: what is open behind
// its offset is looked at anew. A file that no input asks for is closed and taken
// out of the books; what is known of it is kept (Tailer.retired), as is what
// Options.Resume told of such files. It is taken up again as at a start: found by
// its name or beside it, and proved. What a scan found by earlier patterns is
// thrown away. Inputs are held by pointers that blocks carry along, and numbered
// nowhere.
//
// # What is assumed
//
// What was read of a file does not change, except by truncation or by a new
// file. Inodes do not change under a file. A rotated file stays in its folder.
// The time that a file system gives to a new file is at most two seconds behind
// the clock.
//
// # What has gone wrong here
//
//   - A missing file's inode is used for the generation after it: that one was
//     skipped as "the missing file itself", and lost. See finder.generations.
//   - A live file that is found again at the start was read before the rotated
//     files of its name were found. Files of earlier runs are in their streams
//     from the beginning, and hold up what follows until they are found or
//     given up.
//   - A file was rotated twice between two looks, and the one in the middle was
//     never seen. Tailer.meet asks for generations before it takes up any
//     successor.
//   - Generations that were found in one look had no order after a restart:
//     State.Found, of which no two are equal, keeps it.
//   - A file's birth and the last write to the one before it can be the same
//     nanosecond. See older.
//   - The block was looked at after it had been handed over, when its memory
//     could be another's already.
//   - A small line held a buffer of full size until Kafka acknowledged it. See
//     blockPool.
//   - A file was truncated, filled and renamed while its folder was listed: it
//     showed under neither name, and was lost. See siblingsIn.
//   - A file was found again by its inode, and said to be there now, before its
//     content was compared: generations made while the agent was down seemed
//     older than that, and were not looked for. See file.unproved.
//   - A file that waited for its turn was seen at each scan, under an inode that
//     had been used again meanwhile, and its compressed form was too old to be
//     it: lost. See file.wasSeen.
//   - A file of which nothing was read was found again by its inode, which was
//     another's by then, and that one shipped under its name. See file.stranger
//     and missing.maybe.
//   - A file that was given up kept its name; when that went to the file that had
//     its inode by then, it lost it once more, took the inode's entry in the
//     books with it, and the other was met a second time: read twice. See
//     Tailer.vanish.
//   - gzip.NewReader returned a nil *Reader and an error; in an interface that is
//     no nil, and closing it a panic.
//   - Files that were at their end kept their decoders, for an entry that waited
//     for its successor, which waited for a decoder. See packedFile.resting.
//   - A folder was listed while its files were renamed, one after the other, and
//     one was in none of the places: given up. See Tailer.settle.
//   - The live file was met while a compressed generation before it was still
//     being written, and came before it. See Tailer.unsettled.
//   - A compressed file was opened while it was still empty, its original a moment
//     later, when that was gone: no copy, and read again. See traces.judge.
//   - A file was compared under a path that led to another by then. See openAt.
//   - The original was gone while its compressed form was not complete: that was
//     read as a file of its own. See finder.look, pending.
//   - Generations of several names were sorted together by an order that holds
//     among those of one name only: with enough of them, none was in order.
//   - Two questions to the finder were on their way at once, and the answer about
//     the earlier moment came last: files seemed to have moved back to names that
//     they had left. See Tailer.ask.
//   - Of a file that waited for its turn only the inode was known. It was rotated
//     and compressed while the agent was down, and came after its successor, or
//     was removed before it was opened. See Tailer.glimpsed.
//   - A turn that lasted as long as Kafka was away, and those after it on the open
//     file, were taken for proof that the name was still the file's: what had
//     the name in between was not looked for, and lost. See file.wasSeen.
//   - A missing file was found by its content; meanwhile another scan had met its
//     inode, used again, under its name, so that the answer was passed over, and
//     what it had found was taken up as a file of its own: read twice. See
//     finder.look, taken.
//   - A folder in which several applications rotated at once was listed eight times
//     and never stood still; what the last listing lacked was given up. See
//     finder.look, moving.
//   - A generation was compressed between its listing and the look at its first
//     bytes, taken up with nothing that it is known by, and not found again: its
//     compressed form came after its successors. See headOf.
//   - A generation had the inode of a file that had been compressed just now, and
//     was passed over as that one; those after it were taken up. A missing file,
//     found under such an inode, was given up. See Tailer.holds.
//   - A rotated file's inode was used for the next file of its name: until their
//     contents were compared it was held to be back, as the youngest of its
//     stream, and stayed so. See file.returned.
//   - The same, found by a scan that was not the first and did not ask when the
//     file had been made. Two files were held to have the name at once, the older
//     one was put behind the younger, and waited for ever. See Tailer.askBirth and
//     Tailer.live.
//   - A file that had been glimpsed was compared with one that had its inode and
//     was shorter than what was known: that was taken for a fault of the disk,
//     and the file held on to the other's name. See source.tooShort.
//   - A file whose path led to another had its turn again at once, and again, as
//     long as it was looked for: that took a whole core. See Tailer.strayed.
//   - A file was compressed and its name removed while it waited, open, for one
//     that was deleted; that one was asked for again and again, since what was
//     compressed could not be told from another before the first was read to its
//     end. After 30 s it was taken for another: read twice. See
//     found.deferred.
package tailer
