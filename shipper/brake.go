package shipper

import "sync"

// brake keeps a topic that refuses whatever it gets from making dead letters of
// everything: for each topic it counts the records that were refused since one was
// accepted. It may be used concurrently.
type brake struct {
	max int64 // below 1: none

	mu     sync.Mutex // guards what follows
	inARow map[string]int64
}

// holds reports whether no more records of the topic may become dead letters.
func (b *brake) holds(topic string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.max > 0 && b.inARow[topic] >= b.max
}

func (b *brake) refused(topic string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.inARow == nil {
		b.inARow = make(map[string]int64)
	}
	b.inARow[topic]++
}

func (b *brake) accepted(topic string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.inARow, topic)
}
