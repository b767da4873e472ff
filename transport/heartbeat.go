package transport

import "time"

// clock is the time of a server in ticks: what every connection waits for is a
// countdown of one byte, and one sweep per tick finds those that reached zero.
type clock struct {
	tick     time.Duration
	interval uint8 // ticks of silence before a ping; 0: no heartbeat
	timeout  uint8 // ticks from the ping to the end; 0: no heartbeat
	closing  uint8 // ticks for a close handshake
}

// newClock picks a tick fine enough for the shortest of the durations (an
// eighth of it, at most a second) that still fits the longest into a byte.
func newClock(interval, timeout, closing time.Duration) clock {
	shortest, longest := closing, closing
	for _, d := range []time.Duration{interval, timeout} {
		if d > 0 {
			shortest, longest = min(shortest, d), max(longest, d)
		}
	}
	k := clock{tick: max(min(shortest/8, time.Second), longest/250, time.Millisecond)}
	k.interval, k.timeout, k.closing = k.ticks(interval), k.ticks(timeout), k.ticks(closing)
	return k
}

// ticks never lets a countdown end early: the first tick may come at once.
func (k clock) ticks(d time.Duration) uint8 {
	if d <= 0 {
		return 0
	}
	return uint8((d+k.tick-1)/k.tick) + 1
}

// due is what to do when a countdown reached zero.
type due uint8

const (
	dueNothing due = iota
	duePing        // the peer has been quiet: ping it and wait for any byte
	dueSilent      // it did not answer: end
	dueCut         // the end took too long: cut
)

// onZero is the heartbeat rule. Any byte of the peer restarts the countdown at
// interval and clears pinged, so zero means quiet.
func onZero(p phase, pinged bool) due {
	switch {
	case p == over:
		return dueNothing
	case p != open:
		return dueCut
	case pinged:
		return dueSilent
	default:
		return duePing
	}
}

// quiet is for how long a peer has sent nothing, to within a tick, where left
// ticks are to go; known is false where nobody counts: there is no heartbeat, or
// the connection is held.
func (k clock) quiet(left uint8, pinged bool) (d time.Duration, known bool) {
	if left == 0 {
		return 0, false
	}
	gone := int(k.interval) - int(left)
	if pinged {
		gone = int(k.interval) + int(k.timeout) - int(left)
	}
	return time.Duration(max(gone, 0)) * k.tick, true
}
