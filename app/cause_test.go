package app

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/config"
	"rollcall/transport"
)

// What a connection met is told in words, unless its close code says it.
func TestBecause(t *testing.T) {
	cfg := config.Default()
	for _, row := range []struct {
		e    transport.End
		want string
	}{
		{transport.End{Cause: transport.PeerClosed, Code: 1001}, ""},
		{transport.End{Cause: transport.Local, Code: 4000}, ""},
		{transport.End{Cause: transport.Lost, Err: io.EOF}, "the stream ended without a close frame"},
		{transport.End{Cause: transport.Lost}, "the stream ended without a close frame"},
		{transport.End{Cause: transport.Lost, Err: &net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}}, "reset by the peer"},
		{transport.End{Cause: transport.Lost, Err: syscall.EPIPE}, "a write failed, the peer was gone"},
		{transport.End{Cause: transport.Lost, Err: syscall.ETIMEDOUT}, "what was sent was not acknowledged in time"},
		{transport.End{Cause: transport.Lost, Err: errors.New("no route")}, "no route"},
		{transport.End{Cause: transport.Silent}, "silent for 25s, and for 10s after a ping"},
		{transport.End{Cause: transport.Slow}, "more than 262144 bytes waited for it (limits.outbound_bytes)"},
		{transport.End{Cause: transport.Violation, Err: transport.BreachUnmasked}, "frame is not masked"},
		{transport.End{Cause: transport.Violation}, ""},
	} {
		require.Equal(t, row.want, because(row.e, &cfg), "%v", row.e)
	}
}
