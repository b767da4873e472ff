//go:build faults

package actors

import (
	"context"
	"fmt"
	"slices"

	"github.com/asynkron/protoactor-go/actor"

	"rollcall/protocol"
)

// Corruption is a way to spoil a room's state on purpose, for tests of the
// audit in a running server.
type Corruption string

// The corruptions: a kind of ghost each. All but the counts are about one
// session.
const (
	LostSeat     Corruption = "lost_seat"     // a member without a seat
	LostMember   Corruption = "lost_member"   // a seat without a member
	LostEnd      Corruption = "lost_end"      // a connection that ended, and no room heard of it
	LostActor    Corruption = "lost_actor"    // a member without a session actor, and a session actor without a seat
	LostVisit    Corruption = "lost_visit"    // a member whose client knows nothing of it
	MiscountRoom Corruption = "miscount_room" // a count that is not that of the members
	MiscountUser Corruption = "miscount_user" // a user with more sessions than there are
)

// Corruptions lists every Corruption.
var Corruptions = []Corruption{LostSeat, LostMember, LostEnd, LostActor, LostVisit, MiscountRoom, MiscountUser}

// Corrupt spoils the state of a room, of one session in it where the kind is
// about one. ErrNoRoom, ErrNoSession: there is none; else an unknown kind.
func (s *System) Corrupt(ctx context.Context, kind Corruption, roomName, session string) error {
	if !slices.Contains(Corruptions, kind) {
		return fmt.Errorf("corruption %q: there is no such kind", kind)
	}
	if _, err := s.Room(ctx, roomName); err != nil {
		return err
	}
	done := make(chan error, 1)
	s.inject(roomName, "", func(a actor.Actor) { done <- a.(*room).corrupt(kind, session) })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *room) corrupt(kind Corruption, session string) error {
	switch kind {
	case MiscountRoom:
		r.facts.sessions.Add(5)
		r.sys.stats.Members.Add(5)
		return nil
	case MiscountUser:
		r.present.Miscount("nobody")
		return nil
	}
	s := r.seats[session]
	if s == nil {
		return ErrNoSession
	}
	c := s.visit.client
	switch kind {
	case LostSeat:
		delete(r.seats, session)
	case LostMember:
		r.present.Leave(session)
		r.recount()
	case LostEnd:
		if conn, first := c.finish(&end{reason: protocol.ReasonLost}); first && conn != nil {
			r.sys.clients.remove(c)
			r.sys.reminders.remove(c)
			conn.Close(uint16(protocol.CloseFailed), "")
		}
	case LostActor:
		s.session, s.dead = actor.NewPID(s.session.Address, s.session.Id+"x"), true
	case LostVisit:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.drop(s.visit)
	}
	return nil
}
