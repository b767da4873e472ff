// Package referee judges what clients saw of a server's rooms. It holds a
// recorded history against what must be true in every run, whatever is done to
// the server (docs/architecture.md), and shows each violation by the shortest
// part of the history that has it. It is data and functions: no sockets, no
// clock.
package referee

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"rollcall/protocol"
)

// Entry is one thing that happened in a run.
type Entry struct {
	At      time.Duration // since the run began, on the recorder's clock
	Witness string        // who saw it; empty: the harness did or asked
	What    What
}

// What happened: a *Told, *Cut, *Truth or *Fate.
type What interface{ String() string }

// Told is one message that the server sent to a witness.
type Told struct{ Message protocol.Message }

// Cut is the end of a witness's connection: its views are over.
type Cut struct{}

// Truth is what the server's API said of a room when all was quiet.
type Truth struct {
	Room    string
	Epoch   string
	Offset  uint64
	Mode    protocol.Mode
	Members []protocol.Member
	Count   protocol.Count
}

// Fate is what the harness did to a session, and what has to come of it in
// every room that the session is in. The last one of a session counts.
type Fate struct {
	Session string
	Lives   bool              // it is there at the end
	Reasons []protocol.Reason // what its leaves may say
	Within  time.Duration     // from this entry to the leave of who does not live, at most; 0: any time
	Rooms   []string          // those that it is in at the end if it lives, and has left if not
}

// String implements What.
func (t *Told) String() string { return string(t.Message.AppendJSON(nil)) }

// String implements What.
func (*Cut) String() string { return "the connection ended" }

// String implements What.
func (t *Truth) String() string {
	ids := make([]string, len(t.Members))
	for i, m := range t.Members {
		ids[i] = m.Session + " " + string(m.State)
	}
	return fmt.Sprintf("in truth %s holds at %s/%d: %d sessions of %d users: %s", t.Room, t.Epoch, t.Offset, t.Count.Sessions, t.Count.Users, strings.Join(ids, ", "))
}

// String implements What.
func (f *Fate) String() string {
	if f.Lives {
		return f.Session + " lives, in " + strings.Join(f.Rooms, ", ")
	}
	within := ""
	if f.Within > 0 {
		within = " within " + f.Within.String()
	}
	return fmt.Sprintf("%s goes, as %v%s", f.Session, f.Reasons, within)
}

// String is the entry as one line.
func (e Entry) String() string {
	who := e.Witness
	if who == "" {
		who = "-"
	}
	return fmt.Sprintf("%+9.3fs %-8s %s", e.At.Seconds(), who, e.What)
}

// Print is a history as lines.
func Print(h []Entry) string {
	var b strings.Builder
	for _, e := range h {
		b.WriteString(e.String() + "\n")
	}
	return b.String()
}

// about reduces an entry to what concerns one session in one room; nil: it
// has nothing to do with them. Lists of members keep that session alone.
func about(w What, room, session string) What {
	told, ok := w.(*Told)
	if !ok {
		switch w := w.(type) {
		case *Fate:
			if w.Session != session {
				return nil
			}
		case *Truth:
			if w.Room != room {
				return nil
			}
			t := *w
			t.Members = only(t.Members, session, memberSession)
			return &t
		}
		return w
	}
	switch m := told.Message.(type) {
	case *protocol.Joined:
		if m.Room == room {
			j := *m
			j.Members, j.Messages = only(j.Members, session, memberSession), nil
			return &Told{&j}
		}
	case *protocol.MemberJoined:
		return keep(told, m.Room == room && m.Member.Session == session)
	case *protocol.MemberLeft:
		return keep(told, m.Room == room && m.Session == session)
	case *protocol.MemberUpdated:
		return keep(told, m.Room == room && m.Session == session)
	case *protocol.Presence:
		p := *m
		p.Joins = only(p.Joins, session, func(m protocol.MemberJoined) string { return m.Member.Session })
		p.Leaves = only(p.Leaves, session, func(m protocol.MemberLeft) string { return m.Session })
		p.Updates = only(p.Updates, session, func(m protocol.MemberUpdated) string { return m.Session })
		if m.Room == room && len(p.Joins)+len(p.Leaves)+len(p.Updates) > 0 {
			return &Told{&p}
		}
	case *protocol.ModeChanged:
		return keep(told, m.Room == room)
	}
	return nil
}

func keep(t *Told, if_ bool) What {
	if if_ {
		return t
	}
	return nil
}

func memberSession(m protocol.Member) string { return m.Session }

func only[T any](all []T, session string, of func(T) string) []T {
	return slices.DeleteFunc(slices.Clone(all), func(v T) bool { return of(v) != session })
}
