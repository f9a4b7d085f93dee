package agent

import (
	"log/slog"
	"path/filepath"

	"shiplog/agent/checkpoint"
	"shiplog/tailer"
)

// fileEvent notes in ledger and log what happened to a file.
func (a *Agent) fileEvent(e tailer.Event) {
	if e.Kind == tailer.Found && e.File.Offset > 0 {
		a.skips.Append(checkpoint.Skip{File: uint64(e.File.ID), End: e.File.Offset, Reason: checkpoint.StartedAtEnd})
	}
	a.ledger.event(e)
	if e.Kind == tailer.Found {
		// Else a crash in the next second, and a rotation before the restart,
		// would leave nothing that tells of this file.
		a.saveSoon()
	}
	if e.Kind == tailer.Rotated || e.Kind == tailer.Moved {
		a.pins.soon()
	}
	log := a.log.With("path", e.File.Path, "file", e.File.ID.String())
	switch e.Kind {
	case tailer.Found:
		log.Info("file found", "from", e.File.Offset)
	case tailer.Resumed:
		log.Info("file found again", "from", e.File.Offset)
	case tailer.Moved:
		log.Info("file has moved", "origin", filepath.Base(e.File.Origin))
	case tailer.Rotated:
		log.Info("file rotated: it is read to its end first")
	case tailer.Replaced:
		if e.Lost > 0 {
			log.Warn("file truncated or written anew with bytes unread; they are looked for in a copy beside it [file-truncated]", "unread_bytes", e.Lost)
		} else {
			log.Info("file truncated or written anew: read from its beginning")
		}
	case tailer.HowRotated:
		a.rotated(e, log)
	case tailer.Finished:
		log.Info("rotated file finished", "bytes", e.File.Offset)
	case tailer.Vanished:
		if e.Lost > 0 {
			log.Error("file is gone with bytes unread [file-lost]", "lost_bytes", e.Lost)
		} else {
			log.Info("file is gone", "bytes", e.File.Offset)
		}
	case tailer.Forgotten:
		a.pipeline.forget(e.File.ID)
		log.Info("deleted file finished", "bytes", e.File.Offset)
	case tailer.Rewound:
		a.pipeline.forget(e.File.ID) // what its parser knew
		a.saveSoon()
		log.Info("file set back, as asked: what follows is sent again", "to", e.File.Offset)
	case tailer.Retired:
		a.pipeline.park(e.File.ID)
		a.saveSoon()
		log.Info("no input asks for this file any more: it is closed, and its place kept", "read_bytes", e.File.Offset, "unread_bytes", e.Lost)
	case tailer.Dropped:
		a.pipeline.forget(e.File.ID)
		log.Info("file forgotten, as asked", "acknowledged_bytes", e.File.Offset)
	case tailer.Unreadable:
		log.Warn("file cannot be read; it is tried again [file-unreadable]", "error", e.Err)
	case tailer.Readable:
		log.Info("file can be read again")
	case tailer.Cut:
		log.Warn("a line is longer than max_line_bytes: it is cut, and marked in a header; further ones of this file are counted only [line-too-long]")
	}
}

// rotated says how a file was rotated. Only what its rotator lost is worth a
// warning.
func (a *Agent) rotated(e tailer.Event, log *slog.Logger) {
	t := a.counts.input(e.Input.Name)
	t.rotated(e.Rotation)
	t.lost.Add(e.Lost)
	switch {
	case e.Rotation == tailer.CopiedTruncated && e.Lost > 0:
		log.Warn("file copied and truncated: what was written between the two is in neither; use logrotate's create instead of copytruncate [file-copytruncate]",
			"lost_bytes", e.Lost, "copied", e.From, "truncated", e.To)
	case e.Rotation == tailer.CopiedTruncated:
		log.Info("file copied and truncated: it is read on in the copy", "copied", e.From, "truncated", e.To)
	case e.Rotation == tailer.Overwritten && e.Lost > 0:
		log.Error("file truncated with bytes unread, and there is no copy of it [file-overwritten]", "lost_bytes", e.Lost)
	default:
		log.Info("file rotated", "how", string(e.Rotation))
	}
}
