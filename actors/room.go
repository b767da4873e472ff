package actors

import (
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"rollcall/engine"
	"rollcall/internal/logs"
	"rollcall/presence"
	"rollcall/protocol"
	"rollcall/timeline"
)

// room is where sessions meet. It owns the presence of its members, proposes
// what happens to its engine, applies what comes back in order, and fans it
// out. It outlives its last member by the linger time.
type room struct {
	sys   *System
	name  string
	facts *facts

	self   *actor.PID
	lobby  *actor.PID
	strand *strand // its own, and its sessions'
	order  engine.Room

	present *presence.Room
	banned  *banlist
	seats   map[string]*seat // by session
	fans    []*fanout        // one per Encoding in use
	lent    []*fanout        // those that it writes itself, once it rests
	queue   []any            // *enter and joining *command: until fewer snapshots wait to be written
	serving any              // the message being handled

	children *actor.Props // of all sessions
	next     *session     // the one that children is about to make
	box      *mailbox     // the one that they have made last
	spawned  uint64       // session actors made so far
	running  int          // those of them that have not ended
	updates  uint64       // state updates proposed so far
	resets   int          // times that it started from another snapshot

	telling

	opened     uint64        // the offset that it began at
	emptySince time.Duration // while it is vacant; else 0
	timers     [3]*time.Timer
	closing    bool
	broken     bool             // the engine would not open it
	suspects   map[finding]bool // what the last audit saw

	timeline *timeline.Log // what happened; nil: nothing is recorded

	asks map[*engine.Proposal]ask // of proposals that the engine could not settle at once
}

// facts are what others may read of a room at any time.
type facts struct {
	name     string
	epoch    atomic.Pointer[string]
	offset   atomic.Uint64
	sessions atomic.Int64
	users    atomic.Int64
	mode     atomic.Pointer[protocol.Mode]

	observers atomic.Int64
	inbox     inbox
}

// seat is a member's place in the room.
type seat struct {
	visit   *visit
	session *actor.PID
	fan     *fanout
	target  target
	join    *enter           // its join, until that is answered
	leave   *leave           // its leave, once there is one
	ask     *command         // the request to leave, to be answered; nil: none
	next    *enter           // the same session's next visits, once this one is over; a list
	dead    bool             // its session actor ended by itself
	away    bool             // it has no target: nothing is sent to it
	state   *engine.Proposal // its newest state; nil: as it joined
	past    past
	streams []*stream // in place of a target
}

func newRoom(sys *System, f *facts) *room {
	r := &room{
		sys: sys, name: f.name, facts: f, present: presence.New(), banned: &banlist{}, seats: map[string]*seat{},
	}
	r.strand = newStrand(r.writeOut)
	if f.name == Server {
		r.banned = &sys.banned
	}
	r.children = actor.PropsFromProducer(func() actor.Actor {
		s := r.next
		r.next = nil
		return s
	}, actor.WithMailbox(func() actor.Mailbox {
		r.box = r.strand.mailbox()
		return r.box
	}))
	return r
}

// writeOut writes what the room's fanouts have left to it.
func (r *room) writeOut() {
	for _, f := range r.lent {
		f.write()
	}
	clear(r.lent)
	r.lent = r.lent[:0]
}

// Receive is the room's protocol, in the order a room lives it.
func (r *room) Receive(ctx actor.Context) {
	defer explain()
	defer r.answerFailed(ctx)
	m := ctx.Message()
	if _, ok := m.(*knock); ok {
		if r.closing {
			return // the lobby has it for the room after this one
		}
		m = r.facts.inbox.take()
	}
	r.serving = m
	switch m := m.(type) {
	case *actor.Started:
		r.start(ctx)
	case *enter:
		r.enter(ctx, m)
	case *drained:
		r.drained(ctx)
	case *flush:
		r.woken()
	case *outside:
		r.outside(ctx, m.command)
	case *command:
		r.command(ctx, m)
	case *restate:
		r.restate(ctx, m)
	case *part:
		r.part(m)
	case *leave:
		r.leave(ctx, m)
	case *actor.Terminated:
		r.terminated(ctx, m.Who)
	case *settled:
		r.settle(ctx, m.Outcome, r.asked(m.Of))
	case *again:
		r.again(ctx, m.proposal)
	case *reset:
		r.reset(ctx, m.Snapshot)
	case *describe:
		m.answer(r.facts.info())
	case *listMembers:
		r.answerPage(m)
	case *readHistory:
		m.answer(r.read(m.before, m.limit))
	case *post:
		r.post(ctx, m)
	case *kick:
		m.answer(r.kick(ctx, m))
	case *ban:
		r.ban(ctx, m)
	case *unban:
		r.unban(ctx, m)
	case *listBans:
		m.answer(r.banned.all())
	case *trace:
		m.answer(r.trace(m))
	case *lingered:
		r.lingered()
	case *audit:
		r.audit(ctx)
	case *fault:
		m.do(r)
	case *actor.Stopping:
		r.stop(ctx)
	case *actor.Stopped:
		r.sys.log.Info(logs.RoomClosed, logs.Fields{"room": r.name, "epoch": r.epoch(), "offset": r.facts.offset.Load()})
	default:
		r.sys.log.Error(logs.Unexpected, logs.Fields{"actor": r.self.Id, "message_type": fmt.Sprintf("%T", m)})
	}
	r.pace(ctx)
	if r.vacant() {
		r.vacate(m)
	} else {
		r.emptySince = 0
	}
	r.serving = nil
	r.strand.light.Store(len(r.seats) <= lendTargets)
}

func (r *room) start(ctx actor.Context) {
	r.self, r.lobby = ctx.Self(), ctx.Parent()
	order, snapshot, err := r.sys.o.Engine.Open(r.name, &sink{r.sys, r.self})
	if err != nil { // everything is refused as unavailable; then another room may try
		r.sys.log.Error(logs.Unexpected, logs.Fields{"room": r.name, "actor": r.self.Id, "reason": err.Error()})
		order, r.broken = shut{}, true
	}
	r.order = order
	r.begin(snapshot)
	r.opened = snapshot.Position.Offset
	r.enforce(ctx, "", r.banned.has)
	r.note(timeline.RoomOpened, r.epoch())
	if every := r.sys.o.Audit; every > 0 {
		r.remind(0, every, &audit{})
	}
	r.sys.log.Info(logs.RoomOpened, logs.Fields{"room": r.name, "epoch": r.epoch(), "actor": r.self.Id})
}

func (r *room) epoch() string {
	if e := r.facts.epoch.Load(); e != nil {
		return *e
	}
	return ""
}

// sink brings what the engine settles later to the room's mailbox.
type sink struct {
	sys  *System
	room *actor.PID
}

func (s *sink) Settle(o engine.Outcome)  { s.sys.root.Send(s.room, &settled{o}) }
func (s *sink) Reset(sn engine.Snapshot) { s.sys.root.Send(s.room, &reset{sn}) }

// remind sends msg to the room after d. Timer i replaces its last one.
func (r *room) remind(i int, d time.Duration, msg any) {
	self, root := r.self, r.sys.root
	if r.timers[i] != nil {
		r.timers[i].Stop()
	}
	r.timers[i] = time.AfterFunc(d, func() { root.Send(self, msg) })
}

// enter lets a client in, in turn.
func (r *room) enter(ctx actor.Context, m *enter) {
	if !r.queued(m) {
		r.seat(ctx, m)
	}
}

// queued has m wait where others do, or where the room is crowded; or sheds it
// where too many wait.
func (r *room) queued(m any) bool {
	if len(r.queue) == 0 && !r.stuck && !r.crowded() {
		return false
	}
	if limit := r.sys.o.Limits.RoomQueue; limit > 0 && len(r.queue) >= limit {
		r.shed(m)
	} else {
		r.queue = append(r.queue, m)
	}
	return true
}

// crowded reports whether too many snapshots wait to be sent to let anybody
// in; then drained tells when to look again.
func (r *room) crowded() bool {
	root, self := r.sys.root, r.self
	for _, f := range r.fans {
		if f.crowded(func() { root.Send(self, &drained{}) }) {
			return true
		}
	}
	return false
}

// admitQueue goes on with those who waited until the snapshots of others were
// sent.
func (r *room) admitQueue(ctx actor.Context) {
	for len(r.queue) > 0 && !r.stuck && !r.crowded() {
		r.serving = r.queue[0]
		r.queue[0] = nil
		r.queue = r.queue[1:]
		switch m := r.serving.(type) {
		case *enter:
			r.seat(ctx, m)
		case *command:
			r.arrive(arrival{ask: m})
		}
	}
	if len(r.queue) == 0 {
		r.queue = nil
	}
}

// seat gives a client its place: a session actor is spawned, and its join
// proposed.
func (r *room) seat(ctx actor.Context, m *enter) {
	c := m.visit.client
	if c.ended.Load() {
		m.visit.abandon()
		return
	}
	if old := r.seats[c.id]; old != nil { // left and came back; the request to leave is on its way
		last := &old.next
		for *last != nil {
			last = &(*last).then
		}
		*last = m
		return
	}
	if r.changes.Left(c.id) {
		r.back = append(r.back, m)
		return
	}
	if err := r.refusal(m.visit); err != nil {
		m.refuse(err)
		r.sys.log.Info(logs.RoomRefused, logs.Fields{"room": r.name, "session": c.id, "user": c.user, "reason": err.Code})
		return
	}
	r.next = &session{visit: m.visit, state: protocol.StateActive}
	r.spawned++
	pid, err := ctx.SpawnNamed(r.children, c.id+"."+strconv.FormatUint(r.spawned, 36))
	if err != nil {
		panic(fmt.Errorf("spawn session: %w", err))
	}
	r.running++
	m.box = r.box
	data := m.join.Data
	if data == nil {
		data = c.data
	}
	s := &seat{visit: m.visit, session: pid, target: target{conn: m.conn}, join: m, away: true}
	if m.stream == nil {
		s.fan = r.fan(c.enc)
	}
	r.seats[c.id] = s
	if m.visit.observes {
		r.observe(s)
		return
	}
	r.propose(ctx, &engine.Proposal{
		Kind: engine.Join, ID: c.id, Session: c.id, User: c.user, Name: c.name, State: protocol.StateActive, Data: data,
		At: unixMS(),
	}, ask{})
}

// refusal says why a visit can't be; nil: it can.
func (r *room) refusal(v *visit) *protocol.Error {
	if err := r.barred(v.client); err != nil {
		return err
	}
	if v.observes {
		return r.mayObserve()
	}
	if limit := r.sys.o.Limits.RoomMembers; limit > 0 && len(r.seats)-int(r.facts.observers.Load()) >= limit {
		return &protocol.Error{Code: protocol.ErrRoomFull, Message: "the room has as many members as it may have"}
	}
	return nil
}

func errClosing() *protocol.Error {
	return &protocol.Error{Code: protocol.ErrUnavailable, Message: "the room is closing; try again"}
}

func (r *room) fan(enc Encoding) *fanout {
	for _, f := range r.fans {
		if f.enc == enc {
			return f
		}
	}
	r.fans = slices.DeleteFunc(r.fans, (*fanout).over)
	f := &fanout{enc: enc, stats: r.sys.stats}
	if !r.sys.apart {
		f.lend = func() { r.lent = append(r.lent, f) }
	}
	r.fans = append(r.fans, f)
	return f
}

// tell sends an event to every member.
func (r *room) tell(m protocol.Message) {
	for _, f := range r.fans {
		f.tell(m)
	}
}

// command handles a member's request.
func (r *room) command(ctx actor.Context, m *command) {
	s := r.seatOf(m.visit)
	if s == nil || s.leave != nil { // its leave overtook it
		m.refuse(notJoined(m.RequestID(), r.name))
		return
	}
	switch {
	case !s.visit.observes || !speaks(m.Command):
	case m.open:
		r.outside(ctx, m)
		return
	default:
		r.refuseObserver(m)
		return
	}
	switch c := m.Command.(type) {
	case *protocol.Publish:
		r.publish(ctx, s, m, c)
	case *protocol.Update:
		r.update(ctx, s, m, c)
	case *protocol.Signal:
		r.signal(s, m, c)
	case *protocol.Join, *protocol.Leave: // a Leave of one stream, behind the Join that began it
		if !r.queued(m) {
			r.arrive(arrival{ask: m})
		}
	case *protocol.Members:
		l, err := r.page(c.Cursor, c.Limit)
		if err != nil {
			err.ID, err.Room = c.ID, r.name
			m.refuse(err)
			return
		}
		l.ID = c.ID
		r.answer(m, &l)
	case *protocol.History:
		h := r.read(c.Before, c.Limit)
		h.ID = c.ID
		r.answer(m, &h)
	default:
		panic(fmt.Sprintf("command %T", m.Command))
	}
}

// seatOf returns the seat of a visit; nil: it has none, or none any more.
func (r *room) seatOf(v *visit) *seat {
	if s := r.seats[v.client.id]; s != nil && s.visit == v {
		return s
	}
	return nil
}

// answer tells one client and settles its request.
func (r *room) answer(m *command, a protocol.Message) {
	m.visit.settle(m.cost)
	m.tell(a)
}

// rejoin answers a join of somebody who is in the room, and sends to where it
// came from from now on.
func (r *room) rejoin(m *command) {
	s := r.seatOf(m.visit)
	switch {
	case s == nil || s.leave != nil:
		m.refuse(notJoined(m.RequestID(), r.name))
		return
	case m.stream != nil:
		r.restream(s, m)
		return
	case s.target.conn == m.conn && !s.away:
		s.fan.answer(&s.target, r.joined(s, m.Command.(*protocol.Join)))
	case m.visit.client.connection() != m.conn: // has ended, too
		m.visit.settle(m.cost)
		return
	default:
		r.depart(s)
		back := &seat{ // the old target is the writer's until it has left
			visit: s.visit, session: s.session, fan: s.fan, target: target{conn: m.conn}, ask: s.ask, next: s.next, dead: s.dead,
			state: s.state, past: s.past,
		}
		r.recordReturn(back, m.conn)
		r.seats[m.visit.client.id] = back
		back.fan.join(&back.target, r.joined(back, m.Command.(*protocol.Join)), nil)
		s = back
	}
	r.freshen(s)
	m.visit.settle(m.cost)
}

// part stops sending to a connection that has ended.
func (r *room) part(m *part) {
	s := r.seatOf(m.visit)
	if s == nil {
		return
	}
	r.recordPart(s, m)
	if s.target.conn == m.conn {
		r.depart(s)
		s.hush()
	}
}

// depart takes a member out of the fan-out. It keeps its seat.
func (r *room) depart(s *seat) {
	if !s.away {
		s.fan.leave(&s.target, nil)
		s.away = true
		delete(r.fresh, s)
	}
}

// answer tells a member something where its request came from: behind the
// events so far, if they are sent there.
func (s *seat) answer(on Connection, m protocol.Message) {
	if s.away || s.target.conn != on {
		s.visit.client.say(on, m)
		return
	}
	s.fan.answer(&s.target, m)
}

func (r *room) signal(s *seat, m *command, c *protocol.Signal) {
	client := m.visit.client
	event := &protocol.Signaled{Room: r.name, Session: client.id, User: client.user, Data: c.Data}
	for _, f := range r.fans {
		if !f.hint(event) {
			r.sys.stats.SignalsDropped.Add(1)
		}
	}
	if c.ID != 0 {
		s.answer(m.conn, &protocol.OK{ID: c.ID})
	}
	s.hold(m)
}

// joined is the snapshot for a member, with the messages it asked for.
func (r *room) joined(s *seat, c *protocol.Join) *protocol.Joined {
	j := &protocol.Joined{
		ID: c.ID, Room: r.name, Epoch: r.epoch(), Offset: r.facts.offset.Load(), Session: s.visit.client.id,
		Mode: r.mode, Observer: s.visit.observes, Count: r.count(), Recovered: true,
	}
	if r.mode != protocol.ModeCount {
		r.list(j)
	}
	var ms []*protocol.MessagePublished
	if c.Since != nil {
		ms, j.Recovered = r.order.Since(*c.Since)
	}
	if c.Since == nil || len(ms) == 0 && !j.Recovered { // of another epoch there is nothing after
		ms = r.order.Newest(c.History)
	}
	for len(ms) > 0 && ms[len(ms)-1].Offset > j.Offset { // ordered, and told as events yet to come
		ms = ms[:len(ms)-1]
	}
	j.Messages = values(ms)
	return j
}

func values(ms []*protocol.MessagePublished) []protocol.MessagePublished {
	vs := make([]protocol.MessagePublished, len(ms))
	for i, m := range ms {
		vs[i] = *m
	}
	return vs
}

// read is a part of the history.
func (r *room) read(before uint64, limit int) protocol.Messages {
	if limit <= 0 {
		limit = protocol.DefaultHistoryLimit
	}
	ms, more := r.order.Before(before, min(limit, protocol.MaxHistoryLimit))
	return protocol.Messages{Room: r.name, Messages: values(ms), More: more}
}

// restate proposes the state that a session found itself in.
func (r *room) restate(ctx actor.Context, m *restate) {
	s := r.seatOf(m.visit)
	if s == nil || s.leave != nil || s.visit.observes {
		return
	}
	s.state = &engine.Proposal{
		Kind: engine.Update, ID: r.updateID(), Session: m.visit.client.id, User: m.visit.client.user, State: m.state,
		At: unixMS(),
	}
	r.propose(ctx, s.state, ask{})
}

func (r *room) updateID() string {
	r.updates++
	return strconv.FormatUint(r.updates, 36)
}

// leave proposes a member's leave. The first one counts; a request to leave is
// answered all the same.
func (r *room) leave(ctx actor.Context, m *leave) {
	s := r.seatOf(m.visit)
	if s == nil {
		if m.ask != nil {
			m.ask.refuse(notJoined(m.ask.RequestID(), r.name))
		}
		return
	}
	if m.ask != nil {
		s.ask = m.ask
		s.hush()
	}
	if s.leave != nil {
		return
	}
	s.leave = m
	_, present := r.present.Member(s.visit.client.id)
	if s.join == nil || r.closing && present {
		r.proposeLeave(ctx, s)
	} // else once it is let in
}

// proposeLeave proposes the leave of a seat. An observer's is its own affair.
func (r *room) proposeLeave(ctx actor.Context, s *seat) {
	if s.visit.observes {
		r.expel(ctx, s, s.leave.reason)
		return
	}
	c := s.visit.client
	r.propose(ctx, &engine.Proposal{
		Kind: engine.Leave, ID: c.id, Session: c.id, User: c.user, Reason: s.leave.reason, Code: s.leave.code, At: unixMS(),
	}, ask{})
}

// terminated hears that a session actor ended. One that has its seat still
// failed: the supervisor stopped it.
func (r *room) terminated(ctx actor.Context, who *actor.PID) {
	r.running--
	if s := r.seats[ownName(who)]; s != nil && s.session.Id == who.Id {
		s.dead = true
		r.leave(ctx, &leave{visit: s.visit, reason: protocol.ReasonFailed})
	}
}

// ownName reads what an actor is named after: …/name.number.
func ownName(pid *actor.PID) string {
	from, to := 0, len(pid.Id)
	for i := range len(pid.Id) {
		switch pid.Id[i] {
		case '/':
			from = i + 1
		case '.':
			to = i
		}
	}
	if to < from {
		to = len(pid.Id)
	}
	return pid.Id[from:to]
}

// vacant reports whether nobody is here, nor on the way within the room, nor
// waits for an answer, which those do whose request a session actor has still.
// The server's own room never is, unless it is broken.
func (r *room) vacant() bool {
	return len(r.seats)+len(r.queue)+len(r.back)+len(r.asks)+r.running == 0 && !r.closing && (r.name != Server || r.broken)
}

// linger is how long the room stays when it is vacant: not at all where
// nothing has happened in it, as of one that was made to ban somebody from it.
func (r *room) linger() time.Duration {
	switch {
	case r.name == Server:
		return retryInterval
	case r.broken, r.facts.offset.Load() == r.opened && len(r.timeline.Room()) <= 1: // that it was opened
		return 0
	}
	return r.sys.o.Linger
}

// vacate notes that the room is empty after m, and begins to linger. A message
// from outside is kept for the linger time, too.
func (r *room) vacate(m any) {
	posted := false
	switch m.(type) {
	case *post, *outside:
		posted = true
	}
	_, came := m.(routed)
	switch {
	case r.linger() <= 0:
		if r.emptySince == 0 || came {
			r.emptySince = max(r.sys.now(), 1)
			r.sys.root.Send(r.self, &lingered{}) // behind the last words of its sessions
		}
	case r.emptySince == 0 || posted:
		r.emptySince = max(r.sys.now(), 1)
		r.remind(1, r.linger(), &lingered{})
	}
}

// lingered asks the lobby to end the room if it has been empty all the time.
func (r *room) lingered() {
	if !r.vacant() || r.emptySince == 0 {
		return
	}
	if all, gone := r.linger(), r.sys.now()-r.emptySince; all > 0 && gone < all {
		r.remind(1, all-gone, &lingered{})
		return
	}
	r.resign()
}

// resign asks the lobby to end the room, and asks again later: somebody may be
// on the way, and come to nothing.
func (r *room) resign() {
	r.sys.root.Send(r.lobby, &vacant{r.self, r.name, r.facts.inbox.count()})
	r.remind(1, r.linger()+time.Second, &lingered{})
}

// stop tells everybody who is still here that the room is over. It must not
// panic: the actor could never stop.
func (r *room) stop(ctx actor.Context) {
	defer func() {
		if p := recover(); p != nil {
			r.sys.log.Error(logs.Unexpected, logs.Fields{
				"actor": r.self.Id, "reason": fmt.Sprint(p), "stack": string(withStack(p).stack),
			})
		}
	}()
	r.closing = true
	for _, t := range r.timers {
		if t != nil {
			t.Stop()
		}
	}
	for _, m := range r.queue {
		r.refuse(m, errClosing())
	}
	r.abandon()
	r.queue = nil
	reason := protocol.ReasonFailed
	if r.sys.stopping.Load() {
		reason = protocol.ReasonShutdown
	}
	for _, s := range r.seats {
		r.leave(ctx, &leave{visit: s.visit, reason: reason})
	}
	r.order.Close()
	for _, s := range r.seats { // what the engine has not settled it no longer will
		if s.join == nil {
			r.expel(ctx, s, reason)
			continue
		}
		if _, in := r.present.Member(s.visit.client.id); in {
			r.sys.stats.Left(reason)
		}
		r.deny(ctx, s, errClosing())
	}
	for _, a := range r.asks {
		a.refuse(errClosing())
	}
	r.asks = nil
	r.become("")
	r.sys.stats.Members.Add(-r.facts.sessions.Swap(0))
	r.facts.users.Store(0)
}

// refuse answers what somebody waits for with an error.
func (r *room) refuse(m any, err *protocol.Error) {
	switch m := m.(type) {
	case *command:
		err.ID, err.Room = m.RequestID(), r.name
		m.refuse(err)
	case routed:
		refuse(m, err)
	}
}

// answerFailed keeps a panic from leaving somebody without an answer: the
// request that met it is answered internal.
func (r *room) answerFailed(ctx actor.Context) {
	p := recover()
	if p == nil {
		return
	}
	failed := withStack(p)
	defer panic(failed)
	defer func() { _ = recover() }() // the first panic is the one to tell
	r.note(timeline.RoomFailed, failed.String())
	internal := &protocol.Error{Code: protocol.ErrInternal, Message: "the room failed; try again"}
	m := r.serving
	r.serving = nil
	r.sys.root.Send(r.self, &flush{}) // what was left undone
	switch m := m.(type) {
	case *enter:
		switch s := r.seatOf(m.visit); {
		case s == nil:
			refuse(m, internal)
		case s.join != nil:
			r.deny(ctx, s, internal)
		} // else it is in, and was told so
	case *leave: // left undone: the audit sees to it
		if s := r.seatOf(m.visit); s != nil {
			s.leave = nil
		}
	default:
		r.refuse(m, internal)
	}
}
