package actors

import (
	"cmp"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"rollcall/internal/logs"
	"rollcall/protocol"
	"rollcall/timeline"
)

// Connection is a client's wire. Its methods may be called from any goroutine
// and do not block.
type Connection interface {
	// Write sends b, whole frames, after everything written before, and keeps
	// no part of it. b[must:] is dropped where the connection has a backlog.
	Write(b []byte, must int)
	// Close ends the connection with a close frame after everything written;
	// the first call counts.
	Close(code uint16, reason string)
	// Pause stops reading from the peer until Resume.
	Pause()
	Resume()
	// Soon has f called when the goroutine that serves the connection has done
	// what it is at: at the latest when it has passed on all that it has read. It
	// is called on that goroutine, by who has something from the peer.
	Soon(f func())
}

// Encoding is how a connection's messages become bytes: client protocol and
// framing together. Connections whose Encodings are equal share those bytes,
// so it must be comparable.
type Encoding interface {
	Append(b []byte, m protocol.Message) []byte
}

// Client is a connection's door to the actors, and its session: who it is,
// which rooms it is in, its limits and its activity. It may outlive its
// connection, and take another: see Resume. What a connection has to say names
// that connection, and counts only while it is the client's. Every method may
// be called from any goroutine.
type Client struct {
	// Set at the start, then never changed.
	sys   *System
	enc   Encoding
	id    string
	user  string
	name  string
	data  json.RawMessage // for joins without their own; nil: none
	since time.Duration   // on the system's clock

	activity atomic.Int64  // time.Duration on the system's clock
	seen     atomic.Int64  // likewise: the last frame
	shown    atomic.Uint32 // the verdict that its sessions last heard of
	promise  atomic.Int64  // time.Duration between two of its own pings; 0: none promised
	ended    atomic.Bool
	flow     flow

	// Guarded by in: one frame at a time.
	in    sync.Mutex
	spent *spent // nil: nothing yet

	mu       sync.Mutex
	conn     Connection    // nil: it has none
	away     time.Duration // without one: when it ends; on the system's clock
	resumes  uint32        // connections after the first
	welcomed bool          // on conn; what ends it before waits for that
	visits   []*visit      // rooms it is in or on the way to
	leaving  []departure   // rooms it has left, which have not let go of it yet; oldest first
	arriving *visit        // the last of the rooms that are entered one after the other; nil: none are
	ending   *end          // with ended; or what it will be, while away; not changed once set

	link link // the wheel's
}

// visit is a client's stay in one room, from the wish to join until the leave.
// It is known by its address: a client that leaves and comes back is on
// another visit.
type visit struct {
	client   *Client
	room     string
	observes bool         // it is an observer's
	owed     atomic.Int64 // cost of commands on their way within this visit

	// Guarded by client.mu.
	box     *mailbox   // of its session actor; nil: not joined yet
	waiting []*command // until it is
	then    *enter     // goes on its way once this join is answered; nil: none
}

// ClientOptions are what a connection brings along.
type ClientOptions struct {
	Connection Connection
	Encoding   Encoding
	User       string          // empty: the session's id
	Name       string          // empty: the user
	Data       json.RawMessage // nil: none
	Promise    time.Duration   // a ping of its own comes this often; 0: none is promised
}

// Connect makes the session of a new connection.
func (s *System) Connect(o ClientOptions) *Client {
	c := &Client{
		sys: s, conn: o.Connection, enc: o.Encoding, id: newSessionID(), user: o.User, name: o.Name, data: o.Data,
		since: s.now(),
	}
	if c.user == "" {
		c.user = c.id
	}
	if c.name == "" {
		c.name = firstRunes(c.user, protocol.MaxNameRunes)
	}
	c.activity.Store(int64(c.since))
	c.seen.Store(int64(c.since))
	c.promise.Store(int64(o.Promise))
	return c
}

func firstRunes(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// ID is the session's id.
func (c *Client) ID() string { return c.id }

// User is the user's id.
func (c *Client) User() string { return c.user }

// Name is the display name.
func (c *Client) Name() string { return c.name }

// Start welcomes the client on its connection and joins it to rooms, in order.
func (c *Client) Start(on Connection, rooms []string) {
	s := c.sys
	goes := s.clients.admit(c, s.o.PerUser)
	s.reminders.set(c)
	r := s.o.Rules
	w := &protocol.Welcome{
		Session: c.id, User: c.user, Name: c.name, HeartbeatMS: s.o.Heartbeat.Milliseconds(),
		IdleMS: r.IdleAfter.Milliseconds(), DisconnectMS: r.DisconnectAfter.Milliseconds(),
		ResumeWindowMS: r.ResumeWindow.Milliseconds(), MaxBytes: s.o.MaxBytes, Server: s.o.Server, At: unixMS(),
	}
	c.mu.Lock()
	w.Resumed = c.resumes > 0
	if r.ResumeWindow > 0 || r.ReloadGrace > 0 {
		w.Resume = s.tokens.mint(c.id, c.resumes)
	}
	c.mu.Unlock()
	c.say(on, w)
	if e := c.welcome(on); e != nil {
		c.farewell(on, e)
	}
	if goes != nil {
		goes.End(protocol.ReasonReplaced, protocol.CloseReplaced, "")
	}
	if s.banned.has(c.user, c.id) { // since its handshake
		c.End(protocol.ReasonBanned, protocol.CloseBanned, "")
	}
	if !c.ended.Load() {
		c.arrive(on, rooms)
	}
}

// welcome notes that a connection was welcomed. It returns the ending that came
// before: from the moment that clients has it, whoever is newer may replace it.
func (c *Client) welcome(on Connection) *end {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != on {
		return nil
	}
	c.welcomed = true
	if c.ended.Load() {
		return c.ending
	}
	return nil
}

// arrive joins rooms whose answers come in order: each is entered once the one
// before has answered. What the client sends meanwhile waits for its room.
func (c *Client) arrive(on Connection, rooms []string) {
	for _, room := range rooms {
		join := &protocol.Join{Request: protocol.Request{Room: room}}
		c.sys.stats.command(join)
		if protocol.ServerRoom(room) {
			c.Refuse(on, serverRoom(room))
			continue
		}
		c.join(&command{Command: join, cost: commandOverhead, conn: on}, true)
	}
}

// queued reports whether the visit is one of an arrival that is not over.
func (v *visit) queued() bool {
	v.client.mu.Lock()
	defer v.client.mu.Unlock()
	return v.then != nil || v.client.arriving == v
}

// answered sends the next join of an arrival on its way; or drops it, and
// those behind it, where the client has ended meanwhile.
func (v *visit) answered() {
	c := v.client
	c.mu.Lock()
	m := v.then
	v.then = nil
	if c.arriving == v {
		c.arriving = nil
	}
	c.mu.Unlock()
	switch {
	case m == nil:
	case c.ended.Load():
		m.visit.abandon()
	default:
		c.sys.toLobby(m)
	}
}

// abandon ends a visit whose client ended before it began.
func (v *visit) abandon() {
	v.detach()
	v.answered()
}

// tell writes one message to this client alone, if it has a connection.
func (c *Client) tell(m protocol.Message) {
	if conn := c.connection(); conn != nil {
		c.say(conn, m)
	}
}

// connection is what the client is connected by; nil: it is away.
func (c *Client) connection() Connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn
}

// say writes one message to a connection of this client's. Where that is not
// its connection any more it has ended, and drops it: an answer goes to where
// the question came from, or nowhere.
func (c *Client) say(on Connection, m protocol.Message) {
	buf := buffers.Get().(*[]byte)
	b := c.enc.Append((*buf)[:0], m)
	on.Write(b, len(b))
	if cap(b) <= maxPooledBytes {
		*buf = b
		buffers.Put(buf)
	}
}

const maxPooledBytes = 64 << 10

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// Do takes one command, whose frame was size bytes long, to where it belongs.
func (c *Client) Do(from Connection, cmd protocol.Command, size int) {
	c.do(&command{Command: cmd, cost: int64(size + commandOverhead), conn: from})
}

func (c *Client) do(m *command) {
	from, cmd := m.conn, m.Command
	c.in.Lock()
	defer c.in.Unlock()
	if c.ended.Load() || c.connection() != from {
		return
	}
	c.sys.stats.command(cmd)
	if err := c.admit(cmd); err != nil {
		err.ID, err.Room = cmd.RequestID(), cmd.RoomName()
		c.refuse(from, err)
		return
	}
	c.stir(protocol.Activity(cmd))
	switch cmd := cmd.(type) {
	case *protocol.Ping:
		c.say(from, &protocol.Pong{ID: cmd.ID, At: unixMS()})
	case *protocol.Join:
		c.join(m, false)
	default:
		c.dispatch(m)
	}
}

// Refuse answers a request with an error. A flood of them ends the session.
func (c *Client) Refuse(from Connection, err *protocol.Error) {
	c.in.Lock()
	defer c.in.Unlock()
	if c.connection() == from {
		c.refuse(from, err)
	}
}

func (c *Client) refuse(from Connection, err *protocol.Error) {
	c.sys.stats.Refused(err.Code)
	limit := c.sys.o.Limits.ErrorRate
	if _, ok := c.buckets().errors.take(c.sys.now(), limit, max(floodBurst*limit, 1)); !ok {
		c.End(protocol.ReasonViolation, protocol.CloseFlood, "")
		return
	}
	c.say(from, err)
}

// floodBurst is how many seconds' worth of refused requests a client may make
// at once before it counts as a flood.
const floodBurst = 10

func serverRoom(name string) *protocol.Error {
	return &protocol.Error{
		Code: protocol.ErrForbidden, Room: name, Message: "rooms whose names begin with @ belong to the server",
	}
}

// admit holds a command against the session's limits.
func (c *Client) admit(cmd protocol.Command) *protocol.Error {
	l := &c.sys.o.Limits
	if r := cmd.RoomName(); protocol.ServerRoom(r) {
		return serverRoom(r)
	}
	var b *bucket
	var rate float64
	spent := c.buckets()
	switch cmd.(type) {
	case *protocol.Publish:
		b, rate = &spent.publishes, l.PublishRate
	case *protocol.Update:
		b, rate = &spent.updates, l.UpdateRate
	case *protocol.Signal:
		b, rate = &spent.signals, l.SignalRate
	default:
		b, rate = &spent.requests, l.RequestRate
	}
	if wait, ok := b.take(c.sys.now(), rate, max(rate, 1)); !ok {
		return rateLimited(wait)
	}
	return nil
}

// join begins a visit, or asks the one that there is for a fresh snapshot; where
// a member wants to observe, or an observer to be a member, that one is left
// first. It goes behind an arrival that is not over, and begins one if it is
// the first.
func (c *Client) join(m *command, arrives bool) {
	join := m.Command.(*protocol.Join)
	c.mu.Lock()
	if c.conn != m.conn { // over
		c.mu.Unlock()
		return
	}
	if v := c.visitOf(join.Room); v != nil && v.observes == join.Observe {
		c.mu.Unlock()
		c.dispatch(m)
		return
	} else if v != nil {
		leave := &protocol.Leave{Request: protocol.Request{Room: join.Room}}
		c.send(v, &command{Command: leave, cost: commandOverhead, conn: m.conn})
	}
	if limit := c.sys.o.Limits.RoomsPerSession; limit > 0 && len(c.visits) >= limit {
		c.mu.Unlock()
		c.refuse(m.conn, &protocol.Error{
			ID: join.ID, Room: join.Room, Code: protocol.ErrForbidden, Message: "this session is in as many rooms as one may be",
		})
		return
	}
	v := &visit{client: c, room: join.Room, observes: join.Observe}
	c.visits = append(c.visits, v)
	c.owe(v, m.cost)
	e, before := &enter{visit: v, join: join, stream: m.stream, cost: m.cost, conn: m.conn}, c.arriving
	if before != nil || arrives {
		c.arriving = v
	}
	if before != nil {
		before.then = e
	}
	c.mu.Unlock()
	if before == nil {
		c.sys.toLobby(e)
	}
}

// dispatch passes a command on to the session actor of its room.
func (c *Client) dispatch(m *command) {
	if !c.pass(m) {
		c.refuse(m.conn, notJoined(m.RequestID(), m.RoomName()))
	}
}

// pass sends a command to its session actor, or has it wait until there is
// one. It reports false where the client is not in the room. All of it happens
// under c.mu, so that a visit that is over got all that it will ever get.
func (c *Client) pass(m *command) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != m.conn { // over: nobody waits for an answer
		return true
	}
	v := c.visitOf(m.RoomName())
	if v == nil {
		return false
	}
	if c.book(v, m) {
		v.box.postSoon(m, m.conn)
	}
	return true
}

// send is pass for one visit, from wherever. c.mu is held.
func (c *Client) send(v *visit, m *command) {
	if c.book(v, m) {
		v.box.PostUserMessage(m)
	}
}

// book makes a command one of a visit. It reports whether there is a session
// actor to send it to; else it waits for one. c.mu is held.
func (c *Client) book(v *visit, m *command) bool {
	if _, leaving := m.Command.(*protocol.Leave); leaving && m.stream == nil { // what follows belongs to another visit
		c.drop(v)
		c.leaving = append(c.leaving, departure{visit: v})
	}
	c.owe(v, m.cost)
	m.visit = v
	if v.box == nil {
		v.waiting = append(v.waiting, m)
	}
	return v.box != nil
}

func notJoined(id uint64, room string) *protocol.Error {
	return &protocol.Error{ID: id, Room: room, Code: protocol.ErrNotJoined, Message: "join the room first"}
}

// visitOf finds the visit to a room. c.mu is held.
func (c *Client) visitOf(room string) *visit {
	for _, v := range c.visits {
		if v.room == room {
			return v
		}
	}
	return nil
}

// isIn reports whether the client is in a room, or on the way to it.
func (c *Client) isIn(room string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.visitOf(room) != nil
}

// drop takes a visit off the list. c.mu is held.
func (c *Client) drop(v *visit) {
	for i, o := range c.visits {
		if o == v {
			last := len(c.visits) - 1
			c.visits[i], c.visits[last] = c.visits[last], nil
			c.visits = c.visits[:last]
			return
		}
	}
}

// attach makes a visit live: the room has a session actor for it, and sends to
// conn. What waited goes to it first, in order; if the connection ended
// meanwhile, it hears of it.
func (v *visit) attach(box *mailbox, conn Connection) {
	c := v.client
	c.mu.Lock()
	defer c.mu.Unlock()
	v.box = box
	if c.conn != conn {
		box.PostUserMessage(&parted{conn, c.held(), unixMS()})
	}
	for _, m := range v.waiting {
		box.PostUserMessage(m)
	}
	v.waiting = nil
	if verdict(c.shown.Load()) != active {
		box.PostUserMessage(look)
	}
	if c.ended.Load() {
		box.PostUserMessage(c.ending)
	}
}

// held reports whether the client still has the visit.
func (v *visit) held() bool {
	v.client.mu.Lock()
	defer v.client.mu.Unlock()
	return v.client.visitOf(v.room) == v
}

// refuse ends a visit that did not become one. The commands that waited for
// it are answered not_joined.
func (m *enter) refuse(err *protocol.Error) {
	v, answer := m.visit, *err
	answer.ID, answer.Room = m.join.ID, v.room
	waiting := v.detach()
	v.client.sys.stats.Refused(err.Code)
	v.client.say(m.conn, &answer)
	for _, m := range waiting {
		m.refuse(notJoined(m.RequestID(), v.room))
	}
	v.answered()
}

// refuse answers a command with an error, and settles it.
func (m *command) refuse(err *protocol.Error) {
	m.visit.settle(m.cost)
	m.visit.client.sys.stats.Refused(err.Code)
	m.tell(err)
}

// tell answers a command where it came from.
func (m *command) tell(a protocol.Message) { m.visit.client.say(m.conn, a) }

// detach ends a visit: its room has let go of it.
func (v *visit) detach() (waiting []*command) {
	c := v.client
	c.mu.Lock()
	c.drop(v)
	waiting, v.waiting, v.box = v.waiting, nil, nil
	waiting = c.release(v, waiting)
	c.mu.Unlock()
	c.forgive(v)
	return waiting
}

// stir notes a frame, and whether it was activity; sessions that stood
// otherwise hear of it.
func (c *Client) stir(activity bool) {
	now := c.sys.now()
	c.seen.Store(int64(now))
	if activity {
		c.activity.Store(int64(now))
	}
	switch v := verdict(c.shown.Load()); {
	case v == unresponsive, v == idle && activity:
		c.show(now)
	}
}

// show has the client's sessions look at how it stands.
func (c *Client) show(now time.Duration) {
	v, _ := c.judge(now)
	c.shown.Store(uint32(v))
	c.sys.reminders.set(c)
	c.eachSession(look)
}

var look = &checkState{}

// eachSession sends m to every session actor of the client.
func (c *Client) eachSession(m any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range c.visits {
		if v.box != nil {
			v.box.PostUserMessage(m)
		}
	}
}

// judge says where the session stands on the ladder.
func (c *Client) judge(now time.Duration) (verdict, time.Duration) {
	s := signs{
		since: c.since, activity: time.Duration(c.activity.Load()), seen: time.Duration(c.seen.Load()),
		promise: time.Duration(c.promise.Load()),
	}
	c.mu.Lock()
	s.away = c.away
	c.mu.Unlock()
	return c.sys.o.Rules.judge(now, s)
}

// nextLook is when the wheel should look at the client next; 0: never.
func (c *Client) nextLook(now time.Duration) time.Duration {
	if c.ended.Load() {
		return 0
	}
	v, next := c.judge(now)
	if v >= endIdle { // it is due, and nobody has looked yet
		return now
	}
	return next
}

// due is called by the wheel: somebody should look at this client. How its
// members stand is for its sessions to decide; how the connection stands is
// decided here.
func (c *Client) due(now time.Duration) {
	switch v, _ := c.judge(now); v {
	case endIdle:
		c.End(protocol.ReasonIdle, protocol.CloseIdle, "")
	case endExpired:
		c.End(protocol.ReasonExpired, protocol.CloseExpired, "")
	case endAway:
		c.giveUp(now)
	case idle, unresponsive:
		c.show(now)
	}
	c.sys.reminders.set(c)
}

// End ends the connection from the server's side: bye, a close frame, and a
// leave in each of its rooms. Text replaces the reason in bye; empty: the
// reason itself. The first ending counts.
func (c *Client) End(reason protocol.Reason, code protocol.CloseCode, text string) {
	c.EndAfter(reason, code, text, 0)
}

// EndAfter is End with a time that the client is asked to stay away for.
func (c *Client) EndAfter(reason protocol.Reason, code protocol.CloseCode, text string, after time.Duration) {
	c.end(reason, code, text, after, timeline.Unknown)
}

// end is EndAfter, on behalf of somebody.
func (c *Client) end(reason protocol.Reason, code protocol.CloseCode, text string, after time.Duration, by timeline.By) {
	e := &end{reason, code, after, cause{by, text}}
	conn, ok := c.finish(e)
	if !ok {
		return
	}
	defer c.leaveAll() // what its members are told comes behind what it is told
	if conn != nil {
		c.farewell(conn, e)
	}
	c.sys.log.Info(logs.Cut, logs.Fields{"session": c.id, "user": c.user, "reason": reason, "code": code})
}

// farewell says bye on a connection, and closes it.
func (c *Client) farewell(conn Connection, e *end) {
	text := cmp.Or(e.text, string(e.reason))
	c.say(conn, &protocol.Bye{Code: e.code, Reason: text, Reconnect: e.code.Reconnect(), AfterMS: e.after.Milliseconds()})
	conn.Close(uint16(e.code), string(e.reason))
}

// finish marks the client as ended, and returns the connection that it still
// has to be told on; nil: none, or one that Start will tell once it is
// welcomed. It reports false where the client was ended already.
func (c *Client) finish(e *end) (Connection, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ok := c.conclude(e)
	if !c.welcomed {
		return nil, ok
	}
	return c.conn, ok
}

// conclude is finish. c.mu is held.
func (c *Client) conclude(e *end) bool {
	if c.ended.Load() {
		return false
	}
	c.back()
	c.ending = e
	c.ended.Store(true)
	return true
}

// leaveAll has the ended client leave its rooms.
func (c *Client) leaveAll() {
	c.sys.clients.remove(c)
	c.sys.reminders.remove(c)
	c.eachSession(c.ending)
}

// SessionInfo is what is known of a session.
type SessionInfo struct {
	Session      string          `json:"session"`
	User         string          `json:"user"`
	Name         string          `json:"name"`
	Data         json.RawMessage `json:"data,omitempty"`
	State        protocol.State  `json:"state"`
	Rooms        []string        `json:"rooms"`
	ConnectedAt  int64           `json:"connected_at"`   // Unix milliseconds
	LastActivity int64           `json:"last_active_at"` // likewise
}

func (c *Client) info() SessionInfo {
	now, wall := c.sys.now(), unixMS()
	ago := func(d time.Duration) int64 { return wall - (now - d).Milliseconds() }
	i := SessionInfo{
		Session: c.id, User: c.user, Name: c.name, Data: c.data, State: c.state(now), Rooms: []string{},
		ConnectedAt: ago(c.since), LastActivity: ago(time.Duration(c.activity.Load())),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range c.visits {
		if v.box != nil {
			i.Rooms = append(i.Rooms, v.room)
		}
	}
	return i
}

// Ending is why the session ended; empty: it did not yet.
func (c *Client) Ending() protocol.Reason {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended.Load() {
		return ""
	}
	return c.ending.reason
}
