package bench

import (
	"context"
	"fmt"
)

// resume is all clients that lose their connections at the same moment, and
// come back as the same sessions.
func (r *runner) resume(ctx context.Context) error {
	const members = 10
	clients := pick(&r.Options, 2000, 10_000)
	t := &Table{
		Title: fmt.Sprintf("resume: %s connections are cut at once, and come back", grouped(int64(clients))),
		About: "Rooms of 10. For each client: the loss that the others are told of, the handshake with the token, the join with what was missed, and the others told again. " +
			"64 come at a time. A session that is not the same one as before, or a room that has not kept what was missed, counts as refused.",
		Columns: []string{"server", "µs of CPU per client", "kernel %", "s until all are back", "clients", "refused", "broken", "out of order", "load µs"},
	}
	var able []string
	for _, name := range r.servers() {
		if d, _ := lookup(name); canResume(d) {
			able = append(able, name)
		} else if r.wants(name) {
			t.note("%s: its protocol has no way to be the same session again", name)
		}
	}
	beds, err := r.beds(ctx, t, able, setup{clients: clients, perRoom: members, settings: []string{"--session.resume-window=1m"}})
	if err != nil {
		return err
	}
	defer closeAll(beds)
	if err := r.open(ctx, t, "resume", beds, Order{Do: Open}); err != nil {
		return err
	}
	all, err := r.compare(ctx, t, beds, "", work{what: "resume", units: visits, orders: []Order{{Do: Resume, Window: 64}}})
	if err != nil {
		return err
	}
	for _, f := range all {
		t.row(f.name, f.cost.String(), figure(f.system.median()), f.took.String(), grouped(int64(f.tally.Connections)),
			fmt.Sprint(f.tally.Refused), fmt.Sprint(f.tally.Broken), fmt.Sprint(f.tally.Disordered), figure(f.load.median()))
		r.report.measured(f.name, "resume", f)
	}
	r.add(t)
	return nil
}

func canResume(d Driver) bool {
	_, can := d.(Resumer)
	return can
}

func canMove(d Driver) bool {
	_, can := d.(Mover)
	return can
}
