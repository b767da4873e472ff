package stomp

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// Header is one header entry, its escapes undone.
type Header struct{ Name, Value string }

// Frame is one frame. Of headers with the same name only the first is there
// (§Repeated Header Entries).
type Frame struct {
	Command string
	Headers []Header
	Body    []byte // nil: none
}

// Lookup finds a header.
func (f *Frame) Lookup(name string) (value string, ok bool) {
	for i := range f.Headers {
		if f.Headers[i].Name == name {
			return f.Headers[i].Value, true
		}
	}
	return "", false
}

// Header is the value of a header; empty: there is none.
func (f *Frame) Header(name string) string {
	value, _ := f.Lookup(name)
	return value
}

// escapes reports whether the headers of a frame are escaped: since 1.1, but
// for those of CONNECT and CONNECTED (§Value Encoding).
func escapes(v Version, command string) bool {
	return v >= V11 && command != "CONNECT" && command != "STOMP" && command != "CONNECTED"
}

// AppendFrame appends a frame, with content-length where the body needs one or
// all can count it alike: see appendBody. Where the version knows no escape for
// an octet that a header must not have, the octet is left out.
func AppendFrame(b []byte, v Version, f *Frame) []byte {
	b = append(append(b, f.Command...), '\n')
	for _, h := range f.Headers {
		if f.Body == nil || h.Name != "content-length" {
			b = appendHeader(b, v, escapes(v, f.Command), h.Name, h.Value)
		}
	}
	return appendBody(b, f.Body)
}

// appendBody appends content-length, the blank line, the body and the NUL that
// ends a frame. The length counts octets. Old clients in JavaScript count
// characters and read too far where those are fewer, so of a body where they
// are, and which no octet NUL cuts short, the length is not told: it need not
// be (§Header content-length).
func appendBody(b, body []byte) []byte {
	if body != nil && (ascii(body) || bytes.IndexByte(body, 0) >= 0) {
		b = append(b, "content-length:"...)
		b = append(strconv.AppendInt(b, int64(len(body)), 10), '\n')
	}
	b = append(append(b, '\n'), body...)
	return append(b, 0)
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func appendHeader[T string | []byte](b []byte, v Version, escape bool, name string, value T) []byte {
	b = appendText(b, v, escape, name, true)
	b = appendText(append(b, ':'), v, escape, value, false)
	return append(b, '\n')
}

// appendText appends a header's name or value. A colon in a value needs no
// escape to be understood, but has had one since 1.1.
func appendText[T string | []byte](b []byte, v Version, escape bool, s T, name bool) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\n' && escape:
			b = append(b, `\n`...)
		case c == ':' && escape:
			b = append(b, `\c`...)
		case c == '\\' && escape:
			b = append(b, `\\`...)
		case c == '\r' && escape && v >= V12:
			b = append(b, `\r`...)
		case c == '\n', c == '\r' && v != V11, c == 0, c == ':' && name:
		default:
			b = append(b, c)
		}
	}
	return b
}

// unescape undoes the escapes of a header's name or value. An escape that the
// version does not know is a fatal error (§Value Encoding).
func unescape(v Version, s []byte) (string, error) {
	if bytes.IndexByte(s, '\\') < 0 {
		return string(s), nil
	}
	text := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\\' {
			if i++; i == len(s) {
				return "", errEscape
			}
			switch {
			case s[i] == 'n':
				c = '\n'
			case s[i] == 'c':
				c = ':'
			case s[i] == '\\':
			case s[i] == 'r' && v >= V12:
				c = '\r'
			default:
				return "", errEscape
			}
		}
		text = append(text, c)
	}
	return string(text), nil
}
