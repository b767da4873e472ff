//go:build faults

package faults

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rollcall/protocol"
)

// result is what came of a run: one row of docs/faults.md.
type result struct {
	load                string
	expected            int // leaves
	reasons             []protocol.Reason
	seen                map[protocol.Reason]int
	worst, bound        time.Duration // from the fault to the leave; worst 0: none was timed
	timing              string        // what else was timed; empty: leaves
	before, peak, after int64         // resident memory of the server, in bytes
	compared            int           // streams of clients that were held against the witness's
	ghosts              float64       // that the audit must have found
	panics              int           // actors that must have failed
}

// tables are the rows of the document, by table.
var tables struct {
	sync.Mutex
	rows map[string][]string
}

// row adds one to a table.
func row(table string, cells ...string) {
	tables.Lock()
	defer tables.Unlock()
	if tables.rows == nil {
		tables.rows = map[string][]string{}
	}
	tables.rows[table] = append(tables.rows[table], "| "+strings.Join(cells, " | ")+" |")
}

func (r *run) report(fault string) {
	res := r.result
	row("faults", fault, r.window.String(), res.load, strings.TrimSpace(fmt.Sprintf("%d %s", res.expected, words(res.reasons))), leaves(res.seen),
		res.times(), megabytes(res.before), megabytes(res.peak), megabytes(res.after), "`"+command(r.t.Name())+"`")
}

func words(reasons []protocol.Reason) string {
	var ws []string
	for _, r := range reasons {
		if !slices.Contains(ws, string(r)) {
			ws = append(ws, string(r))
		}
	}
	return strings.Join(ws, " or ")
}

func leaves(seen map[protocol.Reason]int) string {
	var ws []string
	for _, r := range protocol.Reasons {
		if n := seen[r]; n > 0 {
			ws = append(ws, fmt.Sprintf("%d %s", n, r))
		}
	}
	if ws == nil {
		return "0"
	}
	return strings.Join(ws, ", ")
}

// times are what was timed, next to its bound.
func (res result) times() string {
	switch {
	case res.timing != "":
		return res.timing
	case res.worst == 0:
		return "–"
	case res.bound == 0:
		return seconds(res.worst) + ", bound: at once"
	}
	return seconds(res.worst) + " of " + seconds(res.bound)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func megabytes(n int64) string { return fmt.Sprintf("%.1f", float64(n)/(1<<20)) }

// command runs one test again, with the load of the document.
func command(test string) string {
	var parts []string
	for _, p := range strings.Split(test, "/") {
		parts = append(parts, "^"+p+"$")
	}
	return "make faults RUN='" + strings.Join(parts, "/") + "'"
}

// machine is where and under which load of others the numbers came to be.
func machine(began string) {
	row("machine", strconv.Itoa(runtime.NumCPU()), runtime.Version(), began, loadAverage())
}

// loadAverage is that of the last minute.
func loadAverage() string {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	one, _, _ := strings.Cut(string(raw), " ")
	return one
}

// writeReport puts the rows between the markers of the document's tables.
// Tables that this run did not make stay as they are.
func writeReport(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	doc := string(b)
	for table, rows := range tables.rows {
		if table == "audit" { // its runs are side by side
			slices.Sort(rows)
		}
		begin, end := "<!-- "+table+" -->\n", "<!-- /"+table+" -->"
		head, rest, ok := strings.Cut(doc, begin)
		_, tail, also := strings.Cut(rest, end)
		if !ok || !also {
			return fmt.Errorf("%s has no table %s", file, table)
		}
		titles := strings.SplitAfterN(rest, "\n", 3) // they and the line under them stay
		doc = head + begin + titles[0] + titles[1] + strings.Join(rows, "\n") + "\n" + end + tail
	}
	return os.WriteFile(file, []byte(doc), 0o644)
}
