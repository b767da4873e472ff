package history

import (
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"weak"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rollcall/protocol"
)

// message makes the message of an offset: id m<offset>, no key, 1 byte of data.
func message(offset uint64) *Message {
	return &Message{
		Stamp:   protocol.Stamp{Room: "lobby", Offset: offset, At: int64(offset)},
		Message: fmt.Sprint("m", offset), Session: "s", User: "kim", Name: "Kim", Data: json.RawMessage(`1`),
	}
}

func keyed(offset uint64, user, key string) *Message {
	m := message(offset)
	m.User, m.Key = user, key
	return m
}

func offsets(ms []*Message) []uint64 {
	os := make([]uint64, len(ms))
	for i, m := range ms {
		os[i] = m.Offset
	}
	return os
}

// filled returns a log of three messages after those of offsets were appended.
func filled(offsets ...uint64) *Log {
	l := New(3, 1<<20)
	for _, o := range offsets {
		l.Append(message(o))
	}
	return l
}

func TestSince(t *testing.T) {
	// A room's count is shared with joins and leaves: messages were 2, 4, 6, 8
	// and 10, of which 6, 8 and 10 are kept.
	l := filled(2, 4, 6, 8, 10)
	for _, c := range []struct {
		story    string
		offset   uint64
		want     []uint64
		complete bool
	}{
		{"up to date", 10, []uint64{}, true},
		{"up to date, joins came after", 12, []uint64{}, true},
		{"one behind", 8, []uint64{10}, true},
		{"between two messages", 7, []uint64{8, 10}, true},
		{"the oldest kept was seen", 6, []uint64{8, 10}, true},
		{"just before the oldest kept", 5, []uint64{6, 8, 10}, true},
		{"the newest lost was seen", 4, []uint64{6, 8, 10}, true},
		{"one message lost", 3, []uint64{6, 8, 10}, false},
		{"several lost", 1, []uint64{6, 8, 10}, false},
		{"from the beginning", 0, []uint64{6, 8, 10}, false},
		// What is ahead of the order is for the engine to refuse: here nothing
		// after it is missing.
		{"from the future", math.MaxUint64, []uint64{}, true},
	} {
		t.Run(c.story, func(t *testing.T) {
			ms, complete := l.Since(c.offset)
			require.Equal(t, c.want, offsets(ms))
			require.Equal(t, c.complete, complete)
		})
	}

	t.Run("nothing lost yet, from the beginning", func(t *testing.T) {
		ms, complete := filled(2, 4, 6).Since(0)
		require.Equal(t, []uint64{2, 4, 6}, offsets(ms))
		require.True(t, complete)
	})
	t.Run("nothing said yet", func(t *testing.T) {
		ms, complete := filled().Since(0)
		require.Empty(t, ms)
		require.True(t, complete)
	})
}

func TestNewest(t *testing.T) {
	l := filled(2, 4, 6, 8, 10)
	for _, c := range []struct {
		story string
		n     int
		want  []uint64
	}{
		{"none", 0, []uint64{}},
		{"one", 1, []uint64{10}},
		{"all", 3, []uint64{6, 8, 10}},
		{"more than all", 4, []uint64{6, 8, 10}},
		{"far more", math.MaxInt, []uint64{6, 8, 10}},
		{"a negative number", -1, []uint64{}},
		{"a very negative number", math.MinInt, []uint64{}},
	} {
		t.Run(c.story, func(t *testing.T) {
			require.Equal(t, c.want, offsets(l.Newest(c.n)))
		})
	}
	require.Empty(t, filled().Newest(5), "of an empty log")
}

func TestBefore(t *testing.T) {
	l := filled(2, 4, 6, 8, 10)
	for _, c := range []struct {
		story  string
		offset uint64
		n      int
		want   []uint64
		more   bool
	}{
		{"the newest page", 0, 2, []uint64{8, 10}, true},
		{"the page before it", 8, 2, []uint64{6}, false},
		{"exactly the rest", 10, 2, []uint64{6, 8}, false},
		{"one of the rest", 10, 1, []uint64{8}, true},
		{"an offset between two messages", 9, 5, []uint64{6, 8}, false},
		{"everything", 0, 3, []uint64{6, 8, 10}, false},
		{"more than everything", 0, math.MaxInt, []uint64{6, 8, 10}, false},
		{"above all", 99, 1, []uint64{10}, true},
		{"above all there can be", math.MaxUint64, 1, []uint64{10}, true},
		{"the oldest kept", 6, 5, []uint64{}, false},
		{"what is gone", 3, 5, []uint64{}, false},
		{"the first offset", 1, 5, []uint64{}, false},
		{"none: only whether there is more", 10, 0, []uint64{}, true},
		{"none below the oldest", 6, 0, []uint64{}, false},
		{"a negative number", 10, -1, []uint64{}, true},
		{"a very negative number", 0, math.MinInt, []uint64{}, true},
	} {
		t.Run(c.story, func(t *testing.T) {
			ms, more := l.Before(c.offset, c.n)
			require.Equal(t, c.want, offsets(ms))
			require.Equal(t, c.more, more)
		})
	}
}

func TestBounds(t *testing.T) {
	one := size(message(1)) // all of offsets 1 to 9 are as big
	big := message(9)
	big.Data = json.RawMessage(`"` + strings.Repeat("x", 2*one-1) + `"`) // as big as three

	for _, c := range []struct {
		story           string
		messages, bytes int
		say             []*Message
		want            []uint64
		lost            uint64 // the lowest offset since which nothing is missing
	}{
		{"all fit", 3, 3 * one, []*Message{message(1), message(2), message(3)}, []uint64{1, 2, 3}, 0},
		{"one message too many", 2, 3 * one, []*Message{message(1), message(2), message(3)}, []uint64{2, 3}, 1},
		{"one byte too many", 3, 3*one - 1, []*Message{message(1), message(2), message(3)}, []uint64{2, 3}, 1},
		{"a big one takes the place of several", 9, 4 * one, []*Message{message(1), message(2), message(3), message(4), big}, []uint64{4, 9}, 3},
		{"a big one that just fits", 9, size(big), []*Message{message(1), message(2), big}, []uint64{9}, 2},
		{"an oversize one is not kept, and leaves no gap behind", 9, size(big) - 1, []*Message{message(1), message(2), big}, []uint64{}, 9},
		{"and life goes on after it", 9, size(big) - 1, []*Message{message(1), {Stamp: protocol.Stamp{Offset: 2}, Data: big.Data, Message: strings.Repeat("m", one)}, message(3)}, []uint64{3}, 2},
		{"no messages", 0, 1 << 20, []*Message{message(1), message(2)}, []uint64{}, 2},
		{"no bytes", 100, 0, []*Message{message(1), message(2)}, []uint64{}, 2},
		{"fewer than none", -1, -1, []*Message{message(1)}, []uint64{}, 1},
		{"one at a time", 1, 1 << 20, []*Message{message(1), message(2), message(3)}, []uint64{3}, 2},
	} {
		t.Run(c.story, func(t *testing.T) {
			l := New(c.messages, c.bytes)
			for _, m := range c.say {
				l.Append(m)
			}
			require.Equal(t, c.want, offsets(l.Newest(99)))
			require.Equal(t, len(c.want), l.Len())
			require.LessOrEqual(t, l.Bytes(), max(0, c.bytes))
			_, complete := l.Since(c.lost)
			require.True(t, complete, "Since(%d)", c.lost)
			if c.lost > 0 {
				_, complete = l.Since(c.lost - 1)
				require.False(t, complete, "Since(%d)", c.lost-1)
			}
			check(t, l)
		})
	}

	t.Run("the zero value keeps nothing", func(t *testing.T) {
		var l Log
		l.Append(keyed(1, "kim", "k"))
		require.Zero(t, l.Len())
		require.Nil(t, l.ByID("m1"))
		require.Nil(t, l.ByKey("kim", "k"))
		_, complete := l.Since(0)
		require.False(t, complete)
	})
}

func TestByIDAndByKey(t *testing.T) {
	l := New(3, 1<<20)
	for _, m := range []*Message{keyed(1, "kim", "a"), keyed(2, "lee", "a"), keyed(3, "kim", "b")} {
		l.Append(m)
	}
	require.EqualValues(t, 1, l.ByKey("kim", "a").Offset)
	require.EqualValues(t, 2, l.ByKey("lee", "a").Offset, "the same key of another user")
	require.EqualValues(t, 3, l.ByKey("kim", "b").Offset)
	require.Nil(t, l.ByKey("lee", "b"))
	require.EqualValues(t, 2, l.ByID("m2").Offset)
	require.Nil(t, l.ByID("m4"))

	l.Append(message(4)) // 1 no longer fits
	require.Nil(t, l.ByKey("kim", "a"), "a key is forgotten with its message")
	require.Nil(t, l.ByID("m1"), "so is an id")
	require.EqualValues(t, 2, l.ByKey("lee", "a").Offset)
	check(t, l)
}

func TestAKeyAndAnIDNameTheNewest(t *testing.T) {
	l := New(2, 1<<20)
	l.Append(keyed(1, "kim", "a"))
	again := keyed(2, "kim", "a")
	again.Message = "m1"
	l.Append(again)
	require.Same(t, again, l.ByKey("kim", "a"))
	require.Same(t, again, l.ByID("m1"))

	l.Append(message(3)) // forgets the first, whose key and id are another's by now
	require.Same(t, again, l.ByKey("kim", "a"))
	require.Same(t, again, l.ByID("m1"))

	l.Append(message(4))
	require.Nil(t, l.ByKey("kim", "a"))
	require.Nil(t, l.ByID("m1"))
}

func TestWithoutKeyOrIDNothingIsFound(t *testing.T) {
	l := New(2, 1<<20)
	m := message(1)
	m.Message = ""
	l.Append(m)
	require.Nil(t, l.ByID(""))
	require.Nil(t, l.ByKey("kim", ""))
}

func TestAppendToAResultDoesNotReachTheLog(t *testing.T) {
	l := New(8, 1<<20)
	for o := range uint64(5) {
		l.Append(message(o + 1))
	}
	older, _ := l.Before(4, 2)
	_ = append(older, message(77))
	since, _ := l.Since(2)
	_ = append(since, message(78))
	_ = append(l.Newest(2), message(79))
	l.Append(message(6))
	require.Equal(t, []uint64{1, 2, 3, 4, 5, 6}, offsets(l.Newest(9)))
}

// check compares the log's indexes and sums with what it keeps.
func check(t require.TestingT, l *Log) {
	bytes, ids, keys := 0, map[string]bool{}, map[key]bool{}
	for _, m := range l.kept {
		bytes += size(m)
		ids[m.Message] = true
		if m.Key != "" {
			keys[key{m.User, m.Key}] = true
		}
	}
	require.Equal(t, bytes, l.bytes)
	require.Len(t, l.ids, len(ids))
	require.Len(t, l.keys, len(keys))
	for id, m := range l.ids {
		require.True(t, m.Message == id && slices.Contains(l.kept, m), "id %s", id)
	}
	for k, m := range l.keys {
		require.True(t, m.User == k.user && m.Key == k.key && slices.Contains(l.kept, m), "key %v", k)
	}
}

func TestLogIsTheNewestOfASlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		messages := rapid.IntRange(0, 6).Draw(t, "messages")
		bytes := rapid.SampledFrom([]int{0, 300, 1000, 2000, 1 << 20}).Draw(t, "bytes")
		l := New(messages, bytes)
		var all []*Message // everything ever said
		offset := uint64(0)

		// kept is what a log must keep of all: the longest end of it that fits.
		kept := func() []*Message {
			sum := 0
			for i := len(all) - 1; i >= 0; i-- {
				sum += size(all[i])
				if len(all)-i > messages || sum > bytes {
					return all[i+1:]
				}
			}
			return all
		}
		somewhere := func(t *rapid.T) uint64 { return rapid.Uint64Range(0, offset+2).Draw(t, "offset") }
		number := rapid.IntRange(-1, 8)

		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				offset += uint64(rapid.IntRange(1, 3).Draw(t, "offsets passed"))
				m := keyed(offset, rapid.SampledFrom([]string{"kim", "lee"}).Draw(t, "user"), rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "key"))
				m.Data = json.RawMessage(strings.Repeat("1", rapid.IntRange(1, 900).Draw(t, "data bytes")))
				all = append(all, m)
				l.Append(m)
			},
			"since": func(t *rapid.T) {
				o := somewhere(t)
				var want []uint64
				missing := false
				for _, m := range all {
					switch {
					case m.Offset <= o:
					case slices.Contains(kept(), m):
						want = append(want, m.Offset)
					default:
						missing = true
					}
				}
				ms, complete := l.Since(o)
				require.Equal(t, fmt.Sprint(want), fmt.Sprint(offsets(ms)), "Since(%d)", o)
				require.Equal(t, !missing, complete, "Since(%d) complete", o)
			},
			"newest": func(t *rapid.T) {
				n := number.Draw(t, "n")
				want := kept()
				want = want[max(0, len(want)-max(0, n)):]
				require.Equal(t, offsets(want), offsets(l.Newest(n)), "Newest(%d)", n)
			},
			"before": func(t *rapid.T) {
				o, n := somewhere(t), number.Draw(t, "n")
				want := slices.DeleteFunc(slices.Clone(kept()), func(m *Message) bool { return o > 0 && m.Offset >= o })
				from := max(0, len(want)-max(0, n))
				ms, more := l.Before(o, n)
				require.Equal(t, offsets(want[from:]), offsets(ms), "Before(%d, %d)", o, n)
				require.Equal(t, from > 0, more, "Before(%d, %d) more", o, n)
			},
			"by key": func(t *rapid.T) {
				user, k := rapid.SampledFrom([]string{"kim", "lee"}).Draw(t, "user"), rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key")
				var want *Message
				for _, m := range kept() {
					if m.User == user && m.Key == k {
						want = m
					}
				}
				require.Same(t, want, l.ByKey(user, k))
			},
			"": func(t *rapid.T) {
				check(t, l)
				require.Equal(t, len(kept()), l.Len())
				require.LessOrEqual(t, l.Len(), messages)
				require.LessOrEqual(t, l.Bytes(), bytes)
				for _, m := range all {
					if want := slices.Contains(kept(), m); want {
						require.Same(t, m, l.ByID(m.Message))
					} else {
						require.Nil(t, l.ByID(m.Message))
					}
				}
			},
		})
	})
}

func TestForgottenMessagesAreNotPinned(t *testing.T) {
	l := New(4, 1<<20)
	var forgotten []weak.Pointer[Message]
	for o := range uint64(100) {
		m := keyed(o+1, "kim", fmt.Sprint("k", o))
		forgotten = append(forgotten, weak.Make(m))
		l.Append(m)
	}
	runtime.GC()
	runtime.GC()
	for i, p := range forgotten[:96] {
		require.Nil(t, p.Value(), "message %d is reachable", i+1)
	}
	for i, p := range forgotten[96:] {
		require.NotNil(t, p.Value(), "kept message %d", 97+i)
	}
	require.LessOrEqual(t, cap(l.kept), 16, "places for 4 messages")
	runtime.KeepAlive(l)
}

func TestAFullLogAllocatesNextToNothing(t *testing.T) {
	l := New(100, 1<<20)
	ms := make([]*Message, 0, 3000)
	for o := range uint64(cap(ms)) {
		ms = append(ms, keyed(o+1, "kim", fmt.Sprint("k", o)))
	}
	for _, m := range ms[:1000] {
		l.Append(m)
	}
	i := 1000
	perMessage := testing.AllocsPerRun(1, func() {
		for range 500 {
			l.Append(ms[i])
			i++
		}
	}) / 500
	require.Less(t, perMessage, 0.1, "allocations per Append")
}

func BenchmarkAppend(b *testing.B) {
	l := New(100, 1<<20)
	ms := make([]Message, 1<<12)
	for i := range ms {
		ms[i] = *message(uint64(i))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		m := &ms[i%len(ms)]
		m.Offset = uint64(i + 1)
		l.Append(m)
	}
}

// BenchmarkOverhead prints what a kept message costs beside its own bytes: the
// figure behind the constant overhead.
func BenchmarkOverhead(b *testing.B) {
	const n = 10_000
	for b.Loop() {
		payload := 0
		before := heap()
		l := New(n, math.MaxInt)
		for o := range uint64(n) {
			m := &Message{Stamp: protocol.Stamp{Room: "lobby", Offset: o + 1}, User: "kim", Name: "Kim"}
			m.Message, m.Session, m.Key = strings.Clone(fmt.Sprintf("m_%014d", o)), "s", strings.Clone(fmt.Sprintf("k_%014d", o))
			m.Data = make(json.RawMessage, 64)
			payload += len(m.Message) + len(m.Key) + len(m.Data)
			l.Append(m)
		}
		b.ReportMetric(float64(heap()-before-int64(payload))/n, "bytes/message")
		runtime.KeepAlive(l)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
