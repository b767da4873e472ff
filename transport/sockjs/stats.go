package sockjs

import (
	"sync/atomic"

	"rollcall/transport"
)

// RefusalKind is a reason to refuse a request.
type RefusalKind uint8

// Handshakes of WebSockets that are refused are counted by package transport.
const (
	RefusedOrigin   RefusalKind = iota // Options.Origins
	RefusedSession                     // Options.Accept, or transport.Server.Reserve
	RefusedReceiver                    // a second receiver at the same time (2010)
	RefusedSenders                     // too many requests at once that bring messages
	RefusedBody                        // a body, or a frame, that is too large, or holds no messages
	refusals                           // how many there are
)

var refusalNames = [refusals]string{"origin", "session", "receiver", "senders", "body"}

// String is the name that metrics use.
func (k RefusalKind) String() string {
	if k < refusals {
		return refusalNames[k]
	}
	return "unknown"
}

// RefusalKinds are all of them, for whoever counts by kind.
func RefusalKinds() []RefusalKind {
	all := make([]RefusalKind, refusals)
	for k := range all {
		all[k] = RefusalKind(k)
	}
	return all
}

// Stats counts the sessions that are made of HTTP requests, and their requests;
// WebSockets are counted by package transport. All counts only grow, but Open.
// Several services may share one.
type Stats struct {
	Open     atomic.Int64                      // sessions now
	Opened   atomic.Int64                      // sessions
	Ended    map[transport.Cause]*atomic.Int64 // sessions, by what ended them
	Refused  [refusals]atomic.Int64            // requests, by RefusalKind
	Messages atomic.Int64                      // messages of clients
	BytesIn  atomic.Int64                      // bytes of the requests that brought them
	BytesOut atomic.Int64                      // bytes given to responses
	Dropped  atomic.Int64                      // optional messages dropped under a backlog
}

// NewStats makes Stats.
func NewStats() *Stats {
	s := &Stats{Ended: map[transport.Cause]*atomic.Int64{}}
	for _, c := range transport.Causes() {
		s.Ended[c] = new(atomic.Int64)
	}
	return s
}
