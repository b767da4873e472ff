package terminal

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"rollcall/client"
	"rollcall/protocol"
)

// view shows a room, line by line, and knows who is in it.
type view struct {
	room string
	out  io.Writer

	mu         sync.Mutex
	me         *protocol.Welcome
	roster     client.Roster
	been       bool          // in the room, before now
	away       bool          // out of the room, or offline, since it was entered last
	entered    chan struct{} // closed when it is entered next
	came, went crowd         // not told yet
	due        *time.Timer   // tells them; nil: there is nothing to tell
	counted    time.Time     // when occupancy was printed last
	err        error         // what writing failed with
}

func newView(room string, out io.Writer) *view {
	return &view{room: room, out: out, entered: make(chan struct{})}
}

// entry is closed when the room is entered next.
func (v *view) entry() <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.entered
}

// failure is what writing failed with.
func (v *view) failure() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.err
}

// unlisted says whether the members of the room could be asked for, and within
// which time: some 100 of them a second, and a minute at most.
func (v *view) unlisted() (wait time.Duration, unlisted bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	r := &v.roster
	wait = min(time.Minute, time.Second+time.Duration(max(r.Count.Sessions, 0))*10*time.Millisecond)
	return wait, v.been && !v.away && !r.Listed && r.Mode != protocol.ModeCount
}

// note prints a line of our own.
func (v *view) note(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.line(time.Now(), "! "+fmt.Sprintf(format, args...))
}

func (v *view) line(at time.Time, text string) {
	_, err := fmt.Fprintf(v.out, "%s %s\n", at.Format("15:04:05"), clean(text))
	if v.err == nil {
		v.err = err
	}
}

// show prints what an event means to people. me is who we are.
func (v *view) show(me *protocol.Welcome, e client.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.me = me
	now := time.Now()
	switch e := e.(type) {
	case *client.Offline:
		v.sumUp(now)
		v.away = true
		if !e.Final {
			v.line(now, fmt.Sprintf("! offline: %s; trying again in %s", ending(e), e.Wait.Round(100*time.Millisecond)))
		}
	case *client.Connecting:
		v.line(now, fmt.Sprintf("! connecting, attempt %d", e.Attempt))
	case *client.Online:
	case *client.Gap:
		v.line(now, "! something was missed")
	case *protocol.Error:
		v.line(now, "! the server says: "+e.Error())
	case *protocol.Joined:
		v.enter(now, e)
		return
	case *protocol.MemberJoined:
		v.line(stamp(e.Stamp), v.arrival(e))
	case *protocol.MemberLeft:
		v.line(stamp(e.Stamp), v.departure(e, nil))
		v.away = v.away || me != nil && e.Session == me.Session
	case *protocol.MemberUpdated:
		v.change(e)
	case *protocol.Presence:
		v.presence(e)
	case *protocol.MessagePublished:
		v.sumUp(now)
		v.message(e)
	case *protocol.Occupancy:
		v.occupancy(now, e)
	case *protocol.ModeChanged:
		v.sumUp(now)
		v.line(now, "! "+modes[e.Mode])
	}
	if m, ok := e.(protocol.Message); ok {
		v.roster.Take(m) // behind the lines: a leave names who was here
	}
}

// modes says what a change of mode means to who reads along.
var modes = map[protocol.Mode]string{
	protocol.ModeFull:  "everyone who comes and goes is told again",
	protocol.ModeBatch: "so many come and go that it is summed up",
	protocol.ModeCount: "so many are here that only their number is told",
}

// enter takes a snapshot: the first shows who is here, a later one that
// nothing, or what, was missed.
func (v *view) enter(now time.Time, j *protocol.Joined) {
	v.sumUp(now)
	listed := v.been && !v.away // only the list was asked for
	v.roster.Take(j)
	switch {
	case listed:
	case v.been && v.me != nil && v.me.Resumed:
		v.line(now, fmt.Sprintf("! back in %s; nobody saw you leave", j.Room))
	case v.been:
		v.line(now, "! back in "+j.Room)
	}
	if !j.Recovered {
		v.line(now, "! some messages were missed")
	}
	if !listed {
		v.line(now, v.who())
	}
	for i := range j.Messages {
		v.message(&j.Messages[i])
	}
	v.been, v.away = true, false
	close(v.entered)
	v.entered = make(chan struct{})
}

func (v *view) arrival(e *protocol.MemberJoined) string {
	what := " came"
	if !e.First {
		what = " came once more"
	}
	return "→ " + clean(e.Member.Name) + what
}

// departure says who left. A member who came and left at once is among joins.
func (v *view) departure(e *protocol.MemberLeft, joins []protocol.MemberJoined) string {
	name := v.name(e.Session, e.User, joins)
	if !e.Last {
		return "← " + name + " is still here, but one session left: " + because(e.Reason)
	}
	return "← " + name + " left: " + because(e.Reason)
}

// occupancyInterval is how often a room too large to list says its size.
const occupancyInterval = 10 * time.Second

func (v *view) occupancy(now time.Time, e *protocol.Occupancy) {
	if e.Count.Users == v.roster.Count.Users || now.Sub(v.counted) < occupancyInterval {
		return
	}
	v.counted = now
	v.line(now, "! "+people(e.Count)+" here")
}

// change shows a change of state.
func (v *view) change(e *protocol.MemberUpdated) {
	m := v.roster.Member(e.Session)
	if m == nil || e.State == "" || e.State == m.State {
		return
	}
	words := "is " + string(e.State)
	switch e.State {
	case protocol.StateActive:
		words = "is back"
		if m.State == protocol.StateUnresponsive {
			words = "responds again"
		}
	case protocol.StateLost:
		words = "lost the connection, and may come back"
	case protocol.StateUnresponsive:
		words = "does not respond"
	}
	v.line(stamp(e.Stamp), "· "+v.name(e.Session, e.User, nil)+" "+words)
}

func (v *view) message(m *protocol.MessagePublished) {
	name := m.Name
	if name == "" {
		name = m.User
	}
	v.line(stamp(m.Stamp), clean(name)+": "+textOf(m.Data))
}

// textOf is how a message's data reads: the text it holds, else its JSON.
func textOf(data json.RawMessage) string {
	var text string
	if json.Unmarshal(data, &text) == nil {
		return text
	}
	var object struct {
		Text *string `json:"text"`
	}
	if json.Unmarshal(data, &object) == nil && object.Text != nil {
		return *object.Text
	}
	var short bytes.Buffer
	if json.Compact(&short, data) != nil {
		return string(data)
	}
	return short.String()
}

func stamp(s protocol.Stamp) time.Time { return time.UnixMilli(s.At) }

// name is what a member is called, without line breaks or tricks; joins may
// tell of them.
func (v *view) name(session, user string, joins []protocol.MemberJoined) string {
	if m := v.roster.Member(session); m != nil && m.Name != "" {
		user = m.Name
	}
	for i := range joins {
		if m := joins[i].Member; m.Session == session && m.Name != "" {
			user = m.Name
		}
	}
	if name := clean(user); name != "" {
		return name
	}
	return clean(session)
}

const shown = 50 // people listed by name

// who lists the members, one entry per user.
func (v *view) who() string {
	if !v.roster.Listed {
		return fmt.Sprintf("! %s here in %s, too many to list", people(v.roster.Count), v.room)
	}
	return v.list(v.roster.Members(), v.roster.Count)
}

// list names the first of members, one entry per user.
func (v *view) list(members iter.Seq[*protocol.Member], count protocol.Count) string {
	sessions := map[string][]*protocol.Member{}
	for m := range members {
		sessions[m.User] = append(sessions[m.User], m)
	}
	var names []string
	for _, of := range sessions {
		names = append(names, v.person(of))
	}
	slices.Sort(names)
	names = names[:min(len(names), shown)]
	text := fmt.Sprintf("! %s here in %s", people(count), v.room)
	if len(names) > 0 {
		text += ": " + strings.Join(names, ", ")
	}
	if rest := count.Users - len(names); rest > 0 {
		text += fmt.Sprintf(" and %d more", rest)
	}
	return text
}

// person is a user with what is to be said of their sessions.
func (v *view) person(of []*protocol.Member) string {
	slices.SortFunc(of, func(a, b *protocol.Member) int { return strings.Compare(a.Session, b.Session) })
	var more []string
	state := of[0].State
	for _, m := range of {
		if v.me != nil && m.Session == v.me.Session {
			more = append(more, "you")
		}
		if m.State == protocol.StateActive {
			state = m.State
		}
	}
	if state != protocol.StateActive {
		more = append(more, string(state))
	}
	if len(of) > 1 {
		more = append(more, fmt.Sprintf("%d sessions", len(of)))
	}
	name := clean(cmp.Or(of[0].Name, of[0].User))
	if len(more) > 0 {
		name += " (" + strings.Join(more, ", ") + ")"
	}
	return name
}

// tellWho, tellPage and tellMe answer /who and /me. tellWho is false when nobody
// is listed: a page of them has to be asked for.
func (v *view) tellWho() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.roster.Listed {
		v.line(time.Now(), v.who())
	}
	return v.roster.Listed
}

func (v *view) tellPage(page *protocol.MemberList) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.line(time.Now(), v.list(func(yield func(*protocol.Member) bool) {
		for i := range page.Members {
			if !yield(&page.Members[i]) {
				return
			}
		}
	}, page.Count))
}

func (v *view) tellMe() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.me == nil {
		return
	}
	v.line(time.Now(), fmt.Sprintf("! you are %s, user %s, session %s", clean(v.me.Name), clean(v.me.User), v.me.Session))
}
