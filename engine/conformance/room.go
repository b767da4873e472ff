package conformance

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pgregory.net/rapid"

	"rollcall/bans"
	"rollcall/engine"
	"rollcall/protocol"
)

const (
	// patience is how long an outcome may take before the suite gives up.
	patience = 30 * time.Second
	// tries is how often a proposal may be unavailable before the suite gives up.
	tries = 1000
)

// ear is the Sink of a room under test: it queues what it is told, as a
// mailbox does, for the goroutine that owns the room.
type ear struct {
	calls   atomic.Int32 // under way
	overlap atomic.Bool  // two were, at the same time
	within  atomic.Bool  // one was, from within Propose
	told    chan struct{}

	mu    sync.Mutex
	queue []any // engine.Outcome or engine.Snapshot
}

func (e *ear) Settle(o engine.Outcome) { e.hear(o) }
func (e *ear) Reset(s engine.Snapshot) { e.hear(s) }

func (e *ear) hear(what any) {
	if e.calls.Add(1) > 1 {
		e.overlap.Store(true)
	}
	if proposing() {
		e.within.Store(true)
	}
	runtime.Gosched() // give an overlap its chance
	e.mu.Lock()
	e.queue = append(e.queue, what)
	e.mu.Unlock()
	e.calls.Add(-1)
	select {
	case e.told <- struct{}{}:
	default:
	}
}

// proposing reports whether the caller runs within (*room).propose.
func proposing() bool {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, "conformance.(*room).propose") {
			return true
		}
		if !more {
			return false
		}
	}
}

func (e *ear) take() (queue []any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	queue, e.queue = e.queue, nil
	return queue
}

// event is an event as it was told.
type event struct {
	engine.Proposal
	offset uint64
}

// room is a room under test with the truth beside it: what a reader of the
// snapshot and of every event since knows. Everything it is told is judged as
// it comes.
type room struct {
	engine.Room
	t      rapid.TB
	name   string
	ear    *ear
	flying map[*engine.Proposal]int            // proposals without an outcome, and their tries
	landed map[*engine.Proposal]engine.Outcome // those with one

	epoch    string
	last     uint64 // offset of the last event
	members  []protocol.Member
	joined   map[string]uint64 // offset of the join of each session inside
	updated  map[string]event  // the newest update of each session inside
	messages []event           // of this epoch
	offsets  []uint64          // of every event, and of the snapshot
	joins    map[string]int    // by session, of this epoch
	leaves   map[string]int

	bans  []bans.Ban // of all epochs, the newest of each who; some may be over
	clock int64      // the latest time that the engine was told
}

// openRoom opens a room that must be empty.
func openRoom(t rapid.TB, e engine.Engine, name string) *room {
	t.Helper()
	r := &room{t: t, name: name, joins: map[string]int{}, leaves: map[string]int{}}
	r.open(e)
	if len(r.members)+len(r.bans) != 0 {
		t.Fatalf("Open(%s) of a room that never was: %d members, %d bans", name, len(r.members), len(r.bans))
	}
	return r
}

// open opens the room and compares its snapshot with what is known of it: the
// same epoch must go on where it was, a new one must be empty but for its bans.
func (r *room) open(e engine.Engine) {
	r.t.Helper()
	r.ear = &ear{told: make(chan struct{}, 1)}
	r.flying, r.landed = map[*engine.Proposal]int{}, map[*engine.Proposal]engine.Outcome{}
	opened, s, err := e.Open(r.name, r.ear)
	if err != nil {
		r.t.Fatalf("Open(%s): %v", r.name, err)
	}
	r.Room = opened
	r.start(s)
	if p := r.Position(); p != s.Position {
		r.t.Fatalf("Position() after Open(%s) = %v, the snapshot is of %v", r.name, p, s.Position)
	}
}

// start takes a snapshot for the truth, after a look at it.
func (r *room) start(s engine.Snapshot) {
	r.t.Helper()
	switch {
	case s.Position.Epoch == "":
		r.t.Fatalf("snapshot of %s: no epoch", r.name)
	case len(s.Position.Epoch) > protocol.MaxEpochBytes:
		r.t.Fatalf("snapshot of %s: an epoch of %d bytes, at most %d fit into a position", r.name, len(s.Position.Epoch), protocol.MaxEpochBytes)
	case !sameBans(s.Bans, r.bans, r.clock):
		r.t.Fatalf("snapshot of %s: bans %v\nthe events say: %v", r.name, s.Bans, r.bans)
	case s.Position.Epoch == r.epoch:
		if s.Position.Offset != r.last || !slices.EqualFunc(s.Members, r.members, sameMember) {
			r.t.Fatalf("snapshot of %s in the same epoch: %v, %v\nthe events say: offset %d, %v", r.name, s.Position, s.Members, r.last, r.members)
		}
		return
	case len(s.Members) != 0:
		r.t.Fatalf("snapshot of %s in a new epoch: members %v", r.name, s.Members)
	}
	r.epoch, r.last, r.members = s.Position.Epoch, s.Position.Offset, nil
	r.joined, r.updated = map[string]uint64{}, map[string]event{}
	r.messages, r.offsets = nil, []uint64{r.last}
	r.joins, r.leaves = map[string]int{}, map[string]int{}
}

// propose hands p over and does not wait.
func (r *room) propose(p *engine.Proposal) {
	r.t.Helper()
	r.flying[p]++
	if o, settled := r.Propose(p); settled {
		if o.Of != p {
			r.t.Fatalf("%s: Propose(%s) settled something else: %+v", r.name, told(p), o)
		}
		r.judge(o)
	}
}

// do hands proposals over, all before it waits, and judges what became of
// each. They must not depend on each other.
func (r *room) do(ps ...engine.Proposal) {
	r.t.Helper()
	wants := make([]verdict, len(ps))
	for i := range ps {
		wants[i] = r.expect(&ps[i])
		r.propose(&ps[i])
	}
	r.wait()
	for i := range ps {
		r.compare(&ps[i], r.landed[&ps[i]], wants[i])
	}
}

// verdict is what must become of a proposal.
type verdict struct {
	err       error
	repeat    bool
	first     event // with repeat: the event that it repeats
	forgotten bool  // the first may be forgotten, and the repeat a new event
}

// expect looks up in the truth what must become of p.
func (r *room) expect(p *engine.Proposal) verdict {
	joined, inside := r.joined[p.Session]
	switch {
	case p.Kind == engine.Ban || p.Kind == engine.Unban:
		return r.expectBan(p)
	case p.Kind < engine.Join || p.Kind > engine.Message, p.Session == "" && p.Kind != engine.Message:
		return verdict{err: engine.ErrInvalid}
	case p.Kind == engine.Join && inside:
		return verdict{repeat: true, first: event{offset: joined}}
	case p.Kind == engine.Join:
		return verdict{}
	case !inside && p.Session != "" && !p.Outside:
		return verdict{err: engine.ErrFenced}
	case p.Kind == engine.Update:
		u, any := r.updated[p.Session]
		return verdict{repeat: any && p.ID != "" && u.ID == p.ID, first: u}
	case p.Kind == engine.Message:
		for i, m := range slices.Backward(r.messages) {
			if p.ID != "" && m.ID == p.ID || p.Key != "" && m.Key == p.Key && m.User == p.User {
				return verdict{repeat: true, first: m, forgotten: len(r.messages)-i > Kept}
			}
		}
	}
	return verdict{}
}

func (r *room) expectBan(p *engine.Proposal) verdict {
	if p.Ban == nil || p.Ban.ID == "" || p.Kind == engine.Ban && !p.Ban.Valid() {
		return verdict{err: engine.ErrInvalid}
	}
	r.clock = max(r.clock, p.At)
	known := slices.ContainsFunc(r.bans, func(b bans.Ban) bool { return b.ID == p.Ban.ID && !b.Over(p.At) })
	if p.Kind == engine.Unban {
		return verdict{repeat: !known}
	}
	inForce, replaces := 0, false // at p.At
	for _, b := range r.bans {
		if !b.Over(p.At) {
			inForce++
			replaces = replaces || b.Who == p.Ban.Who
		}
	}
	if !known && !replaces && inForce >= Barred {
		return verdict{err: bans.ErrFull}
	}
	return verdict{repeat: known}
}

func (r *room) compare(p *engine.Proposal, o engine.Outcome, want verdict) {
	r.t.Helper()
	switch {
	case !errors.Is(o.Err, want.err):
		r.t.Fatalf("%s: Propose(%s): error %v, want %v", r.name, told(p), o.Err, want.err)
	case o.Repeat != want.repeat && !want.forgotten:
		r.t.Fatalf("%s: Propose(%s): repeat %v, want %v", r.name, told(p), o.Repeat, want.repeat)
	case !o.Repeat:
	case o.Event.Offset != want.first.offset:
		r.t.Fatalf("%s: Propose(%s): repeats offset %d, want %d", r.name, told(p), o.Event.Offset, want.first.offset)
	case p.Kind == engine.Message && (o.Event.ID != want.first.ID || o.Event.At != want.first.At):
		r.t.Fatalf("%s: Propose(%s): repeats message %s of %d, want %s of %d", r.name, told(p), o.Event.ID, o.Event.At, want.first.ID, want.first.At)
	}
}

// wait listens until every proposal has its outcome.
func (r *room) wait() {
	r.t.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	for {
		queue := r.ear.take()
		if r.ear.overlap.Load() {
			r.t.Fatalf("%s: two calls of the Sink at the same time", r.name)
		}
		if r.ear.within.Load() {
			r.t.Fatalf("%s: a call of the Sink from within Propose", r.name)
		}
		for _, q := range queue {
			switch q := q.(type) {
			case engine.Outcome:
				r.judge(q)
			case engine.Snapshot:
				r.start(q)
			}
		}
		if len(r.flying) == 0 {
			return
		}
		if len(queue) > 0 {
			continue
		}
		select {
		case <-r.ear.told:
		case <-end.C:
			r.t.Fatalf("%s: %d proposals without an outcome after %v", r.name, len(r.flying), patience)
		}
	}
}

// judge looks at one outcome and applies its event.
func (r *room) judge(o engine.Outcome) {
	r.t.Helper()
	if o.Event.Proposal == nil {
		r.t.Fatalf("%s: an outcome without a proposal: %+v", r.name, o)
	}
	if o.Of != nil && !r.lands(o) {
		return
	}
	switch {
	case o.Err != nil:
		if o.Repeat || o.Event.Offset != 0 {
			r.t.Fatalf("%s: a refusal with a place in the order: %+v", r.name, o)
		}
	case !o.Repeat:
		if o.Of != nil && !reflect.DeepEqual(*o.Event.Proposal, *o.Of) {
			r.t.Fatalf("%s: the event of %+v says %+v", r.name, *o.Of, *o.Event.Proposal)
		}
		r.apply(o.Event)
	}
}

// lands ends the flight of a proposal; one that was unavailable flies again,
// and that is told by false.
func (r *room) lands(o engine.Outcome) bool {
	r.t.Helper()
	n, flies := r.flying[o.Of]
	if !flies {
		r.t.Fatalf("%s: an outcome of what was not proposed, or a second one: %v", r.name, o)
	}
	if errors.Is(o.Err, engine.ErrUnavailable) {
		if n >= tries {
			r.t.Fatalf("%s: unavailable %d times", r.name, n)
		}
		r.propose(o.Of)
		return false
	}
	delete(r.flying, o.Of)
	r.landed[o.Of] = o
	return true
}

// apply makes an event part of the truth.
func (r *room) apply(e engine.Event) {
	r.t.Helper()
	if !e.Kind.Counted() {
		r.applyBan(e)
		return
	}
	if e.Offset <= r.last || e.Prev != r.last {
		r.t.Fatalf("%s: %v at offset %d, prev %d, follows the event at %d", r.name, e.Kind, e.Offset, e.Prev, r.last)
	}
	_, inside := r.joined[e.Session]
	if want := e.Kind == engine.Message && (e.Session == "" || e.Outside) || inside != (e.Kind == engine.Join); !want {
		r.t.Fatalf("%s: %v of %q at offset %d, who is inside: %v", r.name, e.Kind, e.Session, e.Offset, inside)
	}
	r.last = e.Offset
	r.offsets = append(r.offsets, e.Offset)
	at := slices.IndexFunc(r.members, func(m protocol.Member) bool { return m.Session == e.Session })
	switch e.Kind {
	case engine.Join:
		r.joins[e.Session]++
		r.joined[e.Session] = e.Offset
		r.members = append(r.members, protocol.Member{
			Session: e.Session, User: e.User, Name: e.Name, State: e.State, Data: e.Data, Since: e.At,
		})
	case engine.Leave:
		r.leaves[e.Session]++
		delete(r.joined, e.Session)
		delete(r.updated, e.Session)
		r.members = slices.Delete(r.members, at, at+1)
	case engine.Update:
		r.updated[e.Session] = event{*e.Proposal, e.Offset}
		if e.State != "" {
			r.members[at].State = e.State
		}
		if e.Data != nil {
			r.members[at].Data = e.Data
		}
	case engine.Message:
		r.messages = append(r.messages, event{*e.Proposal, e.Offset})
	}
}

// applyBan makes a Ban or an Unban part of the truth.
func (r *room) applyBan(e engine.Event) {
	r.t.Helper()
	if e.Offset != 0 || e.Prev != 0 {
		r.t.Fatalf("%s: %v at offset %d, prev %d: it has no place in the count", r.name, e.Kind, e.Offset, e.Prev)
	}
	r.bans = slices.DeleteFunc(r.bans, func(b bans.Ban) bool {
		return b.ID == e.Ban.ID || e.Kind == engine.Ban && b.Who == e.Ban.Who
	})
	if e.Kind == engine.Ban {
		r.bans = append(r.bans, *e.Ban)
	}
}

// sameBans compares what was in force at now; what was over an engine may
// have dropped.
func sameBans(a, b []bans.Ban, now int64) bool {
	inForce := func(all []bans.Ban) []bans.Ban {
		l := bans.New(all...)
		return l.All(now)
	}
	return slices.Equal(inForce(a), inForce(b)) && slices.IsSortedFunc(a, bans.Compare)
}

// told is a proposal as failures show it.
func told(p *engine.Proposal) string {
	if p.Ban != nil {
		return fmt.Sprintf("%v %+v at %d", p.Kind, *p.Ban, p.At)
	}
	return fmt.Sprintf("%v by %q of %q, id %q, key %q, at %d", p.Kind, p.Session, p.User, p.ID, p.Key, p.At)
}

func (r *room) position(offset uint64) protocol.Position {
	return protocol.Position{Epoch: r.epoch, Offset: offset}
}

func sameMember(a, b protocol.Member) bool {
	return a.Session == b.Session && a.User == b.User && a.Name == b.Name &&
		a.State == b.State && string(a.Data) == string(b.Data) && a.Since == b.Since
}

// checkHistory compares what the engine keeps with the truth: the end of it,
// at least Kept messages, and every question answered from the same.
func (r *room) checkHistory() {
	r.t.Helper()
	if p := r.Position(); p != r.position(r.last) {
		r.t.Fatalf("%s: Position() = %v, the last event is %v", r.name, p, r.position(r.last))
	}
	n := len(r.Newest(len(r.messages) + 1))
	if n > len(r.messages) || n < min(Kept, len(r.messages)) {
		r.t.Fatalf("%s: %d messages kept of %d, at least %d must be", r.name, n, len(r.messages), min(Kept, len(r.messages)))
	}
	kept := r.messages[len(r.messages)-n:]
	for _, n := range []int{-1, 0, 1, len(kept) - 1, len(kept), len(kept) + 1} {
		r.same("Newest", r.Newest(n), kept[len(kept)-max(0, min(n, len(kept))):])
	}
	for _, o := range r.offsets {
		for _, from := range []uint64{max(o, 1) - 1, o} {
			r.checkSince(from, kept)
			r.checkBefore(from, kept)
		}
	}
	r.checkBefore(r.last+1, kept)
}

func (r *room) checkSince(offset uint64, kept []event) {
	r.t.Helper()
	later := func(of []event) []event {
		i := slices.IndexFunc(of, func(e event) bool { return e.offset > offset })
		if i < 0 {
			return nil
		}
		return of[i:]
	}
	// What the room had said before its snapshot is not known here; an engine
	// may call that incomplete.
	ms, recovered := r.Since(r.position(offset))
	r.same("Since", ms, later(kept))
	if want := len(later(kept)) == len(later(r.messages)); recovered != want && offset >= r.offsets[0] {
		r.t.Fatalf("%s: Since(%d) recovered = %v; %d of %d messages after it are kept", r.name, offset, recovered, len(later(kept)), len(later(r.messages)))
	}
}

func (r *room) checkBefore(offset uint64, kept []event) {
	r.t.Helper()
	end := len(kept)
	if offset > 0 {
		if i := slices.IndexFunc(kept, func(e event) bool { return e.offset >= offset }); i >= 0 {
			end = i
		}
	}
	for _, n := range []int{-1, 0, 1, 2, len(kept) + 1} {
		from := max(0, end-max(0, n))
		ms, more := r.Before(offset, n)
		r.same("Before", ms, kept[from:end])
		if more != (from > 0) {
			r.t.Fatalf("%s: Before(%d, %d) more = %v; %d older ones are kept", r.name, offset, n, more, from)
		}
	}
}

// same compares messages with the events that they must be.
func (r *room) same(call string, ms []*protocol.MessagePublished, want []event) {
	r.t.Helper()
	if len(ms) != len(want) {
		r.t.Fatalf("%s: %s gave %d messages, want %d", r.name, call, len(ms), len(want))
	}
	for i, m := range ms {
		w := want[i]
		if m.Offset != w.offset || m.Room != r.name || m.At != w.At || m.Message != w.ID || m.Session != w.Session ||
			m.User != w.User || m.Name != w.Name || string(m.Data) != string(w.Data) || m.Key != w.Key {
			r.t.Fatalf("%s: %s gave %+v, want %+v", r.name, call, *m, w)
		}
	}
}
