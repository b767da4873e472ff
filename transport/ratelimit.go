package transport

import "time"

// rate limits something to so many a second, in bursts. It keeps one word for
// each thing that is limited: the time at which all that happened so far would
// have happened at an even pace.
type rate struct {
	every time.Duration // 0: no limit
	burst time.Duration // how far ahead of the even pace it may be
}

// newRate makes a rate with bursts of so much time's worth, or of least where
// that is more; no limit for 0.
func newRate(perSecond float64, burst time.Duration, least int) rate {
	if perSecond <= 0 {
		return rate{}
	}
	every := max(time.Duration(float64(time.Second)/perSecond), 1)
	return rate{every: every, burst: max(burst, time.Duration(least)*every)}
}

// wait is the time from now until one more may happen; 0: it may. even is the
// word kept. Both are nanoseconds of a monotonic clock.
func (r rate) wait(now, even int64) time.Duration {
	return time.Duration(max(0, max(even, now)+int64(r.every)-now-int64(r.burst)))
}

// allow counts one at now, if it may happen.
func (r rate) allow(now int64, even *int64) bool {
	if r.every == 0 {
		return true
	}
	if r.wait(now, *even) > 0 {
		return false
	}
	*even = max(*even, now) + int64(r.every)
	return true
}
