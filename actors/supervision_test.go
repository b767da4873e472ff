package actors

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"rollcall/bans"
	"rollcall/engine"
	"rollcall/protocol"
)

func provokedHere() { panic("provoked") }

// One line for each failure: who, under whom, why, what was decided, how often
// so far, and the stack of where it happened.
func TestFailuresAreToldOnceAndWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		ann := h.connect("ann", "r")
		synctest.Wait()
		h.sys.Inject("r", ann.client.id, provokedHere)
		synctest.Wait()
		for range 4 {
			h.sys.Inject("r", "", provokedHere)
			synctest.Wait()
		}
		h.sys.Inject("", "", provokedHere)
		synctest.Wait()
		lines := h.log.events("actor_failed")
		want := []struct {
			kind, parent, directive string
			count                   float64
		}{
			{"session", "lobby/r.1", "stop", 1},
			{"room", "lobby", "resume", 1}, {"room", "lobby", "resume", 2}, {"room", "lobby", "resume", 3}, {"room", "lobby", "stop", 4},
			{"lobby", "", "resume", 1},
		}
		if len(lines) != len(want) {
			t.Fatalf("%d lines, want %d: %v", len(lines), len(want), lines)
		}
		for i, w := range want {
			l := lines[i]
			parent, _ := l["parent"].(string)
			if l["kind"] != w.kind || parent != w.parent || l["directive"] != w.directive || l["count"] != w.count ||
				l["reason"] != "provoked" || l["level"] != "error" || !strings.HasPrefix(l["actor"].(string), w.parent) {
				t.Errorf("line %d: %v\nwant %+v", i, l, w)
			}
			if stack := l["stack"].(string); !strings.Contains(stack, "provokedHere") {
				t.Errorf("line %d: the stack does not name the function that panicked:\n%s", i, stack)
			}
		}
		for i, n := range []uint64{1, 4, 1} {
			if got := h.sys.Stats().Failures[i].Load(); got != n {
				t.Errorf("%d failures of kind %s, want %d", got, ActorKinds[i], n)
			}
		}
	})
}

// Whatever protoactor says itself stays at debug, and names types alone.
func TestLibraryLinesStayAtDebugAndTellNoData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		ann := h.connect("ann", "r")
		synctest.Wait()
		var gone *actor.PID
		h.inside("r", func(r *room) { gone = r.seats[ann.client.id].session })
		h.sys.Inject("r", ann.client.id, provokedHere)
		synctest.Wait()
		h.sys.root.Send(gone, &protocol.Publish{Data: []byte(`"a secret"`)})
		h.sys.root.Send(gone, &restate{})
		synctest.Wait()
		dead := h.log.events("dead_letter")
		if len(dead) == 0 || dead[0]["message_type"] != "*protocol.Publish" {
			t.Errorf("dead letters: %v", dead)
		}
		for _, l := range append(dead, h.log.events("actor_system")...) {
			if l["level"] != "debug" {
				t.Errorf("not at debug: %v", l)
			}
		}
		if h.log.contains("a secret") {
			t.Error("the log tells what a person wrote")
		}
		h.log.Reset()
	})
}

// A room that fails three times in every minute is resumed for ever, and what
// is remembered of it does not grow.
func TestOldFailuresAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		h.connect("ann", "r")
		synctest.Wait()
		for range 3 * maxFailures {
			h.sys.Inject("r", "", provokedHere)
			synctest.Wait()
			time.Sleep(25 * time.Second)
		}
		if n := h.sys.Stats().Rooms.Load(); n != 1 {
			t.Errorf("%d rooms", n)
		}
	})
}

// picky is an Encoding that panics over one message.
type picky struct{}

func (picky) Append(b []byte, m protocol.Message) []byte {
	if p, ok := m.(*protocol.MessagePublished); ok && string(p.Data) == `"bad"` {
		panic("provoked")
	}
	return lines{}.Append(b, m)
}

// The request that a room panicked over is answered, and settled.
func TestARoomThatPanicsAnswersTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		h.encoding = picky{}
		h.play(`
			ann connect r
			ann < (2)
			ann > publish#1 r "bad"
			ann < error#1 internal r
			ann > publish#2 r "good"
			ann < message r@3 ann "good"
			ann < ok#2 @3
			ann > publish r "bad"
			ann < error internal r`)
		if _, err := h.sys.Post(t.Context(), Post{Room: "r", User: "api", Data: []byte(`"bad"`)}); !isCode(err, protocol.ErrInternal) {
			t.Errorf("a post that the room panicked over: %v", err)
		}
		synctest.Wait() // the room goes on before it is stopped
		if h.owed() != 0 {
			t.Errorf("%d owed", h.owed())
		}
	})
}

func isCode(err error, code protocol.ErrorCode) bool {
	var e *protocol.Error
	return errors.As(err, &e) && e.Code == code
}

// A lobby that panics goes on with its rooms, and answers.
func TestALobbyThatPanicsAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		h.connect("kim", "r")
		synctest.Wait()
		b := &bomb{about[bool]("r")}
		h.sys.toLobby(b)
		if _, err := b.wait(t.Context()); !isCode(err, protocol.ErrInternal) {
			t.Errorf("the question that it panicked over: %v", err)
		}
		h.play(`
			kim < (2)
			kim > publish#1 r 1
			kim < message r@2 kim 1
			kim < ok#1 @2`)
	})
}

type bomb struct{ inquiry[bool] }

func (*bomb) roomName() string { panic("provoked") }

// openEngine lets a test refuse to open rooms.
type openEngine struct {
	engine.Engine
	refuse func() error
}

func (e openEngine) Open(room string, s engine.Sink) (engine.Room, engine.Snapshot, error) {
	if err := e.refuse(); err != nil {
		return nil, engine.Snapshot{}, err
	}
	return e.Engine.Open(room, s)
}

// A room that the engine does not open refuses everything as unavailable, and
// makes way for another try.
func TestARoomThatTheEngineDoesNotOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := true
		h := open(t, func(o *Options) {
			o.Engine = openEngine{o.Engine, func() error {
				if down {
					return engine.ErrUnavailable
				}
				return nil
			}}
		})
		h.play(`
			ann connect
			ann < welcome
			ann > join#1 r
			ann > publish#2 r 1
			ann << error#1 unavailable r
			ann << error#2 not_joined r`)
		if _, err := h.sys.Post(t.Context(), Post{Room: "s", Data: []byte("1")}); !isCode(err, protocol.ErrUnavailable) {
			t.Errorf("a post to it: %v", err)
		}
		if _, err := h.sys.Ban(t.Context(), Server, bans.Ban{Who: bans.Who{User: "eve"}}); !isCode(err, protocol.ErrUnavailable) {
			t.Errorf("a ban from the server: %v", err)
		}
		down = false
		h.play(`
			ann > join#3 r
			ann < joined#3 r@1 [ann]`)
		if n := len(h.log.events("unexpected")); n != 3 {
			t.Errorf("told %d times, want once for each room", n)
		}
		time.Sleep(2 * retryInterval) // the server's own room tries again by itself
		if _, err := h.sys.Ban(t.Context(), Server, bans.Ban{Who: bans.Who{User: "eve"}}); err != nil || !h.sys.Banned("eve") {
			t.Errorf("a ban from the server: %v", err)
		}
		h.log.Reset()
	})
}

// Stop ends everything, however much is going on; twice is as good as once.
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		for _, name := range []string{"ann", "bob", "kim"} {
			h.connect(name, "r", "s", "t")
		}
		synctest.Wait()
		h.sys.Drain()
		h.by["bob"].client.EndAfter(protocol.ReasonShutdown, protocol.CloseShutdown, "", time.Second)
		h.stop()
		h.stop()
		for _, name := range []string{"ann", "kim"} {
			n := 0
			for _, f := range h.by[name].frames() {
				if f.Type == "leave" && f.Session == h.by[name].client.id {
					n++
					if f.Reason != "shutdown" {
						t.Errorf("%s: %s", name, f)
					}
				}
			}
			if n != 3 {
				t.Errorf("%s saw %d of its leaves, want 3", name, n)
			}
		}
		fs := h.by["bob"].frames()
		if last := fs[len(fs)-1]; last.String() != "bye 4000 shutdown" || last.AfterMS != 1000 || !last.Reconnect {
			t.Errorf("bob's last is %s", last)
		}
		st := h.sys.Stats()
		if st.Members.Load() != 0 || st.Rooms.Load() != 0 {
			t.Errorf("%d members, %d rooms after the end", st.Members.Load(), st.Rooms.Load())
		}
		for _, l := range h.log.events("") {
			if l["level"] == "error" || l["level"] == "warning" {
				t.Errorf("%v", l)
			}
		}
	})
}

// Stop waits no longer than it is told to.
func TestStopGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		h.connect("ann", "r")
		synctest.Wait()
		hold := make(chan struct{})
		h.sys.Inject("r", "", func() { <-hold })
		synctest.Wait() // the room stands in it
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := h.sys.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("stop: %v", err)
		}
		close(hold)
	})
}
