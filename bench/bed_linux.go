package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// runner carries out the scenarios, and collects what they found.
type runner struct {
	Options
	dir    string // for files of servers
	report *Report
	crowds int // made so far: each has names of its own
}

// bed is a server that runs, and its load.
type bed struct {
	driver Driver
	target *Target
	crew   *crew
	failed bool // it could not do what a scenario asks: the table says why
}

// setup is what a scenario needs of a server: so many clients in rooms of so
// many, and settings of our own servers.
type setup struct {
	clients, perRoom int
	connections      int  // at most, where more than clients will come; 0: clients
	quiet            bool // joins are not looked at: see StartOptions
	settings         []string
}

// bed starts a server and its load.
func (r *runner) bed(ctx context.Context, d Driver, s setup) (*bed, error) {
	target, err := d.Start(ctx, StartOptions{Dir: r.dir, Connections: max(s.connections, s.clients), Quiet: s.quiet, Settings: s.settings, Centrifugo: r.Centrifugo, Version: r.Version})
	if err != nil {
		return nil, err
	}
	crew, err := r.assemble(ctx, d, target, s.clients, s.perRoom)
	if err != nil {
		target.Stop()
		return nil, err
	}
	return &bed{driver: d, target: target, crew: crew}, nil
}

// assemble makes clients of a server.
func (r *runner) assemble(ctx context.Context, d Driver, t *Target, clients, perRoom int) (*crew, error) {
	r.crowds++
	return assemble(ctx, Crowd{Driver: d.Name(), Address: t.Address, Count: clients, PerRoom: perRoom, Name: fmt.Sprintf("b%d", r.crowds)})
}

func (b *bed) close() {
	b.crew.dismiss()
	b.target.Stop()
}

// beds starts all of the named servers that are here and were asked for; what
// is absent is noted in the table.
func (r *runner) beds(ctx context.Context, t *Table, names []string, s setup) ([]*bed, error) {
	var all []*bed
	for _, name := range names {
		d, known := lookup(name)
		if !known || !r.wants(name) {
			continue
		}
		b, err := r.bed(ctx, d, s)
		if errors.Is(err, ErrAbsent) {
			t.note("%s: %v", name, err)
			continue
		}
		if ctx.Err() != nil {
			closeAll(all)
			return nil, context.Cause(ctx)
		}
		if err != nil {
			r.failed(t, name, err)
			continue
		}
		r.report.met(name, b.target)
		all = append(all, b)
	}
	return all, nil
}

// failed notes that a server could not do what was asked. The others go on.
func (r *runner) failed(t *Table, name string, err error) {
	t.note("%s failed: %v", name, err)
	r.say("%s failed: %v", name, err)
	r.report.faulted(name, 1)
}

// attempt carries out orders on a server, and returns false when it failed.
// The error is that the run is over.
func (r *runner) attempt(ctx context.Context, t *Table, b *bed, orders ...Order) (s spent, ok bool, err error) {
	if s, err = b.do(ctx, orders...); ctx.Err() != nil {
		return s, false, context.Cause(ctx)
	}
	if err != nil {
		b.failed = true
		r.failed(t, b.driver.Name(), err)
	}
	return s, err == nil, nil
}

func closeAll(beds []*bed) {
	for _, b := range beds {
		b.close()
	}
}

// spent is what an order cost.
type spent struct {
	Tally
	cpu      time.Duration // of the server
	system   float64       // of it, the kernel's part, 0 to 1
	switches int64
	after    usage
}

// do carries out orders, one after the other, and measures what the server
// spends on them until it rests.
func (b *bed) do(ctx context.Context, orders ...Order) (spent, error) {
	before, err := measure(b.target.PIDs)
	if err != nil {
		return spent{}, err
	}
	var s spent
	for _, o := range orders {
		tally, err := b.crew.do(o)
		took := s.Took + tally.Took
		s.add(&tally)
		s.Took = took
		if err != nil {
			return s, err
		}
	}
	if s.after, err = b.rest(ctx); err != nil {
		return s, err
	}
	s.cpu, s.system, s.switches = s.after.cpu-before.cpu, s.after.system, s.after.switches-before.switches
	return s, nil
}

// A server rests when it has used less than restShare of a core for restTime.
const (
	restTime    = 100 * time.Millisecond
	restShare   = 0.05
	restTimeout = 20 * time.Second
)

// rest waits until the server rests.
func (b *bed) rest(ctx context.Context) (usage, error) {
	last, err := measure(b.target.PIDs)
	for late := time.Now().Add(restTimeout); err == nil && time.Now().Before(late); {
		if err = pause(ctx, restTime); err != nil {
			break
		}
		var u usage
		if u, err = measure(b.target.PIDs); err == nil && u.cpu-last.cpu < time.Duration(restShare*float64(restTime)) {
			return u, nil
		}
		last = u
	}
	return last, err
}

// pause waits for a time.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// say tells of a step.
func (r *runner) say(format string, args ...any) {
	_, _ = fmt.Fprintf(r.Progress, "%s %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

// workspace makes the directory for files of servers.
func (r *runner) workspace() (remove func(), err error) {
	if r.dir, err = os.MkdirTemp("", "rollcall-bench-"); err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	return func() { _ = os.RemoveAll(r.dir) }, nil
}
