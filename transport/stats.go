package transport

import "sync/atomic"

// Kind tells plain connections from encrypted ones.
type Kind uint8

const (
	Plain Kind = iota
	TLS
	kinds
)

// String is the name that logs and metrics use.
func (k Kind) String() string {
	if k == TLS {
		return "tls"
	}
	return "plain"
}

// Stats counts what a Server does. All counts only grow, but Open and Pending.
type Stats struct {
	Open       [kinds]atomic.Int64    // connections now, by Kind
	Opened     [kinds]atomic.Int64    // by Kind
	Ended      [causes]atomic.Int64   // by Cause
	Violations [breaches]atomic.Int64 // by Breach; all together Ended[Violation], but for those found after Close
	Refused    [refusals]atomic.Int64 // handshakes refused, by RefusalKind

	Pending        atomic.Int64 // connections now that are not WebSockets, of listeners with these Stats
	IdleCut        atomic.Int64 // of Pending, closed between two requests to make room
	Forgotten      atomic.Int64 // addresses that Admission forgot before their buckets were full again
	AcceptFailures atomic.Int64 // times that a connection could not be accepted: out of descriptors or memory

	// Written where a connection is read.
	Reads    atomic.Int64 // reads from sockets that brought bytes
	BytesIn  atomic.Int64 // bytes of frames, without TLS
	Messages atomic.Int64 // text and binary messages
	Pings    atomic.Int64 // the peers' pings
	Pongs    atomic.Int64 // the peers' pongs

	_ [64]byte // the counts below are written by other cores

	// Written where a connection is written.
	Writes        atomic.Int64 // writes to sockets
	BytesOut      atomic.Int64 // bytes given to sockets
	Blocked       atomic.Int64 // times a socket would not take everything
	Heartbeats    atomic.Int64 // our pings
	DroppedBytes  atomic.Int64 // optional bytes dropped under a backlog
	DroppedFrames atomic.Int64 // frames in them
	CloseTimeouts atomic.Int64 // close handshakes cut by CloseTimeout
}
