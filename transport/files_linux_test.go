package transport

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"rollcall/internal/conformance/raw"
)

// An event loop needs a second descriptor for a moment. Where there is none, the
// connection is served without the loop.
func TestNoDescriptorForTheLoop(t *testing.T) {
	r := record(t)
	s := serve(t, Options{Mode: ModeEpoll}, false, func() Handler { return r })
	nc, err := net.Dial("tcp", s.addr)
	require.NoError(t, err)
	defer func() { _ = nc.Close() }()
	eventually(t, func() bool { return s.Stats().Pending.Load() == 1 }, "it is accepted")

	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	defer func() { require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)) }()
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: limit.Max}))
	_, err = io.WriteString(nc, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	require.NoError(t, err)
	answer, err := http.ReadResponse(bufio.NewReader(nc), nil)
	require.NoError(t, err)
	require.Equal(t, 101, answer.StatusCode)
	_, err = nc.Write(raw.Bytes(raw.Text("hello")))
	require.NoError(t, err)
	require.Equal(t, "hello", await(t, r.messages, "the message"))
}
