package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"rollcall/protocol"
)

// Requests wait for their answer as long as ctx lasts; each fails with a
// *protocol.Error where the server refused, ErrOffline, ErrUnanswered or the
// context's error. When the connection breaks they fail with ErrUnanswered,
// all but PublishOnce. Only a write that the network holds up outlasts ctx, by
// Options.WriteTimeout at most. Data is sent as JSON; a json.RawMessage byte for
// byte.

// Join is what a join may ask for.
type Join struct {
	Data    any                // nil: that of the connection
	History int                // 0 to 100 newest messages wanted
	Since   *protocol.Position // messages after it wanted; nil: none
	Observe bool               // watch the room without being a member
}

// Join enters a room. The answer is also an event: it starts the room's stream.
// The client comes back into the room after a reconnect until it leaves.
func (c *Client) Join(ctx context.Context, room string, j Join) (*protocol.Joined, error) {
	data, err := optional(j.Data)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	if m := c.in(room); m != nil {
		m.leaving = false
	}
	c.mu.Unlock()
	cmd := &protocol.Join{Request: c.request(room), Data: data, History: j.History, Since: j.Since, Observe: j.Observe}
	return ask[*protocol.Joined](ctx, c, &call{command: cmd})
}

// Refresh asks for a fresh snapshot of a room that the client is in: as after
// ModeCount, where members are not told. Its Messages are those that were no
// events yet, as a rule none. It is an event, too. After a Gap the client
// refreshes by itself. It fails with ErrNotJoined for other rooms.
func (c *Client) Refresh(ctx context.Context, room string) (*protocol.Joined, error) {
	request := c.request(room)
	c.mu.Lock()
	m := c.in(room)
	if m == nil || m.leaving {
		c.mu.Unlock()
		return nil, ErrNotJoined
	}
	cmd := m.rejoin(request.ID)
	c.mu.Unlock()
	return ask[*protocol.Joined](ctx, c, &call{command: cmd, refresh: true})
}

// Leave leaves a room, and does not come back into it whatever the answer: a
// session that comes back leaves it then.
func (c *Client) Leave(ctx context.Context, room string) error {
	c.mu.Lock()
	if m := c.in(room); m != nil {
		m.leaving = true
		c.giveUp(room)
	}
	c.mu.Unlock()
	_, err := ask[*protocol.OK](ctx, c, &call{command: &protocol.Leave{Request: c.request(room)}})
	return err
}

// Publish sends a message to a room. The answer has its offset and id.
func (c *Client) Publish(ctx context.Context, room string, data any) (*protocol.OK, error) {
	return c.PublishOnce(ctx, room, "", data)
}

// PublishOnce is Publish with a key of 1 to 64 bytes: a repeat of it answers the
// first one's and tells nobody again, while the room keeps the first one. So
// when the connection breaks before the answer, the client comes back into the
// room and asks again by itself. ErrUnanswered then means that it could not
// know that to be safe: the room has forgotten some of what was said meanwhile,
// the client is another user now, or it is not coming back into the room.
func (c *Client) PublishOnce(ctx context.Context, room, key string, data any) (*protocol.OK, error) {
	raw, err := encode(data)
	if err != nil {
		return nil, err
	}
	return ask[*protocol.OK](ctx, c, &call{command: &protocol.Publish{Request: c.request(room), Data: raw, Key: key}})
}

// Update replaces the member's data in a room. After a reconnect the client
// joins with the newest.
func (c *Client) Update(ctx context.Context, room string, data any) (*protocol.OK, error) {
	raw, err := encode(data)
	if err != nil {
		return nil, err
	}
	return ask[*protocol.OK](ctx, c, &call{command: &protocol.Update{Request: c.request(room), Data: raw}})
}

// Signal passes something on that is neither numbered nor kept.
func (c *Client) Signal(ctx context.Context, room string, data any) error {
	raw, err := encode(data)
	if err != nil {
		return err
	}
	_, err = ask[*protocol.OK](ctx, c, &call{command: &protocol.Signal{Request: c.request(room), Data: raw}})
	return err
}

// Members returns a page of a room's members: limit is 1 to 1000, 0 for the
// server's default; cursor is MemberList.Next of the page before.
func (c *Client) Members(ctx context.Context, room string, limit int, cursor string) (*protocol.MemberList, error) {
	return ask[*protocol.MemberList](ctx, c, &call{command: &protocol.Members{Request: c.request(room), Limit: limit, Cursor: cursor}})
}

// History returns kept messages below the offset before, 0 for the newest:
// limit is 1 to 100, 0 for the server's default.
func (c *Client) History(ctx context.Context, room string, before uint64, limit int) (*protocol.Messages, error) {
	return ask[*protocol.Messages](ctx, c, &call{command: &protocol.History{Request: c.request(room), Before: before, Limit: limit}})
}

// Ping asks whether the server is there.
func (c *Client) Ping(ctx context.Context) (*protocol.Pong, error) {
	return ask[*protocol.Pong](ctx, c, &call{command: &protocol.Ping{Request: c.request("")}})
}

func optional(data any) (json.RawMessage, error) {
	if data == nil {
		return nil, nil
	}
	return encode(data)
}

// request takes the next id.
func (c *Client) request(room string) protocol.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastID++
	return protocol.Request{ID: c.lastID, Room: room}
}

// ask makes a call and waits for its answer.
func ask[T protocol.Message](ctx context.Context, c *Client, waiting *call) (answer T, err error) {
	cmd := waiting.command
	if err := ctx.Err(); err != nil {
		return answer, err
	}
	waiting.answer = make(chan protocol.Message, 1)
	c.mu.Lock()
	conn := c.conn
	if conn == nil {
		c.mu.Unlock()
		return answer, ErrOffline
	}
	waiting.conn, waiting.user = conn, c.welcome.User
	c.calls[cmd.RequestID()] = waiting
	c.mu.Unlock()
	if err := conn.Write(cmd.AppendJSON(nil)); err != nil && !waiting.repeatable() {
		c.abandon(cmd)
		if errors.Is(err, ErrClosed) {
			return answer, ErrOffline
		}
		return answer, fmt.Errorf("%w: %w", ErrUnanswered, err)
	}
	select {
	case m, ok := <-waiting.answer:
		if !ok {
			return answer, ErrUnanswered
		}
		switch m := m.(type) {
		case *protocol.Error:
			return answer, m
		case T:
			return m, nil
		}
		return answer, fmt.Errorf("%T answered with %T", cmd, m)
	case <-ctx.Done():
		c.abandon(cmd)
		return answer, ctx.Err()
	}
}

// abandon forgets a call: its answer comes to nobody.
func (c *Client) abandon(cmd protocol.Command) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.calls, cmd.RequestID())
}
