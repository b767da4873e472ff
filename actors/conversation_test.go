package actors

import (
	"testing"
	"testing/synctest"
	"time"
)

// Each conversation is a story that the server must tell exactly so; see
// (*house).play for the words.
func TestConversations(t *testing.T) {
	ladder := Rules{IdleAfter: 5 * time.Minute, DisconnectAfter: 30 * time.Minute}
	for _, c := range []struct {
		name   string
		set    func(*Options)
		script string
	}{
		{"a join is a snapshot, and what follows is the next offset for everyone", nil, `
			ann connect
			ann < welcome
			ann > join#1 r
			ann < joined#1 r@1 [ann]
			kim connect
			kim > join#1 r {"data":{"mood":1}}
			ann < join r@2 kim {"mood":1} first
			kim < welcome
			kim < joined#1 r@2 [ann kim{"mood":1}]
			ann > publish#2 r "hi"
			ann < message r@3 ann "hi"
			ann < ok#2 @3
			kim < message r@3 ann "hi"
			kim > publish r "no id, no answer"
			ann < message r@4 kim "no id, no answer"
			kim < message r@4 kim "no id, no answer"`},
		{"rooms of the query are joined at once, in order", nil, `
			ann connect r s
			ann < welcome
			ann < joined r@1 [ann]
			ann < joined s@1 [ann]`},
		{"what is sent while rooms of the query are being joined waits for them", func(o *Options) { o.Limits.RoomMembers = 1 }, `
			kim connect s
			kim < (2)
			ann connect r s t
			ann > publish#1 t 1
			ann > publish#2 s 2
			ann > leave#3 t
			ann < welcome
			ann < joined r@1 [ann]
			ann << error room_full s
			ann << error#2 not_joined s
			ann << joined t@1 [ann]
			ann << message t@2 ann 1
			ann << ok#1 @2
			ann << leave t@3 ann left last
			ann << ok#3 @3`},
		{"a leave is told to everyone, then answered", nil, `
			ann connect r
			settle
			kim connect r
			ann < (3)
			kim < (2)
			kim > leave#9 r
			ann < leave r@3 kim left last
			kim < leave r@3 kim left last
			kim < ok#9 @3
			kim > publish#10 r "hi"
			kim < error#10 not_joined r
			kim > leave r
			kim < error not_joined r`},
		{"join, publish, leave, join in one go", nil, `
			ann connect
			ann < welcome
			ann > join#1 r
			ann > publish#2 r "a"
			ann > leave#3 r
			ann > join#4 r {"history":5}
			ann > publish#5 r "b"
			ann > leave#6 r
			ann > join#7 r
			ann < joined#1 r@1 [ann]
			ann < message r@2 ann "a"
			ann << leave r@3 ann left last
			# answers come behind the events before them, with some of those after
			ann << ok#2 @2
			ann << ok#3 @3
			ann < joined#4 r@4 [ann] {"a"}
			ann < message r@5 ann "b"
			ann << leave r@6 ann left last
			ann << ok#5 @5
			ann << ok#6 @6
			ann < joined#7 r@7 [ann]`},
		{"leave and immediate rejoin is one leave and one join for others", nil, `
			ann connect r
			settle
			kim connect r
			ann < (3)
			kim < (2)
			kim > leave#1 r
			kim > join#2 r
			kim < leave r@3 kim left last
			kim < ok#1 @3
			kim < joined#2 r@4 [ann kim]
			ann < leave r@3 kim left last
			ann < join r@4 kim first`},
		{"joining twice answers a fresh snapshot and tells nobody", nil, `
			ann connect r
			settle
			kim connect r
			ann < (3)
			kim < (2)
			kim > join#5 r {"history":1}
			kim < joined#5 r@2 [ann kim]`},
		{"a full room refuses, and what waited for the join too", func(o *Options) { o.Limits.RoomMembers = 1 }, `
			ann connect r
			ann < (2)
			kim connect
			kim > join#1 r
			kim > publish#2 r "hi"
			kim > leave#3 r
			kim < welcome
			kim << error#1 room_full r
			kim << error#2 not_joined r
			kim << error#3 not_joined r
			ann > leave r
			ann < leave r@2 ann left last
			kim > join#4 r
			kim < joined#4 r@3 [kim]`},
		{"paging the member list, by the order of joining", nil, `
			ann connect r
			settle
			bob connect r
			settle
			kim connect r
			settle
			ann < (4)
			bob < (3)
			kim < (2)
			kim > members#1 r {"limit":2}
			kim < members#1 [ann bob] 3/3 more
			kim > members#2 r {"limit":2,"cursor":"$NEXT"}
			kim < members#2 [kim] 3/3
			kim > members#3 r {"cursor":"!"}
			kim < error#3 bad_request r`},
		{"history, and since", nil, `
			ann connect r
			ann > publish r 1
			ann > publish r 2
			ann > publish r 3
			ann < (5)
			ann > history#1 r {"limit":2}
			ann < history#1 {2 3} more
			ann > history#2 r {"before":3}
			ann < history#2 {1}
			ann > join#3 r {"since":{"epoch":"other","offset":2}}
			ann < joined#3 r@4 [ann] gap
			# of another epoch nothing can be told, but what was said last
			ann > join#4 r {"since":{"epoch":"other","offset":2},"history":2}
			ann < joined#4 r@4 [ann] {2 3} gap`},
		{"a repeated key answers the first one's and tells nobody", nil, `
			ann connect r
			settle
			kim connect r
			ann < (3)
			kim < (2)
			kim > publish#1 r "once" key=k
			kim > publish#2 r "once" key=k
			settle
			ann > publish#1 r "mine" key=k
			kim < message r@3 kim "once"
			kim < ok#1 @3
			kim < ok#2 @3
			kim < message r@4 ann "mine"
			ann < message r@3 kim "once"
			ann < message r@4 ann "mine"
			ann < ok#1 @4`},
		{"one connection, many rooms: each has its own count", nil, `
			ann connect r s
			ann < (3)
			ann > publish#1 s "in s"
			ann < message s@2 ann "in s"
			ann < ok#1 @2
			ann > leave#2 r
			ann < leave r@2 ann left last
			ann < ok#2 @2
			ann > publish#3 s "still"
			ann < message s@3 ann "still"
			ann < ok#3 @3`},
		{"several sessions of a user: first and last", nil, `
			kim connect r
			settle
			ann connect r
			settle
			ann/phone connect r
			kim < welcome
			kim < joined r@1 [kim]
			kim < join r@2 ann first
			kim < join r@3 ann
			ann < (3)
			ann/phone < (2)
			ann > leave r
			kim < leave r@4 ann left
			ann < leave r@4 ann left
			ann/phone < leave r@4 ann left
			ann/phone x closed 1001
			ann/phone < leave r@5 ann closed 1001 last
			kim < leave r@5 ann closed 1001 last`},
		{"an update is told to all; a signal is not numbered", nil, `
			ann connect r
			settle
			kim connect r
			ann < (3)
			kim < (2)
			kim > update#1 r {"mood":"fine"}
			settle
			kim > signal#2 r {"typing":true}
			kim < update r@3 kim {"mood":"fine"}
			kim < ok#1 @3
			kim < ok#2
			kim < signal r kim {"typing":true}
			ann < update r@3 kim {"mood":"fine"}
			ann < signal r kim {"typing":true}
			kim > publish#3 r 1
			kim < message r@4 kim 1
			kim < ok#3 @4
			ann < message r@4 kim 1`},
		{"rooms of the server are closed to clients", nil, `
			ann connect @ops
			ann < welcome
			ann < error forbidden @ops
			ann > publish#1 @ops 1
			ann < error#1 forbidden @ops`},
		{"too fast is refused with the time to wait, and then taken", func(o *Options) { o.Limits.PublishRate = 2 }, `
			ann connect r
			ann < (2)
			ann > publish#1 r 1
			ann > publish#2 r 2
			ann > publish#3 r 3
			ann << error#3 rate_limited r retry=500
			ann << message r@2 ann 1
			ann << message r@3 ann 2
			ann << ok#1 @2
			ann << ok#2 @3
			wait 500ms
			ann > publish#4 r 4
			ann < message r@4 ann 4
			ann < ok#4 @4`},
		{"a flood of refused requests ends the connection", func(o *Options) { o.Limits.ErrorRate = 0.2 }, `
			kim connect r
			settle
			ann connect r
			settle
			ann > leave#1 s
			ann > leave#2 s
			ann > leave#3 s
			ann < welcome
			ann < joined r@2 [kim ann]
			ann < error#1 not_joined s
			ann < error#2 not_joined s
			ann < bye 4506 violation
			ann closed 4506
			ann > publish#4 r 1
			kim < (3)
			kim < leave r@3 ann violation 4506 last`},
		{"a session may be in so many rooms", func(o *Options) { o.Limits.RoomsPerSession = 1 }, `
			ann connect r s
			ann < welcome
			ann << error forbidden s
			ann << joined r@1 [ann]
			ann > leave r
			ann > join#1 s
			ann << leave r@2 ann left last
			ann << joined#1 s@1 [ann]`},
		{"the server has so many rooms", func(o *Options) { o.Limits.Rooms = 1; o.Linger = 0 }, `
			ann connect r s
			ann < welcome
			ann << error unavailable s
			ann << joined r@1 [ann]
			ann > leave r
			ann < leave r@2 ann left last
			ann > join#1 s
			ann < joined#1 s@1 [ann]`},
		{"a request to the room that is not one's own", nil, `
			ann connect r
			ann < (2)
			kim connect
			kim < welcome
			kim > publish#1 r 1
			kim < error#1 not_joined r
			kim > members#2 r
			kim < error#2 not_joined r`},
		{"the API kicks: the connection stays, and may come back", nil, `
			ann connect r
			settle
			kim connect r
			ann < (3)
			kim < (2)
			kick r kim
			kim < leave r@3 kim kicked last
			ann < leave r@3 kim kicked last
			kim > publish#1 r 1
			kim < error#1 not_joined r
			kim > join#2 r
			kim < joined#2 r@4 [ann kim]
			ann < join r@4 kim first`},
		{"the API ends a session: a leave in each room", nil, `
			ann connect r s
			settle
			kim connect r s
			ann < (5)
			kim < (3)
			end kim 4502
			kim < bye 4502 kicked
			kim closed 4502
			ann << leave r@3 kim kicked 4502 last
			ann << leave s@3 kim kicked 4502 last
			end ann 4503
			ann < bye 4503 banned
			ann closed 4503`},
		{"a session that panics leaves as failed and may come back", nil, `
			ann connect r s
			settle
			kim connect r s
			ann < (5)
			kim < (3)
			panic r kim
			kim < leave r@3 kim failed last
			ann < leave r@3 kim failed last
			kim > publish#1 s "not touched"
			kim < message s@3 kim "not touched"
			kim < ok#1 @3
			ann < message s@3 kim "not touched"
			kim > join#2 r
			kim < joined#2 r@4 [ann kim]
			ann < join r@4 kim first`},
		{"a room that panics goes on with its state, three times in a minute", nil, `
			ann connect r
			settle
			kim connect r
			ann < (3)
			kim < (2)
			panic r
			panic r
			panic r
			ann > publish#1 r 1
			ann < message r@3 ann 1
			ann < ok#1 @3
			kim < message r@3 ann 1
			wait 1m
			panic r
			kim > join#1 r
			kim < joined#1 r@3 [ann kim]`},
		{"the fourth stops it: everyone sees their own leave and may come back", nil, `
			ann connect r
			ann < (2)
			panic r
			panic r
			panic r
			panic r
			ann < leave r@2 ann failed last
			ann > publish#1 r 1
			ann < error#1 not_joined r
			ann > join#2 r
			ann < joined#2 r@1 [ann]`},
		{"no activity: idle, and then out", func(o *Options) { o.Rules = ladder }, `
			ann connect r
			settle
			kim connect r
			ann < (3)
			kim < (2)
			wait 4m
			kim > publish r 1
			ann < message r@3 kim 1
			kim < message r@3 kim 1
			# questions and pings are no activity
			ann > ping#1
			ann > members#2 r
			ann > history#3 r
			ann < (3)
			wait 59s
			wait 1s
			ann < update r@4 ann idle
			kim < update r@4 ann idle
			wait 4m
			kim < update r@5 kim idle
			ann < update r@5 kim idle
			# activity in another room brings her back in this one
			ann > join#4 s
			settle
			ann << update r@6 ann active
			ann << joined#4 s@1 [ann]
			kim < update r@6 ann active
			wait 24m59s
			ann << update r@7 ann idle
			ann << update s@2 ann idle
			kim < update r@7 ann idle
			wait 1s
			kim < bye 4500 idle
			kim closed 4500
			ann < leave r@8 kim idle 4500 last
			ann closed 0
			wait 4m59s
			ann closed 0
			wait 1s
			ann < (1)
			ann closed 4500`},
		{"idle off, disconnect on", func(o *Options) { o.Rules = Rules{DisconnectAfter: time.Minute} }, `
			ann connect r
			ann < (2)
			wait 59s
			ann closed 0
			wait 1s
			ann < (1)
			ann closed 4500`},
		{"idle on, disconnect off", func(o *Options) { o.Rules = Rules{IdleAfter: time.Minute} }, `
			ann connect r
			ann < (2)
			wait 1m
			ann < update r@2 ann idle
			wait 3h
			ann closed 0
			ann > publish r 1
			ann < update r@3 ann active
			ann < message r@4 ann 1
			wait 1m
			ann < update r@5 ann idle`},
		{"all off", nil, `
			ann connect r
			ann < (2)
			wait 3h
			ann closed 0`},
		{"a session has a maximum age, whatever it does", func(o *Options) { o.Rules = Rules{MaxAge: time.Minute} }, `
			kim connect
			kim < welcome
			wait 1s
			ann connect r
			ann < (2)
			wait 58s
			kim closed 0
			kim > join r
			kim < joined r@2 [ann kim]
			ann < join r@2 kim first
			wait 1s
			kim < bye 4501 expired
			kim closed 4501
			ann < leave r@3 kim expired 4501 last
			wait 1s
			ann < (1)
			ann closed 4501`},
		{"a connection without a room falls down the ladder, too", func(o *Options) { o.Rules = ladder }, `
			ann connect
			ann < welcome
			wait 29m59s
			ann closed 0
			wait 1s
			ann < bye 4500 idle
			ann closed 4500`},
		{"who is idle and joins is active, in every room", func(o *Options) { o.Rules = ladder }, `
			ann connect
			ann < welcome
			wait 10m
			ann > join#1 r
			ann < joined#1 r@1 [ann]
			wait 5m
			ann < update r@2 ann idle`},
		{"an empty room lingers, and keeps what was said", nil, `
			ann connect r
			ann > publish r "hi"
			ann > leave r
			ann < (4)
			wait 59s
			ann > join#1 r {"history":9}
			ann < joined#1 r@4 [ann] {"hi"}
			ann > leave r
			ann < leave r@5 ann left last
			wait 59s
			ann > join#2 r {"history":9}
			ann < joined#2 r@6 [ann] {"hi"}
			ann > leave r
			ann < leave r@7 ann left last
			wait 1m
			ann > join#3 r {"history":9}
			ann < joined#3 r@1 [ann]`},
		{"linger 0: the room ends with its last member", func(o *Options) { o.Linger = 0 }, `
			ann connect r
			ann > publish r "hi"
			ann > leave r
			ann < (4)
			ann > join#1 r {"history":9}
			ann < joined#1 r@1 [ann]`},
		{"a message from outside finds who comes within the linger time", nil, `
			post r "hi"
			wait 59s
			post r "there"
			wait 59s
			ann connect
			ann > join#1 r {"history":9}
			ann < welcome
			ann < joined#1 r@3 [ann] {"hi" "there"}
			post r "now"
			ann < message r@4 api "now"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := open(t, c.set)
				h.play(c.script)
				if owed := h.owed(); owed != 0 {
					t.Errorf("%d credits are still out", owed)
				}
			})
		})
	}
}
