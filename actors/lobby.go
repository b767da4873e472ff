package actors

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/asynkron/protoactor-go/actor"

	"rollcall/internal/logs"
	"rollcall/protocol"
	"rollcall/timeline"
)

// lobby finds or makes rooms by name, ends empty ones when they ask for it,
// and is where the tree of actors is stopped. Commands of members do not pass
// through it.
type lobby struct {
	sys     *System
	rooms   map[string]*entry
	props   *actor.Props
	next    *room // the one that props is about to make
	spawned uint64
	closing bool

	remnants []remnant // longest ago first
}

// entry is a room that lives.
type entry struct {
	pid    *actor.PID
	facts  *facts
	ending bool // told to stop: what comes now is for the room after it

	timeline *timeline.Log // the room's, until it has ended
}

func newLobby(sys *System) *lobby {
	l := &lobby{sys: sys, rooms: map[string]*entry{}}
	l.props = actor.PropsFromProducer(func() actor.Actor {
		return l.next
	},
		actor.WithMailbox(func() actor.Mailbox { return l.next.strand.mailbox() }),
		actor.WithSupervisor(&supervisor{sys: sys, kind: "session"}))
	return l
}

// Receive is the lobby's protocol.
func (l *lobby) Receive(ctx actor.Context) {
	defer explain()
	defer answerFailed(ctx.Message())
	switch m := ctx.Message().(type) {
	case *actor.Started:
		l.open(ctx, Server)
	case *listRooms:
		m.answer(l.list(m.prefix))
	case *fault:
		if m.room != "" {
			l.route(ctx, m)
		} else {
			m.do(l)
		}
	case routed:
		l.route(ctx, m)
	case *vacant:
		l.vacant(m)
	case *actor.Terminated:
		l.terminated(ctx, m.Who)
	case *actor.Stopping:
		l.closing = true
	case *actor.Stopped:
		close(l.sys.stopped)
	default:
		l.sys.log.Error(logs.Unexpected, logs.Fields{"actor": ctx.Self().Id, "message_type": fmt.Sprintf("%T", m)})
	}
}

// route passes m on to its room, which is made for who wants to enter it or to
// leave a message there.
func (l *lobby) route(ctx actor.Context, m routed) {
	e := l.rooms[m.roomName()]
	if e == nil {
		make := false
		switch m.(type) {
		case *enter, *outside, *post, *ban, *unban, *listBans:
			make = true
		}
		if l.trace(m) {
			return
		}
		if err := l.refusal(make); err != nil {
			refuse(m, err)
			return
		}
		e = l.open(ctx, m.roomName())
	}
	e.facts.inbox.put(m)
	if !e.ending {
		ctx.Send(e.pid, &knock{})
	}
}

func (l *lobby) refusal(make bool) *protocol.Error {
	switch {
	case l.closing:
		return &protocol.Error{Code: protocol.ErrUnavailable, Message: "the server is going away"}
	case !make:
		return errNoRoom
	case l.sys.o.Limits.Rooms > 0 && l.count() >= l.sys.o.Limits.Rooms:
		return &protocol.Error{Code: protocol.ErrUnavailable, Message: "the server has as many rooms as it may have"}
	}
	return nil
}

// refuse answers a message that no room takes.
func refuse(m routed, err *protocol.Error) {
	if q, ok := m.(question); ok {
		q.refuse(err)
	}
}

// answerFailed answers a message that the lobby panicked over. Deferred.
func answerFailed(m any) {
	p := recover()
	if p == nil {
		return
	}
	failed := withStack(p)
	defer panic(failed)
	defer func() { _ = recover() }() // the first panic is the one to tell
	if m, ok := m.(routed); ok {
		refuse(m, &protocol.Error{Code: protocol.ErrInternal, Message: "the server failed; try again"})
	}
}

// open makes a room. Its actor is named after it and numbered: the name of
// one that is still ending is not free yet.
func (l *lobby) open(ctx actor.Context, name string) *entry {
	e := &entry{facts: &facts{name: name}, timeline: l.inherit(name)}
	l.next = newRoom(l.sys, e.facts)
	l.next.timeline = e.timeline
	number := l.spawned
	l.spawned++
	pid, err := ctx.SpawnNamed(l.props, url.PathEscape(name)+"."+strconv.FormatUint(number, 36))
	l.next = nil
	if err != nil {
		panic(fmt.Errorf("spawn room: %w", err))
	}
	e.pid = pid
	l.rooms[name] = e
	l.sys.stats.Rooms.Store(int64(l.count()))
	return e
}

// count is how many rooms there are, besides the server's own.
func (l *lobby) count() int {
	if l.rooms[Server] != nil {
		return len(l.rooms) - 1
	}
	return len(l.rooms)
}

// vacant ends an empty room, unless somebody is on the way to it. What comes
// until it has ended waits for the room after it.
func (l *lobby) vacant(m *vacant) {
	e := l.rooms[m.name]
	if e == nil || e.pid.Id != m.room.Id || e.ending || !e.facts.inbox.quiet(m.taken) {
		return
	}
	e.ending = true
	l.sys.root.Stop(e.pid)
}

// terminated hears of the end of a room. What it did not take up, because it
// failed or because it was told to stop, goes to a new one.
func (l *lobby) terminated(ctx actor.Context, who *actor.PID) {
	name := roomOf(who)
	e := l.rooms[name]
	if e == nil || e.pid.Id != who.Id {
		return
	}
	delete(l.rooms, name)
	l.sys.stats.Rooms.Store(int64(l.count()))
	if !e.ending && !l.closing {
		l.keep(name, e.timeline)
	}
	if name == Server && !l.closing {
		l.open(ctx, Server)
	}
	for _, m := range e.facts.inbox.takeAll() {
		l.route(ctx, m)
	}
}

// roomOf reads the room's name from its actor's: lobby/escaped name.number.
func roomOf(pid *actor.PID) string {
	name, err := url.PathUnescape(ownName(pid))
	if err != nil {
		return ""
	}
	return name
}

// list returns the facts of the rooms whose names have a prefix.
func (l *lobby) list(prefix string) []*facts {
	fs := []*facts{}
	for name, e := range l.rooms {
		if strings.HasPrefix(name, prefix) && name != Server {
			fs = append(fs, e.facts)
		}
	}
	return fs
}
