package presence

import (
	"cmp"
	"encoding/json"
	"slices"

	"rollcall/protocol"
)

// Changes collects joins, leaves and updates of a room, in the order of their
// offsets, to be told as one Presence. The zero value is empty.
type Changes struct {
	p       protocol.Presence
	size, n int            // about the bytes that p takes; events in it
	joined  map[string]int // sessions of p.Joins, and where
	left    map[string]struct{}
	updated map[string]int // sessions of p.Updates, and where
}

// Empty reports whether nothing is collected.
func (c *Changes) Empty() bool { return c.p.From == 0 }

// Prev is the offset of the event before the first that is collected.
func (c *Changes) Prev() uint64 {
	if c.p.Prev != 0 {
		return c.p.Prev
	}
	return c.p.From - 1
}

// Len is how many events are collected.
func (c *Changes) Len() int { return c.n }

// Size is about how many bytes long the Presence is by now.
func (c *Changes) Size() int { return c.size }

// Left reports whether the leave of a session is collected: its next join must
// wait until that is told, or who applies joins first would see it twice.
func (c *Changes) Left(session string) bool {
	_, left := c.left[session]
	return left
}

// Join adds a join. Its session must not have Left.
func (c *Changes) Join(m *protocol.MemberJoined) {
	c.add(&m.Stamp)
	if c.joined == nil {
		c.joined = map[string]int{}
	}
	c.joined[m.Member.Session] = len(c.p.Joins)
	c.p.Joins = append(c.p.Joins, *m)
	unstamp(&c.p.Joins[len(c.p.Joins)-1].Stamp)
	c.size += 160 + len(m.Member.Session) + len(m.Member.User) + len(m.Member.Name) + len(m.Member.Data)
}

// Leave adds a leave. What was to be told of updates before is void.
func (c *Changes) Leave(m *protocol.MemberLeft) {
	c.add(&m.Stamp)
	if c.left == nil {
		c.left = map[string]struct{}{}
	}
	c.left[m.Session] = struct{}{}
	if i, ok := c.updated[m.Session]; ok {
		c.p.Updates[i].Session = ""
		delete(c.updated, m.Session)
	}
	c.p.Leaves = append(c.p.Leaves, *m)
	unstamp(&c.p.Leaves[len(c.p.Leaves)-1].Stamp)
	c.size += 110 + len(m.Session) + len(m.User)
}

// Update adds an update. It becomes part of the join or of an earlier update
// of the same session where there is one.
func (c *Changes) Update(m *protocol.MemberUpdated) {
	c.add(&m.Stamp)
	if i, ok := c.joined[m.Session]; ok {
		member := &c.p.Joins[i].Member
		c.merge(&member.State, &member.Data, m)
		return
	}
	if i, ok := c.updated[m.Session]; ok {
		u := &c.p.Updates[i]
		u.Offset, u.At = m.Offset, m.At
		c.merge(&u.State, &u.Data, m)
		return
	}
	if m.State == "" && m.Data == nil {
		return
	}
	if c.updated == nil {
		c.updated = map[string]int{}
	}
	c.updated[m.Session] = len(c.p.Updates)
	c.p.Updates = append(c.p.Updates, *m)
	unstamp(&c.p.Updates[len(c.p.Updates)-1].Stamp)
	c.size += 90 + len(m.Session) + len(m.User) + len(m.Data)
}

func (c *Changes) merge(state *protocol.State, data *json.RawMessage, m *protocol.MemberUpdated) {
	if m.State != "" {
		*state = m.State
	}
	if m.Data != nil {
		c.size += len(m.Data) - len(*data)
		*data = m.Data
	}
}

// add covers the offset of an event.
func (c *Changes) add(s *protocol.Stamp) {
	if c.p.From == 0 {
		c.p.From, c.p.Prev, c.p.Room = s.Offset, s.Prev, s.Room
	}
	c.p.Offset, c.p.At = s.Offset, s.At
	c.n++
}

// unstamp takes off what an entry of a Presence has in common with all.
func unstamp(s *protocol.Stamp) { s.Room, s.Prev = "", 0 }

// Take returns what was collected, of a room that has come to count, and is
// empty again; nil: nothing was.
func (c *Changes) Take(count protocol.Count) *protocol.Presence {
	if c.Empty() {
		return nil
	}
	p := c.p
	*c = Changes{}
	p.Count = count
	p.Updates = slices.DeleteFunc(p.Updates, func(u protocol.MemberUpdated) bool { return u.Session == "" })
	slices.SortFunc(p.Updates, func(a, b protocol.MemberUpdated) int { return cmp.Compare(a.Offset, b.Offset) })
	return &p
}
