package actors

import (
	"fmt"

	"github.com/asynkron/protoactor-go/actor"

	"rollcall/internal/logs"
	"rollcall/protocol"
)

// session is one member: a client's visit to one room. It is a state machine,
// active → idle, lost or unresponsive → active … → ended, fed by its client's
// commands and by the reminders to look at how it stands. It never restarts: a session that fails is
// stopped, and its room announces it.
type session struct {
	visit *visit
	state protocol.State
	ended bool
}

// Receive is the session's protocol, in the order a session lives it.
func (s *session) Receive(ctx actor.Context) {
	defer explain()
	defer s.answerFailed(ctx.Message())
	switch m := ctx.Message().(type) {
	case *actor.Started:
	case *command:
		s.command(ctx, m)
	case *checkState:
		s.look(ctx)
	case *parted:
		ctx.Send(ctx.Parent(), &part{s.visit, m})
		s.look(ctx)
	case *end:
		s.end(ctx, &leave{visit: s.visit, reason: m.reason, code: m.code, cause: m.cause})
	case *fault:
		m.do(s)
	case *actor.Stopping:
	case *actor.Stopped:
		*s = session{ended: true} // the parent may pin a stopped child: hold nothing
	default:
		s.visit.client.sys.log.Error(logs.Unexpected, logs.Fields{"actor": ctx.Self().Id, "message_type": fmt.Sprintf("%T", m)})
	}
}

// command passes a request on to the room. One that comes after the end is
// answered as any from outside the room is.
func (s *session) command(ctx actor.Context, m *command) {
	if s.ended {
		m.refuse(notJoined(m.RequestID(), m.visit.room))
		return
	}
	if _, ok := m.Command.(*protocol.Leave); ok && m.stream == nil {
		s.end(ctx, &leave{visit: s.visit, reason: protocol.ReasonLeft, ask: m})
		return
	}
	ctx.Send(ctx.Parent(), m)
}

// answerFailed keeps a panic from leaving a request without an answer.
func (s *session) answerFailed(m any) {
	p := recover()
	if p == nil {
		return
	}
	failed := withStack(p)
	defer panic(failed)
	defer func() { _ = recover() }() // the first panic is the one to tell
	if m, ok := m.(*command); ok {
		m.refuse(&protocol.Error{ID: m.RequestID(), Room: m.visit.room, Code: protocol.ErrInternal, Message: "the session failed; join again"})
	}
}

// look tells the room of the client's state, if it is a new one.
func (s *session) look(ctx actor.Context) {
	if s.ended {
		return
	}
	c := s.visit.client
	if state := c.state(c.sys.now()); state != s.state {
		s.state = state
		ctx.Send(ctx.Parent(), &restate{s.visit, state})
	}
}

// end tells the room that the member goes. The room stops the session.
func (s *session) end(ctx actor.Context, m *leave) {
	if s.ended {
		return
	}
	s.ended = true
	ctx.Send(ctx.Parent(), m)
}
