//go:build faults

package faults

import (
	"net/url"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/internal/crowd"
	"rollcall/internal/faults/referee"
	"rollcall/internal/freezer"
	"rollcall/protocol"
)

// scenario is one fault. Its run must leave a room of which every member's
// view is the truth, and one leave with the right reason for each who is gone.
type scenario struct {
	name     string // of the test
	fault    string // in the document
	binary   func() (string, error)
	settings []string
	rooms    int             // 0: twenty
	windows  []time.Duration // of resume; nil: those of the load
	silent   bool            // only silence tells the server of it
	play     func(r *run)
}

func TestFaults(t *testing.T) {
	for _, s := range scenarios {
		ws := s.windows
		if ws == nil {
			ws = loads.windows
		}
		for _, window := range ws {
			t.Run(s.name+"/"+window.String(), func(t *testing.T) {
				binary, rooms := s.binary, s.rooms
				if binary == nil {
					binary = shipped
				}
				if rooms == 0 {
					rooms = 20
				}
				timeout := patientTimeout
				if s.silent {
					timeout = silenceTimeout
				}
				r := begin(t, binary, window, timeout, rooms, s.settings...)
				s.play(r)
				r.report(s.fault)
			})
		}
	}
}

// Everybody is in two rooms of twenty: those whom the fault hits, and others
// who talk meanwhile and must not notice.
func (r *run) hit(o crowd.Order) *clients {
	if o.N == 0 {
		o.N = loads.hit
	}
	o.Each = 2
	return r.crowd(o)
}

func (r *run) others() *clients {
	c := r.crowd(crowd.Order{N: loads.others, First: 100_000, Each: 2})
	r.watch("late", r.rooms)
	r.load("%d hit, %d others, 2 rooms each", loads.hit, loads.others)
	return c
}

// during has clients talk while something happens.
func (c *clients) during(f func()) {
	c.run.t.Helper()
	c.talk(crowd.Order{}, f)
}

// talk has clients talk while something happens, as o says.
func (c *clients) talk(o crowd.Order, f func()) {
	c.run.t.Helper()
	o.Do, o.What, o.Times, o.Every = crowd.Send, crowd.Publish, 8, 250*time.Millisecond
	require.NoError(c.run.t, c.p.Begin(o))
	f()
	_, err := c.p.Report()
	require.NoError(c.run.t, err)
}

// loud is long messages of a few.
var loud = crowd.Order{Count: 10, Size: 1500}

// survivors are all that is left: the others, in both of their rooms.
func (r *run) survivors(c *clients) {
	r.t.Helper()
	r.members(2 * loads.others)
	r.alive(c.tell())
	r.end(c)
}

// lose is a fault that the server is told of by no close frame.
func lose(o crowd.Order, f func(r *run, c *clients)) func(r *run) {
	return func(r *run) {
		c := r.hit(o)
		rest := r.others()
		rest.during(func() {
			r.gone(c.tell(), protocol.ReasonLost)
			f(r, c)
		})
		r.survivors(rest)
	}
}

var scenarios = []scenario{
	{
		name: "kill", fault: "client processes killed (`kill -9`)",
		play: lose(crowd.Order{}, func(_ *run, c *clients) { c.kill() }),
	}, {
		name: "kill_batch", fault: "the same, in rooms of mode `batch`", settings: []string{"--presence.full-max=10"},
		play: lose(crowd.Order{}, func(_ *run, c *clients) { c.kill() }),
	}, {
		name: "kill_count", fault: "the same, in rooms of mode `count` (leaves as the server counts them)",
		settings: []string{"--presence.full-max=5", "--presence.list-max=10"},
		play: func(r *run) {
			lose(crowd.Order{}, func(_ *run, c *clients) { c.kill() })(r)
			r.result.seen = map[protocol.Reason]int{}
			m := r.server.metrics()
			for _, reason := range protocol.Reasons {
				r.result.seen[reason] = int(m[`rollcall_leaves_total{reason="`+string(reason)+`"}`])
			}
			require.Equal(r.t, r.result.expected, r.result.seen[protocol.ReasonLost])
		},
	}, {
		name: "reset", fault: "connections reset (`SO_LINGER` 0)",
		play: lose(crowd.Order{}, func(_ *run, c *clients) { c.order(crowd.Order{Do: crowd.Drop, How: "reset"}) }),
	}, {
		name: "abort", fault: "end of stream without a close frame",
		play: lose(crowd.Order{}, func(_ *run, c *clients) { c.order(crowd.Order{Do: crowd.Drop, How: "abort"}) }),
	}, {
		name: "close", fault: "closed tabs (a close frame)",
		play: func(r *run) {
			c := r.hit(crowd.Order{})
			rest := r.others()
			rest.during(func() {
				r.gone(c.tell(), protocol.ReasonClosed)
				c.order(crowd.Order{Do: crowd.Drop, How: "close"})
			})
			r.survivors(rest)
		},
	}, {
		name: "half_open", silent: true, fault: "the network goes dead, sockets stay open (a freezing proxy)",
		play: func(r *run) {
			network, err := freezer.New(r.server.address)
			require.NoError(r.t, err)
			r.t.Cleanup(network.Close)
			lose(crowd.Order{Address: network.Address}, func(*run, *clients) { network.Freeze() })(r)
		},
	}, {
		name: "stopped", silent: true, fault: "client processes stopped (SIGSTOP), and let run again when they are out",
		play: func(r *run) {
			c := r.hit(crowd.Order{})
			rest := r.others()
			r.gone(c.tell(), protocol.ReasonLost)
			c.signal(syscall.SIGSTOP)
			r.members(2 * loads.others)
			c.signal(syscall.SIGCONT)
			c.order(crowd.Order{Do: crowd.Await, What: crowd.Ended, Count: loads.hit})
			c.order(crowd.Order{Do: crowd.Back, Resume: true}) // too late: they are somebody else
			r.members(2 * (loads.hit + loads.others))
			back := c.tell()
			for _, m := range back {
				require.Zero(r.t, m.Resumed, "%s was resumed, and its leave was told", m.Session)
			}
			r.alive(back)
			r.alive(rest.tell())
			r.end(c, rest)
		},
	}, {
		name: "stopped_briefly", silent: true, fault: "client processes stopped for less than the heartbeat's time-out",
		play: func(r *run) {
			c := r.hit(crowd.Order{})
			rest := r.others()
			rest.during(func() {
				c.signal(syscall.SIGSTOP)
				pause(silenceTimeout / 2)
				c.signal(syscall.SIGCONT)
			})
			r.members(2 * (loads.hit + loads.others))
			r.alive(c.tell())
			r.alive(rest.tell())
			r.end(c, rest)
		},
	}, {
		name: "deaf", silent: true, fault: "clients that stop reading",
		settings: []string{"--transport.send-buffer=4KiB"}, rooms: 4,
		play: func(r *run) {
			c := r.hit(crowd.Order{ReadBuffer: 4096})
			rest := r.others()
			rest.talk(loud, func() {
				r.gone(c.tell(), protocol.ReasonSlow, protocol.ReasonLost)
				c.order(crowd.Order{Do: crowd.Deafen})
			})
			r.members(2 * loads.others)
			c.kill()
			r.survivors(rest)
		},
	}, {
		name: "trickle", silent: true, fault: "clients that read 2 KB a second",
		settings: []string{"--transport.send-buffer=4KiB"}, rooms: 4,
		play: func(r *run) {
			c := r.hit(crowd.Order{ReadBuffer: 4096})
			rest := r.others()
			r.gone(c.tell(), protocol.ReasonSlow, protocol.ReasonLost, protocol.ReasonClosed)
			c.order(crowd.Order{Do: crowd.Hear, Most: 200, Every: 100 * time.Millisecond})
			for range 3 {
				rest.talk(loud, func() {})
			}
			require.NoError(r.t, c.p.Begin(crowd.Order{Do: crowd.Drop, How: "close"})) // who is left: it may take a while until they read
			r.members(2 * loads.others)
			c.kill()
			r.survivors(rest)
		},
	}, {
		name: "dribble", fault: "handshakes that come byte by byte", windows: []time.Duration{0},
		settings: []string{"--limits.handshake-timeout=2s"},
		play: func(r *run) {
			slow, err := crowd.Start()
			require.NoError(r.t, err)
			r.t.Cleanup(slow.Kill)
			require.NoError(r.t, slow.Begin(crowd.Order{Do: crowd.Dribble, Address: r.server.address, N: loads.hit, Every: 20 * time.Millisecond}))
			rest := r.others() // get in meanwhile
			report, err := slow.Report()
			require.NoError(r.t, err)
			require.Equal(r.t, loads.hit, report.Refused)
			r.load("%d handshakes, a byte each 20 ms; %d others come in meanwhile", loads.hit, loads.others)
			r.survivors(rest)
			const timeout = 2 * time.Second // limits.handshake_timeout
			r.result.timing = "the last handshake was ended after " + seconds(report.Took) + " of " + seconds(timeout)
			require.Less(r.t, report.Took, slack*timeout+leeway)
		},
	}, {
		name: "flood_publish", fault: "a flood of messages, as fast as the sockets take them",
		settings: []string{roomy},
		play:     flood(crowd.Publish),
	}, {
		name: "flood_bad", fault: "a flood of bad requests",
		play: flood(crowd.Bad),
	}, {
		name: "flood_ping", fault: "a flood of control frames",
		play: flood(crowd.Ping),
	}, {
		name: "malformed", fault: "frames malformed at random",
		play: func(r *run) {
			c := r.hit(crowd.Order{})
			rest := r.others()
			seed := seed(r.t)
			rest.during(func() {
				r.gone(c.tell(), protocol.ReasonViolation, protocol.ReasonClosed, protocol.ReasonLost)
				c.order(crowd.Order{Do: crowd.Send, What: crowd.Malformed, Times: 4, Every: 20 * time.Millisecond, Seed: seed})
				c.order(crowd.Order{Do: crowd.Drop, How: "abort"}) // whose frames were harmless
			})
			r.survivors(rest)
		},
	}, {
		name: "clocks", fault: "client clocks wrong by ten years", windows: []time.Duration{0}, rooms: 3,
		play: clocks,
	}, {
		name: "reconnect", fault: "everybody reset, and back at once as somebody new", rooms: 50,
		settings: []string{roomy},
		play: func(r *run) {
			r.storm(func(crowds []*clients) crowd.Order {
				for _, c := range crowds {
					r.gone(c.tell(), protocol.ReasonLost)
				}
				together(crowds, crowd.Order{Do: crowd.Drop, How: "reset"})
				return crowd.Order{Do: crowd.Back}
			})
		},
	}, {
		name: "resume", fault: "everybody reset, and back at once as the same session", rooms: 50, windows: []time.Duration{30 * time.Second},
		settings: []string{roomy},
		play: func(r *run) {
			r.storm(func(crowds []*clients) crowd.Order {
				together(crowds, crowd.Order{Do: crowd.Drop, How: "reset"})
				return crowd.Order{Do: crowd.Back, Resume: true}
			})
		},
	}, {
		name: "switch", fault: "the network goes dead, and everybody comes back through another before the server notices", rooms: 50,
		windows:  []time.Duration{30 * time.Second},
		settings: []string{roomy},
		play: func(r *run) {
			r.storm(func(crowds []*clients) crowd.Order {
				together(crowds, crowd.Order{Do: crowd.Drop, How: "abandon"})
				return crowd.Order{Do: crowd.Back, Resume: true}
			})
		},
	}, {
		name: "reload", fault: "every page reloaded (a close frame, and back with its token)", rooms: 50,
		windows: []time.Duration{0, 2 * time.Second}, settings: []string{roomy, "--session.reload-grace=30s"},
		play: func(r *run) {
			r.storm(func(crowds []*clients) crowd.Order {
				together(crowds, crowd.Order{Do: crowd.Drop, How: "close"})
				return crowd.Order{Do: crowd.Back, Resume: true}
			})
		},
	}, {
		name: "shutdown", fault: "SIGTERM under load, and a restart on the same port", windows: []time.Duration{0},
		play: shutdown,
	}, {
		name: "panic_session", fault: "panics in session actors", binary: breakable,
		play: func(r *run) {
			c := r.hit(crowd.Order{})
			rest := r.others()
			all := c.tell()
			rest.during(func() {
				for _, m := range all {
					r.post("/debug/faults/panic?room=" + m.Stays[0].Room + "&session=" + m.Session)
				}
			})
			r.result.panics, r.result.expected, r.result.reasons = loads.hit, loads.hit, []protocol.Reason{protocol.ReasonFailed}
			r.members(loads.hit + 2*loads.others)
			for _, m := range c.tell() {
				require.True(r.t, m.Connected, "its connection is open")
				require.Equal(r.t, protocol.ReasonFailed, m.Stays[0].Left, "it saw its own leave")
				require.Empty(r.t, m.Stays[1].Left, "and stays in its other room")
			}
			c.order(crowd.Order{Do: crowd.Rejoin})
			r.members(2 * (loads.hit + loads.others))
			r.alive(c.tell(), protocol.ReasonFailed)
			r.alive(rest.tell())
			r.end(c, rest)
		},
	}, {
		name: "panic_room", fault: "panics in room actors: three are survived, the fourth ends the room", binary: breakable, rooms: 5,
		play: panics,
	}, {
		name: "kick", fault: "everybody kicked out of their rooms by the API",
		play: func(r *run) {
			c := r.hit(crowd.Order{})
			rest := r.others()
			all := c.tell()
			r.gone(all, protocol.ReasonKicked)
			rest.during(func() {
				for _, m := range all {
					for _, s := range m.Stays {
						r.remove("/api/v1/rooms/" + url.PathEscape(s.Room) + "/members/" + m.Session)
					}
				}
			})
			r.members(2 * loads.others)
			for _, m := range c.tell() {
				require.True(r.t, m.Connected, "its connection is open")
				for _, s := range m.Stays {
					require.Equal(r.t, protocol.ReasonKicked, s.Left, "it saw its own leave")
				}
			}
			r.survivors(rest)
		},
	}, {
		name: "end_sessions", fault: "everybody's session ended by the API",
		play: func(r *run) {
			c := r.hit(crowd.Order{})
			rest := r.others()
			all := c.tell()
			r.gone(all, protocol.ReasonKicked)
			rest.during(func() {
				for _, m := range all {
					r.remove("/api/v1/sessions/" + m.Session)
				}
			})
			c.order(crowd.Order{Do: crowd.Await, What: crowd.Ended, Count: loads.hit})
			for _, m := range c.tell() {
				require.Equal(r.t, []protocol.CloseCode{protocol.CloseKicked, protocol.CloseKicked}, []protocol.CloseCode{m.Bye, m.Close})
			}
			r.survivors(rest)
		},
	},
}

// flood has clients send so much of something that they are cut for it.
func flood(what string) func(r *run) {
	return func(r *run) {
		c := r.hit(crowd.Order{})
		rest := r.others()
		rest.during(func() {
			r.gone(c.tell(), protocol.ReasonViolation)
			c.order(crowd.Order{Do: crowd.Send, What: what, Times: 5000})
		})
		c.order(crowd.Order{Do: crowd.Await, What: crowd.Ended, Count: loads.hit})
		r.survivors(rest)
	}
}

// roomy lets more wait for the referee's clients, who are in every room at
// once: with the bound that ships they are cut as slow in storms and floods, as
// they should be.
const roomy = "--limits.outbound-bytes=8MiB"

// storm has everybody go, and come back at once. If they come back as who they
// were nobody may see them leave.
func (r *run) storm(leave func(crowds []*clients) (back crowd.Order)) {
	var crowds []*clients
	for i := range 2 {
		crowds = append(crowds, r.crowd(crowd.Order{N: loads.storm / 2, First: i * loads.storm / 2}))
	}
	r.watch("late", r.rooms)
	back := leave(crowds)
	back.AtOnce = loads.storm
	took := together(crowds, back)
	r.members(loads.storm)
	for _, c := range crowds {
		all := c.tell()
		if back.Resume {
			for _, m := range all {
				require.Equal(r.t, 1, m.Resumed, "%s was resumed", m.User)
			}
		}
		r.alive(all)
	}
	r.load("%d, 50 rooms of %d; all in again after %s", loads.storm, loads.storm/50, seconds(took))
	r.end(crowds...)
}

// together gives all crowds one order, and returns how long the slowest took.
func together(crowds []*clients, o crowd.Order) (longest time.Duration) {
	for _, c := range crowds {
		require.NoError(c.run.t, c.p.Begin(o))
	}
	for _, c := range crowds {
		report, err := c.p.Report()
		require.NoError(c.run.t, err)
		longest = max(longest, report.Took)
	}
	return longest
}

// clocks has clients who are right, early and late by ten years do the same,
// and holds that nobody can tell which is which.
func clocks(r *run) {
	const decade = 10 * 365 * 24 * time.Hour
	began := time.Now()
	n := loads.hit / 2
	var all []*clients
	for i, wrong := range []time.Duration{0, decade, -decade} {
		c := r.crowd(crowd.Order{N: n, First: i * n, Rooms: 3, Each: 3, Clock: wrong})
		c.order(crowd.Order{Do: crowd.Send, What: crowd.Publish, Times: 3, Every: 300 * time.Millisecond})
		c.order(crowd.Order{Do: crowd.Send, What: crowd.Ping, Times: 3, Every: 300 * time.Millisecond})
		all = append(all, c)
	}
	r.watch("late", r.rooms)
	require.True(r.t, until(patience, func() bool { return r.server.metrics()["rollcall_heartbeats_total"] >= float64(2*3*n) }), "two heartbeats each")
	for _, c := range all {
		for _, m := range c.tell() {
			require.True(r.t, m.Connected, "%s", m.User)
			require.Empty(r.t, m.Errors, "%s", m.User)
		}
	}
	for _, c := range all[1:] {
		r.gone(c.tell(), protocol.ReasonClosed)
		c.order(crowd.Order{Do: crowd.Drop, How: "close"})
	}
	r.members(3 * n)
	r.alive(all[0].tell())
	r.load("%d with the right time, %d early, %d late; 3 rooms each", n, n, n)
	r.end(all[0])
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.history {
		if told, ok := e.What.(*referee.Told); ok {
			if at := stamped(told.Message); at != 0 {
				require.WithinRange(r.t, time.UnixMilli(at), began.Add(-time.Second), time.Now().Add(time.Second), "the server's own time: %s", e)
			}
		}
	}
}

func stamped(m protocol.Message) int64 {
	switch m := m.(type) {
	case *protocol.MemberJoined:
		return m.At
	case *protocol.MemberLeft:
		return m.At
	case *protocol.MessagePublished:
		return m.At
	case *protocol.Presence:
		return m.At
	}
	return 0
}

// shutdown stops the server while everybody talks, and starts another one on
// the same port. Everybody is told, and comes back.
func shutdown(r *run) {
	c := r.hit(crowd.Order{})
	rest := r.others()
	everybody := []*clients{c, rest}
	for _, c := range everybody {
		r.gone(c.tell(), protocol.ReasonShutdown)
		require.NoError(r.t, c.p.Begin(crowd.Order{Do: crowd.Send, What: crowd.Publish, Times: 20, Every: 100 * time.Millisecond}))
	}
	for _, w := range r.witnesses {
		r.record("", &referee.Fate{Session: w.session, Reasons: []protocol.Reason{protocol.ReasonShutdown}})
	}
	asked := time.Now()
	require.Zero(r.t, r.server.stop(), "exit code")
	took := time.Since(asked)
	told := 0
	for _, c := range everybody {
		_, err := c.p.Report()
		require.NoError(r.t, err)
		for _, m := range c.tell() {
			require.False(r.t, m.Connected)
			require.Equal(r.t, []protocol.CloseCode{protocol.CloseShutdown, protocol.CloseShutdown}, []protocol.CloseCode{m.Bye, m.Close}, "%s was told", m.User)
			told += len(m.Stays)
		}
	}
	for _, w := range r.witnesses {
		<-w.ended
	}
	r.server = serve(r.t, shipped, r.settings("--listen="+r.server.address)...)
	for _, c := range everybody {
		require.NoError(r.t, c.p.Begin(crowd.Order{Do: crowd.Back, AtOnce: loads.hit}))
	}
	for _, w := range r.witnesses {
		w.connect(r.rooms)
	}
	for _, c := range everybody {
		_, err := c.p.Report()
		require.NoError(r.t, err)
		r.alive(c.tell())
	}
	r.members(2 * (loads.hit + loads.others))
	r.end(everybody...)
	r.result.seen = map[protocol.Reason]int{protocol.ReasonShutdown: told}
	const bound = time.Second + 2*time.Second + 5*time.Second // drain, transport.close_timeout, and what actors may take
	r.result.timing = "the process ended after " + seconds(took) + " of " + seconds(bound)
	require.Less(r.t, took, slack*bound+leeway)
}

// panics has every room panic three times, which nobody may notice, and a
// fourth time, after which everybody has left as failed and may join again.
func panics(r *run) {
	c := r.hit(crowd.Order{})
	rest := r.others()
	failures := 0
	fail := func() {
		for _, room := range r.rooms {
			r.post("/debug/faults/panic?room=" + room)
		}
		failures += len(r.rooms)
		require.True(r.t, until(patience, func() bool {
			return r.server.metrics()[`rollcall_actor_failures_total{kind="room"}`] == float64(failures)
		}))
	}
	rest.during(func() {
		for range 3 {
			fail()
		}
	})
	r.members(2 * (loads.hit + loads.others))
	fail()
	r.result.panics, r.result.reasons = failures, []protocol.Reason{protocol.ReasonFailed}
	failed := 0
	for _, c := range []*clients{c, rest} {
		require.True(r.t, until(patience, func() bool { return out(c.tell()) }), "everybody saw their own leaves")
		for _, m := range c.tell() {
			require.True(r.t, m.Connected)
			for _, s := range m.Stays {
				require.Equal(r.t, protocol.ReasonFailed, s.Left)
				failed++
			}
		}
		c.order(crowd.Order{Do: crowd.Rejoin})
	}
	for _, w := range r.witnesses {
		w.join(r.rooms)
	}
	r.members(2 * (loads.hit + loads.others))
	r.alive(c.tell(), protocol.ReasonFailed)
	r.alive(rest.tell(), protocol.ReasonFailed)
	r.end(c, rest)
	r.result.expected, r.result.seen = 2*(loads.hit+loads.others), map[protocol.Reason]int{protocol.ReasonFailed: failed}
}

// out reports whether all of them have left all of their rooms.
func out(all []crowd.Client) bool {
	for _, m := range all {
		for _, s := range m.Stays {
			if s.Left == "" {
				return false
			}
		}
	}
	return true
}

func (r *run) post(path string) {
	r.t.Helper()
	status, b := r.server.call("POST", path)
	require.Equal(r.t, 204, status, "%s: %s", path, b)
}

func (r *run) remove(path string) {
	r.t.Helper()
	status, b := r.server.call("DELETE", path)
	require.Equal(r.t, 204, status, "%s: %s", path, b)
}

// seed is what is random in a run: printed, and taken from SEED to play it
// again.
func seed(t *testing.T) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64)
	if err != nil {
		n = uint64(time.Now().UnixNano())
	}
	t.Logf("SEED=%d", n)
	return n
}
