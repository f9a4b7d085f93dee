package agent

import (
	"cmp"
	"slices"

	"github.com/cespare/xxhash/v2"

	"shiplog/agent/checkpoint"
)

// sumOf is the checksum of a record's value in checkpoint.Sent.
func sumOf(value []byte) uint32 { return uint32(xxhash.Sum64(value)) }

// sortSent brings records into the order of their file, each once.
func sortSent(sent []checkpoint.Sent) []checkpoint.Sent {
	slices.SortFunc(sent, func(a, b checkpoint.Sent) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End), cmp.Compare(a.Sum, b.Sum))
	})
	return slices.Compact(sent)
}

// sentFrom returns those of sent, which are sorted, that do not begin before
// offset. Their memory is shared.
func sentFrom(sent []checkpoint.Sent, offset int64) []checkpoint.Sent {
	i, _ := slices.BinarySearchFunc(sent, offset, func(s checkpoint.Sent, at int64) int { return cmp.Compare(s.Start, at) })
	return sent[i:]
}

// isSent reports whether sent, which are sorted, has the record: range and value.
func isSent(sent []checkpoint.Sent, start, end int64, value []byte) bool {
	for _, s := range sentFrom(sent, start) {
		if s.Start != start {
			return false
		}
		if s.End == end && s.Sum == sumOf(value) {
			return true
		}
	}
	return false
}
