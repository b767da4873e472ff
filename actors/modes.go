package actors

import (
	"math"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"rollcall/internal/logs"
	"rollcall/presence"
	"rollcall/protocol"
)

// telling is how a room tells its members who comes, goes and changes, by its
// mode (docs/protocol.md §7): in ModeFull at once, in ModeBatch collected, in
// ModeCount as a number. Who joins is told its snapshot once the room's members
// were told all that is in it.
type telling struct {
	mode     protocol.Mode
	storm    presence.Storm
	restless bool          // pace has something to look at
	toldAt   time.Duration // when presence, or the count, was told last
	wakeAt   time.Duration // when the timer reminds the room to flush; 0: not set

	arrivals []arrival        // in the order of the room
	stuck    bool             // they wait until snapshots of others are written
	back     []*enter         // who left and came again before the leave was told
	roster   *protocol.Roster // of the members as they are; nil: made when it is needed

	changes presence.Changes // ModeBatch: not told yet

	// ModeCount.
	mark    uint64           // offset that all but the fresh were told last
	fresh   map[*seat]uint64 // the offset of a snapshot since
	counted protocol.Count   // told last to all
	uneven  bool             // who joined since knows another
}

// arrival is a member who waits for a snapshot.
type arrival struct {
	seat *seat    // of who joins; nil: somebody in the room joins again
	ask  *command // and asks by this
}

const (
	// presenceBytes is about how long one Presence may be: what makes it longer is
	// told in another one. A connection must be able to hold it back.
	presenceBytes = 128 << 10
	// occupancyInterval is the least time between two Occupancies.
	occupancyInterval = time.Second
)

// modeIndex is a mode's place in RoomModes.
func modeIndex(m protocol.Mode) int {
	switch m {
	case protocol.ModeBatch:
		return 1
	case protocol.ModeCount:
		return 2
	}
	return 0
}

// restart forgets what was to be told, of a room that starts from a snapshot.
func (r *room) restart() {
	r.changes, r.fresh, r.roster = presence.Changes{}, nil, nil
	r.mark, r.counted, r.uneven = r.facts.offset.Load(), r.count(), false
	now := r.sys.now()
	r.become(r.sys.o.Modes.Next(r.mode, r.counted.Sessions, r.storm.On(now)))
	r.toldAt, r.restless = now-time.Hour, true
}

// become notes the room's mode where others look for it.
func (r *room) become(mode protocol.Mode) {
	modes := &r.sys.stats.RoomsByMode
	if r.mode != "" && r.name != Server {
		modes[modeIndex(r.mode)].Add(-1)
	}
	if mode != "" && r.name != Server {
		modes[modeIndex(mode)].Add(1)
	}
	if mode != "" {
		r.facts.mode.Store(&mode)
	}
	r.mode = mode
}

// count is the size of the room, observers beside members.
func (r *room) count() protocol.Count {
	c := r.present.Count()
	c.Observers = int(r.facts.observers.Load())
	return c
}

// tellJoined tells a join, which is part of presence by now.
func (r *room) tellJoined(m *protocol.MemberJoined) {
	if r.roster != nil {
		r.roster.Add(m.Member)
	}
	switch r.mode {
	case protocol.ModeFull:
		r.tell(m)
	case protocol.ModeBatch:
		if r.changes.Left(m.Member.Session) { // of another node: ours waits in back
			r.flush()
		}
		r.changes.Join(m)
	}
	r.changed()
}

// tellLeft tells a leave, which is part of presence by now. The seat, if there
// is one, is told at once and nothing after it but its farewell.
func (r *room) tellLeft(m *protocol.MemberLeft, s *seat) {
	r.roster = nil
	if s != nil && s.away {
		s.dismiss(m, m.Offset)
		if r.mode != protocol.ModeFull {
			s.tellStreams(m)
		}
		s = nil
	}
	if r.mode == protocol.ModeFull {
		for _, f := range r.fans {
			if s != nil && s.fan == f {
				f.leave(&s.target, m, s.farewell(m.Offset))
			} else {
				f.tell(m)
			}
		}
		r.changed()
		return
	}
	if s != nil {
		own := *m
		own.Prev = sparse(r.told(s, previous(m.Stamp)), m.Offset)
		s.fan.leave(&s.target, nil, &own, s.farewell(m.Offset))
	}
	if r.mode == protocol.ModeBatch {
		r.changes.Leave(m)
	}
	r.changed()
}

// tellUpdated tells an update, which is part of presence by now.
func (r *room) tellUpdated(m *protocol.MemberUpdated) {
	r.roster = nil
	switch r.mode {
	case protocol.ModeFull:
		r.tell(m)
	case protocol.ModeBatch:
		r.changes.Update(m)
	}
	r.changed()
}

// tellMessage tells a message, behind all that came before it.
func (r *room) tellMessage(m *protocol.MessagePublished) {
	if r.mode != protocol.ModeCount {
		r.flush()
		r.tell(m)
		return
	}
	fresh := r.fresh
	m.Prev = sparse(r.mark, m.Offset)
	r.mark, r.fresh = m.Offset, nil // should it not get through, its offset is missed
	if len(fresh) == 0 {
		r.tell(m)
		return
	}
	own := *m
	for _, f := range r.fans {
		f.tellVaried(m, func(yield func(*target, protocol.Message) bool) {
			for s, told := range fresh {
				if own.Prev = sparse(told, m.Offset); s.fan == f && !yield(&s.target, &own) {
					return
				}
			}
		})
	}
}

// told is the offset that a member was told last, where prev is the one that
// is told in ModeFull.
func (r *room) told(s *seat, prev uint64) uint64 {
	if r.mode == protocol.ModeCount {
		if offset, ok := r.fresh[s]; ok {
			return offset
		}
		return r.mark
	}
	if !r.changes.Empty() {
		return r.changes.Prev()
	}
	return prev
}

// sparse is the prev of an event after told, as the wire tells it: 0 where that
// is the offset before.
func sparse(told, offset uint64) uint64 {
	if told == offset-1 {
		return 0
	}
	return told
}

// previous is the offset of the event before.
func previous(s protocol.Stamp) uint64 {
	if s.Prev != 0 {
		return s.Prev
	}
	return s.Offset - 1
}

// changed counts a change that was told, or collected.
func (r *room) changed() {
	now := r.sys.now()
	r.storm.Change(r.sys.o.Modes, now)
	r.restless = true
	if r.changes.Size() >= presenceBytes {
		r.flush()
	}
	r.turn(now)
}

// turn takes the room into the mode that it should be in, once everybody was
// told all before: out of ModeCount, when the count may be told.
func (r *room) turn(now time.Duration) {
	next := r.sys.o.Modes.Next(r.mode, r.present.Count().Sessions, r.storm.On(now))
	if next == r.mode || r.closing {
		return
	}
	if due, waits := r.due(); r.mode == protocol.ModeCount && waits {
		if due > now {
			return
		}
		r.recall()
	}
	r.flush()
	r.become(next)
	offset := r.facts.offset.Load()
	r.mark, r.fresh, r.counted, r.uneven = offset, nil, r.count(), false
	r.tell(&protocol.ModeChanged{Room: r.name, Mode: next, Offset: offset})
	r.sys.stats.PresenceFrames[2].Add(1)
	reason := "members"
	if next == protocol.ModeBatch && r.storm.On(now) {
		reason = "storm"
	}
	r.sys.log.Info(logs.Mode, logs.Fields{
		"room": r.name, "mode": next, "members": r.counted.Sessions, "offset": offset, "reason": reason,
	})
}

// flush tells what was collected, as one Presence.
func (r *room) flush() {
	n := r.changes.Len()
	p := r.changes.Take(r.count())
	if p == nil {
		return
	}
	r.toldAt, r.restless = r.sys.now(), true
	r.tell(p)
	r.sys.stats.PresenceFrames[0].Add(1)
	r.sys.stats.Collected.Add(uint64(n))
}

// recall tells the count.
func (r *room) recall() {
	r.toldAt, r.counted, r.uneven = r.sys.now(), r.count(), false
	r.mark, r.fresh = r.facts.offset.Load(), nil
	r.tell(&protocol.Occupancy{Room: r.name, Offset: r.mark, At: unixMS(), Count: r.counted})
	r.sys.stats.PresenceFrames[1].Add(1)
}

// due is when what waits to be told is to be told; false: nothing waits.
func (r *room) due() (time.Duration, bool) {
	if r.mode == protocol.ModeCount {
		return r.toldAt + occupancyInterval, r.uneven || r.count() != r.counted
	}
	return r.toldAt + r.sys.o.Modes.Interval, !r.changes.Empty()
}

// pace comes after each message that the room has handled: it tells what is
// due, lets those in who waited for that, and sets the timer for the rest.
func (r *room) pace(ctx actor.Context) {
	if !r.restless || r.closing {
		return
	}
	r.serving = nil // is handled
	for r.restless {
		r.restless = false
		now := r.sys.now()
		r.turn(now)
		if due, waits := r.due(); waits && due <= now {
			if r.mode == protocol.ModeCount {
				r.recall()
			} else {
				r.flush()
			}
		}
		if r.changes.Empty() {
			r.land(ctx)
			r.readmit(ctx)
		}
	}
	r.arm()
}

// arm sets the timer for the next thing that time brings.
func (r *room) arm() {
	const never = time.Duration(math.MaxInt64)
	now, at := r.sys.now(), never
	if due, waits := r.due(); waits {
		at = due
	}
	if r.mode == protocol.ModeBatch && r.storm.On(now) {
		at = min(at, r.storm.End())
	}
	if r.roster != nil {
		at = min(at, now+r.sys.o.Modes.Interval)
	}
	if at != never && (r.wakeAt == 0 || at < r.wakeAt) {
		r.wakeAt = at
		r.remind(2, at-now, &flush{})
	}
}

// woken looks at what time has brought. A roster that nobody came for is let go.
func (r *room) woken() {
	r.wakeAt, r.restless = 0, true
	if r.changes.Empty() && len(r.arrivals) == 0 {
		r.roster = nil
	}
}

// arrive has a member wait for its snapshot.
func (r *room) arrive(a arrival) {
	r.arrivals = append(r.arrivals, a)
	r.restless = true
}

// land sends snapshots to those who wait for one, now that nothing is left to
// be told; as many as may wait to be written.
func (r *room) land(ctx actor.Context) {
	for len(r.arrivals) > 0 {
		if r.stuck = r.crowded(); r.stuck {
			return
		}
		a := r.arrivals[0]
		r.arrivals[0] = arrival{}
		r.arrivals = r.arrivals[1:]
		r.admit(ctx, a)
		r.serving = nil
	}
	r.arrivals, r.stuck = nil, false
	if r.sys.o.Modes.Interval <= 0 {
		r.roster = nil
	}
}

// admit sends one snapshot; the first one makes its visit live.
func (r *room) admit(ctx actor.Context, a arrival) {
	s := a.seat
	switch {
	case s == nil:
		r.serving = a.ask
		r.rejoin(a.ask)
	case r.seatOf(s.visit) == s && s.join != nil:
		r.serving = s.join
		if _, in := r.present.Member(s.visit.client.id); !in && !s.visit.observes { // the room started over meanwhile
			r.deny(ctx, s, &protocol.Error{Code: protocol.ErrUnavailable, Message: "the room can't take this now; try again"})
			return
		}
		r.letIn(s)
	}
}

// letIn gives a member its first snapshot, and all that follows; neither, where
// the connection that asked is not its client's any more.
func (r *room) letIn(s *seat) {
	join, wrote := s.join, func() {}
	if s.visit.queued() {
		wrote = s.visit.answered
	}
	switch {
	case s.visit.client.connection() != join.conn:
		wrote()
	case join.stream != nil:
		r.listen(s, join.join, join.stream, join.conn, wrote)
	default:
		s.fan.join(&s.target, r.joined(s, join.join), wrote)
		s.away = false
		r.freshen(s)
	}
	s.join = nil
	s.visit.attach(join.box, join.conn)
	s.visit.settle(join.cost)
	if l := s.leave; l != nil { // asked for while the join was on its way
		s.leave = nil
		r.sys.root.Send(r.self, l)
	}
}

// freshen notes that a member has a snapshot of now.
func (r *room) freshen(s *seat) {
	if r.mode != protocol.ModeCount {
		return
	}
	r.uneven = r.uneven || r.count() != r.counted
	if offset := r.facts.offset.Load(); offset != r.mark {
		if r.fresh == nil {
			r.fresh = map[*seat]uint64{}
		}
		r.fresh[s] = offset
	}
}

// readmit lets those in who came back before their leave was told.
func (r *room) readmit(ctx actor.Context) {
	back := r.back
	r.back = nil
	for _, m := range back {
		r.serving = m
		r.enter(ctx, m)
	}
	r.serving = nil
}

// abandon tells the last of what was collected, and refuses those who wait, of a
// room that stops. Those whose join is in the order are its members, and leave.
func (r *room) abandon() {
	for _, m := range r.back {
		r.refuse(m, errClosing())
	}
	for _, a := range r.arrivals {
		if a.ask != nil {
			r.refuse(a.ask, errClosing())
		}
	}
	r.back, r.arrivals = nil, nil
	r.flush()
}

// drained goes on with those who waited until the snapshots of others were
// written: first with who is in the order already.
func (r *room) drained(ctx actor.Context) {
	if r.stuck && !r.crowded() {
		r.flush()
		r.land(ctx)
	}
	r.admitQueue(ctx)
}

// list puts the members into a snapshot, in a roster where others wait for the
// same one.
func (r *room) list(j *protocol.Joined) {
	if r.roster == nil && len(r.arrivals) == 0 {
		j.Members = r.present.Members()
		return
	}
	if r.roster == nil {
		r.roster = protocol.NewRoster(r.present.Members())
	}
	j.Roster, j.Members = r.roster, r.roster.Members()
}
