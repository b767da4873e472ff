package referee

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"rollcall/protocol"
)

// view is a room as one witness knows it, from a snapshot to the end of its
// visit, made of nothing but what it was told.
type view struct {
	witness, room string

	epoch string
	own   string // the witness's session; empty: it observes
	mode  protocol.Mode
	last  uint64 // offset of what it was told last
	over  bool   // its visit has ended

	listed  bool          // it knows the members: not in count mode
	since   time.Duration // when it got its list, or none
	members map[string]*protocol.Member
	was     map[string]bool // sessions that left in this epoch
	counted *protocol.Count // the newest occupancy; nil: none since the snapshot
	heard   *span
}

// span is what a witness was told of a room's messages from one snapshot on.
type span struct {
	witness, room, epoch string
	from, to             uint64          // offsets, from left out
	messages             map[uint64]bool // by offset
}

// told takes one event of the room.
func (v *view) told(j *judge, at time.Duration, m protocol.Message) {
	if v.over {
		if _, ok := m.(*protocol.Joined); !ok {
			j.violate(Silence, v, "", 0, "an event before its snapshot, or after its own leave")
			return
		}
	}
	defer func() { v.heard.to = v.last }()
	switch m := m.(type) {
	case *protocol.Joined:
		v.joined(j, at, m)
	case *protocol.MemberJoined:
		v.chain(j, m.Prev, m.Offset, m.Offset)
		v.join(j, m, m.Offset)
	case *protocol.MemberLeft:
		v.chain(j, m.Prev, m.Offset, m.Offset)
		v.leave(j, at, m)
	case *protocol.MemberUpdated:
		v.chain(j, m.Prev, m.Offset, m.Offset)
		v.update(j, m)
	case *protocol.MessagePublished:
		v.chain(j, m.Prev, m.Offset, m.Offset)
		j.agree(v, m.Offset, "message "+m.Message)
		v.heard.messages[m.Offset] = true
	case *protocol.Presence:
		v.presence(j, at, m)
	case *protocol.Occupancy:
		if m.Offset < v.last {
			j.violate(Reorder, v, "", m.Offset, "an occupancy at %d after %d", m.Offset, v.last)
		}
		v.last = max(v.last, m.Offset)
		v.counted = &m.Count
	case *protocol.ModeChanged:
		v.turn(j, m)
	}
}

// chain holds that an event of the offsets from to offset is the next one.
func (v *view) chain(j *judge, prev, from, offset uint64) {
	if prev == 0 {
		prev = from - 1
	}
	switch {
	case offset <= v.last:
		j.violate(Reorder, v, "", offset, "offset %d after %d", offset, v.last)
	case prev != v.last:
		j.violate(Gap, v, "", offset, "offset %d follows %d, and the last one told was %d", offset, prev, v.last)
	}
	v.last = max(v.last, offset)
}

// joined begins the view, or holds a fresh snapshot against it.
func (v *view) joined(j *judge, at time.Duration, m *protocol.Joined) {
	if v.epoch == m.Epoch && !v.over {
		if m.Mode != protocol.ModeCount && v.mode != protocol.ModeCount && m.Offset != v.last {
			j.violate(Gap, v, "", m.Offset, "a fresh snapshot at %d, and the last one told was %d", m.Offset, v.last)
		}
		if v.listed && m.Mode != protocol.ModeCount {
			v.compare(j, m.Members, m.Offset, "a fresh snapshot")
		}
	} else {
		v.was = map[string]bool{}
	}
	if v.own = m.Session; m.Observer {
		v.own = ""
	}
	v.heard = &span{v.witness, v.room, m.Epoch, m.Offset, m.Offset, map[uint64]bool{}}
	j.spans = append(j.spans, v.heard)
	if fresh := v.listed != (m.Mode != protocol.ModeCount); fresh || v.epoch != m.Epoch || v.over {
		v.since = at
	}
	v.listed = m.Mode != protocol.ModeCount
	v.epoch, v.mode, v.last, v.over, v.counted = m.Epoch, m.Mode, m.Offset, false, nil
	v.members = map[string]*protocol.Member{}
	users := map[string]bool{}
	for _, p := range m.Members {
		if v.members[p.Session] != nil {
			j.violate(Snapshot, v, p.Session, m.Offset, "twice in the snapshot")
		}
		v.members[p.Session] = &p
		users[p.User] = true
	}
	if !v.listed {
		v.counted = &m.Count
		return
	}
	if m.Count.Sessions != len(v.members) || m.Count.Users != len(users) {
		j.violate(Count, v, "", m.Offset, "the snapshot lists %d sessions of %d users and counts %d of %d",
			len(v.members), len(users), m.Count.Sessions, m.Count.Users)
	}
	if v.own != "" && v.members[v.own] == nil {
		j.violate(Snapshot, v, v.own, m.Offset, "the joiner is not in its own snapshot")
	}
}

func (v *view) join(j *judge, m *protocol.MemberJoined, offset uint64) {
	id := m.Member.Session
	j.agree(v, offset, "join "+id)
	if !v.listed {
		return
	}
	if v.members[id] != nil {
		j.violate(JoinTwice, v, id, offset, "a join of somebody who is there")
	}
	if first := v.sessionsOf(m.Member.User, id) == 0; first != m.First {
		j.violate(FirstLast, v, id, offset, "first is %t, and %d other sessions of the user are there", m.First, v.sessionsOf(m.Member.User, id))
	}
	here := m.Member // the record stays as it is
	v.members[id] = &here
}

func (v *view) leave(j *judge, at time.Duration, m *protocol.MemberLeft) {
	defer func() { v.over = v.over || m.Session == v.own }()
	j.agree(v, m.Offset, fmt.Sprintf("leave %s %s %d", m.Session, m.Reason, m.Code))
	j.left(v, at, m)
	if !v.listed {
		return
	}
	p := v.members[m.Session]
	switch {
	case p == nil && v.was[m.Session]:
		j.violate(LeaveTwice, v, m.Session, m.Offset, "a second leave")
		return
	case p == nil:
		j.violate(LeaveAlone, v, m.Session, m.Offset, "a leave of somebody who was not there")
		return
	}
	delete(v.members, m.Session)
	v.was[m.Session] = true
	if last := v.sessionsOf(m.User, m.Session) == 0; last != m.Last {
		j.violate(FirstLast, v, m.Session, m.Offset, "last is %t, and %d other sessions of the user are there", m.Last, v.sessionsOf(m.User, m.Session))
	}
	if j.rules.ResumeWindow > 0 && m.Reason == protocol.ReasonLost && v.mode == protocol.ModeFull && p.State != protocol.StateLost {
		j.violate(Unannounced, v, m.Session, m.Offset, "lost, and it was %s until then", p.State)
	}
}

func (v *view) update(j *judge, m *protocol.MemberUpdated) {
	j.agree(v, m.Offset, fmt.Sprintf("update %s %s %s", m.Session, m.State, m.Data))
	if !v.listed {
		return
	}
	p := v.members[m.Session]
	if p == nil {
		j.violate(UpdateAlone, v, m.Session, m.Offset, "an update of somebody who is not there")
		return
	}
	if m.State != "" {
		p.State = m.State
	}
	if m.Data != nil {
		p.Data = m.Data
	}
}

// presence applies several changes at once, in the order they happened.
func (v *view) presence(j *judge, at time.Duration, m *protocol.Presence) {
	v.chain(j, m.Prev, m.From, m.Offset)
	var changes []change
	for i := range m.Joins {
		changes = append(changes, change{m.Joins[i].Offset, func() { v.join(j, &m.Joins[i], m.Joins[i].Offset) }})
	}
	for i := range m.Leaves {
		changes = append(changes, change{m.Leaves[i].Offset, func() { v.leave(j, at, &m.Leaves[i]) }})
	}
	for i := range m.Updates {
		changes = append(changes, change{m.Updates[i].Offset, func() { v.update(j, &m.Updates[i]) }})
	}
	slices.SortStableFunc(changes, func(a, b change) int { return cmp.Compare(a.offset, b.offset) })
	last := m.From - 1
	for _, c := range changes {
		if c.offset <= last || c.offset > m.Offset {
			j.violate(Reorder, v, "", c.offset, "a change at %d, in a presence of %d to %d", c.offset, m.From, m.Offset)
		}
		last = c.offset
		c.apply()
	}
	if v.listed && m.Count.Sessions != len(v.members) {
		j.violate(Count, v, "", m.Offset, "a presence counts %d sessions, and those told are %d", m.Count.Sessions, len(v.members))
	}
}

// change is one entry of a presence.
type change struct {
	offset uint64
	apply  func()
}

// turn changes the mode: all up to its offset was told before.
func (v *view) turn(j *judge, m *protocol.ModeChanged) {
	if v.mode != protocol.ModeCount && m.Offset != v.last {
		j.violate(Gap, v, "", m.Offset, "a mode at %d, and the last one told was %d", m.Offset, v.last)
	}
	v.mode, v.last = m.Mode, max(v.last, m.Offset)
	if m.Mode == protocol.ModeCount {
		v.listed, v.members, v.counted = false, map[string]*protocol.Member{}, nil
	}
}

func (v *view) sessionsOf(user, but string) (n int) {
	for id, p := range v.members {
		if p.User == user && id != but {
			n++
		}
	}
	return n
}

// compare holds a list of members against the view.
func (v *view) compare(j *judge, list []protocol.Member, offset uint64, source string) {
	there := map[string]bool{}
	for _, p := range list {
		there[p.Session] = true
		switch seen := v.members[p.Session]; {
		case seen == nil && v.was[p.Session]:
			j.violate(Ghost, v, p.Session, offset, "%s has it, and its leave was told", source)
		case seen == nil:
			j.violate(Ghost, v, p.Session, offset, "%s has it, and its join was never told", source)
		case seen.State != p.State || string(seen.Data) != string(p.Data):
			j.violate(Stale, v, p.Session, offset, "%s has it as %s %s, and what was told is %s %s", source, p.State, p.Data, seen.State, seen.Data)
		}
	}
	for id := range v.members {
		if !there[id] {
			j.violate(MissingLeave, v, id, offset, "%s does not have it, and its leave was never told", source)
		}
	}
}

// end holds the view against the truth.
func (v *view) end(j *judge, t *Truth) {
	if v.over || v.epoch != t.Epoch {
		return
	}
	if v.mode != protocol.ModeCount && v.last != t.Offset {
		j.violate(Gap, v, "", t.Offset, "the room is at %d, and the last one told was %d", t.Offset, v.last)
	}
	if v.listed {
		v.compare(j, t.Members, t.Offset, "the room")
	}
	if v.counted != nil && v.mode == protocol.ModeCount &&
		(v.counted.Sessions != t.Count.Sessions || v.counted.Users != t.Count.Users) {
		j.violate(Count, v, "", t.Offset, "the room counts %d of %d users, and the last occupancy told %d of %d",
			t.Count.Sessions, t.Count.Users, v.counted.Sessions, v.counted.Users)
	}
}
