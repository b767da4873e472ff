package actors

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rollcall/protocol"
	"rollcall/timeline"
)

// Remote implements Peer: everybody comes from the same address.
func (w *wire) Remote() netip.AddrPort { return netip.MustParseAddrPort("10.1.2.3:4567") }

// Quiet implements Peer.
func (w *wire) Quiet(tell func(time.Duration, bool)) { go tell(3*time.Second, w.closed() == 0) }

// do plays a conversation of which only the timeline matters.
func (h *house) do(script string) {
	h.t.Helper()
	for line := range strings.Lines(script) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if err := h.line(line); err != nil {
			h.t.Fatalf("%s: %v", line, err)
		}
	}
}

// checkTimeline returns what contradicts what the room knows of its members.
func (r *room) checkTimeline() error {
	for id, s := range r.seats {
		m, in := r.present.Member(id)
		if !in { // an observer
			continue
		}
		is := map[protocol.State]bool{
			protocol.StateLost: s.past.lasts == timeline.Lost, protocol.StateIdle: s.past.idle() != 0 || s.past.away(),
			protocol.StateActive: s.past.idle() == 0 && s.past.lasts != timeline.Lost, protocol.StateUnresponsive: s.past.idle() == 0,
		}
		if !is[m.State] || s.past.away() && !s.away {
			return fmt.Errorf("%s is %s, away: %t, and its past is %+v", id, m.State, s.away, s.past)
		}
	}
	return r.timeline.Check(r.present.Has)
}

// why asks for a timeline.
func (h *house) why(room, user, session string) (*Timeline, error) {
	synctest.Wait()
	return h.sys.Timeline(context.Background(), room, user, session)
}

// told is a timeline as lines: how long after the start of the test, whose
// session, and what.
func (h *house) told(tl *Timeline) string {
	var b strings.Builder
	began := h.sys.start.UnixMilli()
	after := func(at int64) time.Duration { return time.Duration(at-began) * time.Millisecond }
	for _, e := range tl.Events {
		fmt.Fprintf(&b, "%s %s %s\n", after(e.At), h.nameOf(e.Session), e.Text)
	}
	for _, m := range tl.Members {
		fmt.Fprintf(&b, "now %s %s since %s", h.nameOf(m.Session), m.State, after(m.StateSince))
		if n := m.Next; n != nil {
			fmt.Fprintf(&b, ", %s%s at %s", n.State, n.Reason, after(n.At))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func (h *house) nameOf(session string) string {
	for _, p := range h.all {
		if p.client.id == session {
			return p.name
		}
	}
	return "room"
}

// wantTold compares a timeline with what it should tell, line by line.
func (h *house) wantTold(room, user, want string) {
	h.t.Helper()
	tl, err := h.why(room, user, "")
	if err != nil {
		h.t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(want) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	if got := strings.TrimSpace(h.told(tl)); got != strings.Join(lines, "\n") {
		h.t.Fatalf("got:\n%s\nwant:\n%s", got, strings.Join(lines, "\n"))
	}
}

func ladder(o *Options) {
	o.Timeline = 1000
	o.Rules = Rules{IdleAfter: 5 * time.Minute, DisconnectAfter: 30 * time.Minute, MaxAge: 2 * time.Hour}
}

// However a visit ends, the timeline tells it as it was.
func TestTheTimelineTellsTheTruth(t *testing.T) {
	const comes = `
		0s room was opened, in epoch E
		0s ann connected from 10.1.2.3
		0s ann joined the room
		`
	for _, c := range []struct {
		name string
		does func(h *house, ann *person)
		want string
	}{
		{"she is there", func(*house, *person) {}, `
			now ann active since 0s, idle at 5m0s`},
		{"she fell idle", func(h *house, _ *person) { h.do("wait 7m") }, `
			5m0s ann fell idle: no activity for 5m0s
			now ann idle since 5m0s, idle at 30m0s`},
		{"she was idle", func(h *house, ann *person) {
			h.do("wait 7m\n ann > signal r 1\n wait 1m\n ann > signal r 1")
		}, `
			5m0s ann fell idle: no activity for 5m0s
			7m0s ann was active again, after 2m0s of idleness
			now ann active since 7m0s, idle at 13m0s`},
		{"she left", func(h *house, _ *person) { h.do("wait 10s\n ann > leave r") }, `
			10s ann left: its client asked to leave`},
		{"she left idle", func(h *house, ann *person) {
			h.do("wait 6m")
			ann.client.Gone(ann.wire, protocol.ReasonClosed, 1001, "")
		}, `
			5m0s ann fell idle: no activity for 5m0s
			6m0s ann left: its client closed the connection, code 1001 (the page went away); last active 6m0s before`},
		{"she fell idle for too long", func(h *house, _ *person) { h.do("wait 30m30s") }, `
			5m0s ann fell idle: no activity for 5m0s
			30m0s ann left: there was no activity for too long, code 4500: session.disconnect_after is 30m0s; last active 30m0s before`},
		{"kicked", func(h *house, _ *person) { h.do("wait 1s\n kick r ann") }, `
			1s ann left: it was taken out of the room by a call of the API; last active 1s before`},
		{"ended by the API", func(h *house, ann *person) {
			h.do("wait 1s")
			_ = h.sys.End(ann.client.id, 4502, "spam")
		}, `
			1s ann left: the session was ended by a call of the API, code 4502: spam; last active 1s before`},
		{"ended by the API, as if idle", func(h *house, ann *person) {
			h.do("wait 1s")
			_ = h.sys.End(ann.client.id, 4500, "")
		}, `
			1s ann left: the session was ended by a call of the API, code 4500; last active 1s before`},
		{"replaced", func(h *house, ann *person) {
			ann.client.End(protocol.ReasonReplaced, protocol.CloseReplaced, "")
		}, `
			0s ann left: a newer session of the user took its place, code 4505`},
		{"her session panicked", func(h *house, _ *person) { h.do("wait 1s\n panic r ann") }, `
			1s ann failed: its actor panicked: provoked
			1s ann left: the server failed; last active 1s before`},
		{"her room panicked", func(h *house, _ *person) { h.do("wait 1s\n panic r") }, `
			1s room failed: its actor panicked: provoked
			now ann active since 0s, idle at 5m0s`},
		{"lost", func(h *house, ann *person) {
			h.do("wait 1s")
			ann.client.Gone(ann.wire, protocol.ReasonLost, 0, "reset by the peer")
		}, `
			1s ann left: its connection was lost, and it did not come back: reset by the peer; last active 1s before`},
		{"violation", func(h *house, ann *person) {
			ann.client.Gone(ann.wire, protocol.ReasonViolation, 1002, "frame is not masked")
		}, `
			0s ann left: its client broke the protocol, or flooded past the limits, code 1002: frame is not masked`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := open(t, ladder)
				ann := h.connect("ann", "r")
				synctest.Wait()
				room, err := h.sys.Room(context.Background(), "r")
				if err != nil {
					t.Fatal(err)
				}
				c.does(h, ann)
				h.wantTold("r", "ann", strings.Replace(comes, "epoch E", "epoch "+room.Epoch, 1)+c.want)
			})
		})
	}
}

// far is a wire from another address.
type far struct{ *wire }

func (far) Remote() netip.AddrPort { return netip.MustParseAddrPort("[::ffff:10.9.8.7]:1") }

// Who is away is told as such, and what becomes of it.
func TestTheTimelineTellsOfThoseWhoAreAway(t *testing.T) {
	fromAfar := func(h *house, ann *person) {
		ann.frames()
		if c := h.sys.Resume(ann.token, ClientOptions{Connection: far{ann.wire}, Encoding: h.encoding}); c != ann.client {
			h.t.Fatal("refused")
		}
	}
	for _, c := range []struct {
		name string
		does func(h *house, ann *person)
		want string
	}{
		{"lost", func(h *house, _ *person) { h.do("wait 1m\n ann x lost 0 reset by the peer\n wait 4s") }, `
			1m0s ann lost its connection: reset by the peer; it may come back
			now ann lost since 1m0s, lost at 1m10s`},
		{"lost while idle", func(h *house, _ *person) { h.do("wait 6m\n ann x lost 0\n wait 4s") }, `
			5m0s ann fell idle: no activity for 5m0s
			6m0s ann lost its connection; it may come back
			now ann lost since 6m0s, lost at 6m10s`},
		{"never came back", func(h *house, _ *person) { h.do("wait 1m\n ann x lost 0 reset by the peer\n wait 20s") }, `
			1m0s ann lost its connection: reset by the peer; it may come back
			1m10s ann left: its connection was lost, and it did not come back: session.resume_window is 10s; last active 1m10s before`},
		{"came back, and not into the room", func(h *house, ann *person) {
			h.do("wait 1m\n ann x lost 0 reset by the peer\n wait 3200ms")
			fromAfar(h, ann)
		}, `
			1m0s ann lost its connection: reset by the peer; it may come back
			1m3.2s ann came back after 3.2s from 10.9.8.7
			now ann active since 1m3.2s, idle at 5m0s`},
		{"came back into the room", func(h *house, _ *person) {
			h.do("wait 1m\n ann x lost 0\n wait 3200ms\n ann resume r\n wait 1m")
		}, `
			1m0s ann lost its connection; it may come back
			1m3.2s ann came back after 3.2s from 10.1.2.3
			now ann active since 1m3.2s, idle at 5m0s`},
		{"lost again before she came into the room", func(h *house, _ *person) {
			h.do("wait 1m\n ann x lost 0\n wait 2s\n ann resume\n wait 1s\n ann x lost 0 reset by the peer\n wait 1s")
		}, `
			1m0s ann lost its connection; it may come back
			1m2s ann came back after 2s from 10.1.2.3
			1m3s ann lost its connection: reset by the peer; it may come back
			now ann lost since 1m3s, lost at 1m13s`},
		{"came back idle", func(h *house, _ *person) {
			h.do("wait 6m\n ann x lost 0\n wait 3s\n ann resume\n settle")
		}, `
			5m0s ann fell idle: no activity for 5m0s
			6m0s ann lost its connection; it may come back
			6m3s ann came back after 3s from 10.1.2.3
			6m3s ann fell idle: no activity for 5m0s
			now ann idle since 6m3s, idle at 30m0s`},
		{"a reload", func(h *house, _ *person) {
			h.do("wait 1m\n ann x closed 1001\n wait 1s\n ann resume\n ann > join r\n wait 1m")
		}, `
			1m0s ann closed its connection, code 1001 (the page went away); it may come back
			1m1s ann came back after 1s from 10.1.2.3
			now ann active since 1m1s, idle at 6m1s`},
		{"closed for good", func(h *house, _ *person) { h.do("wait 1m\n ann x closed 1001\n wait 1m") }, `
			1m0s ann closed its connection, code 1001 (the page went away); it may come back
			1m2s ann left: its client closed the connection, code 1001 (the page went away): session.reload_grace is 2s; last active 1m2s before`},
		{"taken over before the end was seen", func(h *house, ann *person) {
			h.do("wait 1m")
			fromAfar(h, ann)
		}, `
			1m0s ann moved to another connection from 10.9.8.7
			now ann active since 1m0s, idle at 5m0s`},
		{"kicked while away", func(h *house, ann *person) {
			h.do("wait 1m\n ann x lost 0\n wait 1s")
			_ = h.sys.End(ann.client.id, 4502, "spam")
			h.do("settle")
		}, `
			1m0s ann lost its connection; it may come back
			1m1s ann left: the session was ended by a call of the API, code 4502: spam; last active 1m1s before`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := open(t, func(o *Options) { holds(o); o.Timeline = 100 })
				h.connect("bob", "r") // keeps it open
				synctest.Wait()
				ann := h.connect("ann", "r")
				synctest.Wait()
				c.does(h, ann)
				epoch := ""
				h.inside("r", func(r *room) { epoch = r.epoch() })
				h.wantTold("r", "ann", "0s room was opened, in epoch "+epoch+"\n0s ann connected from 10.1.2.3\n0s ann joined the room\n"+c.want)
			})
		})
	}
}

// nowhere is a wire whose other end has no address.
type nowhere struct{ *wire }

func (nowhere) Remote() netip.AddrPort { return netip.AddrPort{} }

func TestRemote(t *testing.T) {
	for c, want := range map[Connection]string{
		&wire{}: "10.1.2.3", far{&wire{}}: "10.9.8.7", nowhere{&wire{}}: "", &simulated{}: "", nil: "",
	} {
		if got := remote(c); got != want {
			t.Errorf("%T: %q, want %q", c, got, want)
		}
	}
}

// A page that broke its promise is told so, with the promise.
func TestTheTimelineTellsOfBrokenPromises(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, func(o *Options) { o.Timeline = 100; o.Rules.IdleAfter = 5 * time.Minute })
		ann := &person{wire: &wire{}, name: "ann"}
		ann.client = h.sys.Connect(ClientOptions{Connection: ann.wire, Encoding: lines{}, User: "ann", Promise: 10 * time.Second})
		h.all = append(h.all, ann)
		ann.client.Start(ann.wire, []string{"r"})
		synctest.Wait()
		tl, err := h.why("r", "ann", "")
		if err != nil || !strings.Contains(h.told(tl), "now ann active since 0s, unresponsive at 30s") {
			t.Errorf("%v\n%s", err, h.told(tl))
		}
		time.Sleep(40 * time.Second)
		ann.do(say("ping"))
		synctest.Wait()
		tl, err = h.why("r", "ann", "")
		want := "30s ann fell silent: its page promised a ping every 10s, and missed three\n40s ann was active again\nnow ann active since 40s, unresponsive at 1m10s\n"
		if err != nil || !strings.HasSuffix(h.told(tl), want) {
			t.Errorf("%v\n%s\nwant\n%s", err, h.told(tl), want)
		}
	})
}

// A person's devices are told together, those that are gone too.
func TestDevicesAreToldTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, ladder)
		h.do(`
			ann connect r
			wait 1m
			ann/phone connect r
			bob connect r
			wait 10s
			ann x closed 1001`)
		tl, err := h.why("r", "ann", "")
		if err != nil {
			t.Fatal(err)
		}
		got := h.told(tl)
		_, got, _ = strings.Cut(got, "\n") // when the room was opened
		want := `0s ann connected from 10.1.2.3
0s ann joined the room
1m0s ann/phone connected from 10.1.2.3
1m0s ann/phone joined the room
1m10s ann left: its client closed the connection, code 1001 (the page went away); last active 1m10s before
now ann/phone active since 1m0s, idle at 6m0s
`
		if got != want || tl.Sessions != 1 || tl.User != "ann" || tl.Cut {
			t.Errorf("%+v\n%s\nwant\n%s", tl, got, want)
		}
		if m := tl.Members[0]; m.LastHeardAt != tl.Now-3000 || m.Remote != "10.1.2.3" || m.JoinedAt != tl.Now-10_000 || m.ConnectedAt != m.JoinedAt {
			t.Errorf("now: %+v", m)
		}
		gone, err := h.why("r", "", h.by["ann"].client.id)
		if err != nil || gone.User != "ann" || len(gone.Members) != 0 || strings.Contains(h.told(gone), "phone") || !strings.Contains(h.told(gone), "went away") {
			t.Errorf("by a session that is gone: %v\n%s", err, h.told(gone))
		}
		here, err := h.why("r", "", h.by["ann/phone"].client.id)
		if err != nil || here.User != "ann" || len(here.Members) != 1 || strings.Contains(h.told(here), "went away") {
			t.Errorf("by a session that is here: %v\n%s", err, h.told(here))
		}
	})
}

func TestOfWhomNothingIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, ladder)
		h.do(`
			ann connect r
			bob connect`)
		for _, q := range [][2]string{{"bob", ""}, {"", h.by["bob"].client.id}, {"", "s_none"}, {"carl", ""}} {
			if tl, err := h.why("r", q[0], q[1]); err != ErrNoUser {
				t.Errorf("%v: %v %v", q, tl, err)
			}
		}
		if _, err := h.why("none", "ann", ""); err != ErrNoRoom {
			t.Error(err)
		}
		h.do(`
			ann x closed 1000
			wait 2m`)
		if _, err := h.why("r", "ann", ""); err != ErrNoRoom {
			t.Errorf("the room has closed: %v", err)
		}
	})
}

// Turned off, only what is true now is told.
func TestWithoutATimelineTheTruthOfNowIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, func(o *Options) { ladder(o); o.Timeline = 0 })
		h.do(`
			ann connect r
			bob connect r
			settle
			bob > leave r
			wait 6m`)
		h.wantTold("r", "ann", `
			0s ann connected from 10.1.2.3
			0s ann joined the room
			5m0s ann fell idle: no activity for 5m0s
			now ann idle since 5m0s, idle at 30m0s`)
		if _, err := h.why("r", "bob", ""); err != ErrNoUser {
			t.Error(err)
		}
	})
}

// A room that failed for good leaves its timeline to the room after it, and
// tells it until then; but not for longer than an empty room is kept.
func TestARoomThatFailedIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, ladder)
		fail := func(room string) {
			for range 4 {
				h.sys.Inject(room, "", func() { panic("provoked") })
				synctest.Wait()
			}
		}
		texts := func(room string) string {
			tl, err := h.why(room, "ann", "")
			if err != nil {
				return err.Error()
			}
			if tl.Epoch == "" != (len(tl.Members) == 0) {
				t.Errorf("epoch %q, %d members", tl.Epoch, len(tl.Members))
			}
			return h.told(tl)
		}
		ann := h.connect("ann", "r", "s")
		synctest.Wait()
		fail("r")
		fail("s")
		want := "0s room failed too often and was stopped: everybody in it left\n"
		story := texts("r")
		if !strings.Contains(story, "0s ann left: the server failed\n") || !strings.Contains(story, want) || strings.Count(story, "panicked: provoked") != 4 {
			t.Fatal(story)
		}
		bySession, err := h.why("r", "", ann.client.id)
		if err != nil || h.told(bySession) != story {
			t.Errorf("by session: %v %v", bySession, err)
		}
		if _, err := h.why("r", "bob", ""); err != ErrNoUser {
			t.Error(err)
		}
		time.Sleep(time.Second)
		ann.do(say("join r"))
		synctest.Wait()
		story = texts("r")
		if !strings.Contains(story, want) || !strings.Contains(story, "1s ann joined the room\n") || strings.Count(story, "was opened") != 2 {
			t.Error(story)
		}
		time.Sleep(2 * time.Minute)
		if story := texts("s"); story != ErrNoRoom.Error() {
			t.Error(story)
		}
		ann.take()
	})
}

// However many rooms fail, few are remembered.
func TestFewFailedRoomsAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lobby{sys: open(t, ladder).sys, rooms: map[string]*entry{}}
		for i := range 3 * maxRemnants {
			l.keep(fmt.Sprint(i), timeline.New(100))
		}
		if len(l.remnants) != maxRemnants || l.remnantOf("0") != nil || l.remnantOf(fmt.Sprint(3*maxRemnants-1)) == nil {
			t.Errorf("%d remembered", len(l.remnants))
		}
	})
}

// What the audit finds is on record with what it did about it.
func TestGhostsAreOnRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, func(o *Options) { ladder(o); o.Audit = time.Minute })
		h.do(`
			ann connect r
			bob connect r
			wait 1s`)
		h.inside("r", func(r *room) { delete(r.seats, h.by["ann"].client.id) })
		h.do("wait 3m")
		tl, err := h.why("r", "ann", "")
		if err != nil {
			t.Fatal(err)
		}
		if got := h.told(tl); !strings.Contains(got, "2m0s ann was found to be a member without a seat, and set right\n2m0s ann left: the server failed") {
			t.Error(got)
		}
	})
}

// A user with a thousand sessions gets an answer of bounded size.
func TestATimelineIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, ladder)
		for i := range 3 * maxPresences {
			h.connect(fmt.Sprintf("ann/%d", i), "r")
		}
		tl, err := h.why("r", "ann", "")
		if err != nil {
			t.Fatal(err)
		}
		if tl.Sessions != 3*maxPresences || len(tl.Members) != maxPresences || len(tl.Events) != 2*maxPresences+1 {
			t.Errorf("%d sessions, %d members, %d events", tl.Sessions, len(tl.Members), len(tl.Events))
		}
		if b, err := json.Marshal(tl); err != nil || len(b) > 100<<10 {
			t.Errorf("%d bytes, %v", len(b), err)
		}
	})
}
