package presence

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rollcall/protocol"
)

func stamp(offset uint64) protocol.Stamp {
	return protocol.Stamp{Room: "r", Offset: offset, At: int64(1000 + offset)}
}

func joins(offset uint64, session string) *protocol.MemberJoined {
	return &protocol.MemberJoined{Stamp: stamp(offset), Member: protocol.Member{Session: session, User: session, State: protocol.StateActive}}
}

func leaves(offset uint64, session string) *protocol.MemberLeft {
	return &protocol.MemberLeft{Stamp: stamp(offset), Session: session, User: session, Reason: protocol.ReasonLeft}
}

func updates(offset uint64, session string, state protocol.State, data string) *protocol.MemberUpdated {
	u := &protocol.MemberUpdated{Stamp: stamp(offset), Session: session, User: session, State: state}
	if data != "" {
		u.Data = json.RawMessage(data)
	}
	return u
}

// short tells a Presence in short: from-offset +join -leave ~update.
func short(p *protocol.Presence) string {
	if p == nil {
		return ""
	}
	s := fmt.Sprintf("%d<%d-%d", p.Prev, p.From, p.Offset)
	for _, j := range p.Joins {
		s += fmt.Sprintf(" +%s@%d:%s%s", j.Member.Session, j.Offset, j.Member.State, j.Member.Data)
	}
	for _, l := range p.Leaves {
		s += fmt.Sprintf(" -%s@%d", l.Session, l.Offset)
	}
	for _, u := range p.Updates {
		s += fmt.Sprintf(" ~%s@%d:%s%s", u.Session, u.Offset, u.State, u.Data)
	}
	return s
}

func TestChangesOfASessionFold(t *testing.T) {
	for _, c := range []struct {
		name string
		add  func(*Changes)
		want string
	}{
		{"nothing", func(*Changes) {}, ""},
		{"one of each", func(c *Changes) {
			c.Join(joins(5, "ann"))
			c.Leave(leaves(6, "bob"))
			c.Update(updates(7, "kim", "idle", ""))
		}, "0<5-7 +ann@5:active -bob@6 ~kim@7:idle"},
		{"who came and went is told as both", func(c *Changes) {
			c.Join(joins(5, "ann"))
			c.Leave(leaves(6, "ann"))
		}, "0<5-6 +ann@5:active -ann@6"},
		{"an update of who came is part of the join", func(c *Changes) {
			c.Join(joins(5, "ann"))
			c.Update(updates(6, "ann", "idle", "1"))
			c.Update(updates(7, "ann", "", "2"))
		}, "0<5-7 +ann@5:idle2"},
		{"updates are one, with all that changed, at the last offset", func(c *Changes) {
			c.Update(updates(5, "ann", "", "1"))
			c.Update(updates(6, "kim", "", "1"))
			c.Update(updates(7, "ann", "idle", ""))
			c.Update(updates(8, "ann", "", "2"))
		}, "0<5-8 ~kim@6:1 ~ann@8:idle2"},
		{"who left has no updates", func(c *Changes) {
			c.Update(updates(5, "ann", "", "1"))
			c.Update(updates(6, "kim", "", "1"))
			c.Leave(leaves(7, "ann"))
		}, "0<5-7 -ann@7 ~kim@6:1"},
		{"an update that changes nothing takes its offset", func(c *Changes) { c.Update(updates(5, "ann", "", "")) }, "0<5-5"},
		{"a count with gaps", func(c *Changes) {
			j := joins(9, "ann")
			j.Prev = 5
			c.Join(j)
			l := leaves(12, "bob")
			l.Prev = 9
			c.Leave(l)
		}, "5<9-12 +ann@9:active -bob@12"},
	} {
		var changes Changes
		c.add(&changes)
		if got := short(changes.Take(protocol.Count{})); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if changes.Take(protocol.Count{}) != nil || !changes.Empty() || changes.Size() != 0 {
			t.Errorf("%s: something is left after Take", c.name)
		}
	}
}

// What is collected is not tied to what was handed over: the single events may
// still be used.
func TestChangesLeaveTheEventsAsTheyAre(t *testing.T) {
	j, u, v := joins(5, "ann"), updates(6, "kim", "idle", "1"), updates(7, "kim", "active", "2")
	var c Changes
	c.Join(j)
	c.Update(u)
	c.Update(v)
	c.Take(protocol.Count{})
	if d := cmp.Diff(joins(5, "ann"), j) + cmp.Diff(updates(6, "kim", "idle", "1"), u) + cmp.Diff(updates(7, "kim", "active", "2"), v); d != "" {
		t.Error(d)
	}
}

// follower is a client that applies what it is told to a map.
type follower map[string]protocol.Member

func (f follower) joins(t *rapid.T, p *protocol.Presence) {
	for _, j := range p.Joins {
		if _, in := f[j.Member.Session]; in {
			t.Fatalf("%s joined twice: %s", j.Member.Session, short(p))
		}
		f[j.Member.Session] = j.Member
	}
}

func (f follower) leaves(t *rapid.T, p *protocol.Presence) {
	for _, l := range p.Leaves {
		if _, in := f[l.Session]; !in {
			t.Fatalf("%s left without a join: %s", l.Session, short(p))
		}
		delete(f, l.Session)
	}
}

func (f follower) updates(t *rapid.T, p *protocol.Presence) {
	for _, u := range p.Updates {
		m, in := f[u.Session]
		if !in {
			t.Fatalf("%s is updated, and not in: %s", u.Session, short(p))
		}
		if u.State != "" {
			m.State = u.State
		}
		if u.Data != nil {
			m.Data = u.Data
		}
		f[u.Session] = m
	}
}

// Whatever happens in a room, and whenever it is told: the snapshot before a
// Presence and the Presence are the truth at its offset, for who applies joins,
// leaves and updates in this order, and for who takes updates before leaves.
func TestChangesAreTheTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		room, truth := New(), follower{}
		orders := []follower{{}, {}}
		var changes Changes
		offset, told := uint64(10), uint64(10)
		take := func() {
			p := changes.Take(room.Count())
			if p == nil {
				return
			}
			if changes.Left("a") || p.Offset != offset || p.From <= told || p.Count != room.Count() {
				t.Fatalf("%s at %d, told %d, %v", short(p), offset, told, p.Count)
			}
			if prev := p.From - 1; p.Prev == 0 && prev != told || p.Prev != 0 && p.Prev != told {
				t.Fatalf("%s after %d", short(p), told)
			}
			checkOffsets(t, p)
			told = p.Offset
			orders[0].joins(t, p)
			orders[0].leaves(t, p)
			orders[0].updates(t, p)
			orders[1].joins(t, p)
			orders[1].updates(t, p)
			orders[1].leaves(t, p)
			for _, f := range orders {
				if d := cmp.Diff(truth, f); d != "" {
					t.Fatalf("after %s: %s", short(p), d)
				}
			}
		}
		for n := range rapid.IntRange(0, 60).Draw(t, "events") {
			prev := offset
			offset += uint64(rapid.SampledFrom([]int{1, 1, 1, 3}).Draw(t, "gap"))
			s := stamp(offset)
			if prev != offset-1 {
				s.Prev = prev
			}
			session := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "session")
			m, in := truth[session]
			switch {
			case !in:
				if changes.Left(session) {
					offset = prev
					take()
					continue
				}
				m = protocol.Member{Session: session, User: session, State: protocol.StateActive}
				truth[session] = m
				first, _ := room.Join(m, offset)
				changes.Join(&protocol.MemberJoined{Stamp: s, Member: m, First: first})
			case rapid.Bool().Draw(t, "leaves"):
				delete(truth, session)
				_, last, _ := room.Leave(session)
				changes.Leave(&protocol.MemberLeft{Stamp: s, Session: session, User: session, Reason: protocol.ReasonLeft, Last: last})
			default:
				u := &protocol.MemberUpdated{Stamp: s, Session: session, User: session}
				if rapid.Bool().Draw(t, "state") {
					u.State = rapid.SampledFrom([]protocol.State{protocol.StateActive, protocol.StateIdle}).Draw(t, "to")
					m.State = u.State
				}
				if rapid.Bool().Draw(t, "data") {
					u.Data = json.RawMessage(fmt.Sprint(n))
					m.Data = u.Data
				}
				truth[session] = m
				room.Update(session, u.State, u.Data)
				changes.Update(u)
			}
			if rapid.IntRange(0, 3).Draw(t, "take") == 0 {
				take()
			}
		}
		take()
		if room.Count().Sessions != len(truth) {
			t.Fatalf("%d members, want %d: %v", room.Count().Sessions, len(truth), slices.Sorted(maps.Keys(truth)))
		}
	})
}

// checkOffsets: each list is in the order of its offsets, all within what the
// Presence covers, and has neither room nor prev of its own.
func checkOffsets(t *rapid.T, p *protocol.Presence) {
	var lists [3][]protocol.Stamp
	for _, j := range p.Joins {
		lists[0] = append(lists[0], j.Stamp)
	}
	for _, l := range p.Leaves {
		lists[1] = append(lists[1], l.Stamp)
	}
	for _, u := range p.Updates {
		lists[2] = append(lists[2], u.Stamp)
	}
	seen := map[uint64]bool{}
	for _, list := range lists {
		last := p.From - 1
		for _, s := range list {
			if s.Offset <= last || s.Offset > p.Offset || seen[s.Offset] || s.Room != "" || s.Prev != 0 || s.At != int64(1000+s.Offset) {
				t.Fatalf("%s: entry %+v after %d", short(p), s, last)
			}
			last, seen[s.Offset] = s.Offset, true
		}
	}
}

// Size is about as long as what is told: a room bounds its frames by it.
func TestChangesKnowTheirSize(t *testing.T) {
	var c Changes
	for i := range uint64(100) {
		m := joins(100000+3*i, fmt.Sprintf("s_%016d", i))
		m.Member.Name, m.Member.Data, m.Member.Since = "Somebody", json.RawMessage(`{"mood":"fine"}`), 1790000000000
		c.Join(m)
		c.Leave(leaves(100001+3*i, fmt.Sprintf("t_%016d", i)))
		c.Update(updates(100002+3*i, fmt.Sprintf("u_%016d", i), "idle", `{"mood":"tired"}`))
	}
	for i := range uint64(1000) { // folds
		c.Update(updates(200000+i, "u_0000000000000000", "", fmt.Sprintf(`{"mood":%05d}`, i)))
	}
	size := c.Size()
	n := len(c.Take(protocol.Count{}).AppendJSON(nil))
	if size < n*9/10 || size > n*13/10 {
		t.Errorf("size %d, and %d bytes long", size, n)
	}
}
