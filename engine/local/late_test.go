package local

import (
	"sync"

	"rollcall/engine"
	"rollcall/presence"
	"rollcall/protocol"
)

// stride is how far a late engine's offsets are apart.
const stride = 10

// lateEngine is all that an engine may be and the local one is not. Outcomes
// come through the Sink, from another goroutine; offsets have holes; now and
// then it is unavailable; it keeps its rooms when they are closed, and says
// from time to time where a room stands.
type lateEngine struct {
	inner *Engine

	mu     sync.Mutex
	rooms  map[string]*lateRoom
	open   map[string]bool
	closed bool
}

// lateRoom is the room that outlives its openings.
type lateRoom struct {
	name string

	mu      sync.Mutex
	inner   engine.Room
	present *presence.Room
}

// lateVisit is one opening of a lateRoom.
type lateVisit struct {
	*lateRoom
	engine *lateEngine
	sink   engine.Sink
	done   chan struct{} // closed when the sink was called for the last time

	mu    sync.Mutex
	queue []*engine.Proposal
	more  *sync.Cond
	ended bool
}

func (e *lateEngine) Open(name string, sink engine.Sink) (engine.Room, engine.Snapshot, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, engine.Snapshot{}, engine.ErrClosed
	}
	if e.open[name] {
		return nil, engine.Snapshot{}, engine.ErrUnavailable
	}
	r := e.rooms[name]
	if r == nil {
		inner, _, err := e.inner.Open(name, nil)
		if err != nil {
			return nil, engine.Snapshot{}, err
		}
		r = &lateRoom{name: name, inner: inner, present: presence.New()}
		e.rooms[name] = r
	}
	if e.open == nil {
		e.open = map[string]bool{}
	}
	e.open[name] = true
	v := &lateVisit{lateRoom: r, engine: e, sink: sink, done: make(chan struct{})}
	v.more = sync.NewCond(&v.mu)
	go v.work()
	return v, r.snapshot(), nil
}

func (e *lateEngine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	return e.inner.Close()
}

// Propose queues p; only that the room is closed is told at once.
func (v *lateVisit) Propose(p *engine.Proposal) (engine.Outcome, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ended {
		return engine.Outcome{Of: p, Event: engine.Event{Proposal: p}, Err: engine.ErrClosed}, true
	}
	v.queue = append(v.queue, p)
	v.more.Signal()
	return engine.Outcome{}, false
}

// work settles the queue in order, one after the other.
func (v *lateVisit) work() {
	defer close(v.done)
	for n := 1; ; n++ {
		v.mu.Lock()
		for len(v.queue) == 0 && !v.ended {
			v.more.Wait()
		}
		if len(v.queue) == 0 {
			v.mu.Unlock()
			return
		}
		p := v.queue[0]
		v.queue = v.queue[1:]
		v.mu.Unlock()

		if n%5 == 0 {
			v.sink.Settle(engine.Outcome{Of: p, Event: engine.Event{Proposal: p}, Err: engine.ErrUnavailable})
			continue
		}
		v.sink.Settle(v.order(p))
		if n%7 == 0 {
			v.sink.Reset(v.snapshot())
		}
	}
}

func (v *lateVisit) Close() {
	v.mu.Lock()
	again := v.ended
	v.ended = true
	v.more.Signal()
	v.mu.Unlock()
	if again {
		return
	}
	<-v.done
	v.engine.mu.Lock()
	delete(v.engine.open, v.name)
	v.engine.mu.Unlock()
}

// order asks the inner room and moves its offsets apart.
func (r *lateRoom) order(p *engine.Proposal) engine.Outcome {
	r.mu.Lock()
	defer r.mu.Unlock()
	o, _ := r.inner.Propose(p)
	o.Event.Offset *= stride
	o.Event.Prev *= stride
	if o.Err != nil || o.Repeat {
		return o
	}
	switch e := o.Event; e.Kind {
	case engine.Join:
		r.present.Join(protocol.Member{Session: e.Session, User: e.User, Name: e.Name, State: e.State, Data: e.Data, Since: e.At}, e.Offset)
	case engine.Leave:
		r.present.Leave(e.Session)
	case engine.Update:
		r.present.Update(e.Session, e.State, e.Data)
	}
	return o
}

func (r *lateRoom) snapshot() engine.Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.inner.(*room).engine
	e.mu.Lock()
	defer e.mu.Unlock()
	return engine.Snapshot{Position: r.position(), Members: r.present.Members(), Bans: e.kept.of(r.name)}
}

func (r *lateRoom) position() protocol.Position {
	p := r.inner.Position()
	p.Offset *= stride
	return p
}

func (r *lateRoom) Position() protocol.Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.position()
}

func (r *lateRoom) Since(p protocol.Position) ([]*protocol.MessagePublished, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.Offset > r.position().Offset {
		return nil, false
	}
	p.Offset /= stride
	ms, recovered := r.inner.Since(p)
	return spread(ms), recovered
}

func (r *lateRoom) Newest(n int) []*protocol.MessagePublished {
	r.mu.Lock()
	defer r.mu.Unlock()
	return spread(r.inner.Newest(n))
}

func (r *lateRoom) Before(offset uint64, n int) ([]*protocol.MessagePublished, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ms, more := r.inner.Before((offset+stride-1)/stride, n)
	return spread(ms), more
}

// spread copies messages with their offsets moved apart.
func spread(ms []*protocol.MessagePublished) []*protocol.MessagePublished {
	out := make([]*protocol.MessagePublished, len(ms))
	for i, m := range ms {
		c := *m
		c.Offset *= stride
		c.Prev = c.Offset - stride
		out[i] = &c
	}
	return out
}
