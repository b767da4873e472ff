package actors

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rollcall/protocol"
)

// big is a publish of about 16 KiB.
var big = say(`publish r "` + strings.Repeat("x", 16<<10) + `"`)

// A room whose writer stands still slows its publisher down instead of filling
// up, and goes on where it was once the writer moves.
func TestFloodingAStalledRoomPausesThePublisher(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		ann, kim := h.connect("ann", "r"), h.connect("kim", "r")
		synctest.Wait()
		release := kim.block()
		sent := 0
		for ; sent < 1000; sent++ {
			if paused, _ := ann.isPaused(); paused {
				break
			}
			ann.do(big)
			synctest.Wait()
		}
		if sent == 1000 {
			t.Fatal("16 MB were taken for a room that writes nothing")
		}
		if owed := ann.client.flow.owed.Load(); owed <= maxOwed {
			t.Errorf("paused while owing %d, not more than %d", owed, maxOwed)
		}
		release()
		synctest.Wait()
		if paused, times := ann.isPaused(); paused || times != 1 {
			t.Errorf("paused %v, after %d pauses", paused, times)
		}
		if h.owed() != 0 {
			t.Errorf("%d owed", h.owed())
		}
		n := 0
		for _, f := range kim.frames() {
			if f.Type == "message" {
				n++
			}
		}
		if n != sent {
			t.Errorf("%d messages came of %d", n, sent)
		}
	})
}

// Whatever a visit still owes when it ends is forgiven, and the client read
// from again: also where a session panics over a full mailbox.
func TestEveryEndingForgivesWhatIsOwed(t *testing.T) {
	for name, end := range map[string]func(h *house, p *person){
		"left":   func(_ *house, p *person) { p.do(say("leave r")) },
		"kicked": func(h *house, p *person) { h.line("kick r ann") },
		"closed": func(_ *house, p *person) { p.client.Gone(p.wire, protocol.ReasonClosed, 1000, "") },
		"ended":  func(h *house, p *person) { h.line("end ann 4502") },
		"session panic": func(h *house, p *person) {
			h.sys.Inject("r", p.client.id, func() { panic("provoked") })
		},
		"room panics": func(h *house, _ *person) {
			for range 4 {
				h.sys.Inject("r", "", func() { panic("provoked") })
			}
		},
		"shutdown": func(h *house, _ *person) { h.stop() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := open(t, nil)
				ann := h.connect("ann", "r")
				synctest.Wait()
				hold := make(chan struct{}) // the session stands still, its mailbox fills
				h.sys.Inject("r", ann.client.id, func() { <-hold })
				for range 6 {
					ann.do(big)
				}
				synctest.Wait()
				if paused, _ := ann.isPaused(); !paused || h.owed() == 0 {
					t.Fatalf("not paused, owing %d", h.owed())
				}
				go close(hold)
				end(h, ann)
				synctest.Wait()
				if paused, _ := ann.isPaused(); paused || h.owed() != 0 {
					t.Errorf("paused %v, owing %d", paused, h.owed())
				}
			})
		})
	}
}

// What is queued when a session panics is credited; the request that met the
// panic is answered.
func TestSessionPanicsWithCommandsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		ann := h.connect("ann", "r")
		synctest.Wait()
		hold := make(chan struct{})
		h.sys.Inject("r", ann.client.id, func() { <-hold; panic("provoked") })
		for i := range 6 {
			ann.do(say(fmt.Sprintf("publish#%d r 1", i+1)))
		}
		close(hold)
		h.play(`
			ann < welcome
			ann < joined r@1 [ann]
			ann < leave r@2 ann failed last
			ann > join#7 r
			ann < joined#7 r@3 [ann]`)
		if h.owed() != 0 {
			t.Errorf("%d owed", h.owed())
		}
	})
}

// A request that is on its way when the API ends the visit is answered.
func TestKickedWithCommandsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		ann := h.connect("ann", "r")
		synctest.Wait()
		hold := make(chan struct{}) // the room stands still
		h.sys.Inject("r", "", func() { <-hold })
		go func() {
			if err := h.sys.Kick(context.Background(), "r", ann.client.id); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait() // the kick is there first
		ann.do(say("publish#1 r 1"))
		ann.do(say("leave#2 r"))
		ann.do(say("join#3 r"))
		close(hold)
		h.play(`
			ann < welcome
			ann < joined r@1 [ann]
			ann < error#1 not_joined r
			ann < error#2 not_joined r
			ann < leave r@2 ann kicked last
			ann < joined#3 r@3 [ann]`)
	})
}

// Credits are bounded per client, whatever it sends: also joins that wait.
func TestJoinsThatWaitAreOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		hold := make(chan struct{})
		h.sys.Inject("", "", func() { <-hold })
		ann := h.connect("ann")
		n := 0
		for ; n < 10000; n++ {
			if paused, _ := ann.isPaused(); paused {
				break
			}
			ann.do(say(fmt.Sprint("join r", n)))
		}
		if n == 10000 {
			t.Error("10,000 joins are on their way, and the client is still read from")
		}
		close(hold)
		synctest.Wait()
		if paused, _ := ann.isPaused(); paused || h.owed() != 0 {
			t.Errorf("paused %v, owing %d", paused, h.owed())
		}
	})
}

func TestBucket(t *testing.T) {
	var b bucket
	take := func(now time.Duration, want bool, wait time.Duration) {
		t.Helper()
		if w, ok := b.take(now, 2, 4); ok != want || w != wait {
			t.Errorf("at %v: %v after %v, want %v after %v", now, ok, w, want, wait)
		}
	}
	for range 4 { // the burst
		take(0, true, 0)
	}
	take(0, false, 500*time.Millisecond)
	take(250*time.Millisecond, false, 250*time.Millisecond)
	take(500*time.Millisecond, true, 0)
	take(500*time.Millisecond, false, 500*time.Millisecond)
	for range 4 { // no more than the burst, however long it was quiet
		take(time.Hour, true, 0)
	}
	take(time.Hour, false, 500*time.Millisecond)
	if _, ok := b.take(time.Hour, 0, 0); !ok {
		t.Error("a rate of 0 has no limit")
	}
}
