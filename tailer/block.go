package tailer

import (
	"slices"
	"sync"

	"github.com/cespare/xxhash/v2"
)

// FileID names the content of one file for its whole life: over renames and
// restarts, and until the file is truncated. It is ours (random), never an
// inode number, since inodes are used again.
type FileID uint64

const (
	headMax = 1024 // bytes of a file's beginning that take part in its identity
	tailMax = 64   // bytes just before an offset that prove that it is still that file
)

// Mark is a fingerprint of some bytes of a file: the xxhash64 of Len bytes.
// The zero Mark says nothing.
type Mark struct {
	Len  int
	Hash uint64
}

func markOf(b []byte) Mark {
	if len(b) == 0 {
		return Mark{}
	}
	return Mark{Len: len(b), Hash: xxhash.Sum64(b)}
}

// Flags say what is unusual about an entry.
type Flags uint8

const (
	// Truncated marks an entry that holds only the beginning of a line longer
	// than Input.MaxLineBytes. Its range covers the whole line.
	Truncated Flags = 1 << iota
	// Partial marks an entry that no newline ended.
	Partial
	// Split marks an entry that a limit ended: the next goes on where it stops.
	Split
)

// Entry is one line of a file, or several that belong together: the raw bytes
// [Start,End), newlines included.
type Entry struct {
	Start, End int64
	Data       []byte // UTF-8, if its encoding is known; \n between lines, none at the end; valid until Block.Release
	Flags      Flags
	Carry      *Carry // where the entry began in the file before; nil for nearly all
}

// Block is a run of consecutive entries of one file, the unit that is handed
// over. It belongs to its receiver until Release.
type Block struct {
	File    FileID
	Stream  uint64 // equal for a file and its successors under one name: their order matters
	Input   *Input // that it was read by; not to be changed
	Origin  string // path under which the file was found first; what its application calls it
	Path    string // path at which the file is now
	Start   int64  // the raw bytes [Start,End) are dealt with when this block is:
	End     int64  // entries, and what lies between them (blank lines, NUL bytes)
	Entries []Entry
	Head    Mark // of the file's beginning, as far as it was known when the block was read
	Seen    int64
	Invalid int // how often bytes of the entries were no text in their encoding, and became U+FFFD; not counted in UTF-8
	// Epoch grows with each Rewind of the file: a block of an older one says
	// nothing about what is handed over after it.
	Epoch uint32
	// Volatile says that the source has no past to return to (a named pipe):
	// there is nothing to checkpoint.
	Volatile bool

	mem  []byte // raw bytes, from offset base
	text []byte // what entries hold that is not in mem as it stands
	full int64  // bytes of earlier memory like text, which entries still refer to
	base int64
	end  Mark // of the bytes before End
	pool *blockPool
}

// Tail returns the fingerprint of the raw bytes just before offset, which must
// lie in [Start,End]. It is the zero Mark where the block does not hold those
// bytes.
func (b *Block) Tail(offset int64) Mark {
	if offset == b.End {
		return b.end
	}
	i := offset - b.base
	if i <= 0 || i > int64(len(b.mem)) {
		return Mark{}
	}
	return markOf(b.mem[max(0, i-tailMax):i])
}

// Memory returns the bytes of memory that the block holds.
func (b *Block) Memory() int64 {
	return int64(cap(b.mem)) + int64(cap(b.text)) + b.full + int64(cap(b.Entries))*entrySize
}

// room makes room for n more bytes of text. What was written before stays where
// it is, since entries refer to it.
func (b *Block) room(n int) {
	if cap(b.text)-len(b.text) < n {
		b.full += int64(cap(b.text))
		b.text = make([]byte, 0, max(n, cap(b.mem)))
	}
}

// entrySize is the size of an Entry in memory on 64-bit machines.
const entrySize = 56

// Release gives the block's memory back. Neither the block nor any Entry.Data
// of it may be used afterwards.
func (b *Block) Release() {
	if b.pool != nil {
		b.pool.put(b)
	}
}

// blockPool keeps released blocks for the next turn, by size: a busy file takes
// a large one, and a line now and then must not hold as much.
type blockPool struct {
	size  int // of the largest, and usual
	sizes []int
	pools []sync.Pool
}

func newBlockPool(size int) *blockPool {
	p := &blockPool{size: size}
	for _, s := range []int{4 << 10, 32 << 10} {
		if s < size {
			p.sizes = append(p.sizes, s)
		}
	}
	p.sizes = append(p.sizes, size)
	p.pools = make([]sync.Pool, len(p.sizes))
	return p
}

// get returns an empty block whose memory is at least size bytes.
func (p *blockPool) get(size int) *Block {
	for i, s := range p.sizes {
		if size > s {
			continue
		}
		if b, ok := p.pools[i].Get().(*Block); ok {
			return b
		}
		size = s
		break
	}
	return &Block{mem: make([]byte, 0, size), pool: p}
}

func (p *blockPool) put(b *Block) {
	mem, text, entries := b.mem, b.text, b.Entries
	clear(entries)
	*b = Block{mem: mem[:0], Entries: entries[:0], pool: p}
	if cap(text) <= cap(mem) {
		b.text = text[:0]
	}
	// A block that grew for one long line, or holds very many short ones, is
	// left to the garbage collector: the pool must not keep the exception.
	if i := slices.Index(p.sizes, cap(mem)); i >= 0 && cap(entries) <= 16+cap(mem)/16 {
		p.pools[i].Put(b)
	}
}
