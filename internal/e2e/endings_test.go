package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"rollcall/client"
	"rollcall/config"
	"rollcall/protocol"
	"rollcall/transport"
)

// ending is one way for bob to go, and what it must look like from both ends.
type ending struct {
	name   string
	config func(*config.Config)
	goes   func(t *testing.T, s *server, bob *peer)

	reason protocol.Reason    // that ann sees
	code   protocol.CloseCode // that ann sees; 0: none
	bob    seen
}

// seen is what bob sees of his own end.
type seen struct {
	leave  bool               // his own leave, and he stays connected and may join again
	banned bool               // no: a join is refused
	bye    bool               // bye before the close frame
	code   protocol.CloseCode // the close frame's; 0: bob is not looked at
}

const room = "lobby"

// endings has a row for each row of the table of leave reasons in
// docs/protocol.md §5 that one server can come to.
var endings = []ending{
	{
		name: "left by asking to", reason: protocol.ReasonLeft, bob: seen{leave: true},
		goes: func(_ *testing.T, _ *server, bob *peer) {
			bob.send(&protocol.Leave{Request: protocol.Request{ID: 7, Room: room}})
		},
	}, {
		name: "kicked out of the room", reason: protocol.ReasonKicked, bob: seen{leave: true},
		goes: func(t *testing.T, s *server, bob *peer) {
			status, body := s.call(t, "DELETE", "/api/v1/rooms/"+room+"/members/"+bob.session, "")
			require.Equal(t, 204, status, body)
		},
	}, {
		name: "kicked off the server", reason: protocol.ReasonKicked, code: 4502, bob: seen{bye: true, code: 4502},
		goes: func(t *testing.T, s *server, bob *peer) { endSession(t, s, bob, "") },
	}, {
		name: "banned", reason: protocol.ReasonBanned, code: 4503, bob: seen{bye: true, code: 4503},
		goes: func(t *testing.T, s *server, bob *peer) { endSession(t, s, bob, `{"code":4503,"reason":"spam"}`) },
	}, {
		name: "unauthorized: the back end says so", reason: protocol.ReasonUnauthorized, code: 4504, bob: seen{bye: true, code: 4504},
		goes: func(t *testing.T, s *server, bob *peer) { endSession(t, s, bob, `{"code":4504}`) },
	}, {
		name: "replaced: the back end says so", reason: protocol.ReasonReplaced, code: 4505, bob: seen{bye: true, code: 4505},
		goes: func(t *testing.T, s *server, bob *peer) { endSession(t, s, bob, `{"code":4505}`) },
	}, {
		name: "failed: the session actor panics", reason: protocol.ReasonFailed, bob: seen{leave: true},
		goes: func(_ *testing.T, s *server, bob *peer) {
			s.System().Inject(room, bob.session, func() { panic("on purpose") })
		},
	}, {
		name: "closed by a page that goes away", reason: protocol.ReasonClosed, code: 1001, bob: seen{code: 1001},
		goes: func(t *testing.T, _ *server, bob *peer) { require.NoError(t, bob.Close(1001, "")) },
	}, {
		name: "closed without a code", reason: protocol.ReasonClosed, code: 1005, bob: seen{code: 1005},
		goes: func(t *testing.T, _ *server, bob *peer) { require.NoError(t, bob.WriteFrame(ws.OpClose, true, nil)) },
	}, {
		name: "lost: the process was killed", reason: protocol.ReasonLost,
		goes: func(_ *testing.T, _ *server, bob *peer) { bob.Abort() },
	}, {
		name: "lost: a reset", reason: protocol.ReasonLost,
		goes: func(_ *testing.T, _ *server, bob *peer) { bob.Reset() },
	}, {
		name: "idle", reason: protocol.ReasonIdle, code: 4500, bob: seen{bye: true, code: 4500},
		config: func(c *config.Config) {
			c.Session.IdleAfter, c.Session.DisconnectAfter = 2*time.Second, 4*time.Second
			c.Limits.SignalRate = 0
		},
		goes: func(_ *testing.T, _ *server, bob *peer) { bob.pingForever() },
	}, {
		name: "expired", reason: protocol.ReasonExpired, code: 4501, bob: seen{bye: true, code: 4501},
		config: func(c *config.Config) { c.Session.MaxAge = 4 * time.Second },
		goes:   func(*testing.T, *server, *peer) {},
	}, {
		name: "violation: a frame without a mask", reason: protocol.ReasonViolation, code: 1002, bob: seen{bye: true, code: 1002},
		goes: func(t *testing.T, _ *server, bob *peer) {
			_, err := bob.NetConn().Write([]byte{0x81, 2, '{', '}'})
			require.NoError(t, err)
		},
	}, {
		name: "violation: a binary message", reason: protocol.ReasonViolation, code: 1003, bob: seen{bye: true, code: 1003},
		goes: func(t *testing.T, _ *server, bob *peer) {
			require.NoError(t, bob.WriteFrame(ws.OpBinary, true, []byte("{}")))
		},
	}, {
		name: "violation: text that is not UTF-8", reason: protocol.ReasonViolation, code: 1007, bob: seen{bye: true, code: 1007},
		goes: func(t *testing.T, _ *server, bob *peer) {
			require.NoError(t, bob.WriteFrame(ws.OpText, true, []byte("\xff")))
		},
	}, {
		name: "violation: a message over the limit", reason: protocol.ReasonViolation, code: 1009, bob: seen{bye: true, code: 1009},
		goes: func(_ *testing.T, s *server, bob *peer) { // the server may close before all of it is written
			_ = bob.WriteFrame(ws.OpText, true, bytes.Repeat([]byte(" "), config.Default().Limits.MessageBytes+1))
		},
	}, {
		name: "violation: a flood of bad requests", reason: protocol.ReasonViolation, code: 4506, bob: seen{bye: true, code: 4506},
		goes: func(_ *testing.T, _ *server, bob *peer) {
			for range 2000 {
				if bob.Write([]byte(`{"type":"nonsense"}`)) != nil {
					return
				}
			}
		},
	},
}

func endSession(t *testing.T, s *server, bob *peer, body string) {
	t.Helper()
	status, answer := s.call(t, "DELETE", "/api/v1/sessions/"+bob.session, body)
	require.Equal(t, 204, status, answer)
}

// age is how long ago a peer connected.
func (s *server) age(t *testing.T, p *peer) time.Duration {
	t.Helper()
	status, body := s.call(t, "GET", "/api/v1/sessions/"+p.session, "")
	require.Equal(t, 200, status, body)
	var info struct {
		ConnectedAt int64 `json:"connected_at"`
	}
	require.NoError(t, json.Unmarshal([]byte(body), &info))
	return time.Since(time.UnixMilli(info.ConnectedAt))
}

// pingForever proves that the peer lives, which is no activity.
func (p *peer) pingForever() {
	go func() {
		beat := time.NewTicker(50 * time.Millisecond)
		defer beat.Stop()
		for p.Write((&protocol.Ping{}).AppendJSON(nil)) == nil {
			<-beat.C
		}
	}()
}

// stayActive keeps the person behind the peer active.
func (p *peer) stayActive() {
	go func() {
		s := &protocol.Signal{Request: protocol.Request{Room: room}, Data: json.RawMessage("1")}
		beat := time.NewTicker(50 * time.Millisecond)
		defer beat.Stop()
		for p.Write(s.AppendJSON(nil)) == nil {
			<-beat.C
		}
	}()
}

// inBothModes runs a test on each of the transport's modes.
func inBothModes(t *testing.T, test func(t *testing.T, mode string)) {
	for _, mode := range []string{transport.ModeAuto, transport.ModeGoroutine} {
		t.Run(mode, func(t *testing.T) { test(t, mode) })
	}
}

func TestEveryEndingIsToldOnceWithItsReason(t *testing.T) {
	inBothModes(t, func(t *testing.T, mode string) {
		for _, e := range append(moderated, endings...) {
			t.Run(e.name, func(t *testing.T) {
				t.Parallel()
				s := start(t, func(c *config.Config) {
					c.Transport.Mode = mode
					if e.config != nil {
						e.config(c)
					}
				})
				bob := connect(t, s.addr, "user=bob&room="+room)
				want[*protocol.Joined](bob)
				if e.reason == protocol.ReasonExpired {
					eventually(t, "bob to be older than ann will be", func() bool { return s.age(t, bob) > 2*time.Second })
				}
				ann := connect(t, s.addr, "user=ann")
				require.Len(t, ann.join(room).Members, 2)
				if e.reason == protocol.ReasonIdle {
					ann.stayActive()
				}
				e.goes(t, s, bob)

				leaves := ann.leavesOf(room, bob.session)
				require.Len(t, leaves, 1, "every other member sees exactly one leave")
				require.Equal(t, "bob", leaves[0].User)
				require.Equal(t, e.reason, leaves[0].Reason)
				require.Equal(t, e.code, leaves[0].Code)
				require.True(t, leaves[0].Last)
				e.bob.check(t, bob, e.reason)
			})
		}
	})
}

func (w seen) check(t *testing.T, bob *peer, reason protocol.Reason) {
	t.Helper()
	if w.leave {
		own := want[*protocol.MemberLeft](bob)
		require.Equal(t, bob.session, own.Session)
		require.Equal(t, reason, own.Reason)
		if w.banned {
			bob.send(&protocol.Join{Request: protocol.Request{ID: 1, Room: room}})
			require.Equal(t, protocol.ErrBanned, want[*protocol.Error](bob).Code)
			return
		}
		require.Len(t, bob.join(room).Members, 2, "the connection is open, and bob may join again")
		return
	}
	if w.bye {
		bye := want[*protocol.Bye](bob)
		require.Equal(t, w.code, bye.Code)
		require.Equal(t, w.code.Reconnect(), bye.Reconnect)
	}
	if w.code != 0 {
		require.Equal(t, w.code, bob.end().Code)
	}
}

func TestSilenceIsALostConnection(t *testing.T) {
	inBothModes(t, func(t *testing.T, mode string) {
		s := start(t, func(c *config.Config) {
			c.Transport.Mode = mode
			c.Heartbeat.Interval, c.Heartbeat.Timeout = 200*time.Millisecond, 8*time.Second
		})
		network := newFreezer(t, s.addr)
		ann := connect(t, s.addr, "user=ann")
		bob := connect(t, network.Address, "user=bob&room="+room)
		want[*protocol.Joined](bob)
		require.Len(t, ann.join(room).Members, 2)
		network.Freeze()
		leaves := ann.leavesOf(room, bob.session)
		require.Len(t, leaves, 1)
		require.Equal(t, protocol.ReasonLost, leaves[0].Reason)
	})
}

func TestASlowReaderIsCutAndNobodyElseWaits(t *testing.T) {
	inBothModes(t, func(t *testing.T, mode string) {
		s := start(t, func(c *config.Config) {
			c.Transport.Mode = mode
			c.Limits.PublishRate = 0
		})
		ann := connect(t, s.addr, "user=ann")
		bob := open(t, s.addr, "user=bob&room="+room, client.Options{NetDial: smallBuffers})
		eventually(t, "bob to be a member", func() bool { return s.metric(t, "rollcall_members") == 1 })
		ann.join(room)
		big := json.RawMessage(`"` + string(bytes.Repeat([]byte("x"), 32<<10)) + `"`)
		var left *protocol.MemberLeft
		for i := 0; left == nil; i++ {
			require.Less(t, i, 4096, "bob holds 128 MiB and is still there")
			ann.send(&protocol.Publish{Request: protocol.Request{ID: uint64(i + 1), Room: room}, Data: big})
			for answered := false; !answered; {
				switch m := ann.next().(type) {
				case *protocol.OK:
					answered = m.ID == uint64(i+1)
				case *protocol.MemberLeft:
					left = m
				case nil:
					t.Fatal("ann was cut, who reads")
				}
			}
		}
		require.Equal(t, protocol.ReasonSlow, left.Reason)
		require.EqualValues(t, 4002, left.Code)
		_ = bob
		require.EqualValues(t, 1, s.metric(t, `rollcall_connections_closed_total{cause="slow"}`))
	})
}

func TestAFailedRoomTellsItsMembersAndStartsOver(t *testing.T) {
	s := start(t, nil)
	ann := connect(t, s.addr, "user=ann")
	before := ann.join(room)
	for range 3 {
		s.System().Inject(room, "", func() { panic("on purpose") })
	}
	ann.send(&protocol.Publish{Request: protocol.Request{ID: 2, Room: room}, Data: json.RawMessage("1")})
	require.Equal(t, before.Epoch, want[*protocol.OK](ann).Epoch, "three failures cost nobody anything")
	s.System().Inject(room, "", func() { panic("on purpose") })
	own := want[*protocol.MemberLeft](ann)
	require.Equal(t, protocol.ReasonFailed, own.Reason)
	require.Equal(t, ann.session, own.Session)
	require.NotEqual(t, before.Epoch, ann.join(room).Epoch)
	require.Contains(t, s.log.String(), `"event":"actor_failed"`)
}

func TestShutDownTellsEverybody(t *testing.T) {
	inBothModes(t, func(t *testing.T, mode string) {
		s := start(t, func(c *config.Config) {
			c.Transport.Mode = mode
			c.Drain = 4 * time.Second // the second is told after half of it
		})
		peers := map[string]*peer{}
		for _, user := range []string{"ann", "bob"} {
			p := connect(t, s.addr, "user="+user)
			p.join(room)
			peers[p.session] = p
		}
		stopped := make(chan error, 1)
		go func() { stopped <- s.stop() }()
		leaves := 0
		for session, p := range peers {
			for m := p.next(); m != nil; m = p.next() {
				switch m := m.(type) {
				case *protocol.MemberLeft:
					if m.Session != session {
						require.Equal(t, protocol.ReasonShutdown, m.Reason)
						require.EqualValues(t, 4000, m.Code)
						leaves++
					}
				case *protocol.Bye:
					require.EqualValues(t, 4000, m.Code)
					require.True(t, m.Reconnect)
				}
			}
			require.EqualValues(t, 4000, p.ended.Code, "the close frame is delivered")
		}
		require.Equal(t, 1, leaves, "who goes last sees the other go")
		require.NoError(t, <-stopped)
		require.Contains(t, s.log.String(), `"event":"stopped"`)
	})
}

// smallBuffers dials with as small a receive buffer as the kernel gives.
var smallBuffers = buffers(4096)

// buffers dials with a receive buffer of a size.
func buffers(bytes int) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, address)
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetReadBuffer(bytes)
		}
		return c, err
	}
}
