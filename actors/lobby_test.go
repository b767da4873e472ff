package actors

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rollcall/bans"
	"rollcall/engine"
	"rollcall/protocol"
)

// Joins that arrive while the room is ending find another one, whatever the
// moment; nobody is refused, nobody waits for ever.
func TestJoinsRaceWithTheEndOfTheRoom(t *testing.T) {
	for _, linger := range []time.Duration{0, time.Millisecond} {
		t.Run(fmt.Sprint("linger ", linger), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := open(t, func(o *Options) { o.Linger = linger })
				ann, kim := h.connect("ann"), h.connect("kim")
				epochs, joined := map[string]bool{}, 0
				for i := range 300 {
					ann.do(say("join r"))
					ann.do(say("leave r"))
					if i%3 == 0 {
						time.Sleep(linger + time.Duration(i%2)*time.Millisecond)
					}
					kim.do(say("join#1 r"))
					synctest.Wait()
					kim.do(say("leave r"))
				}
				for _, f := range kim.frames() {
					switch f.Type {
					case "joined":
						joined++
						epochs[f.Epoch] = true
					case "error":
						t.Fatalf("kim: %s", f)
					}
				}
				if joined != 300 {
					t.Errorf("kim joined %d times, want 300", joined)
				}
				if len(epochs) < 2 {
					t.Error("the room never ended: the test races with nothing")
				}
			})
		})
	}
}

// What a failing room did not take up goes to the room after it, in order.
func TestARoomThatFailsLosesNobodyOnTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		h.connect("ann", "r")
		synctest.Wait()
		hold := make(chan struct{})
		h.sys.Inject("r", "", func() { <-hold; panic("provoked") })
		for range 3 {
			h.sys.Inject("r", "", func() { panic("provoked") })
		}
		kim := h.connect("kim", "r")
		kim.do(say("publish#1 r 1"))
		question := &describe{about[*RoomInfo]("r")}
		h.sys.toLobby(question)
		synctest.Wait()
		close(hold)
		h.play(`
			ann < welcome
			ann < joined r@1 [ann]
			ann < leave r@2 ann failed last
			kim < welcome
			kim < joined r@1 [kim]
			kim < message r@2 kim 1
			kim < ok#1 @2`)
		if info, err := question.wait(t.Context()); err != nil || info.Count.Sessions != 1 {
			t.Errorf("the question on the way: %v, %v", info, err)
		}
	})
}

// Members of a large room join a few at a time: the snapshots that wait to be
// written are bounded, and all get in, in turn.
func TestSnapshotsThatWaitAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		h.sys.apart = true
		data := `{"data":"` + strings.Repeat("x", 4000) + `"}`
		first := h.connect("p0")
		first.do(say("join r " + data))
		synctest.Wait()
		release := first.block() // the writer stands still
		for i := range 70 {
			p := h.connect(fmt.Sprint("p", i+1))
			p.do(say("join r " + data))
			p.do(say("join#2 r")) // a fresh snapshot is a snapshot, too
		}
		synctest.Wait()
		h.inside("r", func(r *room) {
			if own := r.fans[0].own; own > 2*ownBytes {
				t.Errorf("%d bytes of snapshots wait", own)
			}
			if len(r.queue) == 0 {
				t.Error("nobody waits: the test tests nothing")
			}
		})
		release()
		synctest.Wait()
		h.inside("r", func(r *room) {
			if len(r.queue) != 0 || len(r.seats) != 71 || r.fans[0].own != 0 {
				t.Errorf("%d wait still, %d are in, %d bytes wait", len(r.queue), len(r.seats), r.fans[0].own)
			}
		})
		for _, p := range h.all[1:] {
			p.mu.Lock()
			joined := bytes.Count(p.text, []byte(`{"type":"joined"`))
			p.mu.Unlock()
			if joined != 2 {
				t.Fatalf("%s got %d snapshots, want 2", p.name, joined)
			}
		}
		if h.owed() != 0 {
			t.Errorf("%d owed", h.owed())
		}
	})
}

// A leave that is asked for before the join has settled is answered after it.
func TestLateEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, func(o *Options) { o.Engine = &lateEngine{Engine: o.Engine, delay: time.Second} })
		h.play(`
			ann connect
			ann < welcome
			ann > join#1 r
			ann > leave#2 r
			ann > join#3 r
			ann > publish#4 r 1 key=k
			ann > publish#5 r 2 key=k
			ann > update#6 r {"mood":1}
			wait 1s
			ann < joined#1 r@1 [ann]
			wait 1s
			ann < leave r@2 ann left last
			ann < ok#2 @2
			wait 1s
			ann < joined#3 r@3 [ann]
			wait 3s
			ann < message r@4 ann 1
			ann < ok#4 @4
			ann < ok#5 @4
			ann < update r@5 ann {"mood":1}
			ann < ok#6 @5`)
		// gone before the join has settled: a join, and a leave with the reason
		h.play(`
			kim connect
			kim > join#1 r
			settle
			kim x lost
			wait 1s
			ann < join r@6 kim first
			wait 1s
			ann < leave r@7 kim lost last
			kim < (2)
			kim < leave r@7 kim lost last`)
		if h.owed() != 0 {
			t.Errorf("%d owed", h.owed())
		}
	})
}

// An unavailable engine: requests are told so, leaves and states are proposed
// again until they are taken.
func TestLateEngineUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		h := open(t, func(o *Options) {
			o.Rules.IdleAfter = time.Minute
			o.Engine = &lateEngine{Engine: o.Engine, delay: time.Millisecond, refuses: func(int) bool { return down.Load() }}
		})
		h.play(`
			ann connect r
			kim connect r
			wait 1s
			ann < (3)
			kim < (2)`)
		down.Store(true)
		h.play(`
			ann > publish#1 r 1
			bob connect
			bob > join#1 r
			wait 1s
			ann < error#1 unavailable r
			bob < welcome
			bob < error#1 unavailable r
			kim x closed 1001
			wait 61s`)
		down.Store(false)
		h.play(`
			wait 3s
			ann < update r@3 ann idle
			ann < leave r@4 kim closed 1001 last
			kim < update r@3 ann idle
			kim < leave r@4 kim closed 1001 last
			bob > join#2 r
			wait 1s
			bob < joined#2 r@5 [ann:idle bob]
			ann < join r@5 bob first`)
	})
}

// What is still with the engine at the moment when an empty room would have
// ended keeps the room for as long again, not for ever.
func TestALateEngineKeepsAnEmptyRoomNoLonger(t *testing.T) {
	for name, say := range map[string]func(*house){
		"a message": func(h *house) {
			h.sys.toLobby(&post{about[Posted]("r"), Post{Room: "r", User: "api", Data: []byte("0")}})
		},
		"a ban": func(h *house) {
			h.sys.toLobby(&ban{about[bans.Ban]("r"), bans.Ban{ID: "b", Who: bans.Who{User: "zoe"}}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := open(t, func(o *Options) {
					o.Linger = time.Minute
					o.Engine = &lateEngine{Engine: o.Engine, delay: time.Second}
				})
				h.play(`
					ann connect r
					wait 1s
					ann < (2)
					ann > leave r
					wait 1s
					ann < (1)`)
				time.Sleep(time.Minute - time.Second/2)
				say(h)
				rooms := h.sys.Stats().Rooms.Load
				time.Sleep(time.Minute)
				if rooms() != 1 {
					t.Fatal("the room did not outlive what was said in it")
				}
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if rooms() != 0 {
					t.Error("the room goes on for ever")
				}
			})
		})
	}
}

// A room in which nothing happened ends at once with its last observer, and not
// before what that one's session had still to say is answered.
func TestARoomAnswersTheLastWordBeforeItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, rulesOfTheModel)
		bob := h.connect("bob")
		synctest.Wait()
		bob.do(say(`join#1 r {"observe":true}`))
		h.sys.toLobby(&ban{about[bans.Ban]("r"), bans.Ban{ID: "b", Who: bans.Who{Session: bob.client.id}}})
		bob.do(say("update#2 r 1"))
		synctest.Wait()
		answers := 0
		for _, f := range bob.frames() {
			if f.Type == "error" && f.ID == 2 { // not_joined; or forbidden, where it overtook the ban
				answers++
			}
		}
		if answers != 1 {
			t.Errorf("%d answers, want 1", answers)
		}
		if n := h.sys.Stats().Rooms.Load(); n != 0 {
			t.Errorf("%d rooms are left", n)
		}
	})
}

// A server that stops with proposals on their way answers them, and nobody
// stays in a room that is gone.
func TestLateEngineStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, func(o *Options) { o.Engine = &lateEngine{Engine: o.Engine, delay: time.Second} })
		h.play(`
			ann connect r
			ann < welcome
			wait 1s
			ann < joined r@1 [ann]
			kim connect
			kim < welcome
			kim > join#1 r
			kim > leave#2 r
			ann > publish#1 r 1
			settle`)
		h.stop()
		h.play(`
			ann << leave r@1<1 ann shutdown last
			ann << error#1 unavailable r
			kim < error#1 unavailable r
			kim < error#2 not_joined r`)
		if h.owed() != 0 || h.sys.Stats().Members.Load() != 0 || len(h.by["ann"].client.visits)+len(h.by["kim"].client.visits) != 0 {
			t.Errorf("%d owed, %d members, visits %v", h.owed(), h.sys.Stats().Members.Load(), h.by["ann"].client.visits)
		}
	})
}

// An engine that tells the room to start over: who is in its snapshot gets a
// fresh one, the others see their own leave and may come back.
func TestEngineResets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tap := &tapEngine{}
		h := open(t, func(o *Options) { tap.Engine = o.Engine; o.Engine = tap })
		h.play(`
			ann connect r
			settle
			kim connect r
			ann < (3)
			kim < (2)`)
		ann := protocol.Member{Session: h.by["ann"].client.id, User: "ann", Name: "ann", State: protocol.StateActive}
		tap.sink.Reset(engine.Snapshot{Position: protocol.Position{Epoch: "other", Offset: 10}, Members: []protocol.Member{ann}})
		h.play(`
			ann < joined r@10 [ann]
			kim < leave r@10<10 kim failed last
			kim > publish#1 r 1
			kim < error#1 not_joined r`)
		if info, err := h.sys.Room(t.Context(), "r"); err != nil || info.Epoch != "other" || info.Count.Sessions != 1 {
			t.Errorf("%+v, %v", info, err)
		}
	})
}

// tapEngine shows the sink of the room that it opened last.
type tapEngine struct {
	engine.Engine
	sink engine.Sink
}

func (e *tapEngine) Open(room string, s engine.Sink) (engine.Room, engine.Snapshot, error) {
	if room != Server {
		e.sink = s
	}
	return e.Engine.Open(room, s)
}

func TestQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, func(o *Options) { o.Rules.IdleAfter = time.Minute })
		ctx := t.Context()
		if _, err := h.sys.Room(ctx, "none"); !errors.Is(err, ErrNoRoom) {
			t.Errorf("Room: %v", err)
		}
		if _, err := h.sys.Members(ctx, "none", "", 10); !errors.Is(err, ErrNoRoom) {
			t.Errorf("Members: %v", err)
		}
		if _, err := h.sys.Messages(ctx, "none", 0, 10); !errors.Is(err, ErrNoRoom) {
			t.Errorf("Messages: %v", err)
		}
		if err := h.sys.Kick(ctx, "none", "s_x"); !errors.Is(err, ErrNoRoom) {
			t.Errorf("Kick: %v", err)
		}
		if err := h.sys.End("s_x", protocol.CloseKicked, ""); !errors.Is(err, ErrNoSession) {
			t.Errorf("End: %v", err)
		}
		if _, err := h.sys.Session("s_x"); !errors.Is(err, ErrNoSession) {
			t.Errorf("Session: %v", err)
		}
		ann := h.connect("ann", "a/x", "a/y", "b.1")
		h.connect("kim", "a/x")
		synctest.Wait()
		if err := h.sys.Kick(ctx, "a/x", "s_x"); !errors.Is(err, ErrNoSession) {
			t.Errorf("Kick: %v", err)
		}
		p, err := h.sys.Post(ctx, Post{Room: "a/x", User: "api", Name: "API", Key: "k", Data: json.RawMessage(`1`)})
		again, err2 := h.sys.Post(ctx, Post{Room: "a/x", User: "api", Name: "API", Key: "k", Data: json.RawMessage(`2`)})
		if err != nil || err2 != nil || p.Offset != 3 || again != p {
			t.Errorf("Post: %+v, %v; again %+v, %v", p, err, again, err2)
		}
		info, err := h.sys.Room(ctx, "a/x")
		if err != nil || info.Count != (protocol.Count{Sessions: 2, Users: 2}) || info.Offset != 3 || info.Epoch != p.Epoch || info.Mode != "full" {
			t.Errorf("Room: %+v, %v", info, err)
		}
		ms, err := h.sys.Members(ctx, "a/x", "", 1)
		if err != nil || len(ms.Members) != 1 || ms.Next == "" {
			t.Errorf("Members: %+v, %v", ms, err)
		}
		if m, err := h.sys.Messages(ctx, "a/x", 0, 10); err != nil || len(m.Messages) != 1 || string(m.Messages[0].Data) != "1" {
			t.Errorf("Messages: %+v, %v", m, err)
		}
		list := func(prefix, cursor string, limit int) string {
			rooms, next, err := h.sys.Rooms(ctx, prefix, cursor, limit)
			if err != nil {
				t.Errorf("Rooms: %v", err)
			}
			names := []string{}
			for _, r := range rooms {
				names = append(names, r.Room)
			}
			return strings.Join(names, " ") + "|" + next
		}
		for _, c := range []struct{ got, want string }{
			{list("", "", 10), "a/x a/y b.1|"},
			{list("a/", "", 10), "a/x a/y|"},
			{list("", "", 2), "a/x a/y|a/y"},
			{list("", "a/y", 2), "b.1|"},
			{list("zz", "", 2), "|"},
		} {
			if c.got != c.want {
				t.Errorf("Rooms: %q, want %q", c.got, c.want)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		s, err := h.sys.Session(ann.client.ID())
		if err != nil || len(s.Rooms) != 3 || s.State != protocol.StateIdle || s.User != "ann" || s.ConnectedAt != s.LastActivity {
			t.Errorf("Session: %+v, %v", s, err)
		}
		h.stop()
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, err := h.sys.Room(short, "a/x"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Room after the end: %v", err)
		}
		h.log.Reset() // that question is a dead letter
	})
}

// Connections of several encodings share a room; each gets its own bytes.
func TestARoomOfSeveralEncodings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		ann := h.connect("ann", "r")
		synctest.Wait()
		h.encoding = bent{}
		kim := h.connect("kim", "r")
		synctest.Wait()
		ann.do(say(`publish r "hi"`))
		synctest.Wait()
		kim.mu.Lock()
		text := string(kim.text)
		kim.mu.Unlock()
		for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
			if !strings.HasPrefix(line, " {") {
				t.Errorf("kim got %q", line)
			}
		}
		h.play(`
			ann < (3)
			ann < message r@3 ann "hi"
			kim < (2)
			kim < message r@3 ann "hi"
			kim > leave#1 r
			kim < leave r@4 kim left last
			kim < ok#1 @4
			ann < leave r@4 kim left last`)
	})
}

// Reminders come on time, over the whole wheel and beyond it, whatever the
// clock of the process does, and not to who is gone.
func TestReminders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		now := func() time.Duration { return time.Since(start) }
		due := map[*Client]time.Duration{}
		came := map[*Client]time.Duration{}
		var w *reminders
		w = newReminders(20*time.Millisecond, now,
			func(c *Client, _ time.Duration) time.Duration { return due[c] },
			func(c *Client, now time.Duration) {
				if at := due[c]; now >= at { // else: early, beyond the wheel
					came[c] = now
					due[c] = 0
				}
				w.set(c)
			})
		defer w.close()
		all := map[*Client]time.Duration{}
		for _, ms := range []time.Duration{1, 2, 50, 1000, 1023, 1024, 1025, 5000, 60000} {
			c := &Client{}
			due[c], all[c] = ms*time.Millisecond, ms*time.Millisecond
			w.set(c)
		}
		gone := &Client{}
		due[gone] = 100 * time.Millisecond
		w.set(gone)
		w.remove(gone)
		w.remove(gone)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		for c, at := range all {
			if came[c] != at {
				t.Errorf("due at %v, came at %v", at, came[c])
			}
		}
		if _, came := came[gone]; came {
			t.Error("who was removed was reminded")
		}
	})
}

func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := newSessionID()
		if seen[id] || !strings.HasPrefix(id, "s_") || len(id) != 18 {
			t.Fatalf("session %q", id)
		}
		seen[id] = true
	}
	if a, b := newMessageID(), newMessageID(); a == b || !strings.HasPrefix(a, "m_") {
		t.Errorf("messages %q, %q", a, b)
	}
	if got := firstRunes("héllo", 2); got != "hé" {
		t.Errorf("firstRunes: %q", got)
	}
	h := &System{clients: clients{by: map[string]*Client{}}}
	c := h.Connect(ClientOptions{Connection: &wire{}, Encoding: lines{}})
	if c.user != c.id || c.name != c.id {
		t.Errorf("without a user: %q, %q", c.user, c.name)
	}
}
