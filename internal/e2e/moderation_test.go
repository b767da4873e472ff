package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/client"
	"rollcall/config"
	"rollcall/protocol"
)

func post(t *testing.T, s *server, path, body string) {
	t.Helper()
	status, answer := s.call(t, "POST", path, body)
	require.Equal(t, 201, status, answer)
}

// moderated are the endings that moderation brings.
var moderated = []ending{
	{
		name: "banned from the room", reason: protocol.ReasonBanned, bob: seen{leave: true, banned: true},
		goes: func(t *testing.T, s *server, bob *peer) {
			post(t, s, "/api/v1/rooms/"+room+"/bans", `{"session":"`+bob.session+`"}`)
		},
	}, {
		name: "banned from the room as a user", reason: protocol.ReasonBanned, bob: seen{leave: true, banned: true},
		goes: func(t *testing.T, s *server, _ *peer) { post(t, s, "/api/v1/rooms/"+room+"/bans", `{"user":"bob"}`) },
	}, {
		name: "banned from the server", reason: protocol.ReasonBanned, code: 4503, bob: seen{bye: true, code: 4503},
		goes: func(t *testing.T, s *server, _ *peer) { post(t, s, "/api/v1/bans", `{"user":"bob","for_ms":3600000}`) },
	}, {
		name: "banned from the server as a session", reason: protocol.ReasonBanned, code: 4503, bob: seen{bye: true, code: 4503},
		goes: func(t *testing.T, s *server, bob *peer) { post(t, s, "/api/v1/bans", `{"session":"`+bob.session+`"}`) },
	}, {
		name: "disconnected everywhere", reason: protocol.ReasonKicked, code: 4502, bob: seen{bye: true, code: 4502},
		goes: func(t *testing.T, s *server, _ *peer) {
			status, body := s.call(t, "DELETE", "/api/v1/users/bob", `{"reason":"the account is closed"}`)
			require.Equal(t, 204, status, body)
		},
	}, {
		name: "replaced by a newer session", reason: protocol.ReasonReplaced, code: 4505, bob: seen{bye: true, code: 4505},
		config: func(c *config.Config) { c.Session.PerUser = "newest" },
		goes:   func(t *testing.T, s *server, _ *peer) { connect(t, s.addr, "user=bob") },
	}, {
		name: "banned while its connection is lost", reason: protocol.ReasonBanned,
		config: func(c *config.Config) { c.Session.ResumeWindow = time.Hour },
		goes: func(t *testing.T, s *server, bob *peer) {
			bob.Abort()
			eventually(t, "bob to be lost", func() bool { return s.metric(t, "rollcall_sessions_away") == 1 })
			post(t, s, "/api/v1/rooms/"+room+"/bans", `{"user":"bob"}`)
		},
	}, {
		name: "banned from the server while its connection is lost", reason: protocol.ReasonBanned, code: 4503,
		config: func(c *config.Config) { c.Session.ResumeWindow = time.Hour },
		goes: func(t *testing.T, s *server, bob *peer) {
			bob.Abort()
			eventually(t, "bob to be lost", func() bool { return s.metric(t, "rollcall_sessions_away") == 1 })
			post(t, s, "/api/v1/bans", `{"user":"bob"}`)
		},
	}, {
		name: "one that is lost gives way", reason: protocol.ReasonReplaced, code: 4505,
		config: func(c *config.Config) { c.Session.ResumeWindow, c.Session.PerUser = time.Hour, "oldest" },
		goes: func(t *testing.T, s *server, bob *peer) {
			bob.Abort()
			eventually(t, "bob to be lost", func() bool { return s.metric(t, "rollcall_sessions_away") == 1 })
			connect(t, s.addr, "user=bob")
		},
	},
}

func TestABannedUserIsKeptOut(t *testing.T) {
	s := start(t, nil)
	post(t, s, "/api/v1/rooms/"+room+"/bans", `{"user":"bob"}`)
	bob := connect(t, s.addr, "user=bob&room="+room)
	refused := want[*protocol.Error](bob)
	require.Equal(t, protocol.ErrBanned, refused.Code)
	require.Equal(t, room, refused.Room)
	require.Len(t, bob.join("another").Members, 1)

	post(t, s, "/api/v1/bans", `{"user":"bob"}`)
	require.Equal(t, protocol.CloseBanned, bob.end().Code)
	r, err := http.NewRequest(http.MethodGet, "http://"+s.addr+"/ws?user=bob", nil)
	require.NoError(t, err)
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
	} {
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.Equal(t, http.StatusForbidden, resp.StatusCode)
	connect(t, s.addr, "user=ann").join(room)
}

// However many connect at once, one of a user stays, and its members see
// nobody else of it.
func TestOneSessionPerUserOverRealSockets(t *testing.T) {
	inBothModes(t, func(t *testing.T, mode string) {
		for _, rule := range []string{"newest", "oldest"} {
			t.Run(rule, func(t *testing.T) {
				s := start(t, func(c *config.Config) { c.Transport.Mode, c.Session.PerUser = mode, rule })
				peers := connectAtOnce(t, s.addr, "user=bob&room="+room, 16)
				eventually(t, "all but one to end", func() bool {
					return s.metric(t, `rollcall_connections{transport="websocket"}`) == 1
				})
				status, body := s.call(t, "GET", "/api/v1/users/bob", "")
				require.Equal(t, 200, status, body)
				var user struct{ Sessions []struct{ Session string } }
				require.NoError(t, json.Unmarshal([]byte(body), &user))
				require.Len(t, user.Sessions, 1)
				for _, p := range peers {
					if p.session == user.Sessions[0].Session {
						want[*protocol.Joined](p)
						eventually(t, "the others to be out", func() bool { return s.metric(t, "rollcall_members") == 1 })
						require.Len(t, p.join(room).Members, 1)
						continue
					}
					require.EqualValues(t, 4505, p.end().Code)
				}
				require.EqualValues(t, 1, s.metric(t, "rollcall_members"))
			})
		}
	})
}

// connectAtOnce opens n connections at the same time.
func connectAtOnce(t *testing.T, addr, query string, n int) []*peer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conns, errs := make([]*client.Conn, n), make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			conns[i], errs[i] = client.Connect(ctx, "ws://"+addr+"/ws?"+query, client.Options{CloseTimeout: patience})
		})
	}
	all.Wait()
	peers := make([]*peer, n)
	for i, c := range conns {
		require.NoError(t, errs[i])
		t.Cleanup(c.Abort)
		p := &peer{Conn: c, t: t, more: make(chan struct{}, 1)}
		go p.readAll()
		p.session = want[*protocol.Welcome](p).Session
		peers[i] = p
	}
	return peers
}

func TestAnObserverOverRealSockets(t *testing.T) {
	inBothModes(t, func(t *testing.T, mode string) {
		s := start(t, func(c *config.Config) { c.Transport.Mode = mode })
		ann := connect(t, s.addr, "user=ann")
		ann.join(room)
		mod := connect(t, s.addr, "user=mod")
		mod.send(&protocol.Join{Request: protocol.Request{ID: 1, Room: room}, Observe: true})
		j := want[*protocol.Joined](mod)
		require.True(t, j.Observer)
		require.Equal(t, protocol.Count{Sessions: 1, Users: 1, Observers: 1}, j.Count)
		require.Len(t, j.Members, 1)

		ann.send(&protocol.Publish{Request: protocol.Request{ID: 2, Room: room}, Data: json.RawMessage(`"alone?"`)})
		require.Equal(t, j.Offset+1, want[*protocol.MessagePublished](ann).Offset, "an observer takes no offset")
		require.JSONEq(t, `"alone?"`, string(want[*protocol.MessagePublished](mod).Data))
		mod.send(&protocol.Publish{Request: protocol.Request{ID: 3, Room: room}, Data: json.RawMessage(`"yes"`)})
		require.Equal(t, protocol.ErrForbidden, want[*protocol.Error](mod).Code)

		_, body := s.call(t, "GET", "/api/v1/rooms/"+room, "")
		require.Contains(t, body, `"count":{"sessions":1,"users":1,"observers":1}`)
		status, body := s.call(t, "DELETE", "/api/v1/rooms/"+room+"/members/"+mod.session, "")
		require.Equal(t, 204, status, body)
		own := want[*protocol.MemberLeft](mod)
		require.Equal(t, protocol.ReasonKicked, own.Reason)
		require.Equal(t, mod.session, own.Session)
		require.Equal(t, own.Offset, own.Prev, "not in the count")

		// ann saw none of it: the next event is the next offset.
		ann.send(&protocol.Publish{Request: protocol.Request{ID: 4, Room: room}, Data: json.RawMessage(`"still here"`)})
		require.Equal(t, j.Offset+2, want[*protocol.MessagePublished](ann).Offset)
		for _, m := range ann.seen() {
			text := string(m.AppendJSON(nil))
			require.False(t, strings.Contains(text, mod.session) || strings.Contains(text, fmt.Sprintf("%q", "mod")), text)
		}
	})
}
