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
// file systems, or copied before it was truncated).
//
// # Rotation
//
// Files that were found under one name are a stream, in the order in which they
// had the name; each is finished before the next starts. Between the last file
// that was seen under a name and the one that has it now others may have had
// it, for a moment, or while the agent was down: siblings whose names look
// rotated (app.log.1, app-20261124.log), and that were made since, are read
// between the two.
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
package tailer
