package bench

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Table is what one scenario, or a part of it, found.
type Table struct {
	Title   string
	About   string // a sentence or two: what was done, what the figures are
	Columns []string
	Rows    [][]string
	Notes   []string
	Plots   []*Plot
}

func (t *Table) row(cells ...string) { t.Rows = append(t.Rows, cells) }

func (t *Table) note(format string, args ...any) {
	note := fmt.Sprintf(format, args...)
	for _, n := range t.Notes {
		if n == note {
			return
		}
	}
	t.Notes = append(t.Notes, note)
}

// Text is the table for a terminal.
func (t *Table) Text() string {
	widths := make([]int, len(t.Columns))
	for _, row := range append([][]string{t.Columns}, t.Rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s\n", t.Title)
	line := func(row []string) {
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				b.WriteString("  " + cell + pad)
			} else {
				b.WriteString("  " + pad + cell)
			}
		}
		b.WriteByte('\n')
	}
	line(t.Columns)
	for _, row := range t.Rows {
		line(row)
	}
	for _, n := range t.Notes {
		b.WriteString("  * " + n + "\n")
	}
	return b.String()
}

// Markdown is the table for the report.
func (t *Table) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n", t.Title)
	if t.About != "" {
		fmt.Fprintf(&b, "%s\n\n", t.About)
	}
	if len(t.Rows) > 0 {
		escape := strings.NewReplacer("|", `\|`, "\n", " ")
		line := func(row []string) {
			for _, cell := range row {
				b.WriteString("| " + escape.Replace(cell) + " ")
			}
			b.WriteString("|\n")
		}
		line(t.Columns)
		b.WriteString("|---|" + strings.Repeat("---:|", len(t.Columns)-1) + "\n")
		for _, row := range t.Rows {
			line(row)
		}
		b.WriteByte('\n')
	}
	for _, n := range t.Notes {
		fmt.Fprintf(&b, "- %s\n", n)
	}
	if len(t.Notes) > 0 {
		b.WriteByte('\n')
	}
	return b.String()
}
