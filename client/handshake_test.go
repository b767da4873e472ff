package client

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"rollcall/client/internal/fake"
	"rollcall/protocol"
)

func TestConnectSaysWhoWeAre(t *testing.T) {
	_, p := connect(t, fake.New(t), Options{
		Rooms: []string{"lobby", "dev/builds"}, User: "kim@example.org", Name: "Kim & Co", Data: json.RawMessage(`{"mood":"f\u0069ne"}`),
		Token: "secret", Header: http.Header{"X-Trace": {"7"}},
	})
	require.Equal(t, "/ws", p.Request.URL.Path)
	require.Equal(t, []string{"lobby", "dev/builds"}, p.Query["room"])
	require.Equal(t, "kim@example.org", p.Query.Get("user"))
	require.Equal(t, "Kim & Co", p.Query.Get("name"))
	require.Equal(t, `{"mood":"f\u0069ne"}`, p.Query.Get("data"), "raw JSON travels byte for byte")
	require.Empty(t, p.Query.Get("token"), "query strings end up in logs")
	require.Equal(t, "Bearer secret", p.Request.Header.Get("Authorization"))
	require.Equal(t, "7", p.Request.Header.Get("X-Trace"))
	require.Equal(t, protocol.Subprotocol, p.Request.Header.Get("Sec-WebSocket-Protocol"))
}

func TestAddress(t *testing.T) {
	for _, tt := range []struct {
		url, want string // want "": refused
	}{
		{"ws://h:1", "ws://h:1/ws"},
		{"ws://h:1/", "ws://h:1/ws"},
		{"http://h", "ws://h/ws"},
		{"https://h/chat#top", "wss://h/chat"},
		{"wss://h/ws?heartbeat_ms=5000", "wss://h/ws?heartbeat_ms=5000"},
		{"h:1", ""},
		{"ftp://h", ""},
		{"ws://", ""},
		{"ws://h:bad", ""},
		{"", ""},
	} {
		got, err := Options{}.address(tt.url)
		if (err == nil) != (tt.want != "") || got != tt.want {
			t.Errorf("address(%q) = %q, %v, want %q", tt.url, got, err, tt.want)
		}
	}
	_, err := Options{Rooms: []string{"a b"}}.address("ws://h")
	require.ErrorContains(t, err, `room "a b"`)
	_, err = Options{Data: json.RawMessage(`{"a":1,"a":2}`)}.address("ws://h")
	require.ErrorContains(t, err, "data")
	_, err = Options{Data: func() {}}.address("ws://h")
	require.ErrorContains(t, err, "data")
}

func TestConnectTellsARefusal(t *testing.T) {
	s := fake.New(t)
	s.Refuse(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"type":"about:blank","status":503,"detail":"too many connections\u001b[2J"}`)
	})
	_, err := Connect(t.Context(), s.URL, Options{})
	var refused *HandshakeError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 503, refused.Status)
	require.Equal(t, "5", refused.Header.Get("Retry-After"))
	require.Equal(t, `handshake refused: 503 Service Unavailable: "too many connections\x1b[2J"`, err.Error())

	s.Refuse(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write(make([]byte, 1<<20))
	})
	_, err = Connect(t.Context(), s.URL, Options{})
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "handshake refused: 403 Forbidden", err.Error())
	require.Len(t, refused.Body, maxBodyBytes)
}

// raw serves one connection with a program of its own.
func raw(t *testing.T, serve func(net.Conn)) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		serve(nc)
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return "ws://" + l.Addr().String()
}

// upgraded is the server's answer to the request that is next on nc.
func upgraded(nc net.Conn) []byte {
	var request []byte
	for b := make([]byte, 1); !bytes.HasSuffix(request, []byte("\r\n\r\n")); request = append(request, b[0]) {
		if _, err := nc.Read(b); err != nil {
			return nil
		}
	}
	var answer bytes.Buffer
	_, _ = ws.Upgrader{}.Upgrade(struct {
		io.Reader
		io.Writer
	}{bytes.NewReader(request), &answer})
	return answer.Bytes()
}

func TestFramesThatComeWithTheHandshakeAreNotLost(t *testing.T) {
	url := raw(t, func(nc net.Conn) {
		answer := upgraded(nc)
		answer = append(answer, ws.MustCompileFrame(ws.NewTextFrame([]byte("first")))...)
		answer = append(answer, 0x81, 6, 's')
		_, _ = nc.Write(answer)
		_, _ = nc.Write([]byte("econd"))
		_, _ = io.Copy(io.Discard, nc)
	})
	c, err := Connect(t.Context(), url, Options{})
	require.NoError(t, err)
	defer c.Abort()
	require.Empty(t, c.Protocol, "the server named none")
	for _, want := range []string{"first", "second"} {
		got, err := c.Read()
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
}

func TestAnEndlessAnswerIsCut(t *testing.T) {
	for name, line := range map[string]string{"in one line": "x", "in many": "X-Y: z\r\n"} {
		t.Run(name, func(t *testing.T) {
			url := raw(t, func(nc net.Conn) {
				_, _ = io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\n")
				for {
					if _, err := io.WriteString(nc, line); err != nil {
						return
					}
				}
			})
			_, err := Connect(t.Context(), url, Options{})
			require.ErrorIs(t, err, errLongHandshake)
		})
	}
}

func TestConnectDoesNotWaitForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fake.NewPipe(t)
		s.Refuse(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		began := time.Now()
		_, err := Connect(t.Context(), s.URL, Options{NetDial: s.Dial, HandshakeTimeout: 3 * time.Second})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 3*time.Second, time.Since(began))
	})
}

func TestConnectToNobody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	_, err = Connect(t.Context(), "ws://"+address, Options{})
	require.ErrorContains(t, err, "refused")
	require.ErrorContains(t, err, "connect: ")
}
