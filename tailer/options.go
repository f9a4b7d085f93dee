package tailer

import (
	"io"
	"log/slog"
	"os"
	"runtime"
	"time"
)

// Input is a set of files that are read in the same way.
type Input struct {
	Name string
	// Tag is the caller's, and comparable: blocks and statuses lead to it. See
	// Inputs.
	Tag     any
	Paths   []string // absolute doublestar patterns
	Exclude []string // doublestar patterns against the absolute path
	// FromEnd begins a file that is there at the first start, and was never
	// seen before, at its end. A file that appears later is read whole.
	FromEnd bool
	// MaxLineBytes is the longest line that is kept whole; default 1 MiB.
	MaxLineBytes int
	// RotateWait is how long a rotated file has to be quiet, at its end, before
	// its successor starts.
	RotateWait time.Duration
	// FlushPartialAfter hands over a last line without a newline after the
	// file was quiet for so long; 0 waits for the newline.
	FlushPartialAfter time.Duration
	// Encoding is what the files are encoded in: "auto" (the default) for what
	// the first bytes of each say, or an IANA name. See CheckEncoding.
	Encoding string
	// Joiner says which lines make one entry; nil: each line is one.
	Joiner Joiner
	// JoinLines and JoinBytes bound an entry of several lines; default 2000, and
	// MaxLineBytes, of its text. At a limit it is handed over with the flag
	// Split, and what follows is another entry.
	JoinLines, JoinBytes int
	// JoinWait is how long an entry at the end of the file is quiet before it is
	// taken as complete; default 500 ms.
	JoinWait time.Duration
}

// fill fills in the defaults.
func (in *Input) fill() {
	if in.MaxLineBytes <= 0 {
		in.MaxLineBytes = 1 << 20
	}
	if in.JoinLines <= 0 {
		in.JoinLines = defaultJoinLines
	}
	if in.JoinBytes <= 0 {
		in.JoinBytes = in.MaxLineBytes
	}
	if in.JoinWait <= 0 {
		in.JoinWait = defaultJoinWait
	}
}

// State is what is remembered of a file from one run to the next.
type State struct {
	ID       FileID
	Stream   uint64
	Origin   string
	Path     string
	Dev, Ino uint64
	Head     Mark
	Offset   int64
	Tail     Mark
	Rotated  bool
	Seen     time.Time // when it was last certainly at Path
	Gone     bool      // it was not to be found at all
	Found    time.Time // when it was found first: the order of the files of one name
	Sealed   Seal      // of a compressed file that was read to its end: to be kept
}

// Options say what to follow and how. Zero values are filled in by the
// defaults given per field.
type Options struct {
	Inputs []Input
	Resume []State // the files of earlier runs
	// Once reads what is there to its end, takes the files as finished, and
	// returns.
	Once           bool
	RescanInterval time.Duration // default 1 s
	MaxOpenFiles   int           // default 1024
	BlockBytes     int           // default 256 KiB
	Workers        int           // files read at the same time; default the number of processors, at least 2
	NoEvents       bool          // poll only
	// Carry has an entry that a rotation divides made whole: it comes with the
	// first block of the successor, and has Entry.Carry, whose range the Handler
	// has to settle with it. Otherwise it is two entries.
	Carry bool
	// PinDir is a folder in which a missing file is looked for by its id as
	// name, beside its own folder; no pattern finds anything in it. "": none.
	PinDir string
	// ReadThrough, if set, returns what a log file is read through: tests have
	// reads fail. nil reads the file itself.
	ReadThrough func(*os.File) io.ReaderAt
	// Admit is asked before each turn whether the stream may be read on; nil
	// means always. It must not block.
	Admit func(stream uint64) bool
	// OnEvent is told what happens to files; nil ignores it. It must not block.
	OnEvent func(Event)
	Log     *slog.Logger // default: discard
}

func (o *Options) fill() {
	if o.RescanInterval <= 0 {
		o.RescanInterval = time.Second
	}
	if o.MaxOpenFiles <= 0 {
		o.MaxOpenFiles = 1024
	}
	if o.BlockBytes <= 0 {
		o.BlockBytes = 256 << 10
	}
	o.BlockBytes = max(o.BlockBytes, 4*tailMax)
	if o.Workers <= 0 {
		o.Workers = max(2, runtime.GOMAXPROCS(0))
	}
	if o.Admit == nil {
		o.Admit = func(uint64) bool { return true }
	}
	if o.OnEvent == nil {
		o.OnEvent = func(Event) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	inputs := make([]Input, len(o.Inputs))
	copy(inputs, o.Inputs)
	for i := range inputs {
		inputs[i].fill()
	}
	o.Inputs = inputs
}
