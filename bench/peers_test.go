package bench

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// conversations are what each peer's server says to a client of a room with
// other members, and what it means.
var conversations = map[string]struct {
	Dialect
	said []said
}{
	"hub": {hub{}, []said{
		{`{"type":"join","id":"u2"}`, Event{Kind: Presence, Change: 1}},
		{`{"type":"members","count":3,"members":[{"id":"u1"},{"id":"u2"}]}`, Event{Kind: Joined, Counted: true, Count: 3}},
		{`{"type":"members","count":3,"members":null}`, Event{Kind: Joined, Counted: true, Count: 3}},
		{`{"type":"leave","id":"u2"}`, Event{Kind: Presence, Change: -1}},
		{`{"type":"update","id":"u2","data":1}`, Event{Kind: Presence}},
		{`{"type":"message","id":"u2","data":"x"}`, Event{Kind: Message}},
		{`{"type":"left"}`, Event{Kind: Left}},
		{`{"type":"error","data":"not JSON"}`, Event{Kind: Refused}},
		{`{"type":"joined"}`, Event{}},
		{`{}`, Event{}},
		{"{\"type\":\"join\",\"id\":\"u2\"}\n{\"type\":\"leave\",\"id\":\"u2\"}\n{\"type\":\"leave\",\"id\":\"u3\"}", Event{Kind: Presence, Change: -1}},
		{"{\"type\":\"message\",\"data\":\"x\"}\n{\"type\":\"leave\",\"id\":\"u3\"}\n{\"type\":\"message\",\"data\":\"x\"}", Event{Kind: Presence, Change: -1}},
		{"{\"type\":\"members\",\"count\":7,\"members\":[]}\n{\"type\":\"join\",\"id\":\"u3\"}\n{\"type\":\"message\",\"data\":\"x\"}", Event{Kind: Joined, Counted: true, Count: 8}},
	}},
	"socketio": {socketIO{}, []said{
		{`0{"sid":"x","upgrades":[],"pingInterval":25000}`, Event{}},
		{`40{"sid":"y"}`, Event{}},
		{`2`, Event{Reply: []string{"3"}}},
		{`42["join",{"id":"u2"}]`, Event{Kind: Presence, Change: 1}},
		{`42["members",{"count":3,"members":[{"id":"u1"}]}]`, Event{Kind: Joined, Counted: true, Count: 3}},
		{`42["leave",{"id":"u2"}]`, Event{Kind: Presence, Change: -1}},
		{`42["update",{"id":"u2","data":1}]`, Event{Kind: Presence}},
		{`42["message",{"id":"u2","data":"x"}]`, Event{Kind: Message}},
		{`42["left"]`, Event{Kind: Left}},
		{`44{"message":"user and room are 1 to 64 characters each"}`, Event{Kind: Refused}},
		{`41`, Event{Kind: Refused}},
	}},
	"centrifugo": {centrifugo{}, []said{
		{`{"id":3,"presence":{"presence":{}}}`, Event{Kind: Refused}}, // before it has connected
		{`{"id":1,"connect":{"client":"c","version":"6.9.1","ping":25,"pong":true}}` + "\n" + `{"id":2,"subscribe":{}}`, Event{}},
		{`{}`, Event{Reply: []string{"{}"}}},
		{`{"push":{"channel":"room:r","join":{"info":{"user":"r1u65","client":"c"}}}}`, Event{Kind: Presence, Counted: true, Count: 1}},
		{`{"id":3,"presence":{"presence":{"a":{"user":"r1u65","client":"a"},"b":{"user":"r1u2","client":"b"}}}}`, Event{Kind: Joined, Counted: true, Count: 2}},
		{`{"push":{"channel":"room:r","join":{"info":{"user":"r1u2","client":"b"}}}}`, Event{Kind: Presence, Counted: true, Count: 2}}, // was listed already
		{`{"push":{"channel":"room:r","leave":{"info":{"user":"r1u2","client":"b"}}}}`, Event{Kind: Presence, Counted: true, Count: 1}},
		{`{"push":{"channel":"room:r","leave":{"info":{"user":"r1u700","client":"b"}}}}`, Event{Kind: Presence, Counted: true, Count: 1}}, // was never told of
		{`{"push":{"channel":"room:r","pub":{"data":"x","info":{"user":"r1u2","client":"b"},"offset":1}}}` + "\n" + `{"id":4,"publish":{}}`, Event{Kind: Message}},
		{`{"id":4,"error":{"code":103,"message":"permission denied"}}`, Event{Kind: Refused}},
		{`{"id":3,"error":{"code":108,"message":"not available"}}`, Event{Kind: Joined}},
		{`{"id":5,"unsubscribe":{}}`, Event{Kind: Left}},
	}},
}

type said struct {
	message string
	want    Event
}

func TestPeersAreUnderstood(t *testing.T) {
	for name, talk := range conversations {
		c := &Client{User: "r1u1", Room: "r"}
		for _, s := range talk.said {
			require.Equal(t, s.want, talk.Read(c, []byte(s.message)), "%s: %s", name, s.message)
		}
	}
}

// What is read and written for every message must not cost the load memory.
func TestPeersDialectsDoNotAllocate(t *testing.T) {
	for name, talk := range conversations {
		c := &Client{User: "r1u1", Room: "r"}
		for _, s := range talk.said { // so that what it remembers is there
			talk.Read(c, []byte(s.message))
		}
		var b []byte
		body := body{run: 1, sender: 2, seq: 3, at: 4}.append(nil, 98)
		for _, s := range talk.said {
			if s.want.Kind != Presence && s.want.Kind != Message {
				continue
			}
			m := []byte(s.message)
			require.Zero(t, testing.AllocsPerRun(100, func() {
				talk.Read(c, m)
				b = talk.Publish(b[:0], c, body)
				b = talk.Leave(b[:0], c)
			}), "%s: %s", name, s.message)
		}
		require.Contains(t, string(talk.Publish(nil, c, body)), `"`+string(body)+`"`, name)
	}
}

func TestCrowdSetCountsEachClientOnce(t *testing.T) {
	var s crowdSet
	for i := range 3 {
		for _, n := range []uint64{0, 63, 64, 1000} {
			s.add(n)
		}
		s.remove(5000)
		require.Equal(t, 4, s.count, "turn %d", i)
	}
	s.remove(64)
	s.remove(64)
	require.Equal(t, 3, s.count)
}

func TestUsersAreKnownByTheNumberTheyEndIn(t *testing.T) {
	for name, want := range map[string]uint64{"": 0, "u": 0, "b7u0": 0, "b7u1203": 1203, "9": 9, "u99999999999": 9999999} {
		require.Equal(t, want, lastNumber([]byte(name)), "%q", name)
	}
}

// Whatever a peer says, reading it does not panic, and repeats itself.
func FuzzPeersRead(f *testing.F) {
	for name, talk := range conversations {
		for _, s := range talk.said {
			f.Add(name, []byte(s.message))
		}
	}
	f.Fuzz(func(t *testing.T, name string, message []byte) {
		talk, known := conversations[name]
		if !known {
			return
		}
		connected := func() *Client { return &Client{User: "u1", Room: "r", View: &crowdSet{}} }
		first, second := talk.Read(connected(), message), talk.Read(connected(), message)
		require.Equal(t, fmt.Sprint(first), fmt.Sprint(second))
	})
}

// A report has no paths of the machine that it was made on.
func TestACommandIsToldWithoutPaths(t *testing.T) {
	l := launch{path: "/usr/bin/node", args: []string{"/somewhere/ws.js", "127.0.0.1", "80"}}
	require.Equal(t, "node ws.js 127.0.0.1 80", l.text())
}
