package transport

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// AdmissionOptions bound how many handshakes a second become WebSockets. The
// zero value has no bounds.
type AdmissionOptions struct {
	// Rate is for all peers together. 0: no limit.
	Rate float64
	// AddressRate is for each address: an IPv4 address, or an IPv6 network of
	// 64 bits, as one household or machine has it. Addresses behind which
	// there may be a proxy that speaks for many (loopback, private, link-local
	// and shared ones) have no limit of their own. 0: no limit.
	AddressRate float64
	// Burst is how much time's worth of either may come at once. Default 4s.
	Burst time.Duration
}

const (
	// maxRetry is the longest that anybody is asked to stay away for.
	maxRetry = 30 * time.Second
	// maxAddresses is how many addresses one generation of the table holds.
	maxAddresses = 1 << 15
)

// admission is a token bucket for all handshakes and one for each address. The
// addresses are kept in two generations: the younger becomes the older one
// after each burst time, by when every bucket that nobody touched meanwhile is
// full again, which is as good as unknown. So nothing is lost with the older,
// unless so many addresses come that the younger is full before.
type admission struct {
	all, each rate
	most      int                                 // addresses of a generation
	random    func(n time.Duration) time.Duration // from 0 to below n

	mu        sync.Mutex
	everybody bucket
	young     map[uint64]bucket
	old       map[uint64]bucket
	turned    int64 // when young was begun

	forgotten *atomic.Int64 // counts buckets dropped before they were full again
}

// bucket is a token bucket, and what those were told for whom it had no token.
// The zero value is full. Both words are nanoseconds of a monotonic clock.
type bucket struct {
	even     int64 // as rate has it
	promised int64 // when the last of the refused was told to come back
}

func newAdmission(o AdmissionOptions, forgotten *atomic.Int64) *admission {
	return &admission{
		all: newRate(o.Rate, o.Burst, 1), each: newRate(o.AddressRate, o.Burst, 1),
		most: maxAddresses, random: rand.N[time.Duration],
		young: map[uint64]bucket{}, old: map[uint64]bucket{}, forgotten: forgotten,
	}
}

// admit lets one handshake in at now, or says which rate it is over, and when
// to come back.
func (a *admission) admit(from netip.Addr, now int64) (retry time.Duration, over RefusalKind, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	limited := a.each.every > 0 && !speaksForMany(from)
	key, own := addressKey(from), bucket{}
	if limited {
		own = a.bucketOf(key, now)
		if wait := a.each.wait(now, own.even); wait > 0 {
			retry = a.promise(a.each, now, wait, &own)
			a.young[key] = own
			return retry, RefusedAddressRate, false
		}
	}
	if wait := a.all.wait(now, a.everybody.even); wait > 0 {
		return a.promise(a.all, now, wait, &a.everybody), RefusedRate, false
	}
	a.all.allow(now, &a.everybody.even)
	if limited {
		a.each.allow(now, &own.even)
		a.young[key] = own
	}
	return 0, 0, true
}

// promise is when to come back for one who finds the bucket empty: the refused
// are sent back one after the other, as fast as the bucket fills, so that those
// who came together do not return together. wait is the time until there is a
// token.
func (a *admission) promise(r rate, now int64, wait time.Duration, b *bucket) time.Duration {
	next := max(b.promised, now+int64(wait)) + int64(r.every)
	if next > now+int64(maxRetry) { // more than can be told apart
		return wait + a.random(max(maxRetry-wait, 1))
	}
	b.promised = next
	return time.Duration(next - now)
}

// bucketOf finds the bucket of an address, for which young has room then.
func (a *admission) bucketOf(key uint64, now int64) bucket {
	b, known := a.young[key]
	if known {
		return b
	}
	early := now-a.turned < int64(a.each.burst)
	if early && len(a.young) < a.most {
		return a.old[key]
	}
	b = a.old[key]
	if early {
		for k, lost := range a.old {
			if _, kept := a.young[k]; !kept && k != key && lost.even > now {
				a.forgotten.Add(1)
			}
		}
	}
	a.young, a.old, a.turned = map[uint64]bucket{}, a.young, now
	return b
}

// addressKey is what the peers of one address have in common.
func addressKey(a netip.Addr) uint64 {
	if a = a.Unmap(); a.Is4() {
		b := a.As4()
		return uint64(binary.BigEndian.Uint32(b[:]))
	}
	b := a.As16()
	return binary.BigEndian.Uint64(b[:])
}

var shared = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598

// speaksForMany reports whether a proxy, whose clients have nothing to do with
// each other, may be behind an address.
func speaksForMany(a netip.Addr) bool {
	a = a.Unmap()
	return !a.IsValid() || a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || shared.Contains(a)
}
