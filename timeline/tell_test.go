package timeline

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"rollcall/protocol"
)

func ms(d time.Duration) int64 { return d.Milliseconds() }

// told is events as lines, instants as times of the clock since the start.
func told(es []Event) string {
	var b strings.Builder
	for _, e := range es {
		fmt.Fprintf(&b, "%s %s%s\n", time.UnixMilli(e.At).UTC().Format("15:04:05.000"), strings.TrimSpace(e.Session+" "), e.Text)
	}
	return b.String()
}

// A whole visit, in the words that people read.
func TestAStoryIsToldInOrder(t *testing.T) {
	const s = ""
	got := told(Tell([]Record{
		{At: ms(7 * time.Second), Since: ms(6950 * time.Millisecond), Session: s, Kind: Joined, Detail: "10.1.2.3"},
		{At: ms(20 * time.Minute), Since: ms(8 * time.Minute), Session: s, Kind: Active, Detail: "5m0s"},
		{At: ms(21 * time.Minute), Session: s, Kind: Lost, Detail: "reset by the peer"},
		{At: ms(21*time.Minute + 3200*time.Millisecond), Since: ms(21 * time.Minute), Session: s, Kind: Resumed, Detail: "10.9.8.7"},
		{At: ms(2 * time.Hour), Since: ms(35 * time.Minute), Session: s, Kind: Left, Reason: ReasonOf(protocol.ReasonClosed), Code: 1001},
		{At: ms(30 * time.Minute), Kind: RoomFailed, Detail: "assignment to entry in nil map"},
	}))
	require.Equal(t, `00:00:06.950 connected from 10.1.2.3
00:00:07.000 joined the room
00:08:00.000 fell idle: no activity for 5m0s
00:20:00.000 was active again, after 12m0s of idleness
00:21:00.000 lost its connection: reset by the peer; it may come back
00:21:03.200 came back after 3.2s from 10.9.8.7
00:30:00.000 failed: its actor panicked: assignment to entry in nil map
02:00:00.000 left: its client closed the connection, code 1001 (the page went away); last active 1h25m before
`, got)
}

// Every kind has a word for programs and words for people.
func TestEveryKindHasWords(t *testing.T) {
	words, texts := map[string]bool{}, map[string]bool{}
	for k := Connected; k < kinds; k++ {
		e := Tell([]Record{{At: 1, Kind: k, Detail: "x", Reason: 1}})[0]
		require.Equal(t, k.String(), e.Kind)
		require.Regexp(t, `^[a-z_]+$`, e.Kind)
		require.NotContains(t, e.Text, "no words")
		require.False(t, words[e.Kind], e.Kind)
		require.False(t, texts[e.Text] && k != RoomFailed, e.Text) // which says what a session's does
		words[e.Kind], texts[e.Text] = true, true
	}
	require.Empty(t, kinds.String())
	require.Empty(t, bys.String())
	require.Contains(t, Tell([]Record{{Kind: kinds}})[0].Text, "no words")
}

// Every leave reason says why, and who ended it.
func TestEveryReasonHasWords(t *testing.T) {
	want := map[protocol.Reason]string{
		protocol.ReasonLeft:         "client: left: its client asked to leave",
		protocol.ReasonKicked:       "api: left: it was taken out of the room by a call of the API",
		protocol.ReasonBanned:       "api: left: it was banned by a call of the API",
		protocol.ReasonFailed:       "server: left: the server failed",
		protocol.ReasonClosed:       "client: left: its client closed the connection",
		protocol.ReasonLost:         "network: left: its connection was lost, and it did not come back",
		protocol.ReasonIdle:         "rule: left: there was no activity for too long",
		protocol.ReasonExpired:      "rule: left: it reached its maximum age",
		protocol.ReasonUnauthorized: "rule: left: its token was no longer good",
		protocol.ReasonReplaced:     "rule: left: a newer session of the user took its place",
		protocol.ReasonViolation:    "rule: left: its client broke the protocol, or flooded past the limits",
		protocol.ReasonSlow:         "rule: left: its client read too slowly",
		protocol.ReasonShutdown:     "server: left: the server went away",
		protocol.ReasonNodeLost:     "server: left: the machine that held it died",
	}
	require.Len(t, want, len(protocol.Reasons))
	for _, reason := range protocol.Reasons {
		require.Equal(t, reason, ReasonOf(reason).Long())
		e := Tell([]Record{{Kind: Left, Reason: ReasonOf(reason)}})[0]
		require.Equal(t, reason, e.Reason)
		require.Equal(t, want[reason], e.By+": "+e.Text)
	}
	require.Zero(t, ReasonOf("made up"))
	require.Empty(t, Reason(0).Long())
	require.Empty(t, Reason(200).Long())
	require.Contains(t, Tell([]Record{{Kind: Left}})[0].Text, "no words")
}

// What is known beside the reason is said with it.
func TestALeaveSaysAllThatIsKnown(t *testing.T) {
	for _, row := range []struct {
		r    Record
		by   string
		want string
	}{
		{
			Record{Reason: ReasonOf(protocol.ReasonKicked), Code: 4502, Detail: "spam"}, "api",
			"left: the session was ended by a call of the API, code 4502: spam",
		},
		{
			Record{Reason: ReasonOf(protocol.ReasonIdle), By: API, Code: 4500}, "api",
			"left: the session was ended by a call of the API, code 4500",
		},
		{
			Record{Reason: ReasonOf(protocol.ReasonViolation), Code: 1002, Detail: "a frame was not masked"}, "rule",
			"left: its client broke the protocol, or flooded past the limits, code 1002: a frame was not masked",
		},
		{Record{Reason: ReasonOf(protocol.ReasonClosed), Code: 1000}, "client", "left: its client closed the connection, code 1000 (done)"},
		{Record{Reason: ReasonOf(protocol.ReasonClosed), Code: 1005}, "client", "left: its client closed the connection, without a code"},
		{
			Record{Reason: ReasonOf(protocol.ReasonLost), Since: 1, At: 5001}, "network",
			"left: its connection was lost, and it did not come back; last active 5s before",
		},
	} {
		row.r.Kind = Left
		e := Tell([]Record{row.r})[0]
		require.Equal(t, row.want, e.Text)
		require.Equal(t, row.by, e.By)
	}
}

func TestDurationsAreAsFineAsTheyMatter(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second:                          "0s",
		0:                                     "0s",
		3 * time.Millisecond:                  "3ms",
		3200 * time.Millisecond:               "3.2s",
		59*time.Second + 999*time.Millisecond: "59.999s",
		72*time.Second + 400*time.Millisecond: "1m12s",
		5 * time.Minute:                       "5m0s",
		time.Hour:                             "1h0m",
		26*time.Hour + 5*time.Minute + 29*1e9: "26h5m",
		time.Hour + 59*time.Minute + 45*1e9 + 1e6: "2h0m",
	} {
		require.Equal(t, want, Duration(ms(d)), d)
	}
}

func TestLineIsOneShortLine(t *testing.T) {
	require.Equal(t, "runtime error", Line("runtime error\ngoroutine 1\n"))
	require.Equal(t, "", Line(""))
	require.Equal(t, "ab", Line("a\xffb"))
	long := Line(strings.Repeat("ä", 500))
	require.LessOrEqual(t, len(long), maxDetail)
	require.True(t, utf8.ValidString(long))
	require.True(t, strings.HasSuffix(long, "…"))
}
