// Package conformance is what every engine must pass: the promises of package
// engine as tests, against nothing but its interfaces. An engine may settle at
// once or through its Sink, its offsets may have holes, and it may keep more
// than it was asked to, or what it kept from one opening of a room to the next.
package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"rollcall/bans"
	"rollcall/engine"
	"rollcall/protocol"
)

// Kept is how many messages of each room an engine under test must keep,
// whatever their sizes below 4 KiB. It may keep more, but fewer than Spoken.
const Kept = 8

// Spoken is how many messages make every engine under test forget the first.
const Spoken = 4 * Kept

// Barred is how many bans may be in force in one room of an engine under test.
const Barred = 4

// Run tests the engines that open returns, each new and with nothing in it. A
// test closes the engine it opened.
func Run(t *testing.T, open func(t *testing.T) engine.Engine) {
	for _, c := range []struct {
		promise string
		test    func(*testing.T, engine.Engine)
	}{
		{"events are told in one order, each with the offset before it", order},
		{"many proposals on their way are all settled, each once", crowd},
		{"a repeat is harmless and tells of the first", repeats},
		{"a key is the user's own, within what is kept", keys},
		{"who is not inside is fenced", fence},
		{"a proposal that makes no sense is refused", invalid},
		{"the history is the newest messages, at every edge", edges},
		{"since a position of another count, nothing is recovered", foreign},
		{"what the history returns is the caller's", owned},
		{"a ban has no place in the count, and is in every snapshot", banned},
		{"a ban replaces one that names the same, until it is lifted", rebanned},
		{"no more bans than may be in force; what is over makes room", barred},
		{"rooms know nothing of each other", apart},
		{"a room is open once at a time", twice},
		{"a room opened again goes on in its epoch, or starts a new one", again},
		{"a closed room orders nothing", closedRoom},
		{"a closed engine orders nothing", closedEngine},
		{"any walk through rooms keeps every promise", walk},
	} {
		t.Run(c.promise, func(t *testing.T) {
			e := open(t)
			t.Cleanup(func() {
				if err := e.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			c.test(t, e)
		})
	}
}

// The proposals of the tests. At is a number of its own for every one of a
// kind, so that a repeat's differs from the first's.

func join(session, user string, at int64) engine.Proposal {
	return engine.Proposal{
		Kind: engine.Join, Session: session, User: user, Name: "Name of " + user,
		State: protocol.StateActive, Data: json.RawMessage(`{"mood":"fine"}`), At: at,
	}
}

func leave(session, user string, at int64) engine.Proposal {
	return engine.Proposal{Kind: engine.Leave, Session: session, User: user, Reason: protocol.ReasonLost, Code: protocol.CloseAbnormal, At: at}
}

func update(session, user, id string, at int64) engine.Proposal {
	return engine.Proposal{
		Kind: engine.Update, ID: id, Session: session, User: user,
		State: protocol.StateIdle, Data: json.RawMessage(fmt.Sprint(at)), At: at,
	}
}

func message(session, user, id, key string, at int64) engine.Proposal {
	return engine.Proposal{
		Kind: engine.Message, ID: id, Session: session, User: user, Name: "Name of " + user,
		Data: json.RawMessage(fmt.Sprintf(`{"text":"%d"}`, at)), Key: key, At: at,
	}
}

func ban(id string, who bans.Who, at, until int64) engine.Proposal {
	return engine.Proposal{Kind: engine.Ban, Ban: &bans.Ban{ID: id, Who: who, At: at, Until: until, Reason: "because of " + id}, At: at}
}

func unban(id string, at int64) engine.Proposal {
	return engine.Proposal{Kind: engine.Unban, Ban: &bans.Ban{ID: id}, At: at}
}

var ann, bob, aSession = bans.Who{User: "ann"}, bans.Who{User: "bob"}, bans.Who{Session: "s1"}

// talk says n messages, with ids that begin with prefix.
func (r *room) talk(n int, prefix string) {
	r.t.Helper()
	for i := range n {
		r.do(message("", "ann", fmt.Sprint(prefix, i), "", int64(i)))
	}
}

func order(t *testing.T, e engine.Engine) {
	r := openRoom(t, e, "lobby")
	r.do(join("s1", "ann", 1))
	r.do(join("s2", "bob", 2))
	r.do(message("s1", "ann", "m1", "", 3))
	r.do(update("s2", "bob", "u1", 4))
	r.do(leave("s1", "ann", 5))
	r.do(message("", "", "m2", "", 6))
	r.do(message("", "cy", "m3", "k", 7))
	r.do(join("s1", "ann", 8))
	stateOnly := update("s1", "ann", "", 9)
	stateOnly.Data = nil
	r.do(stateOnly)
	dataOnly := update("s1", "ann", "u2", 10)
	dataOnly.State = ""
	r.do(dataOnly)
	r.do(leave("s2", "bob", 11))
	if n := len(r.offsets) - 1; n != 11 {
		t.Fatalf("%d events of 11 proposals", n)
	}
	r.checkHistory()
	r.Close()
}

func crowd(t *testing.T, e engine.Engine) {
	const n = 200
	r := openRoom(t, e, "lobby")
	in, say, out := make([]engine.Proposal, n), make([]engine.Proposal, n), make([]engine.Proposal, n)
	for i := range n {
		s, u := fmt.Sprint("s", i), fmt.Sprint("u", i/2)
		in[i], say[i], out[i] = join(s, u, int64(i)), message(s, u, fmt.Sprint("m", i), fmt.Sprint("k", i), int64(i)), leave(s, u, int64(i))
	}
	r.do(in...)
	r.do(say...)
	r.checkHistory()
	r.do(out...)
	if len(r.members) != 0 || len(r.messages) != n {
		t.Fatalf("%d members and %d messages, want 0 and %d", len(r.members), len(r.messages), n)
	}
	r.Close()
}

func repeats(t *testing.T, e engine.Engine) {
	r := openRoom(t, e, "lobby")
	r.do(message("", "ann", "m0", "", 1)) // so that no first has offset 1
	r.do(join("s1", "ann", 2))
	r.do(join("s1", "ann", 3))
	r.do(update("s1", "ann", "u1", 4))
	r.do(update("s1", "ann", "u1", 5))
	r.do(join("s1", "ann", 6)) // still the join, not the update
	r.do(message("s1", "ann", "m1", "", 7))
	r.do(message("s1", "ann", "m1", "", 8))
	r.do(message("", "ann", "m0", "", 9))
	r.do(update("s1", "ann", "u1", 10)) // what lies between makes no difference
	r.do(update("s1", "ann", "u2", 11))
	r.do(update("s1", "ann", "u2", 12))
	r.do(join("s2", "bob", 13))
	r.do(update("s2", "bob", "u2", 14)) // the same id of another session is another update
	r.do(leave("s1", "ann", 15))
	r.do(leave("s1", "ann", 16)) // fenced
	r.do(join("s1", "ann", 17))  // a new visit
	r.do(update("s1", "ann", "u2", 18))
	r.do(join("s1", "ann", 19))
	if n := len(r.offsets) - 1; n != 10 {
		t.Fatalf("%d events, want 10", n)
	}

	// Without an id every update and every message is a new one.
	r.do(update("s1", "ann", "", 20))
	r.do(update("s1", "ann", "", 21))
	r.do(message("s1", "ann", "", "", 22))
	r.do(message("s1", "ann", "", "", 23))
	if n := len(r.offsets) - 1; n != 14 {
		t.Fatalf("%d events, want 14", n)
	}
	r.checkHistory()
	r.Close()
}

func keys(t *testing.T, e engine.Engine) {
	r := openRoom(t, e, "lobby")
	r.do(join("s1", "ann", 1))
	r.do(join("s2", "ann", 2))
	r.do(join("s3", "bob", 3))
	r.do(message("s1", "ann", "m1", "a", 4))
	r.do(message("s1", "ann", "m2", "a", 5)) // again
	r.do(message("s2", "ann", "m3", "a", 6)) // again, on another device
	r.do(message("", "ann", "m4", "a", 7))   // again, over HTTP
	r.do(message("s3", "bob", "m5", "a", 8)) // another user's
	r.do(message("s3", "bob", "m6", "a", 9)) // again
	r.do(message("s1", "ann", "m7", "b", 10))
	r.do(leave("s1", "ann", 11))
	r.do(message("s1", "ann", "m8", "a", 12)) // gone: a repeat is fenced too
	r.do(join("s1", "ann", 13))
	r.do(message("s1", "ann", "m9", "a", 14)) // back: again
	if len(r.messages) != 3 {
		t.Fatalf("%d messages, want 3", len(r.messages))
	}
	r.talk(Kept-3, "more")                     // as many as must be kept
	r.do(message("s1", "ann", "m10", "a", 15)) // again, still
	r.checkHistory()
	r.talk(Spoken, "forget")
	r.do(message("s1", "ann", "m11", "a", 16)) // forgotten: either is right
	r.checkHistory()
	r.Close()
}

func fence(t *testing.T, e engine.Engine) {
	r := openRoom(t, e, "lobby")
	r.do(leave("s1", "ann", 1))
	r.do(update("s1", "ann", "u1", 2))
	r.do(message("s1", "ann", "m1", "", 3))
	r.do(message("", "ann", "m2", "", 4)) // from outside: not fenced
	r.do(join("s1", "ann", 5))
	r.do(leave("s2", "ann", 6)) // a user's other session is not inside
	r.do(message("s2", "ann", "m3", "", 7))
	r.do(leave("s1", "ann", 8))
	r.do(leave("s1", "ann", 9))
	r.do(update("s1", "ann", "u2", 10))
	r.do(message("s1", "ann", "m4", "", 11))
	stranger := message("s3", "bob", "m5", "", 12) // which says that it need not be inside
	stranger.Outside = true
	r.do(stranger)
	if n := len(r.offsets) - 1; n != 4 || len(r.members) != 0 {
		t.Fatalf("%d events, want the messages from outside, the join and the leave; members %v", n, r.members)
	}
	r.checkHistory()
	r.Close()
}

func invalid(t *testing.T, e engine.Engine) {
	r := openRoom(t, e, "lobby")
	unknown := join("s1", "ann", 1)
	for _, k := range []engine.Kind{0, engine.Unban + 1, 255} {
		unknown.Kind = k
		r.do(unknown)
	}
	r.do(join("", "ann", 2))
	r.do(leave("", "ann", 3))
	r.do(update("", "ann", "u1", 4))
	for _, k := range []engine.Kind{engine.Ban, engine.Unban} {
		r.do(engine.Proposal{Kind: k, At: 5})
		r.do(engine.Proposal{Kind: k, Ban: &bans.Ban{Who: ann}, At: 6}) // without an ID
	}
	r.do(ban("b1", bans.Who{}, 7, 0)) // of nobody
	r.do(ban("b1", bans.Who{User: "ann", Session: "s1"}, 8, 0))
	if len(r.offsets) != 1 {
		t.Fatalf("%d events", len(r.offsets)-1)
	}
	r.Close()
}

func edges(t *testing.T, e engine.Engine) {
	r := openRoom(t, e, "lobby")
	r.checkHistory() // of nothing
	for i := range Spoken {
		r.do(message("", "ann", fmt.Sprint("m", i), fmt.Sprint("k", i), int64(i)))
		if i%3 == 0 { // messages are not next to each other
			s := fmt.Sprint("s", i)
			r.do(join(s, "bob", int64(i)))
		}
		r.checkHistory()
	}
	if n := len(r.Newest(Spoken)); n == Spoken {
		t.Fatalf("all %d messages are kept: the engine under test must keep fewer", n)
	}
	r.Close()
}

func foreign(t *testing.T, e engine.Engine) {
	r := openRoom(t, e, "lobby")
	r.do(join("s1", "ann", 1))
	r.talk(3, "m")
	for _, c := range []struct {
		story string
		p     protocol.Position
	}{
		{"another epoch", protocol.Position{Epoch: "never", Offset: r.last}},
		{"another epoch, at the beginning", protocol.Position{Epoch: "never"}},
		{"no epoch", protocol.Position{Offset: r.last}},
		{"an epoch with more to it", protocol.Position{Epoch: r.epoch + "x", Offset: r.last}},
		{"an epoch as long as fits", protocol.Position{Epoch: strings.Repeat("e", protocol.MaxEpochBytes)}},
		{"the next offset", r.position(r.last + 1)},
		{"the last offset there can be", r.position(^uint64(0))},
	} {
		if ms, recovered := r.Since(c.p); recovered || len(ms) != 0 {
			t.Errorf("%s: Since(%v) = %d messages, recovered %v", c.story, c.p, len(ms), recovered)
		}
	}
	r.Close()
}

func owned(t *testing.T, e engine.Engine) {
	r := openRoom(t, e, "lobby")
	start := r.position(r.last)
	// Results of every kind, while the history fills and while it forgets.
	var results [][]*protocol.MessagePublished
	for i := range Spoken {
		r.talk(1, fmt.Sprint("m", i, "-"))
		since, _ := r.Since(start)
		before, _ := r.Before(0, Spoken)
		results = append(results, since, before, r.Newest(Spoken))
	}
	var was [][]protocol.MessagePublished
	for _, ms := range results {
		was = append(was, values(t, ms))
	}
	r.talk(Spoken, "n") // now all of them are forgotten
	for i, ms := range results {
		if now := values(t, ms); !reflect.DeepEqual(now, was[i]) {
			t.Fatalf("a result changed:\n%+v\nwas\n%+v", now, was[i])
		}
	}

	// Nor does what the caller does to a result reach the engine.
	since, _ := r.Since(r.position(r.last - 1))
	before, _ := r.Before(0, Kept)
	for _, ms := range [][]*protocol.MessagePublished{since, before, r.Newest(3), r.Newest(Kept)} {
		_ = append(ms, nil)
		clear(ms)
	}
	r.checkHistory()
	r.talk(1, "o")
	r.checkHistory()
	r.Close()
}

// values copies messages; one that the engine took back out of a result fails
// the test.
func values(t *testing.T, ms []*protocol.MessagePublished) []protocol.MessagePublished {
	t.Helper()
	vs := make([]protocol.MessagePublished, len(ms))
	for i, m := range ms {
		if m == nil {
			t.Fatalf("message %d of %d is gone from a result", i, len(ms))
		}
		vs[i] = *m
	}
	return vs
}

func banned(t *testing.T, e engine.Engine) {
	r := openRoom(t, e, "lobby")
	r.do(join("s1", "ann", 1))
	r.do(ban("b1", ann, 2, 0))
	r.do(message("s1", "ann", "m1", "", 3)) // who is in stays in: to take out is the room's business
	r.do(ban("b2", aSession, 4, 1<<40))
	r.do(leave("s1", "ann", 5))
	r.do(join("s1", "ann", 6)) // as is to keep out
	r.checkHistory()
	for range 2 { // bans outlive the epoch
		r.Close()
		r.open(e)
	}
	r.do(unban("b1", 7))
	r.Close()
	r.open(e)
	if len(r.bans) != 1 {
		t.Fatalf("%d bans, want the one that was not lifted", len(r.bans))
	}
	r.Close()
}

func rebanned(t *testing.T, e engine.Engine) {
	r := openRoom(t, e, "lobby")
	r.do(ban("b1", ann, 1, 0))
	r.do(ban("b1", ann, 2, 0)) // again
	r.do(ban("b2", ann, 3, 9)) // in its place
	r.do(unban("b1", 4))       // which is none any more
	r.do(unban("b2", 5))
	r.do(unban("b2", 6)) // again
	r.do(unban("never", 7))
	r.do(ban("b4", aSession, 7, 8))
	r.do(unban("b4", 8))             // over: as if it were lifted
	r.do(ban("b4", aSession, 8, 90)) // and so no repeat
	r.do(ban("b2", ann, 8, 0))       // lifted: a new one
	r.do(ban("b3", bob, 9, 0))
	r.Close()
	r.open(e)
	if len(r.bans) != 3 {
		t.Fatalf("%d bans, want 3", len(r.bans))
	}
	r.Close()
}

func barred(t *testing.T, e engine.Engine) {
	r := openRoom(t, e, "lobby")
	who := func(i int) bans.Who { return bans.Who{User: fmt.Sprint("u", i)} }
	for i := range Barred {
		until := int64(0)
		if i == 1 {
			until = 100
		}
		r.do(ban(fmt.Sprint("b", i), who(i), int64(i), until))
	}
	r.do(ban("b9", who(9), 99, 0))   // full
	r.do(ban("b10", who(2), 99, 0))  // in place of one: no more than before
	r.do(ban("b11", who(9), 100, 0)) // one is over
	r.do(ban("b12", who(1), 101, 0)) // full again
	r.do(unban("b0", 102))
	r.do(ban("b13", who(1), 103, 0))
	r.Close()
	r.open(e)
	if len(r.bans) != Barred {
		t.Fatalf("%d bans, want %d", len(r.bans), Barred)
	}
	r.Close()
}

func apart(t *testing.T, e engine.Engine) {
	a, b := openRoom(t, e, "a"), openRoom(t, e, "b")
	a.do(join("s1", "ann", 1))
	b.do(message("s1", "ann", "m1", "", 2)) // inside a, not b
	b.do(join("s1", "ann", 3))
	a.do(message("s1", "ann", "m2", "k", 4))
	b.do(message("s1", "ann", "m3", "k", 5)) // the key is the room's
	b.do(message("s1", "ann", "m2", "", 6))  // so is the id
	a.do(leave("s1", "ann", 7))
	b.do(update("s1", "ann", "u1", 8)) // still inside b
	a.do(ban("b1", ann, 9, 0))
	b.do(unban("b1", 10))
	b.do(ban("b1", bob, 11, 0))
	if len(a.messages) != 1 || len(b.messages) != 2 {
		t.Fatalf("%d and %d messages, want 1 and 2", len(a.messages), len(b.messages))
	}
	a.Close()
	b.do(message("s1", "ann", "m4", "", 9))
	b.checkHistory()
	b.Close()
}

func twice(t *testing.T, e engine.Engine) {
	r := openRoom(t, e, "lobby")
	r.do(join("s1", "ann", 1))
	if second, _, err := e.Open("lobby", &ear{told: make(chan struct{}, 1)}); !errors.Is(err, engine.ErrUnavailable) || second != nil {
		t.Fatalf("Open of an open room = %v, %v; want nothing and ErrUnavailable", second, err)
	}
	r.do(message("s1", "ann", "m1", "", 2)) // which the attempt did not harm

	old := r.Room
	r.Close()
	r.open(e)
	old.Close() // again: closes nothing of the new one
	if _, _, err := e.Open("lobby", &ear{told: make(chan struct{}, 1)}); !errors.Is(err, engine.ErrUnavailable) {
		t.Fatalf("Open of an open room, after a closed one was closed again: %v, want ErrUnavailable", err)
	}
	r.do(join("s2", "ann", 3))
	r.Close()
}

func again(t *testing.T, e engine.Engine) {
	r := openRoom(t, e, "lobby")
	for i := range 3 {
		r.do(join(fmt.Sprint("s", i), "ann", 1))
		r.do(message("", "ann", fmt.Sprint("m", i), "k", 2))
		r.do(update(fmt.Sprint("s", i), "ann", "u", 3))
		before := r.position(r.last)
		r.Close()
		r.open(e) // compares the snapshot
		if ms, recovered := r.Since(before); recovered != (before.Epoch == r.epoch) || len(ms) != 0 {
			t.Fatalf("Since(%v), the end before the room was opened again in epoch %s: %d messages, recovered %v", before, r.epoch, len(ms), recovered)
		}
		r.do(update(fmt.Sprint("s", i), "ann", "u", 4)) // inside, or fenced
		r.checkHistory()
	}
	r.Close()
}

// wantClosed proposes one of each kind.
func (r *room) wantClosed() {
	r.t.Helper()
	for _, p := range []engine.Proposal{
		join("s9", "eve", 1), leave("s1", "ann", 2), update("s1", "ann", "u9", 3), message("s1", "ann", "m9", "", 4), message("", "eve", "m10", "", 5),
		ban("b9", ann, 6, 0), unban("b9", 7),
	} {
		r.propose(&p)
		r.wait()
		if o := r.landed[&p]; !errors.Is(o.Err, engine.ErrClosed) {
			r.t.Fatalf("Propose of a %v after Close: %+v, want ErrClosed", p.Kind, o)
		}
	}
}

func closedRoom(t *testing.T, e engine.Engine) {
	r := openRoom(t, e, "lobby")
	r.do(join("s1", "ann", 1))
	r.Close()
	r.wantClosed()
	r.Close()
	r.wantClosed()
	r.open(e) // ordered nothing while it was closed
	r.Close()
}

func closedEngine(t *testing.T, e engine.Engine) {
	r := openRoom(t, e, "lobby")
	r.do(join("s1", "ann", 1))
	for range 2 {
		if err := e.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
		r.wantClosed()
		if opened, _, err := e.Open("dev", &ear{told: make(chan struct{}, 1)}); !errors.Is(err, engine.ErrClosed) || opened != nil {
			t.Fatalf("Open after Close = %v, %v; want nothing and ErrClosed", opened, err)
		}
	}
	r.Close()
	r.wantClosed()
}
