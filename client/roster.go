package client

import (
	"iter"
	"maps"

	"rollcall/protocol"
)

// Roster is who is in a room, as the room's messages tell: give it every event
// of one room that a Client delivers, in order (docs/protocol.md §7). It is not
// safe for use by several goroutines.
type Roster struct {
	Mode  protocol.Mode
	Count protocol.Count
	// Listed says that Members is everybody. In ModeCount, and after it until the
	// next Joined, nobody is listed, but the Count is true: see Client.Refresh.
	Listed bool

	members map[string]*protocol.Member // by session
}

// Members are all members, in no order; none unless Listed.
func (r *Roster) Members() iter.Seq[*protocol.Member] { return maps.Values(r.members) }

// Member is the member of a session; nil: not known.
func (r *Roster) Member(session string) *protocol.Member { return r.members[session] }

// Take notes what a message tells of presence. It keeps the Members of it; other
// messages change nothing.
func (r *Roster) Take(m protocol.Message) {
	switch m := m.(type) {
	case *protocol.Joined:
		r.enter(m)
	case *protocol.MemberJoined:
		r.Count.Sessions++
		if m.First {
			r.Count.Users++
		}
		r.join(m)
	case *protocol.MemberLeft:
		r.Count.Sessions--
		if m.Last {
			r.Count.Users--
		}
		delete(r.members, m.Session)
	case *protocol.MemberUpdated:
		r.update(m)
	case *protocol.Presence:
		r.Count = m.Count
		for i := range m.Joins {
			r.join(&m.Joins[i])
		}
		for i := range m.Leaves {
			delete(r.members, m.Leaves[i].Session)
		}
		for i := range m.Updates {
			r.update(&m.Updates[i])
		}
	case *protocol.Occupancy:
		r.Count = m.Count
	case *protocol.ModeChanged:
		r.Mode = m.Mode
		if m.Mode == protocol.ModeCount {
			r.Listed = false
			r.members = nil
		}
	}
}

func (r *Roster) enter(j *protocol.Joined) {
	r.Mode, r.Count = j.Mode, j.Count
	r.Listed = j.Mode != protocol.ModeCount
	r.members = nil
	if !r.Listed {
		return
	}
	r.members = make(map[string]*protocol.Member, len(j.Members))
	for i := range j.Members {
		r.members[j.Members[i].Session] = &j.Members[i]
	}
}

func (r *Roster) join(e *protocol.MemberJoined) {
	if r.Listed {
		r.members[e.Member.Session] = &e.Member
	}
}

func (r *Roster) update(e *protocol.MemberUpdated) {
	m := r.members[e.Session]
	if m == nil {
		return
	}
	if e.State != "" {
		m.State = e.State
	}
	if e.Data != nil {
		m.Data = e.Data
	}
}
