package actors

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rollcall/protocol"
)

func one(rule PerUser) func(*Options) {
	return func(o *Options) {
		o.PerUser = rule
		o.Rules.ResumeWindow = 10 * time.Second
	}
}

func TestOneSessionPerUser(t *testing.T) {
	for _, c := range []struct {
		name   string
		rule   PerUser
		script string
	}{
		{"off: as many as there are devices", AnyNumber, `
			kim connect r
			settle
			kim/phone connect r
			kim < (3)
			kim/phone < (2)`},
		{"newest: the one there is ends", Newest, `
			ann connect r
			settle
			kim connect r
			ann < (3)
			kim < (2)
			kim/phone connect
			kim < bye 4505 replaced
			kim closed 4505
			ann < leave r@3 kim replaced 4505 last
			kim/phone < welcome
			kim/phone > join r
			kim/phone < joined r@4 [ann kim]
			ann < join r@4 kim first`},
		{"newest: one that is lost ends, too, and may not resume", Newest, `
			kim connect r
			kim < (2)
			kim x lost
			wait 1s
			kim/phone connect
			kim/phone < welcome
			wait 1s
			kim/tablet connect
			kim/tablet < welcome
			kim/phone < bye 4505 replaced
			kim < *`},
		{"newest: who resumes is no newer", Newest, `
			kim connect r
			kim < (2)
			kim x lost
			wait 1s
			kim resume
			kim < welcome resumed
			kim > publish r 1
			kim > join#1 r
			kim < *
			wait 1m
			kim > members#2 r
			kim < members#2 [kim] 1/1`},
		{"oldest: the newcomer is turned away", Oldest, `
			ann connect r
			settle
			kim connect r
			ann < (3)
			kim < (2)
			kim/phone connect r
			kim/phone < welcome
			kim/phone < bye 4505 replaced
			kim/phone closed 4505
			kim > publish#1 r 1
			kim < message r@3 kim 1
			ann < message r@3 kim 1
			kim < ok#1 @3
			kim x closed 1001
			ann < leave r@4 kim closed 1001 last
			kim < *
			kim/tablet connect r
			ann < join r@5 kim first
			kim/tablet < welcome
			kim/tablet < joined r@5 [ann kim]`},
		{"oldest: one that is lost gives way", Oldest, `
			ann connect r
			settle
			kim connect r
			ann < (3)
			kim < (2)
			kim x lost
			ann < update r@3 kim lost
			kim/phone connect
			ann < leave r@4 kim replaced 4505 last
			kim/phone < welcome
			kim < *`},
		{"oldest: who resumes is the one there is", Oldest, `
			kim connect
			kim < welcome
			kim x lost
			wait 1s
			kim resume
			kim < welcome resumed
			kim/phone connect
			kim/phone < welcome
			kim/phone < bye 4505 replaced
			wait 1m
			kim > ping
			kim < pong`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := open(t, one(c.rule))
				h.play(c.script)
			})
		})
	}
}

// Of any number of connections that come at once exactly one stays.
func TestOneSessionPerUserAtOnce(t *testing.T) {
	for _, rule := range []PerUser{Newest, Oldest} {
		t.Run(string(rule), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := open(t, one(rule))
				for round := range 50 {
					people := make([]*person, 8)
					var all sync.WaitGroup
					for i := range people {
						w := &wire{}
						people[i] = &person{wire: w, name: fmt.Sprint("kim/", i)}
						all.Go(func() {
							c := h.sys.Connect(ClientOptions{Connection: w, Encoding: lines{}, User: "kim", Name: "kim"})
							people[i].client = c
							c.Start(w, []string{"r"})
						})
					}
					all.Wait()
					synctest.Wait()
					stay := 0
					for _, p := range people {
						switch p.closed() {
						case 0:
							stay++
						case uint16(protocol.CloseReplaced):
						default:
							t.Fatalf("closed with %d", p.closed())
						}
					}
					sessions, err := h.sys.User("kim")
					if stay != 1 || err != nil || len(sessions) != 1 {
						t.Fatalf("round %d: %d stay, %d sessions, %v", round, stay, len(sessions), err)
					}
					if info, err := h.sys.Room(t.Context(), "r"); err != nil || info.Count.Sessions != 1 {
						t.Fatalf("round %d: %+v, %v", round, info, err)
					}
					if err := h.sys.EndUser("kim", protocol.CloseKicked, ""); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					if n := len(h.sys.clients.one) + len(h.sys.clients.by); n != 0 {
						t.Fatalf("round %d: %d entries are left behind", round, n)
					}
				}
			})
		})
	}
}

// meanwhile is lines with something that happens while a connection is about to
// be welcomed.
type meanwhile struct {
	lines
	happens func()
}

func (e *meanwhile) Append(b []byte, m protocol.Message) []byte {
	if _, ok := m.(*protocol.Welcome); ok {
		e.happens()
	}
	return e.lines.Append(b, m)
}

// The first thing that a connection gets is its welcome, also where its session
// is over by then.
func TestTheWelcomeComesFirst(t *testing.T) {
	for _, c := range []struct {
		name  string
		ends  func(h *house, id string)
		first string // the bye
	}{
		{"replaced", func(h *house, _ string) {
			w := &wire{}
			h.sys.Connect(ClientOptions{Connection: w, Encoding: lines{}, User: "kim"}).Start(w, nil)
		}, "bye 4505 replaced"},
		{"ended", func(h *house, id string) { _ = h.sys.End(id, protocol.CloseKicked, "out") }, "bye 4502 out"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := open(t, one(Newest))
				for _, again := range []bool{false, true} {
					w, e := &wire{}, &meanwhile{}
					o := ClientOptions{Connection: w, Encoding: e, User: "kim"}
					client := h.sys.Connect(o)
					if again { // a session that resumes is welcomed anew
						e.happens = func() {}
						client.Start(w, nil)
						token := w.take()[0].Resume
						w = &wire{}
						o.Connection = w
						client = h.sys.Resume(token, o)
					}
					e.happens = func() { c.ends(h, client.ID()) }
					client.Start(w, []string{"r"})
					synctest.Wait()
					got := w.take()
					if len(got) != 2 || got[0].Type != "welcome" || got[1].String() != c.first {
						t.Errorf("again %v: got %v, want welcome and %s", again, got, c.first)
					}
					if w.closed() == 0 {
						t.Errorf("again %v: still open", again)
					}
				}
			})
		})
	}
}

// Who may be many is in no index.
func TestNoIndexOfUsersWithoutTheRule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		h.play(`
			kim connect
			kim < welcome`)
		if h.sys.clients.one != nil {
			t.Errorf("%v", h.sys.clients.one)
		}
	})
}

func TestQuestionsAboutUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		if _, err := h.sys.User("kim"); !errors.Is(err, ErrOffline) {
			t.Errorf("User: %v", err)
		}
		if err := h.sys.EndUser("kim", protocol.CloseKicked, ""); !errors.Is(err, ErrOffline) {
			t.Errorf("EndUser: %v", err)
		}
		h.play(`
			ann connect r
			ann < (2)
			kim connect r
			ann < (1)
			kim < (2)
			kim/phone connect s
			kim/phone < (2)`)
		sessions, err := h.sys.User("kim")
		if err != nil || len(sessions) != 2 || sessions[0].Session >= sessions[1].Session || sessions[0].User != "kim" {
			t.Errorf("User = %+v, %v", sessions, err)
		}
		if err := h.sys.EndUser("kim", protocol.CloseUnauthorized, "the account is closed"); err != nil {
			t.Errorf("EndUser: %v", err)
		}
		h.play(`
			kim < bye 4504 the account is closed
			kim closed 4504
			kim/phone < bye 4504 the account is closed
			kim/phone closed 4504
			ann < leave r@3 kim unauthorized 4504 last`)
		if n := len(h.log.events("ended")); n != 2 {
			t.Errorf("%d endings are told", n)
		}
	})
}
