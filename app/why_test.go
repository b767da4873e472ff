package app

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/actors"
	"rollcall/client"
	"rollcall/config"
	"rollcall/protocol"
	"rollcall/timeline"
)

// The prose of a timeline, whole: two days, two sessions, one of them gone.
func TestProse(t *testing.T) {
	zone := time.FixedZone("CEST", 2*3600)
	at := func(day, hour, minute, second, milli int) int64 {
		return time.Date(2026, 9, day, hour, minute, second, milli*1e6, zone).UnixMilli()
	}
	got := prose(&actors.Timeline{
		Room: "lobby", Epoch: "k3v9", User: "ann", Now: at(22, 9, 40, 5, 120), Sessions: 3, Cut: true,
		Members: []actors.Presence{
			{
				Session: "s_6f0k", Name: "Ann", State: protocol.StateLost, StateSince: at(22, 9, 40, 1, 2), Remote: "10.1.2.3",
				LastActiveAt: at(22, 9, 38, 0, 0), LastHeardAt: at(22, 9, 40, 0, 900),
				Next: &actors.Next{At: at(22, 9, 40, 11, 2), Reason: protocol.ReasonLost},
			},
			{
				Session: "s_9x8y", Name: "Ann", State: protocol.StateActive, StateSince: at(21, 23, 0, 0, 0), LastActiveAt: at(21, 23, 0, 0, 0),
				Next: &actors.Next{At: at(22, 9, 45, 0, 0), State: protocol.StateIdle},
			},
		},
		Events: []timeline.Event{
			{At: at(21, 23, 0, 0, 0), Text: "was opened, in epoch k3v9"},
			{At: at(22, 9, 31, 7, 214), Session: "s_6f0k", Text: "connected from 10.1.2.3"},
			{At: at(22, 9, 36, 12, 0), Session: "s_6f0k", Text: "fell idle: no activity for 5m0s"},
			{At: at(22, 9, 40, 1, 2), Session: "s_6f0k", Text: "left: the session was ended by a call of the API, code 4502: \x1b[31mspam\u202e"},
		},
	}, zone)
	require.Equal(t, `ann in room lobby, as of 2026-09-22 09:40:05 (times are CEST, UTC+02:00)

… what was before is no longer on record
2026-09-21 23:00:00.000  the room was opened, in epoch k3v9
09:31:07.214  session s_6f0k connected from 10.1.2.3
09:36:12.000  session s_6f0k fell idle: no activity for 5m0s
09:40:01.002  session s_6f0k left: the session was ended by a call of the API, code 4502: �[31mspam�

now: session s_6f0k is shown as lost, since 09:40:01.002;
     unless it comes back, it leaves as lost at 09:40:11.002
     last active 09:38:00.000 (2m5s ago); last heard of 09:40:00.900 (4s ago); connected from 10.1.2.3
now: session s_9x8y is shown as active, since 2026-09-21 23:00:00.000;
     unless there is activity, it becomes idle at 09:45:00.000
     last active 2026-09-21 23:00:00.000 (10h40m ago)
… and 1 more sessions of this user are in the room
`, string(got))

	gone := string(prose(&actors.Timeline{Room: "lobby", User: "ann"}, time.UTC))
	require.Equal(t, "ann in room lobby, as of 1970-01-01 00:00:00 (times are UTC)\n\n\nnow: not in the room\n", gone)
}

func TestProseSaysWhatWouldHelp(t *testing.T) {
	for want, next := range map[string]actors.Next{
		"unless there is activity, it becomes idle":      {State: protocol.StateIdle},
		"unless its page pings, it becomes unresponsive": {State: protocol.StateUnresponsive},
		"unless there is activity, it leaves as idle":    {Reason: protocol.ReasonIdle},
		"unless it comes back, it leaves as closed":      {Reason: protocol.ReasonClosed},
		"whatever it does, it leaves as expired":         {Reason: protocol.ReasonExpired},
	} {
		got := prose(&actors.Timeline{Sessions: 1, Members: []actors.Presence{{Next: &next}}}, time.UTC)
		require.Contains(t, string(got), want)
	}
}

// enter has a user join a room, for as long as the test.
func enter(t *testing.T, s *server, room, user string) {
	t.Helper()
	query := url.Values{"room": {room}, "user": {user}}
	c, err := client.Connect(t.Context(), "ws://"+s.Addr().String()+"/ws?"+query.Encode(), client.Options{})
	require.NoError(t, err)
	t.Cleanup(c.Abort)
	for {
		b, err := c.Read()
		require.NoError(t, err)
		if strings.HasPrefix(string(b), `{"type":"joined"`) {
			return
		}
	}
}

// runWhy runs Why, and returns its exit code and what it printed.
func runWhy(c config.Why) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = Why(context.Background(), c, &out, &errs)
	return code, out.String(), errs.String()
}

func TestWhyAsksTheServer(t *testing.T) {
	const key = "0123456789abcdef0123456789abcdef"
	s := start(t, func(c *config.Config) { c.API.Keys = []string{key} })
	enter(t, s, "a/b", "ann")

	code, stdout, stderr := runWhy(config.Why{Room: "a/b", User: "ann", URL: s.url, Key: key})
	require.Equal(t, 0, code, stderr)
	require.Contains(t, stdout, "ann in room a/b, as of ")
	require.Contains(t, stdout, " connected from 127.0.0.1\n")
	require.Contains(t, stdout, "is shown as active, since ")
	require.Contains(t, stdout, "; last heard of ")

	code, stdout, stderr = runWhy(config.Why{Room: "a/b", User: "ann", URL: s.url, JSON: true})
	require.Equal(t, 0, code, stderr)
	var tl actors.Timeline
	require.NoError(t, json.Unmarshal([]byte(stdout), &tl))
	require.Equal(t, "ann", tl.User)

	for _, row := range []struct {
		name string
		ask  config.Why
		want string
	}{
		{"no such room", config.Why{Room: "none", User: "ann", URL: s.url}, "there is no such room\n"},
		{"nobody of that name", config.Why{Room: "a/b", User: "bob", URL: s.url}, "nothing is known of them in this room\n"},
		{"a wrong key", config.Why{Room: "a/b", User: "ann", URL: s.url, Key: key + "0"}, "this is not a key of the server\n"},
		{"no server", config.Why{Room: "a/b", User: "ann", URL: "http://127.0.0.1:1"}, "ask http://127.0.0.1:1: "},
		{"another server's page", config.Why{Room: "a/b", User: "ann", URL: s.url + "/elsewhere"}, "ask " + s.url + "/elsewhere: 404"},
	} {
		code, stdout, stderr := runWhy(row.ask)
		require.Equal(t, 1, code, row.name)
		require.Empty(t, stdout, row.name)
		require.Contains(t, stderr, row.want, row.name)
		require.Equal(t, 1, strings.Count(stderr, "\n"), row.name)
	}
}

func TestTimelineOverHTTP(t *testing.T) {
	s := start(t, nil)
	enter(t, s, "lobby", "ann")
	get := func(query string, header ...string) answer {
		return s.call(http.MethodGet, "/api/v1/rooms/lobby/timeline?"+query, "", header...)
	}
	a := get("user=ann")
	require.Equal(t, 200, a.status, a.body)
	var tl actors.Timeline
	require.NoError(t, json.Unmarshal([]byte(a.body), &tl))
	require.Equal(t, "lobby", tl.Room)
	require.NotEmpty(t, tl.Epoch)
	require.Len(t, tl.Members, 1)
	m := tl.Members[0]
	require.Equal(t, "127.0.0.1", m.Remote)
	require.NotZero(t, m.LastHeardAt)
	require.LessOrEqual(t, m.ConnectedAt, m.JoinedAt)
	require.ElementsMatch(t, []string{"room_opened", "connected", "joined"}, kindsOf(tl.Events)) // perhaps within a millisecond

	bySession := get("session=" + m.Session)
	require.Equal(t, 200, bySession.status, bySession.body)

	for query, want := range map[string]int{
		"": 400, "user=ann&session=x": 400, "user=bob": 404, "session=s_x": 404, "user=": 400,
	} {
		a := get(query)
		require.Equal(t, want, a.status, query)
		a.problem(t)
	}
	require.Equal(t, 403, get("user=ann", "X-Forwarded-For", "203.0.113.9").status, "it tells addresses: not to everybody")
	require.Equal(t, 405, s.call(http.MethodPost, "/api/v1/rooms/lobby/timeline", "").status)
	require.Equal(t, 404, s.call(http.MethodGet, "/api/v1/rooms/none/timeline?user=ann", "").status)
}

func kindsOf(es []timeline.Event) (kinds []string) {
	for _, e := range es {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}
