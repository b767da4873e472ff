package app

import (
	"runtime"
	"runtime/metrics"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMemoryIsGivenBackWhenItIsQuiet(t *testing.T) {
	const mib = 1 << 20
	freed := 0
	m := newMemory()
	m.free = func() { freed++ }
	for _, c := range []struct {
		name                  string
		live, allocated, held uint64
		freed                 int
	}{
		{"the first look tells nothing yet", 40 * mib, 100 * mib, 100 * mib, 0},
		{"quiet, and much more is held than lives", 40 * mib, 101 * mib, 100 * mib, 1},
		{"much goes on", 40 * mib, 103 * mib, 100 * mib, 1},
		{"quiet, but little would come of it", 80 * mib, 103 * mib, 104 * mib, 1},
		{"quiet, and a little more", 80 * mib, 104 * mib, 105 * mib, 2},
		{"a small server", mib, 104 * mib, 5 * mib, 2},
	} {
		m.look(c.live, c.allocated, c.held)
		require.Equal(t, c.freed, freed, c.name)
	}
}

// What the runtime says is what it is taken for.
func TestMemoryReadsTheRuntime(t *testing.T) {
	m := newMemory()
	big := make([]byte, 64<<20)
	runtime.GC()
	metrics.Read(m.samples)
	require.Greater(t, m.value(0), uint64(64<<20), "live")
	require.Greater(t, m.value(1), uint64(64<<20), "allocated")
	require.Greater(t, m.value(2)+m.value(3)+m.value(4), m.value(0), "held")
	runtime.KeepAlive(big)
}
