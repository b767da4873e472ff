package client

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/client/internal/fake"
	"rollcall/protocol"
)

// broken drops the connection and takes what is told of it up to the next attempt.
func broken(t *testing.T, c *Client, p *fake.Peer) {
	t.Helper()
	p.Drop()
	require.False(t, next[*Offline](t, c).Final)
	next[*Connecting](t, c)
}

// rejoined answers the join by which the client comes back.
func rejoined(t *testing.T, c *Client, p *fake.Peer, change func(*protocol.Joined)) *protocol.Join {
	t.Helper()
	join := p.Command().(*protocol.Join)
	back := lobby(join.ID, 9)
	if change != nil {
		change(back)
	}
	p.Send(back)
	next[*protocol.Joined](t, c)
	return join
}

func TestEveryWelcomeHasItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fake.NewPipe(t)
		c, p := dial(t, s, Options{})
		require.False(t, p.Query.Has("resume"))
		broken(t, c, p)
		p = s.Resume("t_1", "s_1", "t_second")
		require.True(t, next[*Online](t, c).Welcome.Resumed)
		broken(t, c, p)
		s.Accept().Drop() // the token may be used up: the server says so, if it is
		next[*Offline](t, c)
		next[*Connecting](t, c)
		p = s.Accept()
		require.Equal(t, "t_second", p.Query.Get("resume"))
		p.Send(fake.Welcome("s_7"))
		require.False(t, next[*Online](t, c).Welcome.Resumed)
		broken(t, c, p)
		require.Equal(t, "t_7", s.Accept().Query.Get("resume"))
	})
}

func TestATokenOfAnEarlierClient(t *testing.T) {
	s := fake.New(t)
	dialled := asking(func() (*Client, error) { return Dial(t.Context(), s.URL, Options{NetDial: s.Dial, Resume: "t_before"}) })
	s.Resume("t_before", "s_1", "t_1")
	c := (<-dialled).value
	require.True(t, c.Welcome().Resumed)
	c.Abort()
	require.NoError(t, c.Close())
}

// A session that comes back is still where it was: also where nobody wants it
// any more.
func TestASessionThatComesBackLeavesWhatItWasLeaving(t *testing.T) {
	for name, away := range map[string]func(*testing.T, *Client, *fake.Peer){
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
		"a join that was told to have failed": func(t *testing.T, c *Client, p *fake.Peer) {
			left := asking(func() (any, error) { return nil, c.Leave(t.Context(), "lobby") })
			p.Send(&protocol.OK{ID: p.Command().RequestID()})
			require.NoError(t, (<-left).err)
			joined := asking(func() (*protocol.Joined, error) { return c.Join(t.Context(), "lobby", Join{}) })
			p.Command()
			p.Drop()
			require.ErrorIs(t, (<-joined).err, ErrUnanswered)
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
				p = s.Resume("t_1", "s_1", "t_1b")
				next[*Online](t, c)
				leave := p.Command()
				require.Equal(t, &protocol.Leave{Request: protocol.Request{ID: leave.RequestID(), Room: "lobby"}}, leave)
				p.Send(&protocol.Error{ID: leave.RequestID(), Code: protocol.ErrNotJoined, Room: "lobby"})

				broken(t, c, p)
				p = s.Resume("t_1b", "s_1", "t_1c")
				next[*Online](t, c)
				go func() { _, _ = c.Ping(t.Context()) }()
				require.IsType(t, &protocol.Ping{}, p.Command(), "once is enough")
			})
		})
	}
}

func TestAPublishWithAKeySurvivesItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fake.NewPipe(t)
		c, p := dial(t, s, Options{})
		enter(t, c, p, 5, Join{})
		plain := asking(func() (*protocol.OK, error) { return c.Publish(t.Context(), "lobby", "plain") })
		p.Command()
		one := asking(func() (*protocol.OK, error) { return c.PublishOnce(t.Context(), "lobby", "k1", 1) })
		p.Command()
		two := asking(func() (*protocol.OK, error) { return c.PublishOnce(t.Context(), "lobby", "k2", 2) })
		p.Command()
		ctx, cancel := context.WithCancel(t.Context())
		three := asking(func() (*protocol.OK, error) { return c.PublishOnce(ctx, "lobby", "k3", 3) })
		p.Command()

		broken(t, c, p)
		require.ErrorIs(t, (<-plain).err, ErrUnanswered, "it might be said twice")
		cancel()
		require.ErrorIs(t, (<-three).err, context.Canceled)
		p = s.Resume("t_1", "s_1", "t_1b")
		next[*Online](t, c)
		join := p.Command().(*protocol.Join)
		synctest.Wait()
		require.Empty(t, one, "it is repeated in the room, not before")
		broken(t, c, p) // once more, before anything was answered

		p = s.Resume("t_1b", "s_1", "t_1c")
		next[*Online](t, c)
		require.Equal(t, join.Since, rejoined(t, c, p, nil).Since)
		first, second := p.Command().(*protocol.Publish), p.Command().(*protocol.Publish)
		require.Equal(t, "k1", first.Key)
		require.Equal(t, "2", string(second.Data))
		p.Send(&protocol.OK{ID: first.ID, Offset: 7})
		p.Send(&protocol.Error{ID: second.ID, Code: protocol.ErrRateLimited, Room: "lobby"})
		require.Equal(t, uint64(7), (<-one).value.Offset)
		require.ErrorContains(t, (<-two).err, "rate_limited")
	})
}

func TestAPublishIsNotRepeatedWhereThatIsNotSafe(t *testing.T) {
	another := func(change func(*protocol.Welcome)) func(*testing.T, *Client, *fake.Server, *fake.Peer) *fake.Peer {
		return func(t *testing.T, c *Client, s *fake.Server, p *fake.Peer) *fake.Peer {
			broken(t, c, p)
			p = s.Accept()
			w := fake.Welcome("s_2")
			change(w)
			p.Send(w)
			next[*Online](t, c)
			return p
		}
	}
	same := another(func(*protocol.Welcome) {})
	for name, play := range map[string]func(*testing.T, *Client, *fake.Server, *fake.Peer){
		"the room has forgotten": func(t *testing.T, c *Client, s *fake.Server, p *fake.Peer) {
			rejoined(t, c, same(t, c, s, p), func(j *protocol.Joined) { j.Recovered = false })
		},
		"the room was made anew": func(t *testing.T, c *Client, s *fake.Server, p *fake.Peer) {
			rejoined(t, c, same(t, c, s, p), func(j *protocol.Joined) { j.Epoch = "e2" })
		},
		"keys are a user's, and this is another": func(t *testing.T, c *Client, s *fake.Server, p *fake.Peer) {
			rejoined(t, c, another(func(w *protocol.Welcome) { w.User = "guest2" })(t, c, s, p), nil)
		},
		"not let in again": func(t *testing.T, c *Client, s *fake.Server, p *fake.Peer) {
			p = same(t, c, s, p)
			p.Send(&protocol.Error{ID: p.Command().RequestID(), Code: protocol.ErrBanned, Room: "lobby"})
			next[*protocol.Error](t, c)
		},
		"left meanwhile": func(t *testing.T, c *Client, _ *fake.Server, p *fake.Peer) {
			p.Drop()
			synctest.Wait()
			_ = c.Leave(t.Context(), "lobby")
		},
		"closed meanwhile": func(t *testing.T, c *Client, _ *fake.Server, p *fake.Peer) {
			p.Drop()
			synctest.Wait()
			require.NoError(t, c.Close())
		},
		"sent away": func(_ *testing.T, _ *Client, _ *fake.Server, p *fake.Peer) { p.Close(4502, "") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := fake.NewPipe(t)
				c, p := dial(t, s, Options{MinBackoff: time.Second})
				enter(t, c, p, 5, Join{})
				got := asking(func() (*protocol.OK, error) { return c.PublishOnce(t.Context(), "lobby", "k1", 1) })
				p.Command()
				play(t, c, s, p)
				require.ErrorIs(t, (<-got).err, ErrUnanswered)
			})
		})
	}
}
