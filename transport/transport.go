package transport

import (
	"net/netip"
	"time"

	"github.com/gobwas/ws"
)

// Conn is one upgraded WebSocket. Every method may be called from any
// goroutine, inside a Handler call too, and never blocks.
type Conn interface {
	// Write queues b, whole frames as AppendFrame makes them, behind
	// everything written before; b is not kept after return. b[must:] holds
	// frames that may be dropped: they are, and are counted, when the kernel
	// would not take everything written before them. With must == len(b)
	// nothing may be dropped. A Write after Close or after the end does
	// nothing. When more than Options.OutboundBytes wait for the peer the
	// connection is cut with cause Slow; one Write that is larger
	// does not count until the peer has read everything.
	Write(b []byte, must int)

	// Close starts the close handshake (RFC 6455 §7.1.2) behind what is
	// queued. The first call wins; Handler.Closed follows with cause Local
	// once the peer has answered or Options.CloseTimeout has passed. Code
	// 1005 sends a close frame without a code; any other code that must not
	// be sent (§7.4.1) becomes 1011. The reason is cut to 123 bytes of valid
	// UTF-8.
	Close(code uint16, reason string)

	// Pause stops reading from the peer, so that TCP holds it back, until
	// Resume. Called inside a Handler call, no Message follows before Resume;
	// called from elsewhere, one may be under way. A paused connection is
	// neither pinged nor ended for being silent. Close overrides Pause.
	Pause()
	Resume()

	// Soon has f called on the goroutine that serves the connection, once that
	// has done what it is at: passed on all that it has read, and on Linux of
	// other connections, too. To be called within a Handler call. f is bound as
	// Handlers are.
	Soon(f func())

	// Remote is the peer's address as the socket has it.
	Remote() netip.AddrPort

	// Quiet calls tell once, on another goroutine, with how long the peer has
	// sent nothing: to within a second, or a hundredth of the heartbeat's times
	// where that is more. Known is false where nobody watches: the connection is
	// over or paused, or there is no heartbeat. After Shutdown, tell may never
	// be called. It must not block.
	Quiet(tell func(d time.Duration, known bool))
}

// Handler owns one connection. Its calls never overlap, come in the order Open,
// Message*, Closed, and must neither block nor panic: they run on the goroutine
// that serves the connection, on Linux together with thousands of others.
type Handler interface {
	// Open comes before the first message. c stays usable for ever.
	Open(c Conn)

	// Message is one whole message, op text (then payload is valid UTF-8) or
	// binary. payload is valid only during the call.
	Message(op ws.OpCode, payload []byte)

	// Closed comes exactly once, whatever ended the connection.
	Closed(e End)
}

// Cause says what ended a connection.
type Cause uint8

const (
	PeerClosed Cause = iota // the peer sent a close frame
	Lost                    // end of stream, reset or failed write without a close frame
	Silent                  // no byte within HeartbeatTimeout of our ping
	Violation               // the peer broke RFC 6455 or a limit
	Slow                    // more than OutboundBytes waited for the peer
	Local                   // we called Close, or Shutdown ran out of time
	causes                  // how many there are
)

var causeNames = [causes]string{"peer_closed", "lost", "silent", "violation", "slow", "local"}

// String is the name that logs and metrics use.
func (c Cause) String() string {
	if c < causes {
		return causeNames[c]
	}
	return "unknown"
}

// Causes are all of them, for whoever counts by cause.
func Causes() []Cause { return []Cause{PeerClosed, Lost, Silent, Violation, Slow, Local} }

// End tells how a connection ended.
type End struct {
	Cause Cause
	// Code is the close code that the peer sent (PeerClosed) or that we sent
	// (Violation, Local); 1005 for a close frame without one; 1006 where no
	// close frame was seen or sent.
	Code uint16
	// Err says more for the log: the socket's error or the broken rule; may
	// be nil.
	Err error
}
