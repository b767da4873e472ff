package bench

import (
	"context"
	"fmt"
)

// messageBytes is the length of what is said, everywhere: the JSON string
// with its quotes.
const messageBytes = 100

// steadyDeliveries is how many deliveries per second a steady sender causes:
// slow enough that each message is out before the next one comes.
const steadyDeliveries = 20_000

// quickRooms lets big rooms fill fast: who is there is told as a number. It
// changes nothing about messages.
var quickRooms = []string{"--presence.full-max=50", "--presence.list-max=100"}

// fanout is one member that talks to n.
func (r *runner) fanout(ctx context.Context) error {
	for _, n := range []int{100, 1000, 10_000} {
		if err := r.fanoutTo(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

func (r *runner) fanoutTo(ctx context.Context, n int) error {
	steady := &Table{
		Title: fmt.Sprintf("fanout: one member talks to a room of %s, at a steady rate", grouped(int64(n))),
		About: fmt.Sprintf("Messages of %d bytes, %d per second, each out before the next one comes. The floor writes the same bytes to the same number of sockets, one `send` each. "+
			"Latency is from when a message was due until each member had it.", messageBytes, steadyDeliveries/n),
		Columns: talkColumns,
	}
	burst := &Table{
		Title:   fmt.Sprintf("fanout: one member talks to a room of %s, as fast as it gets its own messages back", grouped(int64(n))),
		About:   "256 messages are under way at any time. The floor sends what came in one turn of its event loop with one `send` to each member.",
		Columns: talkColumns,
	}
	beds, err := r.beds(ctx, steady, append([]string{floorEach, floorBatch}, r.serversFor(n)...), setup{clients: n, perRoom: n, quiet: true, settings: quickRooms})
	if err != nil {
		return err
	}
	defer closeAll(beds)
	if err := r.open(ctx, steady, fmt.Sprintf("fanout to %d", n), beds, Order{Do: Open}); err != nil {
		return err
	}
	if err := r.fanoutTable(ctx, steady, without(beds, floorBatch), floorEach, "steady", n,
		Order{Do: Say, Senders: 1, Each: max(steadyDeliveries/n*pick(&r.Options, 1, 4), 4), Rate: float64(steadyDeliveries) / float64(n), Bytes: messageBytes}); err != nil {
		return err
	}
	return r.fanoutTable(ctx, burst, without(beds, floorEach), floorBatch, "burst", n,
		Order{Do: Say, Senders: 1, Each: max(pick(&r.Options, 300_000, 4_000_000)/n, 256), Window: 256, Bytes: messageBytes})
}

func (r *runner) fanoutTable(ctx context.Context, t *Table, beds []*bed, base, kind string, n int, o Order) error {
	all, err := r.compare(ctx, t, beds, base, work{what: fmt.Sprintf("fanout to %d, %s", n, kind), orders: []Order{o}, units: deliveries})
	if err != nil {
		return err
	}
	for _, f := range all {
		talkRow(t, f)
		r.report.measured(f.name, fmt.Sprintf("fanout-%s-%d", kind, n), f)
	}
	r.add(t)
	return nil
}

// without are the beds of all servers but one.
func without(beds []*bed, name string) []*bed {
	var rest []*bed
	for _, b := range beds {
		if b.driver.Name() != name {
			rest = append(rest, b)
		}
	}
	return rest
}

// serversFor are the servers that are measured with so many connections each:
// in the short form a big room is for the native protocol alone, and a middling
// one for all.
func (r *runner) serversFor(n int) []string {
	switch {
	case r.Short && n > 1000:
		return []string{native{}.Name()}
	case n == 1000:
		return r.peers()
	default:
		return r.servers()
	}
}
