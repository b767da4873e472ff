package actors

import (
	"testing"
	"testing/synctest"
	"time"

	"rollcall/presence"
)

// tiny has a room change its mode while a test can still follow.
func tiny(o *Options) {
	o.Modes = presence.Modes{FullMax: 3, ListMax: 5, Interval: 250 * time.Millisecond}
}

func modes(fullMax, listMax int) func(*Options) {
	return func(o *Options) {
		o.Modes = presence.Modes{FullMax: fullMax, ListMax: listMax, Interval: 250 * time.Millisecond}
	}
}

func TestModesOfARoom(t *testing.T) {
	for _, c := range []struct {
		name   string
		set    func(*Options)
		script string
	}{
		{"a room that grows collects, and one that shrinks well below stops it", tiny, `
			ann connect r
			settle
			bob connect r
			settle
			kim connect r
			ann < (4)
			bob < (3)
			kim < welcome
			kim < joined r@3 [ann bob kim]
			zoe connect r
			# the join that makes it big is an event still
			ann < join r@4 zoe first
			ann < mode r@4 batch
			bob < (2)
			kim < (2)
			zoe < welcome
			zoe < joined r@4 batch [ann bob kim zoe]
			wait 1s
			zoe > leave#1 r
			ann < presence r@5-5 -zoe 3/3
			bob < (1)
			kim < (1)
			# its own leave, as in every mode
			zoe < leave r@5 zoe left last
			zoe < ok#1 @5
			wait 1s
			kim > leave#1 r
			ann < presence r@6-6 -kim 2/2
			ann < mode r@6 full
			bob < (2)
			kim < leave r@6 kim left last
			kim < ok#1 @6
			bob > update r {"mood":1}
			ann < update r@7 bob {"mood":1}
			bob < (1)`},
		{"the first change after a quiet interval is told at once, the next ones together", modes(0, 100), `
			ann connect r
			ann < welcome
			ann < joined r@1 batch [ann]
			wait 250ms
			bob connect r
			ann < presence r@2-2 +bob 2/2
			bob < welcome
			bob < joined r@2 batch [ann bob]
			wait 100ms
			kim connect r
			settle
			bob > update#1 r {"mood":1}
			bob > update#2 r {"mood":2}
			bob < ok#1 @4
			bob < ok#2 @5
			kim < welcome
			wait 149ms
			zoe connect r
			zoe < welcome
			wait 1ms
			ann < presence r@3-6 +kim +zoe ~bob{"mood":2} 4/4
			bob < presence r@3-6 +kim +zoe ~bob{"mood":2} 4/4
			kim < joined r@6 batch [ann bob{"mood":2} kim zoe]
			zoe < joined r@6 batch [ann bob{"mood":2} kim zoe]`},
		{"a message comes at once, behind the changes before it", modes(0, 100), `
			ann connect r
			ann < (2)
			bob connect r
			settle
			ann > publish#1 r "hi"
			ann < presence r@2-2 +bob 2/2
			ann < message r@3 ann "hi"
			ann < ok#1 @3
			# let in behind the message: it asks for it, or does without
			bob < welcome
			bob < joined r@3 batch [ann bob]
			post r "out"
			ann < message r@4 api "out"
			bob < message r@4 api "out"`},
		{"who joins with since misses no message", modes(0, 100), `
			ann connect r
			ann < (2)
			bob connect
			bob < welcome
			bob > join#1 r {"since":{"epoch":"x","offset":1},"history":3}
			settle
			ann > publish r "hi"
			ann < (2)
			bob < joined#1 r@3 batch [ann bob] {"hi"} gap
			wait 1s
			kim connect
			kim < welcome
			kim > join#1 r {"history":3}
			settle
			kim < joined#1 r@4 batch [ann bob kim] {"hi"}
			ann < (1)
			bob < (1)`},
		{"a leave is told at once to who leaves, after what that one was told", modes(0, 100), `
			ann connect r
			ann < (2)
			wait 1s
			bob connect r
			settle
			ann < presence r@2-2 +bob 2/2
			bob < (2)
			ann > update r 1
			kim connect r
			kim < welcome
			bob > leave#1 r
			bob < leave r@5<2 bob left last
			bob < ok#1 @5
			wait 250ms
			ann < presence r@3-5 +kim -bob ~ann1 2/2
			kim < joined r@5 batch [ann1 kim]
			# and nothing more for bob`},
		{"who leaves and comes back is told in two frames", modes(0, 100), `
			ann connect r
			ann < (2)
			wait 1s
			bob connect r
			ann < presence r@2-2 +bob 2/2
			bob < (2)
			bob > leave#1 r
			bob > join#2 r
			bob > publish#3 r "back"
			bob < leave r@3 bob left last
			bob < ok#1 @3
			wait 250ms
			ann < presence r@3-3 -bob 1/1
			wait 250ms
			ann < presence r@4-4 +bob 2/2
			bob < joined#2 r@4 batch [ann bob]
			ann < message r@5 bob "back"
			bob < message r@5 bob "back"
			bob < ok#3 @5`},
		{"a join that goes before it was told is a join and a leave", modes(0, 100), `
			ann connect r
			ann < (2)
			bob connect
			bob < welcome
			bob > join#1 r
			bob > leave#2 r
			bob > join#3 r
			wait 250ms
			ann < presence r@2-2 +bob 2/2
			bob < joined#1 r@2 batch [ann bob]
			bob < leave r@3 bob left last
			bob < ok#2 @3
			wait 250ms
			ann < presence r@3-3 -bob 1/1
			wait 250ms
			ann < presence r@4-4 +bob 2/2
			bob < joined#3 r@4 batch [ann bob]`},
		{"a connection that ends before its join is told", modes(0, 100), `
			ann connect r
			ann < (2)
			bob connect r
			bob x lost
			wait 250ms
			ann < presence r@2-2 +bob 2/2
			wait 250ms
			ann < presence r@3-3 -bob 1/1
			bob < *`},
		{"a kick before the join is told", modes(0, 100), `
			ann connect r
			ann < (2)
			bob connect r
			kick r bob
			bob < welcome
			wait 250ms
			ann < presence r@2-2 +bob 2/2
			bob < joined r@2 batch [ann bob]
			bob < leave r@3 bob kicked last
			wait 250ms
			ann < presence r@3-3 -bob 1/1`},
		{"a snapshot for who is in the room waits for what is told next", modes(0, 100), `
			ann connect r
			ann < (2)
			ann > join#1 r
			ann < joined#1 r@1 batch [ann]
			ann > update#2 r 1
			ann > join#3 r
			ann < ok#2 @2
			wait 250ms
			ann < presence r@2-2 ~ann1 1/1
			ann < joined#3 r@2 batch [ann1]
			ann > update#4 r 2
			ann > join#5 r
			ann > leave#6 r
			ann < ok#4 @3
			ann < leave r@4<2 ann left last
			ann << ok#6 @4
			wait 250ms
			ann << error#5 not_joined r`},
		{"falling idle is a change like any", func(o *Options) {
			modes(0, 100)(o)
			o.Rules.IdleAfter = 10 * time.Second
		}, `
			ann connect r
			wait 1s
			bob connect r
			settle
			wait 8900ms
			ann < (3)
			bob < (2)
			wait 1s
			ann < presence r@3-3 ~ann:idle 2/2
			bob < presence r@3-3 ~ann:idle 2/2
			wait 1s
			ann < presence r@4-4 ~bob:idle 2/2
			bob < presence r@4-4 ~bob:idle 2/2
			ann > ping
			ann < pong
			bob > signal r 1
			ann < presence r@5-5 ~bob 2/2
			bob < (1)
			ann < signal r bob 1
			bob < signal r bob 1`},
		{"a storm makes a small room collect, until it has been calm", tiny, `
			ann connect r
			settle
			bob connect r
			ann < (3)
			bob < (2)
			wait 1s
			ann > update r 1
			ann > update r 2
			ann > update r 3
			ann > update r 4
			ann > update r 5
			bob < update r@3 ann 1
			bob < update r@4 ann 2
			bob < update r@5 ann 3
			bob < update r@6 ann 4
			bob < mode r@6 batch
			bob < presence r@7-7 ~ann5 2/2
			ann < (6)
			wait 1999ms
			ann > update r 6
			ann < presence r@8-8 ~ann6 2/2
			bob < (1)
			wait 1ms
			ann < mode r@8 full
			bob < mode r@8 full
			ann > update r 7
			ann < update r@9 ann 7
			bob < (1)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { open(t, c.set).play(c.script) })
		})
	}
}

// Rooms that are too big for lists.
func TestModeCount(t *testing.T) {
	for _, c := range []struct {
		name   string
		set    func(*Options)
		script string
	}{
		{"members are told how many they are, at most once a second", modes(0, 0), `
			ann connect r
			ann < welcome
			ann < joined r@1 count 1/1
			wait 1s
			bob connect r
			ann < occupancy r@2 2/2
			bob < welcome
			bob < joined r@2 count 2/2
			ann/2 connect r
			ann/2 < welcome
			ann/2 < joined r@3 count 3/2
			kim connect r
			kim < welcome
			kim < joined r@4 count 4/3
			wait 999ms
			bob > update#1 r 1
			bob < ok#1 @5
			wait 1ms
			ann < occupancy r@5 4/3
			bob < occupancy r@5 4/3
			ann/2 < occupancy r@5 4/3
			kim < occupancy r@5 4/3
			wait 1m
			kim > leave#1 r
			kim < leave r@6 kim left last
			kim < ok#1 @6
			ann < occupancy r@6 3/2
			bob < (1)
			ann/2 < (1)`},
		{"nothing is told of a change that leaves the count as it was", modes(0, 0), `
			ann connect r
			ann < (2)
			wait 1s
			bob connect r
			ann < occupancy r@2 2/2
			bob < (2)
			bob > leave#1 r
			bob > join#2 r
			bob < leave r@3 bob left last
			bob < ok#1 @3
			bob < joined#2 r@4 count 2/2
			wait 10s`},
		{"a message says which offset this client was told before", modes(0, 0), `
			ann connect r
			ann < (2)
			wait 1s
			bob connect r
			ann < occupancy r@2 2/2
			bob < (2)
			kim connect r
			kim < welcome
			kim < joined r@3 count 3/3
			zoe connect r
			zoe < welcome
			zoe < joined r@4 count 4/4
			bob > update r 1
			bob > publish#1 r "a"
			ann < message r@6<2 bob "a"
			bob < message r@6<2 bob "a"
			bob < ok#1 @6
			kim < message r@6<3 bob "a"
			zoe < message r@6<4 bob "a"
			bob > publish#2 r "b"
			ann < message r@7 bob "b"
			bob < message r@7 bob "b"
			bob < ok#2 @7
			kim < message r@7 bob "b"
			zoe < message r@7 bob "b"
			wait 1s
			ann < occupancy r@7 4/4
			bob < (1)
			kim < (1)
			zoe < (1)`},
		{"a leave says it too", modes(0, 0), `
			ann connect r
			ann < (2)
			wait 1s
			bob connect r
			ann < (1)
			bob < (2)
			kim connect r
			kim < (2)
			ann > update r 1
			settle
			bob > leave r
			bob < leave r@5<2 bob left last
			kick r kim
			kim < leave r@6<3 kim kicked last
			ann > join#1 r
			ann < joined#1 r@6 count 1/1
			post r "hi"
			ann < message r@7 api "hi"`},
		{"a room that changes its mode says so, and is exact on both sides", func(o *Options) {
			tiny(o)
			o.Modes.ListMax = 3
		}, `
			ann connect r
			settle
			bob connect r
			settle
			kim connect r
			settle
			ann < (4)
			bob < (3)
			kim < (2)
			wait 1s
			zoe connect r
			ann < join r@4 zoe first
			ann < mode r@4 count
			bob < (2)
			kim < (2)
			zoe < welcome
			zoe < joined r@4 count 4/4
			zoe > publish r "hi"
			ann < message r@5 zoe "hi"
			bob < (1)
			kim < (1)
			zoe < (1)
			zoe > leave r
			wait 1s
			zoe < leave r@6 zoe left last
			ann < occupancy r@6 3/3
			bob < (1)
			kim < (1)
			kim > leave r
			kim < leave r@7 kim left last
			# not before its members know how many are left
			wait 1s
			ann < occupancy r@7 2/2
			bob < occupancy r@7 2/2
			ann < mode r@7 full
			bob < mode r@7 full
			bob > join#1 r
			bob < joined#1 r@7 [ann bob]
			bob > leave r
			ann < leave r@8 bob left last
			bob < (1)`},
		{"the list comes page by page, and a cursor is of one epoch", modes(0, 0), `
			ann connect r
			settle
			bob connect r
			settle
			kim connect r
			settle
			ann < (2)
			bob < (2)
			kim < (2)
			kim > members#1 r {"limit":1}
			kim < members#1 [ann] 3/3 more
			ann > leave r
			ann < (1)
			bob > leave r
			bob < (1)
			zoe connect r
			zoe < (2)
			kim > members#2 r {"limit":1,"cursor":"$NEXT"}
			kim < members#2 [kim] 2/2 more
			kim > members#3 r {"limit":1,"cursor":"$NEXT"}
			kim < members#3 [zoe] 2/2
			kim > members#4 r {"cursor":"2.another"}
			kim < error#4 bad_request r
			kim > members#5 r {"cursor":"2"}
			kim < error#5 bad_request r
			wait 1s
			kim < occupancy r@6 2/2
			zoe < occupancy r@6 2/2`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { open(t, c.set).play(c.script) })
		})
	}
}
