package app

import (
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// A server that has grown, or has let thousands go, would keep up to twice what
// it needs: the garbage collector runs when as much again was allocated, which
// in a quiet server is never, and the pages of what is gone stay with the
// process. So what a quiet server does not need is given back.
const (
	memoryLook  = time.Second
	memoryQuiet = 1 << 20 // bytes allocated between two looks, at most: nothing much goes on
	memoryLeast = 4 << 20 // bytes that are worth giving back
)

// memory gives back to the system what the process holds and does not need.
type memory struct {
	samples []metrics.Sample
	seen    uint64 // allocated, in all, at the last look
	free    func() // in tests, something else than debug.FreeOSMemory
}

func newMemory() *memory {
	return &memory{
		samples: []metrics.Sample{
			{Name: "/gc/heap/live:bytes"}, // by the last collection
			{Name: "/gc/heap/allocs:bytes"},
			{Name: "/memory/classes/heap/objects:bytes"},
			{Name: "/memory/classes/heap/unused:bytes"},
			{Name: "/memory/classes/heap/free:bytes"},
		},
		free: debug.FreeOSMemory,
	}
}

// watch looks until done.
func (m *memory) watch(done <-chan struct{}) {
	t := time.NewTicker(memoryLook)
	defer t.Stop()
	for {
		select {
		case <-done:
			return
		case <-t.C:
			metrics.Read(m.samples)
			m.look(m.value(0), m.value(1), m.value(2)+m.value(3)+m.value(4))
		}
	}
}

func (m *memory) value(i int) uint64 { return m.samples[i].Value.Uint64() }

// look gives back where it is quiet and a quarter more is held than lives: so
// collections cost a server that allocates less than memoryQuiet no more than
// four times what its objects do when they are made.
func (m *memory) look(live, allocated, held uint64) {
	quiet := m.seen > 0 && allocated-m.seen <= memoryQuiet
	m.seen = allocated
	if quiet && held > live+live/4+memoryLeast {
		m.free()
	}
}
