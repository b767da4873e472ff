package bench

import (
	"context"
	"fmt"
)

// joinstorm is n clients that come into one room at once, and are all cut off.
func (r *runner) joinstorm(ctx context.Context) error {
	for _, n := range []int{1000, 10_000} {
		if err := r.joinstormOf(ctx, n, r.serversIn(n)); err != nil {
			return err
		}
	}
	return nil
}

// serversIn are the servers into which n come. In the short form those are ours:
// others take their time.
func (r *runner) serversIn(n int) []string {
	if r.Short && n <= 1000 {
		return r.servers()
	}
	return r.serversFor(n)
}

func (r *runner) joinstormOf(ctx context.Context, n int, servers []string) error {
	t := &Table{
		Title: fmt.Sprintf("joinstorm: %s come into one room at once, and all are cut off", grouped(int64(n))),
		About: "From the first connection until the last member knows of everybody, and then until the server has dealt with all of them gone without a goodbye. " +
			"The floor tells everybody of everybody, what came in one turn of its event loop together, and sends no list.",
		Columns: []string{"server", "CPU s", "× floor", "s until all know", "frames per member", "KB per member", "broken", "out of order", "load CPU s"},
	}
	if n <= 1000 {
		servers = append([]string{floorPresence}, servers...)
	} else {
		t.note("The floor is left out: to tell everybody of everybody, one turn of its loop after the other, takes it minutes.")
	}
	beds, err := r.beds(ctx, t, servers, setup{clients: n, perRoom: n})
	if err != nil {
		return err
	}
	defer closeAll(beds)
	all, err := r.compare(ctx, t, beds, floorPresence, work{
		what: fmt.Sprintf("joinstorm of %d", n), units: func(*Tally) int { return n },
		orders: []Order{{Do: Open, Whole: true, Window: 1000}, {Do: Close, Abrupt: true}},
	})
	if err != nil {
		return err
	}
	for _, f := range all {
		seconds := scaled(f.cost, float64(n)/1e6)
		t.row(f.name, seconds.String(), ratio(f), f.took.String(), f.frames.String(), scaled(f.bytes, 1e-3).String(),
			fmt.Sprint(f.tally.Broken), fmt.Sprint(f.tally.Disordered), figure(scaled(f.load, float64(n)/1e6).median()))
		what := fmt.Sprintf("joinstorm-%d", n)
		r.report.measured(f.name, what, f)
		r.report.set(f.name, what+" s", seconds)
		r.report.set(f.name, what+" s ×", f.ratio)
		r.report.set(f.name, what+" frames", f.frames)
	}
	r.add(t)
	return nil
}

func scaled(s sample, by float64) sample {
	r := make(sample, len(s))
	for i, v := range s {
		r[i] = v * by
	}
	return r
}
