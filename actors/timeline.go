package actors

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"rollcall/protocol"
	"rollcall/timeline"
)

// Timeline is what is known of a user in a room: how their sessions stand, and
// what happened.
type Timeline struct {
	Room     string           `json:"room"`
	Epoch    string           `json:"epoch"` // empty: the room is over, and another not made yet
	User     string           `json:"user"`
	Now      int64            `json:"now"`      // Unix milliseconds
	Sessions int              `json:"sessions"` // of the user in the room
	Members  []Presence       `json:"members"`  // the newest of them, at most 100, in the order of their joins
	Events   []timeline.Event `json:"events"`   // oldest first
	Cut      bool             `json:"cut"`      // there were more before them
}

// Presence is how one session stands in a room. Instants are Unix milliseconds.
type Presence struct {
	Session      string         `json:"session"`
	Name         string         `json:"name"`
	State        protocol.State `json:"state"`
	StateSince   int64          `json:"state_since"`
	ConnectedAt  int64          `json:"connected_at"`
	Remote       string         `json:"remote,omitempty"` // the address that it is connected from; empty: it is not connected
	JoinedAt     int64          `json:"joined_at"`
	LastActiveAt int64          `json:"last_active_at"`
	LastHeardAt  int64          `json:"last_heard_at"`  // the last frame; where a heartbeat watches, any byte, to within a second
	Next         *Next          `json:"next,omitempty"` // what becomes of it by itself; nil: nothing

	conn Connection
}

// Next is what the rules do with a session unless something happens before: it
// gets another state, or leaves for a reason.
type Next struct {
	At     int64           `json:"at"`
	State  protocol.State  `json:"state,omitempty"`
	Reason protocol.Reason `json:"reason,omitempty"`
}

// maxPresences bounds the sessions in one Timeline.
const maxPresences = 100

// ErrNoUser says that a room knows nothing of a user, or of a session.
var ErrNoUser = errors.New("nothing is known of them in this room")

// trace asks a room for a Timeline. Nil: there is nothing to tell.
type trace struct {
	inquiry[*Timeline]
	user, session string
}

// Timeline tells what is known of a user in a room; or, where session is not
// empty, of that session alone, whoever's it is. The error is ErrNoRoom or
// ErrNoUser where there is nothing to tell.
func (s *System) Timeline(ctx context.Context, room, user, session string) (*Timeline, error) {
	m := &trace{about[*Timeline](room), user, session}
	s.toLobby(m)
	t, err := m.wait(ctx)
	if err != nil {
		return nil, err
	}
	if t == nil {
		return nil, ErrNoUser
	}
	t.listen(ctx)
	return t, nil
}

// listenTimeout bounds how long connections are waited for: one that is
// just being closed may not answer.
const listenTimeout = time.Second

// listen asks the connections when they last heard of their peers.
func (t *Timeline) listen(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, listenTimeout)
	defer cancel()
	type heard struct {
		member *Presence
		at     int64
	}
	answers, asked := make(chan heard, len(t.Members)), 0
	for i := range t.Members {
		m := &t.Members[i]
		if p, ok := m.conn.(Peer); ok {
			asked++
			p.Quiet(func(d time.Duration, known bool) {
				h := heard{member: m}
				if known {
					h.at = unixMS() - d.Milliseconds()
				}
				answers <- h
			})
		}
	}
	for ; asked > 0; asked-- {
		select {
		case h := <-answers:
			h.member.LastHeardAt = max(h.member.LastHeardAt, h.at)
		case <-ctx.Done():
			return
		}
	}
}

// trace answers m.
func (r *room) trace(m *trace) *Timeline {
	user := m.user
	if m.session != "" {
		if s := r.seats[m.session]; s != nil {
			user = s.visit.client.user
		} else if user = r.timeline.Owner(m.session); user == "" {
			return nil
		}
	}
	t := &Timeline{Room: r.name, Epoch: r.epoch(), User: user, Now: unixMS(), Members: []Presence{}}
	var records []timeline.Record
	records, t.Cut = r.timeline.Of(user)
	seats := r.seatsOf(user, m.session)
	t.Sessions = len(seats)
	for _, s := range seats[max(0, len(seats)-maxPresences):] {
		m, _ := r.present.Member(s.visit.client.id)
		t.Members = append(t.Members, r.presenceOf(s, m, records))
		records = append(records, r.unrecorded(s, m)...)
	}
	if t.tell(m.session, records, r.timeline.Room()); len(t.Events) == 0 {
		return nil
	}
	return t
}

// seatsOf lists the members that a user is, or the one that a session is, in
// the order of their joins.
func (r *room) seatsOf(user, session string) (seats []*seat) {
	since := map[*seat]int64{}
	for id, s := range r.seats {
		m, in := r.present.Member(id)
		if in && m.User == user && (session == "" || session == id) {
			seats = append(seats, s)
			since[s] = m.Since
		}
	}
	slices.SortFunc(seats, func(a, b *seat) int {
		return cmp.Or(cmp.Compare(since[a], since[b]), cmp.Compare(a.visit.client.id, b.visit.client.id))
	})
	return seats
}

// tell puts records into words: those of a session, where one is asked for, and
// those of its room. None of a person: nothing is told.
func (t *Timeline) tell(session string, records, room []timeline.Record) {
	if session != "" {
		records = slices.DeleteFunc(records, func(r timeline.Record) bool { return r.Session != session })
	}
	t.Events = []timeline.Event{}
	if len(records) > 0 {
		t.Events = timeline.Tell(append(room, records...)) // of the same instant, the room's come first
	}
}

// presenceOf is how a member stands.
func (r *room) presenceOf(s *seat, m protocol.Member, records []timeline.Record) Presence {
	c := s.visit.client
	conn := c.connection()
	p := Presence{
		Session: m.Session, Name: m.Name, State: m.State, StateSince: cmp.Or(s.past.idle(), m.Since), ConnectedAt: r.sys.wall(c.since),
		Remote: remote(conn), JoinedAt: m.Since, LastActiveAt: r.sys.wall(time.Duration(c.activity.Load())),
		LastHeardAt: r.sys.wall(time.Duration(c.seen.Load())), Next: c.next(), conn: conn,
	}
	if s.past.idle() == 0 {
		for i := range records {
			if records[i].Session == m.Session && records[i].Kind.State() == m.State {
				p.StateSince = records[i].At
			}
		}
	}
	return p
}

// next is what becomes of the client by itself; nil: nothing.
func (c *Client) next() *Next {
	now := c.sys.now()
	was, at := c.judge(now)
	if at == 0 {
		return nil
	}
	n := &Next{At: c.sys.wall(at)}
	switch v, _ := c.judge(max(at, now)); v {
	case was, active:
		return nil
	case idle:
		n.State = protocol.StateIdle
	case unresponsive:
		n.State = protocol.StateUnresponsive
	case endAway:
		c.mu.Lock()
		n.Reason = c.ending.reason
		c.mu.Unlock()
	case endIdle:
		n.Reason = protocol.ReasonIdle
	case endExpired:
		n.Reason = protocol.ReasonExpired
	}
	return n
}

// Peer is what a Connection may know of its other end.
type Peer interface {
	// Remote is its address; the zero AddrPort: it is not known.
	Remote() netip.AddrPort
	// Quiet tells, once or never, for how long it has sent nothing; known is
	// false where nobody watches.
	Quiet(tell func(d time.Duration, known bool))
}

// remote is the address at the other end of a connection; empty: it is not
// known.
func remote(c Connection) string {
	if p, ok := c.(Peer); ok {
		if a := p.Remote().Addr(); a.IsValid() {
			return a.Unmap().String()
		}
	}
	return ""
}
