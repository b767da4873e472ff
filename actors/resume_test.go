package actors

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"rollcall/presence"
	"rollcall/protocol"
)

func holds(o *Options) {
	o.Rules = Rules{
		IdleAfter: 5 * time.Minute, DisconnectAfter: 30 * time.Minute, ResumeWindow: 10 * time.Second, ReloadGrace: 2 * time.Second,
	}
}

func TestResuming(t *testing.T) {
	for _, c := range []struct {
		name   string
		set    func(*Options)
		script string // EPOCH is that of the room r
	}{
		{"a lost connection that comes back is never a leave", holds, `
			ann connect r
			settle
			kim connect r
			ann < (3)
			kim < (2)
			kim x lost
			ann < update r@3 kim lost
			ann > publish r "are you there?"
			ann < message r@4 ann "are you there?"
			wait 9s
			kim resume
			kim < welcome resumed
			ann < update r@5 kim active
			kim > join#1 r {"since":{"epoch":"EPOCH","offset":2}}
			kim < joined#1 r@5 [ann kim] {"are you there?"}
			ann > publish r "welcome back"
			kim < message r@6 ann "welcome back"
			ann < message r@6 ann "welcome back"
			wait 1m`},
		{"one that does not come back in time is lost", holds, `
			ann connect r
			settle
			kim connect r
			ann < (3)
			kim < (2)
			kim x lost
			ann < update r@3 kim lost
			wait 9s
			wait 2s
			ann < leave r@4 kim lost last`},
		{"one that is lost when it should end for another reason, and nobody has looked yet", func(o *Options) {
			o.Rules = Rules{DisconnectAfter: 30500 * time.Millisecond, ResumeWindow: 20 * time.Second}
		}, `
			ann connect r
			ann < (2)
			wait 30500ms
			ann x lost
			wait 30s
			kim connect r
			kim < welcome
			kim < joined r@4 [kim]`},
		{"a window of 0 is none", func(o *Options) { holds(o); o.Rules.ResumeWindow = 0 }, `
			ann connect r
			settle
			kim connect r
			ann < (3)
			kim x lost
			ann < leave r@3 kim lost last
			kim < *`},
		{"what ends otherwise leaves at once", holds, `
			ann connect r
			settle
			kim connect r
			ann < (3)
			kim x slow 4002
			ann < leave r@3 kim slow 4002 last
			kim < *`},
		{"a reload shows nothing", holds, `
			ann connect r
			settle
			kim connect r
			ann < (3)
			kim < (2)
			kim x closed 1001
			wait 1s
			kim resume r
			kim < welcome resumed
			kim < joined r@2 [ann kim]
			wait 1m`},
		{"a closed tab is told when the grace is over, with its code", holds, `
			ann connect r
			settle
			kim connect r
			ann < (3)
			kim x closed 1001
			wait 1s
			wait 2s
			ann < leave r@3 kim closed 1001 last
			kim < *`},
		{"in several rooms", holds, `
			ann connect r s
			settle
			kim connect r s
			ann < (5)
			kim < (3)
			kim x lost
			ann << update r@3 kim lost
			ann << update s@3 kim lost
			kim resume s
			kim < welcome resumed
			kim << joined s@4 [ann kim]
			ann << update r@4 kim active
			ann << update s@4 kim active
			ann > publish r "not joined again: not sent"
			ann << message r@5 ann "not joined again: not sent"
			kim > publish#1 r "and yet a member"
			ann << message r@6 kim "and yet a member"
			kim < ok#1 @6
			kim > leave#2 r
			kim << leave r@7 kim left last
			kim << ok#2 @7
			ann << leave r@7 kim left last`},
		{"lost while it was idle", holds, `
			ann connect r
			settle
			kim connect r
			ann < (3)
			wait 4m59s
			ann > signal r 1
			ann < signal r ann 1
			wait 10s
			ann < update r@3 kim idle
			kim x lost
			ann < update r@4 kim lost
			kim resume
			ann < update r@5 kim idle
			kim > join r
			ann < update r@6 kim active
			kim < *`},
		{"kicked while away", holds, `
			ann connect r
			settle
			kim connect r
			ann < (3)
			kim < (2)
			kim x lost
			ann < update r@3 kim lost
			kick r kim
			ann < leave r@4 kim kicked last
			kim resume
			kim < welcome resumed
			kim > publish#1 r "?"
			kim < error#1 not_joined r
			kim > join#2 r
			kim < joined#2 r@5 [ann kim]
			ann < join r@5 kim first`},
		{"ended while away", holds, `
			ann connect r
			settle
			kim connect r
			ann < (3)
			kim x lost
			ann < update r@3 kim lost
			end kim 4502
			ann < leave r@4 kim kicked 4502 last
			kim < *`},
		{"its session actor fails while it is away", holds, `
			ann connect r
			settle
			kim connect r
			ann < (3)
			kim < (2)
			kim x lost
			ann < update r@3 kim lost
			panic r kim
			ann < leave r@4 kim failed last
			kim resume r
			kim < welcome resumed
			kim < joined r@5 [ann kim]
			ann < join r@5 kim first`},
		{"lost again and again", holds, `
			ann connect r
			settle
			kim connect r
			ann < (3)
			kim < (2)
			kim x lost
			kim resume r
			kim < welcome resumed
			kim < joined r@4 [ann kim]
			ann < update r@3 kim lost
			ann < update r@4 kim active
			wait 8s
			kim x lost
			ann < update r@5 kim lost
			wait 8s
			kim resume r
			ann < update r@6 kim active
			kim x lost
			ann < update r@7 kim lost
			wait 11s
			ann < leave r@8 kim lost last
			kim < *`},
		{"too many are away: the next leaves at once", func(o *Options) { holds(o); o.Limits.Away = 1 }, `
			ann connect r
			settle
			kim connect r
			settle
			bob connect r
			ann < (4)
			kim x lost
			ann < update r@4 kim lost
			bob x lost
			ann < leave r@5 bob lost last
			wait 11s
			ann < leave r@6 kim lost last
			kim < *
			bob < *`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := open(t, c.set)
				until, from, cut := strings.Cut(c.script, "EPOCH")
				if cut {
					at := strings.LastIndexByte(until, '\n')
					h.play(until[:at])
					h.inside("r", func(r *room) { from = until[at:] + r.epoch() + from })
					h.play(from)
				} else {
					h.play(c.script)
				}
			})
		})
	}
}

// A client may resume while the server still believes in its old connection:
// the network of a phone changed. The old one is closed, and nobody sees
// anything of it.
func TestResumingBeforeTheOldConnectionEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, holds)
		h.play(`
			ann connect r
			settle
			kim connect r
			ann < (3)
			kim < (2)`)
		kim := h.by["kim"]
		old := kim.wire
		kim.do(say(`publish#1 r "sent by the old one"`))
		synctest.Wait()
		_ = kim.frames()
		h.play(`
			kim resume r
			kim < welcome resumed
			kim < joined r@3 [ann kim]
			ann < message r@3 kim "sent by the old one"`)
		if old.closed() != uint16(protocol.CloseReplaced) {
			t.Errorf("the old connection was closed with %d", old.closed())
		}
		kim.client.Gone(old, protocol.ReasonClosed, 4505, "") // its end comes late, and is nobody's
		kim.client.Do(old, &protocol.Publish{Request: protocol.Request{Room: "r"}, Data: []byte("1")}, 10)
		kim.client.Refuse(old, notJoined(1, "r"))
		h.play(`
			wait 1m
			kim > publish#1 r "sent by the new one"
			ann < message r@4 kim "sent by the new one"
			kim < message r@4 kim "sent by the new one"
			kim < ok#1 @4`)
	})
}

// A token works once, for its session alone, and can't be made up.
func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, holds)
		kim, ann := h.connect("kim", "r"), h.connect("ann", "r")
		_, _ = kim.frames(), ann.frames()
		first := kim.token
		kim.client.Gone(kim.wire, protocol.ReasonLost, 0, "")
		id, _, _ := strings.Cut(first, ".")
		for _, forged := range []string{
			"", ".", "..", first + "x", first[:len(first)-1], id, id + ".0", id + ".0.", strings.Replace(first, ".0.", ".1.", 1),
			strings.Replace(first, id, ann.client.id, 1), newTokens().mint(id, 0), h.sys.tokens.mint(id, 1), h.sys.tokens.mint("s_nobody", 0),
			h.sys.tokens.mint(id+".0", 0), strings.Repeat("x", 10000),
		} {
			if kim.resume(forged) {
				t.Errorf("%.60q was taken", forged)
			}
		}
		if !kim.resume(first) {
			t.Fatal("refused")
		}
		if kim.resume(first) {
			t.Error("it works twice")
		}
		_ = kim.frames()
		if kim.token == "" || kim.token == first {
			t.Errorf("the next token is %q", kim.token)
		}
		second := kim.token
		kim.client.Gone(kim.wire, protocol.ReasonLost, 0, "")
		time.Sleep(11 * time.Second)
		if kim.resume(second) {
			t.Error("it works when the window is over")
		}
		st := h.sys.Stats()
		if st.Resumes.Load() != 1 || st.ResumesRefused.Load() != 17 || st.Away.Load() != 0 {
			t.Errorf("%d resumes, %d refused, %d away", st.Resumes.Load(), st.ResumesRefused.Load(), st.Away.Load())
		}
		for _, l := range h.log.events("") {
			if text := fmt.Sprint(l); strings.Contains(text, first) || strings.Contains(text, second) {
				t.Errorf("a token in the log: %s", text)
			}
		}
	})
}

// Whatever session and count: a token is read as it was made, and no other.
func TestTokensAreReadAsMade(t *testing.T) {
	ts := newTokens()
	rapid.Check(t, func(t *rapid.T) {
		id, nth := "s_"+rapid.StringMatching("[a-z2-7]{16}").Draw(t, "session"), rapid.Uint32().Draw(t, "nth")
		token := ts.mint(id, nth)
		if s, n, ok := ts.read(token); !ok || s != id || n != nth {
			t.Fatalf("%q is read as %q %d %v", token, s, n, ok)
		}
		bent := []byte(token)
		bent[rapid.IntRange(0, len(bent)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "by"))
		if _, _, ok := ts.read(string(bent)); ok {
			t.Fatalf("%q is taken for %q", bent, token)
		}
	})
}

// A page that stops running answers protocol pings all the same: its own are
// what it promised.
func TestPromisedPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, holds)
		h.play(`
			ann connect r
			settle
			kim connect r
			ann < (3)
			kim < (2)`)
		kim := h.by["kim"]
		kim.client.promise.Store(int64(10 * time.Second))
		h.play(`
			kim > ping
			kim < pong
			kim resume r
			kim < welcome resumed
			kim < joined r@2 [ann kim]
			wait 29s
			kim > ping
			kim < pong
			wait 29s
			wait 2s
			ann < update r@3 kim unresponsive
			kim < update r@3 kim unresponsive
			wait 1m
			# it runs again, and nobody sits before it
			kim > ping
			kim < pong
			ann < update r@4 kim active
			kim < update r@4 kim active
			wait 30s
			wait 2s
			ann < update r@5 kim unresponsive
			kim < update r@5 kim unresponsive
			kim > publish r "hi"
			ann < update r@6 kim active
			ann < message r@7 kim "hi"
			wait 31s
			ann < update r@8 kim unresponsive
			# down the ladder like anybody
			ann > publish r 1
			wait 29m
			ann << update r@10 ann idle
			wait 2m
			ann << leave r@11 kim idle 4500 last
			ann < *
			kim < *`)
	})
}

// What is sent to a room costs nothing for a member that is away.
func TestAwayCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, holds)
		ann, kim := h.connect("ann", "r"), h.connect("kim", "r")
		synctest.Wait()
		kim.client.Gone(kim.wire, protocol.ReasonLost, 0, "")
		synctest.Wait()
		before := kim.writes
		for range 50 {
			ann.do(say(`publish r "hi"`))
		}
		synctest.Wait()
		if kim.writes != before {
			t.Errorf("%d writes to a connection that ended", kim.writes-before)
		}
		h.inside("r", func(r *room) {
			if n := len(r.fans[0].targets); n != 1 {
				t.Errorf("%d targets, want one", n)
			}
		})
	})
}

// A client may lose the connection that it resumed on before its snapshot came.
func TestLosingAConnectionBeforeItsSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, func(o *Options) {
			holds(o)
			o.Timeline = 100
			o.Modes = presence.Modes{FullMax: 1, ListMax: 100, Interval: time.Minute}
		})
		h.connect("ann", "r")
		synctest.Wait()
		kim := h.connect("kim", "r")
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		kim.frames()
		kim.do(say("update r 1")) // waits to be told, and what follows with it
		if !kim.resume(kim.token) {
			t.Fatal("refused")
		}
		kim.do(say("update r 2"))
		kim.do(say("join r"))
		synctest.Wait()
		kim.client.Gone(kim.wire, protocol.ReasonLost, 0, "")
		synctest.Wait()
		h.inside("r", func(r *room) {
			if len(r.arrivals) != 1 {
				t.Fatalf("%d wait for a snapshot, want kim", len(r.arrivals))
			}
			if err := r.checkTimeline(); err != nil {
				t.Error(err)
			}
		})
	})
}
