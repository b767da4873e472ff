package client

import (
	"time"

	"rollcall/protocol"
)

// Event is something that happened to a Client, in order: a message of the
// server that answers no request of ours (*protocol.MemberJoined, MemberLeft,
// MemberUpdated, MessagePublished, Presence, Occupancy, ModeChanged, Signaled,
// Bye, and Error and Pong without an id), every *protocol.Joined, or one of
// *Connecting, *Online, *Offline and *Gap.
type Event any

// Connecting says that a reconnect begins.
type Connecting struct {
	Attempt int // from 1, since the client was online last
}

// Online says that a connection stands. The rooms are joined again after it,
// each with a *protocol.Joined, whose Messages are what was missed. Where
// Welcome.Resumed nobody there saw a leave.
type Online struct {
	Welcome *protocol.Welcome
}

// Offline says that a connection ended, or that connecting failed.
type Offline struct {
	Err   error         // a *CloseError, a *HandshakeError or what connecting failed with
	Bye   *protocol.Bye // what the server said before; nil: nothing
	Final bool          // the client ends with it
	Wait  time.Duration // the next attempt is made after it, unless Final
}

// Gap says that an event of a room is not the next one: some were missed. The
// client joins the room again; the *protocol.Joined has all that was missed, so
// no event of the room comes before it.
type Gap struct {
	Room      string
	Have, Got uint64 // the offset last seen, and the one that follows
}
