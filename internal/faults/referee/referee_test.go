package referee

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rollcall/protocol"
)

const room = "r"

// script makes histories: each call is one entry, a second after the last.
type script struct {
	at time.Duration
	h  []Entry
}

func (s *script) add(witness string, w What) *script {
	s.at += time.Second
	s.h = append(s.h, Entry{s.at, witness, w})
	return s
}

func (s *script) told(witness string, m protocol.Message) *script { return s.add(witness, &Told{m}) }

func person(session string) protocol.Member {
	return protocol.Member{Session: session, User: "u_" + session, Name: session, State: protocol.StateActive}
}

func members(sessions ...string) (ms []protocol.Member) {
	for _, s := range sessions {
		ms = append(ms, person(s))
	}
	return ms
}

func joined(offset uint64, sessions ...string) *protocol.Joined {
	n := len(sessions)
	return &protocol.Joined{
		Room: room, Epoch: "e1", Offset: offset, Session: sessions[n-1], Mode: protocol.ModeFull,
		Count: protocol.Count{Sessions: n, Users: n}, Members: members(sessions...),
	}
}

func stamp(offset uint64) protocol.Stamp {
	return protocol.Stamp{Room: room, Offset: offset, At: int64(offset) * 1000}
}

func join(offset uint64, session string) *protocol.MemberJoined {
	return &protocol.MemberJoined{Stamp: stamp(offset), Member: person(session), First: true}
}

func leave(offset uint64, session string, reason protocol.Reason) *protocol.MemberLeft {
	return &protocol.MemberLeft{Stamp: stamp(offset), Session: session, User: "u_" + session, Reason: reason, Last: true}
}

func update(offset uint64, session string, state protocol.State) *protocol.MemberUpdated {
	return &protocol.MemberUpdated{Stamp: stamp(offset), Session: session, User: "u_" + session, State: state}
}

func message(offset uint64) *protocol.MessagePublished {
	return &protocol.MessagePublished{Stamp: stamp(offset), Message: fmt.Sprint("m_", offset)}
}

func truth(offset uint64, sessions ...string) *Truth {
	n := len(sessions)
	return &Truth{
		Room: room, Epoch: "e1", Offset: offset, Mode: protocol.ModeFull, Members: members(sessions...),
		Count: protocol.Count{Sessions: n, Users: n},
	}
}

func lives(session string) *Fate { return &Fate{Session: session, Lives: true, Rooms: []string{room}} }

func goes(session string, reasons ...protocol.Reason) *Fate {
	return &Fate{Session: session, Reasons: reasons, Rooms: []string{room}}
}

// sound is a run in which ann sees kim come, lose the connection and go.
func sound() *script {
	s := &script{}
	s.told("ann", joined(1, "ann"))
	s.told("ann", join(2, "kim")).told("kim", joined(2, "ann", "kim"))
	s.told("ann", message(3)).told("kim", message(3))
	s.add("", goes("kim", protocol.ReasonLost)).add("kim", &Cut{})
	s.told("ann", leave(4, "kim", protocol.ReasonLost))
	return s.add("", lives("ann")).add("", truth(4, "ann"))
}

func TestASoundRunHasNoViolations(t *testing.T) {
	v := Judge(sound().h, Rules{})
	require.Empty(t, v.Violations)
	require.Equal(t, map[protocol.Reason]int{protocol.ReasonLost: 1}, v.Leaves)
	require.Equal(t, 2*time.Second, v.Detected)
	require.Equal(t, 3, v.Events)
}

// Each row spoils a run in one way; the referee must name it, and show it in
// few lines.
func TestEachViolationIsNamedByItsShortestHistory(t *testing.T) {
	for _, c := range []struct {
		name  string
		rule  Rule
		about string // the session; empty: none
		most  int    // lines of the shortest history
		rules Rules
		h     func() *script
	}{
		{"a leave that never came", MissingLeave, "kim", 3, Rules{}, func() *script {
			s := sound()
			s.h = slices.Delete(s.h, 7, 8)
			s.h[8].What.(*Truth).Offset = 3
			return s
		}},
		{"a leave that nobody was told, of who nobody saw come", MissingLeave, "kim", 3, Rules{}, func() *script {
			return new(script).told("ann", joined(1, "ann")).add("", lives("ann")).add("", goes("kim", protocol.ReasonLost)).add("", truth(1, "ann"))
		}},
		{"two leaves for one join", LeaveTwice, "kim", 4, Rules{}, func() *script {
			s := sound()
			s.h = slices.Insert(s.h, 8, Entry{s.at, "ann", &Told{leave(5, "kim", protocol.ReasonLost)}})
			s.h[len(s.h)-1].What.(*Truth).Offset = 5
			return s
		}},
		{"an event is missing", Gap, "", 2, Rules{}, func() *script {
			return new(script).told("ann", joined(1, "ann")).told("ann", message(2)).told("ann", message(4)).told("ann", message(5)).
				add("", lives("ann")).add("", truth(5, "ann"))
		}},
		{"a prev that is not the last one", Gap, "", 2, Rules{}, func() *script {
			m := message(9)
			m.Prev = 7
			return new(script).told("ann", joined(1, "ann")).told("ann", message(2)).told("ann", m).add("", lives("ann")).add("", truth(9, "ann"))
		}},
		{"the last event is missing", Gap, "", 2, Rules{}, func() *script {
			return new(script).told("ann", joined(1, "ann")).told("ann", message(2)).add("", lives("ann")).add("", truth(3, "ann"))
		}},
		{"two events changed places", Reorder, "", 3, Rules{}, func() *script {
			return new(script).told("ann", joined(1, "ann")).told("ann", message(3)).told("ann", message(2)).told("ann", message(4)).
				add("", lives("ann")).add("", truth(4, "ann"))
		}},
		{"an event came twice", Reorder, "", 3, Rules{}, func() *script {
			return new(script).told("ann", joined(1, "ann")).told("ann", message(2)).told("ann", message(2)).add("", lives("ann")).add("", truth(2, "ann"))
		}},
		{"a ghost in the room: its leave was told", Ghost, "kim", 4, Rules{}, func() *script {
			s := sound()
			s.h[len(s.h)-1].What = truth(4, "ann", "kim")
			return s
		}},
		{"a ghost that nobody saw come", Ghost, "eve", 2, Rules{}, func() *script {
			return new(script).told("ann", joined(1, "ann")).add("", lives("ann")).add("", truth(1, "ann", "eve"))
		}},
		{"a ghost that all saw come", Ghost, "eve", 1, Rules{}, func() *script {
			return new(script).told("ann", joined(1, "ann")).told("ann", join(2, "eve")).add("", lives("ann")).add("", truth(2, "ann", "eve"))
		}},
		{"a ghost in a fresh snapshot", Ghost, "eve", 2, Rules{}, func() *script {
			return new(script).told("ann", joined(1, "ann")).told("ann", joined(1, "eve", "ann")).add("", lives("ann")).add("", lives("eve")).add("", truth(1, "eve", "ann"))
		}},
		{"a leave for what did not happen", WrongReason, "kim", 3, Rules{}, func() *script {
			s := sound()
			s.h[5].What = goes("kim", protocol.ReasonKicked)
			return s
		}},
		{"who lives was told to leave", FalseLeave, "kim", 3, Rules{}, func() *script {
			s := sound()
			s.h[5].What = lives("kim")
			s.h[len(s.h)-1].What = truth(4, "ann", "kim")
			return s
		}},
		{"who lives is not in the room", Vanished, "kim", 2, Rules{}, func() *script {
			return new(script).told("ann", joined(1, "ann")).add("", lives("ann")).add("", lives("kim")).add("", truth(1, "ann"))
		}},
		{"a leave after its bound", Late, "kim", 3, Rules{}, func() *script {
			s := sound()
			s.h[5].What.(*Fate).Within = time.Second
			return s
		}},
		{"a leave within the resume window", Early, "kim", 3, Rules{ResumeWindow: 5 * time.Second}, func() *script {
			return new(script).told("ann", joined(1, "kim", "ann")).add("", goes("kim", protocol.ReasonLost)).
				told("ann", update(2, "kim", protocol.StateLost)).told("ann", leave(3, "kim", protocol.ReasonLost)).
				add("", lives("ann")).add("", truth(3, "ann"))
		}},
		{"lost without a word before", Unannounced, "kim", 3, Rules{ResumeWindow: 3 * time.Second}, sound},
		{"a leave without a join", LeaveAlone, "eve", 2, Rules{}, func() *script {
			return new(script).told("ann", joined(1, "ann")).told("ann", leave(2, "eve", protocol.ReasonLost)).add("", lives("ann")).add("", truth(2, "ann"))
		}},
		{"an update of nobody", UpdateAlone, "eve", 2, Rules{}, func() *script {
			return new(script).told("ann", joined(1, "ann")).told("ann", update(2, "eve", protocol.StateIdle)).add("", lives("ann")).add("", truth(2, "ann"))
		}},
		{"a join of who is there", JoinTwice, "ann", 2, Rules{}, func() *script {
			return new(script).told("ann", joined(1, "ann")).told("ann", join(2, "ann")).add("", lives("ann")).add("", truth(2, "ann"))
		}},
		{"first is told wrong", FirstLast, "kim", 2, Rules{}, func() *script {
			j := join(2, "kim")
			j.First = false
			return new(script).told("ann", joined(1, "ann")).told("ann", j).add("", lives("ann")).add("", lives("kim")).add("", truth(2, "ann", "kim"))
		}},
		{"last is told wrong", FirstLast, "kim", 2, Rules{}, func() *script {
			l := leave(2, "kim", protocol.ReasonLeft)
			l.Last = false
			return new(script).told("ann", joined(1, "kim", "ann")).told("ann", l).add("", lives("ann")).add("", truth(2, "ann"))
		}},
		{"two witnesses were told different things", Differs, "", 4, Rules{}, func() *script {
			other := message(3)
			other.Message = "m_other"
			return new(script).told("ann", joined(1, "ann")).told("bob", joined(2, "ann", "bob")).told("ann", join(2, "bob")).
				told("ann", message(3)).told("bob", other).add("", lives("ann")).add("", lives("bob")).add("", truth(3, "ann", "bob"))
		}},
		{"a room that goes on talking to who left", Silence, "", 3, Rules{}, func() *script {
			return new(script).told("ann", joined(1, "ann")).told("bob", joined(2, "ann", "bob")).told("ann", join(2, "bob")).
				told("bob", leave(3, "bob", protocol.ReasonLeft)).told("ann", leave(3, "bob", protocol.ReasonLeft)).
				told("bob", message(4)).told("ann", message(4)).add("", lives("ann")).add("", truth(4, "ann"))
		}},
		{"a snapshot without the joiner", Snapshot, "ann", 1, Rules{}, func() *script {
			j := joined(1, "ann")
			j.Session = "bob"
			j.Members[0].Session = "ann"
			j.Session, j.Members = "ann", nil
			j.Count = protocol.Count{}
			return new(script).told("ann", j).add("", truth(1))
		}},
		{"a snapshot that counts wrong", Count, "", 1, Rules{}, func() *script {
			j := joined(1, "ann")
			j.Count.Users = 2
			return new(script).told("ann", j).add("", lives("ann")).add("", truth(1, "ann"))
		}},
		{"a state that was never told", Stale, "ann", 2, Rules{}, func() *script {
			tr := truth(1, "ann")
			tr.Members[0].State = protocol.StateIdle
			return new(script).told("ann", joined(1, "ann")).add("", lives("ann")).add("", tr)
		}},
		{"a run that nobody watched", Unjudged, "", 1, Rules{}, func() *script {
			return new(script).told("ann", joined(1, "ann")).add("ann", &Cut{}).add("", lives("ann")).add("", truth(1, "ann"))
		}},
		{"a presence that leaves something out", Gap, "", 2, Rules{}, func() *script {
			return new(script).told("ann", joined(1, "ann")).
				told("ann", &protocol.Presence{Room: room, From: 3, Offset: 3, Joins: []protocol.MemberJoined{*join(3, "kim")}, Count: protocol.Count{Sessions: 2, Users: 2}}).
				add("", lives("ann")).add("", lives("kim")).add("", truth(3, "ann", "kim"))
		}},
		{"a presence that counts wrong", Count, "", 2, Rules{}, func() *script {
			return new(script).told("ann", joined(1, "ann")).
				told("ann", &protocol.Presence{Room: room, From: 2, Offset: 2, Joins: []protocol.MemberJoined{*join(2, "kim")}, Count: protocol.Count{Sessions: 3, Users: 2}}).
				add("", lives("ann")).add("", lives("kim")).add("", truth(2, "ann", "kim"))
		}},
		{"a presence whose changes are outside of it", Reorder, "", 2, Rules{}, func() *script {
			return new(script).told("ann", joined(1, "ann")).
				told("ann", &protocol.Presence{Room: room, From: 2, Offset: 2, Joins: []protocol.MemberJoined{*join(3, "kim")}, Count: protocol.Count{Sessions: 2, Users: 2}}).
				add("", lives("ann")).add("", lives("kim")).add("", truth(2, "ann", "kim"))
		}},
		{"a message that one was not told, in a mode where no chain shows it", MissingMessage, "", 4, Rules{}, func() *script {
			s := &script{}
			for _, w := range []string{"ann", "bob"} {
				j := joined(5, "ann", "bob")
				j.Session, j.Mode, j.Members = w, protocol.ModeCount, nil
				s.told(w, j)
			}
			m := message(6)
			m.Prev = 5
			s.told("ann", m)
			for _, w := range []string{"ann", "bob"} {
				s.told(w, &protocol.Occupancy{Room: room, Offset: 7, Count: protocol.Count{Sessions: 2, Users: 2}})
			}
			tr := truth(7, "ann", "bob")
			tr.Mode = protocol.ModeCount
			return s.add("", lives("ann")).add("", lives("bob")).add("", tr)
		}},
		{"a last occupancy that is not the truth", Count, "", 3, Rules{}, func() *script {
			j := joined(5, "ann")
			j.Mode, j.Members, j.Count = protocol.ModeCount, nil, protocol.Count{Sessions: 2, Users: 2}
			tr := truth(9, "ann")
			tr.Mode = protocol.ModeCount
			return new(script).told("ann", j).told("ann", &protocol.Occupancy{Room: room, Offset: 8, Count: protocol.Count{Sessions: 3, Users: 3}}).
				add("", lives("ann")).add("", tr)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := c.h().h
			all := Judge(h, c.rules).Violations
			which := slices.IndexFunc(all, func(v Violation) bool { return v.Rule == c.rule && v.Session == c.about })
			require.GreaterOrEqual(t, which, 0, "want %q of %q, got %v", c.rule, c.about, all)
			shows := func(h []Entry) bool { return slices.ContainsFunc(Judge(h, c.rules).Violations, all[which].same) }
			short := Shortest(h, c.rules, all[which])
			require.True(t, shows(short), "the shortest history shows it")
			require.LessOrEqual(t, len(short), c.most, Print(short))
			for i := range short {
				require.False(t, shows(slices.Delete(slices.Clone(short), i, i+1)), "line %d can go:\n%s", i, Print(short))
			}
		})
	}
}

// world is a room that does everything right, and tells its witnesses of it in
// the mode it is in.
type world struct {
	script
	offset    uint64
	mode      protocol.Mode
	present   []protocol.Member // in the order of their joins
	witnesses map[string]uint64 // the offset that each was told last
	pending   protocol.Presence // of mode batch
	next      int
}

func (w *world) count() protocol.Count {
	users := map[string]bool{}
	for _, m := range w.present {
		users[m.User] = true
	}
	return protocol.Count{Sessions: len(w.present), Users: len(users)}
}

func (w *world) sessions(user string) (n int) {
	for _, m := range w.present {
		if m.User == user {
			n++
		}
	}
	return n
}

func (w *world) snapshot(witness string) {
	j := &protocol.Joined{Room: room, Epoch: "e1", Offset: w.offset, Session: witness, Mode: w.mode, Count: w.count()}
	if w.mode != protocol.ModeCount {
		j.Members = slices.Clone(w.present)
	}
	w.told(witness, j)
	w.witnesses[witness] = w.offset
}

func (w *world) each(f func(witness string)) {
	for witness := range w.witnesses {
		f(witness)
		w.witnesses[witness] = w.offset
	}
}

// flush tells what is pending.
func (w *world) flush() {
	if p := w.pending; p.From != 0 {
		p.Room, p.Offset, p.Count = room, w.offset, w.count()
		w.each(func(witness string) { w.told(witness, &p) })
		w.pending = protocol.Presence{}
	}
}

// change tells one change, or collects it.
func (w *world) change(m protocol.Message, collect func(p *protocol.Presence)) {
	switch w.mode {
	case protocol.ModeFull:
		w.each(func(witness string) { w.told(witness, m) })
	case protocol.ModeBatch:
		if w.pending.From == 0 {
			w.pending.From = w.offset
		}
		collect(&w.pending)
	}
}

func (w *world) join(user string, watches bool) {
	w.next++
	m := protocol.Member{Session: fmt.Sprint("s", w.next), User: user, State: protocol.StateActive}
	w.offset++
	first := w.sessions(user) == 0
	w.present = append(w.present, m)
	e := protocol.MemberJoined{Stamp: stamp(w.offset), Member: m, First: first}
	w.change(&e, func(p *protocol.Presence) { p.Joins = append(p.Joins, e) })
	w.add("", &Fate{Session: m.Session, Lives: true, Rooms: []string{room}})
	if watches {
		w.flush()
		w.snapshot(m.Session)
	}
}

func (w *world) leave(i int, reason protocol.Reason) {
	m := w.present[i]
	w.offset++
	w.present = slices.Delete(slices.Clone(w.present), i, i+1)
	e := protocol.MemberLeft{Stamp: stamp(w.offset), Session: m.Session, User: m.User, Reason: reason, Last: w.sessions(m.User) == 0}
	w.add("", goes(m.Session, reason))
	if last, watches := w.witnesses[m.Session]; watches && w.mode == protocol.ModeCount {
		own := e
		own.Prev = last
		w.told(m.Session, &own)
	}
	if w.mode == protocol.ModeCount {
		delete(w.witnesses, m.Session)
	}
	w.change(&e, func(p *protocol.Presence) {
		p.Leaves = append(p.Leaves, e)
		p.Updates = slices.DeleteFunc(p.Updates, func(u protocol.MemberUpdated) bool { return u.Session == m.Session })
	})
	if _, watches := w.witnesses[m.Session]; watches {
		w.flush()
		delete(w.witnesses, m.Session)
	}
}

func (w *world) update(i int, state protocol.State) {
	if w.present[i].State == state {
		return
	}
	w.present = slices.Clone(w.present)
	w.present[i].State = state
	w.offset++
	e := protocol.MemberUpdated{Stamp: stamp(w.offset), Session: w.present[i].Session, User: w.present[i].User, State: state}
	w.change(&e, func(p *protocol.Presence) {
		p.Updates = slices.DeleteFunc(p.Updates, func(u protocol.MemberUpdated) bool { return u.Session == e.Session })
		p.Updates = append(p.Updates, e)
	})
}

func (w *world) publish() {
	w.flush()
	w.offset++
	last := map[string]uint64{}
	for witness, at := range w.witnesses {
		last[witness] = at
	}
	w.each(func(witness string) {
		m := message(w.offset)
		if w.mode == protocol.ModeCount {
			m.Prev = last[witness]
		}
		w.told(witness, m)
	})
}

func (w *world) turn(mode protocol.Mode) {
	if mode == w.mode {
		return
	}
	w.flush()
	w.mode = mode
	w.each(func(witness string) { w.told(witness, &protocol.ModeChanged{Room: room, Mode: mode, Offset: w.offset}) })
}

func (w *world) end() []Entry {
	w.flush()
	if w.mode == protocol.ModeCount {
		w.each(func(witness string) {
			w.told(witness, &protocol.Occupancy{Room: room, Offset: w.offset, Count: w.count()})
		})
	}
	w.add("", &Truth{Room: room, Epoch: "e1", Offset: w.offset, Mode: w.mode, Members: w.present, Count: w.count()})
	return w.h
}

// walk makes a sound history at random.
func walk(t *rapid.T) []Entry {
	w := &world{mode: protocol.ModeFull, witnesses: map[string]uint64{}}
	w.join("ann", true) // watches to the end
	for range rapid.IntRange(3, 60).Draw(t, "steps") {
		others := len(w.present) - 1
		switch rapid.IntRange(0, 8).Draw(t, "act") {
		case 0, 1, 2:
			w.join(rapid.SampledFrom([]string{"ann", "bob", "kim"}).Draw(t, "user"), rapid.Bool().Draw(t, "watches"))
		case 3, 4:
			if others > 0 {
				w.leave(1+rapid.IntRange(0, others-1).Draw(t, "who"), rapid.SampledFrom(protocol.Reasons).Draw(t, "reason"))
			}
		case 5:
			w.update(rapid.IntRange(0, others).Draw(t, "who"), rapid.SampledFrom([]protocol.State{protocol.StateActive, protocol.StateIdle}).Draw(t, "state"))
		case 6:
			w.publish()
		case 7:
			w.flush()
		case 8:
			w.turn(rapid.SampledFrom([]protocol.Mode{protocol.ModeFull, protocol.ModeBatch, protocol.ModeCount}).Draw(t, "mode"))
		}
	}
	return w.end()
}

func TestWhateverASoundRoomDoesIsNoViolation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := walk(t)
		if v := Judge(h, Rules{}).Violations; len(v) > 0 {
			t.Fatalf("%v\n%s", v[0], Print(Shortest(h, Rules{}, v[0])))
		}
	})
}

// One numbered event that a witness misses, or gets twice, never passes.
func TestWhateverIsLostOrRepeatedIsSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := walk(t)
		var numbered []int
		for i, e := range h {
			if told, ok := e.What.(*Told); ok {
				switch told.Message.(type) {
				case *protocol.MemberJoined, *protocol.MemberLeft, *protocol.MemberUpdated, *protocol.MessagePublished, *protocol.Presence:
					numbered = append(numbered, i)
				}
			}
		}
		if len(numbered) == 0 {
			return
		}
		i := rapid.SampledFrom(numbered).Draw(t, "which")
		last := !slices.ContainsFunc(h[i+1:], func(e Entry) bool {
			_, told := e.What.(*Told)
			return e.Witness == h[i].Witness && told
		})
		var spoiled []Entry
		switch {
		case rapid.Bool().Draw(t, "repeat"):
			spoiled = slices.Insert(slices.Clone(h), i, h[i])
		case last && h[i].Witness != "s1", inCount(h[:i], h[i].Witness) && alone(h, i):
			return // the last word to who goes, or a message between two occupancies that nobody else heard: nobody can tell
		default:
			spoiled = slices.Delete(slices.Clone(h), i, i+1)
		}
		all := Judge(spoiled, Rules{}).Violations
		if len(all) == 0 {
			t.Fatalf("nothing seen without, or with two of, %s\n%s", h[i], Print(h))
		}
		if short := Shortest(spoiled, Rules{}, all[0]); len(short) > 6 {
			t.Fatalf("%v\nis shown by\n%s", all[0], Print(short))
		}
	})
}

// inCount reports whether a witness is in mode count after h.
func inCount(h []Entry, witness string) bool {
	mode := protocol.ModeFull
	for _, e := range h {
		if told, ok := e.What.(*Told); ok && e.Witness == witness {
			switch m := told.Message.(type) {
			case *protocol.Joined:
				mode = m.Mode
			case *protocol.ModeChanged:
				mode = m.Mode
			}
		}
	}
	return mode == protocol.ModeCount
}

// alone reports whether nobody but its witness was told of entry i.
func alone(h []Entry, i int) bool {
	offset := func(e Entry) uint64 {
		if told, ok := e.What.(*Told); ok {
			if m, ok := told.Message.(*protocol.MessagePublished); ok {
				return m.Offset
			}
		}
		return 0
	}
	return !slices.ContainsFunc(h, func(e Entry) bool { return e.Witness != h[i].Witness && offset(e) == offset(h[i]) && offset(e) > 0 })
}
