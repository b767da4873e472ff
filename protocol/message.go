package protocol

import "encoding/json"

// Message is what a server sends: an answer, a room's event, Welcome or Bye.
type Message interface {
	// AppendJSON appends the message as one JSON object.
	AppendJSON(b []byte) []byte
}

// State is the server's judgement of a member.
type State string

// The states, docs/protocol.md §4.
const (
	StateActive       State = "active"
	StateIdle         State = "idle"         // no activity for session.idle_after
	StateLost         State = "lost"         // its connection broke and may still be resumed
	StateUnresponsive State = "unresponsive" // it promised pings and sends none
)

// Member is one session present in one room.
type Member struct {
	Session string          `json:"session"`
	User    string          `json:"user"`
	Name    string          `json:"name"`
	State   State           `json:"state"`
	Data    json.RawMessage `json:"data,omitempty"` // the client's own; nil: none
	Since   int64           `json:"since"`          // Unix milliseconds of its join
}

// Count is the size of a room.
type Count struct {
	Sessions  int `json:"sessions"`
	Users     int `json:"users"`
	Observers int `json:"observers,omitempty"` // sessions that watch without being members
}

// Mode says how a room tells its members of presence, docs/protocol.md §7.
type Mode string

// The modes, docs/protocol.md §7.
const (
	ModeFull  Mode = "full"  // every change is an event of its own, sent at once
	ModeBatch Mode = "batch" // changes are collected and sent as one Presence
	ModeCount Mode = "count" // no member lists, Occupancy instead of changes
)

// Welcome is the first frame of a connection.
type Welcome struct {
	Session        string `json:"session"`
	User           string `json:"user"`
	Name           string `json:"name"`
	Resume         string `json:"resume,omitempty"` // empty: this session can't be resumed
	Resumed        bool   `json:"resumed"`
	HeartbeatMS    int64  `json:"heartbeat_ms"`     // 0: no heartbeats
	IdleMS         int64  `json:"idle_ms"`          // 0: never idle
	DisconnectMS   int64  `json:"disconnect_ms"`    // 0: never ended for being idle
	ResumeWindowMS int64  `json:"resume_window_ms"` // 0: no resume
	MaxBytes       int    `json:"max_bytes"`        // of one message from the client
	Server         string `json:"server"`
	At             int64  `json:"at"`
}

// OK answers leave, publish, update and signal.
type OK struct {
	ID      uint64 `json:"id"`
	Offset  uint64 `json:"offset,omitempty"`  // of what was numbered
	Epoch   string `json:"epoch,omitempty"`   // publish only
	Message string `json:"message,omitempty"` // publish only: the message's id
}

// Joined answers a join. Members is the truth at Offset, the joiner included;
// the room's next event has Offset+1, or Offset as its prev.
type Joined struct {
	ID        uint64             `json:"id,omitempty"`
	Room      string             `json:"room"`
	Epoch     string             `json:"epoch"`
	Offset    uint64             `json:"offset"`
	Session   string             `json:"session"`
	Mode      Mode               `json:"mode"`
	Observer  bool               `json:"observer,omitempty"` // the joiner watches, and is no member
	Count     Count              `json:"count"`
	Members   []Member           `json:"members"`   // none in ModeCount
	Recovered bool               `json:"recovered"` // nothing after since is missing from Messages
	Messages  []MessagePublished `json:"messages"`  // oldest first

	// Roster is where Members are from, so that those who join together share
	// their JSON; nil: Members are this one's own.
	Roster *Roster `json:"-"`
}

// MemberList answers members: a page, in order of joining.
type MemberList struct {
	ID      uint64   `json:"id,omitempty"`
	Room    string   `json:"room"`
	Members []Member `json:"members"`
	Next    string   `json:"next,omitempty"` // cursor of the next page; empty: this was the last
	Count   Count    `json:"count"`
}

// Messages answers history, oldest first.
type Messages struct {
	ID       uint64             `json:"id,omitempty"`
	Room     string             `json:"room"`
	Messages []MessagePublished `json:"messages"`
	More     bool               `json:"more"` // older ones are kept
}

// Pong answers ping.
type Pong struct {
	ID uint64 `json:"id,omitempty"`
	At int64  `json:"at"`
}

// Stamp is what a room's numbered events have in common.
type Stamp struct {
	Room   string `json:"room,omitempty"` // empty: within a Presence, which has it
	Offset uint64 `json:"offset"`
	Prev   uint64 `json:"prev,omitempty"` // offset of the event before; 0: Offset-1
	At     int64  `json:"at"`
}

// MemberJoined is the event join.
type MemberJoined struct {
	Stamp
	Member Member `json:"member"`
	First  bool   `json:"first"` // the user's first session in the room
}

// MemberLeft is the event leave.
type MemberLeft struct {
	Stamp
	Session string    `json:"session"`
	User    string    `json:"user"`
	Reason  Reason    `json:"reason"`
	Last    bool      `json:"last"`           // the user has no session left in the room
	Code    CloseCode `json:"code,omitempty"` // the close code seen or sent; 0: none
}

// MemberUpdated is the event update: what changed of a member.
type MemberUpdated struct {
	Stamp
	Session string          `json:"session"`
	User    string          `json:"user"`
	State   State           `json:"state,omitempty"` // empty: as it was
	Data    json.RawMessage `json:"data,omitempty"`  // nil: as it was
}

// MessagePublished is the event message.
type MessagePublished struct {
	Stamp
	Message string          `json:"message"`           // its id
	Session string          `json:"session,omitempty"` // empty: published over HTTP
	User    string          `json:"user"`
	Name    string          `json:"name"`
	Data    json.RawMessage `json:"data"`
	Key     string          `json:"key,omitempty"`
	Headers json.RawMessage `json:"headers,omitempty"` // an object of strings; nil: none
}

// Presence is the event presence: the joins, leaves and updates of the offsets
// From to Offset, in a room of ModeBatch. Each list is in the order of its
// offsets. A session that is in Joins and in Leaves joined first; one that left
// and joined again is told in two Presences, and one in Leaves is not in
// Updates. So Joins first, then the others lead to the truth at Offset. Several
// updates of a session are one, the last one's offset with all that changed;
// those of a session that is in Joins may be part of its join.
type Presence struct {
	Room    string          `json:"room"`
	From    uint64          `json:"from"`           // first offset covered
	Offset  uint64          `json:"offset"`         // last offset covered
	Prev    uint64          `json:"prev,omitempty"` // offset of the event before; 0: From-1
	At      int64           `json:"at"`
	Joins   []MemberJoined  `json:"joins"`   // without their room
	Leaves  []MemberLeft    `json:"leaves"`  // likewise
	Updates []MemberUpdated `json:"updates"` // likewise
	Count   Count           `json:"count"`   // at Offset
}

// Occupancy is the size of a room of ModeCount, at most once a second.
type Occupancy struct {
	Room   string `json:"room"`
	Offset uint64 `json:"offset"` // what it is true at
	At     int64  `json:"at"`
	Count  Count  `json:"count"`
}

// ModeChanged says that a room tells of presence in another way from now on.
// All changes up to Offset were told in the mode before; who comes out of
// ModeCount has no member list until it asks for one.
type ModeChanged struct {
	Room   string `json:"room"`
	Mode   Mode   `json:"mode"`
	Offset uint64 `json:"offset"`
}

// Signaled is the event signal: not numbered, not kept.
type Signaled struct {
	Room    string          `json:"room"`
	Session string          `json:"session"`
	User    string          `json:"user"`
	Data    json.RawMessage `json:"data"`
}

// Bye is the last frame before the server closes a connection.
//
//	{"type":"bye","code":4500,"reason":"idle","reconnect":false,"after_ms":0}
type Bye struct {
	Code      CloseCode `json:"code"`
	Reason    string    `json:"reason"`
	Reconnect bool      `json:"reconnect"` // the client may come back by itself
	AfterMS   int64     `json:"after_ms"`  // not before this, plus its own jitter
}
