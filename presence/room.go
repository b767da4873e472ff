// Package presence is who is in a room, as data: join, leave and update say
// what changed. It has no clock, no lock and no actor; whoever owns a Room
// calls it from one goroutine.
package presence

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sort"

	"rollcall/protocol"
)

// Room is the members of one room. The zero value is not ready: use New.
type Room struct {
	members map[string]*seat // by session
	users   map[string]int   // sessions of each user; never 0
	order   []slot           // by joined, growing; some are empty
	empty   int              // slots of order without a member
}

// seat is a member and its place in order.
type seat struct {
	protocol.Member
	joined uint64
}

// slot is a place in the order of joining. It outlives its member until the
// next compaction, so that a leave moves nobody.
type slot struct {
	joined uint64
	seat   *seat // nil: left
}

// New returns an empty room.
func New() *Room {
	return &Room{members: map[string]*seat{}, users: map[string]int{}}
}

// Join adds m, who joined at offset: 1 or more, and above that of every join
// before. (Members of a snapshot come without offsets and take 1 to n.) First
// says that it is the user's first session here. A session that is here
// already changes nothing, and ok is false.
func (r *Room) Join(m protocol.Member, offset uint64) (first, ok bool) {
	if _, here := r.members[m.Session]; here {
		return false, false
	}
	s := &seat{Member: m, joined: offset}
	r.members[m.Session] = s
	r.order = append(r.order, slot{offset, s})
	r.users[m.User]++
	return r.users[m.User] == 1, true
}

// Leave removes a session and returns the member that it was. Last says that
// the user has no session left here. A session that is not here: ok is false.
func (r *Room) Leave(session string) (m protocol.Member, last, ok bool) {
	s, here := r.members[session]
	if !here {
		return protocol.Member{}, false, false
	}
	delete(r.members, session)
	if r.users[s.User]--; r.users[s.User] == 0 {
		delete(r.users, s.User)
		last = true
	}
	r.order[r.place(s.joined)].seat = nil
	r.empty++
	r.compact()
	return s.Member, last, true
}

// Update changes a member: state unless it is empty, data unless it is nil. It
// returns what really changed, empty and nil for what did not.
func (r *Room) Update(session string, state protocol.State, data json.RawMessage) (protocol.State, json.RawMessage, bool) {
	s, here := r.members[session]
	if !here {
		return "", nil, false
	}
	if state == s.State {
		state = ""
	}
	if bytes.Equal(data, s.Data) {
		data = nil
	}
	if state != "" {
		s.State = state
	}
	if data != nil {
		s.Data = data
	}
	return state, data, true
}

// Member returns the member that a session is.
func (r *Room) Member(session string) (protocol.Member, bool) {
	s, here := r.members[session]
	if !here {
		return protocol.Member{}, false
	}
	return s.Member, true
}

// Has reports whether a user has a session here.
func (r *Room) Has(user string) bool { return r.users[user] > 0 }

// Count is how many are here.
func (r *Room) Count() protocol.Count {
	return protocol.Count{Sessions: len(r.members), Users: len(r.users)}
}

// Members returns all members in the order of their joins.
func (r *Room) Members() []protocol.Member {
	ms, _ := r.Page(0, len(r.members))
	return ms
}

// Page returns up to limit members who joined after the offset after, in the
// order of their joins, and the offset to continue after; 0: these were the
// last. Who joins or leaves between two pages neither hides nor repeats
// anybody else. A limit below 1 is taken as 1.
func (r *Room) Page(after uint64, limit int) (ms []protocol.Member, next uint64) {
	limit = max(limit, 1)
	from := sort.Search(len(r.order), func(i int) bool { return r.order[i].joined > after })
	ms = make([]protocol.Member, 0, min(limit, len(r.members)))
	for _, o := range r.order[from:] {
		if o.seat == nil {
			continue
		}
		if len(ms) == limit {
			return ms, next
		}
		ms = append(ms, o.seat.Member)
		next = o.joined
	}
	return ms, 0
}

// SessionsOf is how many sessions a user has here.
func (r *Room) SessionsOf(user string) int { return r.users[user] }

// Sessions calls f with every session here, in no order, until it returns
// false. f must not change the room.
func (r *Room) Sessions(f func(session string) bool) {
	for s := range r.members {
		if !f(s) {
			return
		}
	}
}

// place finds the slot of a join.
func (r *Room) place(joined uint64) int {
	return sort.Search(len(r.order), func(i int) bool { return r.order[i].joined >= joined })
}

// minShrink is the capacity of order below which no memory is given back.
const minShrink = 64

// compact drops empty slots once they are half of all, and gives memory back
// once three quarters are unused: the cost per leave stays constant.
func (r *Room) compact() {
	if r.empty < 16 || r.empty*2 < len(r.order) {
		return
	}
	kept := r.order[:0]
	for _, o := range r.order {
		if o.seat != nil {
			kept = append(kept, o)
		}
	}
	clear(r.order[len(kept):])
	r.order, r.empty = kept, 0
	if cap(kept) > minShrink && cap(kept) > 4*len(kept) {
		r.order = append(make([]slot, 0, 2*len(kept)), kept...)
		r.members, r.users = fitted(r.members), fitted(r.users)
	}
}

// fitted copies a map: one that has been large keeps its memory.
func fitted[V any](m map[string]V) map[string]V {
	n := make(map[string]V, len(m))
	maps.Copy(n, m)
	return n
}

// Repair makes the order and the counts anew from the members, for a room that
// Check finds fault with. Who stands under another's name is dropped.
func (r *Room) Repair() {
	r.users, r.order, r.empty = map[string]int{}, nil, 0
	for id, s := range r.members {
		if s.Session != id {
			delete(r.members, id)
			continue
		}
		r.users[s.User]++
		r.order = append(r.order, slot{s.joined, s})
	}
	slices.SortFunc(r.order, func(a, b slot) int { return cmp.Compare(a.joined, b.joined) })
	var last uint64
	for i, o := range r.order {
		last = max(o.joined, last+1) // two at one offset: one behind the other
		r.order[i].joined, o.seat.joined = last, last
	}
}

// Check returns what is wrong with the room itself; nil: it is sound. Tests
// and the audit call it.
func (r *Room) Check() error {
	users, last, empty := map[string]int{}, uint64(0), 0
	for i, o := range r.order {
		if o.joined <= last {
			return fmt.Errorf("order: slot %d joined at %d, after %d", i, o.joined, last)
		}
		last = o.joined
		if o.seat == nil {
			empty++
			continue
		}
		if o.seat.joined != o.joined || r.members[o.seat.Session] != o.seat {
			return fmt.Errorf("order: slot %d holds %s, who is not the member", i, o.seat.Session)
		}
		users[o.seat.User]++
	}
	if empty != r.empty || len(r.order)-empty != len(r.members) {
		return fmt.Errorf("order: %d slots, %d empty (counted %d), %d members", len(r.order), empty, r.empty, len(r.members))
	}
	if empty >= 16 && empty*2 >= len(r.order) {
		return fmt.Errorf("order: %d of %d slots are empty, never compacted", empty, len(r.order))
	}
	if len(users) != len(r.users) {
		return fmt.Errorf("users: %d, counted %d", len(r.users), len(users))
	}
	for u, n := range users {
		if r.users[u] != n {
			return fmt.Errorf("users: a user has %d sessions, counted %d", r.users[u], n)
		}
	}
	return nil
}
