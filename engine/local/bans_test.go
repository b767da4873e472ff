package local

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/bans"
	"rollcall/engine"
)

// TestBansOfAllRoomsAreBounded: of rooms that are closed, too, and what is over
// anywhere makes room everywhere.
func TestBansOfAllRoomsAreBounded(t *testing.T) {
	e := New(Options{Bans: 3, AllBans: 4})
	propose := func(name string, p *engine.Proposal) engine.Outcome {
		r, _, err := e.Open(name, nil)
		require.NoError(t, err)
		defer r.Close()
		o, settled := r.Propose(p)
		require.True(t, settled)
		return o
	}
	ban := func(room, id string, at, until int64) error {
		return propose(room, &engine.Proposal{Kind: engine.Ban, Ban: &bans.Ban{ID: id, Who: bans.Who{User: id}, At: at, Until: until}, At: at}).Err
	}
	require.NoError(t, ban("a", "b1", 1, 10))
	require.NoError(t, ban("a", "b2", 1, 10))
	require.NoError(t, ban("a", "b3", 1, 0))
	require.ErrorIs(t, ban("a", "b4", 2, 0), bans.ErrFull, "of the room")
	require.NoError(t, ban("b", "b5", 2, 0))
	require.ErrorIs(t, ban("c", "b6", 3, 0), bans.ErrFull, "of them all")
	require.NoError(t, ban("b", "b5", 4, 0), "a repeat is no more")
	require.NoError(t, ban("c", "b6", 10, 0), "two of a are over")
	require.NoError(t, ban("c", "b7", 10, 0))
	require.ErrorIs(t, ban("c", "b8", 10, 0), bans.ErrFull)
	require.NoError(t, propose("c", &engine.Proposal{Kind: engine.Unban, Ban: &bans.Ban{ID: "b6"}}).Err)
	require.NoError(t, ban("c", "b8", 10, 0), "one was lifted")

	for room, want := range map[string][]string{"a": {"b3"}, "b": {"b5"}, "c": {"b7", "b8"}, "d": {}} {
		r, s, err := e.Open(room, nil)
		require.NoError(t, err)
		ids := []string{}
		for _, b := range s.Bans {
			ids = append(ids, b.ID)
		}
		require.Equal(t, want, ids, room)
		r.Close()
	}
}

// TestRoomsWithoutBansCostNothing: a list that is empty is none.
func TestRoomsWithoutBansCostNothing(t *testing.T) {
	e := New(Options{Bans: 3, AllBans: 100})
	for i := range 50 {
		r, _, err := e.Open(fmt.Sprint("room", i), nil)
		require.NoError(t, err)
		b := &bans.Ban{ID: "b", Who: bans.Who{User: "ann"}, At: 1, Until: int64(i % 2)}
		r.Propose(&engine.Proposal{Kind: engine.Ban, Ban: b})
		if i%2 == 0 {
			r.Propose(&engine.Proposal{Kind: engine.Unban, Ban: b})
		}
		r.Close()
	}
	require.Len(t, e.kept.rooms, 25)
	require.Equal(t, 25, e.kept.count)
	e.kept.expire(2)
	require.Empty(t, e.kept.rooms)
	require.Zero(t, e.kept.count)
}
