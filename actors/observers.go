package actors

import (
	"rollcall/internal/logs"
	"rollcall/protocol"
)

// An observer is in a room without being a member: it has a seat and a session
// actor, gets every frame, and is kicked, banned and supervised like anybody.
// But nobody's presence changes by it, so nothing of it is proposed to the
// engine, and nobody else is told: they see how many there are, if they ask.
// Whether a visit is an observer's never changes: who wants to be the other
// leaves and comes back, see Client.join.

// mayObserve says why one more may not watch the room; nil: it may.
func (r *room) mayObserve() *protocol.Error {
	switch limit := r.sys.o.Limits.RoomObservers; {
	case limit == 0:
		return &protocol.Error{Code: protocol.ErrForbidden, Message: "rooms of this server may not be observed"}
	case int(r.facts.observers.Load()) >= limit:
		return &protocol.Error{Code: protocol.ErrRoomFull, Message: "the room has as many observers as it may have"}
	}
	return nil
}

// observe has an observer wait for its snapshot. It counts from now on.
func (r *room) observe(s *seat) {
	r.watched(1)
	r.arrive(arrival{seat: s})
	c := s.visit.client
	r.sys.log.Info(logs.ObserverCame, logs.Fields{"room": r.name, "session": c.id, "user": c.user, "actor": s.session.Id})
}

// unobserved forgets one whose seat is taken away.
func (r *room) unobserved(s *seat) {
	r.watched(-1)
	c := s.visit.client
	f := logs.Fields{"room": r.name, "session": c.id, "user": c.user}
	if s.leave != nil {
		f["reason"] = s.leave.reason
	}
	r.sys.log.Info(logs.ObserverLeft, f)
}

// watched counts so many observers more.
func (r *room) watched(n int64) {
	r.facts.observers.Add(n)
	r.sys.stats.Observers.Add(n)
	r.restless = true // a room of mode count tells it
}

// observers counts the seats of observers.
func (r *room) observers() (n int64) {
	for _, s := range r.seats {
		if s.visit.observes {
			n++
		}
	}
	return n
}

// speaks reports whether a command is one for members alone.
func speaks(c protocol.Command) bool {
	switch c.(type) {
	case *protocol.Publish, *protocol.Update, *protocol.Signal:
		return true
	}
	return false
}

func (r *room) refuseObserver(m *command) {
	m.refuse(&protocol.Error{
		ID: m.RequestID(), Room: r.name, Code: protocol.ErrForbidden, Message: "an observer only watches: join without observe",
	})
}
