package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

const (
	// followInterval is the time between two statuses of /events.
	followInterval = time.Second
	// followFiles is how many files they have.
	followFiles = 200
)

// followers are those who want to be sent statuses. One status is made for all
// of them.
type followers struct {
	mu   sync.Mutex
	all  map[chan []byte]struct{}
	came chan struct{} // somebody came
}

// follow returns what /events sends until ctx ends: a Status with the first 200
// files, at once and then each second. Who takes none in time misses it.
func (a *Agent) follow(ctx context.Context) (<-chan []byte, error) {
	f := &a.followers
	c := make(chan []byte, 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all == nil {
		f.all = map[chan []byte]struct{}{}
	}
	f.all[c] = struct{}{}
	context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.all, c)
	})
	select {
	case f.came <- struct{}{}:
	default:
	}
	return c, nil
}

// send hands data to all.
func (f *followers) send(data []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.all {
		select {
		case <-c: // what was not taken is old
		default:
		}
		c <- data
	}
}

func (f *followers) none() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.all) == 0
}

// broadcast sends statuses to those who follow until ctx ends; while nobody does
// it costs nothing.
func (a *Agent) broadcast(ctx context.Context) {
	for {
		if a.followers.none() {
			select {
			case <-a.followers.came:
			case <-ctx.Done():
				return
			}
		}
		began := time.Now()
		data, err := json.Marshal(a.Status(StatusQuery{Limit: followFiles}))
		if err != nil {
			data = fmt.Appendf(nil, `{"error":%q}`, err.Error())
		}
		a.followers.send(data)
		timer := time.NewTimer(max(followInterval, observeShare*time.Since(began)/10))
		select {
		case <-timer.C:
		case <-a.followers.came:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}
