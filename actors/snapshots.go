package actors

import (
	"slices"
	"sync"
)

// snapshots are buffers in which the members of a room were written to those who
// joined. In a storm of joins there is one for each, some hundred kilobytes
// long, and making them anew is a tenth of what the storm costs. The garbage
// collector takes what nobody uses.
var snapshots sync.Pool // of *[]byte

const (
	shortBytes    = 4 << 10   // what a share keeps for itself
	snapshotBytes = 8 << 10   // buffers are multiples of that, so that they fit again in a room that grows
	pooledBytes   = 512 << 10 // and no longer than that
)

// withRoom is b with room for n more bytes.
func withRoom(b []byte, n int) []byte {
	if len(b) > 0 || n <= max(cap(b), shortBytes) {
		return slices.Grow(b, n)
	}
	if p, _ := snapshots.Get().(*[]byte); p != nil && cap(*p) >= n {
		return *p
	}
	return make([]byte, 0, (n+snapshotBytes-1)/snapshotBytes*snapshotBytes)
}

// spare is b, emptied, for the next use of its share; nil, where b is large, and
// may serve others.
func spare(b []byte) []byte {
	b = b[:0]
	if cap(b) <= shortBytes {
		return b
	}
	if cap(b) <= pooledBytes {
		large := b
		snapshots.Put(&large)
	}
	return nil
}
