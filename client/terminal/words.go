package terminal

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"rollcall/protocol"
)

// because says a leave reason in words that fit after "Ann left: ".
func because(r protocol.Reason) string {
	switch r {
	case protocol.ReasonLeft:
		return "said goodbye"
	case protocol.ReasonKicked:
		return "taken out by the server"
	case protocol.ReasonBanned:
		return "banned from the room"
	case protocol.ReasonFailed:
		return "something failed on the server"
	case protocol.ReasonClosed:
		return "closed the window"
	case protocol.ReasonLost:
		return "lost the connection"
	case protocol.ReasonIdle:
		return "nothing done for too long"
	case protocol.ReasonExpired:
		return "the visit reached its time limit"
	case protocol.ReasonUnauthorized:
		return "no longer allowed in"
	case protocol.ReasonReplaced:
		return "came back somewhere else"
	case protocol.ReasonViolation:
		return "broke the rules of the protocol"
	case protocol.ReasonSlow:
		return "could not keep up"
	case protocol.ReasonShutdown:
		return "the server is going away"
	case protocol.ReasonNodeLost:
		return "the machine that held it died"
	}
	return string(r) // of a newer server
}

const longest = 2000 // characters shown of anything that others wrote

// clean makes text of others harmless to a terminal: one line, no control
// characters (ESC and its 8-bit kin steer the terminal), no invisible ones that
// reorder or hide what is shown, bounded. Joiners stay: emoji and several scripts
// need them.
func clean(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range strings.ToValidUTF8(s, string(utf8.RuneError)) {
		switch {
		case unicode.IsSpace(r), r == '\u2028', r == '\u2029':
			r = ' '
		case r == '\u200c', r == '\u200d':
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			continue
		}
		if n++; n > longest {
			b.WriteString(" …")
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}
