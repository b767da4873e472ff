package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/config"
	"rollcall/protocol"
)

// resumable is a peer in the lobby, and the token of its welcome.
func resumable(t *testing.T, s *server, query string) (*peer, *protocol.Welcome, *protocol.Joined) {
	t.Helper()
	p := connect(t, s.addr, query+"&room=lobby")
	return p, p.welcome(), want[*protocol.Joined](p)
}

func (p *peer) welcome() *protocol.Welcome {
	return p.seen()[0].(*protocol.Welcome)
}

// changes counts the leaves and updates that came.
func (p *peer) changes() (n int) {
	for _, m := range p.seen() {
		switch m.(type) {
		case *protocol.MemberLeft, *protocol.MemberUpdated:
			n++
		}
	}
	return n
}

// Someone whose connection is reset comes back as the same session: others see
// lost and active, never a leave, and what was said meanwhile is not missed.
func TestALostConnectionResumes(t *testing.T) {
	inBothModes(t, func(t *testing.T, mode string) {
		s := start(t, func(c *config.Config) {
			c.Transport.Mode = mode
			c.Session.ResumeWindow = time.Minute
		})
		ann := connect(t, s.addr, "user=ann&room=lobby")
		want[*protocol.Joined](ann)
		bob, first, joined := resumable(t, s, "user=bob")
		require.False(t, first.Resumed)
		require.EqualValues(t, 60000, first.ResumeWindowMS)
		bob.Reset()
		require.Equal(t, protocol.StateLost, want[*protocol.MemberUpdated](ann).State)
		ann.send(&protocol.Publish{Request: protocol.Request{Room: "lobby"}, Data: []byte(`"anybody?"`)})
		want[*protocol.MessagePublished](ann)

		again := connect(t, s.addr, "resume="+first.Resume)
		require.Equal(t, first.Session, again.session)
		require.True(t, again.welcome().Resumed)
		require.Equal(t, protocol.StateActive, want[*protocol.MemberUpdated](ann).State)
		again.send(&protocol.Join{
			Request: protocol.Request{ID: 1, Room: "lobby"}, Since: &protocol.Position{Epoch: joined.Epoch, Offset: joined.Offset},
		})
		back := want[*protocol.Joined](again)
		require.True(t, back.Recovered)
		require.Len(t, back.Messages, 1)
		require.Len(t, back.Members, 2)
		require.Equal(t, 0.0, s.metric(t, `rollcall_leaves_total{reason="lost"}`))
		require.Equal(t, 1.0, s.metric(t, "rollcall_resumes_total"))

		third := connect(t, s.addr, "resume="+first.Resume) // used
		require.NotEqual(t, first.Session, third.session)
		require.Equal(t, 1.0, s.metric(t, "rollcall_resumes_refused_total"))
	})
}

// A connection that nobody knows to be dead yet, as when a phone changes its
// network, is no obstacle.
func TestResumingOverAConnectionThatStillLives(t *testing.T) {
	inBothModes(t, func(t *testing.T, mode string) {
		s := start(t, func(c *config.Config) { c.Transport.Mode = mode })
		ann := connect(t, s.addr, "user=ann&room=lobby")
		want[*protocol.Joined](ann)
		bob, welcome, _ := resumable(t, s, "user=bob")
		again := connect(t, s.addr, "resume="+welcome.Resume+"&room=lobby")
		require.Equal(t, bob.session, again.session)
		require.Len(t, want[*protocol.Joined](again).Members, 2)
		require.Equal(t, protocol.CloseReplaced, want[*protocol.Bye](bob).Code)
		again.send(&protocol.Publish{Request: protocol.Request{Room: "lobby"}, Data: []byte(`"here"`)})
		require.Equal(t, again.session, want[*protocol.MessagePublished](ann).Session)
		require.Zero(t, ann.changes())
	})
}

// With a grace, a page that is reloaded never left; without, it did.
func TestReload(t *testing.T) {
	for grace, left := range map[time.Duration]bool{0: true, time.Minute: false} {
		t.Run(grace.String(), func(t *testing.T) {
			s := start(t, func(c *config.Config) { c.Session.ReloadGrace = grace })
			ann := connect(t, s.addr, "user=ann&room=lobby")
			want[*protocol.Joined](ann)
			bob, welcome, _ := resumable(t, s, "user=bob")
			require.NoError(t, bob.Close(1001, ""))
			require.Nil(t, bob.next())
			if left {
				require.Equal(t, protocol.ReasonClosed, want[*protocol.MemberLeft](ann).Reason)
			}
			again := connect(t, s.addr, "user=bob&room=lobby&resume="+welcome.Resume)
			require.Equal(t, !left, again.session == welcome.Session)
			want[*protocol.Joined](again)
			again.send(&protocol.Publish{Request: protocol.Request{Room: "lobby"}, Data: []byte("1")})
			want[*protocol.MessagePublished](ann)
			if !left {
				require.Zero(t, ann.changes())
			}
		})
	}
}

// A client that promised pings and sends none is shown as unresponsive.
func TestABrokenPromise(t *testing.T) {
	s := start(t, nil)
	ann := connect(t, s.addr, "user=ann&room=lobby")
	want[*protocol.Joined](ann)
	bob, _, _ := resumable(t, s, "user=bob&heartbeat_ms=1000")
	require.Equal(t, protocol.StateUnresponsive, want[*protocol.MemberUpdated](ann).State)
	bob.send(&protocol.Ping{Request: protocol.Request{ID: 1}})
	require.Equal(t, protocol.StateActive, want[*protocol.MemberUpdated](ann).State)
}
