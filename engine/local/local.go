// Package local is the in-process engine: a counter, a history and a fence per
// room. No goroutine, no port, no disk. Its state ends with the room: a room
// that is opened again starts a new epoch, and only its bans are the old ones.
package local

import (
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"rollcall/bans"
	"rollcall/engine"
	"rollcall/history"
	"rollcall/protocol"
)

// Options bound what is kept of each room.
type Options struct {
	Messages int // newest messages; 0: none
	Bytes    int // about their size; 0: none
	Bans     int // in force at one time; 0: no bound
	AllBans  int // likewise, of all rooms together, closed ones included
}

// Engine is the in-process engine.
type Engine struct {
	o      Options
	closed atomic.Bool // read by every room

	mu   sync.Mutex
	open map[string]struct{}
	kept kept
}

// New returns an engine that keeps so much of each room.
func New(o Options) *Engine {
	return &Engine{o: o, open: map[string]struct{}{}, kept: kept{each: o.Bans, all: o.AllBans, rooms: map[string]*bans.List{}}}
}

// Open starts a room in a new epoch. The sink is never called: everything is
// settled within Propose.
func (e *Engine) Open(name string, _ engine.Sink) (engine.Room, engine.Snapshot, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed.Load() {
		return nil, engine.Snapshot{}, engine.ErrClosed
	}
	if _, twice := e.open[name]; twice {
		return nil, engine.Snapshot{}, engine.ErrUnavailable
	}
	e.open[name] = struct{}{}
	r := &room{
		engine: e, name: name, epoch: strings.ToLower(rand.Text()[:10]),
		log: history.New(e.o.Messages, e.o.Bytes), inside: map[string]visit{},
	}
	return r, engine.Snapshot{Position: r.Position(), Bans: e.kept.of(name)}, nil
}

// Close refuses further rooms and proposals.
func (e *Engine) Close() error {
	e.closed.Store(true)
	return nil
}

// room implements engine.Room.
type room struct {
	engine *Engine
	name   string
	epoch  string
	offset uint64
	log    *history.Log
	inside map[string]visit // the fence: sessions whose join has no leave yet
	peak   int              // most that inside has held since it was made
	closed bool
}

// visit is what is known of a session inside: to know a repeat by.
type visit struct {
	joined uint64  // offset
	newest *update // nil: none to know again
}

// update is what is known of a session's newest update.
type update struct {
	id     string // not empty
	offset uint64
}

func (r *room) Position() protocol.Position {
	return protocol.Position{Epoch: r.epoch, Offset: r.offset}
}

func (r *room) Propose(p *engine.Proposal) (engine.Outcome, bool) {
	return r.settle(p), true
}

func (r *room) settle(p *engine.Proposal) engine.Outcome {
	if r.closed || r.engine.closed.Load() {
		return refused(p, engine.ErrClosed)
	}
	switch p.Kind {
	case engine.Ban, engine.Unban:
		return r.engine.moderate(r.name, p)
	case engine.Join, engine.Leave, engine.Update:
		if p.Session == "" {
			return refused(p, engine.ErrInvalid)
		}
	}
	v, inside := r.inside[p.Session]
	switch p.Kind {
	case engine.Join:
		if inside {
			return repeat(p, p, v.joined)
		}
		o := r.next(p)
		r.enter(p.Session, visit{joined: r.offset})
		return o
	case engine.Leave:
		if !inside {
			return refused(p, engine.ErrFenced)
		}
		r.exit(p.Session)
		return r.next(p)
	case engine.Update:
		if !inside {
			return refused(p, engine.ErrFenced)
		}
		if p.ID != "" && v.newest != nil && p.ID == v.newest.id {
			return repeat(p, p, v.newest.offset)
		}
		o := r.next(p)
		v.newest = nil
		if p.ID != "" {
			v.newest = &update{p.ID, r.offset}
		}
		r.inside[p.Session] = v
		return o
	case engine.Message:
		if !inside && p.Session != "" && !p.Outside {
			return refused(p, engine.ErrFenced)
		}
		if m := r.published(p); m != nil {
			first := *p
			first.ID, first.At = m.Message, m.At
			return repeat(p, &first, m.Offset)
		}
		o := r.next(p)
		r.log.Append(o.Event.Published(r.name))
		return o
	}
	return refused(p, engine.ErrInvalid)
}

func (r *room) enter(session string, v visit) {
	r.inside[session] = v
	r.peak = max(r.peak, len(r.inside))
}

// exit gives the memory of a fence that has been large back.
func (r *room) exit(session string) {
	delete(r.inside, session)
	if r.peak > 64 && r.peak > 4*len(r.inside) {
		fitted := make(map[string]visit, len(r.inside))
		maps.Copy(fitted, r.inside)
		r.inside, r.peak = fitted, len(fitted)
	}
}

// published finds the message that p repeats, by id or by key.
func (r *room) published(p *engine.Proposal) *history.Message {
	if m := r.log.ByID(p.ID); m != nil {
		return m
	}
	if p.Key == "" {
		return nil
	}
	return r.log.ByKey(p.User, p.Key)
}

func (r *room) next(p *engine.Proposal) engine.Outcome {
	r.offset++
	return engine.Outcome{Of: p, Event: engine.Event{Proposal: p, Offset: r.offset, Prev: r.offset - 1}}
}

func repeat(of, first *engine.Proposal, offset uint64) engine.Outcome {
	return engine.Outcome{Of: of, Event: engine.Event{Proposal: first, Offset: offset}, Repeat: true}
}

func refused(p *engine.Proposal, err error) engine.Outcome {
	return engine.Outcome{Of: p, Event: engine.Event{Proposal: p}, Err: err}
}

func (r *room) Since(p protocol.Position) ([]*protocol.MessagePublished, bool) {
	if p.Epoch != r.epoch || p.Offset > r.offset {
		return nil, false
	}
	ms, complete := r.log.Since(p.Offset)
	return slices.Clone(ms), complete
}

func (r *room) Newest(n int) []*protocol.MessagePublished { return slices.Clone(r.log.Newest(n)) }

func (r *room) Before(offset uint64, n int) ([]*protocol.MessagePublished, bool) {
	ms, more := r.log.Before(offset, n)
	return slices.Clone(ms), more
}

func (r *room) Close() {
	if r.closed {
		return
	}
	r.closed = true
	r.engine.mu.Lock()
	delete(r.engine.open, r.name)
	r.engine.mu.Unlock()
}
