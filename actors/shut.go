package actors

import (
	"rollcall/engine"
	"rollcall/protocol"
)

// shut is the order of a room that its engine would not open.
type shut struct{}

var _ engine.Room = shut{}

func (shut) Propose(p *engine.Proposal) (engine.Outcome, bool) {
	return engine.Outcome{Of: p, Event: engine.Event{Proposal: p}, Err: engine.ErrClosed}, true
}

func (shut) Position() protocol.Position { return protocol.Position{} }

func (shut) Since(protocol.Position) ([]*protocol.MessagePublished, bool) { return nil, false }

func (shut) Newest(int) []*protocol.MessagePublished { return nil }

func (shut) Before(uint64, int) ([]*protocol.MessagePublished, bool) { return nil, false }

func (shut) Close() {}
