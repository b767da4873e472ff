// Package bans is who is kept out, as data: add, lift and find. It has no
// clock and no lock; every question comes with its time, and a ban that is over
// by then is none. Whoever owns a List calls it from one goroutine.
package bans

import (
	"cmp"
	"errors"
	"slices"
)

// ErrFull refuses a ban where as many are in force as may be.
var ErrFull = errors.New("bans: no more fit")

// Who is whom a ban names: a user with all sessions, those to come included,
// or one session. Exactly one of them is set.
type Who struct {
	User    string `json:"user,omitempty"`
	Session string `json:"session,omitempty"`
}

// Ban keeps somebody out.
type Ban struct {
	ID string `json:"ban"` // by which it is lifted
	Who
	At     int64  `json:"at"`               // Unix milliseconds of its making
	Until  int64  `json:"until,omitempty"`  // likewise of its end; 0: until it is lifted
	Reason string `json:"reason,omitempty"` // for people; empty: none was given
}

// Valid reports whether the ban has an ID and names exactly one.
func (b *Ban) Valid() bool { return b.ID != "" && (b.User == "") != (b.Session == "") }

// Over reports whether the ban has ended by itself at now.
func (b *Ban) Over(now int64) bool { return b.Until != 0 && b.Until <= now }

// Names reports whether the ban is about that session of that user.
func (w Who) Names(user, session string) bool {
	if w.Session != "" {
		return w.Session == session
	}
	return w.User == user
}

// List is the bans of one room, or of the server: at most one for each Who.
// The zero value is empty and ready.
type List struct {
	by   map[Who]Ban
	next int // when so many are on it, what is over is dropped
}

// New returns a list of bans. Of two that name the same, the later one counts.
func New(all ...Ban) List {
	var l List
	for _, b := range all {
		l.put(b)
	}
	l.next = 2 * len(l.by)
	return l
}

// minSweep is the length of a list below which nothing is dropped from it.
const minSweep = 16

// Add puts b on the list at now, in place of one that names the same. Where
// most are in force (0: no bound) the error is ErrFull. What is over goes in
// time: a list is at most twice as long as what was in force.
func (l *List) Add(b Ban, now int64, most int) error {
	_, replaces := l.by[b.Who]
	full := func() bool { return !replaces && most > 0 && len(l.by) >= most }
	if full() || len(l.by) >= max(l.next, minSweep) {
		l.Expire(now)
		_, replaces = l.by[b.Who]
	}
	if full() {
		return ErrFull
	}
	l.put(b)
	return nil
}

func (l *List) put(b Ban) {
	if l.by == nil {
		l.by = map[Who]Ban{}
	}
	l.by[b.Who] = b
}

// Lift takes the ban of that ID off the list and returns it.
func (l *List) Lift(id string) (Ban, bool) {
	b, on := l.ByID(id)
	if on {
		delete(l.by, b.Who)
	}
	return b, on
}

// ByID returns the ban of that ID, over or not.
func (l *List) ByID(id string) (Ban, bool) {
	for _, b := range l.by {
		if b.ID == id {
			return b, true
		}
	}
	return Ban{}, false
}

// Of returns the ban that names exactly who, over or not.
func (l *List) Of(who Who) (Ban, bool) {
	b, on := l.by[who]
	return b, on
}

// Bans reports whether a session of a user is kept out at now.
func (l *List) Bans(user, session string, now int64) bool {
	for _, who := range [...]Who{{User: user}, {Session: session}} {
		if b, on := l.by[who]; on && !b.Over(now) {
			return true
		}
	}
	return false
}

// All returns the bans in force at now, oldest first.
func (l *List) All(now int64) []Ban {
	all := make([]Ban, 0, len(l.by))
	for _, b := range l.by {
		if !b.Over(now) {
			all = append(all, b)
		}
	}
	slices.SortFunc(all, Compare)
	return all
}

// Compare orders bans by their making, and by ID where that is the same.
func Compare(a, b Ban) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.ID, b.ID)) }

// Expire drops what is over at now.
func (l *List) Expire(now int64) {
	for who, b := range l.by {
		if b.Over(now) {
			delete(l.by, who)
		}
	}
	l.next = 2 * len(l.by)
}

// Len is how many bans are on the list, those that are over included.
func (l *List) Len() int { return len(l.by) }
