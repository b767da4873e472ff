package client

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rollcall/client/internal/fake"
	"rollcall/protocol"
)

func TestMayReturn(t *testing.T) {
	closed := func(code protocol.CloseCode) error { return &CloseError{Code: code} }
	refused := func(status int, after string) error {
		return &HandshakeError{Status: status, Header: http.Header{"Retry-After": {after}}}
	}
	for _, tt := range []struct {
		name  string
		bye   *protocol.Bye
		err   error
		again bool
		after time.Duration
	}{
		{"invited back", &protocol.Bye{Code: 4000, Reconnect: true, AfterMS: 1500}, closed(4000), true, 1500 * time.Millisecond},
		{"sent away", &protocol.Bye{Code: 4502}, closed(4502), false, 0},
		{"the bye decides", &protocol.Bye{Code: 4000}, closed(4000), false, 0},
		{"a bye from the past", &protocol.Bye{Code: 4000, Reconnect: true, AfterMS: -5}, closed(4000), true, 0},
		{"shutdown", nil, closed(4000), true, 0},
		{"a code of the future that invites", nil, closed(4499), true, 0},
		{"idle", nil, closed(4500), false, 0},
		{"a code of the future that does not", nil, closed(4999), false, 0},
		{"no close frame", nil, closed(1006), true, 0},
		{"a proxy going away", nil, closed(1001), true, 0},
		{"a proxy's bad gateway", nil, closed(1014), true, 0},
		{"a close without a code", nil, closed(1005), true, 0},
		{"normal", nil, closed(1000), false, 0},
		{"our framing was wrong", nil, closed(1002), false, 0},
		{"our message was too big", nil, closed(1009), false, 0},
		{"a library's code", nil, closed(3000), true, 0},
		{"nobody listens", nil, io.EOF, true, 0},
		{"full", nil, refused(503, "5"), true, 5 * time.Second},
		{"full, until a date", nil, refused(503, "Sun, 06 Nov 2026 08:49:37 GMT"), true, 0},
		{"too many", nil, refused(429, ""), true, 0},
		{"forbidden", nil, refused(403, ""), false, 0},
		{"no such sub-protocol", nil, refused(400, ""), false, 0},
	} {
		again, after := mayReturn(tt.bye, tt.err)
		if again != tt.again || after != tt.after {
			t.Errorf("%s: %t after %s, want %t after %s", tt.name, again, after, tt.again, tt.after)
		}
	}
}

func TestBackoffDoublesUpToItsBound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{}.withDefaults()
		failures := rapid.IntRange(0, 1<<20).Draw(t, "failures")
		bound := 20 * time.Second
		if failures < 6 {
			bound = 500 * time.Millisecond << failures
		}
		if wait := o.backoff(failures); wait < 0 || wait >= bound {
			t.Fatalf("%s after %d failures, want less than %s", wait, failures, bound)
		}
	})
}

func TestAClientComesBackIntoItsRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fake.NewPipe(t)
		c, p := dial(t, s, Options{})
		enter(t, c, p, 5, Join{Data: json.RawMessage(`"early"`), History: 20})
		updated := asking(func() (*protocol.OK, error) { return c.Update(t.Context(), "lobby", "late") })
		p.Send(&protocol.OK{ID: p.Command().RequestID(), Offset: 6})
		require.NoError(t, (<-updated).err)
		p.Send(&protocol.MemberUpdated{Stamp: protocol.Stamp{Room: "lobby", Offset: 6}, Session: "s_1", Data: json.RawMessage(`"late"`)})
		next[*protocol.MemberUpdated](t, c)
		p.Send(message(7))
		next[*protocol.MessagePublished](t, c)

		p.Drop()
		off := next[*Offline](t, c)
		require.False(t, off.Final)
		require.Less(t, off.Wait, 500*time.Millisecond)
		_, err := c.Ping(t.Context())
		require.ErrorIs(t, err, ErrOffline)
		began := time.Now()
		require.Equal(t, &Connecting{Attempt: 1}, next[*Connecting](t, c))
		require.Equal(t, off.Wait, time.Since(began))

		p = s.Welcome("s_2")
		require.Empty(t, p.Query["room"], "the query can't say what was seen")
		require.Equal(t, "s_2", next[*Online](t, c).Welcome.Session)
		require.Equal(t, "s_2", c.Welcome().Session)
		rejoin := p.Command().(*protocol.Join)
		require.Equal(t, "lobby", rejoin.Room)
		require.Equal(t, &protocol.Position{Epoch: "e1", Offset: 7}, rejoin.Since)
		require.Equal(t, `"late"`, string(rejoin.Data))
		require.Zero(t, rejoin.History)
		back := lobby(rejoin.ID, 12)
		back.Messages = []protocol.MessagePublished{*message(9)}
		p.Send(back)
		require.Equal(t, back, next[*protocol.Joined](t, c))
		p.Send(message(13)) // no gap
		next[*protocol.MessagePublished](t, c)
	})
}

func TestTheServerSaysWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fake.NewPipe(t)
		c, p := dial(t, s, Options{})
		began := time.Now()
		p.Send(&protocol.Bye{Code: 4000, Reason: "shutdown", Reconnect: true, AfterMS: 60_000})
		p.Close(4000, "shutdown")
		next[*protocol.Bye](t, c)
		off := next[*Offline](t, c)
		require.GreaterOrEqual(t, off.Wait, time.Minute)
		require.Less(t, off.Wait, time.Minute+500*time.Millisecond)
		next[*Connecting](t, c)
		s.Welcome("s_2")
		next[*Online](t, c)
		require.Equal(t, off.Wait, time.Since(began))
	})
}

func TestAClientSentAwayStaysAway(t *testing.T) {
	c, p := dial(t, fake.New(t), Options{})
	p.Close(4500, "idle")
	off := next[*Offline](t, c)
	require.True(t, off.Final)
	<-c.Done()
	require.Equal(t, error(&CloseError{Code: 4500, Reason: "idle"}), c.Err())
}

func TestAServerThatStaysAwayIsTriedLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fake.NewPipe(t)
		c, p := dial(t, s, Options{})
		s.Refuse(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
		p.Drop()
		bound, longest := 500*time.Millisecond, time.Duration(0)
		for attempt := 1; attempt <= 40; attempt++ {
			off := next[*Offline](t, c)
			require.False(t, off.Final)
			require.Less(t, off.Wait, bound)
			longest = max(longest, off.Wait)
			bound = min(2*bound, 20*time.Second)
			require.Equal(t, &Connecting{Attempt: attempt}, next[*Connecting](t, c))
		}
		require.Greater(t, longest, 10*time.Second, "it never waits long")

		s.Refuse(nil)
		p = s.Welcome("s_2")
		for _, ok := (<-c.Events()).(*Online); !ok; {
			_, ok = (<-c.Events()).(*Online)
		}
		p.Drop()
		require.LessOrEqual(t, next[*Offline](t, c).Wait, 20*time.Second)
		next[*Connecting](t, c)
		p = s.Welcome("s_3")
		next[*Online](t, c)
		time.Sleep(21 * time.Second) // a connection that lasts starts afresh
		p.Drop()
		require.Less(t, next[*Offline](t, c).Wait, 500*time.Millisecond)

		s.Refuse(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
		next[*Connecting](t, c)
		off := next[*Offline](t, c)
		require.True(t, off.Final)
		require.ErrorContains(t, c.Err(), "401")
	})
}

func TestCloseEndsAWaitAndAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fake.NewPipe(t)
		c, p := dial(t, s, Options{MinBackoff: time.Hour})
		p.Drop()
		next[*Offline](t, c)
		began := time.Now()
		require.NoError(t, c.Close())
		require.Zero(t, time.Since(began))

		c, p = dial(t, s, Options{})
		s.Refuse(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		p.Drop()
		next[*Offline](t, c)
		next[*Connecting](t, c)
		synctest.Wait()
		began = time.Now()
		require.NoError(t, c.Close())
		require.Zero(t, time.Since(began))
	})
}

func TestRoomsThatWereLeftAreNotJoinedAgain(t *testing.T) {
	leave := func(reason protocol.Reason) func(*testing.T, *Client, *fake.Peer) {
		return func(t *testing.T, c *Client, p *fake.Peer) {
			p.Send(&protocol.MemberLeft{Stamp: protocol.Stamp{Room: "lobby", Offset: 6}, Session: "s_1", Reason: reason})
			next[*protocol.MemberLeft](t, c)
			p.Drop()
		}
	}
	for name, away := range map[string]func(*testing.T, *Client, *fake.Peer){
		"left":   leave(protocol.ReasonLeft),
		"kicked": leave(protocol.ReasonKicked),
		"failed": leave(protocol.ReasonFailed),
		"leaving when the connection broke": func(t *testing.T, c *Client, p *fake.Peer) {
			left := asking(func() (any, error) { return nil, c.Leave(t.Context(), "lobby") })
			p.Command()
			p.Drop()
			require.ErrorIs(t, (<-left).err, ErrUnanswered)
		},
		"left while offline": func(t *testing.T, c *Client, p *fake.Peer) {
			p.Drop()
			synctest.Wait()
			require.ErrorIs(t, c.Leave(t.Context(), "lobby"), ErrOffline)
		},
		"left, and refused": func(t *testing.T, c *Client, p *fake.Peer) {
			left := asking(func() (any, error) { return nil, c.Leave(t.Context(), "lobby") })
			p.Send(&protocol.Error{ID: p.Command().RequestID(), Code: protocol.ErrRateLimited, Room: "lobby"})
			require.Error(t, (<-left).err)
			p.Drop()
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := fake.NewPipe(t)
				c, p := dial(t, s, Options{})
				enter(t, c, p, 5, Join{})
				away(t, c, p)
				next[*Offline](t, c)
				next[*Connecting](t, c)
				p = s.Welcome("s_2")
				next[*Online](t, c)
				pinged := asking(func() (*protocol.Pong, error) { return c.Ping(t.Context()) })
				ping := p.Command()
				require.IsType(t, &protocol.Ping{}, ping, "it joined again")
				p.Send(&protocol.Pong{ID: ping.RequestID()})
				require.NoError(t, (<-pinged).err)
			})
		})
	}
}

func TestARejoinThatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fake.NewPipe(t)
		c, p := dial(t, s, Options{Rooms: []string{"attic", "lobby", "cellar"}})
		p.Send(&protocol.Error{Code: protocol.ErrForbidden, Room: "attic"}) // of the query: never entered
		next[*protocol.Error](t, c)
		p.Send(lobby(0, 5))
		next[*protocol.Joined](t, c)
		p.Drop()

		next[*Offline](t, c)
		next[*Connecting](t, c)
		p = s.Welcome("s_2")
		next[*Online](t, c)
		rejoin, cellar := p.Command(), p.Command()
		require.Equal(t, "lobby", rejoin.RoomName())
		require.Equal(t, "cellar", cellar.RoomName())
		require.Nil(t, cellar.(*protocol.Join).Since, "never entered, but never refused")
		p.Send(&protocol.Error{ID: cellar.RequestID(), Code: protocol.ErrBanned, Room: "cellar"})
		next[*protocol.Error](t, c)

		// Not now: later.
		began := time.Now()
		p.Send(&protocol.Error{ID: rejoin.RequestID(), Code: protocol.ErrRateLimited, Room: "lobby", RetryMS: 3000})
		next[*protocol.Error](t, c)
		rejoin = p.Command()
		require.Equal(t, "lobby", rejoin.RoomName())
		require.Equal(t, 3*time.Second, time.Since(began))
		p.Send(lobby(rejoin.RequestID(), 9))
		next[*protocol.Joined](t, c)
	})
}

func TestAbortIsALossThatAClientComesBackFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fake.NewPipe(t)
		c, _ := dial(t, s, Options{})
		c.Abort()
		var end *CloseError
		require.ErrorAs(t, next[*Offline](t, c).Err, &end)
		require.Equal(t, protocol.CloseAbnormal, end.Code)
		next[*Connecting](t, c)
		s.Welcome("s_2")
		next[*Online](t, c)
	})
}

// The server's heartbeat is the client's, unless it has one of its own.
func TestAServerThatFallsSilentIsLost(t *testing.T) {
	for name, tt := range map[string]struct{ quiet, want time.Duration }{
		"as the welcome says": {0, 50 * time.Second},
		"as the options say":  {time.Second, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				c, p := dial(t, fake.NewPipe(t), Options{Quiet: tt.quiet, NoReconnect: true})
				p.Frame() // the ping
				require.ErrorContains(t, next[*Offline](t, c).Err, "silent")
				require.Equal(t, tt.want, time.Since(began))
			})
		})
	}
}
