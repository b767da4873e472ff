package timeline

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// naive is what a Log is held against: it keeps everything, in plain lists.
type naive struct {
	records map[string][]Record
	cut     map[string]bool
	gone    []string // longest ago first
}

func (n *naive) leave(user string) { n.gone = append(n.without(user), user) }

func (n *naive) without(user string) (rest []string) {
	for _, u := range n.gone {
		if u != user {
			rest = append(rest, u)
		}
	}
	return rest
}

func (n *naive) forget(bound int) {
	for {
		sum := 0
		for _, u := range n.gone {
			sum += len(n.records[u])
		}
		if sum <= bound {
			return
		}
		delete(n.records, n.gone[0])
		delete(n.cut, n.gone[0])
		n.gone = n.gone[1:]
	}
}

// Whatever happens in whatever order, the log has the newest records of who is
// there, and those of who went last, and nothing else.
func TestLogKeepsTheNewest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bound := rapid.IntRange(perUser, 60).Draw(t, "bound")
		l, n := New(bound), &naive{records: map[string][]Record{}, cut: map[string]bool{}}
		user := rapid.Custom(func(t *rapid.T) string { return fmt.Sprint("u", rapid.IntRange(0, 20).Draw(t, "user")) })
		at, noted := int64(0), 0
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				u, here := user.Draw(t, "of"), rapid.Bool().Draw(t, "present")
				for range rapid.IntRange(1, perUser).Draw(t, "times") {
					at++
					r := Record{At: at, Session: "s_" + u, Kind: Active}
					l.Add(u, here, r)
					n.records[u] = append(n.records[u], r)
					if all := n.records[u]; len(all) > perUser {
						n.records[u], n.cut[u] = all[1:], true
					}
					n.gone = n.without(u)
					if !here {
						n.leave(u)
						n.forget(bound)
					}
				}
			},
			"back": func(t *rapid.T) {
				u := user.Draw(t, "who")
				l.Back(u)
				n.gone = n.without(u)
			},
			"note": func(*rapid.T) {
				at++
				noted++
				l.Note(Record{At: at, Kind: RoomFailed})
			},
			"": func(t *rapid.T) {
				require.NoError(t, l.Check(func(u string) bool { return !slices.Contains(n.gone, u) }))
				require.Len(t, l.users, len(n.records))
				for u, want := range n.records {
					got, cut := l.Of(u)
					require.Equal(t, want, got, u)
					require.Equal(t, n.cut[u], cut, u)
					require.Equal(t, u, l.Owner("s_"+u))
				}
				own := l.Room()
				require.Len(t, own, min(noted, perRoom))
				for i := 1; i < len(own); i++ {
					require.Less(t, own[i-1].At, own[i].At)
				}
			},
		})
	})
}

func TestOfNobodyThereIsNothing(t *testing.T) {
	l := New(100)
	l.Back("ann")
	records, cut := l.Of("ann")
	require.Empty(t, records)
	require.False(t, cut)
	require.Empty(t, l.Owner("s_1"))
	require.Empty(t, l.Room())
	require.NoError(t, l.Check(nil))
}

func TestALogOfNoBoundKeepsNothing(t *testing.T) {
	l := New(0)
	l.Add("ann", true, Record{Kind: Joined})
	l.Note(Record{Kind: RoomFailed})
	l.Settle(func(string) bool { return false })
	TestOfNobodyThereIsNothing(t)
	records, _ := l.Of("ann")
	require.Empty(t, records)
	require.Empty(t, l.Room())
	require.Empty(t, l.Owner("s_1"))
	require.NoError(t, l.Check(nil))
}

// Somebody who comes and goes a million times does not push anybody out who is
// there, and one who is gone only by going later.
func TestABusyUserCrowdsNobodyOut(t *testing.T) {
	l := New(perUser * 2)
	l.Add("ann", true, Record{At: 1, Kind: Active})
	l.Add("bob", false, Record{At: 2, Kind: Left})
	for i := range 1000 {
		l.Add("bot", i%2 == 0, Record{At: int64(i + 3), Kind: Active})
	}
	for _, user := range []string{"ann", "bob"} {
		records, _ := l.Of(user)
		require.Len(t, records, 1, user)
	}
	for i := range 1000 {
		l.Add(fmt.Sprint("guest", i), false, Record{At: int64(i), Kind: Left})
	}
	records, _ := l.Of("ann")
	require.Len(t, records, 1, "she is there")
	records, _ = l.Of("bob")
	require.Empty(t, records, "a thousand went after him")
	require.Len(t, l.users, 2*perUser+1)
	require.NoError(t, l.Check(func(user string) bool { return user == "ann" }))
}

// Who is present is put right from the truth.
func TestSettle(t *testing.T) {
	l := New(100)
	for i := range 10 {
		l.Add(fmt.Sprint(i), i%2 == 0, Record{At: 1, Kind: Active})
	}
	here := func(user string) bool { return user == "1" || user == "2" }
	require.Error(t, l.Check(here))
	l.Settle(here)
	require.NoError(t, l.Check(here))
	require.Equal(t, 8, l.gone)
	require.True(t, l.users["0"].gone)
	require.False(t, l.users["1"].gone)
	require.False(t, l.users["2"].gone)
}

// A crowd that went takes its memory along.
func TestTheMapShrinksAgain(t *testing.T) {
	l := New(100)
	for i := range 5000 {
		l.Add(fmt.Sprint(i), true, Record{At: 1, Kind: Active})
	}
	for i := range 5000 {
		l.Add(fmt.Sprint(i), false, Record{At: 2, Kind: Left})
	}
	require.Len(t, l.users, 50)
	require.LessOrEqual(t, l.peak, 4*50)
	require.NoError(t, l.Check(func(string) bool { return false }))
}

// Check finds what is wrong: else the tests above would show nothing.
func TestCheckFindsDamage(t *testing.T) {
	for name, damage := range map[string]func(*Log){
		"a miscount":            func(l *Log) { l.gone++ },
		"a story lost":          func(l *Log) { delete(l.users, "2") },
		"a broken list":         func(l *Log) { l.oldest.next.prev = nil },
		"a story without words": func(l *Log) { l.users["4"].records = nil },
		"a wrong name":          func(l *Log) { l.users["4"].user = "x" },
		"the wrong end":         func(l *Log) { l.newest = l.oldest },
		"over the bound":        func(l *Log) { l.bound = 1 },
	} {
		l := New(100)
		for i := range 5 {
			l.Add(fmt.Sprint(i), i == 4, Record{At: 1, Kind: Active})
		}
		here := func(user string) bool { return user == "4" }
		require.NoError(t, l.Check(here))
		damage(l)
		require.Error(t, l.Check(here), name)
	}
}
