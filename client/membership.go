package client

import (
	"encoding/json"
	"slices"

	"rollcall/protocol"
)

// membership is a room that the client is in, or wants to be in again: what it
// has seen of the room's stream, and what to join with.
type membership struct {
	room    string
	data    json.RawMessage // to join with; nil: that of the connection
	history int             // wanted by the first join
	observe bool
	at      protocol.Position // what was seen
	mode    protocol.Mode
	stale   bool // something was missed: nothing is taken before the next snapshot
	leaving bool // to be left, or being left: not joined again
}

// rejoin is the join that brings the client back into the room, and all that
// it missed with it.
func (m *membership) rejoin(id uint64) *protocol.Join {
	j := &protocol.Join{Request: protocol.Request{ID: id, Room: m.room}, Data: m.data, Observe: m.observe}
	if m.at.Epoch == "" {
		j.History = m.history
		return j
	}
	at := m.at
	j.Since = &at
	return j
}

// entered takes a snapshot: the room's stream begins anew after it.
func (m *membership) entered(j *protocol.Joined) {
	m.at = protocol.Position{Epoch: j.Epoch, Offset: j.Offset}
	m.mode = j.Mode
	m.observe = j.Observer
	m.stale, m.leaving = false, false
}

// unseen is what the client has not had of the messages that a snapshot brings.
func (m *membership) unseen(j *protocol.Joined) []protocol.MessagePublished {
	if j.Epoch != m.at.Epoch {
		return j.Messages
	}
	return slices.DeleteFunc(j.Messages, func(e protocol.MessagePublished) bool { return e.Offset <= m.at.Offset })
}

// saw takes what the room tells. gap: it is not the next one, and the position
// stays before what was missed (docs/protocol.md §6 and §7).
func (m *membership) saw(told protocol.Message) (gap *Gap) {
	missed := func(got uint64) *Gap {
		m.stale = true
		return &Gap{Room: m.room, Have: m.at.Offset, Got: got}
	}
	switch e := told.(type) {
	case *protocol.Occupancy: // what was between is not told
		m.at.Offset = max(m.at.Offset, e.Offset)
	case *protocol.ModeChanged:
		if m.dense() && m.mode != protocol.ModeCount && e.Offset > m.at.Offset {
			return missed(e.Offset)
		}
		m.at.Offset = max(m.at.Offset, e.Offset)
		m.mode = e.Mode
	case *protocol.Presence:
		if m.dense() && before(e.Prev, e.From) != m.at.Offset {
			return missed(e.From)
		}
		m.at.Offset = e.Offset
	default:
		s := stampOf(told)
		if m.dense() && before(s.Prev, s.Offset) != m.at.Offset {
			return missed(s.Offset)
		}
		m.at.Offset = s.Offset
	}
	return nil
}

// dense: every event says which was told before. Other modes may come.
func (m *membership) dense() bool {
	return m.mode == protocol.ModeFull || m.mode == protocol.ModeBatch || m.mode == protocol.ModeCount
}

// before is the offset before one: prev where it is given.
func before(prev, offset uint64) uint64 {
	if prev == 0 && offset > 0 {
		return offset - 1
	}
	return prev
}

// roomOf is the room whose stream m is part of; empty: it is part of none.
func roomOf(m protocol.Message) string {
	switch m := m.(type) {
	case *protocol.Presence:
		return m.Room
	case *protocol.Occupancy:
		return m.Room
	case *protocol.ModeChanged:
		return m.Room
	}
	if s := stampOf(m); s != nil {
		return s.Room
	}
	return ""
}

// stampOf is the stamp of a single numbered event; nil: m is none.
func stampOf(m protocol.Message) *protocol.Stamp {
	switch m := m.(type) {
	case *protocol.MemberJoined:
		return &m.Stamp
	case *protocol.MemberLeft:
		return &m.Stamp
	case *protocol.MemberUpdated:
		return &m.Stamp
	case *protocol.MessagePublished:
		return &m.Stamp
	}
	return nil
}
