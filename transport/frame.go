package transport

import (
	"encoding/binary"
	"iter"

	"github.com/gobwas/ws"
)

// Header sizes of RFC 6455 §5.2.
const (
	maxHeaderBytes = 14 // 2, length of 8, mask of 4
	length16       = 126
	length64       = 127
)

// AppendFrame appends one unmasked, final frame to b, as a server sends it
// (RFC 6455 §5.2). It allocates only when b has no room.
func AppendFrame(b []byte, op ws.OpCode, payload []byte) []byte {
	return append(appendHeader(b, op, len(payload)), payload...)
}

// AppendText appends one text frame to b whose payload encode appends to the
// slice it is given: no buffer between the encoder and the frame.
func AppendText(b []byte, encode func([]byte) []byte) []byte {
	// Most payloads need a header of 4 bytes; shorter and longer ones are
	// moved into place.
	const reserved = 4
	start := len(b)
	b = encode(append(b, 0, 0, 0, 0))
	n := len(b) - start - reserved
	var header [maxHeaderBytes]byte
	h := appendHeader(header[:0], ws.OpText, n)
	switch {
	case len(h) < reserved:
		copy(b[start+len(h):], b[start+reserved:])
		b = b[:start+len(h)+n]
	case len(h) > reserved:
		b = append(b, h[reserved:]...)
		copy(b[start+len(h):], b[start+reserved:start+reserved+n])
	}
	copy(b[start:], h)
	return b
}

// appendHeader appends the header of a final, unmasked frame of n bytes.
func appendHeader(b []byte, op ws.OpCode, n int) []byte {
	const fin = 0x80
	switch {
	case n < length16:
		return append(b, fin|byte(op), byte(n))
	case n < 1<<16:
		return append(b, fin|byte(op), length16, byte(n>>8), byte(n))
	default:
		b = append(b, fin|byte(op), length64)
		return binary.BigEndian.AppendUint64(b, uint64(n))
	}
}

// parseHeader reads a frame header from the front of b. n is its length, or 0
// when b ends inside it; then h holds what the bytes so far say, as far as
// CheckHeader cares, once there are two of them. ok is false for a length that
// is not minimal or has its highest bit set (RFC 6455 §5.2); h.Length is then
// the second byte's.
func parseHeader(b []byte) (h ws.Header, n int, ok bool) {
	if len(b) < 2 {
		return h, 0, true
	}
	h.Fin = b[0]&0x80 != 0
	h.Rsv = b[0] >> 4 & 0x7
	h.OpCode = ws.OpCode(b[0] & 0xf)
	h.Masked = b[1]&0x80 != 0
	h.Length = int64(b[1] & 0x7f)
	n = 2
	switch h.Length {
	case length16:
		if len(b) < n+2 {
			return h, 0, true
		}
		short := int64(binary.BigEndian.Uint16(b[n:]))
		n += 2
		if short < length16 {
			return h, n, false
		}
		h.Length = short
	case length64:
		if len(b) < n+8 {
			return h, 0, true
		}
		long := binary.BigEndian.Uint64(b[n:])
		n += 8
		if long < 1<<16 || long > 1<<63-1 {
			return h, n, false
		}
		h.Length = int64(long)
	}
	if h.Masked {
		if len(b) < n+4 {
			return h, 0, true
		}
		h.Mask = [4]byte(b[n:])
		n += 4
	}
	return h, n, true
}

// Payloads walks through the payloads of whole frames, as AppendFrame and
// AppendText put them into b. They are parts of b.
func Payloads(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			h, n, ok := parseHeader(b)
			if n == 0 || !ok || h.Length > int64(len(b)-n) {
				return // not ours
			}
			end := n + int(h.Length)
			if !yield(b[n:end]) {
				return
			}
			b = b[end:]
		}
	}
}

// frames counts the whole frames that AppendFrame put into b, and returns the
// end of the first one that reaches at least to byte at.
func frames(b []byte, at int) (count, boundary int) {
	end := 0
	for end < len(b) {
		h, n, ok := parseHeader(b[end:])
		if n == 0 || !ok || h.Length > int64(len(b)-end-n) {
			return count + 1, len(b) // not ours: treat the rest as one frame
		}
		end += n + int(h.Length)
		count++
		if boundary < at {
			boundary = end
		}
	}
	return count, boundary
}
