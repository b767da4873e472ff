package actors

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"pgregory.net/rapid"

	"rollcall/engine"
	"rollcall/protocol"
)

// The model test: clients come, talk, fall idle, leave, are thrown out, crash
// and come back, in any order and several at once. A referee reads all that
// they are sent, and after every step compares it with the truth.

// view is a room as one of its members knows it from what it was sent.
type view struct {
	epoch    string
	offset   uint64
	mode     protocol.Mode
	sessions int                        // as many as it was told that there are
	members  map[string]protocol.Member // nil: it was told no list
	counted  int64                      // when it was told an occupancy last, Unix milliseconds
	cut      bool                       // its connection was lost: the room sends nothing until it joins again
	observes bool
}

// player is a client of the model.
type player struct {
	*person
	views   map[string]*view  // rooms it was told that it is in
	waiting map[uint64]string // requests without an answer
	hoped   []string          // rooms of its query
	lastID  uint64
	away    bool // without a connection, and may resume
	back    bool // it has resumed
	over    bool
}

// referee reads what the players get.
type referee struct {
	h       *house
	late    bool // the engine settles later
	rooms   []string
	players []*player
	told    map[string]string // by room, epoch and offset: the event, the same for all
	watcher *player           // never leaves: sees every event; nil: none
}

func (p *player) send(kind, room, rest string) {
	if p.over {
		return
	}
	p.lastID++
	text := fmt.Sprintf("%s#%d %s", kind, p.lastID, room)
	if rest != "" {
		text += " " + rest
	}
	p.waiting[p.lastID] = text
	p.do(say(text))
}

// read brings one player's views up to date, and checks each frame.
func (r *referee) read(t *rapid.T, p *player) {
	for _, f := range p.frames() {
		asked := p.waiting[f.ID]
		if f.ID != 0 {
			if p.waiting[f.ID] == "" {
				t.Fatalf("%s: %s answers nothing", p.name, f)
			}
			delete(p.waiting, f.ID)
		}
		v := p.views[f.Room]
		switch f.Type {
		case "error":
			if v != nil && v.cut && strings.HasPrefix(asked, "join") { // out, and not in again
				delete(p.views, f.Room)
			}
		case "joined":
			r.joined(t, p, f, v)
		case "join", "leave", "update", "message", "presence", "occupancy", "mode":
			r.event(t, p, f, v)
		case "signal":
			if v == nil {
				t.Fatalf("%s: %s, but it is not in the room", p.name, f)
			}
		case "bye":
			p.over = true
		}
	}
}

func (r *referee) joined(t *rapid.T, p *player, f frame, old *view) {
	v := &view{epoch: f.Epoch, offset: f.Offset, mode: f.Mode, sessions: f.Count.Sessions, members: map[string]protocol.Member{}, observes: f.Observer}
	for _, m := range f.members() {
		v.members[m.Session] = m
	}
	if v.mode == protocol.ModeCount {
		if len(v.members) > 0 {
			t.Fatalf("%s: %s has a list", p.name, f)
		}
		v.members = nil
	} else if _, in := v.members[p.client.id]; in == v.observes || len(v.members) != v.sessions {
		t.Fatalf("%s: %s is without itself, or counts %d", p.name, f, v.sessions)
	}
	p.views[f.Room] = v
	if old == nil || old.cut || old.epoch != v.epoch {
		return
	}
	v.counted = old.counted
	same := old.offset == v.offset && old.sessions == v.sessions &&
		(old.members == nil || describeMembers(old.members) == describeMembers(v.members))
	if old.mode == protocol.ModeCount {
		same = old.offset <= v.offset
	}
	if !same || old.mode != v.mode {
		t.Fatalf("%s: snapshot plus events is %+v\nthe next snapshot is %+v", p.name, old, v)
	}
}

func describeMembers(ms map[string]protocol.Member) string {
	b, err := json.Marshal(ms) // by session
	if err != nil {
		panic(err)
	}
	return string(b)
}

func (r *referee) event(t *rapid.T, p *player, f frame, v *view) {
	if v == nil && p.back && f.Type == "leave" && f.Session == p.client.id {
		return // of a join that it saw no answer to
	}
	if v == nil {
		t.Fatalf("%s: %s, but it is not in the room", p.name, f)
	}
	own := f.Type == "leave" && f.Session == p.client.id
	if v.cut {
		if !own {
			t.Fatalf("%s: %s, and did not join again", p.name, f)
		}
		delete(p.views, f.Room)
		return
	}
	if v.observes && own { // there is nothing to order
		if f.Type != "leave" || f.Offset != v.offset && f.Prev != v.offset && f.Offset != v.offset+1 {
			t.Fatalf("%s: %s after %d", p.name, f, v.offset)
		}
		delete(p.views, f.Room)
		return
	}
	if r.late && own && f.Offset == v.offset {
		delete(p.views, f.Room) // the room stopped before the engine could order it
		return
	}
	r.order(t, p, f, v)
	v.offset = f.Offset
	switch f.Type {
	case "join":
		v.join(t, p, f)
	case "leave":
		v.leave(t, p, f)
		if own {
			delete(p.views, f.Room)
		}
	case "update":
		v.update(t, p, f)
	case "presence":
		for _, j := range f.Joins {
			v.join(t, p, j)
		}
		for _, l := range f.Leaves {
			v.leave(t, p, l)
		}
		for _, u := range f.Updates {
			v.update(t, p, u)
		}
		if v.sessions != f.Count.Sessions {
			t.Fatalf("%s: %s makes %d of it", p.name, f, v.sessions)
		}
	case "occupancy":
		if f.At < v.counted+1000 {
			t.Fatalf("%s: %s at %d, one at %d was before", p.name, f, f.At, v.counted)
		}
		v.sessions, v.counted = f.Count.Sessions, f.At
	case "mode":
		if v.mode == f.Mode {
			t.Fatalf("%s: %s again", p.name, f)
		}
		if v.mode = f.Mode; v.mode == protocol.ModeCount {
			v.members = nil // nobody keeps a list for it
		}
	}
	if own && v.mode != protocol.ModeFull {
		return // the others are told in another way
	}
	key := fmt.Sprint(f.Room, " ", v.epoch, " ", f.Offset, " ", f.Mode)
	if f.Type == "occupancy" { // several at one offset: observers come and go
		key += fmt.Sprint(" at ", f.At)
	}
	text := fmt.Sprintf("%+v", f)
	if v.mode == protocol.ModeCount {
		f.Prev = 0 // may be another for each
		text = fmt.Sprintf("%+v", f)
	}
	if first, again := r.told[key]; again {
		if first != text {
			t.Fatalf("%s was told %s\nanother %s", p.name, text, first)
		}
		return
	}
	r.told[key] = text
}

// order checks that an event is the next one, and of the room's mode.
func (r *referee) order(t *rapid.T, p *player, f frame, v *view) {
	first := f.Offset
	kinds := "join leave update message mode"
	switch v.mode {
	case protocol.ModeBatch:
		kinds = "leave presence message mode"
		if f.Type == "presence" {
			first = f.From
		}
	case protocol.ModeCount:
		kinds = "leave occupancy message mode"
	}
	if !slices.Contains(strings.Fields(kinds), f.Type) || v.mode != protocol.ModeFull && f.Type == "leave" && f.Session != p.client.id {
		t.Fatalf("%s: %s in mode %s", p.name, f, v.mode)
	}
	var next bool
	switch {
	case f.Type == "occupancy", f.Type == "mode" && v.mode == protocol.ModeCount:
		next = f.Offset >= v.offset
	case f.Type == "mode":
		next = f.Offset == v.offset
	case f.Prev != 0:
		next = f.Prev == v.offset && f.Prev < first-1
	default:
		next = first == v.offset+1 && f.Offset >= first
	}
	if !next {
		t.Fatalf("%s: %s after %d", p.name, f, v.offset)
	}
}

func (v *view) join(t *rapid.T, p *player, f frame) {
	v.sessions++
	if v.members == nil {
		return
	}
	if _, in := v.members[f.Member.Session]; in {
		t.Fatalf("%s: joined twice: %s", p.name, f)
	}
	v.members[f.Member.Session] = f.Member
}

func (v *view) leave(t *rapid.T, p *player, f frame) {
	v.sessions--
	if _, in := v.members[f.Session]; !in && v.members != nil {
		t.Fatalf("%s: left without a join: %s", p.name, f)
	}
	delete(v.members, f.Session)
}

func (v *view) update(t *rapid.T, p *player, f frame) {
	m, in := v.members[f.Session]
	if v.members == nil {
		return
	}
	if !in {
		t.Fatalf("%s: updated without a join: %s", p.name, f)
	}
	if f.State != "" {
		m.State = f.State
	}
	if f.Data != nil {
		m.Data = f.Data
	}
	v.members[f.Session] = m
}

// check is called when all is quiet.
func (r *referee) check(t *rapid.T) {
	for _, p := range r.players {
		r.read(t, p)
		if p.client.ended.Load() { // what it did not hear of while it was away, it never will
			maps.DeleteFunc(p.views, func(_ string, v *view) bool { return p.away || v.cut })
			p.away, p.over = false, p.over || p.away
		}
	}
	for _, p := range r.players {
		if owed := p.client.flow.owed.Load(); owed != 0 {
			t.Fatalf("%s owes %d while all is quiet", p.name, owed)
		}
		if p.away {
			continue
		}
		if !p.client.ended.Load() && len(p.waiting) > 0 {
			t.Fatalf("%s got no answer to %v", p.name, p.waiting)
		}
		if p.client.ended.Load() && p.closed() == 0 && len(p.views) > 0 {
			t.Fatalf("%s is gone, and did not see its leave: %v", p.name, p.views)
		}
		p.client.mu.Lock()
		visits := len(p.client.visits)
		for _, v := range p.client.visits {
			if !p.client.ended.Load() && p.views[v.room] == nil || v.box == nil || len(v.waiting) > 0 {
				t.Errorf("%s has a visit to %s that it does not know of", p.name, v.room)
			}
		}
		p.client.mu.Unlock()
		if want := len(p.views); !p.client.ended.Load() && visits != want || p.client.ended.Load() && visits != 0 {
			t.Fatalf("%s has %d visits and is in %d rooms", p.name, visits, want)
		}
	}
	for _, c := range r.h.sys.Clients() {
		if r.h.sys.banned.has(c.user, c.id) {
			t.Fatalf("%s of %s is connected, and banned", c.id, c.user)
		}
	}
	for _, name := range r.rooms {
		r.checkRoom(t, name)
	}
}

func (r *referee) checkRoom(t *rapid.T, name string) {
	var truth *view
	r.h.sys.inject(name, "", func(a actor.Actor) {
		room := a.(*room)
		truth = &view{
			epoch: room.epoch(), offset: room.facts.offset.Load(), mode: room.mode, sessions: room.present.Count().Sessions,
			members: map[string]protocol.Member{},
		}
		for _, m := range room.present.Members() {
			truth.members[m.Session] = m
			if room.banned.has(m.User, m.Session) {
				t.Errorf("%s: %s of %s is in, and banned", name, m.Session, m.User)
			}
		}
		if err := room.present.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		n := len(room.seats) - int(room.observers())
		if told := room.facts.observers.Load(); told != room.observers() {
			t.Errorf("%s: %d observers, counted %d", name, room.observers(), told)
		}
		if n != len(truth.members) || len(room.queue)+len(room.back)+len(room.arrivals)+len(room.asks) != 0 {
			t.Errorf("%s: %d members, %d seats, %d waiting, %d back, %d arriving, %d asking", name, len(truth.members), n,
				len(room.queue), len(room.back), len(room.arrivals), len(room.asks))
		}
		if want := room.sys.o.Modes.Next(room.mode, n, room.storm.On(room.sys.now())); room.mode != want || *room.facts.mode.Load() != want {
			t.Errorf("%s: mode %s of %d members, want %s", name, room.mode, n, want)
		}
		for id, s := range room.seats {
			if what, _ := room.wrong(s); what != "" {
				t.Errorf("%s: %s: %s", name, id, what)
			}
		}
		if err := room.checkTimeline(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	synctest.Wait()
	for _, p := range r.players {
		v := p.views[name]
		switch {
		case p.over || p.away || v == nil:
		case truth == nil:
			t.Fatalf("%s is in %s, which does not exist", p.name, name)
		case v.epoch != truth.epoch || v.mode != truth.mode || v.sessions != truth.sessions ||
			v.offset > truth.offset || v.mode != protocol.ModeCount && v.offset != truth.offset ||
			v.members != nil && describeMembers(v.members) != describeMembers(truth.members):
			t.Fatalf("%s knows %s as %+v\nthe truth is %+v", p.name, name, v, truth)
		}
	}
}

// model is one system that many checks share, each with rooms of its own.
type model struct {
	h      *house
	late   *lateEngine // nil: the engine settles at once
	checks int
	bans   int // that were made

	settled int64 // proposals that unsettled has waited for
}

func (m *model) run(t *rapid.T) {
	m.checks++
	r := &referee{h: m.h, late: m.late != nil, told: map[string]string{}}
	for i := range 3 {
		r.rooms = append(r.rooms, fmt.Sprintf("m%d.%d", m.checks, i))
	}
	room := func() string { return rapid.SampledFrom(r.rooms).Draw(t, "room") }
	join := func(user string) *player {
		p := &player{person: m.h.connect(user), views: map[string]*view{}, waiting: map[uint64]string{}}
		r.players = append(r.players, p)
		return p
	}
	arrive := func() {
		p := &player{person: m.h.connect("zoe", r.rooms...), hoped: r.rooms, views: map[string]*view{}, waiting: map[uint64]string{}}
		r.players = append(r.players, p)
	}
	watch := func() {
		if r.watcher == nil {
			return
		}
		if r.watcher.over {
			r.watcher = join("watcher")
		}
		for _, room := range r.rooms {
			r.watcher.send("join", room, "")
		}
	}
	who := func() *player {
		var fit []*player
		for _, p := range r.players {
			if p != r.watcher && !p.over && !p.away && !p.client.ended.Load() {
				fit = append(fit, p)
			}
		}
		if len(fit) == 0 || len(fit) < 9 && rapid.Bool().Draw(t, "new") {
			return join(rapid.SampledFrom([]string{"ann", "bob", "kim"}).Draw(t, "user"))
		}
		return fit[rapid.IntRange(0, len(fit)-1).Draw(t, "who")]
	}
	// lose ends a player's connection; it may come back.
	lose := func(reason protocol.Reason, code protocol.CloseCode) {
		p := who()
		p.away = true
		p.Close(1006, "")
		p.client.Gone(p.wire, reason, code, "")
	}
	// resume brings a player back on another connection, whether the old one has
	// ended or not. It joins where it was, or may have been.
	resume := func(p *player) {
		r.read(t, p)
		if p.over || p.client.ended.Load() {
			return
		}
		rooms := map[string]bool{}
		for room, v := range p.views {
			rooms[room], v.cut = true, true
		}
		for _, text := range p.waiting {
			rooms[strings.Fields(text)[1]] = true
		}
		for _, room := range p.hoped {
			rooms[room] = true
		}
		clear(p.waiting)
		if token := p.token; !p.resume(token) {
			t.Fatalf("%s may not resume", p.name)
		}
		p.away, p.back = false, true
		for _, room := range slices.Sorted(maps.Keys(rooms)) {
			rest := ""
			if v := p.views[room]; v != nil {
				rest = fmt.Sprintf(`{"since":{"epoch":%q,"offset":%d},"observe":%v}`, v.epoch, v.offset, v.observes)
			}
			p.send("join", room, rest)
		}
	}
	n := 0
	// acts may follow each other without a pause.
	acts := map[string]func(){
		"join":         func() { who().send("join", room(), "") },
		"join back":    func() { who().send("join", room(), `{"history":3}`) },
		"leave, join":  func() { p, in := who(), room(); p.send("leave", in, ""); p.send("join", in, "") },
		"join, leave":  func() { p, in := who(), room(); p.send("join", in, ""); p.send("leave", in, "") },
		"leave":        func() { who().send("leave", room(), "") },
		"publish":      func() { n++; who().send("publish", room(), fmt.Sprint(n)) },
		"publish once": func() { n++; who().send("publish", room(), fmt.Sprintf("%d key=%d", n, n%5)) },
		"update":       func() { n++; who().send("update", room(), fmt.Sprint(n)) },
		"signal":       func() { who().send("signal", room(), "true") },
		"members":      func() { who().send("members", room(), "") },
		"history":      func() { who().send("history", room(), "") },
		"arrive":       arrive,
		"lost":         func() { lose(protocol.ReasonLost, 0) },
		"closed":       func() { lose(protocol.ReasonClosed, 1001) },
		"slow":         func() { p := who(); p.client.Gone(p.wire, protocol.ReasonSlow, 4002, "") },
		"take over":    func() { resume(who()) },
		"resume": func() {
			for _, p := range r.players {
				if p.away {
					resume(p)
					return
				}
			}
		},
		"end":  func() { who().client.End(protocol.ReasonKicked, protocol.CloseKicked, "") },
		"kick": func() { m.h.sys.toLobby(&kick{about[bool](room()), who().client.id}) },
		"post": func() {
			in := room()
			m.h.sys.toLobby(&post{about[Posted](in), Post{Room: in, User: "api", Data: []byte("0")}})
		},
	}
	maps.Copy(acts, m.moderation(t, room, who))
	maps.Copy(acts, observing(room, who))
	names := slices.Sorted(maps.Keys(acts))
	act := func(t *rapid.T) { acts[rapid.SampledFrom(names).Draw(t, "act")]() }
	if rapid.Bool().Draw(t, "watched") {
		r.watcher = join("watcher")
		watch()
	}
	synctest.Wait()
	t.Repeat(map[string]func(*rapid.T){
		"": func(t *rapid.T) {
			m.quiet(r)
			r.check(t)
			watch()
			m.quiet(r)
			r.check(t)
		},
		"act": act,
		"acts": func(t *rapid.T) {
			for range rapid.IntRange(2, 12).Draw(t, "n") {
				act(t)
			}
		},
		"wait": func(t *rapid.T) { time.Sleep(time.Duration(rapid.IntRange(1, 25).Draw(t, "seconds")) * time.Second) },
		"panic session": func(t *rapid.T) {
			m.h.sys.Inject(room(), who().client.id, func() { panic("provoked") })
		},
		"panic room": func(t *rapid.T) { m.h.sys.Inject(room(), "", func() { panic("provoked") }) },
	})
	for _, p := range r.players {
		p.away = !p.over && !p.client.ended.Load()
		p.client.Gone(p.wire, protocol.ReasonLost, 0, "")
	}
	m.pardon()
	m.quiet(r)
	r.check(t)
	time.Sleep(3 * time.Minute)
	m.quiet(r)
	m.empty(t)
}

// quiet waits until all is quiet; a late engine, and what rooms tell later, take
// virtual time.
func (m *model) quiet(r *referee) {
	synctest.Wait()
	for m.unsettled() || m.untold(r) {
	}
}

// unsettled waits for a late engine, and reports whether it had anything to do.
func (m *model) unsettled() bool {
	if m.late == nil {
		return false
	}
	before := m.settled
	for last := int64(-1); last != m.late.proposals.Load(); { // none came for longer than a retry takes
		last = m.late.proposals.Load()
		for m.late.pending.Load() > 0 {
			time.Sleep(m.late.delay)
			synctest.Wait()
		}
		time.Sleep(retryInterval + m.late.delay)
		synctest.Wait()
	}
	m.settled = m.late.proposals.Load()
	return m.settled != before
}

// untold waits a while for the rooms to tell what they have collected, and
// reports whether they had.
func (m *model) untold(r *referee) bool {
	waiting := make([]bool, len(r.rooms)) // each written by its room
	for i, name := range r.rooms {
		m.h.sys.inject(name, "", func(a actor.Actor) {
			room := a.(*room)
			_, waits := room.due()
			waiting[i] = waits || len(room.arrivals)+len(room.back) > 0
		})
	}
	synctest.Wait()
	some := slices.Contains(waiting, true)
	if some {
		time.Sleep(250 * time.Millisecond)
		synctest.Wait()
	}
	return some
}

// empty checks that nothing is left of a world that everybody has left.
func (m *model) empty(t *rapid.T) {
	s := m.h.sys
	st := s.Stats()
	var left uint64
	for i := range st.Leaves {
		left += st.Leaves[i].Load()
	}
	s.reminders.mu.Lock()
	defer s.reminders.mu.Unlock()
	for _, c := range s.reminders.slots {
		if c != nil {
			t.Fatalf("%s is on the wheel still", c.id)
		}
	}
	if n := len(s.Clients()); n+int(st.Rooms.Load())+int(st.Members.Load())+int(st.Ghosts.Load()) != 0 || st.Joins.Load() != left {
		t.Fatalf("left behind: %d clients, %d rooms, %d members, %d ghosts; %d joins and %d leaves",
			n, st.Rooms.Load(), st.Members.Load(), st.Ghosts.Load(), st.Joins.Load(), left)
	}
	m.h.all, m.h.by = nil, map[string]*person{}
}

func TestModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{h: open(t, rulesOfTheModel)}
		rapid.Check(bubbled{t}, m.run)
		m.crossed(t)
	})
}

// crossed checks that the walks have met rooms in every mode.
func (m *model) crossed(t *testing.T) {
	st := m.h.sys.Stats()
	for i, kind := range PresenceTypes {
		if st.PresenceFrames[i].Load() == 0 {
			t.Errorf("no room told any %s", kind)
		}
	}
	t.Logf("%d changes in %d presence frames, %d occupancy, %d mode", st.Collected.Load(),
		st.PresenceFrames[0].Load(), st.PresenceFrames[1].Load(), st.PresenceFrames[2].Load())
}

func rulesOfTheModel(o *Options) {
	tiny(o)
	o.Rules = Rules{
		IdleAfter: 10 * time.Second, DisconnectAfter: 40 * time.Second, MaxAge: 10 * time.Minute,
		ResumeWindow: 5 * time.Second, ReloadGrace: 2 * time.Second,
	}
	o.Linger = 20 * time.Second
	o.Audit = 7 * time.Second
	o.Limits.RoomMembers = 8
	o.Limits.RoomObservers = 3
	o.Limits.RoomsPerSession = 3
}

// The same walk over an engine that settles everything later, and every fifth
// time not at all.
func TestModelWithALateEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &model{}
		m.h = open(t, func(o *Options) {
			rulesOfTheModel(o)
			m.late = &lateEngine{Engine: o.Engine, delay: 100 * time.Millisecond, refuses: func(n int) bool { return n%5 == 0 }}
			o.Engine = m.late
		})
		rapid.Check(bubbled{t}, m.run)
		m.crossed(t)
	})
}

// lateEngine settles every proposal through the Sink, a while later and in
// order; now and then it is unavailable.
type lateEngine struct {
	engine.Engine
	delay   time.Duration
	refuses func(n int) bool // nil: none

	proposals, pending atomic.Int64
}

type lateRoom struct {
	engine.Room
	engine *lateEngine
	sink   engine.Sink
	mu     sync.Mutex // of Room
	queue  chan *engine.Proposal
	end    chan struct{}
	done   chan struct{}
	ended  bool
}

func (e *lateEngine) Open(room string, sink engine.Sink) (engine.Room, engine.Snapshot, error) {
	r, s, err := e.Engine.Open(room, sink)
	if err != nil {
		return nil, s, err
	}
	l := &lateRoom{Room: r, engine: e, sink: sink, queue: make(chan *engine.Proposal, 10000), end: make(chan struct{}), done: make(chan struct{})}
	go l.work()
	return l, s, nil
}

func (r *lateRoom) Propose(p *engine.Proposal) (engine.Outcome, bool) {
	if r.ended {
		return engine.Outcome{Of: p, Event: engine.Event{Proposal: p}, Err: engine.ErrClosed}, true
	}
	r.engine.proposals.Add(1)
	r.engine.pending.Add(1)
	r.queue <- p
	return engine.Outcome{}, false
}

func (r *lateRoom) Close() {
	if r.ended {
		return
	}
	r.ended = true
	close(r.end)
	<-r.done
	for range len(r.queue) {
		<-r.queue
		r.engine.pending.Add(-1)
	}
	r.Room.Close()
}

func (r *lateRoom) Since(p protocol.Position) ([]*protocol.MessagePublished, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Room.Since(p)
}

func (r *lateRoom) Newest(n int) []*protocol.MessagePublished {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Room.Newest(n)
}

func (r *lateRoom) Before(offset uint64, n int) ([]*protocol.MessagePublished, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Room.Before(offset, n)
}

func (r *lateRoom) work() {
	defer close(r.done)
	for n := 1; ; n++ {
		var p *engine.Proposal
		select {
		case p = <-r.queue:
		case <-r.end:
			return
		}
		select {
		case <-time.After(r.engine.delay):
		case <-r.end:
			r.engine.pending.Add(-1)
			return
		}
		r.engine.pending.Add(-1)
		if f := r.engine.refuses; f != nil && f(n) {
			r.sink.Settle(engine.Outcome{Of: p, Event: engine.Event{Proposal: p}, Err: engine.ErrUnavailable})
			continue
		}
		r.mu.Lock()
		o, _ := r.Room.Propose(p)
		r.mu.Unlock()
		r.sink.Settle(o)
	}
}
