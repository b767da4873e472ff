//go:build faults

package faults

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/internal/crowd"
	"rollcall/protocol"
)

// usage is what the server has done and used up to an instant.
type usage struct {
	frames, bytes, writes float64
	processor             time.Duration
	at                    time.Time
}

func (s *server) usage() usage {
	m := s.metrics()
	return usage{m["rollcall_messages_sent_total"], m["rollcall_outbound_bytes_total"], m["rollcall_outbound_writes_total"], s.processor(), time.Now()}
}

// TestJoinStorm lets thousands into one room as fast as they come, and all out
// again, and measures what telling them of each other takes.
func TestJoinStorm(t *testing.T) {
	for _, n := range loads.joins {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			r := begin(t, shipped, 0, patientTimeout, 1, "--limits.outbound-bytes=8MiB")
			before := r.server.usage()
			var crowds []*clients
			for i := range 2 {
				c := &clients{run: r, p: must(crowd.Start())}
				t.Cleanup(c.p.Kill)
				require.NoError(t, c.p.Begin(crowd.Order{
					Do: crowd.Connect, Address: r.server.address, N: n / 2, First: i * n / 2, Rooms: 1, Timeout: storming,
				}))
				crowds = append(crowds, c)
			}
			var joined time.Duration
			for _, c := range crowds {
				report, err := c.p.Report()
				require.NoError(t, err)
				joined = max(joined, report.Took)
			}
			var room roomInfo
			r.server.get("/api/v1/rooms/r0", &room)
			together(crowds, crowd.Order{Do: crowd.Await, What: crowd.Told, Count: n / 2, Offset: room.Offset, Timeout: storming})
			in := r.server.usage()
			complete := in.at.Sub(before.at)

			for _, c := range crowds {
				r.gone(c.tell(), protocol.ReasonClosed)
			}
			left := time.Now()
			together(crowds, crowd.Order{Do: crowd.Drop, How: "close", Timeout: storming})
			require.True(t, until(storming, func() bool { return r.server.metrics()["rollcall_members"] == 1 }), "everybody to be gone")
			r.end()
			out := r.server.usage()

			each := len((&protocol.MemberJoined{
				Stamp: protocol.Stamp{Room: "r0", Offset: uint64(n), At: left.UnixMilli()}, First: true,
				Member: protocol.Member{Session: "s_abcdefghijklmnop", User: "u1234", Name: "u1234", State: protocol.StateActive, Since: left.UnixMilli()},
			}).AppendJSON(nil))
			row("storm", strconv.Itoa(n), seconds(joined), seconds(complete),
				fmt.Sprintf("%.0f", in.frames-before.frames), fmt.Sprintf("%.0f", out.frames-in.frames), strconv.Itoa(n*n),
				megabytes(int64(out.bytes-before.bytes)), megabytes(int64(n)*int64(n)*int64(each)), fmt.Sprintf("%.0f", out.writes-before.writes),
				seconds(in.processor-before.processor), seconds(out.processor-in.processor), megabytes(r.result.peak), "`"+command(t.Name())+"`")
		})
	}
}

// storming bounds the waits of a storm.
const storming = 5 * time.Minute

func must(p *crowd.Process, err error) *crowd.Process {
	if err != nil {
		panic(err)
	}
	return p
}
