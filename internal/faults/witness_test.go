//go:build faults

package faults

import (
	"context"
	"hash/fnv"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/client"
	"rollcall/internal/faults/referee"
	"rollcall/protocol"
)

// witness is the referee's client: it is in rooms, says nothing, and records
// everything that it is told.
type witness struct {
	run  *run
	name string

	conn    *client.Conn
	session string
	ended   chan struct{}
	end     error // why, once it has ended

	mu    sync.Mutex
	told  map[string]*watched // by room
	ready chan struct{}       // closed when all its joins are answered
	owed  int                 // joins not answered yet
}

// watched is a room as far as a witness was told of it.
type watched struct {
	epoch string
	mode  protocol.Mode
	last  uint64
	sums  map[uint64]uint64 // by offset: of the hashes of all events of this epoch up to it
	from  uint64
}

// watch connects a witness and has it join rooms.
func (r *run) watch(name string, rooms []string) *witness {
	r.t.Helper()
	w := &witness{run: r, name: name}
	w.connect(rooms)
	r.witnesses = append(r.witnesses, w)
	return w
}

// connect opens a new connection, and waits until it is in the rooms.
func (w *witness) connect(rooms []string) {
	t := w.run.t
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := client.Connect(ctx, "ws://"+w.run.server.address+"/ws", client.Options{User: "witness-" + w.name, MaxBytes: 64 << 20})
	require.NoError(t, err)
	t.Cleanup(conn.Abort)
	first, err := conn.Read()
	require.NoError(t, err)
	m, err := protocol.DecodeMessage(first)
	require.NoError(t, err)
	w.conn, w.session, w.ended = conn, m.(*protocol.Welcome).Session, make(chan struct{})
	w.mu.Lock()
	w.told = map[string]*watched{}
	w.mu.Unlock()
	go w.read(conn, w.ended)
	w.join(rooms)
}

// join joins rooms and waits for the answers.
func (w *witness) join(rooms []string) {
	w.run.t.Helper()
	w.mu.Lock()
	ready := make(chan struct{})
	w.owed, w.ready = len(rooms), ready
	w.mu.Unlock()
	for _, room := range rooms {
		require.NoError(w.run.t, w.conn.Write((&protocol.Join{Request: protocol.Request{ID: 1, Room: room}}).AppendJSON(nil)))
	}
	select {
	case <-ready:
	case <-w.ended:
		w.cut()
	case <-time.After(patience):
		w.run.t.Fatalf("witness %s: no answer to its joins", w.name)
	}
}

// cut fails the run of a witness whose connection ended.
func (w *witness) cut() {
	w.run.t.Helper()
	w.run.t.Fatalf("witness %s was cut: %v\nThe server counts:\n%s", w.name, w.end, w.run.server.says())
}

func (w *witness) read(conn *client.Conn, ended chan<- struct{}) {
	defer close(ended)
	for {
		b, err := conn.Read()
		if err != nil {
			w.end = err
			w.run.record(w.name, &referee.Cut{})
			return
		}
		m, err := protocol.DecodeMessage(b)
		if err != nil || m == nil {
			continue
		}
		w.run.record(w.name, &referee.Told{Message: m})
		w.mu.Lock()
		w.take(m, b)
		w.mu.Unlock()
	}
}

// take follows how far the witness was told. w.mu is held.
func (w *witness) take(m protocol.Message, b []byte) {
	next := func(room string, offset uint64) {
		if r := w.told[room]; r != nil && offset > r.last {
			h := fnv.New64a()
			_, _ = h.Write(b)
			r.sums[offset] = r.sums[r.last] + h.Sum64()
			r.last = offset
		}
	}
	switch m := m.(type) {
	case *protocol.Joined:
		if r := w.told[m.Room]; r == nil || r.epoch != m.Epoch || r.last < m.Offset {
			w.told[m.Room] = &watched{m.Epoch, m.Mode, m.Offset, map[uint64]uint64{m.Offset: 0}, m.Offset}
		}
		w.told[m.Room].mode = m.Mode
		if w.owed--; w.owed == 0 {
			close(w.ready)
		}
	case *protocol.MemberJoined:
		next(m.Room, m.Offset)
	case *protocol.MemberLeft:
		next(m.Room, m.Offset)
	case *protocol.MemberUpdated:
		next(m.Room, m.Offset)
	case *protocol.MessagePublished:
		next(m.Room, m.Offset)
	case *protocol.Presence:
		next(m.Room, m.Offset)
	case *protocol.Occupancy:
		w.advance(m.Room, m.Offset)
	case *protocol.ModeChanged:
		w.advance(m.Room, m.Offset)
		if r := w.told[m.Room]; r != nil {
			if r.mode == protocol.ModeCount { // no list any more: it asks for one
				_ = w.conn.Write((&protocol.Join{Request: protocol.Request{Room: m.Room}}).AppendJSON(nil))
			}
			r.mode = m.Mode
		}
	}
}

// advance notes an offset that came without an event to hash.
func (w *witness) advance(room string, offset uint64) {
	if r := w.told[room]; r != nil && offset > r.last {
		r.sums[offset] = r.sums[r.last]
		r.last = offset
	}
}

// at is how far it was told of a room.
func (w *witness) at(room string) (epoch string, offset uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := w.told[room]; r != nil {
		return r.epoch, r.last
	}
	return "", 0
}

// digest is the sum of the hashes of a room's events from one offset to
// another; ok is false where the witness was not told of both.
func (w *witness) digest(room, epoch string, from, to uint64) (sum uint64, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.told[room]
	if r == nil || r.epoch != epoch {
		return 0, false
	}
	a, known := r.sums[from]
	b, also := r.sums[to]
	return b - a, known && also
}
