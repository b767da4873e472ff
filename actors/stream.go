package actors

import (
	"slices"
	"time"

	"rollcall/protocol"
)

// A client protocol may have a member ask for parts of what its room tells, each
// under a name of its own: STOMP's subscriptions are that. Such a part is a
// Stream, an Encoding that leaves things out. The member's seat then has no
// target, as if it were away: what is for it alone goes by its client, and each
// stream has a target in the fan-out of all members whose streams are equal.

// Stream is the Encoding of a part of what a room tells. What it does not want
// it encodes as nothing.
type Stream interface {
	Encoding
	// At is the stream in an epoch of its room. It is used by no other room.
	At(epoch string) Stream
	// Wants reports whether m may be more than nothing.
	Wants(m protocol.Message) bool
}

// Subscribe begins a stream of a room, and joins the room before where the
// client is not in it. The stream's snapshot is a Joined; the answer is OK.
func (c *Client) Subscribe(from Connection, join *protocol.Join, to Stream, size int) {
	c.do(&command{Command: join, stream: to, cost: int64(size + commandOverhead), conn: from})
}

// Unsubscribe ends a stream. The client stays in the room. The answer is OK.
func (c *Client) Unsubscribe(from Connection, r protocol.Request, to Stream, size int) {
	c.do(&command{Command: &protocol.Leave{Request: r}, stream: to, cost: int64(size + commandOverhead), conn: from})
}

func rateLimited(wait time.Duration) *protocol.Error {
	return &protocol.Error{
		Code: protocol.ErrRateLimited, Message: "too many requests of this kind", RetryMS: (wait + time.Millisecond - 1).Milliseconds(),
	}
}

// Heard notes that the client runs: something came from it that is no command,
// and so no activity.
func (c *Client) Heard(from Connection) {
	if !c.ended.Load() && c.connection() == from {
		c.stir(false)
	}
}

// stream is one of a seat's.
type stream struct {
	fan    *fanout
	target target
}

// listen begins a stream with a snapshot. The answer comes behind it, and then
// wrote is called, where it is not nil.
func (r *room) listen(s *seat, join *protocol.Join, to Stream, on Connection, wrote func()) {
	client := s.visit.client
	done := func() {
		if join.ID != 0 {
			client.say(on, &protocol.OK{ID: join.ID})
		}
		if wrote != nil {
			wrote()
		}
	}
	if s.ask != nil || client.connection() != on { // on its way out already
		done()
		return
	}
	st := &stream{fan: r.fan(to.At(r.epoch())), target: target{conn: on}}
	s.streams = append(s.streams, st)
	st.fan.join(&st.target, r.joined(s, join), done)
}

// restream begins or ends a stream of somebody who is in the room.
func (r *room) restream(s *seat, m *command) {
	if join, ok := m.Command.(*protocol.Join); ok {
		r.listen(s, join, m.stream, m.conn, nil)
		m.visit.settle(m.cost)
		return
	}
	enc := Encoding(m.stream.At(r.epoch()))
	for i, st := range s.streams {
		if st.fan.enc == enc {
			st.fan.leave(&st.target, nil, nil)
			s.streams = slices.Delete(s.streams, i, i+1)
			break
		}
	}
	r.answer(m, &protocol.OK{ID: m.RequestID()})
}

// hush ends all streams of a member.
func (s *seat) hush() {
	for _, st := range s.streams {
		st.fan.leave(&st.target, nil, nil)
	}
	s.streams = nil
}

// tellStreams tells a member an event that the others are not told now.
func (s *seat) tellStreams(m protocol.Message) {
	for _, st := range s.streams {
		st.fan.answer(&st.target, m)
	}
}

// renew gives a member's streams the snapshot of a room that started over.
func (r *room) renew(s *seat) {
	for _, f := range r.fans {
		if to, ok := f.enc.(Stream); ok {
			f.enc = to.At(r.epoch())
		}
	}
	s.tellStreams(r.joined(s, &protocol.Join{}))
}

// deaf reports whether m is nothing to the targets of f.
func (f *fanout) deaf(m protocol.Message) bool {
	to, ok := f.enc.(Stream)
	return ok && !to.Wants(m)
}

// over reports whether f was for streams, and nobody's is left: then another may
// take its place.
func (f *fanout) over() bool {
	if _, ok := f.enc.(Stream); !ok {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.writing && f.filling == nil && len(f.full) == 0 && len(f.targets) == 0
}

// hold settles a command of a member: no sooner than the room's messages are
// written to it, where it gets any.
func (s *seat) hold(m *command) {
	switch {
	case s.fan != nil:
		s.fan.hold(m)
	case len(s.streams) > 0:
		s.streams[0].fan.hold(m)
	default:
		m.visit.settle(m.cost)
	}
}
