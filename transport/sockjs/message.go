package sockjs

import (
	"encoding/json"
	"errors"
	"iter"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// What may be wrong with a client's messages. The texts are those of the node
// server.
var (
	errPayload = errors.New("Payload expected.")     //nolint:revive // as clients and tests know it
	errBroken  = errors.New("Broken JSON encoding.") //nolint:revive // likewise
)

// messages is a client's JSON array of strings, or one string, that has been
// found to be one.
type messages []byte

// readMessages checks what a client sent: a JSON array of strings; or a single
// string, too, where single is set.
func readMessages(b []byte, single bool) (messages, error) {
	i := space(b, 0)
	switch {
	case i == len(b):
		return nil, errPayload
	case single && b[i] == '"':
		if end := endOfString(b, i); end > 0 && space(b, end) == len(b) {
			return b, nil
		}
	case b[i] == '[' && endOfArray(b, i) == len(b):
		return b, nil
	}
	if json.Valid(b) {
		return nil, errPayload
	}
	return nil, errBroken
}

// all walks through the messages. Each is UTF-8 and valid until the next.
func (m messages) all() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		var text []byte
		for i := 0; i < len(m); {
			if m[i] != '"' {
				i++
				continue
			}
			end := endOfString(m, i)
			text = unescape(text[:0], m[i+1:end-1])
			if !yield(text) {
				return
			}
			i = end
		}
	}
}

// space is where white space that begins at i ends.
func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// endOfArray is behind the array of strings that begins at b[i], and white
// space; 0: there is none.
func endOfArray(b []byte, i int) int {
	i = space(b, i+1)
	if i < len(b) && b[i] == ']' {
		return space(b, i+1)
	}
	for i < len(b) && b[i] == '"' {
		end := endOfString(b, i)
		if end == 0 {
			return 0
		}
		i = space(b, end)
		if i == len(b) {
			return 0
		}
		switch b[i] {
		case ']':
			return space(b, i+1)
		case ',':
			i = space(b, i+1)
		default:
			return 0
		}
	}
	return 0
}

// endOfString is behind the JSON string that begins at b[i]; 0: there is none.
func endOfString(b []byte, i int) int {
	begin := i + 1
	for i = begin; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			if !utf8.Valid(b[begin:i]) {
				return 0
			}
			return i + 1
		case c < ' ':
			return 0
		case c != '\\':
		case i+1 < len(b) && isOneOf(b[i+1], `"\/bfnrt`):
			i++
		case i+5 < len(b) && b[i+1] == 'u' && unit(b[i+2:]) >= 0:
			i += 5
		default:
			return 0
		}
	}
	return 0
}

func isOneOf(c byte, set string) bool {
	for i := range len(set) {
		if set[i] == c {
			return true
		}
	}
	return false
}

// unit is the number that four hexadecimal digits make; -1: they are none.
func unit(b []byte) rune {
	n, err := strconv.ParseUint(string(b[:4]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}

// unescape appends the text of a JSON string that endOfString found good. Half
// a surrogate pair becomes U+FFFD, as it does on a browser's WebSocket.
func unescape(to, b []byte) []byte {
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' {
			to = append(to, b[i])
			continue
		}
		i++
		switch b[i] {
		case 'b':
			to = append(to, '\b')
		case 'f':
			to = append(to, '\f')
		case 'n':
			to = append(to, '\n')
		case 'r':
			to = append(to, '\r')
		case 't':
			to = append(to, '\t')
		case 'u':
			r := unit(b[i+1:])
			i += 4
			if utf16.IsSurrogate(r) {
				r2 := rune(-1)
				if i+6 < len(b) && b[i+1] == '\\' && b[i+2] == 'u' {
					r2 = unit(b[i+3:])
				}
				if r = utf16.DecodeRune(r, r2); r != utf8.RuneError {
					i += 6
				}
			}
			to = utf8.AppendRune(to, r)
		default:
			to = append(to, b[i])
		}
	}
	return to
}
