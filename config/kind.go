package config

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// kind is how values of one sort are written and read. The same text is used in
// the file, the environment and flags.
type kind struct {
	want   string                   // what a value must be, for people
	parse  func(string) (any, bool) // false: not such a value
	format func(any) string         // what parse reads back as the same value
	number func(any) float64        // the value on the scale of min and max; nil: not a number
}

var (
	text = &kind{
		want:   "text",
		parse:  func(s string) (any, bool) { return s, true },
		format: func(v any) string { return v.(string) },
	}

	choice = &kind{
		want:   "a word",
		parse:  func(s string) (any, bool) { return s, true },
		format: func(v any) string { return v.(string) },
	}

	// list is a sequence in the file; elsewhere its items are separated by commas.
	list = &kind{
		want:   "a list",
		parse:  func(s string) (any, bool) { return items(s, ","), true },
		format: func(v any) string { return strings.Join(v.([]string), ",") },
	}

	duration = &kind{
		want: "a duration such as 1m30s",
		parse: func(s string) (any, bool) {
			d, err := time.ParseDuration(s)
			return d, err == nil
		},
		format: func(v any) string { return formatDuration(v.(time.Duration)) },
		number: func(v any) float64 { return float64(v.(time.Duration)) },
	}

	// size is a number of bytes.
	size = &kind{
		want:   "a number of bytes such as 65536, 64KiB or 1MiB",
		parse:  func(s string) (any, bool) { return parseSize(s) },
		format: func(v any) string { return formatSize(v.(int)) },
		number: func(v any) float64 { return float64(v.(int)) },
	}

	count = &kind{
		want: "a whole number",
		parse: func(s string) (any, bool) {
			n, err := strconv.Atoi(s)
			return n, err == nil
		},
		format: func(v any) string { return strconv.Itoa(v.(int)) },
		number: func(v any) float64 { return float64(v.(int)) },
	}

	rate = &kind{
		want: "a number such as 20 or 0.5",
		parse: func(s string) (any, bool) {
			f, err := strconv.ParseFloat(s, 64)
			return f, err == nil && !math.IsNaN(f)
		},
		format: func(v any) string { return strconv.FormatFloat(v.(float64), 'f', -1, 64) },
		number: func(v any) float64 { return v.(float64) },
	}
)

// items splits a list at separators and trims it; empty items don't count.
// It returns nil when nothing is left.
func items(s, separators string) []string {
	var out []string
	for part := range strings.FieldsFuncSeq(s, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// formatDuration is time.Duration.String without the zeros at its end: 5m, not
// 5m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	if d == 0 {
		return "0"
	}
	return s
}

var sizeUnits = []struct {
	suffix string
	bytes  int
}{{"GiB", gib}, {"MiB", mib}, {"KiB", kib}}

func parseSize(s string) (int, bool) {
	scale := 1
	for _, u := range sizeUnits {
		if digits, found := strings.CutSuffix(s, u.suffix); found {
			s, scale = strings.TrimSpace(digits), u.bytes
			break
		}
	}
	n, err := strconv.Atoi(s)
	if err != nil || n > math.MaxInt/scale || n < math.MinInt/scale {
		return 0, false
	}
	return n * scale, true
}

func formatSize(n int) string {
	for _, u := range sizeUnits {
		if n != 0 && n%u.bytes == 0 {
			return strconv.Itoa(n/u.bytes) + u.suffix
		}
	}
	return strconv.Itoa(n)
}

// get reads the knob's field.
func (k *knob) get(c *Config) any {
	switch p := k.field(c).(type) {
	case *string:
		return *p
	case *[]string:
		return *p
	case *int:
		return *p
	case *float64:
		return *p
	default:
		return *p.(*time.Duration)
	}
}

// set writes the knob's field. A list is stored as a copy, an empty one as nil.
func (k *knob) set(c *Config, v any) {
	switch p := k.field(c).(type) {
	case *string:
		*p = v.(string)
	case *[]string:
		*p = append([]string(nil), v.([]string)...)
	case *int:
		*p = v.(int)
	case *float64:
		*p = v.(float64)
	case *time.Duration:
		*p = v.(time.Duration)
	}
}
