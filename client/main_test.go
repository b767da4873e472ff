package client

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"rollcall/client/internal/fake"
	"rollcall/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// connect opens a Conn to the fake server.
func connect(t *testing.T, s *fake.Server, o Options) (*Conn, *fake.Peer) {
	t.Helper()
	o.NetDial = s.Dial
	c, err := Connect(t.Context(), s.URL, o)
	require.NoError(t, err)
	t.Cleanup(c.Abort)
	return c, s.Accept()
}

// dial opens a Client to the fake server, which welcomes it as s_1, and takes
// its Online.
func dial(t *testing.T, s *fake.Server, o Options) (*Client, *fake.Peer) {
	t.Helper()
	o.NetDial = s.Dial
	dialled := make(chan error, 1)
	var c *Client
	go func() {
		var err error
		c, err = Dial(t.Context(), s.URL, o)
		dialled <- err
	}()
	p := s.Welcome("s_1")
	require.NoError(t, <-dialled)
	t.Cleanup(func() {
		c.Abort()
		require.NoError(t, c.Close())
	})
	require.Equal(t, "s_1", next[*Online](t, c).Welcome.Session)
	return c, p
}

// next is the next event, of that type.
func next[T Event](t *testing.T, c *Client) T {
	t.Helper()
	e, open := <-c.Events()
	require.True(t, open, "no more events")
	require.IsType(t, *new(T), e)
	return e.(T)
}

// answer is what a request made by another goroutine comes to.
type answer[T any] struct {
	value T
	err   error
}

func asking[T any](request func() (T, error)) <-chan answer[T] {
	got := make(chan answer[T], 1)
	go func() {
		value, err := request()
		got <- answer[T]{value, err}
	}()
	return got
}

// enter joins the lobby at an offset and takes the event.
func enter(t *testing.T, c *Client, p *fake.Peer, offset uint64, j Join) {
	t.Helper()
	got := asking(func() (*protocol.Joined, error) { return c.Join(t.Context(), "lobby", j) })
	p.Send(lobby(p.Command().RequestID(), offset))
	require.NoError(t, (<-got).err)
	next[*protocol.Joined](t, c)
}

func lobby(id, offset uint64) *protocol.Joined {
	return &protocol.Joined{
		ID: id, Room: "lobby", Epoch: "e1", Offset: offset, Session: "s_1", Mode: protocol.ModeFull,
		Members: []protocol.Member{}, Messages: []protocol.MessagePublished{}, Recovered: true,
	}
}

func message(offset uint64) *protocol.MessagePublished {
	return &protocol.MessagePublished{
		Stamp: protocol.Stamp{Room: "lobby", Offset: offset, At: 1}, Message: "m", User: "ann", Name: "Ann", Data: []byte(`{"text":"hi"}`),
	}
}
