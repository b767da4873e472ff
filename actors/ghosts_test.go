package actors

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"rollcall/protocol"
)

// Each row makes one kind of ghost on purpose. The first audit that sees it
// only takes note; the second repairs it with a reason, counts it and warns.
func TestAuditFindsAndRepairs(t *testing.T) {
	for _, c := range []struct {
		name   string
		haunt  func(r *room, p *person)
		what   string
		script string // what is seen of the repair
	}{
		{"a member without a seat", func(r *room, p *person) {
			delete(r.seats, p.client.id)
		}, "a member without a seat", `
			ann < leave r@3 kim failed last
			kim < bye 4003 failed`},
		{"a seat without a member", func(r *room, p *person) {
			r.present.Leave(p.client.id)
			r.recount()
		}, "a seat without a member", `
			ann < leave r@3 kim failed last
			kim < leave r@3 kim failed last`},
		{"a connection that ended, and nobody heard", func(r *room, p *person) {
			p.client.mu.Lock()
			defer p.client.mu.Unlock()
			p.client.ended.Store(true)
		}, "a member whose connection ended", `
			ann < leave r@3 kim lost last
			kim < leave r@3 kim lost last`},
		{"a session actor that is gone", func(r *room, p *person) {
			s := r.seats[p.client.id]
			s.session = actor.NewPID("nonhost", "lobby/r.1/"+p.client.id+".99")
			s.dead = true
		}, "a member without a session actor", `
			ann < leave r@3 kim failed last
			kim < leave r@3 kim failed last`},
		{"a client that knows nothing of its seat", func(r *room, p *person) {
			p.client.mu.Lock()
			defer p.client.mu.Unlock()
			p.client.visits = nil
		}, "a member whose client knows nothing of it", `
			ann < leave r@3 kim failed last
			kim < leave r@3 kim failed last`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := open(t, func(o *Options) { o.Audit = time.Minute })
				h.play(`
					ann connect r
					settle
					kim connect r
					ann < (3)
					kim < (2)
					wait 30s`)
				h.inside("r", func(r *room) { c.haunt(r, h.by["kim"]) })
				h.play(`wait 31s`)
				if n := h.sys.Stats().Ghosts.Load(); n != 0 {
					t.Errorf("%d ghosts after one audit, want none yet", n)
				}
				h.play("wait 1m\n" + c.script)
				lines := h.log.events("ghost")
				if n := h.sys.Stats().Ghosts.Load(); n == 0 || len(lines) != int(n) {
					t.Fatalf("%d ghosts counted, %d told", n, len(lines))
				}
				if l := lines[0]; l["reason"] != c.what || l["level"] != "warning" || l["room"] != "r" || l["session"] != h.by["kim"].client.id {
					t.Errorf("the log says %v", l)
				}
				before := h.sys.Stats().Ghosts.Load()
				h.play("wait 5m")
				if n := h.sys.Stats().Ghosts.Load(); n > before+1 { // its session actor may be one of its own
					t.Errorf("%d ghosts more: not repaired", n-before)
				}
				h.inside("r", func(r *room) {
					if err := r.present.Check(); err != nil || len(r.seats) != 1 || r.present.Count().Sessions != 1 {
						t.Errorf("after it all: %v, %d seats, %v", err, len(r.seats), r.present.Count())
					}
				})
			})
		})
	}
}

// Counts change within one message: what is wrong with them is repaired at
// once.
func TestAuditRepairsCounts(t *testing.T) {
	for name, haunt := range map[string]func(r *room){
		"a count that is not that of the members": func(r *room) {
			r.facts.sessions.Add(5)
			r.sys.stats.Members.Add(5)
		},
		"presence: ": func(r *room) {
			r.present.Join(protocol.Member{Session: "s_twice", User: "nobody"}, 1) // as if before everybody
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := open(t, func(o *Options) { o.Audit = time.Minute })
				h.connect("ann", "r")
				h.connect("kim", "r")
				synctest.Wait()
				h.inside("r", haunt)
				time.Sleep(time.Minute + time.Second)
				synctest.Wait()
				lines := h.log.events("ghost")
				if len(lines) == 0 || !strings.HasPrefix(lines[0]["reason"].(string), name) || lines[0]["level"] != "warning" {
					t.Fatalf("the log says %v", lines)
				}
				h.inside("r", func(r *room) {
					if err := r.present.Check(); err != nil {
						t.Error(err)
					}
					if n := r.present.Count().Sessions; r.facts.sessions.Load() != int64(n) || r.sys.stats.Members.Load() != int64(n) {
						t.Errorf("%d members, counted %d and %d", n, r.facts.sessions.Load(), r.sys.stats.Members.Load())
					}
				})
			})
		})
	}
}

// A session actor that no seat knows is stopped.
func TestAuditStopsSessionActorsWithoutASeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, func(o *Options) { o.Audit = time.Minute })
		ann := h.connect("ann", "r")
		synctest.Wait()
		var before *actor.PID
		h.inside("r", func(r *room) {
			s := r.seats[ann.client.id]
			before = s.session
			s.session = actor.NewPID("nonhost", before.Id+"x") // the real one is a stranger now
			s.dead = true
		})
		time.Sleep(3*time.Minute + time.Second)
		synctest.Wait()
		if _, alive := h.sys.actors.ProcessRegistry.GetLocal(before.Id); alive {
			t.Error("the session actor lives on")
		}
	})
}

// However much comes and goes, an audit that looks at every moment finds
// nothing.
func TestAuditSeesNoGhostsInChurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, func(o *Options) { o.Audit = time.Millisecond; o.Linger = 3 * time.Millisecond })
		for i := range 200 {
			p := h.connect(fmt.Sprint("p", i%7), "r", fmt.Sprint("r", i%3))
			if i%2 == 0 {
				time.Sleep(time.Millisecond)
			}
			p.do(say("leave r"))
			p.do(say("join r"))
			switch i % 5 {
			case 0:
				p.client.Gone(p.wire, protocol.ReasonLost, 0, "")
			case 1:
				p.client.End(protocol.ReasonKicked, protocol.CloseKicked, "")
			case 2:
				h.sys.Inject("r", p.client.id, func() { panic("provoked") })
			case 3:
				h.sys.toLobby(&kick{about[bool]("r"), p.client.id})
			}
		}
		time.Sleep(20 * time.Millisecond)
		for _, p := range h.all {
			p.client.Gone(p.wire, protocol.ReasonLost, 0, "")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		st := h.sys.Stats()
		if st.Ghosts.Load() != 0 || st.Members.Load() != 0 || st.Rooms.Load() != 0 || h.owed() != 0 {
			t.Errorf("%d ghosts, %d members, %d rooms, %d owed; %v", st.Ghosts.Load(), st.Members.Load(), st.Rooms.Load(), h.owed(), h.log.events("ghost"))
		}
	})
}
