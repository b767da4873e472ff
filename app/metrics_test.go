package app

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"
)

func TestMetricsFollowTheConventions(t *testing.T) {
	s := start(t, nil)
	require.Equal(t, 201, s.call("POST", "/api/v1/rooms/a/messages", `{"data":1}`).status)
	a := s.call("GET", "/metrics", "")
	require.Equal(t, 200, a.status)
	problems, err := promlint.New(strings.NewReader(a.body)).Lint()
	require.NoError(t, err)
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "rollcall_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	for _, line := range []string{
		"rollcall_rooms 1", "rollcall_members 0", `rollcall_connections{transport="websocket"} 0`, `rollcall_leaves_total{reason="lost"} 0`,
		`rollcall_requests_refused_total{code="rate_limited"} 0`, "rollcall_ghosts_total 0", `rollcall_actor_failures_total{kind="session"} 0`,
		"rollcall_messages_published_total 1", `rollcall_connections_closed_total{cause="slow"} 0`,
	} {
		require.Contains(t, a.body, line+"\n")
	}
}
