package protocol

import "encoding/json"

// Command is what a client may send, docs/protocol.md §3: *Join, *Leave,
// *Publish, *Update, *Signal, *Members, *History or *Ping.
type Command interface {
	// RequestID is the id that the answer echoes; 0: the client wants none.
	RequestID() uint64
	// RoomName is the room it is about; empty for Ping.
	RoomName() string
	// AppendJSON appends the command's frame.
	AppendJSON(b []byte) []byte
}

// Request is what commands have in common.
type Request struct {
	ID   uint64 `json:"id,omitempty"`   // 1 to 2^53-1; 0: none
	Room string `json:"room,omitempty"` // a room name, see ValidRoom
}

// RequestID is the id that the answer echoes; 0: the client wants none.
func (r *Request) RequestID() uint64 { return r.ID }

// RoomName is the room that the command is about.
func (r *Request) RoomName() string { return r.Room }

// Position is a place in a room's count of events.
type Position struct {
	Epoch  string `json:"epoch"`
	Offset uint64 `json:"offset"`
}

// Join asks to enter a room. The answer is Joined, or Error room_full,
// forbidden, banned or unavailable. Joining twice answers with a fresh
// snapshot and tells nobody.
//
//	{"type":"join","id":1,"room":"lobby","data":{"mood":"fine"},"history":20}
type Join struct {
	Request
	Data    json.RawMessage `json:"data,omitempty"`    // any JSON up to MaxDataBytes; nil: that of the connection
	History int             `json:"history,omitempty"` // 0 to 100 newest messages wanted
	Since   *Position       `json:"since,omitempty"`   // messages after it wanted; nil: none
	Observe bool            `json:"observe,omitempty"` // watch, without being a member
}

// Leave asks to leave a room. The answer is OK; the member sees its own leave.
//
//	{"type":"leave","id":2,"room":"lobby"}
type Leave struct{ Request }

// Publish sends a message to a room. The answer is OK with offset, epoch and
// message. A repeat of Key by the same user within the room's history answers
// the first one's and tells nobody again.
//
//	{"type":"publish","id":3,"room":"lobby","data":{"text":"hi"},"key":"a1"}
type Publish struct {
	Request
	Data    json.RawMessage `json:"data"`              // any JSON
	Key     string          `json:"key,omitempty"`     // 1 to 64 bytes; empty: none
	Headers json.RawMessage `json:"headers,omitempty"` // an object of strings, see ValidHeaders; nil: none
}

// Update changes the member's own data. The answer is OK with offset.
//
//	{"type":"update","id":4,"room":"lobby","data":{"mood":"hungry"}}
type Update struct {
	Request
	Data json.RawMessage `json:"data"` // any JSON up to MaxDataBytes
}

// Signal passes something on that is neither numbered nor kept, such as
// typing. Dropped first under pressure. The answer is OK.
//
//	{"type":"signal","id":5,"room":"lobby","data":{"typing":true}}
type Signal struct {
	Request
	Data json.RawMessage `json:"data"` // any JSON up to MaxSignalBytes
}

// Members asks for a page of the member list. The answer is MemberList.
//
//	{"type":"members","id":6,"room":"lobby","limit":100,"cursor":"17"}
type Members struct {
	Request
	Limit  int    `json:"limit,omitempty"`  // 1 to 1000; 0: DefaultMembersLimit
	Cursor string `json:"cursor,omitempty"` // MemberList.Next of the page before; empty: from the start
}

// History asks for kept messages. The answer is Messages.
//
//	{"type":"history","id":7,"room":"lobby","before":41,"limit":50}
type History struct {
	Request
	Before uint64 `json:"before,omitempty"` // messages below this offset; 0: the newest
	Limit  int    `json:"limit,omitempty"`  // 1 to 100; 0: DefaultHistoryLimit
}

// Ping asks for a Pong. It proves that the client runs, and is no activity.
//
//	{"type":"ping","id":8}
type Ping struct{ Request }

// Activity reports whether a command counts as activity of the person behind
// the session: join, leave, publish, update and signal do; questions and pings
// are made by programs by themselves.
func Activity(c Command) bool {
	switch c.(type) {
	case *Join, *Leave, *Publish, *Update, *Signal:
		return true
	}
	return false
}
