package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/client"
	"rollcall/config"
	"rollcall/protocol"
)

// member is a Client in the lobby.
func member(t *testing.T, s *server, o client.Options) *client.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	o.MinBackoff, o.MaxBackoff = time.Millisecond, 10*time.Millisecond
	c, err := client.Dial(ctx, "ws://"+s.addr, o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	_, err = c.Join(ctx, "lobby", client.Join{})
	require.NoError(t, err)
	return c
}

// A Client whose connection breaks time and again, while it publishes, is seen
// as lost and as active, never to leave; and each message is told once.
func TestAClientWhoseConnectionBreaksIsNotMissed(t *testing.T) {
	const breaks, messages = 10, 100
	s := start(t, func(c *config.Config) {
		c.Session.ResumeWindow = time.Minute
		c.Limits.PublishRate = 0
	})
	ann := member(t, s, client.Options{User: "ann", Events: 10 * messages})
	bob := member(t, s, client.Options{User: "bob"})
	session := bob.Welcome().Session
	entered, again := make(chan struct{}, 2*breaks), make(chan struct{}, 1)
	go func() {
		for e := range bob.Events() {
			if _, ok := e.(*protocol.Joined); ok {
				entered <- struct{}{}
				select {
				case again <- struct{}{}:
				default:
				}
			}
		}
	}()
	<-entered

	published := make(chan error, 1)
	go func() {
		for i := 0; i < messages; {
			_, err := bob.PublishOnce(t.Context(), "lobby", fmt.Sprint("k", i), i)
			switch {
			case err == nil:
				i++
			case errors.Is(err, client.ErrOffline):
				<-again
			default:
				published <- err
				return
			}
		}
		published <- nil
	}()
	for range breaks {
		bob.Abort()
		<-entered
	}
	require.NoError(t, <-published)
	require.Equal(t, session, bob.Welcome().Session)

	var lost, back, said int
	for said < messages {
		switch e := (<-ann.Events()).(type) {
		case *protocol.MemberLeft:
			t.Fatalf("%s left: %s", e.User, e.Reason)
		case *protocol.MemberUpdated:
			switch e.State {
			case protocol.StateLost:
				lost++
			case protocol.StateActive:
				back++
			}
		case *protocol.MessagePublished:
			require.Equal(t, fmt.Sprint(said), string(e.Data), "each once, in order")
			require.Equal(t, session, e.Session)
			said++
		}
	}
	require.LessOrEqual(t, back, lost)
}
