package actors

import (
	"cmp"
	"time"

	"rollcall/engine"
	"rollcall/protocol"
	"rollcall/timeline"
)

// Why somebody is shown as they are: a room records what happened to its
// members, where the log has its lines, and answers with that and with what is
// true now. What is true now is not recorded before it ends: that somebody
// joined, and that they are idle, is known from their seat. So a member to whom
// nothing else happened costs a past, and nothing more.

// cause is what is known of an ending beside its reason and code.
type cause struct {
	by   timeline.By // unknown: whoever usually does for that reason
	text string
}

// past is what a seat knows of its member's past.
type past struct {
	since    int64         // Unix milliseconds: when what lasts began
	lasts    timeline.Kind // Idle; Lost or Held, until it is back; 0: none of them
	recorded bool          // its join is on record
}

// away reports whether the member has no connection.
func (p past) away() bool { return p.lasts == timeline.Lost || p.lasts == timeline.Held }

// idle is when the member fell idle; 0: it is not.
func (p past) idle() int64 {
	if p.lasts == timeline.Idle {
		return p.since
	}
	return 0
}

// record puts something on record of a member, and before it what was only
// known from the seat. S is nil where m has no seat; rec needs no session, and
// no At where it happens now.
func (r *room) record(s *seat, m protocol.Member, rec timeline.Record) {
	if r.timeline == nil {
		return
	}
	present := r.present.Has(m.User)
	if s != nil {
		for _, first := range r.unrecorded(s, m) {
			r.timeline.Add(m.User, present, first)
		}
		if s.past.recorded = true; s.past.lasts == timeline.Idle {
			s.past.lasts = 0
		}
	}
	rec.Session = m.Session
	rec.At = cmp.Or(rec.At, unixMS())
	r.timeline.Add(m.User, present, rec)
}

// unrecorded is what happened to m, whose seat s is, and is not on record: it is
// still true.
func (r *room) unrecorded(s *seat, m protocol.Member) (rs []timeline.Record) {
	if !s.past.recorded && m.Since != 0 {
		rs = append(rs, timeline.Record{
			At: m.Since, Since: r.sys.wall(s.visit.client.since), Session: m.Session, Kind: timeline.Joined, Detail: remote(s.target.conn),
		})
	}
	if at := s.past.idle(); at != 0 {
		rs = append(rs, timeline.Record{At: at, Session: m.Session, Kind: timeline.Idle, Detail: r.sys.idleAfter})
	}
	return rs
}

// wall is when the system's clock showed d, in Unix milliseconds.
func (s *System) wall(d time.Duration) int64 {
	now := time.Now()
	return now.Add(d - now.Sub(s.start)).UnixMilli()
}

// recordState puts a new state of a member on record; that it is idle, once it
// no longer is. That it is lost was recorded when it parted.
func (r *room) recordState(s *seat, e *engine.Event, state protocol.State) {
	m, in := r.present.Member(e.Session)
	if s == nil || !in || state == protocol.StateLost {
		return
	}
	c := s.visit.client
	returned := r.recordReturn(s, c.connection())
	rec := timeline.Record{At: e.At, Kind: timeline.Active}
	switch {
	case state == protocol.StateIdle && !s.past.away():
		s.past.since, s.past.lasts = e.At, timeline.Idle
		return
	case state == protocol.StateIdle:
		rec.Kind, rec.Detail = timeline.Idle, r.sys.idleAfter
	case state == protocol.StateUnresponsive:
		rec.Kind, rec.Detail = timeline.Unresponsive, time.Duration(c.promise.Load()).String()
	case returned: // and so active
		return
	case s.past.lasts == timeline.Idle:
		rec.Since, rec.Detail = s.past.since, r.sys.idleAfter
		s.past.lasts = 0
	}
	r.record(s, m, rec)
}

// recordPart puts on record that a member's connection is no longer its own.
// Who was away before had come back on that one.
func (r *room) recordPart(s *seat, p *part) {
	c := s.visit.client
	m, in := r.present.Member(c.id)
	if !in {
		return
	}
	r.recordReturn(s, p.conn)
	rec := timeline.Record{At: p.at, Kind: timeline.Lost, Code: p.code, Detail: timeline.Line(p.text)}
	switch p.reason {
	case "":
		rec.Kind, rec.Detail = timeline.Resumed, remote(c.connection())
	case protocol.ReasonClosed:
		rec.Kind = timeline.Held
	}
	r.record(s, m, rec)
	if p.reason != "" {
		s.past.since, s.past.lasts = p.at, rec.Kind
	}
}

// recordReturn puts on record that a member who was away is back on conn; nil:
// it is not. It reports whether it was.
func (r *room) recordReturn(s *seat, conn Connection) bool {
	m, in := r.present.Member(s.visit.client.id)
	if !s.past.away() || conn == nil || !in {
		return false
	}
	r.record(s, m, timeline.Record{Kind: timeline.Resumed, Since: s.past.since, Detail: remote(conn)})
	s.past.lasts = 0
	return true
}

// recordLeave puts the end of a visit on record. The member is out already: m
// is who it was; s is nil where it had no seat.
func (r *room) recordLeave(s *seat, m protocol.Member, at int64, reason protocol.Reason, code protocol.CloseCode) {
	rec := timeline.Record{At: at, Kind: timeline.Left, Reason: timeline.ReasonOf(reason), Code: code}
	if s != nil {
		rec.Since = r.sys.wall(time.Duration(s.visit.client.activity.Load()))
		if s.leave != nil {
			rec.By, rec.Detail = s.leave.by, timeline.Line(s.leave.text)
		}
		if s.past.away() && r.sys.o.Rules.hold(reason) > 0 { // how it parted is on record
			rec.Detail = ""
		}
	}
	if rec.Detail == "" && rec.By == timeline.Unknown {
		rec.Detail = r.sys.o.Rules.setting(s, reason)
	}
	r.record(s, m, rec)
}

// recordExpulsion puts on record that a seat was taken away whose leave is not
// in the order.
func (r *room) recordExpulsion(s *seat, reason protocol.Reason) {
	c := s.visit.client
	m, in := r.present.Member(c.id)
	if !in {
		m = protocol.Member{Session: c.id, User: c.user}
	}
	r.recordLeave(s, m, unixMS(), reason, 0)
}

// recordGhost puts on record what the audit found. Who may be a session actor.
func (r *room) recordGhost(who, what string) {
	if m, in := r.present.Member(who); in {
		r.record(r.seats[who], m, timeline.Record{Kind: timeline.Ghost, Detail: what})
	}
}

// setting names the one that ends the visit of a seat for a reason; empty:
// there is none.
func (r Rules) setting(s *seat, reason protocol.Reason) string {
	away := s != nil && s.past.away()
	switch {
	case reason == protocol.ReasonIdle:
		return "session.disconnect_after is " + r.DisconnectAfter.String()
	case reason == protocol.ReasonExpired:
		return "session.max_age is " + r.MaxAge.String()
	case reason == protocol.ReasonLost && away:
		return "session.resume_window is " + r.ResumeWindow.String()
	case reason == protocol.ReasonClosed && away:
		return "session.reload_grace is " + r.ReloadGrace.String()
	}
	return ""
}

// note puts something on record of the room itself.
func (r *room) note(kind timeline.Kind, detail string) {
	r.timeline.Note(timeline.Record{At: unixMS(), Kind: kind, Detail: timeline.Line(detail)})
}

// sessionFailed hears of a panic in a session actor, before its end.
func (r *room) sessionFailed(session, reason string) {
	if m, in := r.present.Member(session); in {
		r.record(r.seats[session], m, timeline.Record{Kind: timeline.SessionFailed, Detail: timeline.Line(reason)})
	}
}
