//go:build faults

package faults

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/actors"
	"rollcall/internal/crowd"
	"rollcall/internal/faults/referee"
	"rollcall/protocol"
)

// corruptions say what becomes of each kind of ghost. All of them are found
// within two audits, counted, told as a warning, and repaired: by a leave with
// a reason where a member is concerned, that everybody sees once.
var corruptions = map[actors.Corruption]struct {
	says   string // the log, of its first ghost
	reason protocol.Reason
	gone   bool // the connection, too
}{
	actors.LostSeat:     {"a member without a seat", protocol.ReasonFailed, true},
	actors.LostMember:   {"a seat without a member", protocol.ReasonFailed, false},
	actors.LostEnd:      {"a member whose connection ended", protocol.ReasonLost, true},
	actors.LostActor:    {"a member without a session actor", protocol.ReasonFailed, false},
	actors.LostVisit:    {"a member whose client knows nothing of it", protocol.ReasonFailed, false},
	actors.MiscountRoom: {"a count that is not that of the members", "", false},
	actors.MiscountUser: {"presence: ", "", false},
}

// auditInterval is the time between two audits.
const auditInterval = time.Second

func TestAudit(t *testing.T) {
	for _, kind := range actors.Corruptions {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			want, ok := corruptions[kind]
			require.True(t, ok, "the test knows what becomes of it")
			r := begin(t, breakable, 0, patientTimeout, 2)
			c := r.crowd(crowd.Order{N: 40, Each: 2})
			r.watch("late", r.rooms)
			before := c.tell()
			victim := before[7]

			began := time.Now()
			r.post("/debug/faults/corrupt?room=r0&kind=" + string(kind) + "&session=" + victim.Session)
			var found time.Duration
			require.True(t, until(slack*2*auditInterval+patience, func() bool {
				found = time.Since(began)
				return r.server.metrics()["rollcall_ghosts_total"] > 0
			}), "the audit found nothing")
			require.Less(t, found, slack*2*auditInterval, "found within two audits")
			pause(2 * auditInterval) // what it repaired stays so
			r.result.ghosts = r.server.metrics()["rollcall_ghosts_total"]

			var told []line
			for _, l := range r.server.warnings() {
				if l.Event == "ghost" {
					told = append(told, l)
				}
			}
			require.Len(t, told, int(r.result.ghosts), "each ghost is a line of the log")
			require.True(t, strings.HasPrefix(told[0].Reason, want.says), "%+v", told[0])
			require.Equal(t, "warning", told[0].Level)
			if !want.gone { // else it was in both rooms
				require.Equal(t, "r0", told[0].Room)
			}

			for _, m := range c.tell() {
				switch {
				case m.Session != victim.Session || want.reason == "":
					r.alive([]crowd.Client{m})
				case want.gone:
					require.False(t, m.Connected)
					r.record("", &referee.Fate{Session: m.Session, Reasons: []protocol.Reason{want.reason}, Rooms: r.rooms})
				default:
					require.True(t, m.Connected)
					require.Equal(t, want.reason, m.Stays[0].Left, "it saw its own leave")
				}
			}
			if want.reason != "" && !want.gone {
				c.order(crowd.Order{Do: crowd.Rejoin})
				for _, m := range c.tell() {
					if m.Session == victim.Session {
						r.alive([]crowd.Client{m}, want.reason)
					}
				}
			}
			r.end(c)
			row("audit", "`"+string(kind)+"`", told[0].Reason, string(want.reason), seconds(found)+" of "+seconds(2*auditInterval), "`"+command(t.Name())+"`")
		})
	}
}
