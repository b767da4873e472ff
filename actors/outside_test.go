package actors

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"rollcall/protocol"
)

func TestMessagesFromOutside(t *testing.T) {
	for _, c := range []struct {
		claim  string
		set    func(*Options)
		script string
	}{
		{"members get them with their sender, who is none", nil, `
			bob connect r
			bob < (2)
			kim connect
			kim < (1)
			kim >> publish#1 r "hi"
			kim < ok#1 @2
			bob < message r@2 kim "hi"
			bob > members#2 r
			bob < members#2 [bob] 1/1`},
		{"native clients can't send any", nil, `
			kim connect
			kim < (1)
			kim > publish#1 r "hi"
			kim < error#1 not_joined r`},
		{"within a visit they are as any other", nil, `
			kim connect
			kim < (1)
			kim > join#1 r
			kim >> publish#2 r "hi"
			kim < joined#1 r@1 [kim]
			kim < message r@2 kim "hi"
			kim < ok#2 @2`},
		{"a room that is made for one lives as long as an empty one does", func(o *Options) { o.Linger = time.Minute }, `
			kim connect
			kim < (1)
			kim >> publish#1 r "hi"
			kim < ok#1 @1
			wait 59s
			kim >> publish#2 r "again"
			kim < ok#2 @2
			wait 59s
			kim >> publish#3 r "still there"
			kim < ok#3 @3
			wait 62s
			kim >> publish#4 r "another room"
			kim < ok#4 @1`},
		{"who is banned from a room sends none", nil, `
			kim connect
			kim < (1)
			ban r user kim
			kim >> publish#1 r "hi"
			kim < error#1 banned r
			unban r user kim
			kim >> publish#2 r "hi"
			kim < ok#2 @1`},
		{"who is taken out by a ban neither", nil, `
			kim connect r
			kim < (2)
			ban r session kim
			kim < leave r@2 kim banned last
			kim >> publish#1 r "hi"
			kim < error#1 banned r`},
		{"rooms of the server take none", nil, `
			kim connect
			kim < (1)
			kim >> publish#1 @server "hi"
			kim < error#1 forbidden @server`},
		{"the server has so many rooms", func(o *Options) { o.Limits.Rooms = 1 }, `
			bob connect r
			bob < (2)
			kim connect
			kim < (1)
			kim >> publish#1 q "hi"
			kim < error#1 unavailable q`},
		{"an observer may, too, as it is no member", func(o *Options) { o.Limits.RoomObservers = 1 }, `
			kim connect
			kim < (1)
			kim > join#1 r {"observe":true}
			kim < joined#1 r [] observer +1
			kim >> publish#2 r "hi"
			kim < message r@1 kim "hi"
			kim < ok#2 @1`},
		{"what waits for a join that is refused goes from outside", func(o *Options) { o.Limits.RoomMembers = 1 }, `
			bob connect r
			bob < (2)
			kim connect
			kim < (1)
			kim > join#1 r
			kim > publish#2 r "as a member"
			kim >> publish#3 r "anyway"
			kim << error#1 room_full r
			kim << error#2 not_joined r
			kim << ok#3 @2
			bob < message r@2 kim "anyway"`},
		{"the rate holds", func(o *Options) { o.Limits.PublishRate, o.Limits.ErrorRate = 1, 10 }, `
			kim connect
			kim < (1)
			kim >> publish#1 r "hi"
			kim >> publish#2 r "hi"
			kim << ok#1 @1
			kim << error#2 rate_limited retry=1000`},
		{"a room that fails over one answers it", nil, `
			bob connect r
			bob < (2)
			panic r
			kim connect
			kim < (1)
			kim >> publish#1 r "hi"
			kim < ok#1 @2
			bob < message r@2 kim "hi"`},
		{"a key is the user's own", nil, `
			kim connect
			kim < (1)
			kim >> publish#1 r "hi" key=k
			kim >> publish#2 r "hi" key=k
			kim < ok#1 @1
			kim < ok#2 @1`},
	} {
		t.Run(c.claim, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := open(t, c.set)
				h.play(c.script)
				if owed := h.owed(); owed != 0 {
					t.Errorf("%d bytes are still owed", owed)
				}
				for _, p := range h.all {
					if n := len(p.client.leaving); n != 0 {
						t.Errorf("%s: %d visits are still being left", p.name, n)
					}
				}
			})
		})
	}
}

// Whatever a sender does between its messages, they come in order and each once.
func TestTheOrderOfASenderHoldsWhetherItIsInTheRoomOrNot(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 0))
				h := open(t, func(o *Options) {
					o.Limits.RoomObservers = 10
					o.Linger = []time.Duration{0, time.Minute}[seed%2]
				})
				bob, kim := h.connect("bob", "r"), h.connect("kim")
				in, sent := false, 0
				for range 300 {
					switch random.IntN(6) {
					case 0:
						if in = !in; in {
							kim.do(say([]string{`join r`, `join r {"observe":true}`}[random.IntN(2)]))
						} else {
							kim.do(say(`leave r`))
						}
					case 1:
						if random.IntN(4) == 0 {
							synctest.Wait()
						}
					default:
						sent++
						kim.publish(say("publish r " + strconv.Itoa(sent)))
					}
				}
				var got []int
				for _, f := range bob.frames() {
					if f.Type == "message" {
						var n int
						if err := json.Unmarshal(f.Data, &n); err != nil {
							t.Fatal(err)
						}
						got = append(got, n)
					}
				}
				if !slices.IsSorted(got) || len(got) != sent || got[0] != 1 || got[sent-1] != sent {
					t.Errorf("of 1 to %d came %v", sent, got)
				}
				if h.owed() != 0 || len(kim.client.leaving) != 0 {
					t.Errorf("%d bytes are owed, %d visits are being left", h.owed(), len(kim.client.leaving))
				}
			})
		})
	}
}

// A sender that is in no room goes no faster than the room, either.
func TestASenderFromOutsideIsSlowedDownByTheRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, nil)
		bob, kim := h.connect("bob", "r"), h.connect("kim")
		synctest.Wait()
		h.inside("r", func(r *room) { r.fans[0].small = 1 })
		release := bob.block()
		large, err := json.Marshal(string(make([]byte, 1000)))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; ; i++ {
			if paused, _ := kim.isPaused(); paused {
				break
			}
			if i > 1000 {
				t.Fatal("it is read from all the time")
			}
			kim.publish(string((&protocol.Publish{Request: protocol.Request{Room: "r"}, Data: large}).AppendJSON(nil)))
			synctest.Wait()
		}
		release()
		synctest.Wait()
		if paused, _ := kim.isPaused(); paused {
			t.Error("it is not read from any more")
		}
	})
}
