package bench

import (
	_ "embed" // of the method
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Report is all that a run found.
type Report struct {
	Options Options
	At      time.Time
	Machine []string
	Tables  []*Table
	servers []server // that were measured, in the order they were met
	figures map[string]map[string]sample
	wrong   int // messages lost, twice, or out of order, and connections broken, of ours and the floor
}

// server is one of the tables' servers.
type server struct{ name, version, config string }

// set keeps a figure of a server for the budgets and the plots.
func (r *Report) set(server, what string, s sample) {
	if r.figures == nil {
		r.figures = map[string]map[string]sample{}
	}
	if r.figures[what] == nil {
		r.figures[what] = map[string]sample{}
	}
	r.figures[what][server] = s
}

// get is a figure that was kept; nil: it was not measured.
func (r *Report) get(server, what string) sample { return r.figures[what][server] }

// met notes a server.
func (r *Report) met(name string, t *Target) {
	for _, s := range r.servers {
		if s.name == name {
			return
		}
	}
	r.servers = append(r.servers, server{name, t.Version, t.Config})
}

// method describes the benchmark, for those who want to do the same.
//
//go:embed method.md
var method string

// findings are what profiles said of the budgets.
//
//go:embed findings.md
var findings string

// Markdown is the report. Its plots are looked for in a folder.
func (r *Report) Markdown(folder string) string {
	var b strings.Builder
	b.WriteString("# Benchmarks\n\n")
	b.WriteString("What Rollcall costs: a member, a message, a join, a leave. This page is written by a program that anybody can run; the figures are of one run, on one machine.\n\n")
	fmt.Fprintf(&b, "```sh\n%s\n```\n\n", r.Options.Command)
	fmt.Fprintf(&b, "%s, commit %s, %s.\n\n", r.Options.Version, orUnknown(r.Options.Revision), r.At.UTC().Format("2006-01-02 15:04 MST"))
	for _, m := range r.Machine {
		fmt.Fprintf(&b, "- %s\n", m)
	}
	fmt.Fprintf(&b, "\nEach figure is the median of %d rounds, with the least and the most of them; rounds of different servers take turns. "+
		"What was lost, repeated, mixed up, refused or broken by Rollcall, in the whole run: **%d**.\n\n", r.Options.rounds(), r.wrong)
	b.WriteString("## Budgets\n\n")
	b.WriteString(strings.TrimPrefix(r.budgetTable().Markdown(), "### Budgets\n\n"))
	b.WriteString(findings)
	b.WriteString("\n## Results\n\n")
	for _, t := range r.Tables {
		b.WriteString(t.Markdown())
		for _, p := range t.Plots {
			fmt.Fprintf(&b, "![%s](%s/%s)\n\n", p.Title, folder, p.File)
		}
	}
	b.WriteString(method)
	b.WriteString("\n## Servers and their configurations\n\n")
	for _, s := range r.servers {
		fmt.Fprintf(&b, "- **%s**: %s\n\n  ```\n  %s\n  ```\n", s.name, s.version, strings.ReplaceAll(s.config, "\n", "\n  "))
	}
	return b.String()
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// write writes the report to a file, and its plots to a folder of the same name
// beside it.
func (r *Report) write(file string) error {
	folder := strings.TrimSuffix(file, filepath.Ext(file))
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // documents are for everybody
		return fmt.Errorf("write the report: %w", err)
	}
	for _, t := range r.Tables {
		for _, p := range t.Plots {
			if err := os.WriteFile(filepath.Join(folder, p.File), []byte(p.SVG()), 0o644); err != nil { //nolint:gosec // likewise
				return fmt.Errorf("write a plot: %w", err)
			}
		}
	}
	if err := os.WriteFile(file, []byte(r.Markdown(filepath.Base(folder))), 0o644); err != nil { //nolint:gosec // likewise
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
