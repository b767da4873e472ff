package actors

import (
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"rollcall/bans"
	"rollcall/engine"
	"rollcall/internal/logs"
	"rollcall/presence"
	"rollcall/protocol"
	"rollcall/timeline"
)

// ask is who waits for the outcome of a proposal: at most one of them.
type ask struct {
	command *command
	call    question // by HTTP
}

func (a ask) refuse(err *protocol.Error) {
	switch {
	case a.command != nil:
		err.ID, err.Room = a.command.RequestID(), a.command.visit.room
		a.command.refuse(err)
	case a.call != nil:
		a.call.refuse(err)
	}
}

// propose hands p to the engine, and applies what comes back.
func (r *room) propose(ctx actor.Context, p *engine.Proposal, a ask) {
	if o, now := r.order.Propose(p); now {
		r.settle(ctx, o, a)
		return
	}
	if a != (ask{}) {
		if r.asks == nil {
			r.asks = map[*engine.Proposal]ask{}
		}
		r.asks[p] = a
	}
}

// asked returns who waits for the outcome of p, once.
func (r *room) asked(p *engine.Proposal) ask {
	a := r.asks[p]
	delete(r.asks, p)
	return a
}

// settle applies one outcome.
func (r *room) settle(ctx actor.Context, o engine.Outcome, a ask) {
	e := &o.Event
	if o.Err != nil {
		r.refused(ctx, e.Proposal, o.Err, a)
		return
	}
	if !o.Repeat && e.Kind.Counted() {
		r.facts.offset.Store(e.Offset)
	}
	switch e.Kind {
	case engine.Join:
		r.applyJoin(e)
	case engine.Leave:
		r.applyLeave(ctx, e)
	case engine.Update:
		r.applyUpdate(e, o.Repeat, a)
	case engine.Message:
		r.applyMessage(e, o.Repeat, a)
	case engine.Ban:
		r.applyBan(ctx, e, o.Repeat, a)
	case engine.Unban:
		r.applyUnban(e, o.Repeat, a)
	}
}

// refused undoes what a proposal expected. A leave, or a state, that nobody
// waits for is proposed again where the engine is unavailable.
func (r *room) refused(ctx actor.Context, p *engine.Proposal, err error, a ask) {
	answer := &protocol.Error{Code: protocol.ErrUnavailable, Message: "the room can't take this now; try again"}
	if errors.Is(err, engine.ErrFenced) {
		answer.Code, answer.Message = protocol.ErrNotJoined, "join the room first"
	}
	s := r.seats[p.Session]
	switch {
	case p.Kind == engine.Join:
		if s != nil && s.join != nil {
			r.deny(ctx, s, answer)
		}
	case errors.Is(err, bans.ErrFull):
		if m, ok := a.call.(*ban); ok {
			m.fail(ErrBansFull)
		}
	case a != ask{}:
		a.refuse(answer)
	case errors.Is(err, engine.ErrUnavailable):
		self, root := r.self, r.sys.root
		time.AfterFunc(retryInterval, func() { root.Send(self, &again{p}) })
	case p.Kind == engine.Leave && !r.closing: // the order has it already, or takes nothing more
		r.sys.log.Error(logs.Unexpected, logs.Fields{"room": r.name, "session": p.Session, "reason": err.Error()})
		r.present.Leave(p.Session)
		r.recount()
		if s != nil {
			r.expel(ctx, s, p.Reason)
		}
	}
}

// retryInterval is how long a room waits for an engine that was unavailable.
const retryInterval = time.Second

// again proposes p once more, unless it is out of date: a leave of a session
// that is out, or a state that is not the newest.
func (r *room) again(ctx actor.Context, p *engine.Proposal) {
	_, in := r.present.Member(p.Session)
	s := r.seats[p.Session]
	if r.closing || !in || p.Kind == engine.Update && (s == nil || s.state != p || s.leave != nil) {
		return
	}
	r.propose(ctx, p, ask{})
}

func (r *room) applyJoin(e *engine.Event) {
	m := protocol.Member{Session: e.Session, User: e.User, Name: e.Name, State: e.State, Data: e.Data, Since: e.At}
	if first, ok := r.present.Join(m, e.Offset); ok {
		r.recount()
		r.sys.stats.Joins.Add(1)
		r.timeline.Back(e.User)
		r.tellJoined(&protocol.MemberJoined{Stamp: e.Stamp(r.name), Member: m, First: first})
	} else { // the room failed in the middle of an earlier join or leave
		r.sys.log.Error(logs.Unexpected, logs.Fields{"room": r.name, "session": e.Session, "reason": "joined twice"})
	}
	s := r.seats[e.Session]
	if s == nil || s.join == nil {
		return // another node's
	}
	r.arrive(arrival{seat: s})
	if r.sys.logJoins() {
		r.sys.log.Info(logs.Joined, logs.Fields{
			"room": r.name, "session": e.Session, "user": e.User, "offset": e.Offset, "actor": s.session.Id,
		})
	}
}

func (r *room) applyLeave(ctx actor.Context, e *engine.Event) {
	s := r.seats[e.Session]
	m, last, ok := r.present.Leave(e.Session)
	if !ok {
		if s == nil || s.leave == nil || !s.leave.ghost {
			r.sys.log.Error(logs.Unexpected, logs.Fields{"room": r.name, "session": e.Session, "reason": "left without a join"})
		}
		if s == nil {
			return
		}
		m, last = protocol.Member{Session: e.Session, User: e.User}, r.present.SessionsOf(e.User) == 0 // its join was told: so is its leave
	}
	r.recount()
	r.sys.stats.Left(e.Reason)
	in := s
	if s != nil && s.join != nil { // it was never let in
		in = nil
	}
	r.tellLeft(&protocol.MemberLeft{
		Stamp: e.Stamp(r.name), Session: e.Session, User: e.User, Reason: e.Reason, Last: last, Code: e.Code,
	}, in)
	r.recordLeave(s, m, e.At, e.Reason, e.Code)
	if r.sys.logJoins() {
		f := logs.Fields{"room": r.name, "session": e.Session, "user": e.User, "reason": e.Reason, "offset": e.Offset}
		if e.Code != 0 {
			f["code"] = e.Code
		}
		r.sys.log.Info(logs.Left, f)
	}
	switch {
	case in != nil:
		r.gone(ctx, in)
	case s != nil:
		r.deny(ctx, s, errClosing())
	}
}

// farewell answers the request to leave, if there was one.
func (s *seat) farewell(offset uint64) protocol.Message {
	if s.ask == nil || s.ask.RequestID() == 0 {
		return nil
	}
	return &protocol.OK{ID: s.ask.RequestID(), Offset: offset}
}

// dismiss shows a member that is sent no events its own leave: on the
// connection that asked for it, or else on the one that it has, if any.
func (s *seat) dismiss(event *protocol.MemberLeft, offset uint64) {
	c := s.visit.client
	if s.ask == nil {
		c.tell(event)
		return
	}
	c.say(s.ask.conn, event)
	if ok := s.farewell(offset); ok != nil {
		c.say(s.ask.conn, ok)
	}
}

// gone lets go of a member whose leave is told.
func (r *room) gone(ctx actor.Context, s *seat) {
	r.unseat(s)
	r.enterNext(ctx, s)
}

// expel takes a seat away whose leave is not, or not again, in the order. Its
// client sees its own leave all the same, at the offset that it has seen.
func (r *room) expel(ctx actor.Context, s *seat, reason protocol.Reason) {
	c := s.visit.client
	if !s.visit.observes {
		r.sys.stats.Left(reason)
		r.recordExpulsion(s, reason)
	}
	r.flush()
	offset := r.facts.offset.Load()
	event := &protocol.MemberLeft{
		Stamp:   protocol.Stamp{Room: r.name, Offset: offset, Prev: sparse(r.told(s, offset), offset), At: unixMS()},
		Session: c.id, User: c.user, Reason: reason, Last: !s.visit.observes,
	}
	s.tellStreams(event)
	if s.away {
		s.dismiss(event, 0)
	} else {
		s.fan.leave(&s.target, nil, event, s.farewell(0))
	}
	r.gone(ctx, s)
}

// deny takes a seat away whose join came to nothing.
func (r *room) deny(ctx actor.Context, s *seat, err *protocol.Error) {
	r.unseat(s)
	refuse(s.join, err)
	r.enterNext(ctx, s)
}

func (r *room) enterNext(ctx actor.Context, s *seat) {
	for m := s.next; m != nil; {
		next := m.then
		m.then = nil
		r.enter(ctx, m)
		m = next
	}
}

// unseat takes a seat away. Its session actor ends once it has answered what
// it was sent: after detach it is sent nothing more.
func (r *room) unseat(s *seat) {
	delete(r.seats, s.visit.client.id)
	delete(r.fresh, s)
	s.hush()
	if s.join == nil {
		s.visit.detach()
	}
	if s.visit.observes {
		r.unobserved(s)
	}
	if !s.dead && !r.closing { // a room that stops stops it
		r.sys.root.Poison(s.session)
	}
}

func (r *room) applyUpdate(e *engine.Event, repeat bool, a ask) {
	ok := &protocol.OK{Offset: e.Offset}
	if repeat {
		r.finish(a, ok)
		return
	}
	state, data, in := r.present.Update(e.Session, e.State, e.Data)
	if !in {
		a.refuse(notJoined(0, r.name))
		r.sys.log.Error(logs.Unexpected, logs.Fields{"room": r.name, "session": e.Session, "reason": "update without a join"})
		return
	}
	s := r.seats[e.Session]
	if s != nil && s.state == e.Proposal {
		s.state = nil // taken: nothing to propose again
	}
	if e.State == "" { // the client's own: told even where it is the same
		data = e.Data
	}
	r.tellUpdated(&protocol.MemberUpdated{Stamp: e.Stamp(r.name), Session: e.Session, User: e.User, State: state, Data: data})
	if state != "" {
		r.recordState(s, e, state)
		r.sys.log.Debug(logs.State, logs.Fields{"room": r.name, "session": e.Session, "user": e.User, "state": state})
	}
	r.finish(a, ok)
}

func (r *room) applyMessage(e *engine.Event, repeat bool, a ask) {
	if !repeat {
		r.sys.stats.Messages.Add(1)
		r.tellMessage(e.Published(r.name))
	}
	if m, ok := a.call.(*post); ok {
		m.answer(Posted{Message: e.ID, Offset: e.Offset, Epoch: r.epoch()})
		return
	}
	r.finish(a, &protocol.OK{Offset: e.Offset, Epoch: r.epoch(), Message: e.ID})
}

// finish answers the member whose request this was, behind the event itself.
func (r *room) finish(a ask, ok *protocol.OK) {
	m := a.command
	if m == nil {
		return
	}
	ok.ID = m.RequestID()
	s := r.seatOf(m.visit)
	switch {
	case s == nil: // out since, or from outside
		if ok.ID != 0 {
			m.tell(ok)
		}
		r.hold(m)
		return
	case ok.ID != 0:
		s.answer(m.conn, ok)
	}
	s.hold(m)
}

func (r *room) publish(ctx actor.Context, s *seat, m *command, c *protocol.Publish) {
	client := s.visit.client
	r.propose(ctx, &engine.Proposal{
		Kind: engine.Message, ID: newMessageID(), Session: client.id, User: client.user, Name: client.name, Data: c.Data,
		Key: c.Key, Headers: c.Headers, At: unixMS(),
	}, ask{command: m})
}

func (r *room) update(ctx actor.Context, s *seat, m *command, c *protocol.Update) {
	client := s.visit.client
	r.propose(ctx, &engine.Proposal{
		Kind: engine.Update, ID: r.updateID(), Session: client.id, User: client.user, Data: c.Data, At: unixMS(),
	}, ask{command: m})
}

// recount publishes the size of the room.
func (r *room) recount() {
	c := r.present.Count()
	r.sys.stats.Members.Add(int64(c.Sessions) - r.facts.sessions.Swap(int64(c.Sessions)))
	r.facts.users.Store(int64(c.Users))
}

// begin takes over a snapshot of the engine.
func (r *room) begin(snapshot engine.Snapshot) {
	r.present = presence.New()
	for i, m := range snapshot.Members {
		r.present.Join(m, uint64(i+1))
	}
	epoch := snapshot.Position.Epoch
	r.facts.epoch.Store(&epoch)
	r.facts.offset.Store(snapshot.Position.Offset)
	r.banned.change(func(l *bans.List) { *l = bans.New(snapshot.Bans...) })
	r.recount()
	r.timeline.Settle(r.present.Has)
	r.restart()
}

// reset starts over from a snapshot that the engine tells the room to take.
// Members of this node who are in it get it as a fresh Joined; the others are
// out, see their own leave, and may join again.
func (r *room) reset(ctx actor.Context, snapshot engine.Snapshot) {
	r.resets++
	r.begin(snapshot)
	r.note(timeline.RoomReset, "")
	for _, s := range r.seats {
		_, in := r.present.Member(s.visit.client.id)
		switch {
		case s.join != nil: // its outcome is still to come
		case (in || s.visit.observes) && len(s.streams) > 0:
			r.renew(s)
		case s.away && (in || s.visit.observes): // gets it when it is back
		case in || s.visit.observes:
			s.fan.answer(&s.target, r.joined(s, &protocol.Join{}))
		default:
			r.expel(ctx, s, protocol.ReasonFailed)
		}
	}
	r.enforce(ctx, "", r.banned.has)
}
