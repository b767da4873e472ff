package timeline

import (
	"fmt"
	"maps"
	"slices"
)

const (
	perUser = 16 // records of one user; the newest stay
	perRoom = 32 // records of the room itself; likewise
)

// Log is what is on record of one room. Users who are present have a story of
// their own, which nobody else's crowds out; of those who are gone the stories
// stay until those of others who went later, or the end of the room, push
// them out. A user of whom there is no record costs nothing.
//
// Whoever owns a Log calls it from one goroutine. A nil Log takes no record and
// has none.
type Log struct {
	bound  int // records of users who are gone
	own    []Record
	users  map[string]*story
	peak   int    // users that the map has held since it was made
	oldest *story // of users who are gone, longest ago first
	newest *story
	gone   int // records in these
}

// story is what is on record of one user.
type story struct {
	user       string
	records    []Record // oldest first
	cut        bool     // there were more
	gone       bool
	prev, next *story // among those who are gone
}

// New returns an empty log that keeps up to bound records of users who are
// gone; nil for a bound of 0.
func New(bound int) *Log {
	if bound <= 0 {
		return nil
	}
	return &Log{bound: bound, users: map[string]*story{}}
}

// Note records something of the room itself.
func (l *Log) Note(r Record) {
	if l != nil {
		l.own, _ = push(l.own, r, perRoom)
	}
}

// Add records something of a user, and whether the user is present after it.
func (l *Log) Add(user string, present bool, r Record) {
	if l == nil {
		return
	}
	s := l.users[user]
	if s == nil {
		s = &story{user: user}
		l.users[user] = s
		l.peak = max(l.peak, len(l.users))
	}
	l.unlink(s)
	var cut bool
	s.records, cut = push(s.records, r, perUser)
	s.cut = s.cut || cut
	if !present {
		l.link(s)
		l.shrink()
	}
}

// Settle notes who is present, for each user of whom there is a record.
func (l *Log) Settle(present func(user string) bool) {
	if l == nil {
		return
	}
	for user, s := range l.users {
		switch here := present(user); {
		case here:
			l.unlink(s)
		case !s.gone:
			l.link(s)
		}
	}
	l.shrink()
}

// Back notes that a user who may have been gone is present again.
func (l *Log) Back(user string) {
	if l == nil {
		return
	}
	if s := l.users[user]; s != nil {
		l.unlink(s)
	}
}

// push appends r, and drops the oldest for it where there are as many as may
// be. Memory grows by doubling.
func push(rs []Record, r Record, most int) (after []Record, cut bool) {
	if len(rs) == most {
		copy(rs, rs[1:])
		rs[most-1] = r
		return rs, true
	}
	if len(rs) == cap(rs) {
		grown := make([]Record, len(rs), min(max(2, 2*cap(rs)), most))
		copy(grown, rs)
		rs = grown
	}
	return append(rs, r), false
}

// link puts a story at the end of those of users who are gone.
func (l *Log) link(s *story) {
	s.gone = true
	if cap(s.records) > len(s.records) {
		s.records = slices.Clone(s.records)
	}
	l.gone += len(s.records)
	s.prev = l.newest
	if l.newest != nil {
		l.newest.next = s
	} else {
		l.oldest = s
	}
	l.newest = s
}

// unlink takes a story from among them, if it is there.
func (l *Log) unlink(s *story) {
	if !s.gone {
		return
	}
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		l.oldest = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	} else {
		l.newest = s.prev
	}
	l.gone -= len(s.records)
	s.gone, s.prev, s.next = false, nil, nil
}

// minPeak is the size of the map below which no memory is given back.
const minPeak = 64

// shrink forgets those who have been gone longest until the rest are within
// the bound.
func (l *Log) shrink() {
	for l.gone > l.bound {
		s := l.oldest
		l.unlink(s)
		delete(l.users, s.user)
	}
	if l.peak > minPeak && l.peak > 4*len(l.users) { // a map that has been large keeps its memory
		small := make(map[string]*story, len(l.users))
		maps.Copy(small, l.users)
		l.users, l.peak = small, len(small)
	}
}

// Of returns what is on record of a user, oldest first; cut says that there
// was more.
func (l *Log) Of(user string) (records []Record, cut bool) {
	if l == nil || l.users[user] == nil {
		return nil, false
	}
	s := l.users[user]
	return slices.Clone(s.records), s.cut
}

// Owner finds the user of a session that is on record; empty: it is not.
func (l *Log) Owner(session string) string {
	if l == nil {
		return ""
	}
	for user, s := range l.users {
		for i := range s.records {
			if s.records[i].Session == session {
				return user
			}
		}
	}
	return ""
}

// Room returns what is on record of the room itself, oldest first.
func (l *Log) Room() []Record {
	if l == nil {
		return nil
	}
	return slices.Clone(l.own)
}

// Check returns what is wrong with the log, where present says which users are
// there; nil: it is sound. Tests call it.
func (l *Log) Check(present func(user string) bool) error {
	if l == nil {
		return nil
	}
	seen, records := 0, 0
	var before *story
	for s := l.oldest; s != nil; s = s.next {
		if !s.gone || s.prev != before || l.users[s.user] != s {
			return fmt.Errorf("the story of %q is not where it should be", s.user)
		}
		before = s
		seen++
		records += len(s.records)
	}
	gone := 0
	for user, s := range l.users {
		if s.user != user || len(s.records) == 0 || len(s.records) > perUser {
			return fmt.Errorf("the story of %q has %d records, and is filed under %q", s.user, len(s.records), user)
		}
		if s.gone {
			gone++
		}
		if s.gone == present(user) {
			return fmt.Errorf("the story of %q has them gone: %t", user, s.gone)
		}
	}
	if before != l.newest || seen != gone || records != l.gone || l.gone > l.bound || len(l.own) > perRoom {
		return fmt.Errorf("%d of %d stories of users who are gone are listed, with %d records (counted %d, at most %d)",
			seen, gone, records, l.gone, l.bound)
	}
	return nil
}
