package actors

import (
	"math/rand/v2"
	"time"

	"rollcall/internal/logs"
	"rollcall/protocol"
)

// Whom a room sends away comes back after shedAfter, and up to shedSpread later:
// by then a queue of some ten thousand is mostly gone, and they do not all
// return together.
const (
	shedAfter  = 5 * time.Second
	shedSpread = 10 * time.Second
)

// shed turns away a join that would wait behind Limits.RoomQueue others. A
// client that is in no room came for this one: it is sent away, and told when to
// come back. Who is in other rooms stays there, and is refused in this one.
func (r *room) shed(m any) {
	r.sys.stats.JoinsShed.Add(1)
	if m, ok := m.(*enter); ok && !m.visit.client.present() {
		m.visit.client.EndAfter(protocol.ReasonFailed, protocol.CloseOverloaded, "overloaded", shedAfter+rand.N(shedSpread))
		m.visit.abandon()
		return
	}
	r.refuse(m, &protocol.Error{Code: protocol.ErrUnavailable, Message: "too many join this room at once; try again in a while"})
	if m, ok := m.(*enter); ok {
		c := m.visit.client
		r.sys.log.Info(logs.RoomRefused, logs.Fields{"room": r.name, "session": c.id, "user": c.user, "reason": protocol.ErrUnavailable})
	}
}

// present reports whether the client is in any room.
func (c *Client) present() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range c.visits {
		if v.box != nil {
			return true
		}
	}
	return false
}
