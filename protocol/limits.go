package protocol

import (
	"unicode"
	"unicode/utf8"
)

// Limits of the contract, docs/protocol.md §2 and §3. Those an operator may
// move are settings, not constants.
const (
	MaxRoomBytes    = 128     // a room name
	MaxUserBytes    = 128     // a user id
	MaxNameRunes    = 64      // a display name, in characters
	MaxKeyBytes     = 64      // a publish key
	MaxCursorBytes  = 128     // an opaque page cursor
	MaxEpochBytes   = 64      // an epoch in a position
	MaxDataBytes    = 4 << 10 // the data of a join or an update
	MaxQueryBytes   = 1 << 10 // the data of a connection's query
	MaxSignalBytes  = 1 << 10 // the data of a signal
	MaxHistoryLimit = 100     // messages in one answer
	MaxMembersLimit = 1000    // members in one page
	MaxDepth        = 64      // nesting of arrays and objects in a frame
	MaxID           = 1<<53 - 1

	DefaultHistoryLimit = 50
	DefaultMembersLimit = 100
)

// ValidRoom reports whether name is a room name: 1 to 128 bytes of ASCII
// letters, digits and . _ : - ~ @ /, without a leading, trailing or doubled /.
func ValidRoom[T string | []byte](name T) bool {
	if len(name) == 0 || len(name) > MaxRoomBytes {
		return false
	}
	slash := true // as after a slash: one may not lead
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case c == '/':
			if slash {
				return false
			}
			slash = true
			continue
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '.', c == '_', c == ':', c == '-', c == '~', c == '@':
		default:
			return false
		}
		slash = false
	}
	return !slash
}

// ServerRoom reports whether a room name belongs to the server: it begins
// with @, and clients may neither join nor publish to it.
func ServerRoom[T string | []byte](name T) bool { return len(name) > 0 && name[0] == '@' }

// ValidUser reports whether s is a user id: 1 to 128 bytes of UTF-8 without
// control characters.
func ValidUser(s string) bool {
	return s != "" && len(s) <= MaxUserBytes && printable(s)
}

// ValidName reports whether s is a display name: 1 to 64 characters of UTF-8
// without control characters, not all of them blank.
func ValidName(s string) bool {
	if n := utf8.RuneCountInString(s); n == 0 || n > MaxNameRunes || !printable(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsSpace(r) {
			return true
		}
	}
	return false
}

func printable(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return false
		}
	}
	return true
}
