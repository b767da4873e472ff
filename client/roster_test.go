package client

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rollcall/protocol"
)

// truth is a room as a server knows it, told by the rules of docs/protocol.md §7.
type truth struct {
	mode    protocol.Mode
	offset  uint64
	told    uint64 // in ModeCount: the offset that was told last
	members map[string]protocol.Member
	pending *protocol.Presence // in ModeBatch: what was not told yet
	minted  int
	out     []protocol.Message // told, in order
}

func (s *truth) count() protocol.Count {
	users := map[string]bool{}
	for _, m := range s.members {
		users[m.User] = true
	}
	return protocol.Count{Sessions: len(s.members), Users: len(users)}
}

func (s *truth) of(user string) (n int) {
	for _, m := range s.members {
		if m.User == user {
			n++
		}
	}
	return n
}

func (s *truth) stamp() protocol.Stamp {
	s.offset++
	return protocol.Stamp{Room: "r", Offset: s.offset, At: int64(s.offset)}
}

func (s *truth) join(user string) {
	s.minted++
	m := protocol.Member{Session: fmt.Sprintf("s_%d", s.minted), User: user, Name: user, State: protocol.StateActive}
	e := &protocol.MemberJoined{Member: m, First: s.of(user) == 0}
	s.members[m.Session] = m
	e.Stamp = s.stamp()
	switch s.mode {
	case protocol.ModeFull:
		s.out = append(s.out, e)
	case protocol.ModeBatch:
		b := s.batch()
		b.Joins = append(b.Joins, *e)
	}
}

func (s *truth) leave(session string) {
	m := s.members[session]
	delete(s.members, session)
	e := &protocol.MemberLeft{Stamp: s.stamp(), Session: session, User: m.User, Reason: protocol.ReasonLost, Last: s.of(m.User) == 0}
	switch s.mode {
	case protocol.ModeFull:
		s.out = append(s.out, e)
	case protocol.ModeBatch:
		b := s.batch()
		b.Leaves = append(b.Leaves, *e)
		b.Updates = slices.DeleteFunc(b.Updates, func(u protocol.MemberUpdated) bool { return u.Session == session })
	}
}

func (s *truth) update(session string, state protocol.State) {
	m := s.members[session]
	m.State = state
	s.members[session] = m
	e := &protocol.MemberUpdated{Stamp: s.stamp(), Session: session, User: m.User, State: state}
	switch s.mode {
	case protocol.ModeFull:
		s.out = append(s.out, e)
	case protocol.ModeBatch:
		b := s.batch()
		b.Updates = append(b.Updates, *e)
	}
}

func (s *truth) say() {
	s.flush()
	e := &protocol.MessagePublished{Stamp: s.stamp(), Message: "m", User: "u"}
	if s.mode == protocol.ModeCount {
		e.Prev, s.told = s.told, e.Offset
	}
	s.out = append(s.out, e)
}

// batch is the frame that gathers what happens; the change that it is asked for
// has its offset already.
func (s *truth) batch() *protocol.Presence {
	if s.pending == nil {
		s.pending = &protocol.Presence{Room: "r", From: s.offset}
	}
	return s.pending
}

// flush tells what was gathered, or how many there are.
func (s *truth) flush() {
	if s.pending != nil {
		s.pending.Offset, s.pending.Count = s.offset, s.count()
		s.out = append(s.out, s.pending)
		s.pending = nil
	}
}

func (s *truth) occupancy() {
	if s.mode == protocol.ModeCount {
		s.told = s.offset
		s.out = append(s.out, &protocol.Occupancy{Room: "r", Offset: s.offset, Count: s.count()})
	}
}

func (s *truth) turn(mode protocol.Mode) {
	if mode == s.mode {
		return
	}
	s.flush()
	s.mode, s.told = mode, s.offset
	s.out = append(s.out, &protocol.ModeChanged{Room: "r", Mode: mode, Offset: s.offset})
}

func (s *truth) snapshot() *protocol.Joined {
	s.flush()
	s.told = s.offset
	j := &protocol.Joined{Room: "r", Epoch: "e1", Offset: s.offset, Mode: s.mode, Count: s.count(), Recovered: true}
	if s.mode != protocol.ModeCount {
		for _, session := range slices.Sorted(maps.Keys(s.members)) {
			j.Members = append(j.Members, s.members[session])
		}
	}
	return j
}

// step does something at random.
func (s *truth) step(t *rapid.T) {
	somebody := func() string {
		return rapid.SampledFrom(slices.Sorted(maps.Keys(s.members))).Draw(t, "session")
	}
	steps := []string{"join", "join", "say", "turn", "flush", "occupancy"}
	if len(s.members) > 0 {
		steps = append(steps, "leave", "leave", "update", "update")
	}
	switch rapid.SampledFrom(steps).Draw(t, "step") {
	case "join":
		s.join(rapid.SampledFrom([]string{"ann", "bob", "cy", "di"}).Draw(t, "user"))
	case "leave":
		s.leave(somebody())
	case "update":
		s.update(somebody(), rapid.SampledFrom([]protocol.State{"active", "idle", "lost", "unresponsive"}).Draw(t, "state"))
	case "say":
		s.say()
	case "flush":
		s.flush()
	case "occupancy":
		s.occupancy()
	case "turn":
		s.turn(rapid.SampledFrom([]protocol.Mode{protocol.ModeFull, protocol.ModeBatch, protocol.ModeCount}).Draw(t, "mode"))
	}
}

// newTruth is a room that somebody is in: an offset of 0 is never told.
func newTruth() *truth {
	s := &truth{mode: protocol.ModeFull, members: map[string]protocol.Member{}}
	s.join("kim")
	s.out = nil
	return s
}

func decoded(t *rapid.T, m protocol.Message) protocol.Message {
	d, err := protocol.DecodeMessage(m.AppendJSON(nil))
	require.NoError(t, err)
	return d
}

// Whatever the room does and however it tells it, the roster is the truth
// whenever all is told, and nothing looks like a gap.
func TestTheRosterIsTheTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, r, m := newTruth(), &Roster{}, &membership{room: "r"}
		enter := func() {
			j := decoded(t, s.snapshot()).(*protocol.Joined)
			told := s.out
			s.out = nil
			for _, e := range told { // behind what was gathered
				require.Nil(t, m.saw(e))
			}
			m.entered(j)
			r.Take(j)
		}
		enter()
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			s.step(t)
			for _, e := range s.out {
				require.Nil(t, m.saw(e), "%s at %d", e.AppendJSON(nil), m.at.Offset)
				r.Take(decoded(t, e))
			}
			s.out = nil
			if m.mode != protocol.ModeCount && !r.Listed && rapid.Bool().Draw(t, "refresh") {
				enter()
			}
			require.Equal(t, s.mode, r.Mode)
			if r.Listed {
				require.NotEqual(t, protocol.ModeCount, r.Mode)
			}
			if s.pending != nil || s.mode == protocol.ModeCount && s.told != s.offset {
				continue // not told yet
			}
			require.Equal(t, s.offset, m.at.Offset)
			if r.Listed {
				require.Equal(t, s.count(), r.Count)
				members := map[string]protocol.Member{}
				for member := range r.Members() {
					members[member.Session] = *member
				}
				require.Equal(t, s.members, members)
			}
		}
	})
}

// One frame less is a gap at the next one, in each mode that tells of everybody.
func TestOneFrameLessIsAGap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, m := newTruth(), &membership{room: "r"}
		m.entered(s.snapshot())
		for len(s.out) < 2 {
			s.step(t)
		}
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			s.step(t)
		}
		drop := rapid.IntRange(0, len(s.out)-2).Draw(t, "drop")
		for i, e := range s.out[:drop] {
			require.Nil(t, m.saw(e), "frame %d", i)
		}
		if _, is := s.out[drop].(*protocol.ModeChanged); is || m.mode == protocol.ModeCount {
			return // nothing happened in it; or the next occupancy stands for it
		}
		require.NotNil(t, m.saw(s.out[drop+1]), "%s went missing", s.out[drop].AppendJSON(nil))
	})
}

func TestOccupancyIsTheCount(t *testing.T) {
	r := &Roster{}
	r.Take(&protocol.Joined{Mode: protocol.ModeCount, Count: protocol.Count{Sessions: 9, Users: 8}})
	require.False(t, r.Listed)
	count := protocol.Count{Sessions: 7, Users: 6, Observers: 2}
	r.Take(&protocol.Occupancy{Offset: 5, Count: count})
	require.Equal(t, count, r.Count)
	r.Take(&protocol.ModeChanged{Mode: protocol.ModeBatch, Offset: 6})
	require.False(t, r.Listed, "nobody knows yet who they are")
	r.Take(&protocol.MemberJoined{Member: protocol.Member{Session: "s_1"}, First: true})
	require.Nil(t, r.Member("s_1"))
	require.Equal(t, 8, r.Count.Sessions)
}
