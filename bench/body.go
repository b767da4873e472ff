package bench

import (
	"bytes"
)

// A body is what a client says: who says it, the how manieth it is, and when it
// was due, in hexadecimal, and then as many letters as it takes to fill the
// length. It is found in whatever message it arrives in.
//
//	rcb:RRRR:SSSSSS:QQQQQQQQ:TTTTTTTTTTTTTTTT:xxxxxxxx…
type body struct {
	run    uint64 // number of the order
	sender uint64 // number of the sender in its room
	seq    uint64 // from 1
	at     uint64 // nanoseconds of the machine's monotonic clock
}

var mark = []byte("rcb:")

// Where the fields of a body are, and how long it is at least.
const (
	runAt, runDigits       = 4, 4
	senderAt, senderDigits = 9, 6
	seqAt, seqDigits       = 16, 8
	timeAt, timeDigits     = 25, 16
	bodyBytes              = 42
)

const hex = "0123456789abcdef"

// append appends the body, filled up to n bytes.
func (m body) append(b []byte, n int) []byte {
	b = append(b, mark...)
	for _, f := range [...]struct {
		value  uint64
		digits int
	}{{m.run, runDigits}, {m.sender, senderDigits}, {m.seq, seqDigits}, {m.at, timeDigits}} {
		for d := f.digits - 1; d >= 0; d-- {
			b = append(b, hex[f.value>>(4*d)&15])
		}
		b = append(b, ':')
	}
	for range n - bodyBytes {
		b = append(b, 'x')
	}
	return b
}

// nextBody finds the first body in b. It returns what is behind its fields; nil:
// there is none.
func nextBody(b []byte) (m body, rest []byte) {
	i := bytes.Index(b, mark)
	if i < 0 || len(b) < i+bodyBytes {
		return body{}, nil
	}
	b = b[i:]
	m = body{
		run: unhex(b[runAt : runAt+runDigits]), sender: unhex(b[senderAt : senderAt+senderDigits]),
		seq: unhex(b[seqAt : seqAt+seqDigits]), at: unhex(b[timeAt : timeAt+timeDigits]),
	}
	return m, b[bodyBytes:]
}

func unhex(b []byte) (n uint64) {
	for _, c := range b {
		n <<= 4
		switch {
		case c >= '0' && c <= '9':
			n |= uint64(c - '0')
		case c >= 'a' && c <= 'f':
			n |= uint64(c-'a') + 10
		}
	}
	return n
}
