package presence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rollcall/protocol"
)

// member makes a session of a user; the name tells what it was made with.
func member(session, user string) protocol.Member {
	return protocol.Member{Session: session, User: user, Name: user + "'s " + session, State: protocol.StateActive, Since: 1}
}

// filled returns a room of sessions s0, s1, … joined at offsets 1, 2, …, two
// to a user.
func filled(n int) *Room {
	r := New()
	for i := range n {
		r.Join(member(fmt.Sprint("s", i), fmt.Sprint("u", i/2)), uint64(i+1))
	}
	return r
}

func sessions(ms []protocol.Member) []string {
	names := make([]string, len(ms))
	for i, m := range ms {
		names[i] = m.Session
	}
	return names
}

// list is the naive model of a room: members in the order of their joins. It
// is also what a client keeps: a snapshot, and then every event applied to it.
type list []protocol.Member

func (l list) find(session string) int {
	return slices.IndexFunc(l, func(m protocol.Member) bool { return m.Session == session })
}

func (l list) sessionsOf(user string) (n int) {
	for _, m := range l {
		if m.User == user {
			n++
		}
	}
	return n
}

func (l list) count() protocol.Count {
	users := map[string]bool{}
	for _, m := range l {
		users[m.User] = true
	}
	return protocol.Count{Sessions: len(l), Users: len(users)}
}

// apply does what a client does with an event.
func (l list) apply(event any) list {
	switch e := event.(type) {
	case protocol.MemberJoined:
		return append(l, e.Member)
	case protocol.MemberLeft:
		i := l.find(e.Session)
		return slices.Delete(l, i, i+1)
	case protocol.MemberUpdated:
		m := &l[l.find(e.Session)]
		if e.State != "" {
			m.State = e.State
		}
		if e.Data != nil {
			m.Data = e.Data
		}
	}
	return l
}

// reader is someone who asked for a page and has not seen the last yet.
type reader struct {
	next  uint64
	seen  map[string]int // how often each session was on a page
	stays map[string]bool
}

// world is a room beside everything that watches it.
type world struct {
	room    *Room
	truth   list
	clients []list // one per snapshot taken
	readers []*reader
	joins   map[string]int
	leaves  map[string]int
	offset  uint64
}

// tell hands an event to everyone who once took a snapshot.
func (w *world) tell(event any) {
	for i, c := range w.clients {
		w.clients[i] = c.apply(event)
	}
}

// pass moves the order on: offsets need not be dense, messages take some too.
func (w *world) pass(t *rapid.T) uint64 {
	w.offset += uint64(rapid.IntRange(1, 3).Draw(t, "offsets passed"))
	return w.offset
}

var (
	someSession = rapid.Custom(func(t *rapid.T) string { return fmt.Sprint("s", rapid.IntRange(0, 39).Draw(t, "session")) })
	someState   = rapid.SampledFrom([]protocol.State{"", protocol.StateActive, protocol.StateIdle, protocol.StateLost})
	someData    = rapid.SampledFrom([]json.RawMessage{nil, json.RawMessage(`{}`), json.RawMessage(`{"mood":"fine"}`), json.RawMessage(`null`)})
)

// Join lets a session in. Five users share the sessions, and the same session
// may come again after it left, as somebody else.
func (w *world) Join(t *rapid.T) {
	m := member(someSession.Draw(t, "who"), rapid.SampledFrom([]string{"ann", "bob", "cy", "di", "eve"}).Draw(t, "user"))
	m.Data = someData.Draw(t, "data")
	at := w.pass(t)
	first, ok := w.room.Join(m, at)
	here := w.truth.find(m.Session) >= 0
	require.Equal(t, !here, ok, "Join(%s) of a session that is here: %v", m.Session, here)
	if !ok {
		require.False(t, first, "a join that changes nothing is nobody's first")
		return
	}
	require.Equal(t, w.truth.sessionsOf(m.User) == 0, first, "first of %s", m.User)
	w.joins[m.Session]++
	w.truth = append(w.truth, m)
	w.tell(protocol.MemberJoined{Member: m, First: first})
}

func (w *world) Leave(t *rapid.T) { w.leave(t, someSession.Draw(t, "who")) }

// Exodus makes many leave in a row, so that compaction has work.
func (w *world) Exodus(t *rapid.T) {
	for range rapid.IntRange(0, 40).Draw(t, "how many") {
		if len(w.truth) == 0 {
			return
		}
		w.leave(t, w.truth[rapid.IntRange(0, len(w.truth)-1).Draw(t, "who")].Session)
	}
}

func (w *world) leave(t *rapid.T, session string) {
	m, last, ok := w.room.Leave(session)
	i := w.truth.find(session)
	require.Equal(t, i >= 0, ok, "Leave(%s)", session)
	if !ok {
		require.Equal(t, protocol.Member{}, m)
		require.False(t, last)
		return
	}
	w.offset++
	require.Equal(t, w.truth[i], m, "who left")
	require.Equal(t, w.truth.sessionsOf(m.User) == 1, last, "last of %s", m.User)
	w.leaves[session]++
	w.truth = slices.Delete(w.truth, i, i+1)
	w.tell(protocol.MemberLeft{Session: m.Session, User: m.User, Last: last})
	for _, r := range w.readers {
		delete(r.stays, session)
	}
}

func (w *world) Update(t *rapid.T) {
	session, state, data := someSession.Draw(t, "who"), someState.Draw(t, "state"), someData.Draw(t, "data")
	newState, newData, ok := w.room.Update(session, state, data)
	i := w.truth.find(session)
	require.Equal(t, i >= 0, ok, "Update(%s)", session)
	if !ok {
		require.Empty(t, newState)
		require.Nil(t, newData)
		return
	}
	w.offset++
	m := &w.truth[i]
	if newState != "" {
		require.NotEqual(t, m.State, newState, "told as changed")
	}
	if newData != nil {
		require.NotEqual(t, string(m.Data), string(newData), "told as changed")
	}
	if state != "" {
		m.State = state
	}
	if data != nil {
		m.Data = data
	}
	w.tell(protocol.MemberUpdated{Session: session, User: m.User, State: newState, Data: newData})
}

// Snapshot is a client's way in: from here on it only hears events.
func (w *world) Snapshot(*rapid.T) { w.clients = append(w.clients, w.room.Members()) }

// Read begins to page; who stays until the end must be seen exactly once.
func (w *world) Read(*rapid.T) {
	r := &reader{seen: map[string]int{}, stays: map[string]bool{}}
	for _, m := range w.truth {
		r.stays[m.Session] = true
	}
	w.readers = append(w.readers, r)
}

// Page turns one page of somebody's.
func (w *world) Page(t *rapid.T) {
	if len(w.readers) == 0 {
		t.Skip("nobody reads")
	}
	i := rapid.IntRange(0, len(w.readers)-1).Draw(t, "reader")
	if w.turn(t, w.readers[i], rapid.IntRange(1, 7).Draw(t, "limit")) {
		w.readers = slices.Delete(w.readers, i, i+1)
	}
}

// turn reports that r has seen the last page.
func (w *world) turn(t *rapid.T, r *reader, limit int) bool {
	ms, next := w.room.Page(r.next, limit)
	require.LessOrEqual(t, len(ms), limit, "members of a page")
	for _, m := range ms {
		r.seen[m.Session]++
	}
	if next != 0 {
		require.Len(t, ms, limit, "a page that is not the last")
		require.Greater(t, next, r.next, "where the next page begins")
		r.next = next
		return false
	}
	for s := range r.stays {
		require.Equal(t, 1, r.seen[s], "pages that show %s, who was here all the time", s)
	}
	return true
}

// Check compares the room with the truth.
func (w *world) Check(t *rapid.T) {
	require.NoError(t, w.room.Check())
	require.Equal(t, w.truth.count(), w.room.Count())
	wantSame(t, "Members()", w.truth, w.room.Members())
	for i, c := range w.clients {
		wantSame(t, fmt.Sprintf("snapshot %d and the events after it", i), w.truth, c)
	}
}

func wantSame(t *rapid.T, what string, truth, got []protocol.Member) {
	same := slices.EqualFunc(truth, got, func(a, b protocol.Member) bool {
		return a.Session == b.Session && a.User == b.User && a.Name == b.Name &&
			a.State == b.State && bytes.Equal(a.Data, b.Data) && a.Since == b.Since
	})
	if !same {
		t.Fatalf("%s differ from the truth (-truth +got):\n%s", what, cmp.Diff(truth, got))
	}
}

func TestRoomIsTheTruthToEverybodyWhoWatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{room: New(), joins: map[string]int{}, leaves: map[string]int{}}
		t.Repeat(rapid.StateMachineActions(w))

		for _, r := range w.readers {
			for !w.turn(t, r, 3) {
			}
		}
		for len(w.truth) > 0 {
			w.leave(t, w.truth[0].Session)
		}
		w.Check(t)
		require.Equal(t, w.joins, w.leaves, "exactly one leave per join")
	})
}

func TestFirstAndLastOfAUserWhateverTheNumberOfSessions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "sessions")
		r, offset := New(), uint64(0)
		going := make([]string, n)
		for i := range n {
			offset++
			going[i] = fmt.Sprint("s", i)
			first, ok := r.Join(member(going[i], "kim"), offset)
			require.True(t, ok)
			require.Equal(t, i == 0, first, "first at session %d", i)
			require.Equal(t, protocol.Count{Sessions: i + 1, Users: 1}, r.Count())
		}
		for i, s := range rapid.Permutation(going).Draw(t, "order of leaving") {
			_, last, ok := r.Leave(s)
			require.True(t, ok)
			require.Equal(t, i == n-1, last, "last with %d sessions left", n-1-i)
		}
		require.Equal(t, protocol.Count{}, r.Count())
	})
}

func TestUpdateReturnsWhatReallyChanged(t *testing.T) {
	fine, hungry := json.RawMessage(`{"mood":"fine"}`), json.RawMessage(`{"mood":"hungry"}`)
	for _, c := range []struct {
		story     string
		session   string
		state     protocol.State
		data      json.RawMessage
		wantState protocol.State
		wantData  json.RawMessage
		wantOK    bool
	}{
		{"fell idle", "s0", protocol.StateIdle, nil, protocol.StateIdle, nil, true},
		{"was active already", "s0", protocol.StateActive, nil, "", nil, true},
		{"a new mood", "s0", "", hungry, "", hungry, true},
		{"the same mood again", "s0", "", fine, "", nil, true},
		{"the same mood, now idle", "s0", protocol.StateIdle, fine, protocol.StateIdle, nil, true},
		{"both", "s0", protocol.StateLost, hungry, protocol.StateLost, hungry, true},
		{"null is data", "s0", "", json.RawMessage(`null`), "", json.RawMessage(`null`), true},
		{"nothing asked", "s0", "", nil, "", nil, true},
		{"who is not here", "s9", protocol.StateIdle, hungry, "", nil, false},
	} {
		t.Run(c.story, func(t *testing.T) {
			r := New()
			m := member("s0", "kim")
			m.Data = fine
			r.Join(m, 1)
			state, data, ok := r.Update(c.session, c.state, c.data)
			require.Equal(t, c.wantOK, ok)
			require.Equal(t, c.wantState, state)
			require.Equal(t, c.wantData, data)

			want := m
			if c.wantState != "" {
				want.State = c.wantState
			}
			if c.wantData != nil {
				want.Data = c.wantData
			}
			got, _ := r.Member("s0")
			require.Equal(t, want, got)
			require.NoError(t, r.Check())
		})
	}
}

func TestPage(t *testing.T) {
	// Ten joined at 1 to 10; then those at 1, 4, 5 and 10 left.
	r := filled(10)
	for _, s := range []string{"s0", "s3", "s4", "s9"} {
		r.Leave(s)
	}
	for _, c := range []struct {
		story string
		after uint64
		limit int
		want  []string
		next  uint64
	}{
		{"everybody", 0, 100, []string{"s1", "s2", "s5", "s6", "s7", "s8"}, 0},
		{"exactly everybody: no empty page follows", 0, 6, []string{"s1", "s2", "s5", "s6", "s7", "s8"}, 0},
		{"one less", 0, 5, []string{"s1", "s2", "s5", "s6", "s7"}, 8},
		{"the rest", 8, 5, []string{"s8"}, 0},
		{"after one who is gone", 4, 2, []string{"s5", "s6"}, 7},
		{"after the last", 9, 2, []string{}, 0},
		{"after the end of the order", 99, 2, []string{}, 0},
		{"limit 0 is 1: a reader gets on", 0, 0, []string{"s1"}, 2},
		{"a negative limit too", 2, -5, []string{"s2"}, 3},
	} {
		t.Run(c.story, func(t *testing.T) {
			ms, next := r.Page(c.after, c.limit)
			require.Equal(t, c.want, sessions(ms))
			require.Equal(t, c.next, next)
		})
	}
}

func TestEmptyRoom(t *testing.T) {
	r := New()
	require.NoError(t, r.Check())
	require.Empty(t, r.Members())
	require.Equal(t, protocol.Count{}, r.Count())
	_, ok := r.Member("s0")
	require.False(t, ok)
	ms, next := r.Page(0, 10)
	require.Empty(t, ms)
	require.Zero(t, next)
	for range r.Sessions {
		t.Fatal("a session in an empty room")
	}
}

func TestComingBackIsANewJoinAtTheEnd(t *testing.T) {
	r := filled(3)
	r.Leave("s0")
	first, ok := r.Join(member("s0", "somebody else"), 4)
	require.True(t, ok)
	require.True(t, first)
	require.Equal(t, []string{"s1", "s2", "s0"}, sessions(r.Members()))
	require.NoError(t, r.Check())
}

func TestASnapshotIsNotTouchedByWhatFollows(t *testing.T) {
	r := filled(3)
	snapshot := r.Members()
	want := slices.Clone(snapshot)
	r.Update("s0", protocol.StateIdle, json.RawMessage(`1`))
	r.Leave("s1")
	r.Join(member("s9", "u9"), 9)
	require.Equal(t, want, snapshot)
}

func TestSessions(t *testing.T) {
	r := filled(20)
	r.Leave("s7")
	seen := map[string]bool{}
	for s := range r.Sessions {
		require.False(t, seen[s], "%s twice", s)
		seen[s] = true
	}
	require.Len(t, seen, 19)
	require.NotContains(t, seen, "s7")

	n := 0
	for range r.Sessions {
		if n++; n == 3 {
			break
		}
	}
	require.Equal(t, 3, n, "calls after f wanted no more")
}

func TestCheckFindsCorruptionAndRepairMendsIt(t *testing.T) {
	for _, c := range []struct {
		story string
		harm  func(*Room)
		want  string
	}{
		{"a member that has no place", func(r *Room) { r.members["ghost"] = &seat{Member: member("ghost", "u0"), joined: 99} }, "members"},
		{"a member that is gone, its place is not", func(r *Room) { delete(r.members, "s3") }, "not the member"},
		{"a place emptied and not counted", func(r *Room) { r.order[3].seat = nil }, "empty"},
		{"an empty place counted that is none", func(r *Room) { r.empty++ }, "empty"},
		{"two members changed places", func(r *Room) { r.order[3].seat, r.order[4].seat = r.order[4].seat, r.order[3].seat }, "not the member"},
		{"the order runs backwards", func(r *Room) { r.order[3], r.order[4] = r.order[4], r.order[3] }, "joined at"},
		{"two joins at one offset", func(r *Room) { r.order[4].joined = r.order[3].joined }, "joined at"},
		{"a join at offset 0, which no page shows", func(r *Room) { r.order[0].joined, r.order[0].seat.joined = 0, 0 }, "joined at 0"},
		{"a member under another's name", func(r *Room) { r.members["s3"] = r.members["s4"] }, "not the member"},
		{"a copy of the member", func(r *Room) { s := *r.members["s3"]; r.members["s3"] = &s }, "not the member"},
		{"a seat that forgot when", func(r *Room) { r.members["s3"].joined = 77 }, "not the member"},
		{"a user's session too many", func(r *Room) { r.users["u1"]++ }, "users"},
		{"a user's session too few", func(r *Room) { r.users["u1"]-- }, "users"},
		{"a user without a session", func(r *Room) { r.users["ghost"] = 0 }, "users"},
		{"a user forgotten", func(r *Room) { delete(r.users, "u1") }, "users"},
		{"one user taken for another", func(r *Room) { r.users["ghost"] = r.users["u1"]; delete(r.users, "u1") }, "users"},
		{"empty places that stay", func(r *Room) {
			for i := uint64(100); i < 200; i++ {
				r.order = append(r.order, slot{joined: i})
				r.empty++
			}
		}, "never compacted"},
	} {
		t.Run(c.story, func(t *testing.T) {
			r := filled(10)
			r.Leave("s9")
			require.NoError(t, r.Check())
			c.harm(r)
			require.ErrorContains(t, r.Check(), c.want)
			r.Repair()
			require.NoError(t, r.Check(), "repaired")
		})
	}
}

func TestMemoryFollowsTheMembersNotTheJoins(t *testing.T) {
	t.Run("churn", func(t *testing.T) { // 100,000 come and go, ten at a time
		r := New()
		for i := range 100_000 {
			r.Join(member(fmt.Sprint("s", i), "kim"), uint64(i+1))
			if i >= 10 {
				r.Leave(fmt.Sprint("s", i-10))
			}
			if len(r.order) > minShrink || cap(r.order) > 2*minShrink {
				t.Fatalf("after %d joins: %d slots of %d for %d members", i+1, len(r.order), cap(r.order), len(r.members))
			}
		}
		require.NoError(t, r.Check())
	})
	t.Run("a crowd that left", func(t *testing.T) {
		const crowd = 50_000
		before := heap()
		r := filled(crowd)
		full := heap() - before
		for i := 10; i < crowd; i++ {
			r.Leave(fmt.Sprint("s", i))
		}
		left := heap() - before
		require.LessOrEqual(t, cap(r.order), 2*minShrink, "slots")
		require.Less(t, left, full/50, "bytes held for 10 members, who were %d in %d bytes", crowd, full)
		require.Len(t, r.Members(), 10)
	})
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkJoinLeave(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := filled(n)
			offset := uint64(n)
			names := make([]protocol.Member, 1024)
			for i := range names {
				names[i] = member(fmt.Sprint("guest", i), fmt.Sprint("user", i))
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				m := names[i%len(names)]
				offset++
				r.Join(m, offset)
				r.Leave(m.Session)
			}
		})
	}
}

// BenchmarkCrowd is a whole room that comes and goes: the cost per member must
// not grow with the room.
func BenchmarkCrowd(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		ms := make([]protocol.Member, n)
		for i := range ms {
			ms[i] = member(fmt.Sprint("s", i), fmt.Sprint("u", i))
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := New()
				for i, m := range ms {
					r.Join(m, uint64(i+1))
				}
				for _, m := range ms {
					r.Leave(m.Session)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/member")
		})
	}
}

func BenchmarkMembers(b *testing.B) {
	r := filled(10_000)
	b.ReportAllocs()
	for b.Loop() {
		if len(r.Members()) != 10_000 {
			b.Fatal("not everybody")
		}
	}
}

// BenchmarkMemory prints the bytes that a member costs in a room of 100,000,
// its strings not counted.
func BenchmarkMemory(b *testing.B) {
	const n = 100_000
	ms := make([]protocol.Member, n)
	for i := range ms {
		ms[i] = member(fmt.Sprint("s", i), fmt.Sprint("u", i))
	}
	for b.Loop() {
		before := heap()
		r := New()
		for i, m := range ms {
			r.Join(m, uint64(i+1))
		}
		b.ReportMetric(float64(heap()-before)/n, "bytes/member")
		runtime.KeepAlive(r)
	}
}
