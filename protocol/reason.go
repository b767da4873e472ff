package protocol

// Reason says why a member left a room. The set is closed and append-only.
type Reason string

// The leave reasons, docs/protocol.md §5.
const (
	ReasonLeft         Reason = "left"         // asked to leave the room
	ReasonKicked       Reason = "kicked"       // taken out by the server's API
	ReasonBanned       Reason = "banned"       // kicked, and kept out
	ReasonFailed       Reason = "failed"       // its session actor, or its room's, failed
	ReasonClosed       Reason = "closed"       // its client closed with a close frame
	ReasonLost         Reason = "lost"         // its connection ended without one, or fell silent
	ReasonIdle         Reason = "idle"         // no activity for session.disconnect_after
	ReasonExpired      Reason = "expired"      // reached session.max_age
	ReasonUnauthorized Reason = "unauthorized" // its token expired or was revoked
	ReasonReplaced     Reason = "replaced"     // a newer session of the user took its place
	ReasonViolation    Reason = "violation"    // broke the protocol, or flooded past the limits
	ReasonSlow         Reason = "slow"         // read too slowly: outbound queue over its bound
	ReasonShutdown     Reason = "shutdown"     // the server went away
	ReasonNodeLost     Reason = "node_lost"    // the node that held it died
)

// Reasons lists every leave reason, for tables and metrics.
var Reasons = []Reason{
	ReasonLeft, ReasonKicked, ReasonBanned, ReasonFailed, ReasonClosed, ReasonLost, ReasonIdle, ReasonExpired,
	ReasonUnauthorized, ReasonReplaced, ReasonViolation, ReasonSlow, ReasonShutdown, ReasonNodeLost,
}

// CloseCode is a WebSocket close code (RFC 6455 §7.4). 4000 to 4499 invite the
// client back; 4500 to 4999 ask it not to return unasked.
type CloseCode uint16

// Close codes that the server sends, docs/protocol.md §5.
const (
	CloseNormal      CloseCode = 1000
	CloseProtocol    CloseCode = 1002
	CloseUnsupported CloseCode = 1003
	CloseNoStatus    CloseCode = 1005 // never sent: a close frame without a code
	CloseAbnormal    CloseCode = 1006 // never sent: no close frame at all
	CloseInvalidUTF8 CloseCode = 1007
	CloseTooBig      CloseCode = 1009

	CloseShutdown   CloseCode = 4000
	CloseSlow       CloseCode = 4002
	CloseFailed     CloseCode = 4003
	CloseOverloaded CloseCode = 4004

	CloseIdle         CloseCode = 4500
	CloseExpired      CloseCode = 4501
	CloseKicked       CloseCode = 4502
	CloseBanned       CloseCode = 4503
	CloseUnauthorized CloseCode = 4504
	CloseReplaced     CloseCode = 4505
	CloseFlood        CloseCode = 4506
)

// Reconnect reports whether a client that was closed with c may come back by
// itself: after its own jittered wait, at least Bye.AfterMS.
func (c CloseCode) Reconnect() bool { return 4000 <= c && c < 4500 }

// Code is the close code that goes with an ending of the connection for r; 0
// for reasons that leave the connection open.
func (r Reason) Code() CloseCode {
	switch r {
	case ReasonShutdown:
		return CloseShutdown
	case ReasonSlow:
		return CloseSlow
	case ReasonFailed:
		return CloseFailed
	case ReasonIdle:
		return CloseIdle
	case ReasonExpired:
		return CloseExpired
	case ReasonKicked:
		return CloseKicked
	case ReasonBanned:
		return CloseBanned
	case ReasonUnauthorized:
		return CloseUnauthorized
	case ReasonReplaced:
		return CloseReplaced
	case ReasonViolation:
		return CloseFlood
	}
	return 0
}

// Reason is the leave reason that goes with a close code of the server's;
// empty where there is none.
func (c CloseCode) Reason() Reason {
	for _, r := range Reasons {
		if c != 0 && r.Code() == c {
			return r
		}
	}
	return ""
}
