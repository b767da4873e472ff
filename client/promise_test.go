package client

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/client/internal/fake"
	"rollcall/protocol"
)

func TestPromisedPingsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fake.NewPipe(t)
		c, p := dial(t, s, Options{Heartbeat: 20 * time.Second, Quiet: -1})
		for range 2 {
			require.Equal(t, "20000", p.Query.Get("heartbeat_ms"))
			for range 3 {
				began := time.Now()
				require.Equal(t, &protocol.Ping{}, p.Command(), "without an id: nothing is to answer")
				require.Equal(t, 20*time.Second, time.Since(began))
			}
			broken(t, c, p)
			p = s.Welcome("s_2")
			next[*Online](t, c)
		}
	})
}

func TestAProgramThatHangsBreaksItsPromise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dial(t, fake.NewPipe(t), Options{Heartbeat: time.Second, Quiet: -1, Events: 1})
		p.Send(message(1)) // nobody takes it
		said := make(chan protocol.Command)
		go func() {
			defer close(said)
			said <- p.Command()
		}()
		select {
		case cmd := <-said:
			t.Fatalf("%#v while an event waits", cmd)
		case <-time.After(10 * time.Second):
		}
		next[*protocol.MessagePublished](t, c)
		require.Equal(t, &protocol.Ping{}, <-said)
		<-said
	})
}

func TestAPromiseHasBounds(t *testing.T) {
	for _, d := range []time.Duration{-1, time.Millisecond, 5*time.Minute + 1} {
		_, err := Dial(t.Context(), "ws://nowhere.invalid", Options{Heartbeat: d})
		require.ErrorContains(t, err, "heartbeat")
	}
}

func TestEveryMessageIsTraced(t *testing.T) {
	var seen []protocol.Message
	s := fake.New(t)
	c, p := dial(t, s, Options{NoReconnect: true, Trace: func(m protocol.Message) { seen = append(seen, m) }})
	got := asking(func() (*protocol.Pong, error) { return c.Ping(t.Context()) })
	pong := &protocol.Pong{ID: p.Command().RequestID(), At: 5}
	p.Send(pong)
	require.NoError(t, (<-got).err)
	p.Text([]byte(`{"type":"weather"}`))
	p.Send(message(1))
	p.Drop()
	<-c.Done()
	require.Equal(t, []protocol.Message{fake.Welcome("s_1"), pong, message(1)}, seen)
}
