package actors

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/asynkron/protoactor-go/actor"

	"rollcall/engine/local"
	"rollcall/internal/logs"
	"rollcall/protocol"
)

// BenchmarkTimeline is what the timeline costs each of 10,000 members in 100
// rooms: at rest, which is who joined and nothing more, or fell idle; and where
// more happened, which is ten times idle and back, or that all have left. It is
// what is freed with the timelines, and the past in each seat.
func BenchmarkTimeline(b *testing.B) {
	const members, rooms = 10_000, 100
	class := func(size uintptr) float64 { return float64(cap(append([]byte(nil), make([]byte, size)...))) }
	past := class(unsafe.Sizeof(seat{})) - class(unsafe.Sizeof(seat{})-unsafe.Sizeof(past{}))
	// within runs f in the lobby, for a room of "", or in a room, and waits.
	within := func(s *System, room string, f func(actor.Actor)) {
		done := make(chan struct{})
		s.inject(room, "", func(a actor.Actor) {
			f(a)
			close(done)
		})
		<-done
	}
	name := func(i int) string { return fmt.Sprint("r", i%rooms) }
	inside := func(s *System, f func(*room)) {
		for i := range rooms {
			within(s, name(i), func(a actor.Actor) { f(a.(*room)) })
		}
	}
	weigh := func(then func(*System, []*Client)) float64 {
		lg, err := logs.New(io.Discard, logs.Options{Format: "json", Level: "warn"})
		if err != nil {
			b.Fatal(err)
		}
		s := New(Options{
			Engine: local.New(local.Options{Messages: 100, Bytes: 1 << 20}), Log: lg, Timeline: 1000, Linger: time.Hour,
			Rules: Rules{IdleAfter: time.Hour},
		})
		cs := fill(s, members, name)
		then(s, cs)
		with := heap()
		inside(s, func(r *room) { r.timeline = nil })
		within(s, "", func(a actor.Actor) {
			for _, e := range a.(*lobby).rooms {
				e.timeline = nil
			}
		})
		bytes := float64(with-heap()) / members
		runtime.KeepAlive(cs)
		if err := s.Stop(context.Background()); err != nil {
			b.Error(err)
		}
		return bytes
	}
	// turns has every member fall idle and come back, in turn.
	turns := func(n int) func(*System, []*Client) {
		return func(s *System, _ []*Client) {
			for i := range n {
				state := []protocol.State{protocol.StateIdle, protocol.StateActive}[i%2]
				inside(s, func(r *room) {
					for _, m := range r.seats {
						s.root.Send(r.self, &restate{m.visit, state})
					}
				})
			}
			inside(s, func(*room) {})
		}
	}
	for b.Loop() {
		for _, row := range []struct {
			unit string
			past float64
			then func(*System, []*Client)
		}{
			{"B/joined", past, turns(0)},
			{"B/idle", past, turns(1)},
			{"B/ten-times-idle", past, turns(20)},
			{"B/left", 0, func(s *System, cs []*Client) {
				for _, c := range cs {
					c.End(protocol.ReasonKicked, protocol.CloseKicked, "")
				}
				for left := members; left > 0; {
					left = 0
					inside(s, func(r *room) { left += len(r.seats) })
				}
			}},
		} {
			b.ReportMetric(weigh(row.then)+row.past, row.unit)
		}
		b.ReportMetric(past, "B/past")
	}
}
