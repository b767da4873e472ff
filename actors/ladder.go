package actors

import (
	"time"

	"rollcall/protocol"
)

// Rules are the times after which a session falls idle or ends; 0: never.
type Rules struct {
	IdleAfter       time.Duration // without activity: state idle
	DisconnectAfter time.Duration // without activity: ended, reason idle
	MaxAge          time.Duration // since the session began: ended, reason expired
	ResumeWindow    time.Duration // since its connection was lost: ended, reason lost; 0: at once
	ReloadGrace     time.Duration // since its connection was closed: ended, reason closed; 0: at once
}

// hold is how long a session outlives a connection that ended for reason.
func (r Rules) hold(reason protocol.Reason) time.Duration {
	switch reason {
	case protocol.ReasonLost:
		return r.ResumeWindow
	case protocol.ReasonClosed:
		return r.ReloadGrace
	}
	return 0
}

// verdict is the rung of the ladder that a session stands on.
type verdict uint8

const (
	active verdict = iota
	idle
	unresponsive
	endIdle
	endExpired
	endAway
)

// signs are what a session is judged by: instants on the system's clock.
type signs struct {
	since    time.Duration // it began
	activity time.Duration // its person was last active
	seen     time.Duration // a frame came last, of whatever kind
	away     time.Duration // it ends unless it comes back; 0: it is connected
	promise  time.Duration // between two of its pings; 0: none promised
}

// missedPings is how many promised pings a client may miss.
const missedPings = 3

// judge says where a session stands at now; what only proves that its peer
// exists plays no part but in the keeping of a promise. Next is when the
// verdict may change by itself; 0: never.
func (r Rules) judge(now time.Duration, s signs) (v verdict, next time.Duration) {
	earliest := func(at time.Duration) {
		if next == 0 || at < next {
			next = at
		}
	}
	if s.away > 0 {
		if now >= s.away {
			return endAway, 0
		}
		earliest(s.away)
	}
	if r.MaxAge > 0 {
		if now >= s.since+r.MaxAge {
			return endExpired, 0
		}
		earliest(s.since + r.MaxAge)
	}
	if r.DisconnectAfter > 0 {
		if now >= s.activity+r.DisconnectAfter {
			return endIdle, 0
		}
		earliest(s.activity + r.DisconnectAfter)
	}
	if s.promise > 0 && s.away == 0 {
		if now >= s.seen+missedPings*s.promise {
			return unresponsive, next
		}
		earliest(s.seen + missedPings*s.promise)
	}
	if r.IdleAfter > 0 {
		if now >= s.activity+r.IdleAfter {
			return idle, next
		}
		earliest(s.activity + r.IdleAfter)
	}
	return active, next
}
