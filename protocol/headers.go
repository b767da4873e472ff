package protocol

import (
	"bytes"
	"encoding/json"
	"slices"
	"unicode/utf8"
)

// Limits of a message's headers.
const (
	MaxHeaders         = 32      // how many
	MaxHeaderNameBytes = 64      // of one name
	MaxHeadersBytes    = 2 << 10 // of all, as JSON text
)

// ValidHeaderName reports whether name may name a header of a message: 1 to 64
// bytes of printable ASCII, no blank and no colon.
func ValidHeaderName[T string | []byte](name T) bool {
	for i := 0; i < len(name); i++ {
		if c := name[i]; c <= ' ' || c >= 0x7f || c == ':' {
			return false
		}
	}
	return len(name) > 0 && len(name) <= MaxHeaderNameBytes
}

// ValidHeaders reports whether h, a JSON text that ValidData holds for, may
// travel as the headers of a message: an object of at most MaxHeaders strings,
// within MaxHeadersBytes. Line breaks may be in a value, as STOMP escapes them
// (STOMP 1.2 §Value Encoding); it has no escape for NUL.
func ValidHeaders(h []byte) bool {
	n, good := 0, len(h) <= MaxHeadersBytes
	ended := eachHeader(h, func(name, value []byte) bool {
		n++
		good = good && n <= MaxHeaders && ValidHeaderName(name) && utf8.Valid(value) && bytes.IndexByte(value, 0) < 0
		return good
	})
	return good && ended
}

// EachHeader calls f with the headers of a message, in their order, as long as
// f returns true. Headers that are nil are none.
func EachHeader(h json.RawMessage, f func(name, value []byte) bool) {
	if h != nil {
		eachHeader(h, f)
	}
}

// eachHeader reports whether h is an object of strings through and through.
func eachHeader(h []byte, f func(name, value []byte) bool) bool {
	s := scanner{b: h}
	text := func() []byte {
		s.space()
		from := s.i
		if s.i >= len(s.b) || s.b[s.i] != '"' || s.str() != nil {
			return nil
		}
		return spelling(s.b[from:s.i])
	}
	if !s.take('{') {
		return false
	}
	for first := true; !s.take('}'); first = false {
		if !first && !s.take(',') {
			return false
		}
		name := text()
		if name == nil || !s.take(':') {
			return false
		}
		value := text()
		if value == nil || !f(name, value) {
			return false
		}
	}
	s.space()
	return s.i == len(h)
}

// AppendHeader appends one header to headers, which may be nil.
func AppendHeader(h json.RawMessage, name, value string) json.RawMessage {
	if len(h) == 0 {
		h = append(h, '{')
	} else {
		h = slices.Grow(h, len(name)+len(value)+6)
		h[len(h)-1] = ','
	}
	h = append(AppendString(h, name), ':')
	return append(AppendString(h, value), '}')
}

func (f *fields) headers() json.RawMessage {
	switch v := f.value(fieldHeaders); {
	case v == nil:
		return nil
	case len(v) > MaxHeadersBytes:
		f.refuse(ErrTooLarge, "headers are larger than 2 KiB")
	case f.at[fieldHeaders].kind != kindObject || !ValidHeaders(v):
		f.refuse(ErrBadRequest, "headers must be an object of at most 32 strings, with names of 1 to 64 printable ASCII characters but blank and colon")
	default:
		return slices.Clone(v)
	}
	return nil
}
