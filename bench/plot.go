package bench

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Plot is a diagram of lines over a common axis.
type Plot struct {
	File   string // name of the SVG file
	Title  string
	X, Y   string // what the axes are
	LogX   bool
	LogY   bool
	Series []Series
}

// Series is one line of a Plot, its points in the order of X.
type Series struct {
	Name   string
	Points []Point
}

// Point of a Series.
type Point struct{ X, Y float64 }

// Where the diagram is in its picture, in pixels.
const (
	plotWidth, plotHeight            = 760, 400
	plotLeft, plotTop                = 70, 44
	plotRight, plotBottom            = 560, 340 // names of the series are to the right
	legendLeft, legendTop, legendRow = plotRight + 24, plotTop + 10, 20
)

// Colours that are told apart on white and on black, by people who see few
// colours too.
var plotColours = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#999999", "#b15928", "#66a61e"}

// SVG draws the plot. It has no background and takes the colour of its text from
// the reader's theme, light or dark.
func (p *Plot) SVG() string {
	x, y := p.axis(p.LogX, func(q Point) float64 { return q.X }), p.axis(p.LogY, func(q Point) float64 { return q.Y })
	across := func(v float64) float64 { return plotLeft + x.at(v)*(plotRight-plotLeft) }
	up := func(v float64) float64 { return plotBottom - y.at(v)*(plotBottom-plotTop) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">`+"\n",
		plotWidth, plotHeight, plotWidth, plotHeight, html.EscapeString(p.Title))
	b.WriteString("<style>text{font:12px system-ui,sans-serif;fill:#24292f}.t{font-size:15px;font-weight:600}.g{stroke:#8886;stroke-width:1}.l{fill:none;stroke-width:2}" +
		"@media(prefers-color-scheme:dark){text{fill:#e6edf3}}</style>\n")
	fmt.Fprintf(&b, `<text class="t" x="%d" y="22">%s</text>`+"\n", plotLeft, html.EscapeString(p.Title))
	for _, v := range x.ticks() {
		fmt.Fprintf(&b, `<line class="g" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n",
			across(v), plotTop, across(v), plotBottom, across(v), plotBottom+18, short(v))
	}
	for _, v := range y.ticks() {
		fmt.Fprintf(&b, `<line class="g" x1="%d" y1="%.1f" x2="%d" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			plotLeft, up(v), plotRight, up(v), plotLeft-8, up(v)+4, short(v))
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">%s</text>`+"\n", (plotLeft+plotRight)/2, plotBottom+42, html.EscapeString(p.X))
	fmt.Fprintf(&b, `<text transform="translate(18 %d) rotate(-90)" text-anchor="middle">%s</text>`+"\n", (plotTop+plotBottom)/2, html.EscapeString(p.Y))
	for i, s := range p.Series {
		colour := plotColours[i%len(plotColours)]
		var line strings.Builder
		for _, q := range s.Points {
			fmt.Fprintf(&line, "%.1f,%.1f ", across(q.X), up(q.Y))
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", across(q.X), up(q.Y), colour)
		}
		fmt.Fprintf(&b, `<polyline class="l" stroke="%s" points="%s"/>`+"\n", colour, strings.TrimSpace(line.String()))
		at := legendTop + i*legendRow
		fmt.Fprintf(&b, `<line class="l" stroke="%s" x1="%d" y1="%d" x2="%d" y2="%d"/><text x="%d" y="%d">%s</text>`+"\n",
			colour, legendLeft, at, legendLeft+20, at, legendLeft+26, at+4, html.EscapeString(s.Name))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// axis is the range of one coordinate.
type axis struct {
	log      bool
	min, max float64
}

func (p *Plot) axis(log bool, of func(Point) float64) axis {
	a := axis{log: log, min: math.Inf(1), max: math.Inf(-1)}
	for _, s := range p.Series {
		for _, q := range s.Points {
			a.min, a.max = min(a.min, of(q)), max(a.max, of(q))
		}
	}
	switch {
	case a.min > a.max: // there are no points
		a.min, a.max = 1, 10
	case log:
		a.min = math.Pow(10, math.Floor(math.Log10(max(a.min, 1e-9))))
		a.max = max(math.Pow(10, math.Ceil(math.Log10(max(a.max, 1e-9)))), a.min*10)
	default:
		a.min, a.max = 0, max(a.max*1.05, 1e-9)
	}
	return a
}

// at is where v is between the ends of the axis, 0 to 1.
func (a axis) at(v float64) float64 {
	if a.log {
		return math.Log10(max(v, a.min)/a.min) / math.Log10(a.max/a.min)
	}
	return (v - a.min) / (a.max - a.min)
}

// ticks are the values that are written at the axis.
func (a axis) ticks() (ticks []float64) {
	if a.log {
		for v := a.min; v <= a.max*1.001; v *= 10 {
			ticks = append(ticks, v)
		}
		return ticks
	}
	step := math.Pow(10, math.Floor(math.Log10(a.max)))
	for a.max/step < 4 {
		step /= 2
	}
	for i := 0; float64(i)*step <= a.max; i++ {
		ticks = append(ticks, float64(i)*step)
	}
	return ticks
}

// short is a number at an axis.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%gM", math.Round(v/1e4)/100)
	case v >= 1e3:
		return fmt.Sprintf("%gk", math.Round(v/10)/100)
	default:
		return fmt.Sprintf("%.4g", v)
	}
}
