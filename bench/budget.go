package bench

import "strconv"

// budget is a promise of docs/architecture.md: a figure of ours, or its ratio
// to the floor's, is at most so much.
type budget struct {
	what    string
	figure  string // of Report.set
	unit    string
	most    float64
	against bool // the ratio to the floor, not the figure itself
}

var budgets = []budget{
	{"memory for each idle member", "idle", "bytes", 2500, false},
	{"fan-out to 1,000, steady, per delivery", "fanout-steady-1000", "", 1.15, true},
	{"fan-out to 10,000, steady, per delivery", "fanout-steady-10000", "", 1.15, true},
	{"fan-out to 1,000, as fast as accepted, per delivery", "fanout-burst-1000", "", 1.5, true},
	{"1,000 rooms of 10, everybody talks, per delivery", "rooms", "", 1.2, true},
	{"connect, join, leave and close", "churn", "µs", 70, false},
	{"1,000 join one room and are gone, in all", "joinstorm-1000 s", "CPU s", 0.3, false},
	{"10,000 join one room and are gone: frames per member", "joinstorm-10000 frames", "frames", 500, false},
	{"1,000,000 sessions in 10,000 rooms, connections simulated", "sessions GB", "GB", 2.5, false},
}

// budgetTable holds what was measured against what was promised.
func (r *Report) budgetTable() *Table {
	t := &Table{
		Title:   "Budgets",
		About:   "What the server promises ([architecture.md](architecture.md)), and what this run found: medians, with the least and the most. A row is met when its median is within the budget.",
		Columns: []string{"what", "budget", "measured", "× floor", "met"},
	}
	for _, b := range budgets {
		figure, ratio := r.get(native{}.Name(), b.figure), r.get(native{}.Name(), b.figure+" ×")
		held, limit := figure, grouped(int64(b.most))+" "+b.unit
		if b.most < 100 {
			limit = strconv.FormatFloat(b.most, 'f', -1, 64) + " " + b.unit
		}
		if b.against {
			held, limit = ratio, strconv.FormatFloat(b.most, 'f', -1, 64)+" × floor"
		}
		met := "–"
		if len(held) > 0 {
			met = "no"
			if held.median() <= b.most {
				met = "yes"
			}
		}
		unit := b.unit
		if b.against {
			unit = "µs"
		}
		measured := figure.String()
		if len(figure) > 0 {
			measured += " " + unit
		}
		t.row(b.what, limit, measured, ratio.String(), met)
	}
	return t
}
