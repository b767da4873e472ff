package app

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"rollcall/config"
	"rollcall/internal/logs"
	"rollcall/internal/logstest"
)

// handshake opens a connection for one handshake. A WebSocket that comes of it
// stays open until the test ends.
func (s *server) handshake() answer {
	s.t.Helper()
	nc, err := net.Dial("tcp", s.Addr().String())
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = nc.Close() })
	_, err = fmt.Fprint(nc, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	require.NoError(s.t, err)
	resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
	require.NoError(s.t, err)
	a := answer{status: resp.StatusCode, header: resp.Header}
	if a.status != http.StatusSwitchingProtocols {
		b, err := io.ReadAll(resp.Body)
		require.NoError(s.t, err)
		a.body = string(b)
	}
	return a
}

// A handshake over the rate is refused before anything is made for it, with a
// time to come back; everything else goes on; and the operator is told once.
func TestHandshakesOverTheRateAreRefused(t *testing.T) {
	s := start(t, func(c *config.Config) { c.Admission.Rate = 0.01 })
	require.Equal(t, 101, s.handshake().status)
	const refused = 50
	for range refused {
		a := s.handshake()
		require.Equal(t, 503, a.status)
		require.Equal(t, "overloaded", a.problem(t))
		require.Regexp(t, `^\d+$`, a.header.Get("Retry-After"))
		require.NotEqual(t, "0", a.header.Get("Retry-After"))
	}
	require.Equal(t, 200, s.call("GET", "/readyz", "").status)
	require.Contains(t, s.call("GET", "/metrics", "").body, fmt.Sprintf(`rollcall_handshakes_refused_total{reason="overloaded"} %d`+"\n", refused))
	require.Eventually(t, func() bool {
		return strings.Contains(s.call("GET", "/metrics", "").body, `rollcall_connections_opened_total{transport="websocket"} 1`+"\n")
	}, time.Minute, time.Millisecond)
	require.Eventually(t, func() bool { return strings.Contains(s.log.String(), `"event":"overload"`) }, time.Minute, 10*time.Millisecond)
	require.Len(t, s.system.Clients(), 1)
	require.NotContains(t, s.log.String(), `"level":"info","message":"handshake refused"`, "a line for each of them")
}

// Each line tells what came since the one before, the last one all of it.
func TestOverloadIsToldInAFewLines(t *testing.T) {
	counted := map[string]int64{}
	o := &overload{}
	for _, name := range []string{"overloaded", "full"} {
		o.counts = append(o.counts, overloadCount{name: name, read: func() int64 { return counted[name] }})
	}
	var lines []string
	at := func(second int, overloaded, full int64) {
		counted["overloaded"] += overloaded
		counted["full"] += full
		if f := o.look(time.Unix(int64(1000+second), 0)); f != nil {
			lines = append(lines, fmt.Sprintf("%d %s %d: %s, %d ms", second, f["state"], f["count"], f["reason"], f["duration_ms"]))
		}
	}
	counted["full"] = 7 // calm so far
	for i := range o.counts {
		c := &o.counts[i]
		c.seen, c.told, c.calm = c.read(), c.read(), c.read()
	}
	at(0, 0, 0)
	at(1, 5, 0)
	for s := 2; s <= 12; s++ {
		at(s, 10, 1)
	}
	for s := 13; s <= 30; s++ {
		at(s, 0, 0)
	}
	at(31, 0, 2)
	for s := 32; s <= 40; s++ {
		at(s, 0, 0)
	}
	require.Equal(t, []string{
		"1 begins 5: overloaded 5, 0 ms",
		"11 lasts 110: overloaded 100, full 10, 10000 ms",
		"17 over 126: overloaded 115, full 11, 16000 ms",
		"31 begins 2: full 2, 0 ms",
		"36 over 2: full 2, 5000 ms",
	}, lines)
}

// Who has more than half of the votes is named; nobody is who has not.
func TestMajority(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		votes := rapid.SliceOf(rapid.SampledFrom([]string{"a", "b", "c"})).Draw(t, "votes")
		var m majority
		cast := map[string]int{}
		for _, v := range votes {
			m.vote(v)
			cast[v]++
		}
		if who := m.leader(); who != "" {
			require.Greater(t, 2*cast[who], len(votes))
		}
	})
	var m majority
	for i := range 100 {
		m.vote("flood")
		if i%3 == 0 {
			m.vote(fmt.Sprint("client ", i))
		}
	}
	require.Equal(t, "flood", m.leader())
}

// What may happen many times a second is one line in a while.
func TestAcceptErrorsDoNotFloodTheLog(t *testing.T) {
	out := &logstest.Lines{}
	lg, err := logs.New(out, logs.Options{Format: "json", Level: "info"})
	require.NoError(t, err)
	h := &httpErrors{log: lg}
	for range 100 {
		_, err := h.Write([]byte("http: Accept error: accept4: too many open files; retrying in 5ms\n"))
		require.NoError(t, err)
	}
	require.Equal(t, 1, strings.Count(out.String(), "\n"), out.String())
	h.quiet = time.Time{}
	_, err = h.Write([]byte("http: Accept error: accept4: too many open files; retrying in 5ms\n"))
	require.NoError(t, err)
	require.Contains(t, out.String(), `"skipped":99`)
}
