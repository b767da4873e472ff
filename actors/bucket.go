package actors

import "time"

// bucket is a token bucket of one session: rate tokens a second, and at most
// one burst of them. It starts full. It belongs to one goroutine. It is the time
// at which the bucket will be full again.
type bucket time.Duration

// spent are the buckets of one session: of what it asked for.
type spent struct{ publishes, updates, signals, requests, errors bucket }

// buckets are the client's. c.in is held.
func (c *Client) buckets() *spent {
	if c.spent == nil {
		c.spent = &spent{}
	}
	return c.spent
}

// take takes a token. Where there is none, wait is the time until there will
// be. A rate of 0 has no limit.
func (b *bucket) take(now time.Duration, rate, burst float64) (wait time.Duration, ok bool) {
	return b.takeAll(now, 1, rate, burst)
}

// takeAll takes n tokens, or none.
func (b *bucket) takeAll(now time.Duration, n int, rate, burst float64) (wait time.Duration, ok bool) {
	if rate <= 0 {
		return 0, true
	}
	token := float64(time.Second) / rate
	full := max(time.Duration(*b), now) + time.Duration(float64(n)*token)
	if wait = full - now - time.Duration(burst*token); wait > 0 {
		return wait, false
	}
	*b = bucket(full)
	return 0, true
}
