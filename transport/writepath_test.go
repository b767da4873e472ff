package transport

import (
	"bytes"
	"net"
	"testing"

	"github.com/gobwas/ws"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rollcall/internal/conformance/raw"
)

// kernel is a socket whose buffer takes what the test lets it take.
type kernel struct {
	room  int
	err   error // of every send, when not nil
	got   []byte
	woken bool
	ended bool
}

func (k *kernel) send(b []byte) (int, error) {
	if k.err != nil {
		return 0, k.err
	}
	n := min(len(b), k.room)
	k.room -= n
	k.got = append(k.got, b[:n]...)
	return n, nil
}
func (k *kernel) endWrites() { k.ended = true }
func (k *kernel) wake()      { k.woken = true }

// Whatever the kernel takes and when, a peer gets whole frames: all that must
// be sent, in order, and of the optional ones some, each either sent or counted
// as dropped; none is dropped while the kernel takes everything.
func TestWritePath(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := &kernel{}
		s := &Server{opts: Options{OutboundBytes: 1 << 30, ThrottleBytes: 1 << 30}}
		c := &conn{srv: s, sock: k}
		tight := rapid.Bool().Draw(t, "tight") // or the kernel takes everything
		if !tight {
			k.room = 1 << 30
		}
		must, optional := 0, 0
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				var b []byte
				for range rapid.IntRange(0, 3).Draw(t, "must") {
					b = AppendFrame(b, ws.OpBinary, padded('m', must, rapid.IntRange(0, 300).Draw(t, "size")))
					must++
				}
				end := len(b)
				for range rapid.IntRange(0, 3).Draw(t, "optional") {
					b = AppendFrame(b, ws.OpBinary, padded('o', optional, rapid.IntRange(0, 300).Draw(t, "size")))
					optional++
				}
				c.Write(b, end)
				for i := range b { // not kept after return
					b[i] = 0xee
				}
			case 2: // the kernel has room again, and the loop hears of it
				if tight {
					k.room = rapid.IntRange(0, 1000).Draw(t, "room")
				}
				c.mu.Lock()
				c.flush()
				c.mu.Unlock()
			case 3:
				c.cork()
				c.Write(AppendFrame(nil, ws.OpBinary, padded('m', must, 5)), 1<<20)
				must++
				c.uncork()
			}
		}
		k.room = 1 << 30
		c.mu.Lock()
		c.flush()
		c.mu.Unlock()
		require.Nil(t, c.out)

		gotMust, gotOptional, last := 0, 0, -1
		for b := k.got; len(b) > 0; {
			h, n, ok := parseHeader(b)
			require.True(t, ok)
			require.NotZero(t, n)
			require.LessOrEqual(t, n+int(h.Length), len(b), "a frame was cut")
			payload := b[n : n+int(h.Length)]
			b = b[n+int(h.Length):]
			number := int(payload[1])<<8 | int(payload[2])
			if payload[0] == 'm' {
				require.Equal(t, gotMust, number)
				gotMust++
			} else {
				require.Equal(t, byte('o'), payload[0])
				require.Greater(t, number, last)
				last = number
				gotOptional++
			}
		}
		require.Equal(t, must, gotMust)
		require.EqualValues(t, optional, int64(gotOptional)+s.stats.DroppedFrames.Load())
		if !tight {
			require.Equal(t, optional, gotOptional)
		}
	})
}

// padded is a payload that says which it is.
func padded(kind byte, number, size int) []byte {
	return append([]byte{kind, byte(number >> 8), byte(number)}, bytes.Repeat([]byte{'x'}, size)...)
}

// The bound is on what waits in our memory, and passing it forgets all of it.
func TestOutboundBound(t *testing.T) {
	k := &kernel{room: 100}
	s := &Server{opts: Options{OutboundBytes: 1000, ThrottleBytes: 1 << 30}}
	c := &conn{srv: s, sock: k}
	b := make([]byte, 1100)
	c.Write(b, len(b))
	require.Equal(t, open, c.now(), "100 bytes in the kernel and 1000 that wait are within the bound")
	c.Write(b[:1], 1)
	require.Equal(t, over, c.now())
	require.True(t, k.woken, "the end is told by the serving goroutine")
	require.Nil(t, c.out)
	require.Equal(t, &End{Cause: Slow, Code: 1006}, c.end)
	c.Write(b, len(b))
	require.Nil(t, c.out)
}

// A snapshot may be larger than the bound: it does not cut its reader, and while
// it is under way the bound is for the rest.
func TestALargeWriteDoesNotCount(t *testing.T) {
	k := &kernel{room: 100}
	c := &conn{srv: &Server{opts: Options{OutboundBytes: 1000, ThrottleBytes: 1 << 30}}, sock: k}
	large, small := make([]byte, 5100), make([]byte, 1000)
	c.Write(large, len(large))
	require.Equal(t, open, c.now())
	c.Write(small, len(small))
	require.Equal(t, open, c.now(), "1000 bytes besides it are within the bound")
	k.room = 1 << 20
	c.flush()
	require.Nil(t, c.out)

	k.room = 0
	c.Write(small, len(small))
	c.Write(large, len(large))
	require.Equal(t, open, c.now())
	c.Write(large, len(large))
	require.Equal(t, over, c.now(), "a second one counts while the first is under way")
	require.Equal(t, Slow, c.end.Cause)
}

// Who asks for much at once is not slow, but may not have us keep any amount.
func TestAnswersDoNotCount(t *testing.T) {
	k := &kernel{}
	c := &conn{srv: &Server{opts: Options{OutboundBytes: 1000, ThrottleBytes: 1 << 30}}, sock: k}
	snapshot, event := make([]byte, 1500), make([]byte, 1000)
	for range 10 {
		c.Answer(snapshot)
	}
	c.Write(event, len(event))
	require.Equal(t, open, c.now(), "1000 bytes besides answers are within the bound")
	k.room = 14_500
	c.flush()
	c.Write(event[:501], 501)
	require.Equal(t, open, c.now())
	c.Write(event, len(event))
	require.Equal(t, over, c.now(), "answers that were read make no room for more")

	c = &conn{srv: &Server{opts: Options{OutboundBytes: 1000, ThrottleBytes: 1 << 30}}, sock: &kernel{}}
	for range 11 {
		c.Answer(snapshot)
	}
	require.Equal(t, open, c.now())
	c.Answer(snapshot)
	require.Equal(t, over, c.now(), "17 times the bound is as much as may wait")
	require.Equal(t, Slow, c.end.Cause)
}

func TestWriteAllocatesNothing(t *testing.T) {
	k := &kernel{room: 1 << 40, got: make([]byte, 0, 1<<20)}
	c := &conn{srv: &Server{opts: Options{OutboundBytes: 1000, ThrottleBytes: 1000}}, sock: k}
	b := text("a message")
	require.Zero(t, testing.AllocsPerRun(100, func() { k.got = k.got[:0]; c.Write(b, len(b)) }))
}

// A failed write is not the last word: the peer may have said goodbye before.
func TestFailedWrite(t *testing.T) {
	for _, x := range []struct {
		name  string
		still []byte // of the peer, read after the failure
		want  End
	}{
		{"nothing more comes", nil, End{Cause: Lost, Code: 1006, Err: net.ErrClosed}},
		{"a close frame had come", raw.Bytes(raw.Text("bye then"), raw.Close(4321, "")), End{Cause: PeerClosed, Code: 4321}},
		{"garbage had come", raw.Bytes(raw.Frame{Op: 5}), End{Cause: Violation, Code: 1002, Err: BreachReserved}},
	} {
		t.Run(x.name, func(t *testing.T) {
			k, r := &kernel{err: net.ErrClosed}, record(t)
			s := &Server{opts: Options{OutboundBytes: 1000, ThrottleBytes: 1000}, limits: limits{message: 1000}}
			c := &goConn{conn: conn{srv: s, sock: k, h: r}}
			r.Open(c)
			c.Write(text("fails"), 100)
			require.True(t, k.woken)
			c.tell()
			require.Empty(t, r.closed, "told before the rest was read")
			c.feed(x.still)
			c.endOfStream(nil)
			require.Equal(t, x.want, <-r.closed)
			require.Equal(t, over, c.now())
		})
	}
}
