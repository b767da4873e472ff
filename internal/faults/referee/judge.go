package referee

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"rollcall/protocol"
)

// Rule is something that must hold in every run.
type Rule string

// The rules, by the name of what breaks them.
const (
	Gap            Rule = "gap"             // an event is missing: what came is not the next one
	Reorder        Rule = "reorder"         // an event came again, or late
	Differs        Rule = "differs"         // two witnesses were told different things of one offset
	Silence        Rule = "silence broken"  // a room went on talking to who had left
	Snapshot       Rule = "snapshot"        // a snapshot that can't be
	Count          Rule = "count"           // a count that is not that of the members
	FirstLast      Rule = "first or last"   // a user's first or last session is told wrong
	JoinTwice      Rule = "double join"     // a join of who is there
	LeaveTwice     Rule = "double leave"    // a second leave for one join
	LeaveAlone     Rule = "leave alone"     // a leave without a join
	UpdateAlone    Rule = "update alone"    // an update of who is not there
	MissingLeave   Rule = "missing leave"   // who is gone was never told to leave
	FalseLeave     Rule = "false leave"     // who is there was told to leave
	WrongReason    Rule = "wrong reason"    // a leave for what did not happen
	Late           Rule = "late"            // a leave after its bound
	Early          Rule = "early"           // lost within the resume window
	Unannounced    Rule = "unannounced"     // a leave as lost of who was not shown as lost before
	Ghost          Rule = "ghost"           // in the room with nobody behind it
	Stale          Rule = "stale"           // a member whose state or data is not what was told
	MissingMessage Rule = "missing message" // a message that others were told
	Vanished       Rule = "vanished"        // a client that lives, and is not in its room
	Unjudged       Rule = "not judged"      // a truth without a witness: the run proves nothing
)

// Rules are what a run's configuration makes true.
type Rules struct {
	ResumeWindow time.Duration // session.resume_window
}

// Violation is a rule that was broken, where, and about whom.
type Violation struct {
	Rule    Rule
	Witness string // empty: no single one
	Room    string
	Session string // empty: no single one
	Offset  uint64 // 0: none
	Text    string
}

// String says all of it.
func (v Violation) String() string {
	return fmt.Sprintf("%s: room %s, session %s, witness %s, offset %d: %s", v.Rule, v.Room, v.Session, v.Witness, v.Offset, v.Text)
}

// same reports whether two violations are of one thing, however told.
func (v Violation) same(o Violation) bool {
	v.Text, o.Text = "", ""
	return v == o
}

// Verdict is what comes of a history.
type Verdict struct {
	Violations []Violation
	Leaves     map[protocol.Reason]int // seen, each once however many saw it
	Detected   time.Duration           // the longest from a fate to its leave
	Events     int                     // numbered ones, told to witnesses
}

// Judge holds a history against the rules.
func Judge(h []Entry, rules Rules) Verdict {
	j := &judge{
		rules: rules, views: map[key]*view{}, events: map[place]string{}, leaves: map[key]left{}, fates: map[string]fate{},
		verdict: Verdict{Leaves: map[protocol.Reason]int{}},
	}
	for _, e := range h {
		j.take(e)
	}
	j.end()
	return j.verdict
}

// key is a session, or a witness, in a room.
type key struct{ who, room string }

// place is where an event stands.
type place struct {
	room, epoch string
	offset      uint64
}

type left struct {
	at     time.Duration
	reason protocol.Reason
	epoch  string
	offset uint64
}

type fate struct {
	*Fate
	at time.Duration
}

type judge struct {
	rules   Rules
	views   map[key]*view    // by witness
	order   []*view          // the same, in the order they began
	events  map[place]string // what is known of each offset
	leaves  map[key]left     // the newest of each session
	fates   map[string]fate  // by session
	truths  []*Truth
	spans   []*span
	verdict Verdict
}

func (j *judge) violate(rule Rule, v *view, session string, offset uint64, format string, args ...any) {
	j.verdict.Violations = append(j.verdict.Violations, Violation{rule, v.witness, v.room, session, offset, fmt.Sprintf(format, args...)})
}

func (j *judge) take(e Entry) {
	switch w := e.What.(type) {
	case *Told:
		if room := roomOf(w.Message); room != "" {
			j.view(e.Witness, room).told(j, e.At, w.Message)
		}
	case *Cut:
		for _, v := range j.order {
			if v.witness == e.Witness {
				delete(j.views, key{e.Witness, v.room})
			}
		}
		j.order = slices.DeleteFunc(j.order, func(v *view) bool { return v.witness == e.Witness })
	case *Truth:
		j.truths = append(j.truths, w)
	case *Fate:
		j.fates[w.Session] = fate{w, e.At}
	}
}

func (j *judge) view(witness, room string) *view {
	k := key{witness, room}
	if j.views[k] == nil {
		j.views[k] = &view{witness: witness, room: room, over: true, was: map[string]bool{}}
		j.order = append(j.order, j.views[k])
	}
	return j.views[k]
}

// agree holds that all witnesses are told the same of an offset.
func (j *judge) agree(v *view, offset uint64, event string) {
	p := place{v.room, v.epoch, offset}
	known, ok := j.events[p]
	if !ok {
		j.events[p] = event
		j.verdict.Events++
	} else if known != event {
		j.violate(Differs, v, "", offset, "it was told %q, and another %q", event, known)
	}
}

// left notes a leave, once however many saw it.
func (j *judge) left(v *view, at time.Duration, m *protocol.MemberLeft) {
	k := key{m.Session, v.room}
	if l, ok := j.leaves[k]; ok && l.epoch == v.epoch && l.offset == m.Offset {
		return
	}
	j.leaves[k] = left{at, m.Reason, v.epoch, m.Offset}
	j.verdict.Leaves[m.Reason]++
}

// end holds views and fates against the truth.
func (j *judge) end() {
	for _, t := range j.truths {
		judged := false
		for _, v := range j.order {
			if v.room == t.Room {
				v.end(j, t)
				judged = judged || !v.over && v.epoch == t.Epoch
			}
		}
		if !judged {
			j.violate(Unjudged, &view{room: t.Room}, "", t.Offset, "nobody watched the room to its end")
		}
		for _, m := range t.Members {
			f, ok := j.fates[m.Session]
			if !ok || !f.Lives {
				j.violate(Ghost, &view{room: t.Room}, m.Session, 0, "the room has it, and there is no such client")
			}
		}
	}
	for k, l := range j.leaves {
		j.judgeLeave(k, l)
	}
	j.judgeMessages()
	for _, f := range j.fates {
		for _, room := range f.Rooms {
			j.judgeFate(f, room)
		}
	}
	slices.SortStableFunc(j.verdict.Violations, func(a, b Violation) int {
		return cmp.Or(cmp.Compare(a.Room, b.Room), cmp.Compare(a.Session, b.Session), cmp.Compare(a.Rule, b.Rule),
			cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Witness, b.Witness))
	})
}

func (j *judge) judgeLeave(k key, l left) {
	f, ok := j.fates[k.who]
	if !ok {
		return // nobody the harness knows: its join would be a ghost
	}
	v := &view{room: k.room}
	switch {
	case f.Lives && !slices.Contains(f.Reasons, l.reason):
		j.violate(FalseLeave, v, k.who, l.offset, "it left as %s, and lives", l.reason)
	case f.Lives:
	case !slices.Contains(f.Reasons, l.reason):
		j.violate(WrongReason, v, k.who, l.offset, "it left as %s, not as %v", l.reason, f.Reasons)
	default:
		took := l.at - f.at
		if window := j.rules.ResumeWindow; window > 0 && l.reason == protocol.ReasonLost && took < window {
			j.violate(Early, v, k.who, l.offset, "lost %s after what ended it, within the resume window of %s", took, window)
		}
		j.verdict.Detected = max(j.verdict.Detected, took)
		if f.Within > 0 && took > f.Within {
			j.violate(Late, v, k.who, l.offset, "it left %s after what ended it, and %s is the most", took, f.Within)
		}
	}
}

// judgeMessages holds that who was there was told every message that anybody
// was told. In mode count a chain does not show it: an occupancy has no prev.
func (j *judge) judgeMessages() {
	type told struct{ room, epoch string }
	all := map[told]map[uint64]bool{}
	for _, s := range j.spans {
		k := told{s.room, s.epoch}
		if all[k] == nil {
			all[k] = map[uint64]bool{}
		}
		maps.Copy(all[k], s.messages)
	}
	for _, s := range j.spans {
		for offset := range all[told{s.room, s.epoch}] {
			if s.from < offset && offset <= s.to && !s.messages[offset] {
				j.violate(MissingMessage, &view{witness: s.witness, room: s.room}, "", offset, "it was told what came after, and another the message")
			}
		}
	}
}

// judgeFate holds that a session is where it lives, and left where it went.
func (j *judge) judgeFate(f fate, room string) {
	k, v := key{f.Session, room}, &view{room: room}
	t := j.truthOf(room)
	switch _, told := j.leaves[k]; {
	case t == nil:
	case f.Lives && !t.has(f.Session):
		j.violate(Vanished, v, f.Session, 0, "it lives, and is not in the room")
	case !f.Lives && !told && !t.has(f.Session) && j.listing(t, f.at):
		j.violate(MissingLeave, v, f.Session, 0, "it went, and nobody was told")
	}
}

// listing reports whether somebody knew the room's members from an instant on.
func (j *judge) listing(t *Truth, from time.Duration) bool {
	return slices.ContainsFunc(j.order, func(v *view) bool {
		return v.room == t.Room && v.epoch == t.Epoch && !v.over && v.listed && v.since <= from
	})
}

func (j *judge) truthOf(room string) *Truth {
	for _, t := range j.truths {
		if t.Room == room {
			return t
		}
	}
	return nil
}

func (t *Truth) has(session string) bool {
	return slices.ContainsFunc(t.Members, func(m protocol.Member) bool { return m.Session == session })
}

// roomOf is the room that an event, or a snapshot, belongs to; empty: none.
func roomOf(m protocol.Message) string {
	switch m := m.(type) {
	case *protocol.Joined:
		return m.Room
	case *protocol.MemberJoined:
		return m.Room
	case *protocol.MemberLeft:
		return m.Room
	case *protocol.MemberUpdated:
		return m.Room
	case *protocol.MessagePublished:
		return m.Room
	case *protocol.Presence:
		return m.Room
	case *protocol.Occupancy:
		return m.Room
	case *protocol.ModeChanged:
		return m.Room
	}
	return ""
}
