package actors

import (
	"context"
	"errors"
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"rollcall/bans"
	"rollcall/engine"
	"rollcall/internal/logs"
	"rollcall/protocol"
	"rollcall/timeline"
)

// Bans keep somebody out of a room, or of the whole server. They are proposed
// to the engine like any event and hold once it has ordered them. Those of the
// server are ordered in a room of its own, which nobody can join.

// Server is the name of that room.
const Server = "@server"

// Errors of the questions about bans.
var (
	ErrNoBan    = errors.New("there is no such ban")
	ErrBansFull = errors.New("there are as many bans as there may be: lift some first")
)

// banlist is the bans of a room or of the server. Its room changes it, and
// anybody may ask it.
type banlist struct {
	mu   sync.RWMutex
	list bans.List
}

func (l *banlist) change(f func(*bans.List)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(&l.list)
}

// has reports whether a session of a user is kept out now.
func (l *banlist) has(user, session string) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.list.Bans(user, session, unixMS())
}

// all returns those in force now, oldest first.
func (l *banlist) all() []bans.Ban {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.list.All(unixMS())
}

type ban struct {
	inquiry[bans.Ban]
	ban bans.Ban
}

type unban struct {
	inquiry[bool]
	id string
}

type listBans struct{ inquiry[[]bans.Ban] }

// Ban keeps b.Who out of a room, or of the Server, until b.Until. Who is there
// is taken out at once. A ban that names the same is replaced. A room need not
// exist. It returns the ban with its ID and time, or ErrBansFull, or a
// *protocol.Error.
func (s *System) Ban(ctx context.Context, room string, b bans.Ban) (bans.Ban, error) {
	b.ID, b.At = newBanID(), unixMS()
	m := &ban{about[bans.Ban](room), b}
	s.toLobby(m)
	return m.wait(ctx)
}

// Unban lifts a ban, or returns ErrNoBan.
func (s *System) Unban(ctx context.Context, room, id string) error {
	m := &unban{about[bool](room), id}
	s.toLobby(m)
	was, err := m.wait(ctx)
	if err == nil && !was {
		return ErrNoBan
	}
	return err
}

// Bans returns the bans of a room, or of the Server, that are in force: oldest
// first.
func (s *System) Bans(ctx context.Context, room string) ([]bans.Ban, error) {
	m := &listBans{about[[]bans.Ban](room)}
	s.toLobby(m)
	return m.wait(ctx)
}

// Banned reports whether a user is kept out of the server.
func (s *System) Banned(user string) bool { return s.banned.has(user, "") }

func (r *room) ban(ctx actor.Context, m *ban) {
	r.propose(ctx, &engine.Proposal{Kind: engine.Ban, Ban: &m.ban, At: unixMS()}, ask{call: m})
}

func (r *room) unban(ctx actor.Context, m *unban) {
	r.propose(ctx, &engine.Proposal{Kind: engine.Unban, Ban: &bans.Ban{ID: m.id}, At: unixMS()}, ask{call: m})
}

func (r *room) applyBan(ctx actor.Context, e *engine.Event, repeat bool, a ask) {
	if !repeat {
		b := *e.Ban
		r.banned.change(func(l *bans.List) { _ = l.Add(b, e.At, 0) }) // the engine has the bound
		r.sys.stats.Bans.Add(1)
		r.sys.log.Info(logs.Banned, r.about(b))
		if !b.Over(unixMS()) {
			r.enforce(ctx, b.Reason, b.Names)
		}
	}
	if m, ok := a.call.(*ban); ok {
		m.answer(*e.Ban)
	}
}

func (r *room) applyUnban(e *engine.Event, repeat bool, a ask) {
	if !repeat {
		var b bans.Ban
		r.banned.change(func(l *bans.List) { b, _ = l.Lift(e.Ban.ID) })
		r.sys.log.Info(logs.Unbanned, r.about(b))
	}
	if m, ok := a.call.(*unban); ok {
		m.answer(!repeat)
	}
}

// about are the fields of a ban in the log: whom it names, and where. Its
// reason is a person's own words.
func (r *room) about(b bans.Ban) logs.Fields {
	f := logs.Fields{"room": r.name, "ban": b.ID}
	if b.User != "" {
		f["user"] = b.User
	} else {
		f["session"] = b.Session
	}
	return f
}

// enforce takes out whom a ban names: out of the room, or, where this is the
// server's, out of the server.
func (r *room) enforce(ctx actor.Context, text string, names func(user, session string) bool) {
	if r.name == Server {
		for _, c := range r.sys.Clients() {
			if names(c.user, c.id) {
				c.end(protocol.ReasonBanned, protocol.CloseBanned, text, 0, timeline.API)
			}
		}
		return
	}
	for id, s := range r.seats {
		if names(s.visit.client.user, id) {
			r.leave(ctx, &leave{visit: s.visit, reason: protocol.ReasonBanned, cause: cause{timeline.API, text}})
		}
	}
}
