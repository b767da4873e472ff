// Package engine is the seam between a room and whatever orders its events:
// the room proposes, the engine orders, the room applies. A room never numbers
// an event itself. engine/local orders within the process; others fit behind
// the same interface and pass the same suite, engine/conformance.
package engine

import (
	"encoding/json"
	"errors"

	"rollcall/bans"
	"rollcall/protocol"
)

// Kind of a proposal and of the event that comes of it.
type Kind uint8

// The kinds. A Ban and an Unban are ordered like the others, so that all nodes
// agree on them, but take no place in the count that members see.
const (
	Join Kind = iota + 1
	Leave
	Update
	Message
	Ban
	Unban
)

// Counted reports whether events of the kind have an offset.
func (k Kind) Counted() bool { return k < Ban }

func (k Kind) String() string {
	names := [...]string{Join: "join", Leave: "leave", Update: "update", Message: "message", Ban: "ban", Unban: "unban"}
	if k < Join || int(k) >= len(names) {
		return "unknown"
	}
	return names[k]
}

// Errors of an outcome.
var (
	// ErrFenced refuses a proposal of a session that is not in the room: it
	// never joined, or its leave is in the order. Final.
	ErrFenced = errors.New("engine: the session is not in the room")
	// ErrUnavailable says that nothing can be ordered now. The same proposal,
	// with the same ID, may be tried again.
	ErrUnavailable = errors.New("engine: unavailable")
	// ErrClosed says that the room or the engine is closed.
	ErrClosed = errors.New("engine: closed")
	// ErrInvalid refuses a proposal of an unknown kind, or of no session or no
	// ban where there must be one: a mistake in the room. Final.
	ErrInvalid = errors.New("engine: invalid proposal")
)

// Proposal is what a room would like to happen. It is not changed after it was
// handed over.
type Proposal struct {
	Kind Kind
	Code protocol.CloseCode // Leave
	// ID makes a repeat harmless. A Message is known by it for as long as the
	// history keeps it, an Update until the session's next; empty: each is a new
	// one. A Join and a Leave are known by their session, a Ban by its own ID
	// for as long as it is in force.
	ID      string
	Session string // empty only in a Message from outside the room, a Ban and an Unban
	User    string
	Name    string          // Join, Message
	State   protocol.State  // Join; Update: empty for unchanged
	Data    json.RawMessage // Join, Message; Update: nil for unchanged
	Key     string          // Message: de-duplicates within the history; empty: none
	Headers json.RawMessage // Message: an object of strings; nil: none
	Outside bool            // Message: of a session that need not be in the room; it is not fenced
	Reason  protocol.Reason // Leave
	Ban     *bans.Ban       // Ban; Unban: only its ID counts
	At      int64           // Unix milliseconds; whether a ban is over is judged by it
}

// Event is a proposal that has its place in the room's order.
type Event struct {
	*Proposal
	Offset uint64 // grows with every event; need not be dense. Of a Ban and an Unban 0, and so is Prev
	Prev   uint64 // offset of the event before; of the first: the snapshot's at Open
}

// Stamp is the event's place as the wire tells it: prev only where the count
// is not dense.
func (e *Event) Stamp(room string) protocol.Stamp {
	s := protocol.Stamp{Room: room, Offset: e.Offset, At: e.At}
	if e.Prev != e.Offset-1 {
		s.Prev = e.Prev
	}
	return s
}

// Outcome is what became of a proposal.
type Outcome struct {
	// Of is the pointer that was handed to Propose, to know the request by;
	// nil: the event of another node's proposal.
	Of *Proposal
	// Event is what to apply. With Err it is only the Proposal. With Repeat its
	// Offset is the first one's, and of a Message the ID and At too.
	Event  Event
	Repeat bool  // the event was ordered before: apply nothing, answer as then. Also an Unban of what is not in force
	Err    error // ErrFenced, ErrUnavailable, ErrClosed or ErrInvalid; of a Ban also bans.ErrFull
}

// Snapshot is a room at a position.
type Snapshot struct {
	Position protocol.Position
	Members  []protocol.Member // in the order of their joins
	Bans     []bans.Ban        // in the order of their making; some may be over
}

// Sink takes what an engine settles outside of Propose: outcomes that took
// time, and events that other nodes proposed. Calls come in the room's order
// and never overlap; they must not block. An engine never calls it from within
// Propose.
type Sink interface {
	Settle(Outcome)
	// Reset tells the room to forget its state and start from s.
	Reset(s Snapshot)
}

// Room is one room's order. It is called from one goroutine. The slices it
// returns are the caller's; the messages are shared and never changed.
type Room interface {
	// Propose asks for p's place in the order. Where the engine can tell at
	// once, the outcome comes back and settled is true; else it goes to the
	// Sink. Every event is told exactly once, in order.
	Propose(p *Proposal) (o Outcome, settled bool)
	// Position is that of the last event; before the first, the snapshot's.
	Position() protocol.Position
	// Since returns the kept messages after p, oldest first. Recovered says
	// that none after p is missing. Where p is of another epoch or ahead of the
	// order it is false, and there are none.
	Since(p protocol.Position) (ms []*protocol.MessagePublished, recovered bool)
	// Newest returns the n newest kept messages, oldest first.
	Newest(n int) []*protocol.MessagePublished
	// Before returns the n newest kept messages below offset (0: above all),
	// oldest first, and whether older ones are kept. An n below 1 gives none.
	Before(offset uint64, n int) (ms []*protocol.MessagePublished, more bool)
	// Close ends the room's use of the engine: proposals from now on are
	// ErrClosed, the outcomes of those before may be lost. What is kept of the
	// room is the engine's to decide. Closing again does nothing.
	Close()
}

// Engine orders the events of rooms.
type Engine interface {
	// Open starts a room from its snapshot: of the epoch and the members that
	// it had, or of a new epoch and empty; with its bans either way, except where
	// the engine forgot all it knew. A room is open once at a time: while it is,
	// the error is ErrUnavailable. After Close it is ErrClosed.
	Open(room string, sink Sink) (Room, Snapshot, error)
	// Close ends the engine; proposals and Open are ErrClosed from now on.
	// Closing again does nothing.
	Close() error
}

// Published is the event of a Message as the wire tells it.
func (e *Event) Published(room string) *protocol.MessagePublished {
	return &protocol.MessagePublished{
		Stamp: e.Stamp(room), Message: e.ID, Session: e.Session, User: e.User, Name: e.Name, Data: e.Data, Key: e.Key,
		Headers: e.Headers,
	}
}
