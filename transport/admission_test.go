package transport

import (
	"container/heap"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func addressOf(n int) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 11<<24+uint32(n))
	return netip.AddrFrom4(b)
}

// Whatever comes, whenever: no more are let in than the rate and one burst
// allow, over all and of each address; nobody is refused who would have been
// within both; and who is refused is told a time from when there is a token to
// maxRetry.
func TestAdmissionIsTwoTokenBuckets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := AdmissionOptions{
			Rate:        float64(rapid.SampledFrom([]int{0, 1, 7, 100}).Draw(t, "rate")),
			AddressRate: float64(rapid.SampledFrom([]int{0, 1, 3, 50}).Draw(t, "address rate")),
			Burst:       time.Duration(rapid.IntRange(1, 4).Draw(t, "burst")) * time.Second,
		}
		a := admissionOf(o)
		all, each := &textbook{rate: o.Rate, burst: o.Burst}, map[netip.Addr]*textbook{}
		now := time.Duration(0)
		for range rapid.IntRange(1, 200).Draw(t, "handshakes") {
			now += time.Duration(rapid.SampledFrom([]int{0, 0, 0, 1, 10, 300, 5000}).Draw(t, "ms")) * time.Millisecond
			from := addressOf(rapid.IntRange(0, 3).Draw(t, "from"))
			own := each[from]
			if own == nil {
				own = &textbook{rate: o.AddressRate, burst: o.Burst}
				each[from] = own
			}
			retry, over, ok := a.admit(from, int64(now))
			switch {
			case own.lacks(now) > 0:
				require.False(t, ok)
				require.Equal(t, RefusedAddressRate, over)
				require.GreaterOrEqual(t, retry, own.lacks(now))
			case all.lacks(now) > 0:
				require.False(t, ok)
				require.Equal(t, RefusedRate, over)
				require.GreaterOrEqual(t, retry, all.lacks(now))
			default:
				require.True(t, ok, "refused within both rates")
				own.take(now)
				all.take(now)
			}
			require.LessOrEqual(t, retry, maxRetry)
		}
	})
}

func admissionOf(o AdmissionOptions) *admission { return newAdmission(o, &atomic.Int64{}) }

// textbook is a token bucket as they all begin: a count that is filled.
type textbook struct {
	rate  float64 // 0: no limit
	burst time.Duration
	used  float64
	at    time.Duration
}

func (b *textbook) fill(now time.Duration) {
	b.used = max(0, b.used-b.rate*(now-b.at).Seconds())
	b.at = now
}

// lacks is the time until there is a token, to a few nanoseconds.
func (b *textbook) lacks(now time.Duration) time.Duration {
	if b.rate == 0 {
		return 0
	}
	b.fill(now)
	missing := b.used + 1 - max(1, b.rate*b.burst.Seconds())
	return max(0, time.Duration(missing/b.rate*float64(time.Second))-time.Microsecond)
}

func (b *textbook) take(now time.Duration) {
	b.fill(now)
	b.used++
}

// A storm is let in as fast as the rate allows, though the refused return only
// when they were told: hardly a token is left unused, and hardly anybody has to
// come often.
func TestRefusedComeBackSpread(t *testing.T) {
	const n, perSecond = 60_000, 5000
	a := admissionOf(AdmissionOptions{Rate: perSecond, AddressRate: 200, Burst: 4 * time.Second})
	random := rand.New(rand.NewPCG(1, 2))
	a.random = func(n time.Duration) time.Duration { return time.Duration(random.Int64N(int64(n))) }
	var waiting storm
	for i := range n {
		waiting = append(waiting, comer{0, i, 1})
	}
	heap.Init(&waiting)
	last, tries, most := time.Duration(0), 0, 0
	for waiting.Len() > 0 {
		c := heap.Pop(&waiting).(comer)
		tries++
		retry, _, ok := a.admit(addressOf(c.from), int64(c.at))
		if ok {
			last, most = max(last, c.at), max(most, c.try)
			continue
		}
		whole := (retry + time.Second - 1) / time.Second * time.Second // as Retry-After says it
		heap.Push(&waiting, comer{c.at + whole, c.from, c.try + 1})
	}
	ideal := time.Duration(n-4*perSecond) * time.Second / perSecond
	require.LessOrEqual(t, last, ideal+2*time.Second)
	require.LessOrEqual(t, most, 3)
	require.Less(t, tries, 2*n)
}

// comer is one of a storm.
type comer struct {
	at   time.Duration
	from int
	try  int
}

type storm []comer

func (s storm) Len() int           { return len(s) }
func (s storm) Less(i, j int) bool { return s[i].at < s[j].at }
func (s storm) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *storm) Push(c any)        { *s = append(*s, c.(comer)) }
func (s *storm) Pop() any {
	old := *s
	c := old[len(old)-1]
	*s = old[:len(old)-1]
	return c
}

// More are refused than there is time to tell apart: they are spread at random,
// up to maxRetry.
func TestFloodIsSpreadOverTheLongestRetry(t *testing.T) {
	a := admissionOf(AdmissionOptions{Rate: 10, Burst: time.Second})
	seconds := map[time.Duration]int{}
	const n = 10_000
	for range n {
		if retry, _, ok := a.admit(addressOf(1), 0); !ok {
			seconds[retry/time.Second]++
		}
	}
	require.LessOrEqual(t, len(seconds), 31)
	for s := range time.Duration(30) {
		require.Less(t, seconds[s], n/10, "second %d", s)
		require.Positive(t, seconds[s], "second %d", s)
	}
}

// The table holds so many addresses and no more. It forgets those whose buckets
// are full again and counts when it had to forget others.
func TestAddressTableIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = 8
		a := admissionOf(AdmissionOptions{AddressRate: 1, Burst: 3 * time.Second})
		a.most = most
		busy := map[netip.Addr]*textbook{}
		now := time.Duration(0)
		for range rapid.IntRange(1, 100).Draw(t, "handshakes") {
			now += time.Duration(rapid.IntRange(0, 4000).Draw(t, "ms")) * time.Millisecond
			from := addressOf(rapid.IntRange(0, 40).Draw(t, "from"))
			b := busy[from]
			if b == nil {
				b = &textbook{rate: 1, burst: 3 * time.Second}
				busy[from] = b
			}
			_, _, ok := a.admit(from, int64(now))
			if a.forgotten.Load() == 0 {
				require.Equal(t, b.lacks(now) == 0, ok, "nobody was forgotten, but %s is taken for somebody else", from)
			}
			if ok {
				b.take(now)
			}
			require.LessOrEqual(t, len(a.young), most)
			require.LessOrEqual(t, len(a.old), most)
		}
	})
}

func TestFloodOfAddressesIsCounted(t *testing.T) {
	a := admissionOf(AdmissionOptions{AddressRate: 1, Burst: time.Second})
	for i := range 3 * maxAddresses {
		_, _, ok := a.admit(addressOf(i), 1)
		require.True(t, ok, "a stranger is let in, the table full or not")
	}
	require.EqualValues(t, maxAddresses, a.forgotten.Load(), "of three generations, the first is gone")
	_, _, ok := a.admit(addressOf(3*maxAddresses-1), 1)
	require.False(t, ok, "the newest is known")
	_, _, ok = a.admit(addressOf(0), 1)
	require.True(t, ok, "the oldest is not")
}

// Addresses of one network are one, and those that may be a proxy's are none.
func TestWhoHasALimitOfTheirOwn(t *testing.T) {
	for _, x := range []struct {
		story, one, other string
		limited           bool
	}{
		{"one IPv4 address", "11.2.3.4", "11.2.3.4", true},
		{"the same, seen by an IPv6 socket", "11.2.3.4", "::ffff:11.2.3.4", true},
		{"two IPv4 addresses", "11.2.3.4", "11.2.3.5", false},
		{"two addresses of one household", "2a01:db8:1:2::1", "2a01:db8:1:2:ffff::9", true},
		{"two households", "2a01:db8:1:2::1", "2a01:db8:1:3::1", false},
		{"loopback", "127.0.0.1", "127.0.0.1", false},
		{"loopback of IPv6", "::1", "::1", false},
		{"loopback, seen by an IPv6 socket", "::ffff:127.0.0.1", "::ffff:127.0.0.1", false},
		{"a private network", "10.1.2.3", "10.1.2.3", false},
		{"a private network of IPv6", "fd00::1", "fd00::1", false},
		{"the shared network of a provider", "100.64.3.4", "100.64.3.4", false},
		{"link-local", "fe80::1%eth0", "fe80::1%eth0", false},
	} {
		a := admissionOf(AdmissionOptions{AddressRate: 1, Burst: time.Second})
		_, _, ok := a.admit(netip.MustParseAddr(x.one), 1)
		require.True(t, ok, x.story)
		_, over, ok := a.admit(netip.MustParseAddr(x.other), 1)
		require.Equal(t, x.limited, !ok, x.story)
		require.Equal(t, x.limited, over == RefusedAddressRate, x.story)
	}
	a := admissionOf(AdmissionOptions{AddressRate: 1, Burst: time.Second})
	for range 3 {
		_, _, ok := a.admit(netip.Addr{}, 1)
		require.True(t, ok, "a socket without an address")
	}
}

func BenchmarkAdmission(b *testing.B) {
	a := admissionOf(AdmissionOptions{Rate: 5000, AddressRate: 200, Burst: 4 * time.Second})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		a.admit(addressOf(i%5000), int64(i)*100_000)
	}
}
