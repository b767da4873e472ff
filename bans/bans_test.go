package bans

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func user(id, name string, at, until int64) Ban {
	return Ban{ID: id, Who: Who{User: name}, At: at, Until: until}
}

func session(id, name string, at, until int64) Ban {
	return Ban{ID: id, Who: Who{Session: name}, At: at, Until: until}
}

func TestABanNamesAUserOrASession(t *testing.T) {
	l := New(user("b1", "ann", 1, 0), session("b2", "s_1", 2, 0))
	for _, c := range []struct {
		story         string
		user, session string
		want          bool
	}{
		{"any session of the user", "ann", "s_9", true},
		{"that session, whoever it is", "bob", "s_1", true},
		{"nobody on the list", "bob", "s_9", false},
		{"a user who is called like a session", "s_1", "s_9", false},
		{"a session that is called like a user", "bob", "ann", false},
		{"nobody at all", "", "", false},
	} {
		require.Equal(t, c.want, l.Bans(c.user, c.session, 5), c.story)
	}
}

func TestABanEndsByItself(t *testing.T) {
	l := New(user("b1", "ann", 10, 20), user("b2", "bob", 10, 0))
	for _, c := range []struct {
		now      int64
		ann, bob bool
	}{{10, true, true}, {19, true, true}, {20, false, true}, {1 << 60, false, true}} {
		require.Equal(t, c.ann, l.Bans("ann", "", c.now), "ann at %d", c.now)
		require.Equal(t, c.bob, l.Bans("bob", "", c.now), "bob at %d", c.now)
	}
	require.Len(t, l.All(19), 2)
	require.Equal(t, []Ban{user("b2", "bob", 10, 0)}, l.All(20))
	require.Equal(t, 2, l.Len(), "until room is wanted")
}

func TestWhatIsOverMakesRoom(t *testing.T) {
	var l List
	require.NoError(t, l.Add(user("b1", "ann", 1, 10), 1, 2))
	require.NoError(t, l.Add(user("b2", "bob", 2, 0), 2, 2))
	require.ErrorIs(t, l.Add(user("b3", "cy", 3, 0), 3, 2), ErrFull)
	require.NoError(t, l.Add(user("b4", "bob", 4, 50), 4, 2), "in place of one is no more than before")
	require.NoError(t, l.Add(user("b5", "cy", 10, 0), 10, 2), "ann's is over")
	require.Equal(t, []Ban{user("b4", "bob", 4, 50), user("b5", "cy", 10, 0)}, l.All(10))
	require.NoError(t, l.Add(user("b6", "dee", 10, 0), 10, 0), "no bound")
}

func TestAListDoesNotGrowWithWhatIsOver(t *testing.T) {
	var l List
	for now := range int64(10_000) { // ten are in force at any time
		require.NoError(t, l.Add(user("b", fmt.Sprint("u", now), now, now+10), now, 0))
		require.LessOrEqual(t, l.Len(), 22)
	}
}

func TestOnlyABanThatNamesExactlyOneIsValid(t *testing.T) {
	for _, b := range []Ban{{}, {ID: "b1"}, {Who: Who{User: "ann"}}, {ID: "b1", Who: Who{User: "ann", Session: "s_1"}}} {
		require.False(t, b.Valid(), "%+v", b)
	}
	for _, b := range []Ban{user("b1", "ann", 0, 0), session("b1", "s_1", 0, 0)} {
		require.True(t, b.Valid(), "%+v", b)
	}
}

// TestAnyWalk holds a list against the plainest one there is: all bans ever
// made, in order.
func TestAnyWalk(t *testing.T) {
	const most = 4
	rapid.Check(t, func(t *rapid.T) {
		var l List
		var truth []Ban // the newest of each Who, in the order of their making
		now, ids := int64(0), 0
		whos := []Who{{User: "ann"}, {User: "bob"}, {User: "cy"}, {Session: "s_1"}, {Session: "ann"}, {Session: "s_2"}}
		in := func(at int64) (force []Ban) {
			for _, b := range truth {
				if !b.Over(at) {
					force = append(force, b)
				}
			}
			return force
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				ids++
				b := Ban{ID: fmt.Sprint("b", ids), Who: rapid.SampledFrom(whos).Draw(t, "who"), At: now}
				if d := rapid.Int64Range(0, 5).Draw(t, "for"); d > 0 {
					b.Until = now + d
				}
				same := func(o Ban) bool { return o.Who == b.Who }
				full := !slices.ContainsFunc(in(now), same) && len(in(now)) >= most
				err := l.Add(b, now, most)
				if full != errors.Is(err, ErrFull) {
					t.Fatalf("Add(%+v) = %v with %d in force", b, err, len(in(now)))
				}
				if err == nil {
					truth = append(slices.DeleteFunc(truth, same), b)
				}
			},
			"lift": func(t *rapid.T) {
				id := fmt.Sprint("b", rapid.IntRange(0, ids).Draw(t, "id"))
				at := slices.IndexFunc(in(now), func(b Ban) bool { return b.ID == id })
				b, on := l.Lift(id)
				if at >= 0 && (!on || b != in(now)[at]) {
					t.Fatalf("Lift(%s) = %+v, %v", id, b, on)
				}
				truth = slices.DeleteFunc(truth, func(b Ban) bool { return b.ID == id })
			},
			"time": func(t *rapid.T) { now += rapid.Int64Range(1, 4).Draw(t, "passes") },
			"": func(t *rapid.T) {
				want := in(now)
				if got := l.All(now); !slices.Equal(got, slices.SortedFunc(slices.Values(want), Compare)) {
					t.Fatalf("at %d: %+v, want %+v", now, got, want)
				}
				for _, u := range []string{"ann", "bob", "cy"} {
					for _, s := range []string{"s_1", "s_2", "ann", "s_3"} {
						named := slices.ContainsFunc(want, func(b Ban) bool { return b.Names(u, s) })
						if l.Bans(u, s, now) != named {
							t.Fatalf("at %d: Bans(%s, %s) = %v, want %v", now, u, s, !named, named)
						}
					}
				}
				if l.Len() > most {
					t.Fatalf("%d on a list of at most %d", l.Len(), most)
				}
				if again := New(l.All(now)...); !slices.Equal(again.All(now), l.All(now)) {
					t.Fatalf("a list of what is on a list is another")
				}
			},
		})
	})
}
