package actors

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"rollcall/protocol"
)

// crowdedRoom is a room r into which nobody comes for now: release lets them in.
func crowdedRoom(t *testing.T, queue int) (h *house, release func()) {
	h = open(t, func(o *Options) { o.Limits.RoomQueue = queue })
	h.sys.apart = true
	data := `{"data":"` + strings.Repeat("x", 4000) + `"}`
	first := h.connect("p0")
	first.do(say("join r " + data))
	synctest.Wait()
	release = sync.OnceFunc(first.block()) // the writer stands still
	t.Cleanup(release)
	for i := 0; h.waiting() == 0; i++ {
		if i == 100 {
			t.Fatal("the room is not crowded")
		}
		h.connect(fmt.Sprint("p", i+1)).do(say("join r " + data))
	}
	return h, release
}

// waiting is how many wait to join r.
func (h *house) waiting() (n int) {
	synctest.Wait()
	h.inside("r", func(r *room) { n = len(r.queue) })
	return n
}

// Who would wait behind too many is sent away if it came for this room alone,
// and told when to come back, each at another time. Who is elsewhere stays
// there. Those who waited before get in.
func TestRoomShedsJoinsOverItsQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const queue, more = 5, 20
		h, release := crowdedRoom(t, queue)
		elsewhere := h.connect("ann", "other")
		elsewhere.frames()
		var waiting []*person
		for h.waiting() < queue {
			p := h.connect(fmt.Sprint("w", len(waiting)), "r", "next")
			waiting = append(waiting, p)
		}
		members := len(h.all) // of r, when all is over

		after := map[int64]bool{}
		for i := range more {
			p := h.connect(fmt.Sprint("late", i), "r", "next")
			fs := p.frames()
			if len(fs) != 2 || fs[1].String() != "bye 4004 overloaded" || !fs[1].Reconnect || p.closed() != uint16(protocol.CloseOverloaded) {
				t.Fatalf("got %v, closed with %d", fs, p.closed())
			}
			if ms := fs[1].AfterMS; ms < shedAfter.Milliseconds() || ms > (shedAfter+shedSpread).Milliseconds() {
				t.Errorf("after_ms is %d", ms)
			}
			after[fs[1].AfterMS] = true
		}
		if len(after) < more/2 {
			t.Errorf("%d clients come back at %d times", more, len(after))
		}
		elsewhere.do(say("join#7 r"))
		if fs := elsewhere.frames(); len(fs) != 1 || fs[0].String() != "error#7 unavailable r" {
			t.Errorf("who is in another room got %v", fs)
		}
		if elsewhere.closed() != 0 {
			t.Errorf("who is in another room was closed with %d", elsewhere.closed())
		}
		if n := h.waiting(); n != queue {
			t.Errorf("%d wait, %d may", n, queue)
		}
		if n := h.sys.stats.JoinsShed.Load(); n != more+1 {
			t.Errorf("%d are counted, %d were shed", n, more+1)
		}

		release()
		for _, p := range waiting {
			if fs := p.frames(); len(fs) < 3 || fs[1].Type != "joined" || fs[1].Room != "r" {
				t.Errorf("who waited got %v", fs)
			}
		}
		elsewhere.do(say("join#8 r"))
		synctest.Wait()
		if fs := elsewhere.frames(); len(fs) == 0 || fs[0].Type != "joined" || fs[0].ID != 8 {
			t.Errorf("a second try got %v", fs)
		}
		if n, want := int(h.sys.stats.Members.Load()), members+len(waiting)+1; n != want { // who waited is in next, too; ann in other
			t.Errorf("%d members, want %d", n, want)
		}
		if n := h.sys.stats.Failures[1].Load(); n != 0 {
			t.Errorf("the room failed %d times", n)
		}
		if h.owed() != 0 {
			t.Errorf("%d owed", h.owed())
		}
	})
}

// A member that asks for a fresh snapshot is refused likewise, and stays.
func TestRoomShedsFreshSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, release := crowdedRoom(t, 3)
		member := h.by["p1"]
		for i := range 5 {
			member.do(say(fmt.Sprintf("join#%d r", i+1)))
		}
		refused := func() (n int) {
			for _, f := range member.frames() {
				if f.Type == "error" && f.String() == fmt.Sprintf("error#%d unavailable r", f.ID) {
					n++
				}
			}
			return n
		}
		if n := refused(); n != 3 { // one waited, and two more had room
			t.Errorf("%d were refused", n)
		}
		release()
		synctest.Wait()
		if member.closed() != 0 || h.owed() != 0 {
			t.Errorf("closed with %d, %d owed", member.closed(), h.owed())
		}
	})
}
