package transport

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/internal/conformance/raw"
)

// answer is what Quiet tells.
type answer struct {
	d     time.Duration
	known bool
}

func quiet(t *testing.T, c Conn) answer {
	t.Helper()
	told := make(chan answer, 1)
	c.Quiet(func(d time.Duration, known bool) { told <- answer{d, known} })
	return await(t, told, "what Quiet tells")
}

// Quiet counts from the last byte, whether a ping came in between or not.
func TestQuietCountsFromTheLastByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record(t)
		c, frames := pipe(t, minutes, r)
		conn := <-r.opened
		about := func(want time.Duration) {
			t.Helper()
			a := quiet(t, conn)
			require.True(t, a.known)
			require.InDelta(t, want.Seconds(), a.d.Seconds(), 1)
		}
		about(0)
		time.Sleep(20 * time.Second)
		about(20 * time.Second)
		require.Equal(t, "ping", <-frames) // after 25 s
		time.Sleep(6 * time.Second)
		about(31 * time.Second)
		_, err := c.Write(raw.Bytes(raw.Pong("")))
		require.NoError(t, err)
		time.Sleep(3 * time.Second)
		about(3 * time.Second)
		conn.Pause()
		time.Sleep(time.Minute)
		require.Equal(t, answer{}, quiet(t, conn), "nobody reads: nobody knows")
		conn.Close(4000, "")
		require.Equal(t, "close", <-frames)
		<-r.closed
		require.Equal(t, answer{}, quiet(t, conn))
	})
}

// Over real sockets of every kind it is told, and no more once there is an end.
func TestQuietIsToldByEveryDriver(t *testing.T) {
	everyWay(t, func(t *testing.T, mode string, secure bool) {
		_, r, c := pair(t, Options{Mode: mode, HeartbeatInterval: time.Minute, HeartbeatTimeout: time.Minute, CloseTimeout: time.Minute}, secure)
		conn := await(t, r.opened, "Open")
		_, err := c.Write(raw.Bytes(raw.Text("hi")))
		require.NoError(t, err)
		await(t, r.messages, "the message")
		a := quiet(t, conn)
		require.True(t, a.known)
		require.Less(t, a.d, time.Minute)
		require.NoError(t, c.Close())
		await(t, r.closed, "the end")
		eventually(t, func() bool { return quiet(t, conn) == answer{} }, "nothing to be known")
	})
	_, r, _ := pair(t, Options{}, false)
	require.Equal(t, answer{}, quiet(t, await(t, r.opened, "Open")), "without a heartbeat nobody counts")
}

func TestClockTellsSilence(t *testing.T) {
	k := newClock(25*time.Second, 10*time.Second, 2*time.Second)
	for _, row := range []struct {
		left   uint8
		pinged bool
		want   answer
	}{
		{k.interval, false, answer{0, true}},
		{1, false, answer{time.Duration(k.interval-1) * k.tick, true}},
		{k.timeout, true, answer{time.Duration(k.interval) * k.tick, true}},
		{1, true, answer{time.Duration(k.interval+k.timeout-1) * k.tick, true}},
		{0, false, answer{}},
		{0, true, answer{}},
	} {
		d, known := k.quiet(row.left, row.pinged)
		require.Equal(t, row.want, answer{d, known}, "%+v", row)
	}
}
