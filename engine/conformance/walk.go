package conformance

import (
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"rollcall/bans"
	"rollcall/engine"
)

// walk does anything in any order in three rooms of one engine. Whatever comes
// back is judged against the truth as it comes; see room.
func walk(t *testing.T, e engine.Engine) {
	walks := 0
	rapid.Check(t, func(t *rapid.T) {
		walks++
		w := &walker{engine: e}
		for i := range 3 {
			w.rooms = append(w.rooms, openRoom(t, e, fmt.Sprintf("walk/%d/%d", walks, i)))
		}
		defer func() {
			for _, r := range w.rooms {
				r.Close()
			}
		}()
		t.Repeat(map[string]func(*rapid.T){
			"join":    func(t *rapid.T) { w.one(t, engine.Join) },
			"leave":   func(t *rapid.T) { w.one(t, engine.Leave) },
			"update":  func(t *rapid.T) { w.one(t, engine.Update) },
			"message": func(t *rapid.T) { w.one(t, engine.Message) },
			"ban":     w.ban,
			"unban":   w.unban,
			"burst":   w.burst,
			"repeat":  w.repeat,
			"reopen":  w.reopen,
			"look":    func(t *rapid.T) { w.room(t).checkHistory() },
		})
		for _, r := range w.rooms {
			for len(r.members) > 0 {
				m := r.members[0]
				r.do(leave(m.Session, m.User, w.tick()))
			}
			if !maps.Equal(r.joins, r.leaves) {
				t.Fatalf("%s: joins %v, leaves %v", r.name, r.joins, r.leaves)
			}
			r.checkHistory()
		}
	})
}

// walker is who walks.
type walker struct {
	engine engine.Engine
	rooms  []*room
	past   []engine.Proposal // all that was proposed
	clock  int64
}

func (w *walker) tick() int64 { w.clock++; return w.clock }

func (w *walker) room(t *rapid.T) *room { return rapid.SampledFrom(w.rooms).Draw(t, "room") }

// draw makes a proposal of a session: 0 to 5, two to a user. Ids are new,
// keys often are not.
func (w *walker) draw(t *rapid.T, k engine.Kind, session int) engine.Proposal {
	s, u, at := fmt.Sprint("s", session), fmt.Sprint("u", session/2), w.tick()
	switch k {
	case engine.Join:
		return join(s, u, at)
	case engine.Leave:
		return leave(s, u, at)
	case engine.Update:
		return update(s, u, rapid.SampledFrom([]string{"", fmt.Sprint("u", at)}).Draw(t, "id"), at)
	}
	if rapid.IntRange(0, 3).Draw(t, "from outside") == 0 {
		s = ""
	}
	return message(s, u, fmt.Sprint("m", at), rapid.SampledFrom([]string{"", "", "a", "b"}).Draw(t, "key"), at)
}

func (w *walker) do(r *room, ps ...engine.Proposal) {
	w.past = append(w.past, ps...)
	r.do(ps...)
}

func (w *walker) one(t *rapid.T, k engine.Kind) {
	w.do(w.room(t), w.draw(t, k, rapid.IntRange(0, 5).Draw(t, "session")))
}

func (w *walker) ban(t *rapid.T) {
	at := w.tick()
	until := int64(0)
	if d := rapid.Int64Range(0, 20).Draw(t, "for"); d > 0 {
		until = at + d
	}
	who := rapid.SampledFrom([]bans.Who{ann, bob, aSession, {User: "cy"}, {User: "dee"}, {Session: "s2"}, {Session: "ann"}}).Draw(t, "who")
	w.do(w.room(t), ban(fmt.Sprint("b", at), who, at, until))
}

func (w *walker) unban(t *rapid.T) {
	id := fmt.Sprint("b", rapid.Int64Range(1, w.clock+1).Draw(t, "id"))
	if r := w.room(t); len(r.bans) > 0 && rapid.Bool().Draw(t, "one that is") {
		w.do(r, unban(rapid.SampledFrom(r.bans).Draw(t, "ban").ID, w.tick()))
	} else {
		w.do(r, unban(id, w.tick()))
	}
}

// burst proposes for several sessions before any is settled. Keys could depend
// on each other and are left out.
func (w *walker) burst(t *rapid.T) {
	var ps []engine.Proposal
	for _, s := range rapid.Permutation([]int{0, 1, 2, 3, 4, 5}).Draw(t, "sessions") {
		p := w.draw(t, rapid.SampledFrom([]engine.Kind{engine.Join, engine.Leave, engine.Update, engine.Message}).Draw(t, "kind"), s)
		p.Key = ""
		ps = append(ps, p)
	}
	w.do(w.room(t), ps...)
}

// repeat proposes something from the past again, later, in any room.
func (w *walker) repeat(t *rapid.T) {
	if len(w.past) == 0 {
		t.Skip("no past")
	}
	p := rapid.SampledFrom(w.past).Draw(t, "proposal")
	p.At = w.tick()
	w.do(w.room(t), p)
}

func (w *walker) reopen(t *rapid.T) {
	r := w.room(t)
	r.Close()
	r.open(w.engine)
}
