package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/config"
	"rollcall/protocol"
)

// listenDrops is how many connections the kernel dropped because a listener's
// queue was full, on this machine so far; 0 where it does not tell.
func listenDrops(t testing.TB) int {
	raw, err := os.ReadFile("/proc/net/netstat")
	if err != nil {
		return 0
	}
	lines := regexp.MustCompile(`(?m)^TcpExt: (.*)$`).FindAllStringSubmatch(string(raw), -1)
	require.Len(t, lines, 2)
	words := regexp.MustCompile(`\S+`)
	names, values := words.FindAllString(lines[0][1], -1), words.FindAllString(lines[1][1], -1)
	for i, name := range names {
		if name == "ListenOverflows" {
			n, err := strconv.Atoi(values[i])
			require.NoError(t, err)
			return n
		}
	}
	return 0
}

// Five thousand who connect at once all get in.
func TestStormOfConnects(t *testing.T) {
	const n, rooms = 5000, 100
	s := start(t, func(c *config.Config) { c.Log.Level = "warn" })
	dropped, began := listenDrops(t), time.Now()
	used := processorTime(t)
	c := startStorm(t, s.addr, n, rooms, n)
	t.Logf("%d are in their rooms after %v and %v of processor time; %d connections dropped by the kernel",
		n, time.Since(began).Round(time.Millisecond), time.Duration(processorTime(t)-used).Round(time.Millisecond), listenDrops(t)-dropped)
	require.EqualValues(t, n, s.metric(t, "rollcall_members"))
	for _, kind := range []string{"overloaded", "address_rate", "full", "pending", "address_pending"} {
		require.Zero(t, s.metric(t, fmt.Sprintf("rollcall_handshakes_refused_total{reason=%q}", kind)), kind)
	}
	require.Equal(t, "left", c.tell("leave"))
}

// Whoever is told to go is told when to come back, each at another time.
func TestDrainSpreadsTheReturn(t *testing.T) {
	const n, drain = 50, 200 * time.Millisecond
	s := start(t, func(c *config.Config) { c.Drain = drain })
	var all []*peer
	for i := range n {
		all = append(all, connect(t, s.addr, fmt.Sprintf("user=u%d&room=lobby", i)))
		want[*protocol.Joined](all[i])
	}
	require.NoError(t, s.stop())
	times := map[int64]bool{}
	for _, p := range all {
		bye := wantThat(p, func(*protocol.Bye) bool { return true })
		require.Equal(t, protocol.CloseShutdown, bye.Code)
		require.True(t, bye.Reconnect)
		require.GreaterOrEqual(t, bye.AfterMS, int64(0))
		require.Less(t, bye.AfterMS, 2*drain.Milliseconds())
		times[bye.AfterMS] = true
	}
	require.Greater(t, len(times), n/4)
}
