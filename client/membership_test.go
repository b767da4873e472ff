package client

import (
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/client/internal/fake"
	"rollcall/protocol"
)

func TestWhatIsTheNextOne(t *testing.T) {
	stamp := func(offset, prev uint64) protocol.Stamp {
		return protocol.Stamp{Room: "lobby", Offset: offset, Prev: prev}
	}
	says := func(offset, prev uint64) protocol.Message {
		return &protocol.MessagePublished{Stamp: stamp(offset, prev)}
	}
	presence := func(from, offset, prev uint64) protocol.Message {
		return &protocol.Presence{Room: "lobby", From: from, Offset: offset, Prev: prev}
	}
	occupancy := func(offset uint64) protocol.Message { return &protocol.Occupancy{Room: "lobby", Offset: offset} }
	mode := func(m protocol.Mode, offset uint64) protocol.Message {
		return &protocol.ModeChanged{Room: "lobby", Mode: m, Offset: offset}
	}
	for _, tt := range []struct {
		story string
		mode  protocol.Mode
		told  protocol.Message // to who has seen 10
		at    uint64           // after it; 10: it is a gap, or nothing new
		gap   bool
	}{
		{"the next message", protocol.ModeFull, says(11, 0), 11, false},
		{"offsets need not be dense", protocol.ModeFull, says(15, 10), 15, false},
		{"a message missed", protocol.ModeFull, says(12, 0), 10, true},
		{"the one before was another", protocol.ModeFull, says(15, 12), 10, true},
		{"a join", protocol.ModeFull, &protocol.MemberJoined{Stamp: stamp(11, 0)}, 11, false},
		{"a leave missed before an update", protocol.ModeFull, &protocol.MemberUpdated{Stamp: stamp(12, 0)}, 10, true},
		{"a batch", protocol.ModeBatch, presence(11, 20, 0), 20, false},
		{"a batch whose first is far", protocol.ModeBatch, presence(14, 20, 10), 20, false},
		{"a batch missed", protocol.ModeBatch, presence(21, 30, 0), 10, true},
		{"a message behind a batch that was missed", protocol.ModeBatch, says(13, 0), 10, true},
		{"the first frame of a mode that was not announced", protocol.ModeFull, presence(11, 12, 0), 12, false},
		{"occupancy", protocol.ModeCount, occupancy(90), 90, false},
		{"a message in count", protocol.ModeCount, says(50, 10), 50, false},
		{"a message in count, another missed", protocol.ModeCount, says(50, 40), 10, true},
		{"into batch", protocol.ModeFull, mode(protocol.ModeBatch, 10), 10, false},
		{"into batch, something missed", protocol.ModeFull, mode(protocol.ModeBatch, 11), 10, true},
		{"out of count, which leaves things out", protocol.ModeCount, mode(protocol.ModeBatch, 77), 77, false},
		{"a mode of the future has rules of its own", "digest", says(30, 0), 30, false},
	} {
		m := &membership{room: "lobby", mode: tt.mode, at: protocol.Position{Epoch: "e1", Offset: 10}}
		gap := m.saw(tt.told)
		if (gap != nil) != tt.gap || m.at.Offset != tt.at || m.stale != tt.gap {
			t.Errorf("%s: gap %v at %d, stale %t; want a gap %t at %d", tt.story, gap, m.at.Offset, m.stale, tt.gap, tt.at)
		}
		if gap != nil && gap.Have != 10 {
			t.Errorf("%s: have %d, want 10", tt.story, gap.Have)
		}
	}
}

// Whatever comes between a gap and the snapshot is part of the snapshot.
func TestAGapIsToldAndMended(t *testing.T) {
	c, p := dial(t, fake.New(t), Options{NoReconnect: true})
	enter(t, c, p, 5, Join{Data: "mine"})
	p.Send(message(6))
	next[*protocol.MessagePublished](t, c)
	p.Send(message(8))
	require.Equal(t, &Gap{Room: "lobby", Have: 6, Got: 8}, next[*Gap](t, c))
	p.Send(message(9))
	p.Send(&protocol.Signaled{Room: "lobby", Session: "s_2", Data: []byte("1")})
	next[*protocol.Signaled](t, c) // stands in no order
	rejoin := p.Command().(*protocol.Join)
	require.Equal(t, &protocol.Position{Epoch: "e1", Offset: 6}, rejoin.Since)
	require.Equal(t, `"mine"`, string(rejoin.Data))
	back := lobby(rejoin.ID, 9)
	back.Messages = []protocol.MessagePublished{*message(8), *message(9)}
	p.Send(back)
	require.Equal(t, back, next[*protocol.Joined](t, c))
	p.Send(message(10))
	next[*protocol.MessagePublished](t, c)
	require.Empty(t, c.Events(), "one gap, one join")
}

func TestAGapDoesNotHideOnesOwnLeave(t *testing.T) {
	c, p := dial(t, fake.New(t), Options{NoReconnect: true})
	enter(t, c, p, 5, Join{})
	p.Send(message(8))
	next[*Gap](t, c)
	rejoin := p.Command()
	p.Send(&protocol.MemberLeft{Stamp: protocol.Stamp{Room: "lobby", Offset: 12}, Session: "s_1", Reason: protocol.ReasonKicked})
	next[*protocol.MemberLeft](t, c)
	p.Send(&protocol.Error{ID: rejoin.RequestID(), Code: protocol.ErrUnavailable, Room: "lobby"})
	_, err := c.Refresh(t.Context(), "lobby")
	require.ErrorIs(t, err, ErrNotJoined)
}

func TestRefreshLeavesOutWhatWasAnEvent(t *testing.T) {
	c, p := dial(t, fake.New(t), Options{NoReconnect: true})
	enter(t, c, p, 5, Join{Observe: true})
	p.Send(message(6))
	next[*protocol.MessagePublished](t, c)
	got := asking(func() (*protocol.Joined, error) { return c.Refresh(t.Context(), "lobby") })
	join := p.Command().(*protocol.Join)
	require.Equal(t, &protocol.Position{Epoch: "e1", Offset: 6}, join.Since)
	p.Send(message(7)) // on its way when the snapshot was asked for
	next[*protocol.MessagePublished](t, c)
	fresh := lobby(join.ID, 8)
	fresh.Messages = []protocol.MessagePublished{*message(7), *message(8)}
	p.Send(fresh)
	want := *fresh
	want.Messages = []protocol.MessagePublished{*message(8)}
	answer := <-got
	require.NoError(t, answer.err)
	require.Equal(t, &want, answer.value)
	require.Equal(t, &want, next[*protocol.Joined](t, c))

	got = asking(func() (*protocol.Joined, error) { return c.Refresh(t.Context(), "lobby") })
	p.Send(&protocol.Error{ID: p.Command().RequestID(), Code: protocol.ErrRateLimited, Room: "lobby"})
	require.Error(t, (<-got).err, "and it is still in")
	p.Send(message(9))
	next[*protocol.MessagePublished](t, c)
}

func TestAnObserverComesBackAsOne(t *testing.T) {
	s := fake.New(t)
	c, p := dial(t, s, Options{})
	got := asking(func() (*protocol.Joined, error) { return c.Join(t.Context(), "lobby", Join{Observe: true}) })
	join := p.Command().(*protocol.Join)
	require.True(t, join.Observe)
	watching := lobby(join.ID, 5)
	watching.Observer = true
	p.Send(watching)
	require.True(t, (<-got).value.Observer)
	next[*protocol.Joined](t, c)
	p.Drop()
	next[*Offline](t, c)
	next[*Connecting](t, c)
	p = s.Resume("t_1", "s_1", "t_1b")
	next[*Online](t, c)
	require.True(t, p.Command().(*protocol.Join).Observe)
}
