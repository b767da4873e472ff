package main

import (
	"encoding/json"
	"net/http"
	"sync"
)

// hub is the rooms and their members. F is what a library writes: a message is
// made into it once, and then shared by all who get it.
type hub[F any] struct {
	prepare func(text []byte) F
	options

	mu    sync.Mutex // taken before that of a room
	rooms map[string]*room[F]
}

func newHub[F any](o options, prepare func(text []byte) F) *hub[F] {
	return &hub[F]{prepare: prepare, options: o, rooms: map[string]*room[F]{}}
}

// room exists while somebody is in it. Its lock is held while something is told
// to all: everybody sees everything in the same order.
type room[F any] struct {
	mu      sync.Mutex
	members map[*member[F]]struct{}
}

// member is a connection, from the hub's side.
type member[F any] struct {
	hub  *hub[F]
	id   string
	name string // of its room
	out  *outbox[F]

	room *room[F]        // nil: it is in none. Only used by the connection's reader
	data json.RawMessage // guarded by the room
}

// newMember makes the member of a request: ?user=…&room=…. It has answered the
// request itself if there is none.
func (h *hub[F]) newMember(w http.ResponseWriter, r *http.Request) *member[F] {
	q := r.URL.Query()
	m := &member[F]{hub: h, id: q.Get("user"), name: q.Get("room"), out: newOutbox[F]()}
	if m.id == "" || m.name == "" || len(m.id) > 64 || len(m.name) > 64 {
		http.Error(w, "user and room are 1 to 64 bytes each", http.StatusBadRequest)
		return nil
	}
	return m
}

// join brings the member into its room: all others hear of it, and the member
// gets the list of all.
func (m *member[F]) join(data json.RawMessage) {
	if m.room != nil {
		return
	}
	h := m.hub
	h.mu.Lock()
	r := h.rooms[m.name]
	if r == nil {
		r = &room[F]{members: map[*member[F]]struct{}{}}
		h.rooms[m.name] = r
	}
	r.mu.Lock()
	h.mu.Unlock()
	defer r.mu.Unlock()
	m.room, m.data = r, data
	if !h.quiet {
		r.tell(h.encode(event{Type: "join", ID: m.id, Data: data}))
	}
	r.members[m] = struct{}{}
	list := members{Type: "members", Count: len(r.members)}
	if !h.quiet {
		list.Members = make([]person, 0, len(r.members))
		for o := range r.members {
			list.Members = append(list.Members, person{o.id, o.data})
		}
	}
	m.say(list)
}

// leave takes the member out of its room, and tells the others.
func (m *member[F]) leave() {
	h, r := m.hub, m.room
	if r == nil {
		return
	}
	m.room = nil
	h.mu.Lock()
	r.mu.Lock()
	delete(r.members, m)
	if len(r.members) == 0 {
		delete(h.rooms, m.name)
	}
	h.mu.Unlock()
	defer r.mu.Unlock()
	if !h.quiet {
		r.tell(h.encode(event{Type: "leave", ID: m.id}))
	}
}

// end is the end of the connection.
func (m *member[F]) end() {
	m.leave()
	m.out.close()
}

// receive does what the client says.
func (m *member[F]) receive(text []byte) {
	var c command
	if err := json.Unmarshal(text, &c); err != nil {
		m.say(event{Type: "error", Data: json.RawMessage(`"not JSON"`)})
		return
	}
	switch {
	case c.Type == "join":
		m.join(c.Data)
	case m.room == nil:
		m.say(event{Type: "error", Data: json.RawMessage(`"join first"`)})
	case c.Type == "publish":
		m.tell(event{Type: "message", ID: m.id, Data: c.Data})
	case c.Type == "update":
		m.room.mu.Lock()
		m.data = c.Data
		m.room.mu.Unlock()
		m.tell(event{Type: "update", ID: m.id, Data: c.Data})
	case c.Type == "leave":
		m.leave()
		m.say(event{Type: "left"})
	default:
		m.say(event{Type: "error", Data: json.RawMessage(`"unknown type"`)})
	}
}

// tell tells everybody in the member's room, the member too.
func (m *member[F]) tell(e event) {
	f := m.hub.encode(e)
	m.room.mu.Lock()
	defer m.room.mu.Unlock()
	m.room.tell(f)
}

// tell puts something into everybody's outbox. r.mu is held.
func (r *room[F]) tell(f F) {
	for m := range r.members {
		m.out.put(f)
	}
}

// say tells the member alone.
func (m *member[F]) say(v any) { m.out.put(m.hub.encode(v)) }

func (h *hub[F]) encode(v any) F {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // these types can be encoded: raw data has come through Unmarshal
	}
	return h.prepare(text)
}
