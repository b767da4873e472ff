package client

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/client/internal/fake"
	"rollcall/protocol"
)

func TestRequestsReturnTheirAnswers(t *testing.T) {
	c, p := dial(t, fake.New(t), Options{NoReconnect: true})
	r := func(id uint64) protocol.Request { return protocol.Request{ID: id, Room: "lobby"} }
	ok := func(id uint64) *protocol.OK { return &protocol.OK{ID: id, Offset: 42, Epoch: "e1", Message: "m_2"} }
	list := &protocol.MemberList{ID: 7, Room: "lobby", Members: []protocol.Member{{Session: "s_1"}}, Next: "9"}
	page := &protocol.Messages{ID: 8, Room: "lobby", Messages: []protocol.MessagePublished{*message(3)}, More: true}
	for _, tt := range []struct {
		name    string
		request func() (any, error)
		sent    protocol.Command
		answer  protocol.Message
		want    any
	}{
		{"Join", func() (any, error) {
			return c.Join(t.Context(), "lobby", Join{Data: json.RawMessage(`{"a": 1}`), History: 5, Since: &protocol.Position{Epoch: "e0", Offset: 3}})
		}, &protocol.Join{Request: r(1), Data: json.RawMessage(`{"a": 1}`), History: 5, Since: &protocol.Position{Epoch: "e0", Offset: 3}}, lobby(1, 41), lobby(1, 41)},
		{"Publish", func() (any, error) { return c.Publish(t.Context(), "lobby", map[string]string{"text": "hi"}) },
			&protocol.Publish{Request: r(2), Data: json.RawMessage(`{"text":"hi"}`)}, ok(2), ok(2)},
		{"PublishOnce", func() (any, error) { return c.PublishOnce(t.Context(), "lobby", "k1", "hi") },
			&protocol.Publish{Request: r(3), Data: json.RawMessage(`"hi"`), Key: "k1"}, ok(3), ok(3)},
		{"Publish of nothing", func() (any, error) { return c.Publish(t.Context(), "lobby", nil) },
			&protocol.Publish{Request: r(4), Data: json.RawMessage(`null`)}, ok(4), ok(4)},
		{"Update", func() (any, error) { return c.Update(t.Context(), "lobby", true) },
			&protocol.Update{Request: r(5), Data: json.RawMessage(`true`)}, ok(5), ok(5)},
		{"Signal", func() (any, error) { return nil, c.Signal(t.Context(), "lobby", 1) },
			&protocol.Signal{Request: r(6), Data: json.RawMessage(`1`)}, &protocol.OK{ID: 6}, nil},
		{"Members", func() (any, error) { return c.Members(t.Context(), "lobby", 10, "c") },
			&protocol.Members{Request: r(7), Limit: 10, Cursor: "c"}, list, list},
		{"History", func() (any, error) { return c.History(t.Context(), "lobby", 41, 10) },
			&protocol.History{Request: r(8), Before: 41, Limit: 10}, page, page},
		{"Ping", func() (any, error) { return c.Ping(t.Context()) },
			&protocol.Ping{Request: protocol.Request{ID: 9}}, &protocol.Pong{ID: 9, At: 5}, &protocol.Pong{ID: 9, At: 5}},
		{"Leave", func() (any, error) { return nil, c.Leave(t.Context(), "lobby") },
			&protocol.Leave{Request: r(10)}, &protocol.OK{ID: 10}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := asking(tt.request)
			require.Equal(t, tt.sent, p.Command())
			p.Send(tt.answer)
			a := <-got
			require.NoError(t, a.err)
			require.Equal(t, tt.want, a.value)
		})
	}
	next[*protocol.Joined](t, c) // an answer, and the start of a stream
	require.Empty(t, c.Events(), "other answers are no events")
}

func TestARefusedRequestReturnsTheError(t *testing.T) {
	c, p := dial(t, fake.New(t), Options{NoReconnect: true})
	got := asking(func() (*protocol.OK, error) { return c.Publish(t.Context(), "lobby", 1) })
	want := &protocol.Error{ID: p.Command().RequestID(), Code: protocol.ErrRateLimited, Message: "slow down", Room: "lobby", RetryMS: 250}
	p.Send(want)
	require.Equal(t, error(want), (<-got).err)

	got = asking(func() (*protocol.OK, error) { return c.Publish(t.Context(), "lobby", 1) })
	p.Send(&protocol.Pong{ID: p.Command().RequestID()})
	require.ErrorContains(t, (<-got).err, "*protocol.Publish answered with *protocol.Pong")
	require.Empty(t, c.Events())
}

func TestAnswersFindTheirRequestsInAnyOrder(t *testing.T) {
	c, p := dial(t, fake.New(t), Options{NoReconnect: true})
	one := asking(func() (*protocol.OK, error) { return c.Publish(t.Context(), "lobby", 1) })
	first := p.Command()
	two := asking(func() (*protocol.OK, error) { return c.Publish(t.Context(), "lobby", 2) })
	second := p.Command()
	require.NotEqual(t, first.RequestID(), second.RequestID())
	p.Send(&protocol.OK{ID: second.RequestID(), Offset: 2})
	require.Equal(t, uint64(2), (<-two).value.Offset)
	p.Send(&protocol.OK{ID: first.RequestID(), Offset: 1})
	require.Equal(t, uint64(1), (<-one).value.Offset)
}

func TestEventsComeInOrder(t *testing.T) {
	c, p := dial(t, fake.New(t), Options{NoReconnect: true})
	sent := []protocol.Message{
		lobby(0, 1), message(2),
		&protocol.MemberJoined{Stamp: protocol.Stamp{Room: "lobby", Offset: 3}, Member: protocol.Member{Session: "s_2"}, First: true},
		&protocol.MemberUpdated{Stamp: protocol.Stamp{Room: "lobby", Offset: 7, Prev: 3}, Session: "s_2", State: protocol.StateIdle},
		&protocol.Signaled{Room: "lobby", Session: "s_2", Data: json.RawMessage(`1`)},
		&protocol.MemberLeft{Stamp: protocol.Stamp{Room: "lobby", Offset: 8}, Session: "s_2", Reason: protocol.ReasonLost},
		&protocol.Error{Code: protocol.ErrRoomFull, Message: "full", Room: "attic"},
		&protocol.Pong{At: 1},
		&protocol.OK{}, // nobody asked, and no id says that somebody did
	}
	for _, m := range sent {
		p.Send(m)
	}
	p.Text([]byte(`{"type":"weather","room":"lobby"}`)) // of the future
	p.Send(message(9))
	for _, want := range append(sent, message(9)) {
		require.Equal(t, Event(want), <-c.Events())
	}
}

func TestARequestThatGaveUpLeavesNothingBehind(t *testing.T) {
	c, p := dial(t, fake.New(t), Options{NoReconnect: true})
	ctx, cancel := context.WithCancel(t.Context())
	published := asking(func() (*protocol.OK, error) { return c.Publish(ctx, "lobby", 1) })
	publish := p.Command()
	joined := asking(func() (*protocol.Joined, error) { return c.Join(ctx, "lobby", Join{}) })
	join := p.Command()
	cancel()
	require.ErrorIs(t, (<-published).err, context.Canceled)
	require.ErrorIs(t, (<-joined).err, context.Canceled)
	_, err := c.Ping(ctx)
	require.ErrorIs(t, err, context.Canceled, "nothing is sent")

	p.Send(&protocol.OK{ID: publish.RequestID()})
	p.Send(lobby(join.RequestID(), 3))
	p.Send(message(4))
	next[*protocol.Joined](t, c) // late, but the client is in the room
	next[*protocol.MessagePublished](t, c)
}

func TestRequestsFailWithTheConnection(t *testing.T) {
	c, p := dial(t, fake.New(t), Options{NoReconnect: true})
	got := asking(func() (*protocol.OK, error) { return c.Publish(t.Context(), "lobby", 1) })
	p.Command()
	p.Drop()
	require.ErrorIs(t, (<-got).err, ErrUnanswered)
	<-c.Done()
	_, err := c.Publish(t.Context(), "lobby", 1)
	require.ErrorIs(t, err, ErrOffline)
	require.ErrorIs(t, c.Leave(t.Context(), "lobby"), ErrOffline)
}

func TestBadDataIsNotSent(t *testing.T) {
	c, _ := dial(t, fake.New(t), Options{NoReconnect: true})
	for name, request := range map[string]func(any) error{
		"Join":    func(v any) error { _, err := c.Join(t.Context(), "lobby", Join{Data: v}); return err },
		"Publish": func(v any) error { _, err := c.Publish(t.Context(), "lobby", v); return err },
		"Update":  func(v any) error { _, err := c.Update(t.Context(), "lobby", v); return err },
		"Signal":  func(v any) error { return c.Signal(t.Context(), "lobby", v) },
	} {
		for _, v := range []any{make(chan int), json.RawMessage(`{"a":`), json.RawMessage(`{"a":1,"a":1}`), json.RawMessage{}} {
			require.ErrorContains(t, request(v), "encode data", name)
		}
	}
}

// Nothing is dropped: what the user does not read stays with the server.
func TestEventsNobodyReadsHoldTheServerBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const waiting, sent = 4, 50
		c, p := dial(t, fake.NewPipe(t), Options{NoReconnect: true, Events: waiting})
		enter(t, c, p, 0, Join{})
		through := 0
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range sent {
				p.Send(message(uint64(i + 1)))
				through++
			}
		}()
		synctest.Wait()
		require.Less(t, through, waiting+3, "the server is not held back")
		for i := range sent {
			require.Equal(t, uint64(i+1), next[*protocol.MessagePublished](t, c).Offset)
		}
		<-done
	})
}

func TestAClientEndsWithItsConnectionIfToldTo(t *testing.T) {
	c, p := dial(t, fake.New(t), Options{NoReconnect: true})
	bye := &protocol.Bye{Code: 4000, Reason: "shutdown", Reconnect: true, AfterMS: 100}
	p.Send(bye)
	p.Close(4000, "shutdown")
	require.Equal(t, bye, next[*protocol.Bye](t, c))
	end := &CloseError{Code: 4000, Reason: "shutdown"}
	require.Equal(t, &Offline{Err: end, Bye: bye, Final: true}, next[*Offline](t, c))
	_, open := <-c.Events()
	require.False(t, open)
	<-c.Done()
	require.Equal(t, error(end), c.Err())
	require.NoError(t, c.Close())
	require.Nil(t, c.Conn())
}

func TestCloseSaysGoodbye(t *testing.T) {
	c, p := dial(t, fake.New(t), Options{})
	p.Send(message(1))
	closed := asking(func() (any, error) { return nil, c.CloseWith(3001, "bored") })
	h, payload := p.Frame()
	require.True(t, h.OpCode.IsControl())
	require.Equal(t, "\x0b\xb9bored", string(payload))
	p.Send(message(2))
	p.Echo(3001)
	require.NoError(t, (<-closed).err)
	require.Equal(t, error(&CloseError{Code: 3001}), c.Err())
	for e := range c.Events() { // what was taken before is still there, and then an end
		require.NotNil(t, e)
	}
}

func TestCloseIsNotHeldUpByEventsNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dial(t, fake.NewPipe(t), Options{Events: 1})
		go func() {
			for i := range uint64(10) {
				p.Send(message(i + 1))
			}
			p.Closing()
			p.Echo(1000)
		}()
		synctest.Wait()
		require.NoError(t, c.Close())
		require.NoError(t, c.Close(), "twice is once")
	})
}

func TestCloseDoesNotWaitForADeadServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := dial(t, fake.NewPipe(t), Options{CloseTimeout: 2 * time.Second})
		began := time.Now()
		closed := asking(func() (any, error) { return nil, c.Close() })
		require.Equal(t, protocol.CloseNormal, p.Closing())
		require.NoError(t, (<-closed).err)
		require.Equal(t, 2*time.Second, time.Since(began))
	})
}

func TestDialWaitsForWelcome(t *testing.T) {
	for _, tt := range []struct {
		name string
		play func(*fake.Peer)
		want string
	}{
		{"another message", func(p *fake.Peer) { p.Send(&protocol.Pong{}); p.Closing(); p.Drop() }, "the server began with *protocol.Pong"},
		{"no JSON", func(p *fake.Peer) { p.Text([]byte("hello")); p.Closing(); p.Drop() }, "decode message"},
		{"a close", func(p *fake.Peer) { p.Close(4004, "overloaded") }, `connection closed: 4004 "overloaded"`},
		{"silence", func(*fake.Peer) {}, "waiting for welcome: context deadline exceeded"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := fake.NewPipe(t)
				dialled := asking(func() (*Client, error) { return Dial(t.Context(), s.URL, Options{NetDial: s.Dial}) })
				tt.play(s.Accept())
				a := <-dialled
				require.Nil(t, a.value)
				require.ErrorContains(t, a.err, tt.want)
			})
		})
	}
	_, err := Dial(t.Context(), "nowhere", Options{})
	require.ErrorContains(t, err, "server address")
}

func TestAMessageThatCannotBeReadEndsTheConnection(t *testing.T) {
	c, p := dial(t, fake.New(t), Options{})
	p.Text([]byte(`{"type":"pong","at":"noon"}`))
	require.Equal(t, protocol.CloseInvalidUTF8, p.Closing())
	p.Drop()
	end := next[*Offline](t, c)
	require.True(t, end.Final)
	require.ErrorContains(t, end.Err, "decode message")
}
