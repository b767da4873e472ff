package bench

import (
	"cmp"
	"io"
	"time"
)

// Options say what is measured.
type Options struct {
	// Scenarios by name, see Scenarios; empty or All: every one.
	Scenarios []string

	// Short makes it smaller: less than ten minutes on two cores, with the other
	// servers in fanout to 1,000 and in idle alone.
	Short bool

	// Rounds is how often each figure is taken, interleaved with those beside
	// it; 0: 5.
	Rounds int

	// Drivers are the servers to measure, by name; empty: all that are here.
	Drivers []string

	// Centrifugo is its program; empty: it is not measured.
	Centrifugo string

	// Report is the Markdown file to write, with its plots in a folder of the
	// same name beside it; empty: none.
	Report string

	// Command, Version and Revision are told in the report.
	Command, Version, Revision string

	// Out gets the tables, Progress a line for each step.
	Out, Progress io.Writer
}

// All stands for every scenario.
const All = "all"

// rounds is how often figures are taken.
func (o *Options) rounds() int {
	return cmp.Or(o.Rounds, 5)
}

// pick is short or long, by which form of a scenario is asked for.
func pick[T any](o *Options, short, long T) T {
	if o.Short {
		return short
	}
	return long
}

// settleTimeout is how long a server has to come to rest before its memory is
// looked at.
func (o *Options) settle() time.Duration { return pick(o, 3*time.Second, 6*time.Second) }
