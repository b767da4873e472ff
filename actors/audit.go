package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"rollcall/engine"
	"rollcall/internal/logs"
	"rollcall/protocol"
)

// The audit looks for ghosts: members with nothing behind them, and sessions
// with nothing before them. There should be none, ever; each one it finds is
// counted, told in the log as a warning, and repaired with a reason. What may
// be on its way counts only when two audits in a row have seen it.

// finding is one thing that an audit sees.
type finding struct {
	who  string // session, or its actor
	what string
}

// audit looks over the room once.
func (r *room) audit(ctx actor.Context) {
	if r.closing {
		return
	}
	defer r.remind(0, r.sys.o.Audit, &audit{})
	r.auditCounts()
	seen := map[finding]bool{}
	// ghost reports whether the last audit saw it, too.
	ghost := func(who, what string) bool {
		f := finding{who, what}
		if !r.suspects[f] {
			seen[f] = true
			return false
		}
		r.haunted(logs.Fields{"session": who, "reason": what})
		r.recordGhost(who, what)
		return true
	}
	for id, s := range r.seats {
		what, reason := r.wrong(s)
		if what == "" || !ghost(id, what) {
			continue
		}
		s.leave = nil
		r.leave(ctx, &leave{visit: s.visit, reason: reason, ghost: true})
	}
	for _, id := range r.unseated() {
		if ghost(id, "a member without a seat") {
			r.evict(ctx, id)
		}
	}
	for _, child := range r.unknown(ctx) {
		if ghost(child.Id, "a session actor without a seat") {
			r.sys.root.Stop(child)
		}
	}
	r.suspects = seen
}

// haunted counts and tells one ghost.
func (r *room) haunted(f logs.Fields) {
	f["room"] = r.name
	r.sys.stats.Ghosts.Add(1)
	r.sys.log.Warn(logs.Ghost, f)
}

// auditCounts holds the counts against the members. They change within one
// message, so that nothing is ever on its way: what is wrong is repaired at
// once.
func (r *room) auditCounts() {
	if err := r.present.Check(); err != nil {
		r.present.Repair()
		r.haunted(logs.Fields{"reason": "presence: " + err.Error()})
	}
	c := r.present.Count()
	if told := r.facts.sessions.Load(); told != int64(c.Sessions) || r.facts.users.Load() != int64(c.Users) {
		r.recount()
		r.haunted(logs.Fields{"reason": "a count that is not that of the members", "count": told})
	}
	if told, seats := r.facts.observers.Load(), r.observers(); told != seats {
		r.watched(seats - told)
		r.haunted(logs.Fields{"reason": "a count that is not that of the observers", "count": told})
	}
}

// wrong says what is wrong with a seat, and the reason for its leave; empty:
// nothing.
func (r *room) wrong(s *seat) (what string, reason protocol.Reason) {
	_, present := r.present.Member(s.visit.client.id)
	switch {
	case s.join != nil: // on its way
	case !present && !s.visit.observes:
		return "a seat without a member", protocol.ReasonFailed
	case s.leave != nil: // on its way
	case s.visit.client.ended.Load():
		return "a member whose connection ended", protocol.ReasonLost
	case s.visit.client.overdue(r.sys.now()):
		return "a member whose time away is over", protocol.ReasonLost
	case !r.alive(s.session):
		return "a member without a session actor", protocol.ReasonFailed
	case !s.visit.held():
		return "a member whose client knows nothing of it", protocol.ReasonFailed
	}
	return "", ""
}

// unseated lists the members whom no seat stands behind, or an observer's.
func (r *room) unseated() (ids []string) {
	r.present.Sessions(func(id string) bool {
		if s := r.seats[id]; s == nil || s.visit.observes {
			ids = append(ids, id)
		}
		return true
	})
	return ids
}

// unknown lists the session actors that no seat knows. One that ends right now
// is a child until its Terminated is handled.
func (r *room) unknown(ctx actor.Context) (pids []*actor.PID) {
	for _, child := range ctx.Children() {
		if s := r.seats[ownName(child)]; s == nil || s.session.Id != child.Id {
			pids = append(pids, child)
		}
	}
	return pids
}

// evict takes out a member that no seat of this node stands behind. If it is
// connected here its session is over: with the seat the room lost its way to
// it.
func (r *room) evict(ctx actor.Context, id string) {
	m, ok := r.present.Member(id)
	if !ok {
		return
	}
	reason := protocol.ReasonLost
	if c := r.sys.clients.get(id); r.seats[id] == nil && c != nil && c.isIn(r.name) {
		reason = protocol.ReasonFailed
		c.End(reason, protocol.CloseFailed, "")
	}
	r.propose(ctx, &engine.Proposal{
		Kind: engine.Leave, ID: id, Session: id, User: m.User, Reason: reason, At: unixMS(),
	}, ask{})
}

func (r *room) alive(pid *actor.PID) bool {
	_, ok := r.sys.actors.ProcessRegistry.GetLocal(pid.Id)
	return ok
}
