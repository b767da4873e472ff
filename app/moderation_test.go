package app

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/bans"
	"rollcall/config"
)

// banPlaces are where bans live: in a room, which need not exist, and in the
// whole server.
var banPlaces = []string{"/api/v1/rooms/a%2Fb/bans", "/api/v1/bans"}

func (a answer) ban(t *testing.T) (b bans.Ban) {
	t.Helper()
	require.Equal(t, 201, a.status, a.body)
	require.NoError(t, json.Unmarshal([]byte(a.body), &b))
	require.True(t, strings.HasPrefix(b.ID, "b_"))
	require.True(t, b.Valid())
	return b
}

func TestBansAreMadeListedAndLifted(t *testing.T) {
	s := start(t, nil)
	for _, place := range banPlaces {
		require.JSONEq(t, `{"bans":[]}`, s.call("GET", place, "").body)
		before := time.Now().UnixMilli()
		kim := s.call("POST", place, `{"user":"kim \" ü","for_ms":3600000,"reason":"spam, again"}`).ban(t)
		require.Equal(t, bans.Ban{ID: kim.ID, Who: bans.Who{User: `kim " ü`}, At: kim.At, Until: kim.Until, Reason: "spam, again"}, kim)
		require.GreaterOrEqual(t, kim.At, before)
		require.InDelta(t, kim.At+3600000, kim.Until, 60000)
		ever := s.call("POST", place, `{"session":"s_x"}`)
		session := ever.ban(t)
		require.JSONEq(t, fmt.Sprintf(`{"ban":%q,"session":"s_x","at":%d}`, session.ID, session.At), ever.body, "what was not given is not there")

		list := s.call("GET", place, "")
		require.Equal(t, 200, list.status)
		var all struct{ Bans []bans.Ban }
		require.NoError(t, json.Unmarshal([]byte(list.body), &all))
		require.ElementsMatch(t, []bans.Ban{kim, session}, all.Bans)

		require.Equal(t, 204, s.call("DELETE", place+"/"+kim.ID, "").status)
		require.Equal(t, "not_found", s.call("DELETE", place+"/"+kim.ID, "").problem(t))
		require.JSONEq(t, `{"bans":[`+ever.body+`]}`, s.call("GET", place, "").body)
	}
	for patience := time.Now().Add(time.Minute); strings.TrimSpace(s.call("GET", "/api/v1/rooms", "").body) != `{"rooms":[]}`; {
		require.True(t, time.Now().Before(patience), "the room that orders a ban ends at once")
	}
	require.NotContains(t, s.log.String(), "spam, again")
}

func TestBansAreListedInPages(t *testing.T) {
	s := start(t, nil)
	for _, place := range banPlaces {
		var made []bans.Ban
		for i := range 7 {
			made = append(made, s.call("POST", place, fmt.Sprintf(`{"user":"u%d"}`, i)).ban(t))
		}
		var got []bans.Ban
		cursor, pages := "", 0
		for {
			path := place + "?limit=3"
			if cursor != "" {
				path += "&cursor=" + url.QueryEscape(cursor)
			}
			a := s.call("GET", path, "")
			require.Equal(t, 200, a.status, a.body)
			var page struct {
				Bans []bans.Ban
				Next string
			}
			require.NoError(t, json.Unmarshal([]byte(a.body), &page))
			require.LessOrEqual(t, len(page.Bans), 3)
			got = append(got, page.Bans...)
			pages++
			if cursor = page.Next; cursor == "" {
				break
			}
			// What the cursor stands on may go without anybody being skipped.
			require.Equal(t, 204, s.call("DELETE", place+"/"+page.Bans[len(page.Bans)-1].ID, "").status)
		}
		require.Equal(t, 3, pages)
		require.ElementsMatch(t, made, got)
	}
}

func TestModerationThatMakesNoSense(t *testing.T) {
	s := start(t, func(c *config.Config) { c.Limits.RoomBans = 2 })
	type row struct {
		name, method, path, body string
		status                   int
		code                     string
	}
	rows := []row{
		{"a ban from a room of the server", "POST", "/api/v1/rooms/@server/bans", `{"user":"kim"}`, 403, "forbidden"},
		{"its bans", "GET", "/api/v1/rooms/@server/bans", "", 403, "forbidden"},
		{"a room of the server", "GET", "/api/v1/rooms/@server", "", 403, "forbidden"},
		{"a ban from what is no room", "POST", "/api/v1/rooms/a%20b/bans", `{"user":"kim"}`, 400, "bad_request"},
		{"a user who is not here", "GET", "/api/v1/users/kim", "", 404, "not_found"},
		{"the end of one", "DELETE", "/api/v1/users/kim", "", 404, "not_found"},
		{"its end with a code of somebody else's", "DELETE", "/api/v1/users/kim", `{"code":1000}`, 400, "bad_request"},
		{"all users", "GET", "/api/v1/users", "", 404, "not_found"},
		{"a user that is changed", "POST", "/api/v1/users/kim", "{}", 405, "method_not_allowed"},
	}
	for _, place := range banPlaces {
		rows = append(rows, []row{
			{"nobody", "POST", place, `{}`, 400, "bad_request"},
			{"no body", "POST", place, ``, 400, "bad_request"},
			{"two of them", "POST", place, `{"user":"kim","session":"s_x"}`, 400, "bad_request"},
			{"an empty user", "POST", place, `{"user":""}`, 400, "bad_request"},
			{"a user with a newline", "POST", place, `{"user":"a\nb"}`, 400, "bad_request"},
			{"a session that can't be one", "POST", place, `{"session":"kim"}`, 400, "bad_request"},
			{"for no time", "POST", place, `{"user":"kim","for_ms":0}`, 400, "bad_request"},
			{"for a negative time", "POST", place, `{"user":"kim","for_ms":-1}`, 400, "bad_request"},
			{"for a fraction of time", "POST", place, `{"user":"kim","for_ms":1.5}`, 400, "bad_request"},
			{"for too long", "POST", place, `{"user":"kim","for_ms":9007199254740992}`, 400, "bad_request"},
			{"too long a reason", "POST", place, `{"user":"kim","reason":"` + strings.Repeat("x", 121) + `"}`, 400, "bad_request"},
			{"a limit of none", "GET", place + "?limit=0", "", 400, "bad_request"},
			{"a cursor of somebody else's", "GET", place + "?cursor=%21", "", 400, "bad_request"},
			{"a ban that is not", "DELETE", place + "/b_x", "", 404, "not_found"},
			{"a method of something else", "PUT", place, "", 405, "method_not_allowed"},
			{"a read of one", "GET", place + "/b_x", "", 405, "method_not_allowed"},
		}...)
	}
	for _, row := range rows {
		a := s.call(row.method, row.path, row.body)
		require.Equal(t, row.status, a.status, "%s: %s", row.name, a.body)
		require.Equal(t, row.code, a.problem(t), row.name)
	}
	for _, place := range banPlaces {
		far := s.call("POST", place, `{"user":"kim","for_ms":9007199254740991}`).ban(t)
		require.Equal(t, int64(1<<53-1), far.Until, "no later than an integer can be")
		s.call("POST", place, `{"user":"ann"}`).ban(t)
		full := s.call("POST", place, `{"user":"bob"}`)
		require.Equal(t, 409, full.status, full.body)
		require.Equal(t, "full", full.problem(t))
		s.call("POST", place, `{"user":"ann"}`).ban(t) // in place of the other
	}
}

// All of it, reads included, is for those who may change things.
func TestWhoMayModerate(t *testing.T) {
	s := start(t, nil)
	for _, place := range banPlaces {
		for _, c := range [][3]string{
			{"GET", place, ""}, {"HEAD", place, ""}, {"POST", place, `{"user":"kim"}`}, {"DELETE", place + "/b_x", ""},
			{"GET", "/api/v1/users/kim", ""}, {"DELETE", "/api/v1/users/kim", ""},
		} {
			a := s.call(c[0], c[1], c[2], "X-Forwarded-For", "203.0.113.9")
			require.Equal(t, 403, a.status, "%s %s", c[0], c[1])
			a = s.call(c[0], c[1], c[2], "Origin", "https://evil.example")
			require.Equal(t, 403, a.status, "%s %s", c[0], c[1])
		}
		require.JSONEq(t, `{"bans":[]}`, s.call("GET", place, "").body)
	}
}

func TestHandshakeOfABannedUserIsRefused(t *testing.T) {
	s := start(t, nil)
	b := s.call("POST", "/api/v1/bans", `{"user":"kim"}`).ban(t)
	upgrade := []string{
		"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==",
	}
	a := s.call("GET", "/ws?user=kim", "", upgrade...)
	require.Equal(t, 403, a.status)
	require.Equal(t, "banned", a.problem(t))
	metrics := s.call("GET", "/metrics", "").body
	require.Contains(t, metrics, `rollcall_handshakes_refused_total{reason="banned"} 1`+"\n")
	require.Contains(t, metrics, "rollcall_bans_total 1\n")
	require.Equal(t, 204, s.call("DELETE", "/api/v1/bans/"+b.ID, "").status)
	require.False(t, s.system.Banned("kim"))
}
