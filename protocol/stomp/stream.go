package stomp

import (
	"encoding/json"
	"strconv"

	"rollcall/protocol"
)

// Stream is what one subscription to a room gets: its messages, or who is
// there. It is a value: equal streams write equal bytes, whoever's they are.
type Stream struct {
	Version  Version
	ID       string // of the subscription; empty: none (1.0)
	Room     string
	Epoch    string // of the offsets; set by At
	Presence bool   // who is there; false: messages
	Ack      bool   // the client acknowledges: in 1.2 each message says by which id
}

// At is the stream in an epoch of its room.
func (s Stream) At(epoch string) Stream {
	s.Epoch = epoch
	return s
}

// Wants reports whether anything of m is for this stream. Signals are for none.
func (s Stream) Wants(m protocol.Message) bool {
	switch m.(type) {
	case *protocol.Joined:
		return true
	case *protocol.MessagePublished:
		return !s.Presence
	case *protocol.MemberJoined, *protocol.MemberLeft, *protocol.MemberUpdated, *protocol.Presence, *protocol.Occupancy,
		*protocol.ModeChanged:
		return s.Presence
	}
	return false
}

// Append appends what m is to this stream: no frame, one, or, where a snapshot
// brings messages along, several. each wraps one frame as the connection needs
// it.
func (s Stream) Append(b []byte, m protocol.Message, each func(b []byte, frame func([]byte) []byte) []byte) []byte {
	if !s.Wants(m) {
		return b
	}
	switch m := m.(type) {
	case *protocol.MessagePublished:
		return each(b, func(b []byte) []byte { return s.message(b, m) })
	case *protocol.Joined:
		if !s.Presence {
			for i := range m.Messages {
				b = each(b, func(b []byte) []byte { return s.message(b, &m.Messages[i]) })
			}
			return b
		}
		j := *m
		j.ID, j.Messages = 0, nil
		return each(b, func(b []byte) []byte { return s.event(b, &j) })
	}
	return each(b, func(b []byte) []byte { return s.event(b, m) })
}

// place is where an event stands in its room's order, and what tells it from
// another one there.
func place(m protocol.Message) (offset uint64, suffix string) {
	switch m := m.(type) {
	case *protocol.Joined:
		return m.Offset, "-joined"
	case *protocol.MemberJoined:
		return m.Offset, ""
	case *protocol.MemberLeft:
		return m.Offset, ""
	case *protocol.MemberUpdated:
		return m.Offset, ""
	case *protocol.Presence:
		return m.Offset, ""
	case *protocol.Occupancy:
		return m.Offset, "-occupancy"
	case *protocol.ModeChanged:
		return m.Offset, "-mode"
	}
	return 0, ""
}

// event appends an event of presence, as JSON.
func (s Stream) event(b []byte, m protocol.Message) []byte {
	offset, suffix := place(m)
	b = s.begin(b, offset, suffix)
	b = append(b, "content-type:"+jsonType+"\n"...)
	return appendBody(b, m.AppendJSON(nil))
}

// message appends a message.
func (s Stream) message(b []byte, m *protocol.MessagePublished) []byte {
	b = s.begin(b, m.Offset, "")
	body, contentType := bodyOf(m.Data, m.Headers)
	b = s.header(b, "content-type", contentType)
	b = s.header(b, "rollcall-user", m.User)
	b = s.header(b, "rollcall-name", m.Name)
	if m.Session != "" {
		b = s.header(b, "rollcall-session", m.Session)
	}
	b = s.header(b, "rollcall-message", m.Message)
	b = append(strconv.AppendInt(append(b, "rollcall-at:"...), m.At, 10), '\n')
	return appendBody(s.passed(b, m.Headers), body)
}

// passed appends the headers that the sender gave a message.
func (s Stream) passed(b []byte, headers json.RawMessage) []byte {
	protocol.EachHeader(headers, func(name, value []byte) bool {
		if n := string(name); n != "content-type" && passes(n) {
			b = appendHeader(b, s.Version, escapes(s.Version, "MESSAGE"), n, value)
		}
		return true
	})
	return b
}

// begin appends what all frames of a stream begin with.
func (s Stream) begin(b []byte, offset uint64, suffix string) []byte {
	b = append(b, "MESSAGE\n"...)
	if s.ID != "" {
		b = s.header(b, "subscription", s.ID)
	}
	b = s.position(append(b, "message-id:"...), offset, suffix)
	if s.Ack && s.Version >= V12 {
		b = s.position(append(b, "ack:"...), offset, suffix)
	}
	b = append(append(b, "destination:/topic/"...), s.room()...)
	if s.Presence {
		b = append(b, "/presence"...)
	}
	return append(b, '\n')
}

// room is the room's name as a header has it.
func (s Stream) room() []byte {
	return appendText(nil, s.Version, escapes(s.Version, "MESSAGE"), s.Room, false)
}

// position appends a place in the room's order: epoch, hyphen, offset.
func (s Stream) position(b []byte, offset uint64, suffix string) []byte {
	b = append(append(b, s.Epoch...), '-')
	return append(append(strconv.AppendUint(b, offset, 10), suffix...), '\n')
}

func (s Stream) header(b []byte, name, value string) []byte {
	return appendHeader(b, s.Version, escapes(s.Version, "MESSAGE"), name, value)
}
