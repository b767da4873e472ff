package bench

import "math/bits"

// Histogram counts durations in nanoseconds, each to within 1/64 of itself, in
// memory that does not depend on how many there are. The zero value is empty.
type Histogram struct {
	Counts []uint64 // by bucket; as long as the highest one used
	N      uint64
	Max    int64
}

// Each power of two is cut into as many buckets.
const (
	fineBits = 6
	fine     = 1 << fineBits
)

// bucket is where v is counted: the first 2*fine values have one each.
func bucket(v int64) int {
	if v < 2*fine {
		return int(max(v, 0))
	}
	shift := bits.Len64(uint64(v)) - fineBits - 1
	return shift<<fineBits + int(v>>shift)
}

// upper is the highest value of a bucket.
func upper(b int) int64 {
	if b < 2*fine {
		return int64(b)
	}
	shift := b>>fineBits - 1
	return (int64(b-shift<<fineBits)+1)<<shift - 1
}

// Add counts a duration; a negative one as 0.
func (h *Histogram) Add(v int64) {
	b := bucket(v)
	if b >= len(h.Counts) {
		h.Counts = append(h.Counts, make([]uint64, b+fine-len(h.Counts))...)
	}
	h.Counts[b]++
	h.N++
	h.Max = max(h.Max, v)
}

// Merge adds what another one counted.
func (h *Histogram) Merge(o *Histogram) {
	if more := len(o.Counts) - len(h.Counts); more > 0 {
		h.Counts = append(h.Counts, make([]uint64, more)...)
	}
	for b, n := range o.Counts {
		h.Counts[b] += n
	}
	h.N += o.N
	h.Max = max(h.Max, o.Max)
}

// Quantile is the duration that a share q of all, 0 to 1, are not above; 0
// where there are none.
func (h *Histogram) Quantile(q float64) int64 {
	rank := uint64(q * float64(h.N))
	if float64(rank) < q*float64(h.N) || rank == 0 {
		rank++
	}
	var n uint64
	for b, count := range h.Counts {
		if n += count; n >= rank {
			return min(upper(b), h.Max)
		}
	}
	return h.Max
}
