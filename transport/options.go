package transport

import (
	"fmt"
	"math"
	"runtime"
	"time"
)

// Modes of serving connections.
const (
	ModeAuto      = "auto"      // epoll where there is one
	ModeEpoll     = "epoll"     // event loops on Linux's epoll
	ModeGoroutine = "goroutine" // a goroutine per connection
)

// Options are the knobs of a Server. The zero value works.
type Options struct {
	// Mode is one of the Mode constants; "" is ModeAuto.
	Mode string
	// Loops is how many event loops share the connections; 0 is one per core
	// (GOMAXPROCS). Unused in goroutine mode.
	Loops int

	// Protocols are the sub-protocols spoken, best first. One that the client
	// offers is chosen; a client that offers none gets the first without being
	// told; one that offers only others is refused. Empty: no rule.
	Protocols []string
	// Origins says which pages may connect; the zero value is the same origin.
	Origins Origins
	// Connections is how many may be open at once; more are refused with 503.
	// 0 is no limit.
	Connections int

	// Admission bounds how many handshakes are let in a second; more are
	// refused with 503 and a Retry-After that spreads them.
	Admission AdmissionOptions

	// MessageBytes is the largest payload of a message, over all its frames;
	// a larger one is a violation (1009). Every peer can make us hold this
	// much. Default 64 KiB.
	MessageBytes int
	// Fragments is the number of frames a message may have (1009). 0 is no
	// limit.
	Fragments int
	// OutboundBytes is how much may wait, in our memory, for one peer before
	// it is cut as Slow, besides one larger Write. Default 256 KiB.
	OutboundBytes int
	// ThrottleBytes, when not 0, stops reading from a peer for whom more than
	// that waits, until half of it is gone: for services that answer every
	// message, so that a peer who does not read cannot go on asking.
	ThrottleBytes int
	// ControlRate is how many pings and pongs a peer may send a second, in
	// bursts of a second's worth and at least ten; over it is a violation
	// (4506). 0 is no limit.
	ControlRate float64

	// A peer from which no byte came for HeartbeatInterval is pinged; when
	// none comes for another HeartbeatTimeout, it is ended as Silent. Both 0:
	// no heartbeat. What raising them costs is how long a vanished peer seems
	// to be there; what lowering them costs is a packet each way per quiet
	// connection and interval.
	HeartbeatInterval time.Duration
	HeartbeatTimeout  time.Duration
	// CloseTimeout bounds the close handshake, and the wait for the peer's end
	// of stream after it. Default 2s.
	CloseTimeout time.Duration

	// Farewell gives frames to send to a handler's peer before a close frame
	// that the transport decides on itself, which is one for a violation. May
	// be nil.
	Farewell func(h Handler, code uint16) []byte
	// ObserveTurn is told how long each turn of an event loop took, from its
	// waking to its next wait: what a message may have to wait for. It runs on
	// the loops, several at once. May be nil.
	ObserveTurn func(time.Duration)
}

// minRate is the slowest rate that makes sense, a second.
const minRate = 0.001

// withDefaults fills in what is zero and checks the rest.
func (o Options) withDefaults() (Options, error) {
	if o.Mode == "" {
		o.Mode = ModeAuto
	}
	switch o.Mode {
	case ModeAuto, ModeEpoll, ModeGoroutine:
	default:
		return o, fmt.Errorf("transport: Mode = %q, must be %q, %q or %q", o.Mode, ModeAuto, ModeEpoll, ModeGoroutine)
	}
	for _, n := range []struct {
		name    string
		value   *int
		zero    int
		atLeast int
	}{
		{"Loops", &o.Loops, runtime.GOMAXPROCS(0), 1},
		{"Connections", &o.Connections, math.MaxInt, 1},
		{"MessageBytes", &o.MessageBytes, 64 << 10, 1},
		{"Fragments", &o.Fragments, math.MaxInt, 1},
		{"OutboundBytes", &o.OutboundBytes, 256 << 10, 1},
		{"ThrottleBytes", &o.ThrottleBytes, math.MaxInt, 1},
	} {
		if *n.value == 0 {
			*n.value = n.zero
		}
		if *n.value < n.atLeast {
			return o, fmt.Errorf("transport: %s = %d, must be at least %d (or 0)", n.name, *n.value, n.atLeast)
		}
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"HeartbeatInterval", o.HeartbeatInterval},
		{"HeartbeatTimeout", o.HeartbeatTimeout},
		{"CloseTimeout", o.CloseTimeout},
		{"Admission.Burst", o.Admission.Burst},
	} {
		if d.value < 0 {
			return o, fmt.Errorf("transport: %s = %s, must not be negative", d.name, d.value)
		}
	}
	if (o.HeartbeatInterval == 0) != (o.HeartbeatTimeout == 0) {
		return o, fmt.Errorf("transport: HeartbeatInterval = %s and HeartbeatTimeout = %s, must both be 0 or neither",
			o.HeartbeatInterval, o.HeartbeatTimeout)
	}
	for _, r := range []struct {
		name  string
		value float64
	}{
		{"ControlRate", o.ControlRate},
		{"Admission.Rate", o.Admission.Rate},
		{"Admission.AddressRate", o.Admission.AddressRate},
	} {
		if r.value != 0 && !(r.value >= minRate) {
			return o, fmt.Errorf("transport: %s = %v, must be 0 or at least %v", r.name, r.value, minRate)
		}
	}
	if o.Admission.Burst == 0 {
		o.Admission.Burst = 4 * time.Second
	}
	if o.CloseTimeout == 0 {
		o.CloseTimeout = 2 * time.Second
	}
	return o, nil
}
