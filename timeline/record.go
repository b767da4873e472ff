// Package timeline keeps what happened to the people of a room, so that
// somebody can ask why they are shown as they are. It is plain data: no clock,
// no lock, no actor.
package timeline

import (
	"strings"

	"rollcall/protocol"
)

// Kind is what happened.
type Kind uint8

// The kinds. Detail and Since are empty and 0 where nothing is said of them.
const (
	Connected     Kind = iota + 1 // of Joined: Tell makes it, it is not on record
	Joined                        // Detail: the address it came from; Since: when it connected
	Idle                          // Detail: the rule's time
	Active                        // Since, Detail: when it fell idle before, and that rule's time
	Unresponsive                  // Detail: how often its page promised to ping
	Lost                          // the connection ended, and may come back; Detail: how it ended
	Held                          // likewise, closed by its client; Code
	Resumed                       // Detail: the new address; Since: when it was lost or held; 0: it moved from one connection to the other
	Ghost                         // Detail: what the audit found
	SessionFailed                 // Detail: the first line of the panic
	Left                          // Reason, Code, By; Detail: more of the cause; Since: last activity
	RoomOpened                    // of the room: Detail: its epoch
	RoomFailed                    // of the room; Detail: the first line of the panic
	RoomStopped                   // of the room: it failed too often
	RoomReset                     // of the room: it took over a snapshot of its engine
	kinds
)

var kindNames = [kinds]string{
	"", "connected", "joined", "idle", "active", "unresponsive", "lost", "held", "resumed", "ghost", "session_failed", "left",
	"room_opened", "room_failed", "room_stopped", "room_reset",
}

// String is the word that programs read.
func (k Kind) String() string {
	if k < kinds {
		return kindNames[k]
	}
	return ""
}

// State is the state of a member after it; empty: that is not what it tells.
func (k Kind) State() protocol.State {
	switch k {
	case Joined, Active, Resumed:
		return protocol.StateActive
	case Idle:
		return protocol.StateIdle
	case Unresponsive:
		return protocol.StateUnresponsive
	case Lost:
		return protocol.StateLost
	}
	return ""
}

// By is who ended a visit.
type By uint8

// Who can. Unknown stands for whoever usually does for that reason.
const (
	Unknown By = iota
	Client     // its client asked, or closed
	Network    // its connection
	Rule       // a rule of the server
	API        // a call of the API
	Server     // a fault of the server, or its end
	bys
)

var byNames = [bys]string{"", "client", "network", "rule", "api", "server"}

// String is the word that programs read.
func (b By) String() string {
	if b < bys {
		return byNames[b]
	}
	return ""
}

// usual is who ends visits for a reason, where nothing else is known.
func usual(r protocol.Reason) By {
	switch r {
	case protocol.ReasonLeft, protocol.ReasonClosed:
		return Client
	case protocol.ReasonLost:
		return Network
	case protocol.ReasonKicked, protocol.ReasonBanned:
		return API
	case protocol.ReasonFailed, protocol.ReasonShutdown, protocol.ReasonNodeLost:
		return Server
	}
	return Rule
}

// Record is one thing that happened, 56 bytes long and the text of Detail.
type Record struct {
	At      int64  // Unix milliseconds
	Since   int64  // likewise: when what this ends began, see Kind; 0: nothing did
	Session string // whose it is; empty: the room's
	Detail  string // see Kind
	Code    protocol.CloseCode
	Kind    Kind
	By      By
	Reason  Reason
}

// Reason is a leave reason in a byte: its place in protocol.Reasons, from 1.
type Reason uint8

// ReasonOf shortens a leave reason; 0 for one that is not known.
func ReasonOf(r protocol.Reason) Reason {
	for i, known := range protocol.Reasons {
		if known == r {
			return Reason(i + 1)
		}
	}
	return 0
}

// Long is the leave reason; empty where there is none.
func (r Reason) Long() protocol.Reason {
	if r == 0 || int(r) > len(protocol.Reasons) {
		return ""
	}
	return protocol.Reasons[r-1]
}

// maxDetail is how long a Detail may be, in bytes.
const maxDetail = 200

// Line makes a Detail of any text: its first line, not too long, valid UTF-8.
func Line(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	if len(s) > maxDetail {
		s = s[:maxDetail-len("…")] + "…"
	}
	return strings.Clone(strings.ToValidUTF8(s, ""))
}
