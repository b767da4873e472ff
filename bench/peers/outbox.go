package main

import "sync"

// outboxMessages is how many messages may wait for one client. One that reads
// more slowly than that is cut.
const outboxMessages = 1 << 16

// keptMessages is the room for messages that an outbox keeps when it is empty.
const keptMessages = 256

// outbox is what waits to be written to one client.
type outbox[F any] struct {
	ready chan struct{} // has something when there is something to take

	mu      sync.Mutex
	waiting []F
	closed  bool
}

func newOutbox[F any]() *outbox[F] { return &outbox[F]{ready: make(chan struct{}, 1)} }

// put adds a message. An outbox that is full is closed.
func (o *outbox[F]) put(f F) {
	o.mu.Lock()
	switch {
	case o.closed:
	case len(o.waiting) == outboxMessages:
		o.closed, o.waiting = true, nil
	default:
		o.waiting = append(o.waiting, f)
	}
	o.mu.Unlock()
	o.wake()
}

// close ends the outbox. What waits is not written any more.
func (o *outbox[F]) close() {
	o.mu.Lock()
	o.closed, o.waiting = true, nil
	o.mu.Unlock()
	o.wake()
}

func (o *outbox[F]) wake() {
	select {
	case o.ready <- struct{}{}:
	default:
	}
}

// take takes all that waits, and gives back what was taken the last time. It is
// false when the outbox is closed.
func (o *outbox[F]) take(last []F) ([]F, bool) {
	if clear(last); cap(last) > keptMessages {
		last = nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	taken := o.waiting
	o.waiting = last[:0]
	return taken, !o.closed
}
