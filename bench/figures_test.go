//go:build linux

package bench

import (
	"encoding/xml"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Quantiles are those of the sorted values, to within a 64th.
func TestHistogram(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, 1<<rapid.IntRange(1, 62).Draw(t, "bits")), 1, 200).Draw(t, "values")
		var a, b Histogram
		for i, v := range values {
			if i%3 == 0 {
				a.Add(v)
			} else {
				b.Add(v)
			}
		}
		a.Merge(&b)
		slices.Sort(values)
		for _, q := range []float64{0, 0.5, 0.9, 0.99, 1} {
			rank := max(int(math.Ceil(q*float64(len(values)))), 1)
			want, got := values[rank-1], a.Quantile(q)
			if got < want || float64(got) > float64(want)*(1+1.0/64) {
				t.Fatalf("quantile %v of %v is %d, want %d", q, values, got, want)
			}
		}
	})
	var none Histogram
	require.Zero(t, none.Quantile(0.5))
}

// A ledger finds what was lost, came twice or out of order.
func TestLedger(t *testing.T) {
	for _, tt := range []struct {
		story       string
		got         []uint64
		lost        int
		late, twice int
	}{
		{"all", []uint64{1, 2, 3, 4}, 0, 0, 0},
		{"one in between is missing", []uint64{1, 3, 4}, 1, 0, 0},
		{"the last are missing", []uint64{1, 2}, 2, 0, 0},
		{"none came", nil, 4, 0, 0},
		{"two changed places", []uint64{1, 3, 2, 4}, 0, 1, 0},
		{"one came twice", []uint64{1, 2, 2, 3, 4}, 0, 0, 1},
		{"an old one came again", []uint64{1, 2, 3, 4, 1}, 0, 0, 1},
	} {
		l := ledger{heard: make([]uint32, 1)}
		late1, twice1 := 0, 0
		for _, seq := range tt.got {
			switch l.note(0, seq) {
			case late:
				late1++
			case twice:
				twice1++
			}
		}
		require.Equal(t, []int{tt.lost, tt.late, tt.twice}, []int{l.lost(4), late1, twice1}, tt.story)
	}
	l := ledger{heard: make([]uint32, 1)}
	require.Equal(t, stray, l.note(7, 1))
}

// Bodies are found wherever they are, all of them, as they were.
func TestBody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := body{
			run: rapid.Uint64Range(0, 0xffff).Draw(t, "run"), sender: rapid.Uint64Range(0, 0xffffff).Draw(t, "sender"),
			seq: rapid.Uint64Range(0, 0xffffffff).Draw(t, "seq"), at: rapid.Uint64().Draw(t, "at"),
		}
		length := rapid.IntRange(bodyBytes, 200).Draw(t, "length")
		b := m.append([]byte(`["`), length)
		if len(b) != length+2 {
			t.Fatalf("%d bytes, want %d", len(b)-2, length)
		}
		b = m.append(append(b, `","`...), length)
		got, rest := nextBody(b)
		again, rest := nextBody(rest)
		if got != m || again != m {
			t.Fatalf("got %v and %v, want %v", got, again, m)
		}
		if _, rest = nextBody(rest); rest != nil {
			t.Fatalf("a third one")
		}
	})
}

// Whatever a server sends, in whatever pieces, frames are found or not, and
// nothing is read behind the end.
func FuzzParseFrame(f *testing.F) {
	f.Add([]byte{0x81, 2, 'h', 'i', 0x88, 0})
	f.Add([]byte{0x81, 126, 0, 130})
	f.Add([]byte{0x81, 127, 255, 255, 255, 255, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		op, payload, n := parseFrame(b)
		switch {
		case n == 0 && payload != nil, n > len(b), n < 0, len(payload) > n, op > 15:
			t.Fatalf("%x: %d %x %d", b, op, payload, n)
		}
		if n > 0 {
			// A prefix is not a frame.
			if _, _, short := parseFrame(b[:n-1]); short != 0 {
				t.Fatalf("%x is a frame without its last byte", b[:n])
			}
		}
		for said, rest := nextBody(payload); rest != nil; said, rest = nextBody(rest) {
			_ = said
		}
		_ = readNative(&Client{}, payload)
		_ = stomp{}.Read(&Client{}, payload)
		_ = sockjs{}.Read(&Client{}, payload)
	})
}

func TestMask(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 65535, 65536} {
		payload := []byte(strings.Repeat("a", n))
		b := appendMasked(nil, 1, payload)
		require.Equal(t, byte(0x80), b[1]&0x80, "masked")
		b[1] &^= 0x80
		op, got, _ := parseFrame(append(b, 0, 0, 0, 0))
		require.Equal(t, byte(1), op)
		require.Len(t, got, n)
	}
}

func TestSample(t *testing.T) {
	s := sample{3, 1, 2}
	require.Equal(t, 2.0, s.median())
	require.Equal(t, 1.5, sample{1, 2}.median())
	require.Equal(t, "2.00 (1.00–3.00)", s.String())
	require.Equal(t, sample{3, 0.5}, s.over(sample{1, 2}))
	require.Empty(t, s.over(nil))
	for v, want := range map[float64]string{0: "0", 0.12345: "0.123", 1: "1.00", 12.34: "12.3", 99.96: "100", 12345.6: "12,346", 1234567: "1,234,567"} {
		require.Equal(t, want, figure(v))
	}
}

// A plot is well-formed, whatever it shows, and all of it is in the picture.
func TestPlot(t *testing.T) {
	for _, p := range []*Plot{
		{Title: "nothing"},
		{Title: `<&">`, X: "x", Y: "y", Series: []Series{{"one point", []Point{{0, 0}}}}},
		{Title: "log", LogX: true, LogY: true, Series: []Series{{"a", []Point{{10, 0}, {100_000, 3}}}, {"b & c", []Point{{1, 1e7}}}}},
	} {
		svg := p.SVG()
		require.NotContains(t, svg, "NaN", svg)
		require.NotContains(t, svg, "Inf", svg)
		d := xml.NewDecoder(strings.NewReader(svg))
		for {
			_, err := d.Token()
			if err == io.EOF {
				break
			}
			require.NoError(t, err, svg)
		}
	}
}

func TestTable(t *testing.T) {
	table := &Table{Title: "t", About: "a", Columns: []string{"x", "µs"}}
	table.row("a|b", "1")
	table.note("n %d", 1)
	table.note("n %d", 1)
	require.Equal(t, "\nt\n  x    µs\n  a|b   1\n  * n 1\n", table.Text())
	require.Equal(t, "### t\n\na\n\n| x | µs |\n|---|---:|\n| a\\|b | 1 |\n\n- n 1\n\n", table.Markdown())
}

// A budget is met, missed or not measured, by what was found.
func TestBudgets(t *testing.T) {
	r := &Report{}
	r.set(native{}.Name(), "idle", sample{2400, 2600, 2400})
	r.set(native{}.Name(), "fanout-steady-1000", sample{7})
	r.set(native{}.Name(), "fanout-steady-1000 ×", sample{1.2})
	rows := r.budgetTable().Rows
	require.Equal(t, []string{"memory for each idle member", "2,500 bytes", "2,400 (2,400–2,600) bytes", "–", "yes"}, rows[0])
	require.Equal(t, []string{"fan-out to 1,000, steady, per delivery", "1.15 × floor", "7.00 µs", "1.20", "no"}, rows[1])
	require.Equal(t, "–", rows[2][4])
}
