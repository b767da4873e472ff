package terminal

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"rollcall/client"
	"rollcall/client/internal/fake"
	"rollcall/protocol"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// chat is a Run that a test types into and reads from.
type chat struct {
	*testing.T
	server *fake.Server
	peer   *fake.Peer
	in     *io.PipeWriter
	out    lines
	ended  chan error
	cancel context.CancelFunc
}

// lines takes what is printed, without the time before it.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	for line := range strings.Lines(string(b)) {
		at, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if _, err := time.Parse("15:04:05", at); err != nil {
			text = "no time: " + line
		}
		l <- text
	}
	return len(b), nil
}

// entered starts a chat in the lobby and enters it: Kim, with Ann who is idle and
// there twice, and Bob.
func entered(t *testing.T) *chat {
	t.Helper()
	c := start(t, fake.NewPipe(t))
	c.peer = c.server.Welcome("s_1")
	join := c.peer.Command().(*protocol.Join)
	require.Equal(t, &protocol.Join{Request: protocol.Request{ID: join.ID, Room: "lobby"}, History: 20}, join)
	c.peer.Send(snapshot(join.ID, 10, *message(9, "ann", "Ann", `{"text":"anybody?"}`)))
	c.want("! 3 here in lobby: Ann (idle, 2 sessions), Bob, Kim (you)", "Ann: anybody?")
	return c
}

func start(t *testing.T, s *fake.Server) *chat {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	c := &chat{T: t, server: s, in: w, out: make(lines, 100), ended: make(chan error, 1), cancel: cancel}
	go func() {
		c.ended <- Run(ctx, Options{
			URL: s.URL, Room: "lobby", User: "kim", Name: "Kim", In: r, Out: c.out,
			Client: client.Options{NetDial: s.Dial, CloseTimeout: time.Millisecond, Quiet: -1},
		})
	}()
	t.Cleanup(func() {
		cancel()
		_ = w.Close()
	})
	return c
}

func (c *chat) want(lines ...string) {
	c.Helper()
	for _, want := range lines {
		require.Equal(c.T, want, <-c.out)
	}
}

func (c *chat) wantMatch(pattern string) {
	c.Helper()
	require.Regexp(c.T, "^"+pattern+"$", <-c.out)
}

func (c *chat) typed(text string) {
	c.Helper()
	_, err := io.WriteString(c.in, text)
	require.NoError(c.T, err)
}

func (c *chat) publish() *protocol.Publish {
	c.Helper()
	return c.peer.Command().(*protocol.Publish)
}

func (c *chat) ok(cmd protocol.Command) { c.peer.Send(&protocol.OK{ID: cmd.RequestID(), Offset: 1}) }

func snapshot(id, offset uint64, messages ...protocol.MessagePublished) *protocol.Joined {
	member := func(session, user, name string, state protocol.State) protocol.Member {
		return protocol.Member{Session: session, User: user, Name: name, State: state}
	}
	return &protocol.Joined{
		ID: id, Room: "lobby", Epoch: "e1", Offset: offset, Session: "s_1", Mode: protocol.ModeFull, Recovered: true,
		Count: protocol.Count{Sessions: 4, Users: 3},
		Members: []protocol.Member{
			member("s_2", "ann", "Ann", protocol.StateIdle), member("s_3", "ann", "Ann", protocol.StateIdle),
			member("s_4", "bob", "Bob", protocol.StateActive), member("s_1", "kim", "Kim", protocol.StateActive),
		},
		Messages: messages,
	}
}

func at(offset uint64) protocol.Stamp { return protocol.Stamp{Room: "lobby", Offset: offset, At: 1} }

func message(offset uint64, user, name, data string) *protocol.MessagePublished {
	return &protocol.MessagePublished{Stamp: at(offset), Message: "m", Session: "s_9", User: user, Name: name, Data: []byte(data)}
}

func TestTheRoomIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := entered(t)
		for _, step := range []struct {
			event protocol.Message
			want  string // "": nothing
		}{
			{&protocol.MemberJoined{Stamp: at(11), Member: protocol.Member{Session: "s_5", User: "eve", Name: "Eve"}, First: true}, "→ Eve came"},
			{&protocol.MemberJoined{Stamp: at(12), Member: protocol.Member{Session: "s_6", User: "eve", Name: "Eve"}}, "→ Eve came once more"},
			{&protocol.MemberLeft{Stamp: at(13), Session: "s_5", User: "eve", Reason: protocol.ReasonLost}, "← Eve is still here, but one session left: lost the connection"},
			{&protocol.MemberUpdated{Stamp: at(14), Session: "s_6", User: "eve", State: protocol.StateIdle}, "· Eve is idle"},
			{&protocol.MemberUpdated{Stamp: at(15), Session: "s_6", User: "eve", State: protocol.StateActive}, "· Eve is back"},
			{&protocol.MemberUpdated{Stamp: at(16), Session: "s_6", User: "eve", State: protocol.StateLost}, "· Eve lost the connection, and may come back"},
			{&protocol.MemberUpdated{Stamp: at(17), Session: "s_6", User: "eve", State: protocol.StateUnresponsive}, "· Eve does not respond"},
			{&protocol.MemberUpdated{Stamp: at(18), Session: "s_6", User: "eve", Data: []byte(`{"mood":"fine"}`)}, ""},
			{&protocol.MemberUpdated{Stamp: at(19), Session: "s_99", User: "nobody", State: protocol.StateIdle}, ""},
			{&protocol.MemberLeft{Stamp: at(20), Session: "s_6", User: "eve", Reason: protocol.ReasonClosed, Last: true}, "← Eve left: closed the window"},
			{&protocol.MemberLeft{Stamp: at(21), Session: "s_99", User: "nobody", Reason: "of the future", Last: true}, "← nobody left: of the future"},
			{message(22, "ann", "Ann", `{"text":"hi"}`), "Ann: hi"},
			{message(23, "ann", "Ann", `"bare"`), "Ann: bare"},
			{message(24, "deploy", "", `{"version": "1.4.2"}`), `deploy: {"version":"1.4.2"}`},
			{&protocol.Signaled{Room: "lobby", Session: "s_2", User: "ann", Data: []byte(`{"typing":true}`)}, ""},
		} {
			c.peer.Send(step.event)
			if step.want != "" {
				c.want(step.want)
			}
		}
		synctest.Wait()
		require.Empty(t, c.out)
	})
}

func TestMessagesBearTheirTime(t *testing.T) {
	var b strings.Builder
	v := newView("lobby", &b)
	v.show(nil, &protocol.MessagePublished{Stamp: protocol.Stamp{At: 1790000000000}, User: "ann", Name: "Ann", Data: []byte(`"hi"`)})
	require.Equal(t, time.UnixMilli(1790000000000).Format("15:04:05")+" Ann: hi\n", b.String())
}

func TestLinesArePublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := entered(t)
		c.typed("hello \"you\"\r\n\n   \n//me is no command\nlast")
		_ = c.in.Close()
		for _, want := range []string{`{"text":"hello \"you\""}`, `{"text":"/me is no command"}`, `{"text":"last"}`} {
			p := c.publish()
			require.Equal(t, want, string(p.Data))
			require.NotEmpty(t, p.Key)
			c.ok(p)
		}
		require.Equal(t, protocol.CloseNormal, c.peer.Closing(), "the end of the input leaves cleanly")
		c.peer.Echo(1000)
		require.NoError(t, <-c.ended)
	})
}

func TestCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := entered(t)
		c.typed("/who\n")
		c.want("! 3 here in lobby: Ann (idle, 2 sessions), Bob, Kim (you)")
		c.typed("/me\n")
		c.want("! you are Kim, user kim, session s_1")
		c.typed("/help\n")
		c.wantMatch("! .*/who.*/quit.*")
		c.typed("/dance\n")
		c.want("! there is no /dance; try /help")
		c.typed("bye\n/quit\n")
		c.ok(c.publish()) // what was said before is not lost
		require.Equal(t, protocol.CloseNormal, c.peer.Closing())
		c.peer.Echo(1000)
		require.NoError(t, <-c.ended)
	})
}

func TestQuitWaitsOnlySoLongForWhatIsUnsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := entered(t)
		c.typed("into the void\n/quit\n")
		c.publish() // never answered
		began := time.Now()
		require.Equal(t, protocol.CloseNormal, c.peer.Closing())
		require.Equal(t, quitGrace, time.Since(began))
		c.peer.Echo(1000)
		require.NoError(t, <-c.ended)
	})
}

func TestInterruptLeavesCleanly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := entered(t)
		c.cancel()
		require.Equal(t, protocol.CloseNormal, c.peer.Closing())
		c.peer.Echo(1000)
		require.NoError(t, <-c.ended)
	})
}

// What others write must not steer the terminal, nor pass for another line.
func TestOthersCannotSteerTheTerminal(t *testing.T) {
	for in, want := range map[string]string{
		"plain é 漢字 😀":                  "plain é 漢字 😀",
		"\x1b[2J\x1b]0;owned\x07":       "[2J]0;owned",
		"\u009b31mred":                  "31mred",
		"a\nb\r\n12:00 Admin: c\td":     "a b  12:00 Admin: c d",
		"a\u2028b\u0085c":               "a b c",
		"del\x7f\x00\x08":               "del",
		"\u202eevil\u202c\u2066x":       "evilx",
		"zero\u200bwidth\ufeff":         "zerowidth",
		"👩\u200d👩\u200d👧 می\u200cخواهم": "👩\u200d👩\u200d👧 می\u200cخواهم",
		"\xff\xfe":                      "\ufffd",
		strings.Repeat("x", 5000):       strings.Repeat("x", longest) + " …",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}

	synctest.Test(t, func(t *testing.T) {
		c := entered(t)
		c.peer.Send(&protocol.MemberJoined{Stamp: at(11), Member: protocol.Member{Session: "s_5", User: "e", Name: "E\x1b[31m\nve"}, First: true})
		c.want("→ E[31m ve came")
		c.peer.Send(message(12, "u", "\x1b[1mU", `{"text":"x\u001b[2J\ny"}`))
		c.want("[1mU: x[2J y")
		c.peer.Send(message(13, "u", "U", `{"\u001b[2J":1}`))
		c.want(`U: {"\u001b[2J":1}`)
		c.peer.Send(&protocol.MemberLeft{Stamp: at(14), Session: "s_5", User: "e", Reason: "\x1b[2J", Last: true})
		c.want("← E[31m ve left: [2J")
		c.peer.Send(&protocol.Bye{Code: 4502, Reason: "\x1b[2Jspam"})
		c.peer.Close(4502, "")
		err := <-c.ended
		require.EqualError(t, err, "the server ended the visit: [2Jspam")
	})
}

func TestALostConnectionIsShownAndMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := entered(t)
		c.peer.Drop()
		c.wantMatch("! offline: the connection was lost; trying again in [0-9.]+m?s")
		c.typed("while away\n")
		c.want("! not sent yet: waiting to be back", "! connecting, attempt 1")
		c.peer = c.server.Welcome("s_7")
		join := c.peer.Command().(*protocol.Join)
		require.Equal(t, &protocol.Position{Epoch: "e1", Offset: 10}, join.Since)
		c.peer.Send(snapshot(join.ID, 15, *message(12, "ann", "Ann", `"missed you"`)))
		c.want("! back in lobby", "! 3 here in lobby: Ann (idle, 2 sessions), Bob, Kim", "Ann: missed you")

		// What may or may not have arrived is sent again, under its key.
		first := c.publish()
		require.Equal(t, `{"text":"while away"}`, string(first.Data))
		c.peer.Drop()
		c.out.skipTo(t, "! connecting, attempt 1")
		c.peer = c.server.Welcome("s_8")
		join = c.peer.Command().(*protocol.Join)
		gone := snapshot(join.ID, 2)
		gone.Epoch, gone.Recovered = "e2", false
		c.peer.Send(gone)
		c.want("! back in lobby", "! some messages were missed")
		again := c.publish()
		require.Equal(t, first.Key, again.Key)
		c.ok(again)
	})
}

func (l lines) skipTo(t *testing.T, want string) {
	t.Helper()
	for line := range l {
		if line == want {
			return
		}
	}
}

func TestARateLimitIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := entered(t)
		c.typed("quickly\n")
		first := c.publish()
		began := time.Now()
		c.peer.Send(&protocol.Error{ID: first.ID, Code: protocol.ErrRateLimited, Message: "slow down", Room: "lobby", RetryMS: 700})
		again := c.publish()
		require.Equal(t, 700*time.Millisecond, time.Since(began))
		require.Equal(t, first.Key, again.Key)
		c.peer.Send(&protocol.Error{ID: again.ID, Code: protocol.ErrForbidden, Message: "no", Room: "lobby"})
		c.want("! not sent: forbidden: no")
	})
}

func TestLinesThatAreTooLongAreNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := entered(t)
		c.typed(strings.Repeat("x", 65536) + "\n")
		c.want("! not sent: longer than the 65536 bytes that the server takes")
		c.typed(strings.Repeat("x", maxLine+1) + "\n")
		c.want("! not sent: a line of more than 1048576 bytes")
		c.typed("short\n")
		c.ok(c.publish())
	})
}

func TestEndings(t *testing.T) {
	left := func(r protocol.Reason) func(*chat) {
		return func(c *chat) {
			c.peer.Send(&protocol.MemberLeft{Stamp: at(11), Session: "s_1", User: "kim", Reason: r, Last: true})
		}
	}
	for _, tt := range []struct {
		name string
		end  func(*chat)
		want string
	}{
		{"kicked out of the room", left(protocol.ReasonKicked), "you are out of lobby: taken out by the server"},
		{"banned", left(protocol.ReasonBanned), "you are out of lobby: banned from the room"},
		{"idle, with a bye", func(c *chat) {
			c.peer.Send(&protocol.Bye{Code: 4500, Reason: "idle"})
			c.peer.Close(4500, "idle")
		}, "the server ended the visit: nothing done for too long"},
		{"replaced, without", func(c *chat) { c.peer.Close(4505, "") }, "the server ended the visit: came back somewhere else"},
		{"a bug of ours", func(c *chat) { c.peer.Close(1002, "x") }, `the server ended the visit: connection closed: 1002 "x"`},
		{"the input fails", func(c *chat) { _ = c.in.CloseWithError(errors.New("no more paper")) }, "read: no more paper"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := entered(t)
				tt.end(c)
				go func() { _ = c.peer.Gone() }() // whatever the client says at the end
				require.EqualError(t, <-c.ended, tt.want)
			})
		})
	}
}

func TestARoomThatFailedIsJoinedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := entered(t)
		c.peer.Send(&protocol.MemberLeft{Stamp: at(11), Session: "s_1", User: "kim", Reason: protocol.ReasonFailed, Last: true})
		c.want("← Kim left: something failed on the server")
		join := c.peer.Command()
		require.IsType(t, &protocol.Join{}, join)
		c.peer.Send(snapshot(join.RequestID(), 1))
		c.want("! back in lobby")

		c.peer.Send(message(7, "ann", "Ann", `"out of order"`))
		c.out.skipTo(t, "! something was missed")
		join = c.peer.Command()
		c.peer.Send(&protocol.Error{ID: join.RequestID(), Code: protocol.ErrBanned, Message: "no", Room: "lobby"})
		go func() { _ = c.peer.Gone() }()
		require.EqualError(t, <-c.ended, "join lobby: banned: no")
	})
}

func TestARefusedRejoinEndsTheChat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := entered(t)
		c.peer.Drop()
		c.out.skipTo(t, "! connecting, attempt 1")
		c.peer = c.server.Welcome("s_7")
		c.peer.Send(&protocol.Error{ID: c.peer.Command().RequestID(), Code: protocol.ErrUnavailable, Message: "not now", Room: "lobby"})
		c.want("! the server says: unavailable: not now")
		c.peer.Send(&protocol.Error{ID: c.peer.Command().RequestID(), Code: protocol.ErrRoomFull, Message: "full", Room: "lobby"})
		go func() { _ = c.peer.Gone() }()
		require.EqualError(t, <-c.ended, "join lobby: room_full: full")
	})
}

func TestAChatThatCannotBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		require.EqualError(t, Run(t.Context(), Options{Room: "a b"}), `"a b" is not the name of a room`)

		s := fake.NewPipe(t)
		c := start(t, s)
		c.peer = s.Welcome("s_1")
		c.peer.Send(&protocol.Error{ID: c.peer.Command().RequestID(), Code: protocol.ErrRoomFull, Message: "full\x1b[2J", Room: "lobby"})
		go func() { _ = c.peer.Gone() }()
		err := <-c.ended
		require.EqualError(t, err, "join lobby: room_full: full[2J")
		var e *protocol.Error
		require.ErrorAs(t, err, &e)

		s.Refuse(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
		c = start(t, s)
		require.EqualError(t, <-c.ended, "handshake refused: 403 Forbidden")
	})
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestNobodyReadsTheOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fake.NewPipe(t)
		ended := make(chan error, 1)
		r, w := io.Pipe()
		defer w.Close()
		go func() {
			ended <- Run(t.Context(), Options{
				URL: s.URL, Room: "lobby", In: r, Out: brokenPipe{}, Client: client.Options{NetDial: s.Dial, CloseTimeout: time.Millisecond},
			})
		}()
		p := s.Welcome("s_1")
		p.Send(snapshot(p.Command().RequestID(), 1))
		go func() { _ = p.Gone() }()
		require.ErrorIs(t, <-ended, io.ErrClosedPipe)
	})
}

func TestEveryReasonHasItsWords(t *testing.T) {
	said := map[string]protocol.Reason{}
	for _, r := range protocol.Reasons {
		words := because(r)
		require.NotEqual(t, string(r), words, "%s has no words", r)
		require.NotContains(t, said, words)
		said[words] = r
	}
}
