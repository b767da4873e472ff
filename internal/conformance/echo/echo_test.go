package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"rollcall/internal/conformance/raw"
	"rollcall/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is an echo server in one of the ways there are.
type server struct {
	addr   string
	client *tls.Config // nil: plain
	srv    *transport.Server
}

// everyWay runs f against the echo handler served by event loops and by
// goroutines, plain and over TLS.
func everyWay(t *testing.T, f func(t *testing.T, s *server)) {
	for _, mode := range []string{transport.ModeAuto, transport.ModeGoroutine} {
		for _, secure := range []bool{false, true} {
			name := mode
			if secure {
				name += "+tls"
			}
			t.Run(name, func(t *testing.T) {
				f(t, serve(t, options(mode, 0, maxMessage), secure))
			})
		}
	}
}

// maxMessage is the limit that the tests run into.
const maxMessage = 16 << 20

func serve(t testing.TB, o transport.Options, secure bool) *server {
	t.Helper()
	s := &server{}
	listen := transport.ListenOptions{}
	if secure {
		var err error
		listen.TLS, s.client, err = raw.Certificate()
		require.NoError(t, err)
	}
	var err error
	s.srv, err = transport.New(o)
	require.NoError(t, err)
	l, err := transport.Listen(t.Context(), "127.0.0.1:0", listen)
	require.NoError(t, err)
	s.addr = l.Addr().String()
	all, err := newServices(o)
	require.NoError(t, err)
	web := transport.HTTPServer(handler(s.srv, all), transport.HandshakeOptions{ErrorLog: log.New(io.Discard, "", 0)})
	go func() { _ = transport.Serve(web, l, endpoint) }()
	t.Cleanup(func() {
		_ = web.Close()
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // whoever is still there is cut
		_ = all.shutdown(ctx)
		_ = s.srv.Shutdown(ctx)
	})
	return s
}

func (s *server) dial(t testing.TB, early []byte) *raw.Client {
	t.Helper()
	c, err := raw.Dial(s.addr, s.client, early)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// exchange is one story: the client sends, the server answers and, after its
// close frame, ends the stream. A close frame's reason is not compared.
type exchange struct {
	name string
	send []byte
	want []string
}

// closed is the end of a story: the close frame with this code, then the end.
func closed(code int) []string { return []string{fmt.Sprint("close ", code), "end"} }

// play tells each story in several ways: the bytes with the handshake and one by
// one, and, where connecting is cheap, after it and cut in the middle.
func play(t *testing.T, stories []exchange) {
	everyWay(t, func(t *testing.T, s *server) {
		for _, x := range stories {
			t.Run(x.name, func(t *testing.T) {
				t.Parallel()
				check(t, s.dial(t, x.send), x)
				if s.client == nil {
					at := len(x.send) / 2
					check(t, s.dial(t, nil), x, x.send)
					check(t, s.dial(t, x.send[:at]), x, x.send[at:])
				}
				if len(x.send) <= 600 {
					single := make([][]byte, len(x.send))
					for i := range x.send {
						single[i] = x.send[i : i+1]
					}
					check(t, s.dial(t, nil), x, single...)
				}
			})
		}
	})
}

// check sends pieces and compares what comes back.
func check(t *testing.T, c *raw.Client, x exchange, pieces ...[]byte) {
	t.Helper()
	go func() {
		for _, p := range pieces {
			if _, err := c.Write(p); err != nil {
				return // the server has closed: what it said is compared
			}
		}
	}()
	for i, want := range x.want {
		got := c.Show()
		if strings.HasPrefix(want, "close") {
			got = strings.Join(strings.Fields(got)[:min(2, len(strings.Fields(got)))], " ")
		}
		if got != want {
			t.Fatalf("%s: frame %d is %.80q (%d bytes), want %.80q (%d bytes)", x.name, i, got, len(got), want, len(want))
		}
	}
	_ = c.Close()
}
