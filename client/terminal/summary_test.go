package terminal

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/protocol"
)

func TestACrowdIsSummedUp(t *testing.T) {
	for n, want := range map[int]string{1: "Ann", 2: "Ann and Bob", 3: "Ann, Bob and one other", 50: "Ann, Bob and 48 others"} {
		var c crowd
		for i := range n {
			c.add([]string{"Ann", "Bob", "Cy"}[min(i, 2)])
		}
		if got := c.String(); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

// frame is a presence frame behind offset: so many people come, and those leave.
func frame(from uint64, come int, leave ...string) *protocol.Presence {
	p := &protocol.Presence{Room: "lobby", From: from, Offset: from - 1, Count: protocol.Count{Sessions: 60, Users: 50}}
	for i := range come {
		p.Offset++
		p.Joins = append(p.Joins, protocol.MemberJoined{
			Stamp: protocol.Stamp{Offset: p.Offset, At: 1}, First: true,
			Member: protocol.Member{Session: fmt.Sprint("s_c", p.Offset), User: fmt.Sprint("u", p.Offset), Name: fmt.Sprint("P", i+1)},
		})
	}
	for _, session := range leave {
		p.Offset++
		p.Leaves = append(p.Leaves, protocol.MemberLeft{Stamp: protocol.Stamp{Offset: p.Offset, At: 1}, Session: session, User: "bob", Reason: protocol.ReasonClosed, Last: true})
	}
	return p
}

func TestABatchIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := entered(t)
		c.peer.Send(&protocol.ModeChanged{Room: "lobby", Mode: protocol.ModeBatch, Offset: 10})
		c.want("! so many come and go that it is summed up")

		small := frame(11, 1, "s_4")
		small.Offset++
		small.Updates = []protocol.MemberUpdated{{Stamp: protocol.Stamp{Offset: 13, At: 1}, Session: "s_2", User: "ann", State: protocol.StateLost}}
		c.peer.Send(small)
		c.want("→ P1 came", "← Bob left: closed the window", "· Ann lost the connection, and may come back")

		began := time.Now()
		c.peer.Send(frame(14, 10))
		time.Sleep(250 * time.Millisecond)
		c.peer.Send(frame(24, 2, "s_c15"))
		c.want("→ P1, P2 and 10 others came; 50 here", "← P2 left; 50 here")
		require.Equal(t, summaryInterval, time.Since(began), "what comes meanwhile is part of it")

		c.peer.Send(frame(27, 20))
		began = time.Now()
		c.peer.Send(message(47, "ann", "Ann", `"hi"`))
		c.want("→ P1, P2 and 18 others came; 50 here", "Ann: hi")
		require.Zero(t, time.Since(began), "a message comes behind what was before it")
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Empty(t, c.out)
	})
}

func TestAVeryLargeRoomIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := entered(t)
		count := func(users int) protocol.Count { return protocol.Count{Sessions: 2 * users, Users: users, Observers: 2} }
		c.peer.Send(&protocol.ModeChanged{Room: "lobby", Mode: protocol.ModeCount, Offset: 10})
		c.want("! so many are here that only their number is told")
		for i := range 100 {
			c.peer.Send(&protocol.Occupancy{Room: "lobby", Offset: uint64(20 + i), Count: count(9000 + i)})
			time.Sleep(time.Second)
		}
		for i := range 10 {
			c.want(fmt.Sprintf("! %d (and 2 watching) here", 9000+10*i))
		}
		synctest.Wait()
		require.Empty(t, c.out, "not every second")

		c.typed("/who\n")
		page := c.peer.Command().(*protocol.Members)
		c.peer.Send(&protocol.MemberList{ID: page.ID, Room: "lobby", Next: "x", Count: count(9099), Members: []protocol.Member{
			{Session: "s_2", User: "ann", Name: "Ann", State: protocol.StateLost}, {Session: "s_1", User: "kim", Name: "Kim", State: protocol.StateActive},
		}})
		c.want("! 9099 (and 2 watching) here in lobby: Ann (lost), Kim (you) and 9097 more")
		c.typed("/who\n")
		c.peer.Send(&protocol.Error{ID: c.peer.Command().RequestID(), Code: protocol.ErrRateLimited, Message: "slow down"})
		c.want("! nobody says who is here: rate_limited: slow down")

		began := time.Now()
		c.peer.Send(&protocol.ModeChanged{Room: "lobby", Mode: protocol.ModeBatch, Offset: 900})
		c.want("! so many come and go that it is summed up")
		join := c.peer.Command().(*protocol.Join)
		require.Equal(t, &protocol.Position{Epoch: "e1", Offset: 900}, join.Since)
		require.NotZero(t, time.Since(began), "everybody else asks, too")
		require.Less(t, time.Since(began), time.Minute)
		c.peer.Send(snapshot(join.ID, 901))
		synctest.Wait()
		c.typed("/who\n")
		c.want("! 3 here in lobby: Ann (idle, 2 sessions), Bob, Kim (you)")
	})
}

func TestWhoComesBackIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := entered(t)
		c.peer.Drop()
		c.out.skipTo(t, "! connecting, attempt 1")
		c.peer = c.server.Resume("t_1", "s_1", "t_2")
		c.peer.Send(snapshot(c.peer.Command().RequestID(), 12))
		c.want("! back in lobby; nobody saw you leave", "! 3 here in lobby: Ann (idle, 2 sessions), Bob, Kim (you)")

		c.peer.Send(&protocol.MemberUpdated{Stamp: at(13), Session: "s_4", User: "bob", State: protocol.StateUnresponsive})
		c.want("· Bob does not respond")
		c.peer.Send(&protocol.MemberUpdated{Stamp: at(14), Session: "s_4", User: "bob", State: protocol.StateActive})
		c.want("· Bob responds again")
	})
}
