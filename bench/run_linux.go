package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// scenario is one of the loads.
type scenario struct {
	name string
	run  func(*runner, context.Context) error
}

// scenarios in the order in which they run.
var scenarios = []scenario{
	{"idle", (*runner).idle},
	{"fanout", (*runner).fanout},
	{"rooms", (*runner).rooms},
	{"joinstorm", (*runner).joinstorm},
	{"churn", (*runner).churn},
	{"resume", (*runner).resume},
	{"presence", (*runner).presence},
	{"growth", (*runner).growth},
}

// Run measures what the options say, and prints it. The error is what kept it
// from measuring, or that a server lost, repeated or mixed up messages.
func Run(ctx context.Context, o Options) error {
	if slices.Equal(o.Scenarios, []string{loadCommand}) {
		return serveLoad(ctx, os.Stdin, os.Stdout)
	}
	if err := o.check(); err != nil {
		return err
	}
	r := &runner{Options: o, report: &Report{Options: o, At: time.Now(), Machine: machine()}}
	remove, err := r.workspace()
	if err != nil {
		return err
	}
	defer remove()
	for _, s := range scenarios {
		if !o.asks(s.name) {
			continue
		}
		if err := s.run(r, ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	_, _ = fmt.Fprint(o.Out, r.report.budgetTable().Text())
	_, _ = fmt.Fprintf(o.Out, "\nlost, repeated, mixed up, refused or broken: %d\n", r.report.wrong)
	if o.Report != "" {
		if err := r.report.write(o.Report); err != nil {
			return err
		}
	}
	if r.report.wrong > 0 {
		return fmt.Errorf("%w: %d", errWrong, r.report.wrong)
	}
	return nil
}

var errWrong = errors.New("things were lost, repeated, mixed up, refused or broken")

// check refuses names that there are not.
func (o *Options) check() error {
	for _, name := range o.Scenarios {
		if name != All && !slices.ContainsFunc(scenarios, func(s scenario) bool { return s.name == name }) {
			return fmt.Errorf("there is no scenario %q", name)
		}
	}
	for _, name := range o.Drivers {
		if _, known := lookup(name); !known {
			return fmt.Errorf("%w: %q", errDriver, name)
		}
	}
	if o.Rounds < 0 || o.Rounds > mostRounds {
		return fmt.Errorf("%d rounds, must be 1 to %d; or 0, for as many as the form has", o.Rounds, mostRounds)
	}
	return nil
}

const mostRounds = 100

// asks says whether a scenario was asked for.
func (o *Options) asks(name string) bool {
	return len(o.Scenarios) == 0 || slices.Contains(o.Scenarios, All) || slices.Contains(o.Scenarios, name)
}

// wants says whether a server was asked for. The floors always are.
func (o *Options) wants(name string) bool {
	return len(o.Drivers) == 0 || isFloor(name) || slices.Contains(o.Drivers, name)
}

func isOurs(name string) bool { return strings.HasPrefix(name, native{}.Name()) }

func isFloor(name string) bool { return strings.HasPrefix(name, floorEach) }

// peers are the names of all servers that are measured beside each other.
func (r *runner) peers() (names []string) {
	for _, d := range drivers {
		if !isFloor(d.Name()) {
			names = append(names, d.Name())
		}
	}
	return names
}

// servers are the names of those that every scenario measures: in the short form
// ours, and those that were asked for by name.
func (r *runner) servers() (names []string) {
	for _, name := range r.peers() {
		if !r.Short || isOurs(name) || slices.Contains(r.Drivers, name) {
			names = append(names, name)
		}
	}
	return names
}

// add prints a table and keeps it for the report.
func (r *runner) add(t *Table) {
	r.report.Tables = append(r.report.Tables, t)
	_, _ = fmt.Fprint(r.Out, t.Text())
}

// measured keeps the figures of a server, and counts what went wrong.
func (r *Report) measured(server, what string, f *figures) {
	r.set(server, what, f.cost)
	r.set(server, what+" ×", f.ratio)
	r.faulted(server, f.tally.wrong())
}

// faulted counts what went wrong with a server of ours, or with the floor. What
// others lose is in the tables, and is theirs.
func (r *Report) faulted(server string, n int) {
	if isOurs(server) || isFloor(server) {
		r.wrong += n
	}
}
