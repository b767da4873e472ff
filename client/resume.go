package client

import (
	"slices"

	"rollcall/protocol"
)

// What outlives a connection: the session, by its token; the rooms, by what was
// seen of them; and the publishes that may be sent twice.

// lose ends what belonged to a connection that is gone.
func (c *Client) lose() {
	c.mu.Lock()
	c.conn = nil
	for id, call := range c.calls {
		room := c.in(call.command.RoomName())
		if call.repeatable() && room != nil && !room.leaving {
			continue // until the room is entered again, or is not
		}
		if join, ok := call.command.(*protocol.Join); ok && room == nil {
			// Nobody knows whether the session is in: whoever asked was told that it
			// came to nothing, so it shall not be.
			c.rooms = append(c.rooms, &membership{room: join.Room, leaving: true})
		}
		delete(c.calls, id)
		call.fail()
	}
	c.mu.Unlock()
	c.writers.Wait()
}

// reconnect opens the next connection, as the same session where the server
// still has it. The rooms are joined by commands, for only they can tell what
// was seen of them.
func (c *Client) reconnect() error {
	o := c.opts
	o.Rooms = nil
	o.Resume = c.Welcome().Resume
	conn, welcome, err := c.connect(c.ctx, o)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.conn, c.welcome = conn, welcome
	if !welcome.Resumed { // a new session is in no room
		c.rooms = slices.DeleteFunc(c.rooms, func(m *membership) bool { return m.leaving })
	}
	rooms := slices.Clone(c.rooms)
	c.mu.Unlock()
	if c.ctx.Err() != nil { // Close may not have seen this connection
		_ = conn.Close(protocol.CloseNormal, "")
	}
	c.writers.Go(func() { // not here: the answers must be read meanwhile
		for _, m := range rooms {
			c.enter(conn, m)
		}
	})
	return nil
}

// enter asks for a room again, or to be let out of one that is to be left,
// unless that is done or the connection gone.
func (c *Client) enter(conn *Conn, m *membership) {
	c.mu.Lock()
	if c.conn != conn || !slices.Contains(c.rooms, m) {
		c.mu.Unlock()
		return
	}
	c.lastID++
	var cmd protocol.Command
	if m.leaving {
		cmd = &protocol.Leave{Request: protocol.Request{ID: c.lastID, Room: m.room}}
	} else {
		cmd = m.rejoin(c.lastID)
	}
	c.calls[c.lastID] = &call{command: cmd, conn: conn, refresh: !m.leaving}
	c.mu.Unlock()
	_ = conn.Write(cmd.AppendJSON(nil)) // a failure ends the connection
}

// repeat sends what was not answered before the connection broke, now that its
// room is entered again. That is safe where the room still keeps all that was
// said since, so also a first one that arrived: else whoever asked has to
// decide. Called with mu held, before the membership takes the snapshot.
func (c *Client) repeat(conn *Conn, m *membership, j *protocol.Joined) {
	var again []*call
	for _, call := range c.left(m.room) {
		if !j.Recovered || j.Epoch != m.at.Epoch || call.user != c.welcome.User {
			delete(c.calls, call.command.RequestID())
			call.fail()
			continue
		}
		call.conn = conn
		again = append(again, call)
	}
	if again == nil {
		return
	}
	c.writers.Go(func() {
		for _, call := range again {
			_ = conn.Write(call.command.AppendJSON(nil)) // a failure ends the connection
		}
	})
}
