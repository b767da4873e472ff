package actors

import (
	"bytes"
	"testing"
)

func TestSnapshotBuffers(t *testing.T) {
	for _, c := range []struct {
		name    string
		b       []byte
		n       int
		atLeast int
	}{
		{"nothing is asked for", nil, 0, 0},
		{"a short one", nil, 100, 100},
		{"one that fits already", make([]byte, 0, 200), 100, 200},
		{"a long one", nil, 100_000, 100_000},
		{"longer than any that is kept", nil, 2 * pooledBytes, 2 * pooledBytes},
	} {
		b := withRoom(c.b, c.n)
		if len(b) != 0 || cap(b) < c.atLeast {
			t.Errorf("%s: length %d, capacity %d, want 0 and at least %d", c.name, len(b), cap(b), c.atLeast)
		}
		if kept := spare(append(b, 'x')); len(kept) != 0 || cap(kept) > shortBytes {
			t.Errorf("%s: its share keeps length %d, capacity %d", c.name, len(kept), cap(kept))
		}
	}
	if b := withRoom([]byte("said"), 100_000); !bytes.Equal(b, []byte("said")) || cap(b) < 100_004 {
		t.Errorf("what was there: got %q, capacity %d", b, cap(b))
	}
}
