package client

import (
	"cmp"
	"maps"
	"slices"

	"rollcall/protocol"
)

// call is a request that waits for its answer.
type call struct {
	command protocol.Command
	answer  chan protocol.Message // holds one; closed: there won't be any; nil: nobody waits
	refresh bool                  // a join by which the client goes on from what it has seen
	conn    *Conn                 // what it was sent on
	user    string                // who sent it, as the server knows them
}

func (c *call) done(m protocol.Message) {
	if c.answer != nil {
		c.answer <- m
	}
}

func (c *call) fail() {
	if c.answer != nil {
		close(c.answer)
	}
}

// repeatable: a second time does no harm. A key makes a publish so, while the
// room keeps the first one.
func (c *call) repeatable() bool {
	publish, ok := c.command.(*protocol.Publish)
	return ok && publish.Key != ""
}

// answered is the call that m answers; nil: none.
func (c *Client) answered(m protocol.Message) *call {
	id := idOf(m)
	c.mu.Lock()
	defer c.mu.Unlock()
	call := c.calls[id]
	delete(c.calls, id)
	return call
}

// late says whether m can only be the answer to a call that is no more. A late
// Joined is none: the client is in the room.
func late(m protocol.Message) bool {
	_, joined := m.(*protocol.Joined)
	return idOf(m) != 0 && !joined
}

// idOf is the id of the request that m answers; 0: it answers none.
func idOf(m protocol.Message) uint64 {
	switch m := m.(type) {
	case *protocol.OK:
		return m.ID
	case *protocol.Joined:
		return m.ID
	case *protocol.MemberList:
		return m.ID
	case *protocol.Messages:
		return m.ID
	case *protocol.Pong:
		return m.ID
	case *protocol.Error:
		return m.ID
	}
	return 0
}

// left are the calls of a connection that is gone which wait to be repeated in
// room, in the order they were made. Called with mu held.
func (c *Client) left(room string) []*call {
	var left []*call
	for _, call := range c.calls {
		if call.conn != c.conn && call.command.RoomName() == room {
			left = append(left, call)
		}
	}
	slices.SortFunc(left, func(a, b *call) int { return cmp.Compare(a.command.RequestID(), b.command.RequestID()) })
	return left
}

// giveUp fails the calls that wait to be repeated in a room that the client is
// out of. Called with mu held.
func (c *Client) giveUp(room string) {
	for _, call := range c.left(room) {
		delete(c.calls, call.command.RequestID())
		call.fail()
	}
}

// failAll ends all calls: no connection comes any more.
func (c *Client) failAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for call := range maps.Values(c.calls) {
		call.fail()
	}
	clear(c.calls)
}
