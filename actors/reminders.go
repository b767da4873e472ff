package actors

import (
	"sync"
	"time"
)

// reminders is a wheel of clients: each stands in the slot of the time at
// which somebody should look at it. One goroutine turns it. Setting, moving
// and removing a client costs the same however many there are, and a client
// costs two pointers (time.AfterFunc would cost 163 bytes and an object).
type reminders struct {
	tick time.Duration
	now  func() time.Duration
	next func(*Client, time.Duration) time.Duration // when to look at a client; 0: never
	fire func(*Client, time.Duration)

	mu    sync.Mutex
	slots []*Client // heads of lists
	at    int64     // the last tick that was handled
	stop  chan struct{}
	done  chan struct{}
}

const wheelSlots = 1024

// newReminders makes a wheel for rules whose shortest time is shortest: a
// reminder is late by at most a twentieth of that.
func newReminders(shortest time.Duration, now func() time.Duration,
	next func(*Client, time.Duration) time.Duration, fire func(*Client, time.Duration),
) *reminders {
	w := &reminders{
		tick: min(max(shortest/20, time.Millisecond), time.Second), now: now, next: next, fire: fire,
		slots: make([]*Client, wheelSlots), stop: make(chan struct{}), done: make(chan struct{}),
	}
	w.at = int64(now() / w.tick)
	go w.turn()
	return w
}

// link is a client's place on the wheel.
type link struct {
	prev, next *Client
	slot       int32 // index+1; 0: not on the wheel
}

// set moves c to the time when it is next to be looked at, or to the farthest
// slot where that is beyond the wheel: it is looked at early, and set again. The
// time is asked for under the lock, so that of two calls the later one wins.
func (w *reminders) set(c *Client) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlink(c)
	at := w.next(c, w.now())
	if at == 0 {
		return
	}
	tick := int64((at + w.tick - 1) / w.tick)
	tick = min(max(tick, w.at+1), w.at+wheelSlots-1)
	i := int32(tick % wheelSlots)
	c.link = link{next: w.slots[i], slot: i + 1}
	if c.link.next != nil {
		c.link.next.link.prev = c
	}
	w.slots[i] = c
}

// remove takes c off the wheel for good.
func (w *reminders) remove(c *Client) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlink(c)
}

func (w *reminders) unlink(c *Client) {
	l := c.link
	if l.slot == 0 {
		return
	}
	if l.prev != nil {
		l.prev.link.next = l.next
	} else {
		w.slots[l.slot-1] = l.next
	}
	if l.next != nil {
		l.next.link.prev = l.prev
	}
	c.link = link{}
}

func (w *reminders) turn() {
	defer close(w.done)
	ticker := time.NewTicker(w.tick)
	defer ticker.Stop()
	var due []*Client
	for {
		select {
		case <-w.stop:
			return
		case <-ticker.C:
		}
		now := w.now()
		due = w.due(due[:0], int64(now/w.tick))
		for _, c := range due {
			w.fire(c, now)
		}
		clear(due)
	}
}

// due takes who stands in the slots up to tick off the wheel.
func (w *reminders) due(due []*Client, tick int64) []*Client {
	w.mu.Lock()
	defer w.mu.Unlock()
	if tick-w.at > wheelSlots { // after a pause of the process
		w.at = tick - wheelSlots
	}
	for w.at < tick {
		w.at++
		for c := w.slots[w.at%wheelSlots]; c != nil; c = w.slots[w.at%wheelSlots] {
			w.unlink(c)
			due = append(due, c)
		}
	}
	return due
}

func (w *reminders) close() {
	close(w.stop)
	<-w.done
}
