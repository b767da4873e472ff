package actors

import (
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"rollcall/engine"
	"rollcall/protocol"
)

// A client protocol may let a client publish to rooms that it is not in, as
// STOMP's brokers do. Such a message is an open command. Within a visit it goes
// the way of all commands, and else by the lobby, as a join does: so it comes
// neither before the join that follows it nor before what was sent in a visit
// that is over. Nobody becomes a member by it.

// outside brings an open message of a client that is not in the room. Client to
// lobby to room. The client is answered.
type outside struct{ *command }

func (m *outside) roomName() string { return m.visit.room }

// refuse implements question.
func (m *outside) refuse(err *protocol.Error) {
	answer := *err
	answer.ID, answer.Room = m.RequestID(), m.visit.room
	m.command.refuse(&answer)
}

// departure is a visit that the client has left, until its room lets go of it.
type departure struct {
	visit  *visit
	behind []*command // open ones, for then
}

// PublishAll takes messages to their rooms, in order, whether the client is in
// them or not; or none of them, where one would be refused for the limits: then
// request id is answered with that, and it reports false. Others is how many more
// messages, to wherever, the limits have to allow.
func (c *Client) PublishAll(from Connection, id uint64, all []*protocol.Publish, others, size int) bool {
	c.in.Lock()
	defer c.in.Unlock()
	if c.ended.Load() || c.connection() != from {
		return false
	}
	for _, p := range all {
		c.sys.stats.command(p)
	}
	if err := c.admitAll(all, others); err != nil {
		err.ID = id
		c.refuse(from, err)
		return false
	}
	c.stir(true)
	for _, p := range all {
		c.publish(&command{
			Command: p, open: true, cost: int64(len(p.Data) + len(p.Headers) + size/len(all) + commandOverhead), conn: from,
		})
	}
	return true
}

// admitAll holds messages against the session's limits, together.
func (c *Client) admitAll(all []*protocol.Publish, others int) *protocol.Error {
	for _, p := range all {
		if protocol.ServerRoom(p.Room) {
			return serverRoom(p.Room)
		}
	}
	rate, n := c.sys.o.Limits.PublishRate, len(all)+others
	burst := max(rate, 1, float64(n)) // more than the bucket holds pass when it is full: else they never would
	if wait, ok := c.buckets().publishes.takeAll(c.sys.now(), n, rate, burst); !ok {
		return rateLimited(wait)
	}
	return nil
}

// publish sends an open message on its way: within the client's visit, behind
// one that it is leaving, or from outside.
func (c *Client) publish(m *command) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != m.conn { // over: nobody waits for an answer
		return
	}
	room := m.RoomName()
	if v := c.visitOf(room); v != nil {
		if c.book(v, m) {
			v.box.postSoon(m, m.conn)
		}
		return
	}
	c.exempt(m)
	for i := len(c.leaving) - 1; i >= 0; i-- {
		if d := &c.leaving[i]; d.visit.room == room {
			d.behind = append(d.behind, m)
			return
		}
	}
	c.sys.toLobby(&outside{m})
}

// exempt books an open message by itself: it is not of a visit, or not any more.
// c.mu is held.
func (c *Client) exempt(m *command) {
	m.visit = &visit{client: c, room: m.RoomName()}
	c.owe(m.visit, m.cost)
}

// release ends the wait for a visit that is over: of the open messages that
// waited for it to begin, and of those behind its end. They go behind the visit
// to the same room before it, or else before the one after it, which its room
// has not begun yet; or else from outside. It returns the rest of those that
// waited. c.mu is held.
func (c *Client) release(v *visit, waiting []*command) (rest []*command) {
	var open []*command
	for _, m := range waiting {
		if m.open {
			c.exempt(m)
			open = append(open, m)
		} else {
			rest = append(rest, m)
		}
	}
	var before *departure
	after, passed := c.visitOf(v.room), false
	for i := 0; i < len(c.leaving); i++ {
		switch d := &c.leaving[i]; {
		case d.visit == v:
			open, passed = append(open, d.behind...), true
			c.leaving = slices.Delete(c.leaving, i, i+1)
			i--
		case d.visit.room == v.room && !passed:
			before = d
		case d.visit.room == v.room:
			after, i = d.visit, len(c.leaving)
		}
	}
	if len(c.leaving) == 0 {
		c.leaving = nil
	}
	switch {
	case before != nil:
		before.behind = append(before.behind, open...)
	case after != nil:
		for _, m := range open {
			m.visit.settle(m.cost)
			m.visit = after
			c.owe(after, m.cost)
		}
		after.waiting = append(open, after.waiting...)
	default:
		for _, m := range open {
			c.sys.toLobby(&outside{m})
		}
	}
	return rest
}

// outside publishes a message of somebody who is no member.
func (r *room) outside(ctx actor.Context, m *command) {
	c, p := m.visit.client, m.Command.(*protocol.Publish)
	if err := r.barred(c); err != nil {
		err.ID, err.Room = m.RequestID(), r.name
		m.refuse(err)
		return
	}
	r.propose(ctx, &engine.Proposal{
		Kind: engine.Message, ID: newMessageID(), Session: c.id, User: c.user, Name: c.name, Data: p.Data,
		Key: p.Key, Headers: p.Headers, Outside: true, At: unixMS(),
	}, ask{command: m})
}

// barred says why a client may do nothing in the room; nil: it may.
func (r *room) barred(c *Client) *protocol.Error {
	switch {
	case r.closing || r.broken:
		return errClosing()
	case r.banned.has(c.user, c.id):
		return &protocol.Error{Code: protocol.ErrBanned, Message: "this user or session is kept out of the room"}
	}
	return nil
}

// hold settles a command of somebody without a seat: with what some members are
// behind with, where there are any.
func (r *room) hold(m *command) {
	for _, f := range r.fans {
		if f.holds(m) {
			return
		}
	}
	m.visit.settle(m.cost)
}
