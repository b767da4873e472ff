package stomp

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Limits bound what one frame may hold. All of them are checked before memory
// is taken.
type Limits struct {
	LineBytes   int // the command, or one header with its escapes
	Headers     int // how many
	HeaderBytes int // all lines together
	BodyBytes   int
}

// DefaultLimits are those of a server whose messages are at most that long.
func DefaultLimits(messageBytes int) Limits {
	return Limits{LineBytes: 4 << 10, Headers: 64, HeaderBytes: 16 << 10, BodyBytes: messageBytes}
}

// syntaxError is what is wrong with a frame; constant texts, safe to show.
type syntaxError string

func (e syntaxError) Error() string { return string(e) }

const (
	errLine        syntaxError = "a line of the frame is too long"
	errHeaders     syntaxError = "the frame has too many headers"
	errHeaderBytes syntaxError = "the frame's headers are too long"
	errBody        syntaxError = "the body is larger than it may be"
	errLength      syntaxError = "content-length must be an integer of digits alone"
	errNoEnd       syntaxError = "the body does not end where content-length says"
	errNUL         syntaxError = "the frame ends before its headers do"
	errColon       syntaxError = "a header has no colon"
	errName        syntaxError = "a header has no name"
	errEscape      syntaxError = "a header has an escape that this version does not know"
	errUTF8        syntaxError = "a header is not valid UTF-8"
	errCommand     syntaxError = "a command is capital letters alone"
)

// Parser makes frames of bytes that may come in any pieces. What it holds is
// bounded by its limits. After an error it is of no more use. The zero value
// with Limits is ready.
type Parser struct {
	Limits  Limits
	Version Version // of the frames; none before CONNECT

	line  []byte // of a line that is not over yet
	head  int    // bytes of lines so far
	frame *Frame // whose lines are being read; nil: between two frames
	body  []byte // of the frame, once inBody
	need  int    // content-length; -1: up to NUL
	where where
}

type where uint8

const (
	between where = iota
	inHead
	inBody
)

// Next reads one frame from the front of b, with what it was given before. rest
// is what follows it. A nil frame says that b ended before the frame did: then
// rest is empty. What is between frames is skipped: line breaks, which are
// heart-beats.
func (p *Parser) Next(b []byte) (f *Frame, rest []byte, err error) {
	for len(b) > 0 {
		switch p.where {
		case between:
			if b[0] == '\n' || b[0] == '\r' {
				b = b[1:]
				continue
			}
			p.where, p.frame, p.head, p.need = inHead, &Frame{}, 0, -1
		case inHead:
			if b, err = p.readLine(b); err != nil {
				return nil, nil, err
			}
		case inBody:
			var whole bool
			if b, whole, err = p.readBody(b); err != nil {
				return nil, nil, err
			}
			if whole {
				f = p.frame
				p.where, p.frame, p.body, p.line = between, nil, nil, nil
				return f, b, nil
			}
		}
	}
	return nil, nil, nil
}

// Broken is the frame that an error was found in, as far as it was read.
func (p *Parser) Broken() *Frame { return p.frame }

// Idle reports whether the parser is between two frames.
func (p *Parser) Idle() bool { return p.where == between }

// readLine takes bytes up to the end of a line, and the line when it is whole.
func (p *Parser) readLine(b []byte) (rest []byte, err error) {
	room := min(p.Limits.LineBytes-len(p.line), p.Limits.HeaderBytes-p.head-len(p.line))
	near := b[:min(len(b), room+1)] // what is looked at is bound by the limits
	end := bytes.IndexByte(near, '\n')
	if end < 0 {
		switch {
		case bytes.IndexByte(near, 0) >= 0:
			return nil, errNUL
		case len(b) <= room:
			p.line = append(p.line, b...)
			return nil, nil
		case p.Limits.LineBytes-len(p.line) == room:
			return nil, errLine
		}
		return nil, errHeaderBytes
	}
	line := b[:end]
	if len(p.line) > 0 {
		line = append(p.line, line...)
	}
	p.head += len(line) + 1
	err = p.take(line)
	p.line = p.line[:0]
	return b[end+1:], err
}

// take reads a whole line: the command, a header, or the blank one. The carriage
// return before a line's end is part of it since 1.2 (§STOMP Frames), and was
// none's before.
func (p *Parser) take(line []byte) error {
	if p.Version == V12 || p.Version == 0 || len(line) == 1 {
		line = bytes.TrimSuffix(line, []byte{'\r'})
	}
	f := p.frame
	switch {
	case bytes.IndexByte(line, 0) >= 0:
		return errNUL
	case f.Command == "":
		for _, c := range line {
			if c < 'A' || 'Z' < c {
				return errCommand
			}
		}
		if len(line) == 0 {
			return errCommand
		}
		f.Command = string(line)
		return nil
	case len(line) == 0:
		return p.headEnds()
	case len(f.Headers) >= p.Limits.Headers:
		return errHeaders
	}
	name, value, err := p.header(line)
	if err != nil {
		return err
	}
	if _, twice := f.Lookup(name); !twice {
		f.Headers = append(f.Headers, Header{name, value})
	}
	return nil
}

func (p *Parser) header(line []byte) (name, value string, err error) {
	n, v, colon := bytes.Cut(line, []byte{':'})
	switch {
	case !colon:
		return "", "", errColon
	case len(n) == 0:
		return "", "", errName
	case !utf8.Valid(line):
		return "", "", errUTF8
	}
	if !escapes(p.Version, p.frame.Command) {
		if p.Version == V10 { // whose examples have a blank behind the colon
			v = bytes.TrimSpace(v)
		}
		return string(n), string(v), nil
	}
	if name, err = unescape(p.Version, n); err != nil {
		return "", "", err
	}
	value, err = unescape(p.Version, v)
	return name, value, err
}

// headEnds begins the body.
func (p *Parser) headEnds() error {
	p.where = inBody
	length, ok := p.frame.Lookup("content-length")
	if !ok {
		return nil
	}
	n, err := strconv.ParseUint(length, 10, 64)
	if err != nil && length != "" && onlyDigits(length) {
		n, err = math.MaxUint64, nil
	}
	switch {
	case err != nil:
		return errLength
	case n > uint64(p.Limits.BodyBytes):
		return errBody
	}
	p.need = int(n)
	return nil
}

func onlyDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || '9' < s[i] {
			return false
		}
	}
	return true
}

// readBody takes bytes up to the end of the body, and reports whether it is
// there. Memory grows with what has come, whatever content-length says.
func (p *Parser) readBody(b []byte) (rest []byte, whole bool, err error) {
	n, most := p.need-len(p.body), p.Limits.BodyBytes-len(p.body)
	if p.need < 0 {
		if n = bytes.IndexByte(b[:min(len(b), most+1)], 0); n < 0 {
			if len(b) > most {
				return nil, false, errBody
			}
			n = len(b)
		}
	}
	n = min(n, len(b))
	if n > 0 {
		p.body = append(p.body, b[:n]...)
		b = b[n:]
	}
	if len(b) == 0 {
		return nil, false, nil
	}
	if b[0] != 0 {
		return nil, false, errNoEnd
	}
	if len(p.body) > 0 {
		p.frame.Body = slices.Clip(p.body)
	}
	return b[1:], true, nil
}
