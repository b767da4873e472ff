package actors

import "testing"

// It is called for each message to an actor that was idle: what it takes must
// come from the stack.
func TestGrowStackDoesNotAllocate(t *testing.T) {
	if n := testing.AllocsPerRun(100, growStack); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
