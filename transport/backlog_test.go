package transport

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A backlog gives out what was put in, in order, and holds little more.
func TestBacklogIsAQueueOfBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := &backlog{}
		var model []byte
		next := byte(0)
		peak := 0
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "add") {
				b := make([]byte, rapid.IntRange(0, 5000).Draw(t, "n"))
				for i := range b {
					b[i] = next
					next++
				}
				q.add(b)
				model = append(model, b...)
			} else {
				n := rapid.IntRange(0, len(model)).Draw(t, "sent")
				q.sent(n)
				model = model[n:]
			}
			peak = max(peak, len(model))
			require.Equal(t, len(model), q.size())
			require.True(t, bytes.Equal(model, q.bytes()))
			require.LessOrEqual(t, cap(q.buf), 4*peak+5000+1024)
		}
	})
}

func TestLargeBacklogsAreNotKept(t *testing.T) {
	q := &backlog{}
	q.add(make([]byte, keepBytes+1))
	q.recycle()
	require.Zero(t, cap(q.buf))
}
