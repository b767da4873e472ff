//go:build faults

package faults

import (
	"fmt"
	"net/url"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/internal/crowd"
	"rollcall/internal/faults/referee"
	"rollcall/protocol"
)

// patience bounds every wait for something that should happen at once: long,
// because the machine may be busy, and no measure of speed.
const patience = 60 * time.Second

// A server's heartbeats. Where silence is not the fault it may last long: on a
// busy machine clients come to nothing for seconds, too.
const (
	heartbeatInterval = 2 * time.Second
	silenceTimeout    = 8 * time.Second // heartbeat.timeout where silence is the fault
	patientTimeout    = time.Minute     // where it is not
)

// What takes longer than slack times its bound and the leeway is a violation:
// the machine is noisy, and the bound one of correctness. Where a socket tells
// the server, the bound may be nothing at all.
const (
	slack  = 3
	leeway = 20 * time.Second
)

// run is one fault against one server: who is there, what was recorded, and
// what is expected to come of it.
type run struct {
	t         *testing.T
	server    *server
	window    time.Duration // session.resume_window
	timeout   time.Duration // heartbeat.timeout
	rooms     []string
	witnesses []*witness
	began     time.Time

	mu      sync.Mutex
	history []referee.Entry

	result result
}

// begin starts a server and its first witness, who is in every room before
// anybody else.
func begin(t *testing.T, binary func() (string, error), window, timeout time.Duration, rooms int, settings ...string) *run {
	t.Helper()
	r := &run{t: t, window: window, timeout: timeout, began: time.Now()}
	for i := range rooms {
		r.rooms = append(r.rooms, "r"+strconv.Itoa(i))
	}
	r.server = serve(t, binary, r.settings(settings...)...)
	r.result.before, _ = r.server.resident()
	r.watch("early", r.rooms)
	return r
}

// settings are those of all runs, and more.
func (r *run) settings(more ...string) []string {
	return append([]string{
		"--heartbeat.interval=" + heartbeatInterval.String(), "--heartbeat.timeout=" + r.timeout.String(),
		"--session.resume-window=" + r.window.String(), "--room.audit=1s", "--drain=1s",
	}, more...)
}

// record adds an entry to the history.
func (r *run) record(witness string, what referee.What) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history = append(r.history, referee.Entry{At: time.Since(r.began), Witness: witness, What: what})
}

// crowd starts a process of clients, who connect and join.
func (r *run) crowd(o crowd.Order) *clients {
	r.t.Helper()
	p, err := crowd.Start()
	require.NoError(r.t, err)
	r.t.Cleanup(p.Kill)
	c := &clients{run: r, p: p}
	o.Do, o.Digests = crowd.Connect, true
	if o.Address == "" {
		o.Address = r.server.address
	}
	if o.Rooms == 0 {
		o.Rooms = len(r.rooms)
	}
	c.order(o)
	return c
}

// clients are a crowd of a run.
type clients struct {
	run  *run
	p    *crowd.Process
	dead bool // killed: nobody answers
}

func (c *clients) order(o crowd.Order) crowd.Report {
	c.run.t.Helper()
	report, err := c.p.Order(o)
	if err != nil {
		c.run.t.Fatalf("the crowd was told to %s: %v\nThe server counts:\n%s", o.Do, err, c.run.server.says())
	}
	return report
}

// tell reports every client, and fails the run where one saw something wrong.
func (c *clients) tell() []crowd.Client {
	c.run.t.Helper()
	all := c.order(crowd.Order{Do: crowd.Tell}).Clients
	for _, m := range all {
		require.Empty(c.run.t, m.Wrong, "%s (%s) saw it", m.Session, m.User)
	}
	return all
}

// kill ends the process as kill -9 does.
func (c *clients) kill() {
	c.p.Kill()
	c.dead = true
}

func (c *clients) signal(s syscall.Signal) {
	c.run.t.Helper()
	require.NoError(c.run.t, c.p.Signal(s))
}

// bound is the longest that the server may take, by its settings, until a
// connection that is over has left its rooms: where a socket tells, the resume
// window; where only silence does, the heartbeat's times more.
func (r *run) bound() time.Duration {
	if r.timeout == silenceTimeout {
		return heartbeatInterval + silenceTimeout + r.window
	}
	return r.window
}

// most is how late a leave is a violation.
func (r *run) most() time.Duration { return slack*r.bound() + leeway }

// gone records that sessions end now, and what their leaves may say.
func (r *run) gone(all []crowd.Client, reasons ...protocol.Reason) {
	for _, m := range all {
		f := &referee.Fate{Session: m.Session, Reasons: reasons, Within: r.most()}
		for _, s := range m.Stays {
			if s.Left == "" {
				f.Rooms = append(f.Rooms, s.Room)
			}
		}
		r.result.expected += len(f.Rooms)
		r.record("", f)
	}
	r.result.reasons = append(r.result.reasons, reasons...)
}

// alive records that sessions are there, in all rooms that they did not leave.
// What leaves may have come of them before is in reasons.
func (r *run) alive(all []crowd.Client, reasons ...protocol.Reason) {
	for _, m := range all {
		f := &referee.Fate{Session: m.Session, Lives: true, Reasons: reasons}
		for _, s := range m.Stays {
			if s.Left == "" {
				f.Rooms = append(f.Rooms, s.Room)
			}
		}
		r.record("", f)
	}
}

// members waits until the server counts so many, witnesses aside.
func (r *run) members(want int) {
	r.t.Helper()
	for _, w := range r.witnesses {
		w.mu.Lock()
		want += len(w.told)
		w.mu.Unlock()
	}
	var is float64
	there := until(r.most()+leeway, func() bool {
		for _, w := range r.witnesses {
			select {
			case <-w.ended:
				w.cut()
			default:
			}
		}
		is = r.server.metrics()["rollcall_members"]
		return is == float64(want)
	})
	if !there {
		r.judge() // it may show who is missing
	}
	require.True(r.t, there, "%v members, and %d should be there", is, want)
}

// until looks again and again whether something holds.
func until(limit time.Duration, holds func() bool) bool {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	deadline := time.After(limit)
	for !holds() {
		select {
		case <-look.C:
		case <-deadline:
			return holds()
		}
	}
	return true
}

// pause lets a fault last.
func pause(d time.Duration) { <-time.After(d) }

// roomInfo is what the API says of a room.
type roomInfo struct {
	Count  protocol.Count
	Mode   protocol.Mode
	Epoch  string
	Offset uint64
}

// truth asks the API who is in a room, once every witness was told of all that
// happened there.
func (r *run) truth(room string) *referee.Truth {
	r.t.Helper()
	path := "/api/v1/rooms/" + url.PathEscape(room)
	var t *referee.Truth
	quiet := until(patience, func() bool {
		var before, after roomInfo
		r.server.get(path, &before)
		t = &referee.Truth{Room: room, Epoch: before.Epoch, Offset: before.Offset, Mode: before.Mode, Count: before.Count}
		for cursor := ""; ; {
			var page struct {
				Members []protocol.Member
				Next    string
			}
			r.server.get(path+"/members?limit=1000"+cursor, &page)
			t.Members = append(t.Members, page.Members...)
			if cursor = "&cursor=" + url.QueryEscape(page.Next); page.Next == "" {
				break
			}
		}
		r.server.get(path, &after)
		return before == after && r.allTold(room, t)
	})
	if !quiet {
		r.t.Logf("room %s did not come to rest, or a witness was not told all of it", room)
	}
	return t
}

func (r *run) allTold(room string, t *referee.Truth) bool {
	for _, w := range r.witnesses {
		if epoch, at := w.at(room); epoch == t.Epoch && at < t.Offset {
			return false
		}
	}
	return true
}

// end asks for the truth, has the referee judge, and holds the server's own
// counts and log against it. Those who are alive must have been recorded.
func (r *run) end(crowds ...*clients) {
	r.t.Helper()
	if r.t.Failed() {
		return
	}
	for _, w := range r.witnesses {
		r.record("", &referee.Fate{Session: w.session, Lives: true, Reasons: []protocol.Reason{protocol.ReasonFailed}, Rooms: r.rooms})
	}
	truths := map[string]*referee.Truth{}
	for _, room := range r.rooms {
		truths[room] = r.truth(room)
		r.record("", truths[room])
	}
	for _, c := range crowds {
		if !c.dead {
			r.streams(c, truths)
		}
	}
	r.judge()
	r.counts()
	r.result.after, r.result.peak = r.server.resident()
}

// judge has the referee look at it all.
func (r *run) judge() {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	rules := referee.Rules{ResumeWindow: r.window}
	v := referee.Judge(r.history, rules)
	r.result.seen, r.result.worst, r.result.bound = v.Leaves, v.Detected, r.bound()
	for i, x := range v.Violations {
		if i == 5 {
			r.t.Errorf("and %d more", len(v.Violations)-i)
			break
		}
		r.t.Errorf("%s\nThe shortest history that shows it:\n%s", x, referee.Print(referee.Shortest(r.history, rules, x)))
	}
}

// streams holds that every client of a crowd was told the same as the first
// witness: all of it, where it is there still.
func (r *run) streams(c *clients, truths map[string]*referee.Truth) {
	r.t.Helper()
	var all []crowd.Client
	until(patience, func() bool {
		all = c.tell()
		for _, m := range all {
			for _, s := range m.Stays {
				if t := truths[s.Room]; m.Connected && s.Left == "" && s.Epoch == t.Epoch && s.To < t.Offset {
					return false
				}
			}
		}
		return true
	})
	compared := 0
	for _, m := range all {
		for _, s := range m.Stays {
			if t := truths[s.Room]; m.Connected && s.Left == "" && s.Whole {
				require.Equal(r.t, t.Epoch, s.Epoch, "%s in %s", m.Session, s.Room)
				require.Equal(r.t, t.Offset, s.To, "%s in %s: the last event that it was told", m.Session, s.Room)
			}
			if sum, ok := r.witnesses[0].digest(s.Room, s.Epoch, s.From, s.To); ok && s.Whole && s.Left == "" {
				require.Equal(r.t, sum, s.Digest, "%s in %s was told other things from %d to %d than the witness", m.Session, s.Room, s.From, s.To)
				compared++
			}
		}
	}
	r.result.compared += compared
}

// counts holds the server's own numbers against each other, and its log
// against what it may say: nothing that a client does is an error.
func (r *run) counts() {
	r.t.Helper()
	m := r.server.metrics()
	require.Equal(r.t, m["rollcall_members"], m["rollcall_joins_total"]-m.sum("rollcall_leaves_total"), "joins without their leave")
	require.Zero(r.t, m["rollcall_ghosts_total"]-r.result.ghosts, "ghosts that the audit found; the log says %+v", r.server.warnings())
	require.Equal(r.t, r.result.panics, int(m.sum("rollcall_actor_failures_total")), "actors that failed")
	for _, l := range r.server.warnings() {
		if l.Level == "error" && (l.Event != "actor_failed" || r.result.panics == 0) {
			r.t.Errorf("the log says %+v", l)
		}
	}
	require.Empty(r.t, r.server.tail, "the server wrote what is no line of its log")
}

// load describes who was there, for the report.
func (r *run) load(format string, args ...any) { r.result.load = fmt.Sprintf(format, args...) }
