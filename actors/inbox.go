package actors

import "sync"

// inbox is what the lobby has for one room and the room did not take up yet.
// It outlives the room's actor, so nothing in it is lost when that fails.
type inbox struct {
	mu      sync.Mutex
	waiting []routed
	taken   uint64 // so many were taken so far
}

// put adds a message. The room is told by a knock, one for each.
func (i *inbox) put(m routed) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.waiting = append(i.waiting, m)
}

// take returns the oldest message; nil: there is none.
func (i *inbox) take() routed {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.waiting) == 0 {
		return nil
	}
	m := i.waiting[0]
	i.waiting[0] = nil
	i.taken++
	if i.waiting = i.waiting[1:]; len(i.waiting) == 0 {
		i.waiting = nil
	}
	return m
}

// takeAll empties the inbox.
func (i *inbox) takeAll() []routed {
	i.mu.Lock()
	defer i.mu.Unlock()
	all := i.waiting
	i.waiting = nil
	return all
}

// count is how many messages were taken so far.
func (i *inbox) count() uint64 {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.taken
}

// quiet reports whether nothing came after the room had taken so many.
func (i *inbox) quiet(taken uint64) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.waiting) == 0 && i.taken == taken
}
