package actors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rollcall/engine"
	"rollcall/protocol"
)

// types counts frames by their type.
func types(fs []frame) map[string]int {
	n := map[string]int{}
	for _, f := range fs {
		n[f.Type]++
	}
	return n
}

// A storm of n costs members × batches, not members × members: 200 come within
// a second and go within another.
func TestAStormCostsMembersTimesBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, fullMax = 200, 20
		h := open(t, modes(fullMax, 10_000))
		for i := range n {
			h.connect(fmt.Sprint("p", i), "r")
			time.Sleep(time.Second / n)
		}
		time.Sleep(time.Second)
		// Leading edges, and the last one may be cut short.
		const batches = 1000/250 + 2
		for i, p := range h.all {
			fs := p.frames()
			got := types(fs)
			if got["joined"] != 1 || got["join"] > fullMax || got["presence"] > batches || len(fs) > 3+fullMax+batches {
				t.Fatalf("member %d got %v, want no more than %d joins and %d presence", i, got, fullMax, batches)
			}
			known := map[string]bool{}
			for _, f := range fs {
				switch f.Type {
				case "joined":
					for _, m := range f.members() {
						known[m.Session] = true
					}
				case "join":
					known[f.Member.Session] = true
				case "presence":
					for _, j := range f.Joins {
						known[j.Member.Session] = true
					}
				}
			}
			if len(known) != n {
				t.Fatalf("member %d knows %d of %d", i, len(known), n)
			}
		}
		for _, p := range h.all[1:] {
			p.client.Gone(p.wire, protocol.ReasonLost, 0, "")
			time.Sleep(time.Second / n)
		}
		time.Sleep(5 * time.Second)
		got := types(h.all[0].frames())
		if got["presence"] > batches || got["presence"] == 0 || got["leave"] > fullMax || got["mode"] != 1 {
			t.Errorf("who stays got %v", got)
		}
		if st := h.sys.Stats(); st.RoomsByMode[0].Load() != 1 || st.RoomsByMode[1].Load() != 0 {
			t.Errorf("the room is not back in mode full")
		}
	})
}

// All who join in one window share one list, which is encoded once.
func TestAStormEncodesItsListOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 100
		h := open(t, modes(0, 10_000))
		rosters := map[*protocol.Roster]int{}
		h.encoding = &spy{func(m protocol.Message) {
			if j, ok := m.(*protocol.Joined); ok && len(j.Members) > 2 {
				rosters[j.Roster]++
			}
		}}
		for i := range n {
			h.connect(fmt.Sprint("p", i), "r")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if len(rosters) != 1 || rosters[nil] != 0 {
			t.Errorf("%d snapshots in %d lists", n, len(rosters))
		}
		h.inside("r", func(r *room) {
			if r.roster != nil {
				t.Error("the list is held though nobody needs it")
			}
		})
	})
}

// spy is an Encoding that shows what it encodes.
type spy struct{ see func(protocol.Message) }

func (s *spy) Append(b []byte, m protocol.Message) []byte {
	s.see(m)
	return lines{}.Append(b, m)
}

// When everybody loses the connection at once and comes back at once, it costs
// members × batches, too; and nobody has left.
func TestEverybodyResumesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 200
		h := open(t, func(o *Options) {
			modes(20, 10_000)(o)
			o.Rules.ResumeWindow = 10 * time.Second
		})
		for i := range n {
			h.connect(fmt.Sprint("p", i), "r")
		}
		time.Sleep(5 * time.Second)
		for _, p := range h.all {
			p.frames()
			p.client.Gone(p.wire, protocol.ReasonLost, 0, "")
		}
		time.Sleep(3 * time.Second)
		for _, p := range h.all {
			if !p.resume(p.token, "r") {
				t.Fatalf("%s may not resume", p.name)
			}
		}
		time.Sleep(5 * time.Second)
		for i, p := range h.all {
			fs := p.frames()
			if got := types(fs); got["joined"] != 1 || got["presence"] > 4 || len(fs) != 2+got["presence"] {
				t.Fatalf("member %d got %v", i, got)
			}
			for _, f := range fs {
				if len(f.Leaves)+len(f.Joins) > 0 {
					t.Fatalf("member %d saw somebody come or go: %s", i, f)
				}
			}
		}
	})
}

// ownOf is how much waits for single targets.
func ownOf(f *fanout) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.own
}

// Those who join in one window are let in a few at a time: the snapshots that
// wait to be written are bounded. What happens meanwhile is told to all, once.
func TestSnapshotsOfAStormAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 120
		h := open(t, modes(0, 10_000))
		h.sys.apart = true
		data := `{"data":"` + strings.Repeat("x", 4000) + `"}`
		first := h.connect("p0")
		first.do(say("join r " + data))
		time.Sleep(time.Second)
		release := first.block() // the writer stands still
		for i := range n {
			p := h.connect(fmt.Sprint("p", i+1))
			p.do(say("join r " + data))
		}
		time.Sleep(time.Second)
		bounded := func() {
			t.Helper()
			h.inside("r", func(r *room) {
				if own := ownOf(r.fans[0]); own > 2*ownBytes {
					t.Errorf("%d bytes of snapshots wait", own)
				}
				if !r.stuck || len(r.arrivals) == 0 {
					t.Error("nobody waits: the test tests nothing")
				}
			})
		}
		bounded()
		late := h.connect("late", "r") // waits behind them
		first.do(say("update r 1"))
		time.Sleep(time.Second)
		bounded()
		h.inside("r", func(r *room) {
			if last, ok := r.queue[len(r.queue)-1].(*enter); !ok || last.visit.client != late.client {
				t.Errorf("%d wait, and who came last is not the last of them", len(r.queue))
			}
		})
		release()
		time.Sleep(5 * time.Second)
		h.inside("r", func(r *room) {
			if r.stuck || len(r.arrivals)+len(r.queue) != 0 || len(r.seats) != n+2 || ownOf(r.fans[0]) != 0 {
				t.Errorf("stuck %v, %d wait, %d are in, %d bytes wait", r.stuck, len(r.arrivals)+len(r.queue), len(r.seats), ownOf(r.fans[0]))
			}
		})
		for _, p := range h.all {
			offset := uint64(0)
			for _, f := range p.frames() {
				switch {
				case f.Type == "joined" && offset == 0, f.Type == "presence" && f.From == offset+1:
					offset = f.Offset
				case f.Type != "welcome":
					t.Fatalf("%s: %s@%d-%d after %d", p.name, f.Type, f.From, f.Offset, offset)
				}
			}
			if offset != n+3 {
				t.Fatalf("%s is at %d, want %d", p.name, offset, n+3)
			}
		}
		if h.owed() != 0 || late.client.arriving != nil {
			t.Errorf("%d owed", h.owed())
		}
	})
}

// One Presence is about as long as it may be: more is told in another.
func TestAPresenceIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 80 // of 4 KB each
		h := open(t, modes(0, 10_000))
		ann := h.connect("ann", "r")
		synctest.Wait()
		for i := range n {
			h.connect(fmt.Sprint("p", i)).do(say(`join r {"data":"` + strings.Repeat("x", 4000) + `"}`))
		}
		time.Sleep(time.Second)
		ann.mu.Lock()
		defer ann.mu.Unlock()
		frames := 0
		for line := range bytes.Lines(ann.text) {
			if len(line) > presenceBytes+8<<10 {
				t.Errorf("a frame of %d bytes", len(line))
			}
			if bytes.HasPrefix(line, []byte(`{"type":"presence"`)) {
				frames++
			}
		}
		if want := n*4000/presenceBytes + 1; frames != want {
			t.Errorf("%d frames for %d KB, want %d", frames, n*4, want)
		}
	})
}

// A room that ends takes those along whose join is told and whose snapshot is
// not: they are refused, and every join has its leave.
func TestARoomEndsBeforeItsJoinsAreTold(t *testing.T) {
	for _, c := range []struct {
		name string
		late bool
	}{{"at once", false}, {"with a late engine", true}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := open(t, func(o *Options) {
					modes(0, 100)(o)
					if c.late {
						o.Engine = &lateEngine{Engine: o.Engine, delay: time.Millisecond}
					}
				})
				h.connect("ann", "r")
				time.Sleep(10 * time.Millisecond)
				h.by["ann"].frames()
				kim := h.connect("kim")
				kim.do(say("join#1 r"))
				zoe := h.connect("zoe")
				zoe.do(say("join#1 r"))
				zoe.do(say("leave#2 r"))
				h.by["ann"].do(say("update r 1"))
				time.Sleep(10 * time.Millisecond)
				h.by["ann"].do(say("join#3 r"))
				time.Sleep(10 * time.Millisecond)
				for range 4 {
					h.sys.Inject("r", "", func() { panic("provoked") })
				}
				synctest.Wait()
				got := map[string][]string{}
				for _, p := range h.all {
					for _, f := range p.frames() {
						got[p.name] = append(got[p.name], f.Type)
					}
				}
				want := map[string][]string{
					// what was collected, its leave, and that the snapshot does not come
					"ann": {"presence", "error", "leave"}, "kim": {"welcome", "error"}, "zoe": {"welcome", "error", "error"},
				}
				for name := range want {
					slices.Sort(got[name])
					slices.Sort(want[name])
					if !slices.Equal(got[name], want[name]) {
						t.Errorf("%s got %v, want %v", name, got[name], want[name])
					}
				}
				st, left := h.sys.Stats(), uint64(0)
				for i := range st.Leaves {
					left += st.Leaves[i].Load()
				}
				if st.Joins.Load() != 3 || left != 3 || h.owed() != 0 || st.RoomsByMode[1].Load() != 0 {
					t.Errorf("%d joins, %d leaves, %d owed, %d rooms", st.Joins.Load(), left, h.owed(), st.RoomsByMode[1].Load())
				}
				h.log.Reset()
			})
		})
	}
}

// A room that panics while it tells what it has collected goes on: who waits
// for it is let in, and the others see that they missed something.
func TestARoomPanicsOverAPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, modes(0, 100))
		fuse := 0
		h.encoding = &spy{func(m protocol.Message) {
			if _, ok := m.(*protocol.Presence); ok && fuse > 0 {
				fuse--
				panic("provoked")
			}
		}}
		h.play(`
			ann connect r
			ann < (2)`)
		fuse = 1
		h.play(`
			kim connect
			kim > join#1 r
			zoe connect r
			wait 250ms
			kim < welcome
			kim < joined#1 r@3 batch [ann kim zoe]
			zoe < welcome
			zoe < joined r@3 batch [ann kim zoe]
			wait 1s
			kim > update r 1
			# 2 and 3 are missing for ann
			ann < presence r@4-4 ~kim1 3/3
			kim < presence r@4-4 ~kim1 3/3
			zoe < presence r@4-4 ~kim1 3/3`)
		if n := h.sys.Stats().Failures[1].Load(); n != 1 {
			t.Errorf("%d failures of the room, want 1", n)
		}
	})
}

// An engine that tells a big room to start over: what was collected is void,
// and who waits is let in, or refused where the snapshot does not know it.
func TestEngineResetsABigRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tap := &tapEngine{}
		h := open(t, func(o *Options) {
			tiny(o)
			o.Modes.FullMax = 0
			tap.Engine, o.Engine = o.Engine, tap
		})
		h.play(`
			ann connect r
			settle
			kim connect r
			settle
			zoe connect r
			ann > update r 1
			settle
			ann < (2)
			kim < welcome
			zoe < welcome`)
		snapshot := engine.Snapshot{Position: protocol.Position{Epoch: "other", Offset: 10}}
		for _, name := range []string{"ann", "kim"} {
			snapshot.Members = append(snapshot.Members, protocol.Member{
				Session: h.by[name].client.id, User: name, Name: name, State: protocol.StateActive,
			})
		}
		tap.sink.Reset(snapshot)
		h.play(`
			ann < joined r@10 batch [ann kim]
			kim < joined r@10 batch [ann kim]
			zoe < error unavailable r`)
		for i := range 5 {
			snapshot.Members = append(snapshot.Members, protocol.Member{Session: fmt.Sprint("s_", i), User: "far", Name: "far"})
		}
		snapshot.Position.Offset = 20
		h.play(`
			ann > members#1 r {"limit":1}
			ann < members#1 [ann] 2/2 more`)
		tap.sink.Reset(snapshot)
		h.play(`
			ann < joined r@20 count 7/3
			kim < joined r@20 count 7/3
			# the same epoch, and another count of members
			ann > members#1 r {"limit":1,"cursor":"$NEXT"}
			ann < error#1 bad_request r`)
	})
}

// Everything a room tells in another way has its frame in the statistics, and
// its mode where others look for it.
func TestModesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, modes(1, 2))
		mode := func(want protocol.Mode, rooms [3]int64) {
			t.Helper()
			info, err := h.sys.Room(t.Context(), "r")
			if err != nil || info.Mode != want {
				t.Errorf("the room is %+v, %v, want mode %s", info, err, want)
			}
			for i, n := range rooms {
				if got := h.sys.Stats().RoomsByMode[i].Load(); got != n {
					t.Errorf("%d rooms of mode %s, want %d", got, RoomModes[i], n)
				}
			}
		}
		join := func(name string) {
			h.connect(name, "r")
			time.Sleep(time.Second)
		}
		join("ann")
		mode("full", [3]int64{1, 0, 0})
		join("bob")
		mode("batch", [3]int64{0, 1, 0})
		join("kim")
		mode("count", [3]int64{0, 0, 1})
		join("zoe")
		for _, p := range h.all {
			p.client.Gone(p.wire, protocol.ReasonLost, 0, "")
		}
		time.Sleep(5 * time.Second) // the leaves were a storm
		mode("full", [3]int64{1, 0, 0})
		st := h.sys.Stats()
		if n := st.PresenceFrames[0].Load(); n != 1 || st.Collected.Load() != 1 {
			t.Errorf("%d presence for %d changes, want one for the third join", n, st.Collected.Load())
		}
		if n := st.PresenceFrames[1].Load(); n < 2 {
			t.Errorf("%d occupancy, want that of the fourth join and of the leaves", n)
		}
		if n := len(h.log.events("mode")); n != int(st.PresenceFrames[2].Load()) || n < 3 {
			t.Errorf("%d lines of mode, %d frames", n, st.PresenceFrames[2].Load())
		}
		time.Sleep(2 * time.Minute)
		for i := range st.RoomsByMode {
			if n := st.RoomsByMode[i].Load(); n != 0 {
				t.Errorf("%d rooms of mode %s are left", n, RoomModes[i])
			}
		}
	})
}

// A message to a room of mode count is one frame for all, whoever joined since
// the last; each has its own prev all the same.
func TestCountModeSharesItsMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, modes(0, 0))
		h.sys.apart = true
		h.connect("p0", "r")
		synctest.Wait()
		release := h.all[0].block() // so that nothing is written meanwhile
		h.connect("p1", "r").do(say("publish r 0"))
		synctest.Wait()
		before := int64(0)
		for i := range 50 {
			h.connect(fmt.Sprint("q", i), "r")
		}
		synctest.Wait()
		h.inside("r", func(r *room) { before = int64(r.fans[0].own) })
		text, err := json.Marshal(strings.Repeat("x", 30<<10))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.sys.Post(t.Context(), Post{Room: "r", User: "api", Data: text}); err != nil {
			t.Fatal(err)
		}
		h.inside("r", func(r *room) {
			if own := int64(r.fans[0].own) - before; own <= 0 || own > 52*120 {
				t.Errorf("%d bytes for the prevs of 52", own)
			}
		})
		release()
		synctest.Wait()
		for _, p := range h.all {
			offset := uint64(0)
			for _, f := range p.frames() {
				prev := f.Prev
				if prev == 0 {
					prev = f.Offset - 1
				}
				switch {
				case f.Type == "joined":
					offset = f.Offset
				case f.Type == "message" && prev == offset, f.Type == "occupancy" && f.Offset >= offset:
					offset = f.Offset
				case f.Type != "welcome":
					t.Fatalf("%s: %s after %d", p.name, f.Type, offset)
				}
			}
		}
	})
}

// A join again that comes from a connection which has ended meanwhile gets no
// snapshot, and so no variant of the next message.
func TestAJoinAgainFromAConnectionThatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, modes(0, 0))
		kim := h.connect("kim", "r")
		kim.do(say("update r 1"))
		synctest.Wait()
		h.inside("r", func(r *room) {
			s := r.seats[kim.client.id]
			r.depart(s)
			r.rejoin(&command{Command: &protocol.Join{}, visit: s.visit, conn: &wire{}})
			if len(r.fresh) != 0 || !s.away {
				t.Errorf("away: %t, and %d are told apart", s.away, len(r.fresh))
			}
		})
	})
}
