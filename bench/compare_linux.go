package bench

import (
	"context"
	"fmt"
	"time"
)

// figures are what one server's rounds of an order came to, for each unit of
// work: a delivery, a visit, a change.
type figures struct {
	name     string
	cost     sample // microseconds of the server's processor time
	ratio    sample // cost in units of the floor's, round by round
	load     sample // microseconds of the load's own processor time
	system   sample // the kernel's share of cost, in percent
	switches sample // context switches of the server, for 1,000 units
	bytes    sample // that the server sent
	frames   sample // likewise
	took     sample // seconds by the clock
	tally    Tally  // of all rounds together
}

// work is what is measured, and how it is counted.
type work struct {
	what   string // for the progress
	orders []Order
	units  func(*Tally) int
}

// compare has every server do the work in turn, over and over, and sets what it
// cost against that of the base: the floor, where it is there. A server that
// failed is noted in the table and has no figures.
func (r *runner) compare(ctx context.Context, t *Table, beds []*bed, base string, w work) ([]*figures, error) {
	all := make([]*figures, len(beds))
	for i, b := range beds {
		all[i] = &figures{name: b.driver.Name()}
	}
	for round := range r.rounds() {
		for i, b := range beds {
			if b.failed {
				continue
			}
			r.say("%s, round %d of %d: %s", w.what, round+1, r.rounds(), b.driver.Name())
			s, ok, err := r.attempt(ctx, t, b, w.orders...)
			if err != nil {
				return nil, err
			}
			if ok {
				all[i].add(&s, w.units(&s.Tally))
			}
		}
	}
	var done []*figures
	for i, b := range beds {
		if !b.failed {
			done = append(done, all[i])
		}
	}
	for _, f := range done {
		if f.name == base {
			for _, g := range done {
				g.ratio = g.cost.over(f.cost)
			}
		}
	}
	return done, nil
}

func (f *figures) add(s *spent, units int) {
	each := func(v float64) float64 { return v / float64(max(units, 1)) }
	micro := func(d time.Duration) float64 { return each(float64(d) / 1e3) }
	f.cost = append(f.cost, micro(s.cpu))
	f.load = append(f.load, micro(s.CPU))
	f.system = append(f.system, 100*s.system)
	f.switches = append(f.switches, 1000*each(float64(s.switches)))
	f.bytes = append(f.bytes, each(float64(s.Bytes)))
	f.frames = append(f.frames, each(float64(s.Frames)))
	f.took = append(f.took, s.Took.Seconds())
	took := max(f.tally.Took, s.Took)
	f.tally.add(&s.Tally)
	f.tally.Took = took
}

// deliveries are the units of talking.
func deliveries(t *Tally) int { return t.Delivered }

// talkColumns are the columns of tables about messages.
var talkColumns = []string{
	"server", "µs of CPU per delivery", "× floor", "kernel %", "switches per 1,000", "latency p50 ms", "p99", "max", "bytes", "deliveries", "lost", "twice", "out of order", "load µs",
}

func talkRow(t *Table, f *figures) {
	h := &f.tally.Latency
	ms := func(ns int64) string { return figure(float64(ns) / 1e6) }
	t.row(f.name, f.cost.String(), ratio(f), figure(f.system.median()), figure(f.switches.median()),
		ms(h.Quantile(0.5)), ms(h.Quantile(0.99)), ms(h.Max), figure(f.bytes.median()), grouped(int64(f.tally.Delivered)),
		fmt.Sprint(f.tally.Lost), fmt.Sprint(f.tally.Duplicated), fmt.Sprint(f.tally.Disordered), figure(f.load.median()))
}

func ratio(f *figures) string {
	if len(f.ratio) == 0 {
		return "–"
	}
	return f.ratio.String()
}
