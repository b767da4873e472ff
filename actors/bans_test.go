package actors

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"rollcall/bans"
	"rollcall/engine/local"
	"rollcall/protocol"
)

// who is whom a line of a conversation bans: a user, or a session by the name
// of its person.
func (h *house) who(kind, name string) bans.Who {
	if kind == "session" {
		return bans.Who{Session: h.by[name].client.id}
	}
	return bans.Who{User: name}
}

func (h *house) moderate(verb, room string, who bans.Who, length string) error {
	ctx := h.t.Context()
	if verb == "ban" {
		b := bans.Ban{Who: who}
		if length != "" {
			d, err := time.ParseDuration(length)
			if err != nil {
				return err
			}
			b.Until = unixMS() + d.Milliseconds()
		}
		_, err := h.sys.Ban(ctx, room, b)
		return err
	}
	all, err := h.sys.Bans(ctx, room)
	for _, b := range all {
		if b.Who == who {
			return h.sys.Unban(ctx, room, b.ID)
		}
	}
	return errors.Join(err, fmt.Errorf("%+v is not banned from %s", who, room))
}

func TestBans(t *testing.T) {
	for _, c := range []struct {
		name   string
		set    func(*Options)
		script string
	}{
		{"a ban takes out at once, out of that room alone", nil, `
			ann connect r
			settle
			kim connect r s
			ann < (3)
			kim < (3)
			ban r user kim
			ann < leave r@3 kim banned last
			kim < leave r@3 kim banned last
			kim > publish#1 s "still here"
			kim < message s@2 kim "still here"
			kim < ok#1 @2
			kim > join#2 r
			kim < error#2 banned r
			kim/tablet connect r
			kim/tablet < welcome
			kim/tablet < error banned r`},
		{"a ban of a session leaves the user's others", nil, `
			kim connect r
			settle
			kim/phone connect r
			kim < (3)
			kim/phone < (2)
			ban r session kim
			kim < leave r@3 kim banned
			kim/phone < leave r@3 kim banned
			kim > join#1 r
			kim < error#1 banned r
			kim/phone > publish#1 r 1
			kim/phone < message r@4 kim 1
			kim/phone < ok#1 @4`},
		{"a ban ends by itself", nil, `
			kim connect r
			kim < (2)
			ban r user kim 5m
			kim < leave r@2 kim banned last
			wait 4m59s
			kim > join#1 r
			kim < error#1 banned r
			wait 1s
			kim > join#2 r
			kim << joined#2 r@1 [kim]`},
		{"a ban that is lifted is none", nil, `
			ann connect r
			ann < (2)
			kim connect r
			kim < (2)
			ann < (1)
			ban r user kim
			kim < leave r@3 kim banned last
			ann < leave r@3 kim banned last
			unban r user kim
			kim > join#1 r
			kim < joined#1 r@4 [ann kim]
			ann < join r@4 kim first`},
		{"a room may be banned from before it is made, and the ban outlives it", func(o *Options) { o.Linger = time.Minute }, `
			kim connect
			kim < welcome
			ban r user kim
			kim > join#1 r
			kim < error#1 banned r
			ann connect r
			ann < (2)
			ann > leave r
			ann < leave r@2 ann left last
			wait 1h
			kim > join#2 r
			kim < error#2 banned r
			unban r user kim
			kim > join#3 r
			kim < joined#3 r@1 [kim]`},
		{"a ban from the server ends every connection of the user, and those to come", nil, `
			ann connect r s
			settle
			kim connect r s
			settle
			kim/phone connect
			kim/phone < welcome
			ann < (5)
			kim < (3)
			ban @server user kim 5m
			kim < bye 4503 banned
			kim closed 4503
			kim/phone < bye 4503 banned
			kim/phone closed 4503
			ann << leave r@3 kim banned 4503 last
			ann << leave s@3 kim banned 4503 last
			kim connect r
			kim < welcome
			kim < bye 4503 banned
			kim closed 4503
			wait 5m
			kim connect r
			ann < join r@4 kim first
			kim < welcome
			kim < joined r@4 [ann kim]`},
		{"a ban of a session from the server", nil, `
			kim connect r
			settle
			kim/phone connect r
			kim < (3)
			kim/phone < (2)
			ban @server session kim
			kim < bye 4503 banned
			kim closed 4503
			kim/phone < leave r@3 kim banned 4503
			kim/phone > publish#1 r 1
			kim/phone < (2)`},
		{"what is on its way when a ban comes is taken out or refused", func(o *Options) {
			o.Engine = &lateEngine{Engine: o.Engine, delay: time.Second}
		}, `
			ann connect r
			wait 2s
			ann < (2)
			kim connect r
			kim < welcome
			wait 500ms
			ban r user kim
			kim > leave#1 r
			kim > join#2 r
			wait 5s
			ann < join r@2 kim first
			ann < leave r@3 kim banned last
			kim << joined r@2 [ann kim]
			kim << leave r@3 kim banned last
			kim << ok#1 @3
			kim << error#2 banned r`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := open(t, c.set)
				h.play(c.script)
			})
		})
	}
}

// A ban of a user takes out every session there is of it, and each sees its
// own leave.
func TestABanOfAUserWithManySessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		for i := range 20 {
			h.connect(fmt.Sprintf("kim/%d", i), "r")
			h.connect(fmt.Sprintf("ann/%d", i), "r")
		}
		synctest.Wait()
		if err := h.moderate("ban", "r", bans.Who{User: "kim"}, ""); err != nil {
			t.Fatal(err)
		}
		for _, p := range h.all {
			fs := p.frames()
			own := 0
			for _, f := range fs {
				if f.Type == "leave" && f.Session == p.client.id {
					own++
				}
			}
			banned := p.client.user == "kim"
			if last := fs[len(fs)-1]; banned && (own != 1 || last.Session != p.client.id || last.Reason != "banned") || !banned && own != 0 {
				t.Errorf("%s saw %d own leaves, %s last", p.name, own, last)
			}
		}
		if info, err := h.sys.Room(t.Context(), "r"); err != nil || info.Count != (protocol.Count{Sessions: 20, Users: 1}) {
			t.Errorf("%+v, %v", info, err)
		}
	})
}

// What was banned, is listed and lifted as HTTP asks for it.
func TestQuestionsAboutBans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, func(o *Options) {
			o.Engine = local.New(local.Options{Messages: 10, Bytes: 1 << 20, Bans: 2})
		})
		ctx := t.Context()
		for _, room := range []string{"r", Server} {
			first, err := h.sys.Ban(ctx, room, bans.Ban{Who: bans.Who{User: "kim"}, Until: unixMS() + 1000, Reason: "spam"})
			if err != nil || !first.Valid() || first.At != unixMS() || first.Reason != "spam" {
				t.Fatalf("%s: Ban = %+v, %v", room, first, err)
			}
			time.Sleep(time.Millisecond)
			again, err := h.sys.Ban(ctx, room, bans.Ban{Who: bans.Who{User: "kim"}})
			if err != nil || again.ID == first.ID {
				t.Fatalf("%s: Ban again = %+v, %v", room, again, err)
			}
			if err := h.sys.Unban(ctx, room, first.ID); !errors.Is(err, ErrNoBan) {
				t.Errorf("%s: Unban of one that was replaced: %v", room, err)
			}
			time.Sleep(time.Millisecond)
			short, err := h.sys.Ban(ctx, room, bans.Ban{Who: bans.Who{Session: "s_x"}, Until: unixMS() + 1000})
			if err != nil {
				t.Fatalf("%s: %v", room, err)
			}
			if _, err := h.sys.Ban(ctx, room, bans.Ban{Who: bans.Who{User: "eve"}}); !errors.Is(err, ErrBansFull) {
				t.Errorf("%s: a ban too many: %v", room, err)
			}
			if all, err := h.sys.Bans(ctx, room); err != nil || len(all) != 2 || all[0] != again || all[1] != short {
				t.Errorf("%s: Bans = %+v, %v", room, all, err)
			}
			time.Sleep(time.Second)
			if all, err := h.sys.Bans(ctx, room); err != nil || len(all) != 1 || all[0] != again {
				t.Errorf("%s: Bans = %+v, %v", room, all, err)
			}
			if err := h.sys.Unban(ctx, room, short.ID); !errors.Is(err, ErrNoBan) {
				t.Errorf("%s: Unban of one that is over: %v", room, err)
			}
			if err := h.sys.Unban(ctx, room, again.ID); err != nil {
				t.Errorf("%s: Unban: %v", room, err)
			}
		}
		synctest.Wait()
		if rooms, _, err := h.sys.Rooms(ctx, "", "", 10); err != nil || len(rooms) != 0 || h.sys.Stats().Rooms.Load() != 0 {
			t.Errorf("%d rooms are left of it, %v", len(rooms), err)
		}
		if n, m := len(h.log.events("banned")), len(h.log.events("unbanned")); n != 6 || m != 2 {
			t.Errorf("told %d bans and %d that were lifted", n, m)
		}
		if h.log.contains("spam") {
			t.Error("what a person wrote is in the log")
		}
	})
}

// The bans of the server outlive the failures of its room.
func TestBansOfAServerWhoseRoomFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		h.play("ban @server user kim")
		for range 4 {
			h.sys.Inject(Server, "", func() { panic("provoked") })
			synctest.Wait()
		}
		if !h.sys.Banned("kim") {
			t.Error("kim may come in")
		}
		h.play(`
			unban @server user kim
			kim connect r
			kim < (2)`)
	})
}

// A ban from the server and the connection that it is about may come at the
// same time: whichever is first, the connection ends.
func TestABanAndAConnectionAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		for range 200 {
			banned := make(chan error, 1)
			go func() { banned <- h.moderate("ban", Server, bans.Who{User: "kim"}, "") }()
			p := h.connect("kim", "r")
			if err := <-banned; err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if p.closed() != uint16(protocol.CloseBanned) || len(h.sys.Clients()) != 0 {
				t.Fatalf("closed with %d", p.closed())
			}
			if err := h.moderate("unban", Server, bans.Who{User: "kim"}, ""); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// moderation are the acts of the model that throw people out.
func (m *model) moderation(t *rapid.T, room func() string, who func() *player) map[string]func() {
	keepOut := func(room string, who bans.Who) {
		m.bans++
		b := bans.Ban{ID: fmt.Sprint("b", m.bans), Who: who, At: unixMS()}
		if s := rapid.IntRange(0, 30).Draw(t, "seconds"); s > 0 {
			b.Until = b.At + int64(s)*1000
		}
		m.h.sys.toLobby(&ban{about[bans.Ban](room), b})
	}
	lift := func(room string) {
		id := fmt.Sprint("b", rapid.IntRange(max(m.bans-5, 0), m.bans).Draw(t, "ban"))
		m.h.sys.toLobby(&unban{about[bool](room), id})
	}
	user := func() bans.Who {
		return bans.Who{User: rapid.SampledFrom([]string{"ann", "bob", "zoe"}).Draw(t, "banned")}
	}
	session := func() bans.Who { return bans.Who{Session: who().client.id} }
	return map[string]func(){
		"ban user":                func() { keepOut(room(), user()) },
		"ban session":             func() { keepOut(room(), session()) },
		"ban user from server":    func() { keepOut(Server, user()) },
		"ban session from server": func() { keepOut(Server, session()) },
		"disconnect user":         func() { _ = m.h.sys.EndUser(user().User, protocol.CloseKicked, "") },
		"unban":                   func() { lift(room()) },
		"unban from server":       func() { lift(Server) },
	}
}

// pardon lifts all bans of the server: the next check has the same users.
func (m *model) pardon() {
	for _, b := range m.h.sys.banned.all() {
		for range 5 { // an engine may be unavailable
			if err := m.h.sys.Unban(m.h.t.Context(), Server, b.ID); err == nil {
				break
			}
		}
	}
}
