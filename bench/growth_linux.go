package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
)

// growth is how costs go with sizes.
func (r *runner) growth(ctx context.Context) error {
	for _, part := range []func(*runner, context.Context) error{
		(*runner).growthOfDeliveries, (*runner).growthOfMemory, (*runner).growthOfJoins, (*runner).manySessions, (*runner).manyRooms,
	} {
		if err := part(r, ctx); err != nil {
			return err
		}
	}
	return nil
}

// growthOfDeliveries is the cost of a delivery by the size of the room.
func (r *runner) growthOfDeliveries(ctx context.Context) error {
	sizes := pick(&r.Options, []int{10, 100, 1000, 18_000}, []int{10, 30, 100, 300, 1000, 3000, 10_000, 18_000})
	t := &Table{
		Title:   "growth: what a delivery costs, by the size of the room",
		About:   "One member talks at a steady rate, as in fanout.",
		Columns: []string{"members", "floor, µs", "rollcall, µs", "× floor", "lost, twice, out of order"},
	}
	p := &Plot{File: "delivery.svg", Title: "CPU per delivery, by the size of the room", X: "members of the room", Y: "µs of server CPU", LogX: true, Series: []Series{{Name: floorEach}, {Name: native{}.Name()}}}
	for _, n := range sizes {
		beds, err := r.beds(ctx, t, []string{floorEach, native{}.Name()}, setup{clients: n, perRoom: n, quiet: true, settings: quickRooms})
		if err != nil {
			return err
		}
		all, err := r.growthTo(ctx, t, beds, n)
		closeAll(beds)
		if err != nil {
			return err
		}
		costs := map[string]*figures{floorEach: {}, native{}.Name(): {}}
		for _, f := range all {
			costs[f.name] = f
			i := slices.IndexFunc(p.Series, func(s Series) bool { return s.Name == f.name })
			p.Series[i].Points = append(p.Series[i].Points, Point{float64(n), f.cost.median()})
			r.report.faulted(f.name, f.tally.wrong())
		}
		own := costs[native{}.Name()]
		t.row(grouped(int64(n)), costs[floorEach].cost.String(), own.cost.String(), ratio(own),
			fmt.Sprint(own.tally.Lost+own.tally.Duplicated+own.tally.Disordered))
	}
	t.Plots = append(t.Plots, p)
	r.add(t)
	return nil
}

func (r *runner) growthTo(ctx context.Context, t *Table, beds []*bed, n int) ([]*figures, error) {
	what := fmt.Sprintf("growth, a room of %d", n)
	if err := r.open(ctx, t, what, beds, Order{Do: Open}); err != nil {
		return nil, err
	}
	return r.compare(ctx, t, beds, floorEach, work{what: what, units: deliveries, orders: []Order{
		{Do: Say, Senders: 1, Each: max(steadyDeliveries/n, 2), Rate: float64(steadyDeliveries) / float64(n), Bytes: messageBytes},
	}})
}

// growthOfMemory is the memory of the server by its connections.
func (r *runner) growthOfMemory(ctx context.Context) error {
	steps := pick(&r.Options, []int{1000, 8000, 18_000}, []int{1000, 2000, 5000, 8000, 12_000, 15_000, 18_000})
	t := &Table{
		Title:   "growth: memory, by members",
		About:   "RSS of the server process, members of rooms of 10 who do nothing.",
		Columns: []string{"members", "floor, MB", "rollcall, MB", "rollcall, bytes per member"},
	}
	p := &Plot{File: "memory.svg", Title: "Memory, by members", X: "connections, each a member of a room of 10", Y: "RSS of the server, MB"}
	curves := map[string]curve{}
	for _, d := range []Driver{floor{"each"}, native{}} {
		c, _, err := r.memory(ctx, t, d, steps, 10, nil, time.Second)
		if err != nil {
			return err
		}
		curves[d.Name()] = c
		s := Series{Name: d.Name()}
		for _, q := range c {
			s.Points = append(s.Points, Point{q.X, q.Y / 1e6})
		}
		p.Series = append(p.Series, s)
	}
	at := func(name string, i int) string {
		if c := curves[name]; c != nil {
			return figure(c[i].Y / 1e6)
		}
		return "–"
	}
	own := curves[native{}.Name()]
	if own == nil {
		r.add(t)
		return nil
	}
	for i, n := range steps {
		t.row(grouped(int64(n)), at(floorEach, i), at(native{}.Name(), i), figure(own[i].Y/float64(n)))
	}
	t.note("The slope from %s to %s is %s bytes per member.", grouped(int64(steps[0])), grouped(int64(steps[len(steps)-1])), figure(own.slope()))
	t.Plots = append(t.Plots, p)
	r.add(t)
	return nil
}

// growthOfJoins is the cost of a join by how many come into one room at once.
func (r *runner) growthOfJoins(ctx context.Context) error {
	sizes := pick(&r.Options, []int{10, 100, 1000, 10_000, 100_000}, []int{10, 30, 100, 300, 1000, 3000, 10_000, 18_000, 30_000, 100_000})
	t := &Table{
		Title: "growth: what a join costs, by how many come into one room",
		About: "All at once, by the default modes. *Simulated*: the actors alone, with connections that take everything and keep nothing; so only this one goes on above 18,000. " +
			"A join brings the list of members along until a room has 5,000, so up to there the bytes that a join takes grow with the room.",
		Columns: []string{"members", "µs of CPU per join", "KB per join", "simulated, µs of CPU per join"},
	}
	p := &Plot{File: "joins.svg", Title: "CPU per join, by how many come into one room", X: "members", Y: "µs of server CPU per join", LogX: true, LogY: true,
		Series: []Series{{Name: "with sockets"}, {Name: "simulated"}}}
	frames := &Plot{File: "storm.svg", Title: "Frames for each member, by how many come into one room", X: "members who come at once", Y: "frames that each gets", LogX: true, LogY: true,
		Series: []Series{{Name: "rollcall"}, {Name: "each join told alone"}}}
	for _, n := range sizes {
		cost, kilobytes := "–", "–"
		if n <= mostSockets {
			beds, err := r.beds(ctx, t, []string{native{}.Name()}, setup{clients: n, perRoom: n})
			if err != nil {
				return err
			}
			s, err := r.openOnce(ctx, t, beds, n)
			closeAll(beds)
			if err != nil {
				return err
			}
			each := float64(s.cpu) / 1e3 / float64(n)
			p.Series[0].Points = append(p.Series[0].Points, Point{float64(n), each})
			frames.Series[0].Points = append(frames.Series[0].Points, Point{float64(n), float64(s.Frames) / float64(n)})
			frames.Series[1].Points = append(frames.Series[1].Points, Point{float64(n), float64(n+1)/2 + 1}) // and welcome
			cost, kilobytes = figure(each), figure(float64(s.Bytes)/1e3/float64(n))
			r.report.faulted(native{}.Name(), s.wrong())
		}
		r.say("growth: simulating %d joins of one room", n)
		s, err := r.simulate(ctx, n, n)
		if err != nil {
			return err
		}
		each := float64(s.CPU) / 1e3 / float64(n)
		p.Series[1].Points = append(p.Series[1].Points, Point{float64(n), each})
		t.row(grouped(int64(n)), cost, kilobytes, figure(each))
	}
	t.Plots = append(t.Plots, p, frames)
	r.add(t)
	return nil
}

// mostSockets is how many connections a server can have here: nine tenths of
// 20,000 open files.
const mostSockets = 18_000

func (r *runner) openOnce(ctx context.Context, t *Table, beds []*bed, n int) (s spent, err error) {
	r.say("growth: %d join one room", n)
	for _, b := range beds {
		s, _, err = r.attempt(ctx, t, b, Order{Do: Open, Window: 1000})
	}
	return s, err
}

// simulate fills rooms in a process of its own.
func (r *runner) simulate(ctx context.Context, sessions, perRoom int) (Tally, error) {
	h, err := startHand(ctx)
	if err != nil {
		return Tally{}, err
	}
	w := &crew{hands: []*hand{h}}
	defer w.dismiss()
	return w.do(Order{Do: Simulate, Crowd: Crowd{Count: sessions, PerRoom: perRoom, Name: "s"}})
}

// manySessions is the memory of very many sessions.
func (r *runner) manySessions(ctx context.Context) error {
	const n = 1_000_000
	t := &Table{
		Title:   fmt.Sprintf("growth: %s sessions in rooms of 100, connections simulated", grouped(n)),
		About:   "The actors and all that they keep. Memory is RSS after a collection.",
		Columns: []string{"sessions", "GB", "bytes per session", "CPU s to fill", "CPU ms of a collection"},
	}
	r.say("growth: simulating %d sessions", n)
	s, err := r.simulate(ctx, n, 100)
	if err != nil {
		return err
	}
	gb := float64(s.Memory) / 1e9
	t.row(grouped(n), figure(gb), figure(float64(s.Memory)/n), figure(s.CPU.Seconds()), figure(float64(s.GC)/1e6))
	r.report.set(native{}.Name(), "sessions GB", sample{gb})
	r.add(t)
	return nil
}

// manyRooms is the cost of a scrape when there are many rooms.
func (r *runner) manyRooms(ctx context.Context) error {
	const rooms, scrapes = 10_000, 20
	t := &Table{
		Title:   "growth: /metrics with 10,000 rooms",
		About:   "Rooms of one member each.",
		Columns: []string{"rooms", "CPU ms per scrape", "KB"},
	}
	beds, err := r.beds(ctx, t, []string{native{}.Name()}, setup{clients: rooms, perRoom: 1})
	if err != nil || len(beds) == 0 {
		return err
	}
	defer closeAll(beds)
	if err := r.open(ctx, t, "growth, many rooms", beds, Order{Do: Open}); err != nil {
		return err
	}
	before, err := measure(beds[0].target.PIDs)
	if err != nil {
		return err
	}
	size := int64(0)
	for range scrapes {
		if size, err = scrape(ctx, beds[0].target.Address); err != nil {
			return err
		}
	}
	u, err := measure(beds[0].target.PIDs)
	if err != nil {
		return err
	}
	t.row(grouped(rooms), figure(float64(u.cpu-before.cpu)/1e6/scrapes), figure(float64(size)/1e3))
	r.add(t)
	return nil
}

// scrape asks for the metrics, and says how long they are.
func scrape(ctx context.Context, address string) (int64, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	if err != nil {
		return 0, err
	}
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		return 0, fmt.Errorf("scrape: %w", err)
	}
	defer func() { _ = a.Body.Close() }()
	n, err := io.Copy(io.Discard, a.Body)
	if err != nil {
		return n, fmt.Errorf("scrape: %w", err)
	}
	return n, nil
}
