package e2e

import (
	"encoding/json"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/config"
	"rollcall/protocol"
)

// A room grows through all modes and back, over real sockets and by the
// settings; its members, HTTP and the metrics agree on each.
func TestARoomGrowsAndShrinks(t *testing.T) {
	inBothModes(t, func(t *testing.T, mode string) {
		s := start(t, func(c *config.Config) {
			c.Transport.Mode = mode
			c.Session.ResumeWindow = 0
			c.Presence.FullMax, c.Presence.ListMax, c.Presence.Interval = 2, 4, 10*time.Millisecond
		})
		is := func(want protocol.Mode) {
			t.Helper()
			var info struct{ Mode protocol.Mode }
			_, body := s.call(t, "GET", "/api/v1/rooms/r", "")
			require.NoError(t, json.Unmarshal([]byte(body), &info), body)
			require.Equal(t, want, info.Mode)
			require.EqualValues(t, 1, s.metric(t, `rollcall_rooms_by_mode{mode="`+string(want)+`"}`))
		}
		come := func(name string, want protocol.Mode, listed int) *peer {
			t.Helper()
			p := connect(t, s.addr, "user="+name)
			j := p.join("r")
			require.Equal(t, want, j.Mode)
			require.Len(t, j.Members, listed)
			return p
		}
		turned := func(p *peer, to protocol.Mode) {
			t.Helper()
			require.Equal(t, to, want[*protocol.ModeChanged](p).Mode)
		}
		ann := come("ann", protocol.ModeFull, 1)
		bob := come("bob", protocol.ModeFull, 2)
		is(protocol.ModeFull)
		kim := come("kim", protocol.ModeBatch, 3)
		for _, name := range []string{"bob", "kim"} {
			require.Equal(t, name, want[*protocol.MemberJoined](ann).Member.User)
		}
		turned(ann, protocol.ModeBatch)
		is(protocol.ModeBatch)
		lea := come("lea", protocol.ModeBatch, 4)
		p := want[*protocol.Presence](ann)
		require.Equal(t, "lea", p.Joins[0].Member.User)
		require.Equal(t, protocol.Count{Sessions: 4, Users: 4}, p.Count)
		zoe := come("zoe", protocol.ModeCount, 0)
		turned(ann, protocol.ModeCount)
		turned(kim, protocol.ModeCount)
		is(protocol.ModeCount)

		eve := come("eve", protocol.ModeCount, 0)
		for _, p := range []*peer{ann, zoe} {
			require.Equal(t, 6, want[*protocol.Occupancy](p).Count.Sessions)
		}
		var users []string
		for cursor := ""; ; {
			status, body := s.call(t, "GET", "/api/v1/rooms/r/members?limit=2&cursor="+url.QueryEscape(cursor), "")
			require.Equal(t, 200, status, body)
			var page protocol.MemberList
			require.NoError(t, json.Unmarshal([]byte(body), &page))
			for _, m := range page.Members {
				users = append(users, m.User)
			}
			if cursor = page.Next; cursor == "" {
				break
			}
		}
		require.Equal(t, []string{"ann", "bob", "kim", "lea", "zoe", "eve"}, users)
		status, body := s.call(t, "GET", "/api/v1/rooms/r/members?cursor=1.another", "")
		require.Equal(t, 400, status, body)
		require.Contains(t, body, `"bad_request"`)

		eve.send(&protocol.Leave{Request: protocol.Request{ID: 2, Room: "r"}})
		require.Equal(t, eve.session, want[*protocol.MemberLeft](eve).Session)
		for _, p := range []*peer{bob, kim, lea, zoe} {
			require.NoError(t, p.Close(1001, ""))
		}
		wantThat(ann, func(m *protocol.ModeChanged) bool { return m.Mode == protocol.ModeFull }) // maybe by way of batch
		again := ann.join("r")
		require.Len(t, again.Members, 1)
		is(protocol.ModeFull)
		require.EqualValues(t, 6, s.metric(t, "rollcall_joins_total"))
	})
}
