package app

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"rollcall/config"
)

// Whoever is told when: clients come back evenly over the spread, after the
// last of them was told.
func TestClientsComeBackEvenly(t *testing.T) {
	began := time.Unix(1000, 0)
	const n, drain, spread = 20_000, 5 * time.Second, 8 * time.Second
	d := &departure{began.Add(drain), spread}
	seconds := make([]int, spread/time.Second)
	for i := range n {
		told := began.Add(drain * time.Duration(i) / n)
		back := told.Add(d.after(told)).Sub(d.ends)
		require.GreaterOrEqual(t, back, time.Duration(0), "somebody is back before the last one is told")
		require.Less(t, back, spread)
		seconds[back/time.Second]++
	}
	for s, back := range seconds {
		require.InDelta(t, n/len(seconds), back, float64(n/len(seconds)/4), "in second %d", s)
	}
	late := d.ends.Add(time.Hour)
	require.Less(t, d.after(late), spread, "told in a hurry, or late")
}

// The spread is the drain time; or what admission needs, where that is longer.
func TestSpreadOfTheReturn(t *testing.T) {
	s := start(t, func(c *config.Config) {
		c.Drain = 3 * time.Second
		c.Admission.Rate = 1
		c.Admission.Burst = time.Minute
	})
	now := time.Now()
	require.Equal(t, &departure{now.Add(3 * time.Second), 3 * time.Second}, s.departure(now))
	for range 5 {
		require.Equal(t, 101, s.handshake().status)
	}
	require.Eventually(t, func() bool { return s.departure(now).spread == 5*time.Second }, time.Minute, time.Millisecond)
	s.cfg.Drain = 0 // for the end of the test
}
