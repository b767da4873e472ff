package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"rollcall/internal/conformance/raw"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testServer is a Server behind a listener, whose connections are handled by
// what handle makes.
type testServer struct {
	*Server
	addr   string
	client *tls.Config // nil: plain
}

// everyWay runs f for event loops and for goroutines, plain and over TLS.
func everyWay(t *testing.T, f func(t *testing.T, mode string, secure bool)) {
	for _, mode := range []string{ModeAuto, ModeGoroutine} {
		for _, secure := range []bool{false, true} {
			name := mode
			if secure {
				name += "+tls"
			}
			t.Run(name, func(t *testing.T) { f(t, mode, secure) })
		}
	}
}

var certificate = sync.OnceValues(func() (pair [2]*tls.Config, err error) {
	pair[0], pair[1], err = raw.Certificate()
	return pair, err
})

// everyPath is that of a handshake.
func everyPath(string) bool { return true }

func serve(t testing.TB, o Options, secure bool, handle func() Handler) *testServer {
	t.Helper()
	return serveListening(t, o, secure, ListenOptions{}, handle)
}

func serveListening(t testing.TB, o Options, secure bool, listen ListenOptions, handle func() Handler) *testServer {
	t.Helper()
	s := &testServer{}
	if secure {
		pair, err := certificate()
		require.NoError(t, err)
		listen.TLS, s.client = pair[0], pair[1]
	}
	var err error
	s.Server, err = New(o)
	require.NoError(t, err)
	listen.Stats = s.Stats()
	l, err := Listen(t.Context(), "127.0.0.1:0", listen)
	require.NoError(t, err)
	s.addr = l.Addr().String()
	web := HTTPServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hs, refusal := s.Check(r)
		if refusal != nil {
			for name, values := range refusal.Header {
				w.Header()[name] = values
			}
			http.Error(w, refusal.Error(), refusal.Status)
			return
		}
		if err := s.Accept(w, r, hs, handle()); errors.Is(err, ErrFull) || errors.Is(err, ErrServerClosed) {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	}), HandshakeOptions{ErrorLog: log.New(io.Discard, "", 0)})
	go func() { _ = Serve(web, l, everyPath) }()
	t.Cleanup(func() {
		_ = web.Close()
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // whoever is still there is cut
		if err := s.Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, ErrServerClosed) {
			t.Error(err)
		}
	})
	return s
}

func (s *testServer) dial(t testing.TB, early ...byte) *raw.Client {
	t.Helper()
	c, err := raw.Dial(s.addr, s.client, early)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// recorder is a Handler that tells the test what it was told, and checks the
// order of Handler's promise.
type recorder struct {
	t        testing.TB
	opened   chan Conn
	messages chan string
	closed   chan End

	onOpen    func(Conn)
	onMessage func(Conn, string)

	busy  sync.Mutex
	conn  Conn
	ended bool
}

func record(t testing.TB) *recorder {
	return &recorder{t: t, opened: make(chan Conn, 1), messages: make(chan string, 1<<16), closed: make(chan End, 1)}
}

func (r *recorder) enter(call string, ok bool) {
	if !r.busy.TryLock() {
		r.t.Errorf("%s overlaps another call", call)
		return
	}
	if !ok || r.ended {
		r.t.Errorf("%s out of order", call)
	}
}

func (r *recorder) Open(c Conn) {
	r.enter("Open", r.conn == nil)
	defer r.busy.Unlock()
	r.conn = c
	r.opened <- c
	if r.onOpen != nil {
		r.onOpen(c)
	}
}

func (r *recorder) Message(op ws.OpCode, payload []byte) {
	r.enter("Message", r.conn != nil)
	defer r.busy.Unlock()
	r.messages <- string(payload)
	if r.onMessage != nil {
		r.onMessage(r.conn, string(payload))
	}
}

func (r *recorder) Closed(e End) {
	r.enter("Closed", r.conn != nil)
	defer r.busy.Unlock()
	r.ended = true
	r.closed <- e
}

// await receives, or fails when nothing comes.
func await[T any](t testing.TB, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(raw.Patience):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

// eventually waits until ok, which other goroutines bring about.
func eventually(t testing.TB, ok func() bool, what string) {
	t.Helper()
	require.Eventually(t, ok, raw.Patience, time.Millisecond, what)
}

// pair serves one recorder and connects a client to it.
func pair(t testing.TB, o Options, secure bool, edit ...func(*recorder)) (*testServer, *recorder, *raw.Client) {
	t.Helper()
	r := record(t)
	for _, f := range edit {
		f(r)
	}
	s := serve(t, o, secure, func() Handler { return r })
	return s, r, s.dial(t)
}

func text(s string) []byte { return AppendFrame(nil, ws.OpText, []byte(s)) }
