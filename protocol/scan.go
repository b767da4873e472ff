package protocol

import (
	"bytes"
	"encoding/json"
	"hash/maphash"
	"unicode/utf8"
)

// scanner walks one JSON text (RFC 8259) without allocating, and is stricter
// than encoding/json: no duplicate names in any object, bounded depth, valid
// UTF-8. It keeps nothing; values are slices of the text.
type scanner struct {
	b     []byte
	i     int
	depth int

	names [shortNames]name // of the objects that are open, outermost first
	used  int              // of names
}

// name is an object's member name: where it stands in the text, quotes and
// all, and a hash of what it spells.
type name struct {
	hash     uint64
	from, to int
}

var nameSeed = maphash.MakeSeed()

// syntaxError is what a scan ends with; constant texts, safe to show.
type syntaxError string

func (e syntaxError) Error() string { return string(e) }

const (
	errUTF8      syntaxError = "the frame is not valid UTF-8"
	errSyntax    syntaxError = "the frame is not valid JSON"
	errDepth     syntaxError = "arrays and objects are nested too deeply"
	errDuplicate syntaxError = "an object has the same member twice"
	errTrailing  syntaxError = "something follows the JSON object"
	errNotObject syntaxError = "the frame is not a JSON object"
)

// kind of a JSON value, by its first byte.
type kind byte

const (
	kindObject kind = '{'
	kindArray  kind = '['
	kindString kind = '"'
	kindNumber kind = '0'
	kindBool   kind = 't'
	kindNull   kind = 'n'
)

// object scans the text as one object, and sets f's fields from its members.
func (s *scanner) object(f *fields) error {
	if !utf8.Valid(s.b) {
		return errUTF8
	}
	s.space()
	if s.i >= len(s.b) || s.b[s.i] != '{' {
		if _, err := s.value(); err != nil {
			return err
		}
		if s.space(); s.i == len(s.b) {
			return errNotObject
		}
		return errSyntax
	}
	if err := s.members(f); err != nil {
		return err
	}
	s.space()
	if s.i != len(s.b) {
		return errTrailing
	}
	return nil
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

// take skips white space and then c.
func (s *scanner) take(c byte) bool {
	s.space()
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

func (s *scanner) value() (kind, error) {
	s.space()
	if s.i >= len(s.b) {
		return 0, errSyntax
	}
	switch c := s.b[s.i]; c {
	case '{':
		return kindObject, s.members(nil)
	case '[':
		return kindArray, s.array()
	case '"':
		return kindString, s.str()
	case 't':
		return kindBool, s.word("true")
	case 'f':
		return kindBool, s.word("false")
	case 'n':
		return kindNull, s.word("null")
	default:
		return kindNumber, s.number()
	}
}

// members scans an object, and tells f the name of each member (as it is
// spelled, without quotes and escapes) and where its value stands; nil: nobody
// asks.
func (s *scanner) members(f *fields) error {
	s.i++ // {
	if s.depth++; s.depth > MaxDepth {
		return errDepth
	}
	seen := names{first: s.used}
	if !s.take('}') {
		for {
			s.space()
			from := s.i
			if s.i >= len(s.b) || s.b[s.i] != '"' {
				return errSyntax
			}
			if err := s.str(); err != nil {
				return err
			}
			spelled := spelling(s.b[from:s.i])
			if !seen.add(s, spelled, from) {
				return errDuplicate
			}
			if !s.take(':') {
				return errSyntax
			}
			s.space()
			at := s.i
			k, err := s.value()
			if err != nil {
				return err
			}
			if f != nil {
				f.set(spelled, place{k, at, s.i})
			}
			if s.take('}') {
				break
			}
			if !s.take(',') {
				return errSyntax
			}
		}
	}
	s.used = seen.first
	s.depth--
	return nil
}

// names finds duplicates within one object: a list while it is short, a map
// once it is long, so that a hostile object costs time linear in its size.
type names struct {
	first int // in scanner.names
	long  map[uint64]struct{}
}

// shortNames bounds the lists of all open objects together.
const shortNames = 24

// add notes a name, and reports false if the object has it already. Two
// different names of one hash count as the same in a map; the hash is seeded and
// has 64 bits. A list compares byte for byte.
func (n *names) add(s *scanner, spelled []byte, from int) bool {
	hash := maphash.Bytes(nameSeed, spelled)
	if n.long == nil {
		own := s.names[n.first:s.used]
		for _, o := range own {
			if o.hash == hash && bytes.Equal(spelling(s.b[o.from:o.to]), spelled) {
				return false
			}
		}
		if s.used < len(s.names) {
			s.names[s.used] = name{hash, from, s.i}
			s.used++
			return true
		}
		n.long = make(map[uint64]struct{}, len(own)+1)
		for _, o := range own {
			n.long[o.hash] = struct{}{}
		}
	}
	_, twice := n.long[hash]
	n.long[hash] = struct{}{}
	return !twice
}

// spelling is what a scanned string, quotes included, spells. It allocates
// only where there are escapes; the clone keeps quoted, and with it the whole
// scanner, on the caller's stack.
func spelling(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	var v string
	if json.Unmarshal(bytes.Clone(quoted), &v) != nil { // cannot be: it was scanned
		return quoted
	}
	return []byte(v)
}

func (s *scanner) array() error {
	s.i++ // [
	if s.depth++; s.depth > MaxDepth {
		return errDepth
	}
	if !s.take(']') {
		for {
			if _, err := s.value(); err != nil {
				return err
			}
			if s.take(']') {
				break
			}
			if !s.take(',') {
				return errSyntax
			}
		}
	}
	s.depth--
	return nil
}

func (s *scanner) word(w string) error {
	if len(s.b)-s.i < len(w) || string(s.b[s.i:s.i+len(w)]) != w {
		return errSyntax
	}
	s.i += len(w)
	return nil
}

func (s *scanner) str() error {
	for s.i++; s.i < len(s.b); s.i++ {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return nil
		case c < 0x20:
			return errSyntax
		case c == '\\':
			s.i++
			if s.i >= len(s.b) {
				return errSyntax
			}
			switch s.b[s.i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if len(s.b)-s.i < 5 {
					return errSyntax
				}
				for _, h := range s.b[s.i+1 : s.i+5] {
					if (h < '0' || '9' < h) && (h < 'a' || 'f' < h) && (h < 'A' || 'F' < h) {
						return errSyntax
					}
				}
				s.i += 4
			default:
				return errSyntax
			}
		}
	}
	return errSyntax
}

// number scans -?int frac? exp? (RFC 8259 §6).
func (s *scanner) number() error {
	if s.i < len(s.b) && s.b[s.i] == '-' {
		s.i++
	}
	switch {
	case s.i >= len(s.b):
		return errSyntax
	case s.b[s.i] == '0':
		s.i++
	case !s.digits():
		return errSyntax
	}
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		if !s.digits() {
			return errSyntax
		}
	}
	if s.i < len(s.b) && (s.b[s.i] == 'e' || s.b[s.i] == 'E') {
		s.i++
		if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		if !s.digits() {
			return errSyntax
		}
	}
	return nil
}

func (s *scanner) digits() bool {
	from := s.i
	for s.i < len(s.b) && '0' <= s.b[s.i] && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i > from
}
