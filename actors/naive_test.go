package actors

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rollcall/protocol"
)

// The naive model: who is where, how they stand and why they left, computed
// from nothing but the rules and the time of each act. The server must come to
// the same, whatever people do and however their connections end.

// visitor is a session as the naive model knows it.
type visitor struct {
	*person
	since, activity, seen time.Duration
	promise               time.Duration
	rooms                 []string // in the order of joining
	away                  time.Duration
	ending                protocol.Reason // with away; or for good
	over                  bool
	used                  []string // tokens that no longer work
}

// state is what others see of the visitor.
func (v *visitor) state(r Rules, now time.Duration) protocol.State {
	switch {
	case v.away > 0 && v.ending == protocol.ReasonLost:
		return protocol.StateLost
	case v.away == 0 && v.promise > 0 && now >= v.seen+3*v.promise:
		return protocol.StateUnresponsive
	case now >= v.activity+r.IdleAfter:
		return protocol.StateIdle
	}
	return protocol.StateActive
}

// changes are the times at which something about the visitor changes by itself.
func (v *visitor) changes(r Rules) []time.Duration {
	all := []time.Duration{v.activity + r.IdleAfter, v.activity + r.DisconnectAfter, v.since + r.MaxAge}
	if v.away > 0 {
		all = append(all, v.away)
	}
	if v.promise > 0 {
		all = append(all, v.seen+3*v.promise)
	}
	return all
}

// town is the whole of the naive model.
type town struct {
	h     *house
	rules Rules
	start time.Time
	rooms []string
	all   []*visitor
	left  map[string]int // room, session and reason of each leave: how often
	heard map[string]int // the same, as a member of all rooms was told

	before map[string]bool // the leaves that the watcher before was told

	watcher *person
	watched time.Duration // since
}

func (w *town) now() time.Duration { return time.Since(w.start) }

// lives are the visitors that have not ended.
func (w *town) lives(fits func(*visitor) bool) (found []*visitor) {
	for _, v := range w.all {
		if !v.over && fits(v) {
			found = append(found, v)
		}
	}
	return found
}

func (v *visitor) connected() bool { return v.away == 0 }

func (w *town) leave(v *visitor, room string, reason protocol.Reason) {
	if i := slices.Index(v.rooms, room); i >= 0 {
		v.rooms = slices.Delete(v.rooms, i, i+1)
		w.left[fmt.Sprint(room, " ", v.client.id, " ", reason)]++
	}
}

func (w *town) end(v *visitor, reason protocol.Reason) {
	for _, room := range slices.Clone(v.rooms) {
		w.leave(v, room, reason)
	}
	v.over = true
}

// pass lets what is due at now happen in the model.
func (w *town) pass() {
	now := w.now()
	for _, v := range w.all {
		switch {
		case v.over:
		case v.away > 0 && now >= v.away:
			w.end(v, v.ending)
		case now >= v.since+w.rules.MaxAge:
			w.end(v, protocol.ReasonExpired)
		case now >= v.activity+w.rules.DisconnectAfter:
			w.end(v, protocol.ReasonIdle)
		}
	}
}

// wait lets time pass, to a moment at which nothing is about to happen: a
// reminder may be late by a tick of the wheel.
func (w *town) wait(d time.Duration) {
	const near = 200 * time.Millisecond
	for until := w.now() + d; w.now() < until; {
		next := until // to the next change, or to the end
		for _, v := range w.lives(func(*visitor) bool { return true }) {
			for _, at := range v.changes(w.rules) {
				if at > w.now()-near && at+near < next {
					next = max(at+near, w.now()+time.Millisecond)
				}
			}
		}
		time.Sleep(next - w.now())
		w.pass()
	}
	for w.about(near) {
		time.Sleep(near)
		w.pass()
	}
}

func (w *town) about(near time.Duration) bool {
	for _, v := range w.lives(func(*visitor) bool { return true }) {
		for _, at := range v.changes(w.rules) {
			if d := at - w.now(); -near < d && d <= near {
				return true
			}
		}
	}
	return false
}

// do sends a command, and notes what it means.
func (w *town) do(v *visitor, short string) {
	kind, rest, _ := strings.Cut(short, " ")
	room, _, _ := strings.Cut(rest, " ")
	v.do(say(short))
	v.seen = w.now()
	switch kind {
	case "join":
		if !slices.Contains(v.rooms, room) {
			v.rooms = append(v.rooms, room)
		}
	case "leave":
		w.leave(v, room, protocol.ReasonLeft)
	}
	switch kind {
	case "join", "leave", "publish", "update", "signal":
		v.activity = v.seen
	}
	synctest.Wait()
}

func (w *town) gone(v *visitor, reason protocol.Reason, code protocol.CloseCode) {
	_ = v.frames() // its newest token
	v.client.Gone(v.wire, reason, code, "")
	if hold := w.rules.hold(reason); hold > 0 {
		v.away, v.ending = w.now()+hold, reason
	} else {
		w.end(v, reason)
	}
	synctest.Wait()
}

func (w *town) resume(v *visitor) {
	_ = v.frames()
	token := v.token
	if !v.resume(token) {
		panic("refused")
	}
	v.used = append(v.used, token)
	v.away, v.seen = 0, w.now()
	synctest.Wait()
}

// compare holds the server against the model.
func (w *town) compare(t *rapid.T) {
	type standing struct {
		Session string
		State   protocol.State
	}
	synctest.Wait()
	w.pass()
	for _, room := range w.rooms {
		want := map[string]standing{}
		for _, v := range w.all {
			if slices.Contains(v.rooms, room) {
				want[v.client.id] = standing{v.client.id, v.state(w.rules, w.now())}
			}
		}
		got := map[string]standing{}
		w.h.inside(room, func(r *room_) {
			for _, m := range r.present.Members() {
				if m.User != "watcher" {
					got[m.Session] = standing{m.Session, m.State}
				}
			}
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s at %v (-model +server):\n%s", room, w.now(), diff)
		}
	}
}

// room_ is the actor; room is a name here.
type room_ = room

// watch keeps somebody in all rooms who hears all that is told there.
func (w *town) watch() {
	old := w.watcher
	w.watcher, w.watched = w.h.connect("watcher", w.rooms...), w.now()
	synctest.Wait()
	if old != nil {
		w.listen(old)
		old.client.Gone(old.wire, protocol.ReasonSlow, 0, "")
		synctest.Wait()
	}
}

// listen takes what a watcher heard. What the one before it heard, too, because
// it happened while both were there, counts once.
func (w *town) listen(watcher *person) {
	before := w.before
	w.before = map[string]bool{}
	for _, f := range watcher.frames() {
		if f.Type != "leave" || f.User == "watcher" {
			continue
		}
		at := fmt.Sprint(f.Room, "@", f.Offset)
		w.before[at] = true
		if !before[at] {
			w.heard[fmt.Sprint(f.Room, " ", f.Session, " ", f.Reason)]++
		}
	}
}

func TestAgainstTheNaiveModel(t *testing.T) {
	rules := Rules{
		IdleAfter: 10 * time.Second, DisconnectAfter: 40 * time.Second, MaxAge: 100 * time.Second,
		ResumeWindow: 5 * time.Second, ReloadGrace: 2 * time.Second,
	}
	synctest.Test(t, func(t *testing.T) {
		h := open(t, func(o *Options) { o.Rules, o.Linger = rules, time.Second })
		checks := 0
		rapid.Check(bubbled{t}, func(t *rapid.T) {
			checks++
			w := &town{h: h, rules: rules, start: time.Now(), left: map[string]int{}, heard: map[string]int{}}
			for i := range 2 {
				w.rooms = append(w.rooms, fmt.Sprintf("n%d.%d", checks, i))
			}
			w.watch()
			w.play(t)
			w.listen(w.watcher)
			if diff := cmp.Diff(w.left, w.heard); diff != "" {
				t.Fatalf("leaves (-model +told):\n%s", diff)
			}
			for _, v := range w.all {
				v.client.Gone(v.wire, protocol.ReasonSlow, 0, "")
			}
			w.watcher.client.Gone(w.watcher.wire, protocol.ReasonSlow, 0, "")
			time.Sleep(10 * time.Second) // who is away has left, and the rooms are closed
			synctest.Wait()
			if st := h.sys.Stats(); st.Members.Load() != 0 || st.Away.Load() != 0 || st.Rooms.Load() != 0 || st.Ghosts.Load() != 0 {
				t.Fatalf("left behind: %d members, %d away, %d rooms", st.Members.Load(), st.Away.Load(), st.Rooms.Load())
			}
			h.all, h.by = nil, map[string]*person{}
		})
	})
}

func (w *town) play(t *rapid.T) {
	room := func() string { return rapid.SampledFrom(w.rooms).Draw(t, "room") }
	some := func(fits func(*visitor) bool) *visitor {
		found := w.lives(fits)
		if len(found) == 0 {
			t.Skip("nobody")
		}
		return rapid.SampledFrom(found).Draw(t, "who")
	}
	send := func(kind, rest string) func(*rapid.T) {
		return func(*rapid.T) { w.do(some((*visitor).connected), kind+" "+room()+rest) }
	}
	acts := map[string]func(*rapid.T){
		"": w.compare,
		"connect": func(t *rapid.T) {
			v := &visitor{since: w.now(), activity: w.now(), seen: w.now()}
			v.promise = time.Duration(rapid.IntRange(0, 3).Draw(t, "promise")) * time.Second
			v.person = w.h.connect(fmt.Sprint("v", len(w.all)%3))
			v.client.promise.Store(int64(v.promise))
			w.h.sys.reminders.set(v.client)
			w.all = append(w.all, v)
		},
		"join": send("join", ""), "leave": send("leave", ""), "publish": send("publish", " 1"), "update": send("update", " 2"),
		"signal": send("signal", " 3"), "members": send("members", ""), "history": send("history", ""),
		"ping":      func(*rapid.T) { w.do(some((*visitor).connected), "ping") },
		"lost":      func(*rapid.T) { w.gone(some((*visitor).connected), protocol.ReasonLost, 0) },
		"closed":    func(*rapid.T) { w.gone(some((*visitor).connected), protocol.ReasonClosed, 1001) },
		"slow":      func(*rapid.T) { w.gone(some((*visitor).connected), protocol.ReasonSlow, 4002) },
		"resume":    func(*rapid.T) { w.resume(some(func(v *visitor) bool { return v.away > 0 })) },
		"take over": func(*rapid.T) { w.resume(some((*visitor).connected)) },
		"old token": func(t *rapid.T) {
			v := some(func(v *visitor) bool { return len(v.used) > 0 })
			if v.resume(rapid.SampledFrom(v.used).Draw(t, "token")) {
				t.Fatal("a used token works")
			}
		},
		"end": func(*rapid.T) {
			v := some(func(*visitor) bool { return true })
			v.client.End(protocol.ReasonKicked, protocol.CloseKicked, "")
			w.end(v, protocol.ReasonKicked)
		},
		"kick": func(*rapid.T) {
			v, in := some(func(v *visitor) bool { return len(v.rooms) > 0 }), room()
			w.h.sys.toLobby(&kick{about[bool](in), v.client.id})
			synctest.Wait()
			w.leave(v, in, protocol.ReasonKicked)
		},
		"fail": func(*rapid.T) {
			v, in := some(func(v *visitor) bool { return len(v.rooms) > 0 }), room()
			w.h.sys.Inject(in, v.client.id, func() { panic("provoked") })
			synctest.Wait()
			w.leave(v, in, protocol.ReasonFailed)
		},
		"wait": func(t *rapid.T) {
			for range rapid.IntRange(1, 30).Draw(t, "halves") {
				w.wait(500 * time.Millisecond)
				w.watcher.do(say("signal " + w.rooms[0] + " 0")) // it stays
				if w.now()-w.watched > w.rules.MaxAge/2 {
					w.watch()
				}
			}
		},
	}
	if names := slices.Collect(maps.Keys(acts)); len(names) < 15 {
		t.Fatal("acts with the same name")
	}
	t.Repeat(acts)
	w.compare(t)
}
