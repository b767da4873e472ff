package actors

import "runtime"

// A strand that wakes gets a new goroutine, whose stack is 2 KB, and what its
// actors do takes more. Left alone, the stack grows by doubling, deep in calls, and
// each time the runtime walks all of them: a seventh of the processor time of
// clients that come and go. So it is made large enough at the start, where there
// is nothing to walk yet.

// stackBytes is more than what most messages need, and less than the 8 KB that
// the stack becomes.
const stackBytes = 5 << 10

// growStack makes the stack of a new goroutine large enough. It comes first.
//
//go:noinline
func growStack() {
	var frame [stackBytes]byte
	runtime.KeepAlive(&frame)
}
