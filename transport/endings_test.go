package transport

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/internal/conformance/raw"
)

// reset ends a client's connection with a RST.
func reset(t testing.TB, c *raw.Client) {
	nc := c.Conn
	if inner, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = inner.NetConn()
	}
	require.NoError(t, nc.(*net.TCPConn).SetLinger(0))
	require.NoError(t, nc.Close())
}

// Every way in which a connection ends is told once, with its cause and code,
// and the client sees what it should.
func TestEndings(t *testing.T) {
	short := 50 * time.Millisecond
	for _, x := range []struct {
		name   string
		o      Options
		end    func(t *testing.T, s *testServer, conn Conn, c *raw.Client)
		want   End
		client []string // what the client sees, from the first frame; nil: it does not look
	}{
		{
			name: "the peer closes", want: End{Cause: PeerClosed, Code: 4001}, client: []string{"close 4001", "end"},
			end: func(t *testing.T, _ *testServer, _ Conn, c *raw.Client) { send(t, c, raw.Close(4001, "bye")) },
		},
		{
			name: "the peer closes without a code", want: End{Cause: PeerClosed, Code: 1005}, client: []string{"close", "end"},
			end: func(t *testing.T, _ *testServer, _ Conn, c *raw.Client) { send(t, c, raw.CloseRaw("")) },
		},
		{
			name: "the peer closes and is gone at once", want: End{Cause: PeerClosed, Code: 1001},
			end: func(t *testing.T, _ *testServer, _ Conn, c *raw.Client) {
				send(t, c, raw.Close(1001, ""))
				require.NoError(t, c.Close())
			},
		},
		{
			name: "the peer ends its stream without a word", want: End{Cause: Lost, Code: 1006}, client: []string{"end"},
			end: func(t *testing.T, _ *testServer, _ Conn, c *raw.Client) { require.NoError(t, c.EndWrites()) },
		},
		{
			name: "the peer's host resets", want: End{Cause: Lost, Code: 1006},
			end: func(t *testing.T, _ *testServer, _ Conn, c *raw.Client) { reset(t, c) },
		},
		{
			name: "the peer breaks the protocol", want: End{Cause: Violation, Code: 1002}, client: []string{"text farewell 1002", "close 1002 reserved bit or opcode", "end"},
			end: func(t *testing.T, _ *testServer, _ Conn, c *raw.Client) { send(t, c, raw.Frame{Op: 5}) },
		},
		{
			name: "the peer sends too much", o: Options{MessageBytes: 10}, want: End{Cause: Violation, Code: 1009},
			client: []string{"text farewell 1009", "close 1009 message too big", "end"},
			end:    func(t *testing.T, _ *testServer, _ Conn, c *raw.Client) { send(t, c, raw.Text("eleven byte")) },
		},
		{
			name: "the peer sends too many pieces", o: Options{Fragments: 2}, want: End{Cause: Violation, Code: 1009},
			client: []string{"text farewell 1009", "close 1009 too many fragments", "end"},
			end: func(t *testing.T, _ *testServer, _ Conn, c *raw.Client) {
				send(t, c, raw.Part(raw.Text("")), raw.Part(raw.Continue("")), raw.Part(raw.Continue("")))
			},
		},
		{
			name: "the peer pings too often", o: Options{ControlRate: 0.001}, want: End{Cause: Violation, Code: 4506},
			end: func(t *testing.T, _ *testServer, _ Conn, c *raw.Client) {
				for range 11 {
					send(t, c, raw.Ping(""))
				}
			},
			client: append(strings.Split(strings.Repeat("pong ", 10), " ")[:10], "text farewell 4506", "close 4506 too many control frames", "end"),
		},
		{
			name: "the peer freezes", o: Options{HeartbeatInterval: short, HeartbeatTimeout: short}, want: End{Cause: Silent, Code: 1006},
			client: []string{"ping", "*"},
			end:    func(*testing.T, *testServer, Conn, *raw.Client) {},
		},
		{
			name: "the peer does not read", o: Options{OutboundBytes: 1 << 20}, want: End{Cause: Slow, Code: 1006},
			end: func(t *testing.T, _ *testServer, conn Conn, _ *raw.Client) { flood(conn, 64<<20) },
		},
		{
			name: "we close and the peer answers", want: End{Cause: Local, Code: 4500}, client: []string{"close 4500 idle", "*"},
			end: func(t *testing.T, _ *testServer, conn Conn, c *raw.Client) {
				conn.Close(4500, "idle")
				conn.Close(4501, "the first call wins")
				send(t, c, raw.Close(4500, ""))
			},
		},
		{
			name: "we close and the peer ends its stream", want: End{Cause: Local, Code: 1000}, client: []string{"close 1000", "end"},
			end: func(t *testing.T, _ *testServer, conn Conn, c *raw.Client) {
				conn.Close(1000, "")
				require.NoError(t, c.EndWrites())
			},
		},
		{
			name: "we close and the peer says nothing", o: Options{CloseTimeout: short}, want: End{Cause: Local, Code: 1005}, client: []string{"close", "*"},
			end: func(_ *testing.T, _ *testServer, conn Conn, _ *raw.Client) { conn.Close(1005, "") },
		},
		{
			name: "we close and the peer talks on", o: Options{CloseTimeout: short}, want: End{Cause: Local, Code: 4000},
			end: func(t *testing.T, _ *testServer, conn Conn, c *raw.Client) {
				conn.Close(4000, "")
				go func() {
					for _, err := c.Write(raw.Bytes(raw.Text("what?"))); err == nil; {
						_, err = c.Write(raw.Bytes(raw.Text("what?")))
					}
				}()
			},
		},
		{
			name: "we close and the peer breaks the protocol", want: End{Cause: Local, Code: 1000},
			end: func(t *testing.T, _ *testServer, conn Conn, c *raw.Client) {
				conn.Close(1000, "")
				send(t, c, raw.Frame{Op: 5})
			},
		},
		{
			name: "we close with a code that may not be sent", want: End{Cause: Local, Code: 1011}, client: []string{"close 1011 oops", "*"},
			end: func(t *testing.T, _ *testServer, conn Conn, c *raw.Client) {
				conn.Close(1006, "oops")
				send(t, c, raw.Close(1011, ""))
			},
		},
		{
			name: "we close a paused connection", want: End{Cause: Local, Code: 1000}, client: []string{"close 1000", "*"},
			end: func(t *testing.T, _ *testServer, conn Conn, c *raw.Client) {
				conn.Pause()
				conn.Close(1000, "")
				send(t, c, raw.Close(1000, ""))
			},
		},
		{
			name: "time is up at shutdown", want: End{Cause: Local, Code: 1001},
			end: func(t *testing.T, s *testServer, _ Conn, _ *raw.Client) {
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				require.ErrorIs(t, s.Shutdown(ctx), context.Canceled)
			},
		},
		{
			name: "the peer and we close at once", want: End{Cause: Local, Code: 4000}, client: []string{"close 4000", "end"},
			end: func(t *testing.T, _ *testServer, conn Conn, c *raw.Client) {
				conn.Close(4000, "")
				send(t, c, raw.Text("never seen"), raw.Close(1001, ""))
			},
		},
	} {
		t.Run(x.name, func(t *testing.T) {
			everyWay(t, func(t *testing.T, mode string, secure bool) {
				o := x.o
				o.Mode = mode
				o.Farewell = func(_ Handler, code uint16) []byte { return text("farewell " + itoa(int(code))) }
				s, r, c := pair(t, o, secure)
				conn := await(t, r.opened, "Open")
				x.end(t, s, conn, c)
				e := await(t, r.closed, "Closed")
				require.Equal(t, x.want.Cause, e.Cause, "%+v", e)
				require.Equal(t, x.want.Code, e.Code, "%+v", e)
				require.EqualValues(t, 1, s.Stats().Ended[e.Cause].Load())
				require.Empty(t, r.messages)
				for i, want := range x.client {
					if want == "*" {
						break
					}
					require.Equal(t, want, c.Show(), "frame %d", i)
				}
				conn.Write(text("after the end"), 0)
				conn.Close(1000, "")
				conn.Pause()
				conn.Resume()
				_ = c.Close()
				eventually(t, func() bool { return s.Stats().Open[Plain].Load()+s.Stats().Open[TLS].Load() == 0 }, "the socket is closed")
				require.Empty(t, r.closed, "Closed came twice")
			})
		})
	}
}

// flood writes a lot, in frames of a kilobyte.
func flood(conn Conn, total int) {
	frame := text(strings.Repeat("x", 1020))
	for range total / len(frame) {
		conn.Write(frame, len(frame))
	}
}

func send(t testing.TB, c *raw.Client, parts ...any) {
	t.Helper()
	_, err := c.Write(raw.Bytes(parts...))
	require.NoError(t, err)
}

// What was written before Close, however much, is read before its close frame.
func TestCloseComesBehindWhatIsQueued(t *testing.T) {
	everyWay(t, func(t *testing.T, mode string, secure bool) {
		body := strings.Repeat("0123456789", 300_000)
		_, r, c := pair(t, Options{Mode: mode, OutboundBytes: 8 << 20}, secure)
		conn := await(t, r.opened, "Open")
		frame := text(body)
		conn.Write(frame, len(frame))
		conn.Close(4000, "bye")
		require.Equal(t, "text "+body, c.Show())
		require.Equal(t, "close 4000 bye", c.Show())
		send(t, c, raw.Close(4000, ""))
		require.Equal(t, Local, await(t, r.closed, "Closed").Cause)
		require.Equal(t, "end", c.Show())
	})
}

// A handler may close from inside its calls; nothing is delivered after.
func TestCloseInsideHandler(t *testing.T) {
	everyWay(t, func(t *testing.T, mode string, secure bool) {
		t.Run("Open", func(t *testing.T) {
			r := record(t)
			r.onOpen = func(c Conn) { c.Close(4001, "") }
			s := serve(t, Options{Mode: mode}, secure, func() Handler { return r })
			c := s.dial(t, raw.Bytes(raw.Text("early"))...)
			require.Equal(t, "close 4001", c.Show())
			send(t, c, raw.Text("late"), raw.Close(4001, ""))
			require.Equal(t, Local, await(t, r.closed, "Closed").Cause)
			require.Empty(t, r.messages)
		})
		t.Run("Message", func(t *testing.T) {
			_, r, c := pair(t, Options{Mode: mode}, secure, func(r *recorder) {
				r.onMessage = func(c Conn, _ string) { c.Close(4002, "") }
			})
			send(t, c, raw.Text("one"), raw.Text("two"), raw.Close(4002, ""))
			require.Equal(t, "close 4002", c.Show())
			require.Equal(t, Local, await(t, r.closed, "Closed").Cause)
			require.Equal(t, "one", <-r.messages)
			require.Empty(t, r.messages)
		})
	})
}
