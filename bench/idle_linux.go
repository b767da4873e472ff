package bench

import (
	"context"
	"fmt"
	"time"
)

// idle is members that do nothing.
func (r *runner) idle(ctx context.Context) error {
	const members = 10
	steps := []int{1000, pick(&r.Options, 8000, 17_000)}
	t := &Table{
		Title: fmt.Sprintf("idle: members of rooms of 10 who do nothing, up to %s", grouped(int64(steps[1]))),
		About: "Memory of the server process (RSS) for each connection more, by the slope between two sizes, after some seconds of rest; and what heartbeats cost: " +
			"each quiet connection is pinged every 5 seconds.",
		Columns: []string{"server", "bytes per member", "× floor", fmt.Sprintf("RSS MB at %s", grouped(int64(steps[1]))), "peak MB", "PSS MB", "kernel TCP KB", "CPU ms per second", "broken"},
	}
	base := sample(nil)
	for _, name := range append([]string{floorEach}, r.peers()...) {
		if d, known := lookup(name); known && r.wants(name) {
			if err := r.idleOf(ctx, t, d, steps, members, &base); err != nil {
				return err
			}
		}
	}
	r.add(t)
	return nil
}

func (r *runner) idleOf(ctx context.Context, t *Table, d Driver, steps []int, members int, base *sample) error {
	curve, last, err := r.memory(ctx, t, d, steps, members, []string{"--heartbeat.interval=5s"}, pick(&r.Options, 5*time.Second, 30*time.Second))
	if err != nil || curve == nil {
		return err
	}
	slope := sample{curve.slope()}
	if d.Name() == floorEach {
		*base = slope
	}
	u := last.after
	t.row(d.Name(), slope.String(), slope.over(*base).String(), figure(float64(u.rss)/1e6), figure(float64(u.peak)/1e6), figure(float64(u.pss)/1e6),
		figure(float64(u.sockets)/1e3), figure(float64(last.cpu)/1e6/last.Took.Seconds()), fmt.Sprint(last.Broken))
	r.report.set(d.Name(), "idle", slope)
	r.report.set(d.Name(), "idle ×", slope.over(*base))
	r.report.faulted(d.Name(), last.wrong())
	return nil
}

// curve is the memory of a server by its connections.
type curve []Point

// slope is the bytes for each connection between the first point and the last.
func (c curve) slope() float64 {
	first, last := c[0], c[len(c)-1]
	return (last.Y - first.Y) / (last.X - first.X)
}

// memory lets clients into a server step by step, and looks at its memory when
// it has come to rest after each. In the end it watches for a time. The curve is
// nil where the server is absent or failed, which the table notes.
func (r *runner) memory(ctx context.Context, t *Table, d Driver, steps []int, members int, settings []string, watch time.Duration) (curve, *spent, error) {
	c, s, err := r.remember(ctx, t, d, steps, members, settings, watch)
	if err != nil && ctx.Err() == nil {
		r.failed(t, d.Name(), err)
		return nil, nil, nil
	}
	return c, s, err
}

func (r *runner) remember(ctx context.Context, t *Table, d Driver, steps []int, members int, settings []string, watch time.Duration) (curve, *spent, error) {
	most := steps[len(steps)-1]
	beds, err := r.beds(ctx, t, []string{d.Name()}, setup{clients: steps[0], connections: most, perRoom: members, settings: settings})
	if err != nil || beds == nil {
		return nil, nil, err
	}
	b := beds[0]
	defer b.close()
	var c curve
	for i, n := range steps {
		if i > 0 {
			crew, err := r.assemble(ctx, b.driver, b.target, n-steps[i-1], members)
			if err != nil {
				return nil, nil, err
			}
			defer crew.dismiss()
			b = &bed{driver: b.driver, target: b.target, crew: crew}
		}
		r.say("memory at %d: %s", n, d.Name())
		if _, err := b.do(ctx, Order{Do: Open}); err != nil {
			return nil, nil, err
		}
		if err := pause(ctx, r.settle()); err != nil {
			return nil, nil, err
		}
		u, err := measure(b.target.PIDs)
		if err != nil {
			return nil, nil, err
		}
		c = append(c, Point{float64(n), float64(u.rss)})
	}
	s, err := b.do(ctx, Order{Do: Watch, For: watch})
	return c, &s, err
}
