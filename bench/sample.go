package bench

import (
	"fmt"
	"slices"
)

// sample is one figure, taken several times.
type sample []float64

// median is the middle one; of an even number, the mean of both.
func (s sample) median() float64 {
	n := len(s)
	if n == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// over is this sample divided by another one, round by round: what disturbs
// the machine disturbs both.
func (s sample) over(base sample) sample {
	var r sample
	for i, v := range s {
		if i < len(base) && base[i] > 0 {
			r = append(r, v/base[i])
		}
	}
	return r
}

// String is the median, with least and most where there are several.
func (s sample) String() string {
	switch len(s) {
	case 0:
		return "–"
	case 1:
		return figure(s[0])
	}
	return fmt.Sprintf("%s (%s–%s)", figure(s.median()), figure(slices.Min(s)), figure(slices.Max(s)))
}

// figure has three digits that matter, and no more.
func figure(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 0:
		return "-" + figure(-v)
	case v >= 99.95:
		return grouped(int64(v + 0.5))
	case v >= 9.995:
		return fmt.Sprintf("%.1f", v)
	case v >= 0.9995:
		return fmt.Sprintf("%.2f", v)
	default:
		return fmt.Sprintf("%.3g", v)
	}
}

// grouped writes thousands apart.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
