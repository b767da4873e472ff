package actors

import (
	"sync"
	"sync/atomic"
)

// Flow control of what a client sends: every command costs its size until
// somebody finished it. A client that owes more than maxOwed is not read from
// until it owes less than half, so mailboxes are bounded by the number of
// connections, and a room that can't keep up slows its publishers down instead
// of refusing them.
const (
	maxOwed         = 64 << 10
	commandOverhead = 128 // about what a command costs besides its bytes
)

type flow struct {
	owed   atomic.Int64
	paused atomic.Pointer[pause] // nil: it is read from
	mu     sync.Mutex            // orders Pause and Resume
}

// pause is a connection that is not read from.
type pause struct{ conn Connection }

// owe books the cost of a command that goes on its way. c.mu is held.
func (c *Client) owe(v *visit, cost int64) {
	v.owed.Add(cost)
	if c.flow.owed.Add(cost) <= maxOwed || c.flow.paused.Load() != nil {
		return
	}
	c.flow.mu.Lock()
	defer c.flow.mu.Unlock()
	if c.flow.paused.Load() != nil {
		return
	}
	c.flow.paused.Store(&pause{c.conn})
	c.conn.Pause()
	c.flow.readOn() // it may have been settled before paused was seen
}

// readOn ends the pause if little enough is owed. f.mu is held.
func (f *flow) readOn() {
	if p := f.paused.Load(); p != nil && f.owed.Load() <= maxOwed/2 {
		f.paused.Store(nil)
		p.conn.Resume()
	}
}

// settle takes the cost of a finished command off the books. What a visit that
// is over still owed was forgiven already.
func (v *visit) settle(cost int64) {
	for {
		owed := v.owed.Load()
		paid := min(cost, owed)
		if paid <= 0 {
			return
		}
		if v.owed.CompareAndSwap(owed, owed-paid) {
			v.client.pay(paid)
			return
		}
	}
}

// forgive takes all that a visit owes off the books.
func (c *Client) forgive(v *visit) { c.pay(v.owed.Swap(0)) }

func (c *Client) pay(cost int64) {
	if c.flow.owed.Add(-cost) > maxOwed/2 || c.flow.paused.Load() == nil {
		return
	}
	c.flow.mu.Lock()
	defer c.flow.mu.Unlock()
	c.flow.readOn()
}
