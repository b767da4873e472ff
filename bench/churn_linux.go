package bench

import (
	"context"
	"fmt"
)

// churn is clients that connect, join, leave and close, over and over.
func (r *runner) churn(ctx context.Context) error {
	const clients, members = 64, 8
	t := &Table{
		Title:   "churn: connect, join, leave and close",
		About:   "64 clients at a time, in rooms of 8. For each visit: the handshake, the join that the others in the room are told of, the leave likewise, the close.",
		Columns: []string{"server", "µs of CPU per visit", "× floor", "kernel %", "visits per second", "visits", "refused", "broken", "load µs"},
	}
	beds, err := r.beds(ctx, t, append([]string{floorPresence}, r.servers()...), setup{clients: clients, perRoom: members})
	if err != nil {
		return err
	}
	defer closeAll(beds)
	all, err := r.compare(ctx, t, beds, floorPresence, work{
		what: "churn", units: visits,
		orders: []Order{{Do: Churn, Each: pick(&r.Options, 1300, 10_000) / clients}},
	})
	if err != nil {
		return err
	}
	for _, f := range all {
		t.row(f.name, f.cost.String(), ratio(f), figure(f.system.median()), figure(float64(f.tally.Connections)/sum(f.took)),
			grouped(int64(f.tally.Connections)), fmt.Sprint(f.tally.Refused), fmt.Sprint(f.tally.Broken), figure(f.load.median()))
		r.report.measured(f.name, "churn", f)
	}
	r.add(t)
	return nil
}

func visits(t *Tally) int { return t.Connections }

func sum(s sample) (all float64) {
	for _, v := range s {
		all += v
	}
	return all
}
