package actors

import (
	"testing"
	"testing/synctest"
	"time"

	"rollcall/engine"
	"rollcall/presence"
	"rollcall/protocol"
)

func watched(o *Options) { o.Limits.RoomObservers = 2 }

func TestObservers(t *testing.T) {
	for _, c := range []struct {
		name   string
		set    func(*Options)
		script string
	}{
		{"an observer gets what members get, and nobody is told of it", watched, `
			ann connect r
			ann < (2)
			mod connect
			mod < welcome
			mod > join#1 r {"observe":true}
			mod < joined#1 r@1 [ann] observer +1
			ann > publish r "alone?"
			ann < message r@2 ann "alone?"
			mod < message r@2 ann "alone?"
			ann > signal r 1
			ann < signal r ann 1
			mod < signal r ann 1
			kim connect r
			kim < welcome
			kim < joined r@3 [ann kim] +1
			ann < join r@3 kim first
			mod < join r@3 kim first
			ann > members#2 r
			ann < members#2 [ann kim] 2/2 +1
			mod > leave#3 r
			mod < leave r@3<3 mod left
			mod < ok#3
			ann > members#4 r
			ann < members#4 [ann kim] 2/2
			mod > publish#5 r 1
			mod < error#5 not_joined r`},
		{"an observer may ask, and not speak", watched, `
			ann connect r
			ann < (2)
			ann > publish r "hi"
			ann < (1)
			mod connect
			mod < welcome
			mod > join r {"observe":true,"history":5}
			mod < joined r@2 [ann] {"hi"} observer +1
			mod > publish#1 r 1
			mod < error#1 forbidden r
			mod > update#2 r 1
			mod < error#2 forbidden r
			mod > signal#3 r 1
			mod < error#3 forbidden r
			mod > members#4 r
			mod < members#4 [ann] 1/1 +1
			mod > history#5 r
			mod < history#5 {"hi"}
			mod > join#6 r {"observe":true}
			mod < joined#6 r@2 [ann] observer +1`},
		{"an observer becomes a member, and a member an observer: it leaves and comes back", watched, `
			ann connect r
			ann < (2)
			mod connect
			mod < welcome
			mod > join#1 r {"observe":true}
			mod < (1)
			mod > join#2 r
			mod < leave r@1<1 mod left
			mod < joined#2 r@2 [ann mod]
			ann < join r@2 mod first
			mod > publish#3 r 1
			ann < message r@3 mod 1
			mod < message r@3 mod 1
			mod < ok#3 @3
			mod > join#4 r {"observe":true}
			mod < leave r@4 mod left last
			mod < joined#4 r@4 [ann] observer +1
			ann < leave r@4 mod left last`},
		{"both in one go", watched, `
			mod connect
			mod < welcome
			mod > join#1 r {"observe":true}
			mod > join#2 r
			mod > publish#3 r 1
			mod > join#4 r {"observe":true}
			mod << joined#1 r [] observer +1
			mod << leave r mod left
			mod << joined#2 r@1 [mod]
			mod << message r@2 mod 1
			mod << ok#3 @2
			mod << leave r@3 mod left last
			mod << joined#4 r@3 [] observer +1`},
		{"an observer who is kicked sees it alone", watched, `
			ann connect r
			ann < (2)
			mod connect
			mod < welcome
			mod > join r {"observe":true}
			mod < (1)
			kick r mod
			mod < leave r@1<1 mod kicked
			mod > join#2 r {"observe":true}
			mod < joined#2 r@1 [ann] observer +1
			ban r user mod
			mod < leave r@1<1 mod banned
			mod > join#3 r {"observe":true}
			mod < error#3 banned r`},
		{"an observer whose session fails sees it alone", watched, `
			ann connect r
			ann < (2)
			mod connect
			mod < welcome
			mod > join r {"observe":true}
			mod < (1)
			panic r mod
			mod < leave r@1<1 mod failed
			ann > members#1 r
			ann < members#1 [ann] 1/1`},
		{"an observer that ends is gone without a word", watched, `
			ann connect r
			ann < (2)
			mod connect
			mod < welcome
			mod > join r {"observe":true}
			mod < (1)
			mod x lost
			mod < *
			eve connect
			eve < welcome
			eve > join r {"observe":true}
			eve < joined r@1 [ann] observer +1
			end eve 4502
			eve < bye 4502 kicked
			ann > members#1 r
			ann < members#1 [ann] 1/1`},
		{"an observer has no state to tell of", func(o *Options) { watched(o); o.Rules.IdleAfter = time.Minute }, `
			mod connect
			mod < welcome
			mod > join r {"observe":true}
			mod < (1)
			wait 2m
			mod > members r
			mod < members [] 0/0 +1
			mod > leave#1 r
			mod < leave r mod left
			mod < ok#1`},
		{"observers and members do not take each other's places", func(o *Options) { watched(o); o.Limits.RoomMembers = 1 }, `
			mod connect
			mod > join#1 r {"observe":true}
			mod < (2)
			ann connect r
			ann < welcome
			ann < joined r@1 [ann] +1
			mod < join r@1 ann first
			bob connect
			bob > join#1 r
			bob < welcome
			bob < error#1 room_full r
			bob > join#2 r {"observe":true}
			bob < joined#2 r@1 [ann] observer +2
			eve connect
			eve > join#1 r {"observe":true}
			eve < welcome
			eve < error#1 room_full r`},
		{"an observer of a room in batches", func(o *Options) {
			watched(o)
			o.Modes = presence.Modes{FullMax: 1, ListMax: 100, Interval: time.Second}
		}, `
			ann connect r
			settle
			kim connect r
			wait 5s
			ann < *
			kim < *
			mod connect
			mod < welcome
			kim > update r 1
			ann < presence r@3-3 ~kim1 2/2
			mod < *
			kim > update r 2
			settle
			mod > join#1 r {"observe":true}
			wait 1s
			ann < *
			kim < *
			mod < joined#1 r@4 batch [ann kim2] observer +1
			kim > update r 3
			wait 1s
			mod < presence r@5-5 ~kim3 2/2 +1
			ann < *
			kim < *
			kim > update r 4
			kim > update r 5
			settle
			kick r mod
			wait 1s
			mod < presence r@6-7 ~kim5 2/2 +1
			mod < leave r@7<7 mod kicked
			ann < *
			kim < *`},
		{"an observer of a room that tells its size alone", func(o *Options) {
			watched(o)
			o.Modes = presence.Modes{FullMax: 1, ListMax: 1, Interval: time.Second}
		}, `
			ann connect r
			settle
			kim connect r
			wait 5s
			ann < *
			kim < *
			mod connect
			mod < welcome
			mod > join#1 r {"observe":true}
			wait 2s
			mod < joined#1 r@2 count 2/2 +1 observer
			ann < occupancy r@2 2/2 +1
			kim < occupancy r@2 2/2 +1
			mod > leave#2 r
			mod < leave r@2<2 mod left
			mod < ok#2
			wait 2s
			ann < occupancy r@2 2/2
			kim < occupancy r@2 2/2`},
		{"where nobody may observe", nil, `
			mod connect
			mod < welcome
			mod > join#1 r {"observe":true}
			mod < error#1 forbidden r
			mod > join#2 r {"observe":false}
			mod < joined#2 r@1 [mod]`},
		{"a room lives as long as somebody observes it", func(o *Options) { watched(o); o.Linger = time.Minute }, `
			ann connect r
			ann < (2)
			mod connect
			mod < welcome
			mod > join r {"observe":true}
			mod < (1)
			ann > leave r
			ann < leave r@2 ann left last
			mod < leave r@2 ann left last
			wait 1h
			ann > join#1 r
			ann < joined#1 r@3 [ann] +1
			mod < join r@3 ann first`},
		{"observers of a room that fails are out like its members", watched, `
			mod connect
			mod < welcome
			mod > join r {"observe":true}
			mod < (1)
			panic r
			panic r
			panic r
			panic r
			mod < leave r mod failed
			mod > join#1 r {"observe":true}
			mod < joined#1 r [] observer +1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := open(t, c.set)
				h.play(c.script)
				if st := h.sys.Stats(); st.Ghosts.Load() != 0 {
					t.Errorf("%d ghosts", st.Ghosts.Load())
				}
			})
		})
	}
}

// An observer may lose its connection and resume as a member may, and nobody
// is told of any of it.
func TestAnObserverResumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, func(o *Options) { holds(o); watched(o) })
		h.play(`
			ann connect r
			ann < (2)
			mod connect
			mod < welcome
			mod > join r {"observe":true}
			mod < (1)
			mod x lost
			settle
			ann > publish r "psst"
			ann < message r@2 ann "psst"
			wait 5s
			mod resume
			mod < welcome resumed`)
		var epoch string
		h.inside("r", func(r *room) { epoch = r.epoch() })
		h.play(`
			mod > join#1 r {"observe":true,"since":{"epoch":"` + epoch + `","offset":1}}
			mod < joined#1 r@2 [ann] {"psst"} observer +1
			mod x lost
			wait 1m
			ann > members#1 r
			ann < members#1 [ann] 1/1
			mod < *`)
	})
}

// Observers are counted, and nowhere else.
func TestObserversAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, func(o *Options) { watched(o); o.Audit = time.Second; o.Linger = 0 })
		h.play(`
			ann connect r
			ann < (2)
			mod connect
			mod > join r {"observe":true}
			mod < (2)
			wait 10s`)
		st := h.sys.Stats()
		if info, err := h.sys.Room(t.Context(), "r"); err != nil || info.Count != (protocol.Count{Sessions: 1, Users: 1, Observers: 1}) || info.Offset != 1 {
			t.Errorf("%+v, %v", info, err)
		}
		if l, err := h.sys.Members(t.Context(), "r", "", 10); err != nil || len(l.Members) != 1 || l.Count.Observers != 1 {
			t.Errorf("%+v, %v", l, err)
		}
		if st.Observers.Load() != 1 || st.Members.Load() != 1 || st.Joins.Load() != 1 {
			t.Errorf("%d observers, %d members, %d joins", st.Observers.Load(), st.Members.Load(), st.Joins.Load())
		}
		h.by["ann"].do(say("leave r"))
		h.by["mod"].do(say("leave r"))
		synctest.Wait()
		if st.Observers.Load() != 0 || st.Rooms.Load() != 0 || st.Ghosts.Load() != 0 {
			t.Errorf("%d observers, %d rooms, %d ghosts", st.Observers.Load(), st.Rooms.Load(), st.Ghosts.Load())
		}
		if came, left := h.log.events("observer_came"), h.log.events("observer_left"); len(came) != 1 || len(left) != 1 || left[0]["reason"] != "left" {
			t.Errorf("the log says %v, %v", came, left)
		}
	})
}

// The audit finds an observer who is a member, and one with nothing behind it.
func TestAuditOfObservers(t *testing.T) {
	for _, c := range []struct {
		name  string
		haunt func(r *room, p *person)
		what  string
	}{
		{"an observer who is a member", func(r *room, p *person) {
			r.order.Propose(&engine.Proposal{Kind: engine.Join, Session: p.client.id, User: p.client.user})
			r.present.Join(protocol.Member{Session: p.client.id, User: p.client.user}, 1)
			r.recount()
		}, "a member without a seat"},
		{"an observer whose connection ended, and nobody heard", func(_ *room, p *person) {
			p.client.mu.Lock()
			defer p.client.mu.Unlock()
			p.client.ended.Store(true)
		}, "a member whose connection ended"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := open(t, func(o *Options) { watched(o); o.Audit = time.Minute })
				h.play(`
					mod connect
					mod > join r {"observe":true}
					mod < (2)
					wait 30s`)
				h.inside("r", func(r *room) { c.haunt(r, h.by["mod"]) })
				h.play("wait 31s")
				if n := h.sys.Stats().Ghosts.Load(); n != 0 {
					t.Errorf("%d ghosts after one audit, want none yet", n)
				}
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				st := h.sys.Stats()
				lines := h.log.events("ghost")
				if st.Ghosts.Load() == 0 || len(lines) == 0 || lines[0]["reason"] != c.what {
					t.Errorf("%d ghosts, %v", st.Ghosts.Load(), lines)
				}
				if st.Observers.Load() != 0 || h.by["mod"].frames()[0].Reason == "" {
					t.Errorf("%d observers after the repair", st.Observers.Load())
				}
			})
		})
	}
}

// A count that is wrong is repaired at once.
func TestAuditCountsObservers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, func(o *Options) { watched(o); o.Audit = time.Minute })
		h.play(`
			mod connect
			mod > join r {"observe":true}
			mod < (2)`)
		h.inside("r", func(r *room) { r.watched(3) })
		h.play("wait 61s")
		lines := h.log.events("ghost")
		if st := h.sys.Stats(); st.Observers.Load() != 1 || len(lines) != 1 || lines[0]["reason"] != "a count that is not that of the observers" {
			t.Errorf("%d observers; the log says %v", st.Observers.Load(), lines)
		}
	})
}

// observing are the acts of the model that watch.
func observing(room func() string, who func() *player) map[string]func() {
	watch := func(p *player, room string) { p.send("join", room, `{"observe":true}`) }
	return map[string]func(){
		"observe":       func() { watch(who(), room()) },
		"observe, join": func() { p, in := who(), room(); watch(p, in); p.send("join", in, "") },
		"join, observe": func() { p, in := who(), room(); p.send("join", in, ""); watch(p, in) },
	}
}
