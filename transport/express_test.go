package transport

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/internal/conformance/raw"
)

// upgradeRequest is the least that is a handshake.
func upgradeRequest(target string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
}

// ways serves "/ws", the only path of the short way, with a handler that says
// which way a request came; "/ws?panic" panics, "/ws?refuse" refuses.
func ways(t *testing.T, o HandshakeOptions) (addr string, web *http.Server) {
	t.Helper()
	s, err := New(Options{})
	require.NoError(t, err)
	l, err := Listen(t.Context(), "127.0.0.1:0", ListenOptions{Stats: s.Stats()})
	require.NoError(t, err)
	if o.ErrorLog == nil {
		o.ErrorLog = log.New(io.Discard, "", 0)
	}
	web = HTTPServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, short := w.(*expressAnswer)
		way := map[bool]string{true: "short", false: "long"}[short]
		switch r.URL.RawQuery {
		case "panic":
			panic("on purpose")
		case "refuse":
			w.Header().Set("X-Way", way)
			http.Error(w, "no", http.StatusTeapot)
			return
		}
		hs, refusal := s.Check(r)
		if refusal != nil {
			w.Header().Set("X-Way", way)
			http.Error(w, refusal.Error(), refusal.Status)
			return
		}
		h := record(t)
		h.onOpen = func(c Conn) { c.Write(text(way), len(text(way))) }
		_ = s.Accept(w, r, hs, h)
	}), o)
	served := make(chan error, 1)
	go func() { served <- Serve(web, l, func(path string) bool { return path == "/ws" }) }()
	t.Cleanup(func() {
		_ = web.Close()
		if err := await(t, served, "Serve's return"); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve = %v", err)
		}
		over, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.Shutdown(over)
	})
	return l.Addr().String(), web
}

func connectTo(t *testing.T, addr string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(raw.Patience)))
	return c, bufio.NewReader(c)
}

// wayOf reads which way a handshake took from the answer and the first frame.
func wayOf(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	a, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	if a.StatusCode != http.StatusSwitchingProtocols {
		_, _ = io.Copy(io.Discard, a.Body)
		return a.Status + " " + a.Header.Get("X-Way")
	}
	head := make([]byte, 2)
	_, err = io.ReadFull(r, head)
	require.NoError(t, err)
	way := make([]byte, head[1])
	_, err = io.ReadFull(r, way)
	require.NoError(t, err)
	return string(way)
}

func TestWhoTakesTheShortWay(t *testing.T) {
	addr, _ := ways(t, HandshakeOptions{})
	big := strings.Replace(upgradeRequest("/ws"), "\r\n\r\n", "\r\nCookie: "+strings.Repeat("a", expressBytes)+"\r\n\r\n", 1)
	for _, c := range []struct{ name, request, want string }{
		{"a handshake", upgradeRequest("/ws"), "short"},
		{"with a query", upgradeRequest("/ws?room=a"), "short"},
		{"to another path", upgradeRequest("/other"), "long"},
		{"to one that begins like it", upgradeRequest("/wss"), "long"},
		{"no handshake", "GET /ws HTTP/1.1\r\nHost: x\r\n\r\n", "426 Upgrade Required long"},
		{"that is refused", strings.Replace(upgradeRequest("/ws"), ": 13", ": 12", 1), "426 Upgrade Required short"},
		{"longer than the buffer", big, "long"},
		{"another method", strings.Replace(upgradeRequest("/ws"), "GET", "PUT", 1), "405 Method Not Allowed long"},
		{"not ASCII", strings.Replace(upgradeRequest("/ws"), "\r\n\r\n", "\r\nX-A: é\r\n\r\n", 1), "long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, r := connectTo(t, addr)
			_, err := io.WriteString(conn, c.request)
			require.NoError(t, err)
			require.Equal(t, c.want, wayOf(t, r))
		})
		t.Run(c.name+", byte by byte", func(t *testing.T) {
			conn, r := connectTo(t, addr)
			require.NoError(t, conn.(*net.TCPConn).SetNoDelay(true))
			for i := range len(c.request) {
				_, err := io.WriteString(conn, c.request[i:i+1])
				require.NoError(t, err)
			}
			require.Equal(t, c.want, wayOf(t, r))
		})
	}
}

// An answer that does not upgrade is whole, says that it is the last one, and
// is followed by the end of the stream, whatever the client has sent behind its
// request.
func TestTheShortWayRefuses(t *testing.T) {
	addr, _ := ways(t, HandshakeOptions{})
	conn, r := connectTo(t, addr)
	_, err := io.WriteString(conn, upgradeRequest("/ws?refuse")+"frames, perhaps")
	require.NoError(t, err)
	a, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	body, err := io.ReadAll(a.Body)
	require.NoError(t, err)
	require.Equal(t, "418 I'm a teapot", a.Status)
	require.Equal(t, "no\n", string(body))
	require.Equal(t, "short", a.Header.Get("X-Way"))
	require.True(t, a.Close)
	require.NotEmpty(t, a.Header.Get("Date"))
	_, err = r.ReadByte()
	require.ErrorIs(t, err, io.EOF)
}

func TestAPanicOnTheShortWayEndsItsConnectionAlone(t *testing.T) {
	told := make(chan string, 1)
	addr, _ := ways(t, HandshakeOptions{ErrorLog: log.New(writerFunc(func(b []byte) { told <- string(b) }), "", 0)})
	conn, r := connectTo(t, addr)
	_, err := io.WriteString(conn, upgradeRequest("/ws?panic"))
	require.NoError(t, err)
	_, err = r.ReadByte()
	require.Error(t, err)
	require.Contains(t, await(t, told, "the log"), "on purpose")
	conn, r = connectTo(t, addr)
	_, err = io.WriteString(conn, upgradeRequest("/ws"))
	require.NoError(t, err)
	require.Equal(t, "short", wayOf(t, r))
}

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) {
	f(b)
	return len(b), nil
}

// Whose request does not come in time is closed without an answer, however
// slowly it comes; half of one that will not be whole gets net/http's.
func TestTheShortWayDoesNotWaitForEver(t *testing.T) {
	addr, _ := ways(t, HandshakeOptions{HeaderTimeout: 50 * time.Millisecond})
	_, r := connectTo(t, addr)
	_, err := r.ReadByte()
	require.Error(t, err)

	conn, r := connectTo(t, addr)
	_, err = io.WriteString(conn, upgradeRequest("/ws")[:40])
	require.NoError(t, err)
	_, err = r.ReadByte()
	require.Error(t, err)

	conn, r = connectTo(t, addr)
	_, err = io.WriteString(conn, upgradeRequest("/ws")[:40])
	require.NoError(t, err)
	require.NoError(t, conn.(*net.TCPConn).CloseWrite())
	a, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusBadRequest, a.StatusCode)
}

// When the server ends, nobody is left waiting for a request.
func TestTheEndOfTheShortWay(t *testing.T) {
	addr, web := ways(t, HandshakeOptions{HeaderTimeout: time.Hour})
	conn, r := connectTo(t, addr)
	_, err := io.WriteString(conn, upgradeRequest("/ws")[:40])
	require.NoError(t, err)
	live, answer := connectTo(t, addr)
	_, err = io.WriteString(live, upgradeRequest("/ws"))
	require.NoError(t, err)
	require.Equal(t, "short", wayOf(t, answer)) // so the first one is being read, too
	require.NoError(t, web.Close())
	_, err = r.ReadByte()
	require.Error(t, err)
}
