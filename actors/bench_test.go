package actors

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rollcall/engine/local"
	"rollcall/internal/logs"
	"rollcall/presence"
	"rollcall/protocol"
)

// simulated is a Connection that counts what it would send. It waits for
// nothing and keeps nothing.
type simulated struct {
	bytes atomic.Int64
	wants []byte        // tells of the first frame with these bytes
	came  chan struct{} // nil: nobody waits for it
}

func (s *simulated) Write(b []byte, _ int) {
	s.bytes.Add(int64(len(b)))
	if s.came != nil && bytes.Contains(b, s.wants) {
		s.came <- struct{}{}
	}
}
func (*simulated) Close(uint16, string) {}
func (*simulated) Pause()               {}
func (*simulated) Soon(f func())        { go f() }
func (*simulated) Resume()              {}

func benchSystem(b *testing.B) *System {
	b.Helper()
	lg, err := logs.New(io.Discard, logs.Options{Format: "json", Level: "warn"})
	if err != nil {
		b.Fatal(err)
	}
	s := New(Options{Engine: local.New(local.Options{Messages: 100, Bytes: 1 << 20}), Log: lg, Rules: Rules{IdleAfter: 5e11, DisconnectAfter: 30e11}})
	b.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return s
}

// fill joins n clients to their rooms and waits until all are in.
func fill(s *System, n int, room func(i int) string) []*Client {
	var in sync.WaitGroup
	cs := make([]*Client, n)
	const crowd = 1000 // at a time: what is on its way is not what is measured
	for i := range cs {
		name := fmt.Sprintf("user%07d", i)
		conn := &first{in: &in}
		cs[i] = s.Connect(ClientOptions{Connection: conn, Encoding: lines{}, User: name, Name: name})
		in.Add(1)
		cs[i].Start(conn, []string{room(i)})
		if i%crowd == crowd-1 {
			in.Wait()
		}
	}
	in.Wait()
	return cs
}

// BenchmarkJoinStorm lets members into one room, all at once, and out again: by
// the default modes, and with every change told by itself.
func BenchmarkJoinStorm(b *testing.B) {
	for _, c := range []struct {
		name    string
		members int
		modes   presence.Modes
	}{
		{"modes", 2000, presence.Modes{FullMax: 200, ListMax: 5000, Interval: 250 * time.Millisecond}},
		{"modes", 10_000, presence.Modes{FullMax: 200, ListMax: 5000, Interval: 250 * time.Millisecond}},
		{"full", 2000, presence.Modes{}},
	} {
		b.Run(fmt.Sprintf("%s/members=%d", c.name, c.members), func(b *testing.B) {
			var frames, bytes, batches float64
			for b.Loop() {
				s := benchSystem(b)
				s.o.Modes = c.modes
				var in sync.WaitGroup
				in.Add(c.members)
				clients, conns := make([]*Client, c.members), make([]*first, c.members)
				for i := range clients {
					name := fmt.Sprintf("user%07d", i)
					conns[i] = &first{in: &in}
					clients[i] = s.Connect(ClientOptions{Connection: conns[i], Encoding: lines{}, User: name, Name: name})
					clients[i].Start(conns[i], []string{"r"})
				}
				in.Wait()
				for i, client := range clients {
					client.Gone(conns[i], protocol.ReasonClosed, 1001, "")
				}
				for s.stats.Members.Load() > 0 {
					runtime.Gosched()
				}
				if err := s.Stop(context.Background()); err != nil {
					b.Fatal(err)
				}
				for _, conn := range conns {
					bytes += float64(conn.bytes)
				}
				frames += float64(s.stats.Deliveries.Load())
				batches += float64(s.stats.PresenceFrames[0].Load())
			}
			n := float64(b.N)
			b.ReportMetric(frames/n, "frames")
			b.ReportMetric(bytes/n/1e6, "MB")
			b.ReportMetric(batches/n, "batches")
		})
	}
}

// first tells of the first joined, and counts bytes.
type first struct {
	in    *sync.WaitGroup
	bytes int
}

func (f *first) Write(b []byte, _ int) {
	f.bytes += len(b)
	if f.in != nil && bytes.HasPrefix(b, []byte(`{"type":"joined"`)) {
		f.in.Done()
		f.in = nil
	}
}
func (*first) Close(uint16, string) {}
func (*first) Pause()               {}
func (*first) Soon(f func())        { go f() }
func (*first) Resume()              {}

// BenchmarkPublish is one message from the client's goroutine through session
// and room to ten members, and the answer.
func BenchmarkPublish(b *testing.B) {
	s := benchSystem(b)
	fill(s, 9, func(int) string { return "r" })
	w := &simulated{wants: []byte(`{"type":"ok"`), came: make(chan struct{}, 1)}
	c := s.Connect(ClientOptions{Connection: w, Encoding: lines{}, User: "kim"})
	c.Start(w, []string{"r"})
	b.ReportAllocs()
	data := []byte(`{"text":"it is about a hundred bytes that people write to each other on average, they say"}`)
	for b.Loop() {
		c.Do(w, &protocol.Publish{Request: protocol.Request{ID: 1, Room: "r"}, Data: data}, 150)
		<-w.came
	}
}

// BenchmarkJoinLeave is one visit to a room of 10,000: its snapshot is
// written once, its join and its leave 10,000 times.
func BenchmarkJoinLeave(b *testing.B) {
	s := benchSystem(b)
	fill(s, 10000, func(int) string { return "r" })
	w := &simulated{wants: []byte(`{"type":"ok"`), came: make(chan struct{}, 1)}
	c := s.Connect(ClientOptions{Connection: w, Encoding: lines{}, User: "kim"})
	c.Start(w, nil)
	before := w.bytes.Load()
	b.ReportAllocs()
	for b.Loop() {
		c.Do(w, &protocol.Join{Request: protocol.Request{Room: "r"}}, 30)
		c.Do(w, &protocol.Leave{Request: protocol.Request{ID: 1, Room: "r"}}, 30)
		<-w.came
	}
	b.ReportMetric(float64(w.bytes.Load()-before)/float64(b.N), "snapshot-bytes/op")
}

// BenchmarkIdleSession is what a session costs that does nothing: 100,000 in
// 1,000 rooms, connections simulated.
func BenchmarkIdleSession(b *testing.B) {
	const sessions, rooms = 100_000, 1000
	for b.Loop() {
		s := benchSystem(b)
		before := heap()
		cs := fill(s, sessions, func(i int) string { return fmt.Sprint("room", i%rooms) })
		b.ReportMetric(float64(heap()-before)/sessions, "bytes/session")
		runtime.KeepAlive(cs)
	}
}

func heap() int64 {
	for range 3 {
		debug.FreeOSMemory()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
