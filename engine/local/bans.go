package local

import (
	"math"

	"rollcall/bans"
	"rollcall/engine"
)

// kept is the bans of all rooms, open or not. They outlive the room, and end
// with the process. Guarded by the engine's mutex.
type kept struct {
	each, all int                   // the most of one room, and of all; 0: no bound
	rooms     map[string]*bans.List // none of them empty
	count     int                   // on all lists, those that are over included
}

// of returns the bans of a room, oldest first.
func (k *kept) of(room string) []bans.Ban {
	l := k.rooms[room]
	if l == nil {
		return nil
	}
	return l.All(math.MinInt64)
}

// moderate settles a Ban or an Unban.
func (e *Engine) moderate(room string, p *engine.Proposal) engine.Outcome {
	if p.Ban == nil || p.Ban.ID == "" || p.Kind == engine.Ban && !p.Ban.Valid() {
		return refused(p, engine.ErrInvalid)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	o := engine.Outcome{Of: p, Event: engine.Event{Proposal: p}}
	if p.Kind == engine.Ban {
		o.Repeat, o.Err = e.kept.add(room, *p.Ban, p.At)
	} else {
		o.Repeat = !e.kept.lift(room, p.Ban.ID, p.At)
	}
	return o
}

func (k *kept) add(room string, b bans.Ban, now int64) (repeat bool, err error) {
	l := k.rooms[room]
	if l == nil {
		l = &bans.List{}
	}
	before, on := l.Of(b.Who)
	if on && before.ID == b.ID && !before.Over(now) {
		return true, nil
	}
	if !on && k.all > 0 && k.count >= k.all {
		if k.expire(now); k.count >= k.all {
			return false, bans.ErrFull
		}
	}
	had := l.Len()
	if err = l.Add(b, now, k.each); err == nil {
		k.rooms[room] = l
	}
	k.count += l.Len() - had // also what made room in vain
	return false, err
}

func (k *kept) lift(room, id string, now int64) bool {
	l := k.rooms[room]
	if l == nil {
		return false
	}
	b, on := l.Lift(id)
	if on {
		k.count--
	}
	if l.Len() == 0 {
		delete(k.rooms, room)
	}
	return on && !b.Over(now)
}

// expire drops what is over at now from all lists.
func (k *kept) expire(now int64) {
	k.count = 0
	for room, l := range k.rooms {
		l.Expire(now)
		if k.count += l.Len(); l.Len() == 0 {
			delete(k.rooms, room)
		}
	}
}
