package transport

import "unicode/utf8"

// validStart checks text of which more may follow. n is how many bytes of b
// are whole code points; ok is false as soon as no continuation could make b
// valid UTF-8 (RFC 6455 §8.1), be it in the middle of a code point.
func validStart(b []byte) (n int, ok bool) {
	n = len(b)
	for i := n - 1; i >= 0 && i >= n-utf8.UTFMax; i-- {
		if utf8.RuneStart(b[i]) {
			if !utf8.FullRune(b[i:]) {
				n = i
			}
			break
		}
	}
	return n, utf8.Valid(b[:n])
}
