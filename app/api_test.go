package app

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"rollcall/config"
)

func TestPublishOverHTTPIsKept(t *testing.T) {
	s := start(t, nil)
	first := s.call("POST", "/api/v1/rooms/a%2Fb/messages", `{"data":{"text":"hi"},"user":"bot","name":"Bot","key":"k1"}`)
	require.Equal(t, http.StatusCreated, first.status, first.body)
	var posted struct {
		Message, Epoch string
		Offset         uint64
	}
	require.NoError(t, json.Unmarshal([]byte(first.body), &posted))
	require.Equal(t, uint64(1), posted.Offset)
	require.NotEmpty(t, posted.Message)

	again := s.call("POST", "/api/v1/rooms/a%2Fb/messages", `{"data":"other","user":"bot","key":"k1"}`)
	require.Equal(t, http.StatusCreated, again.status)
	require.Equal(t, first.body, again.body, "a repeat of the key answers the first one's")

	kept := s.call("GET", "/api/v1/rooms/a%2Fb/messages", "")
	require.Equal(t, http.StatusOK, kept.status)
	var h struct {
		Messages []struct {
			Message, User, Name, Key string
			Offset                   uint64
			Data                     json.RawMessage
		}
		More bool
	}
	require.NoError(t, json.Unmarshal([]byte(kept.body), &h))
	require.Len(t, h.Messages, 1)
	require.Equal(t, posted.Message, h.Messages[0].Message)
	require.JSONEq(t, `{"text":"hi"}`, string(h.Messages[0].Data))

	room := s.call("GET", "/api/v1/rooms/a%2Fb", "")
	require.JSONEq(t, `{"room":"a/b","count":{"sessions":0,"users":0},"mode":"full","epoch":"`+posted.Epoch+`","offset":1}`, room.body)
}

func TestRoomsAreListedInPages(t *testing.T) {
	s := start(t, nil)
	for _, room := range []string{"b", "a.2", "a.1", "a.3"} {
		require.Equal(t, http.StatusCreated, s.call("POST", "/api/v1/rooms/"+room+"/messages", `{"data":1}`).status)
	}
	list := func(query string) (names []string, next string) {
		var l struct {
			Rooms []struct{ Room string }
			Next  string
		}
		a := s.call("GET", "/api/v1/rooms?"+query, "")
		require.Equal(t, http.StatusOK, a.status, a.body)
		require.NoError(t, json.Unmarshal([]byte(a.body), &l))
		for _, r := range l.Rooms {
			names = append(names, r.Room)
		}
		return names, l.Next
	}
	names, next := list("prefix=a.&limit=2")
	require.Equal(t, []string{"a.1", "a.2"}, names)
	names, next = list("prefix=a.&limit=2&cursor=" + next)
	require.Equal(t, []string{"a.3"}, names)
	require.Empty(t, next)
	names, _ = list("")
	require.Equal(t, []string{"a.1", "a.2", "a.3", "b"}, names)
}

func TestCallsThatMakeNoSense(t *testing.T) {
	s := start(t, func(c *config.Config) { c.Limits.MessageBytes = 1024 })
	big := `{"data":"` + strings.Repeat("x", 1100) + `"}`
	for _, row := range []struct {
		name, method, path, body string
		status                   int
		code                     string
	}{
		{"a room that is not", "GET", "/api/v1/rooms/none", "", 404, "not_found"},
		{"its members", "GET", "/api/v1/rooms/none/members", "", 404, "not_found"},
		{"its messages", "GET", "/api/v1/rooms/none/messages", "", 404, "not_found"},
		{"a kick out of it", "DELETE", "/api/v1/rooms/none/members/s_x", "", 404, "not_found"},
		{"a session that is not", "GET", "/api/v1/sessions/s_x", "", 404, "not_found"},
		{"its end", "DELETE", "/api/v1/sessions/s_x", "", 404, "not_found"},
		{"an address that is not", "GET", "/api/v1/nothing", "", 404, "not_found"},
		{"another version", "GET", "/api/v2/rooms", "", 404, "not_found"},
		{"a name that can't be one", "GET", "/api/v1/rooms/a%20b", "", 400, "bad_request"},
		{"a slash that is not escaped", "GET", "/api/v1/rooms/a//members", "", 404, "not_found"},
		{"a name with a leading slash", "POST", "/api/v1/rooms/%2Fa/messages", `{"data":1}`, 400, "bad_request"},
		{"a limit of none", "GET", "/api/v1/rooms?limit=0", "", 400, "bad_request"},
		{"a limit of too many", "GET", "/api/v1/rooms?limit=1001", "", 400, "bad_request"},
		{"a wrong method", "PUT", "/api/v1/rooms/a/messages", "", 405, "method_not_allowed"},
		{"a message without data", "POST", "/api/v1/rooms/a/messages", `{"user":"u"}`, 400, "bad_request"},
		{"no body", "POST", "/api/v1/rooms/a/messages", ``, 400, "bad_request"},
		{"no object", "POST", "/api/v1/rooms/a/messages", `[1]`, 400, "bad_request"},
		{"the same member twice", "POST", "/api/v1/rooms/a/messages", `{"data":1,"data":2}`, 400, "bad_request"},
		{"bad UTF-8", "POST", "/api/v1/rooms/a/messages", "{\"data\":\"\xff\"}", 400, "bad_request"},
		{"a user with a newline", "POST", "/api/v1/rooms/a/messages", `{"data":1,"user":"a\nb"}`, 400, "bad_request"},
		{"an empty key", "POST", "/api/v1/rooms/a/messages", `{"data":1,"key":""}`, 400, "bad_request"},
		{"a room of the server", "POST", "/api/v1/rooms/@server/messages", `{"data":1}`, 403, "forbidden"},
		{"data over the limit", "POST", "/api/v1/rooms/a/messages", big, 413, "too_large"},
	} {
		a := s.call(row.method, row.path, row.body)
		require.Equal(t, row.status, a.status, "%s: %s", row.name, a.body)
		require.Equal(t, row.code, a.problem(t), row.name)
	}
	require.JSONEq(t, `{"rooms":[]}`, s.call("GET", "/api/v1/rooms", "").body, "nothing refused made a room")
}

func TestWhoMayChangeThings(t *testing.T) {
	const key = "0123456789abcdef0123456789abcdef"
	open := start(t, nil)
	keyed := start(t, func(c *config.Config) { c.API.Keys = []string{"another-key-that-is-long", key} })
	publish := func(s *server, header ...string) answer {
		return s.call("POST", "/api/v1/rooms/a/messages", `{"data":1}`, header...)
	}
	for _, row := range []struct {
		name   string
		on     *server
		header []string
		status int
	}{
		{"from this machine", open, nil, 201},
		{"from this machine, by name", open, []string{"Host", "localhost:8080"}, 201},
		{"through a proxy on this machine", open, []string{"X-Forwarded-For", "203.0.113.9"}, 403},
		{"through a standard proxy", open, []string{"Forwarded", "for=203.0.113.9"}, 403},
		{"by a name that was rebound to this machine", open, []string{"Host", "evil.example"}, 403},
		{"by a page of another origin", open, []string{"Origin", "https://evil.example"}, 403},
		{"with a key where there are none", open, []string{"Authorization", "Bearer " + key}, 401},
		{"with the key", keyed, []string{"Authorization", "Bearer " + key, "X-Forwarded-For", "203.0.113.9"}, 201},
		{"with a wrong key", keyed, []string{"Authorization", "Bearer " + key[1:] + "0"}, 401},
		{"with a part of a key", keyed, []string{"Authorization", "Bearer " + key[1:]}, 401},
		{"with another scheme", keyed, []string{"Authorization", "Basic " + key}, 401},
		{"with a key, by a page of another origin", keyed, []string{"Authorization", "Bearer " + key, "Origin", "https://evil.example"}, 403},
		{"through a proxy without a key", keyed, []string{"X-Forwarded-For", "203.0.113.9"}, 401},
	} {
		a := publish(row.on, row.header...)
		require.Equal(t, row.status, a.status, "%s: %s", row.name, a.body)
		if a.status != 201 {
			a.problem(t)
		}
		if a.status == 401 {
			require.NotEmpty(t, a.header.Get("WWW-Authenticate"), row.name)
		}
	}
	require.NotContains(t, keyed.log.String(), key, "a key in the log")
}

func TestHandshakesThatAreRefused(t *testing.T) {
	s := start(t, nil)
	upgrade := []string{
		"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==",
	}
	for _, row := range []struct {
		name, query string
		header      []string
		status      int
	}{
		{"not an upgrade", "", nil, 426},
		{"a page of another origin", "", append([]string{"Origin", "https://evil.example"}, upgrade...), 403},
		{"only other sub-protocols", "", append([]string{"Sec-WebSocket-Protocol", "mqtt, wamp.2.json"}, upgrade...), 400},
		{"a room that can't be one", "?room=a%20b", upgrade, 400},
		{"an empty user", "?user=", upgrade, 400},
		{"a name that is too long", "?name=" + strings.Repeat("x", 65), upgrade, 400},
		{"data that is no JSON", "?data=%7B", upgrade, 400},
		{"a heartbeat out of bounds", "?heartbeat_ms=10", upgrade, 400},
		{"more rooms than one may be in", "?" + strings.Repeat("room=a&", 101), upgrade, 400},
	} {
		a := s.call("GET", "/ws"+row.query, "", row.header...)
		require.Equal(t, row.status, a.status, "%s: %s", row.name, a.body)
		a.problem(t)
	}
}

func TestHealth(t *testing.T) {
	s := start(t, nil)
	require.Equal(t, 200, s.call("GET", "/healthz", "").status)
	require.Equal(t, 200, s.call("GET", "/readyz", "").status)
	require.Equal(t, 405, s.call("POST", "/readyz", "").status)
	require.Equal(t, 404, s.call("GET", "/nothing", "").status)
	s.draining.Store(true)
	require.Equal(t, 503, s.call("GET", "/readyz", "").status)
	require.Equal(t, 200, s.call("GET", "/healthz", "").status, "the process is up while it drains")
}

func TestConnectionsAreBounded(t *testing.T) {
	require.Equal(t, 7, mostConnections(7))
	if files := openFiles(); files > 0 {
		require.Less(t, mostConnections(0), files, "some are left for the server itself")
		require.Greater(t, mostConnections(0), files/2)
	}
	s := start(t, func(c *config.Config) { c.Limits.Connections = 1 })
	dial := func() (net.Conn, int) {
		c, err := net.Dial("tcp", s.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		r, err := http.NewRequest(http.MethodGet, s.url+"/ws", nil)
		require.NoError(t, err)
		for i, h := range []string{"Connection", "Upgrade", "Sec-WebSocket-Version", "Sec-WebSocket-Key"} {
			r.Header.Set(h, []string{"Upgrade", "websocket", "13", "dGhlIHNhbXBsZSBub25jZQ=="}[i])
		}
		require.NoError(t, r.Write(c))
		resp, err := http.ReadResponse(bufio.NewReader(c), r)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode == http.StatusServiceUnavailable {
			require.NotEmpty(t, resp.Header.Get("Retry-After"))
		}
		return c, resp.StatusCode
	}
	_, status := dial()
	require.Equal(t, http.StatusSwitchingProtocols, status)
	_, status = dial()
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, s.call("GET", "/metrics", "").body, `rollcall_handshakes_refused_total{reason="full"} 1`+"\n")
}
