package actors

import (
	"context"
	"encoding/json"
	"errors"
	"sort"

	"github.com/asynkron/protoactor-go/actor"

	"rollcall/engine"
	"rollcall/internal/logs"
	"rollcall/protocol"
	"rollcall/timeline"
)

// What HTTP asks of the actors. Each question is a message with a channel for
// one answer; the asker waits for it as long as its context lasts.

var errNoRoom = &protocol.Error{Code: protocol.ErrBadRequest, Message: "there is no such room"}

// Errors of the questions, besides *protocol.Error and the context's.
var (
	ErrNoRoom    = errors.New("there is no such room")
	ErrNoSession = errors.New("there is no such session")
)

// question is a routed message that somebody waits for.
type question interface {
	routed
	refuse(*protocol.Error)
}

// inquiry is what questions have in common: the first answer counts.
type inquiry[T any] struct {
	room  string
	reply chan reply[T] // has room for one
}

type reply[T any] struct {
	value T
	err   error
}

func about[T any](room string) inquiry[T] { return inquiry[T]{room, make(chan reply[T], 1)} }

func (q *inquiry[T]) roomName() string { return q.room }

func (q *inquiry[T]) answer(v T) { q.send(reply[T]{value: v}) }

func (q *inquiry[T]) refuse(err *protocol.Error) {
	if err == errNoRoom {
		q.fail(ErrNoRoom)
		return
	}
	q.fail(err)
}

func (q *inquiry[T]) fail(err error) { q.send(reply[T]{err: err}) }

func (q *inquiry[T]) send(r reply[T]) {
	select {
	case q.reply <- r:
	default:
	}
}

// wait takes the answer.
func (q *inquiry[T]) wait(ctx context.Context) (T, error) {
	select {
	case r := <-q.reply:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

type describe struct{ inquiry[*RoomInfo] }

type listMembers struct {
	inquiry[protocol.MemberList]
	cursor string
	limit  int
}

type readHistory struct {
	inquiry[protocol.Messages]
	before uint64
	limit  int
}

type post struct {
	inquiry[Posted]
	Post
}

type kick struct {
	inquiry[bool]
	session string
}

type listRooms struct {
	inquiry[[]*facts]
	prefix string
}

// RoomInfo is a room as HTTP tells it.
type RoomInfo struct {
	Room   string         `json:"room"`
	Count  protocol.Count `json:"count"`
	Mode   protocol.Mode  `json:"mode"`
	Epoch  string         `json:"epoch"`
	Offset uint64         `json:"offset"`
}

func (f *facts) info() *RoomInfo {
	i := &RoomInfo{
		Room: f.name, Mode: protocol.ModeFull, Offset: f.offset.Load(),
		Count: protocol.Count{Sessions: int(f.sessions.Load()), Users: int(f.users.Load()), Observers: int(f.observers.Load())},
	}
	if e := f.epoch.Load(); e != nil {
		i.Epoch = *e
	}
	if m := f.mode.Load(); m != nil {
		i.Mode = *m
	}
	return i
}

// Rooms returns up to limit rooms whose names begin with prefix and come after
// cursor, by name, and the cursor to continue with; empty: these were the last.
func (s *System) Rooms(ctx context.Context, prefix, cursor string, limit int) (rooms []*RoomInfo, next string, err error) {
	m := &listRooms{about[[]*facts](""), prefix}
	s.toLobby(m)
	fs, err := m.wait(ctx)
	if err != nil {
		return nil, "", err
	}
	sort.Slice(fs, func(i, j int) bool { return fs[i].name < fs[j].name })
	from := sort.Search(len(fs), func(i int) bool { return fs[i].name > cursor })
	fs = fs[from:]
	if len(fs) > limit {
		fs = fs[:limit]
		next = fs[limit-1].name
	}
	rooms = make([]*RoomInfo, len(fs))
	for i, f := range fs {
		rooms[i] = f.info()
	}
	return rooms, next, nil
}

// Room describes a room, or returns ErrNoRoom.
func (s *System) Room(ctx context.Context, room string) (*RoomInfo, error) {
	m := &describe{about[*RoomInfo](room)}
	s.toLobby(m)
	return m.wait(ctx)
}

// Members returns a page of a room's members, in order of joining: those after
// the cursor, which is Next of the page before; empty: the first. The error may
// be ErrNoRoom, or a *protocol.Error where the cursor is none of the room's.
func (s *System) Members(ctx context.Context, room, cursor string, limit int) (protocol.MemberList, error) {
	m := &listMembers{about[protocol.MemberList](room), cursor, limit}
	s.toLobby(m)
	return m.wait(ctx)
}

// Messages returns the newest kept messages of a room below an offset (0:
// above all), or ErrNoRoom.
func (s *System) Messages(ctx context.Context, room string, before uint64, limit int) (protocol.Messages, error) {
	m := &readHistory{about[protocol.Messages](room), before, limit}
	s.toLobby(m)
	return m.wait(ctx)
}

// Post is a message from outside the room.
type Post struct {
	Room, User, Name, Key string
	Data                  json.RawMessage
	Headers               json.RawMessage // an object of strings; nil: none
}

// Posted is where it went.
type Posted struct {
	Message string `json:"message"`
	Offset  uint64 `json:"offset"`
	Epoch   string `json:"epoch"`
}

// Post publishes a message to a room, which is made if there is none, so that
// who comes within the linger time finds it. The error may be a
// *protocol.Error.
func (s *System) Post(ctx context.Context, p Post) (Posted, error) {
	m := &post{about[Posted](p.Room), p}
	s.toLobby(m)
	return m.wait(ctx)
}

func (r *room) post(ctx actor.Context, m *post) {
	r.propose(ctx, &engine.Proposal{
		Kind: engine.Message, ID: newMessageID(), User: m.User, Name: m.Name, Data: m.Data, Key: m.Key,
		Headers: m.Headers, At: unixMS(),
	}, ask{call: m})
}

// Kick takes a session out of a room, or returns ErrNoRoom or ErrNoSession.
func (s *System) Kick(ctx context.Context, room, session string) error {
	m := &kick{about[bool](room), session}
	s.toLobby(m)
	was, err := m.wait(ctx)
	if err == nil && !was {
		return ErrNoSession
	}
	return err
}

func (r *room) kick(ctx actor.Context, m *kick) bool {
	s := r.seats[m.session]
	if s == nil {
		return false
	}
	r.leave(ctx, &leave{visit: s.visit, reason: protocol.ReasonKicked})
	r.sys.log.Info(logs.Kicked, logs.Fields{"room": r.name, "session": m.session, "user": s.visit.client.user})
	return true
}

// Session tells what is known of a session, or returns ErrNoSession.
func (s *System) Session(id string) (SessionInfo, error) {
	c := s.clients.get(id)
	if c == nil {
		return SessionInfo{}, ErrNoSession
	}
	return c.info(), nil
}

// End ends a session everywhere, or returns ErrNoSession. The reason is the one
// that goes with the code, and kicked where none does. Text is told in bye;
// empty: the reason.
func (s *System) End(id string, code protocol.CloseCode, text string) error {
	c := s.clients.get(id)
	if c == nil {
		return ErrNoSession
	}
	s.end(c, code, text)
	return nil
}

func (s *System) end(c *Client, code protocol.CloseCode, text string) {
	reason := code.Reason()
	if reason == "" {
		reason = protocol.ReasonKicked
	}
	c.end(reason, code, text, 0, timeline.API)
	s.log.Info(logs.Ended, logs.Fields{"session": c.id, "user": c.user, "code": code})
}
