package local

import (
	"encoding/json"
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"rollcall/engine"
	"rollcall/engine/conformance"
	"rollcall/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	conformance.Run(t, func(*testing.T) engine.Engine {
		return New(Options{Messages: conformance.Kept, Bytes: 1 << 20, Bans: conformance.Barred})
	})
}

// TestConformanceOfAnEngineThatTakesItsTime shows that the suite, and so the
// contract, has room for engines that are nothing like this one.
func TestConformanceOfAnEngineThatTakesItsTime(t *testing.T) {
	conformance.Run(t, func(*testing.T) engine.Engine {
		return &lateEngine{inner: New(Options{Messages: conformance.Kept, Bytes: 1 << 20, Bans: conformance.Barred}), rooms: map[string]*lateRoom{}}
	})
}

func TestAnEngineThatKeepsNothingStillOrders(t *testing.T) {
	for _, o := range []Options{{}, {Messages: 5}, {Bytes: 1 << 20}, {Messages: -1, Bytes: -1}} {
		r, _, err := New(o).Open("lobby", nil)
		require.NoError(t, err)
		for i := range uint64(3) { // without a history no repeat is known
			out, settled := r.Propose(&engine.Proposal{Kind: engine.Message, ID: "m", User: "ann", Key: "k", Data: json.RawMessage(`1`)})
			require.True(t, settled)
			require.NoError(t, out.Err)
			require.False(t, out.Repeat)
			require.Equal(t, i+1, out.Event.Offset)
		}
		require.Empty(t, r.Newest(9))
		ms, recovered := r.Since(protocol.Position{Epoch: r.Position().Epoch, Offset: 3})
		require.Empty(t, ms)
		require.True(t, recovered, "up to date")
		_, recovered = r.Since(protocol.Position{Epoch: r.Position().Epoch, Offset: 2})
		require.False(t, recovered, "one lost")
	}
}

func TestEveryOpeningIsANewEpoch(t *testing.T) {
	e := New(Options{Messages: 5, Bytes: 1 << 20})
	seen := map[string]bool{}
	for range 100 {
		r, s, err := e.Open("lobby", nil)
		require.NoError(t, err)
		require.False(t, seen[s.Position.Epoch])
		require.Zero(t, s.Position.Offset)
		require.Empty(t, s.Members)
		seen[s.Position.Epoch] = true
		r.Close()
	}
}

func TestOffsetsAreDense(t *testing.T) {
	r, _, err := New(Options{}).Open("lobby", nil)
	require.NoError(t, err)
	for i := range uint64(100) {
		o, _ := r.Propose(&engine.Proposal{Kind: engine.Message})
		require.Equal(t, i+1, o.Event.Offset)
		require.Equal(t, i, o.Event.Prev)
		require.Zero(t, o.Event.Stamp("lobby").Prev, "the wire leaves it out")
	}
}

// TestFenceFollowsWhoIsInside: a room that has been a crowd must not keep the
// memory of one.
func TestFenceFollowsWhoIsInside(t *testing.T) {
	const crowd = 50_000
	ps := visits(crowd)
	opened, _, err := New(Options{}).Open("lobby", nil)
	require.NoError(t, err)
	r := opened.(*room)
	before := heap()
	for i := range ps {
		r.Propose(&ps[i])
	}
	full := heap() - before
	for i := range ps[10:] {
		p := ps[10+i]
		p.Kind = engine.Leave
		o, _ := r.Propose(&p)
		require.NoError(t, o.Err)
	}
	left := heap() - before
	require.Len(t, r.inside, 10)
	require.Less(t, left, full/50, "bytes held for 10 inside; %d for %d", full, crowd)
	runtime.KeepAlive(ps)
}

func TestProposingAllocatesNothingButTheMessage(t *testing.T) {
	r, _, err := New(Options{Messages: 100, Bytes: 1 << 20}).Open("lobby", nil)
	require.NoError(t, err)
	for _, p := range visits(100) {
		r.Propose(&p)
	}
	update := &engine.Proposal{Kind: engine.Update, Session: "s1", User: "u1", State: protocol.StateIdle}
	require.Zero(t, testing.AllocsPerRun(1000, func() { r.Propose(update) }), "of an update")
	leave := &engine.Proposal{Kind: engine.Leave, Session: "s1", User: "u1"}
	join := &engine.Proposal{Kind: engine.Join, Session: "s1", User: "u1"}
	require.Zero(t, testing.AllocsPerRun(1000, func() { r.Propose(leave); r.Propose(join) }), "of a leave and a join")
	fenced := &engine.Proposal{Kind: engine.Message, Session: "nobody"}
	require.Zero(t, testing.AllocsPerRun(1000, func() { r.Propose(fenced) }), "of a refusal")
}

// visits are the joins of n sessions, s0, s1, …
func visits(n int) []engine.Proposal {
	ps := make([]engine.Proposal, n)
	for i := range ps {
		ps[i] = engine.Proposal{Kind: engine.Join, Session: fmt.Sprint("s", i), User: fmt.Sprint("u", i), State: protocol.StateActive}
	}
	return ps
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkMessage is a message of a member into a full history.
func BenchmarkMessage(b *testing.B) {
	for _, key := range []bool{false, true} {
		b.Run(fmt.Sprintf("key=%v", key), func(b *testing.B) {
			r, _, err := New(Options{Messages: 100, Bytes: 1 << 20}).Open("lobby", nil)
			require.NoError(b, err)
			for _, p := range visits(1000) {
				r.Propose(&p)
			}
			ps := make([]engine.Proposal, 4096)
			for i := range ps {
				ps[i] = engine.Proposal{
					Kind: engine.Message, ID: fmt.Sprintf("m_%014d", i), Session: fmt.Sprint("s", i%1000), User: fmt.Sprint("u", i%1000),
					Data: make(json.RawMessage, 100),
				}
				if key {
					ps[i].Key = fmt.Sprint("k", i)
				}
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if o, _ := r.Propose(&ps[i%len(ps)]); o.Err != nil || o.Repeat {
					b.Fatalf("%+v", o)
				}
			}
		})
	}
}

func BenchmarkJoinLeave(b *testing.B) {
	r, _, err := New(Options{Messages: 100, Bytes: 1 << 20}).Open("lobby", nil)
	require.NoError(b, err)
	ps := visits(10_000)
	for i := range ps {
		r.Propose(&ps[i])
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		p := &ps[i%len(ps)]
		p.Kind = engine.Leave
		r.Propose(p)
		p.Kind = engine.Join
		r.Propose(p)
	}
}

// BenchmarkFenceMemory prints the bytes that a session inside costs the fence,
// its strings not counted: a map is between half full and full, so at several
// sizes.
func BenchmarkFenceMemory(b *testing.B) {
	for _, n := range []int{10, 100, 10_000, 100_000, 140_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			ps := visits(n)
			rooms := max(1, 1000/n)
			for b.Loop() {
				e := New(Options{})
				opened := make([]engine.Room, rooms)
				for i := range opened {
					opened[i], _, _ = e.Open(fmt.Sprint("room", i), nil)
				}
				before := heap()
				for _, r := range opened {
					for i := range ps {
						r.Propose(&ps[i])
					}
				}
				b.ReportMetric(float64(heap()-before)/float64(n*rooms), "bytes/session")
				runtime.KeepAlive(opened)
			}
			runtime.KeepAlive(ps)
		})
	}
}
