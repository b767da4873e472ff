package actors

import (
	"slices"
	"time"

	"rollcall/timeline"
)

// remnant is what is left of a room that failed: its timeline is told for as
// long as an empty room lingers, or goes on in the room after it.
type remnant struct {
	name string
	log  *timeline.Log
	at   time.Duration
}

// maxRemnants is how many of them the lobby keeps.
const maxRemnants = 64

// keep takes the timeline of a room that failed.
func (l *lobby) keep(name string, log *timeline.Log) {
	if log == nil || l.sys.o.Linger <= 0 {
		return
	}
	log.Note(timeline.Record{At: unixMS(), Kind: timeline.RoomStopped})
	if len(l.remnants) == maxRemnants {
		l.remnants = slices.Delete(l.remnants, 0, 1)
	}
	l.remnants = append(l.remnants, remnant{name, log, l.sys.now()})
}

// remnantOf returns the timeline that is left of a room; nil: there is none.
// Those whose time is over are forgotten.
func (l *lobby) remnantOf(name string) *timeline.Log {
	l.remnants = slices.DeleteFunc(l.remnants, func(m remnant) bool { return l.sys.now()-m.at > l.sys.o.Linger })
	for i := range l.remnants {
		if l.remnants[i].name == name {
			return l.remnants[i].log
		}
	}
	return nil
}

// inherit returns the timeline for a new room.
func (l *lobby) inherit(name string) *timeline.Log {
	log := l.remnantOf(name)
	if log == nil {
		return timeline.New(l.sys.o.Timeline)
	}
	l.remnants = slices.DeleteFunc(l.remnants, func(m remnant) bool { return m.name == name })
	return log
}

// trace answers for a room that failed, if that is what m asks for.
func (l *lobby) trace(m routed) bool {
	q, ok := m.(*trace)
	if !ok || l.rooms[q.room] != nil {
		return false
	}
	log := l.remnantOf(q.room)
	if log == nil {
		return false
	}
	t := &Timeline{Room: q.room, User: q.user, Now: unixMS(), Members: []Presence{}}
	if q.session != "" {
		t.User = log.Owner(q.session)
	}
	var records []timeline.Record
	records, t.Cut = log.Of(t.User)
	if t.tell(q.session, records, log.Room()); len(t.Events) == 0 {
		t = nil
	}
	q.answer(t)
	return true
}
