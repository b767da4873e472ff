package e2e

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/config"
	"rollcall/protocol"
)

var partySeed = flag.Uint64("seed", 0, "of the dice of TestClientsOfEveryProtocolAgree; 0: the time")

// Clients of every protocol over every line, in the same rooms of one server,
// know the same members after thousands of random steps; and every leave is
// told once, with the reason that it had.
func TestClientsOfEveryProtocolAgree(t *testing.T) {
	seed := *partySeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-seed %d", seed)
	p := newParty(t, seed)
	rounds := 250
	if testing.Short() {
		rounds = 60
	}
	for round := range rounds {
		p.step()
		if round%4 == 0 {
			p.kick()
		}
		if round%20 == 19 {
			p.agree()
		}
	}
	p.finish()
}

// party is the model: the guests, and what must come of what they did.
type party struct {
	t       *testing.T
	s       *server
	random  *rand.Rand
	guests  []*player
	witness *peer // who is in every room, all the time
	herald  *peer // who joins and leaves to mark an offset

	mu     sync.Mutex
	leaves map[visit][]protocol.Reason // that must be told, in order
	told   map[visit][]protocol.Reason // as the witness heard it
	steps  int
}

// visit is a session in a room.
type visit struct{ session, room string }

// player is a guest with its own dice, and what the model knows of it.
type player struct {
	*guest
	random  *rand.Rand
	session string   // "": not connected
	in      []string // rooms
	left    []string // rooms of a session that was lost and may come back
	lost    string   // that session; "": none
	token   string
}

var partyRooms = []string{"hall", "kitchen", "garden/back"}

func newParty(t *testing.T, seed uint64) *party {
	p := &party{
		t: t, random: rand.New(rand.NewPCG(seed, 0)),
		leaves: map[visit][]protocol.Reason{}, told: map[visit][]protocol.Reason{},
	}
	p.s = start(t, func(c *config.Config) {
		c.Limits.RequestRate, c.Limits.PublishRate, c.Limits.UpdateRate = 0, 0, 0
		c.Presence.FullMax, c.Presence.Interval = 5, 5*time.Millisecond // a room is now in one mode, now in the other
		c.Limits.OutboundBytes = 16 << 20                               // who goes between two polls is lost, and not slow before that
		c.Session.ResumeWindow = 300 * time.Millisecond
	})
	p.witness, p.herald = connect(t, p.s.addr, "user=witness"), connect(t, p.s.addr, "user=herald")
	for _, room := range partyRooms {
		p.witness.join(room)
	}
	for i, over := range []string{"websocket", "websocket", "sockjs websocket", "sockjs xhr", "sockjs xhr_streaming"} {
		for _, speech := range []string{"native", "stomp"} {
			name := fmt.Sprintf("%s%d", speech, i)
			p.guests = append(p.guests, &player{guest: newGuest(p.s, name, over, speech == "stomp"), random: rand.New(rand.NewPCG(seed, uint64(len(p.guests)+1)))})
		}
	}
	t.Cleanup(func() {
		for _, a := range p.guests {
			if a.line != nil {
				a.line.Abort()
			}
		}
	})
	return p
}

// step has every guest do something at random, all at the same time.
func (p *party) step() {
	p.t.Helper()
	problems := make([]error, len(p.guests))
	var all sync.WaitGroup
	for i, a := range p.guests {
		all.Go(func() { problems[i] = p.act(a) })
	}
	all.Wait()
	require.NoError(p.t, errors.Join(problems...))
	p.steps += len(p.guests)
}

// act is one step of one guest.
func (p *party) act(a *player) error {
	if a.session == "" {
		return p.arrive(a)
	}
	switch dice := a.random.IntN(20); {
	case dice == 0:
		said, err := a.part()
		if err != nil {
			return err
		}
		p.over(a, said)
		return nil
	case dice == 1:
		token := a.guest.token
		if err := a.cut(); err != nil {
			return err
		}
		if token != "" {
			a.lost, a.left, a.token = a.session, a.in, token
			a.session, a.in = "", nil
		} else {
			p.over(a, false)
		}
		return nil
	case dice < 5 && !a.stomp && len(a.in) > 0:
		return a.update(a.in[a.random.IntN(len(a.in))], dice)
	case dice < 8 && (a.stomp || len(a.in) > 0):
		rooms := a.in
		if a.stomp {
			rooms = partyRooms
		}
		return a.publish(rooms[a.random.IntN(len(rooms))])
	}
	room := partyRooms[a.random.IntN(len(partyRooms))]
	if i := slices.Index(a.in, room); i >= 0 {
		a.in = slices.Delete(a.in, i, i+1)
		p.expect(visit{a.session, room}, protocol.ReasonLeft)
		return a.leave(room)
	}
	a.in = append(a.in, room)
	return a.join(room, a.random.IntN(2) == 0)
}

// arrive connects a guest. One that was lost asks for its session again; where
// it is too late, that one leaves as lost.
func (p *party) arrive(a *player) error {
	a.guest.token = a.token
	if err := a.connect(); err != nil {
		return err
	}
	lost := a.lost
	a.lost, a.token, a.session = "", "", a.guest.session
	switch {
	case lost == "":
		return nil
	case a.resumed != (a.session == lost):
		return fmt.Errorf("%s: resumed: %v, as session %s, once %s", a, a.resumed, a.session, lost)
	case !a.resumed:
		for _, room := range a.left {
			p.expect(visit{lost, room}, protocol.ReasonLost)
		}
		return nil
	}
	a.in = a.left // it is still there, and joins again to be told
	for _, room := range a.in {
		if err := a.join(room, false); err != nil {
			return err
		}
	}
	return nil
}

// over notes that a guest's session ends: what it said, or that it is lost.
func (p *party) over(a *player, said bool) {
	reason := protocol.ReasonLost
	if said {
		reason = protocol.ReasonClosed
	}
	for _, room := range a.in {
		p.expect(visit{a.session, room}, reason)
	}
	a.session, a.in = "", nil
}

func (p *party) expect(v visit, reason protocol.Reason) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leaves[v] = append(p.leaves[v], reason)
}

// kick takes somebody out of a room by the API; it must see that itself.
func (p *party) kick() {
	p.t.Helper()
	a := p.guests[p.random.IntN(len(p.guests))]
	if len(a.in) == 0 {
		return
	}
	room := a.in[p.random.IntN(len(a.in))]
	p.expect(visit{a.session, room}, protocol.ReasonKicked)
	status, body := p.s.call(p.t, "DELETE", "/api/v1/rooms/"+url.PathEscape(room)+"/members/"+a.session, "")
	require.Equal(p.t, 204, status, body)
	require.NoError(p.t, a.await("its own leave", func() bool { return a.views[room] == nil }))
	a.in = slices.DeleteFunc(a.in, func(r string) bool { return r == room })
	if a.stomp { // the subscription to messages is over, too
		require.NoError(p.t, a.tell("UNSUBSCRIBE", "", "id", "m"+room, "receipt", a.next()))
	}
	p.steps++
}

// agree marks an offset in each room by a join, and compares what everybody
// knew there with the snapshot.
func (p *party) agree() {
	p.t.Helper()
	for _, room := range partyRooms {
		j := p.herald.join(room)
		require.NotEqual(p.t, protocol.ModeCount, j.Mode)
		var truth []string
		for i := range j.Members {
			truth = append(truth, j.Members[i].Session)
		}
		slices.Sort(truth)
		for _, a := range p.guests {
			inside := slices.Contains(a.in, room)
			require.Equal(p.t, inside, slices.Contains(a.rooms(), room), "%s is in %s", a, room)
			if !inside {
				continue
			}
			require.Contains(p.t, truth, a.session)
			require.NoError(p.t, a.await("the mark", func() bool { return a.views[room].offset >= j.Offset }))
			require.Equal(p.t, truth, a.members(room, j.Offset), "the members of %s as %s knows them, at offset %d", room, a, j.Offset)
		}
		p.herald.send(&protocol.Leave{Request: protocol.Request{ID: 9, Room: room}})
		want[*protocol.OK](p.herald)
	}
	for _, a := range p.guests {
		a.mu.Lock()
		require.Empty(p.t, a.problems)
		a.mu.Unlock()
	}
}

// finish has everybody go, and compares the leaves that the witness was told
// with those that there were.
func (p *party) finish() {
	p.t.Helper()
	for _, a := range p.guests {
		switch {
		case a.session != "":
			said, err := a.part()
			require.NoError(p.t, err)
			p.over(a, said)
		case a.lost != "":
			for _, room := range a.left {
				p.expect(visit{a.lost, room}, protocol.ReasonLost)
			}
		}
	}
	left := 0
	for _, reasons := range p.leaves {
		left += len(reasons)
	}
	own := map[string]bool{p.witness.session: true, p.herald.session: true}
	for left > 0 {
		m := p.witness.next()
		require.NotNil(p.t, m, "the witness is cut: %v", p.witness.ended)
		room := ""
		switch m := m.(type) {
		case *protocol.MemberLeft:
			room = m.Room
		case *protocol.Presence:
			room = m.Room
		}
		for session, reason := range leavesIn(m) {
			if !own[session] {
				v := visit{session, room}
				p.told[v] = append(p.told[v], reason)
				left--
			}
		}
	}
	for v := range p.told {
		p.leaves[v] = append([]protocol.Reason(nil), p.leaves[v]...)
	}
	for v, reasons := range p.leaves {
		require.Equal(p.t, reasons, p.told[v], "the leaves of session %s in %s", v.session, v.room)
	}
	for _, room := range partyRooms {
		_, body := p.s.call(p.t, "GET", "/api/v1/rooms/"+url.PathEscape(room), "")
		require.Contains(p.t, body, `"sessions":1`, "the witness is alone")
	}
	p.t.Logf("%d steps, %d visits", p.steps, len(p.leaves))
}
