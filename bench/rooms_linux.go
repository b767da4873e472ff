package bench

import "context"

// rooms is many small rooms in which everybody talks.
func (r *runner) rooms(ctx context.Context) error {
	const rooms, members = 1000, 10
	t := &Table{
		Title:   "rooms: 1,000 rooms of 10, everybody talks",
		About:   "2,000 messages per second of 100 bytes, by the members in turn.",
		Columns: talkColumns,
	}
	beds, err := r.beds(ctx, t, append([]string{floorEach}, r.servers()...), setup{clients: rooms * members, perRoom: members})
	if err != nil {
		return err
	}
	defer closeAll(beds)
	if err := r.open(ctx, t, "rooms", beds, Order{Do: Open}); err != nil {
		return err
	}
	all, err := r.compare(ctx, t, beds, floorEach, work{
		what: "rooms", units: deliveries,
		orders: []Order{{Do: Say, Senders: pick(&r.Options, members/2, members), Each: pick(&r.Options, 1, 2), Rate: steadyDeliveries / members, Bytes: messageBytes}},
	})
	if err != nil {
		return err
	}
	for _, f := range all {
		talkRow(t, f)
		r.report.measured(f.name, "rooms", f)
	}
	r.add(t)
	return nil
}

// open brings the clients of all servers in.
func (r *runner) open(ctx context.Context, t *Table, what string, beds []*bed, o Order) error {
	for _, b := range beds {
		r.say("%s: opening %s", what, b.driver.Name())
		if _, _, err := r.attempt(ctx, t, b, o); err != nil {
			return err
		}
	}
	return nil
}
