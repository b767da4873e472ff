package transport

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"

	"rollcall/internal/conformance/raw"
)

// pipe serves one connection over a net.Pipe, inside a bubble of virtual time.
// frames gets what the client is sent, in words, until the end.
func pipe(t *testing.T, o Options, r *recorder) (c net.Conn, frames chan string) {
	o.Mode = ModeGoroutine
	s, err := New(o)
	require.NoError(t, err)
	ours, theirs := net.Pipe()
	require.NoError(t, s.enter())
	require.NoError(t, s.adopt(theirs, nil, nil, r))
	frames = make(chan string, 1000)
	go func() {
		defer close(frames)
		for {
			h, err := ws.ReadHeader(ours)
			if err != nil {
				return
			}
			_, _ = io.CopyN(io.Discard, ours, h.Length)
			frames <- map[ws.OpCode]string{ws.OpClose: "close", ws.OpPing: "ping"}[h.OpCode]
		}
	}()
	t.Cleanup(func() {
		_ = ours.Close()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.Shutdown(ctx)
	})
	return ours, frames
}

// within fails unless the time since begin is d, or up to late more.
func within(t *testing.T, begin time.Time, d, late time.Duration, what string) {
	t.Helper()
	got := time.Since(begin)
	if got < d || got > d+late {
		t.Fatalf("%s after %s, want %s to %s", what, got, d, d+late)
	}
}

var minutes = Options{HeartbeatInterval: 25 * time.Second, HeartbeatTimeout: 10 * time.Second, CloseTimeout: 2 * time.Second}

func TestQuietPeerIsPingedThenEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		begin := time.Now()
		_, frames := pipe(t, minutes, r)
		require.Equal(t, "ping", <-frames)
		within(t, begin, 25*time.Second, time.Second, "ping")
		begin = time.Now()
		require.Equal(t, Silent, (<-r.closed).Cause)
		within(t, begin, 10*time.Second, time.Second, "end")
	})
}

func TestAnyByteIsLiveness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		c, frames := pipe(t, minutes, r)
		frame := raw.Bytes(raw.Text("slowly"))
		for i := range frame { // a byte at a time, each just in time
			time.Sleep(24 * time.Second)
			_, err := c.Write(frame[i : i+1])
			require.NoError(t, err)
		}
		require.Equal(t, "slowly", <-r.messages)
		require.Empty(t, frames, "pinged a peer that was not quiet")
		begin := time.Now()
		for range 3 {
			require.Equal(t, "ping", <-frames)
			time.Sleep(9 * time.Second)
			_, err := c.Write(raw.Bytes(raw.Pong("")))
			require.NoError(t, err)
		}
		within(t, begin, 3*34*time.Second, 3*time.Second, "three answered pings")
		require.Empty(t, r.closed)
	})
}

func TestPausedPeerIsNotPinged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		_, frames := pipe(t, minutes, r)
		conn := <-r.opened
		conn.Pause()
		time.Sleep(time.Hour)
		require.Empty(t, frames)
		require.Empty(t, r.closed)
		conn.Resume()
		begin := time.Now()
		require.Equal(t, "ping", <-frames)
		within(t, begin, 25*time.Second, time.Second, "ping")
	})
}

func TestCloseTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		_, frames := pipe(t, minutes, r)
		conn := <-r.opened
		time.Sleep(7 * time.Second)
		begin := time.Now()
		conn.Close(4000, "")
		require.Equal(t, "close", <-frames)
		require.Equal(t, End{Cause: Local, Code: 4000}, <-r.closed)
		within(t, begin, 2*time.Second, time.Second, "end")
	})
}

// The leave is told at once; the socket lasts until the peer has ended too, or
// the time is up.
func TestViolationIsToldBeforeTheSocketEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		c, frames := pipe(t, minutes, r)
		begin := time.Now()
		_, err := c.Write(raw.Bytes(raw.Frame{Op: 5}))
		require.NoError(t, err)
		require.Equal(t, Violation, (<-r.closed).Cause)
		within(t, begin, 0, 0, "Closed")
		require.Equal(t, "close", <-frames)
		_, open := <-frames
		require.False(t, open)
		within(t, begin, 2*time.Second, time.Second, "end of the socket")
	})
}
