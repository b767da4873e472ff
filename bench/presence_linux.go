package bench

import (
	"context"
	"fmt"
	"time"
)

// presence is the presence benchmark: members that come, go and change, in
// rooms of every mode.
func (r *runner) presence(ctx context.Context) error {
	t := &Table{
		Title: "presence: members come, go and change at random",
		About: "1,000 clients on open connections. At a fixed rate one of them is drawn: who is out joins, who is in changes its data three times of four and leaves else. " +
			"Latency is from when a join or a change was due until each member had been told of it. In the end every member must know how many there are: a view that is wrong then counts as lost.",
		Columns: []string{"server", "rooms", "µs of CPU per change", "frames per change", "KB per change", "told p50 ms", "p99", "max", "changes", "wrong views", "out of order", "load µs"},
	}
	for _, m := range []struct {
		name     string
		perRoom  int
		rate     float64
		settings []string
	}{
		{"20 of 50, each change told by itself", 50, 400, []string{"--presence.full-max=200"}},
		{"1 of 1,000, changes collected for 250 ms", 1000, 400, []string{"--presence.full-max=200", "--presence.interval=250ms"}},
		{"1 of 1,000, told as a number", 1000, 400, []string{"--presence.full-max=200", "--presence.list-max=300"}},
	} {
		var able []string
		for _, name := range r.servers() {
			if d, _ := lookup(name); canMove(d) {
				able = append(able, name)
			} else if r.wants(name) {
				t.note("%s: its clients here do not come and go on one connection", name)
			}
		}
		beds, err := r.beds(ctx, t, able, setup{clients: 1000, perRoom: m.perRoom, settings: m.settings})
		if err != nil {
			return err
		}
		err = r.presenceOf(ctx, t, beds, m.name, m.rate)
		closeAll(beds)
		if err != nil {
			return err
		}
	}
	r.add(t)
	return nil
}

func (r *runner) presenceOf(ctx context.Context, t *Table, beds []*bed, mode string, rate float64) error {
	if err := r.open(ctx, t, "presence", beds, Order{Do: Open}); err != nil {
		return err
	}
	all, err := r.compare(ctx, t, beds, "", work{
		what: "presence, " + mode, units: func(t *Tally) int { return t.Sent },
		orders: []Order{{Do: Move, Rate: rate, For: pick(&r.Options, 2*time.Second, 10*time.Second), Seed: 1}},
	})
	if err != nil {
		return err
	}
	for _, f := range all {
		h := &f.tally.Latency
		ms := func(q float64) string {
			if h.N == 0 {
				return "–"
			}
			return figure(float64(h.Quantile(q)) / 1e6)
		}
		t.row(f.name, mode, f.cost.String(), f.frames.String(), scaled(f.bytes, 1e-3).String(), ms(0.5), ms(0.99), ms(1),
			grouped(int64(f.tally.Sent)), fmt.Sprint(f.tally.Lost), fmt.Sprint(f.tally.Disordered), figure(f.load.median()))
		r.report.measured(f.name, "presence "+mode, f)
	}
	return nil
}
