package transport

import "sync"

// backlog is what waits for a peer that does not take it yet.
type backlog struct {
	buf []byte
	off int // buf[off:] waits
}

// keepBytes is the largest buffer that goes back to the pool, and the most
// that a corked connection collects before it writes.
const keepBytes = 16 << 10

var backlogs = sync.Pool{New: func() any { return new(backlog) }}

func newBacklog() *backlog { return backlogs.Get().(*backlog) }

// recycle gives the backlog back; the caller must forget it.
func (q *backlog) recycle() {
	if cap(q.buf) > keepBytes {
		q.buf = nil
	}
	q.buf, q.off = q.buf[:0], 0
	backlogs.Put(q)
}

func (q *backlog) bytes() []byte { return q.buf[q.off:] }

// size is how many bytes wait; a nil backlog is empty.
func (q *backlog) size() int {
	if q == nil {
		return 0
	}
	return len(q.buf) - q.off
}

func (q *backlog) add(b []byte) {
	if len(q.buf)+len(b) > cap(q.buf) && q.off > 0 {
		// Move what waits to the front: into the same array only when at least
		// half of it is free, so that the moving stays cheaper than the sending.
		size := q.size()
		if size+len(b) <= cap(q.buf)/2 {
			copy(q.buf, q.bytes())
		} else {
			q.buf = append(make([]byte, 0, 2*size+len(b)), q.bytes()...)
		}
		q.buf, q.off = q.buf[:size], 0
	}
	q.buf = append(q.buf, b...)
}

// sent takes n bytes off the front.
func (q *backlog) sent(n int) { q.off += n }
