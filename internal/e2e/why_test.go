package e2e

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/app"
	"rollcall/config"
	"rollcall/protocol"
)

// why is what `rollcall why` prints of a user in the room.
func (s *server) why(t *testing.T, user string) string {
	t.Helper()
	var out, errs bytes.Buffer
	code := app.Why(context.Background(), config.Why{Room: room, User: user, URL: "http://" + s.addr}, &out, &errs)
	require.Equal(t, 0, code, errs.String())
	return out.String()
}

// wantWhy waits until what is printed has all of these lines, in this order:
// what the others see of an end may come before the room has it on record.
func (s *server) wantWhy(t *testing.T, user string, lines ...string) {
	t.Helper()
	var got string
	defer func() {
		if t.Failed() {
			t.Log(got)
		}
	}()
	eventually(t, strings.Join(lines, " … "), func() bool {
		got = s.why(t, user)
		rest := got
		for _, line := range lines {
			_, after, found := strings.Cut(rest, line)
			if !found {
				return false
			}
			rest = after
		}
		return true
	})
}

// What became of people is told by the real server, over real sockets.
func TestWhy(t *testing.T) {
	inBothModes(t, func(t *testing.T, mode string) {
		s := start(t, func(c *config.Config) {
			c.Transport.Mode = mode
			c.Session.IdleAfter, c.Session.DisconnectAfter, c.Session.ResumeWindow = time.Second, time.Hour, time.Second
		})
		keeper := connect(t, s.addr, "user=keeper")
		keeper.join(room)
		enter := func(user string) *peer {
			p := connect(t, s.addr, "user="+user)
			p.join(room)
			return p
		}

		idler := enter("idler")
		wantThat(keeper, func(m *protocol.MemberUpdated) bool {
			return m.Session == idler.session && m.State == protocol.StateIdle
		})
		s.wantWhy(t, "idler", " session "+idler.session+" connected from 127.0.0.1\n", " joined the room\n", " fell idle: no activity for 1s\n",
			"now: session "+idler.session+" is shown as idle, since ", "unless there is activity, it leaves as idle at ", "; last heard of ",
			"; connected from 127.0.0.1\n")

		enter("cut").Reset()
		s.wantWhy(t, "cut", " lost its connection: ", " left: its connection was lost, and it did not come back: session.resume_window is 1s",
			"now: not in the room\n")

		require.NoError(t, enter("tab").Close(1001, ""))
		s.wantWhy(t, "tab", " left: its client closed the connection, code 1001 (the page went away)")

		kicked := enter("kicked")
		status, body := s.call(t, "DELETE", "/api/v1/rooms/"+room+"/members/"+kicked.session, "")
		require.Equal(t, 204, status, body)
		s.wantWhy(t, "kicked", " left: it was taken out of the room by a call of the API")

		endSession(t, s, enter("ended"), `{"reason":"spam"}`)
		s.wantWhy(t, "ended", " left: the session was ended by a call of the API, code 4502: spam")

		s.System().Inject(room, enter("failed").session, func() { panic("on purpose\nand more") })
		s.wantWhy(t, "failed", " failed: its actor panicked: on purpose\n", " left: the server failed")

		_, err := enter("rude").NetConn().Write([]byte{0x81, 2, '{', '}'})
		require.NoError(t, err)
		s.wantWhy(t, "rude", " left: its client broke the protocol, or flooded past the limits, code 1002: frame is not masked")

		s.System().Inject(room, "", func() { panic("in the room") })
		s.wantWhy(t, "keeper", " the room was opened, in epoch ", " the room failed: its actor panicked: in the room\n", "now: session "+keeper.session)
	})
}

// Who lost the connection is told as lost, and as back from where.
func TestWhyOfAResume(t *testing.T) {
	inBothModes(t, func(t *testing.T, mode string) {
		s := start(t, func(c *config.Config) { c.Transport.Mode, c.Session.ResumeWindow = mode, time.Minute })
		first := connect(t, s.addr, "user=ann")
		token := first.welcome().Resume
		first.join(room)
		first.Reset()
		s.wantWhy(t, "ann", " lost its connection: ", "now: session "+first.session+" is shown as lost, since ", "unless it comes back, it leaves as lost at ")
		again := connect(t, s.addr, "resume="+token)
		again.join(room)
		s.wantWhy(t, "ann", " lost its connection: ", " came back after ", " from 127.0.0.1\n", "now: session "+first.session+" is shown as active, since ")
	})
}
