package client

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"rollcall/protocol"
)

// mayReturn says whether a connection that ended with err, or could not be
// made, may be tried again by itself, and not before when. bye is what the
// server said before; nil: nothing (docs/protocol.md §5).
func mayReturn(bye *protocol.Bye, err error) (again bool, after time.Duration) {
	var ended *CloseError
	var refused *HandshakeError
	switch {
	case bye != nil:
		return bye.Reconnect, time.Duration(max(bye.AfterMS, 0)) * time.Millisecond
	case errors.As(err, &ended):
		return ended.Code.Reconnect() || returnable(ended.Code), 0
	case errors.As(err, &refused):
		return refused.returnable()
	}
	return true, 0
}

// returnable tells the codes below 4000 apart: ends that nobody chose from
// those that a second try would meet again.
func returnable(code protocol.CloseCode) bool {
	switch code {
	case 1001, 1005, 1006, 1011, 1012, 1013, 1014, 1015: // RFC 6455 §7.4.1 and its registry
		return true
	}
	return 3000 <= code && code < 4000
}

func (e *HandshakeError) returnable() (bool, time.Duration) {
	var after time.Duration
	if s, err := strconv.ParseUint(e.Header.Get("Retry-After"), 10, 16); err == nil {
		after = time.Duration(s) * time.Second
	}
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true, after
	}
	return e.Status < 400 || e.Status >= 500, after
}

// backoff is a random wait below a bound that doubles with each failure: full
// jitter, so that clients who were cut together do not come back together.
func (o *Options) backoff(failures int) time.Duration {
	bound := o.MinBackoff
	for range failures {
		if bound >= o.MaxBackoff {
			break
		}
		bound *= 2
	}
	return rand.N(min(bound, o.MaxBackoff))
}
