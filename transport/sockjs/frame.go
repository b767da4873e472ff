package sockjs

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"rollcall/transport"
)

// Frames of the SockJS protocol, from the server to the client.
var (
	openFrame      = []byte("o")
	heartbeatFrame = []byte("h")
	arrayOpen      = []byte(`a[`)
	arrayClose     = []byte(`]`)
)

// AppendText appends one message to b, the text that encode appends to the
// slice it is given, which must be UTF-8: as a text frame of RFC 6455 that holds
// the SockJS frame a["…"]. So it can be written to the connection of a SockJS
// WebSocket as it is, and to any other SockJS session too.
func AppendText(b []byte, encode func([]byte) []byte) []byte {
	return transport.AppendText(b, func(b []byte) []byte {
		b = append(b, `a["`...)
		at := len(b)
		return append(escape(encode(b), at, &inText), `"]`...)
	})
}

// closeFrame is c[code,"reason"].
func closeFrame(code uint16, reason string) []byte {
	b := strconv.AppendUint([]byte("c["), uint64(code), 10)
	b = append(b, ',')
	return append(appendString(b, []byte(reason), &inText), ']')
}

// appendString appends text as a JSON string.
func appendString(b, text []byte, by *escapes) []byte {
	b = append(b, '"')
	at := len(b)
	return append(escape(append(b, text...), at, by), '"')
}

// escapes tells by how many bytes a byte grows when it is escaped.
type escapes [256]uint8

var (
	// inText is for JSON strings.
	inText = func() (e escapes) {
		for c := range ' ' {
			e[c] = 5
		}
		for _, c := range "\b\f\n\r\t\"\\" {
			e[c] = 1
		}
		return e
	}()
	// inScript is for JSON strings inside a script of an HTML page, which a
	// message must not be able to end.
	inScript = func() escapes {
		e := inText
		e['<'] = 5
		return e
	}()
)

const short = "\bb\ff\nn\rr\tt\"\"\\\\" // a character, and the letter of its short escape

// escape escapes b[at:], UTF-8, as the inside of a JSON string, in place.
// Besides what JSON wants it escapes what some browsers are said to mangle:
// U+200C to 200F, 2028 to 202F, 2060 to 206F, FFF0 to FFFF.
func escape(b []byte, at int, by *escapes) []byte {
	grow := 0
	for i := at; i < len(b); i++ {
		c := b[i]
		grow += int(by[c])
		if c >= 0xe2 && mangled(b[i:]) {
			grow += 3
		}
	}
	if grow == 0 {
		return b
	}
	from := len(b)
	b = append(b, make([]byte, grow)...)
	to := len(b)
	for from > at && from < to {
		if from-3 >= at && b[from-3] >= 0xe2 && mangled(b[from-3:from]) {
			r, _ := utf8.DecodeRune(b[from-3 : from])
			from, to = from-3, putUnit(b, to, r)
			continue
		}
		from--
		c := b[from]
		switch by[c] {
		case 0:
			to--
			b[to] = c
		case 1:
			to -= 2
			b[to], b[to+1] = '\\', short[bytes.IndexByte([]byte(short), c)+1]
		default:
			to = putUnit(b, to, rune(c))
		}
	}
	return b
}

// putUnit puts \u and four digits before to, and returns where they begin.
func putUnit(b []byte, to int, r rune) int {
	const digits = "0123456789abcdef"
	to -= 6
	copy(b[to:], `\u`)
	for i := range 4 {
		b[to+2+i] = digits[r>>(12-4*i)&0xf]
	}
	return to
}

// mangled reports whether b begins with one of the characters above.
func mangled(b []byte) bool {
	if len(b) < 3 {
		return false
	}
	switch {
	case b[0] == 0xe2 && b[1] == 0x80:
		return b[2] >= 0x8c && b[2] <= 0x8f || b[2] >= 0xa8 && b[2] <= 0xaf
	case b[0] == 0xe2 && b[1] == 0x81:
		return b[2] >= 0xa0 && b[2] <= 0xaf
	case b[0] == 0xef && b[1] == 0xbf:
		return b[2] >= 0xb0 && b[2] <= 0xbf
	}
	return false
}
