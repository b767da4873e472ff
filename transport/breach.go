package transport

import "github.com/gobwas/ws"

// Breach is a rule that a peer broke: of RFC 6455 or one of our limits.
type Breach uint8

const (
	noBreach          Breach = iota
	BreachReserved           // reserved bit or opcode (§5.2)
	BreachLength             // length not minimal, or over 2^63-1 (§5.2)
	BreachUnmasked           // frame without a mask (§5.1)
	BreachControl            // control frame fragmented or over 125 bytes (§5.5)
	BreachFragment           // continuation without a start, or a start inside a message (§5.4)
	BreachUTF8               // text or close reason that is not UTF-8 (§8.1)
	BreachClose              // close frame with a broken or forbidden code (§7.4)
	BreachTooBig             // message over Options.MessageBytes
	BreachFragments          // message of more than Options.Fragments frames
	BreachControlRate        // more control frames than Options.ControlRate
	breaches                 // how many there are
)

var breachTable = [breaches]struct {
	name string
	code ws.StatusCode
	text string
}{
	noBreach:          {"none", ws.StatusNormalClosure, ""},
	BreachReserved:    {"reserved", ws.StatusProtocolError, "reserved bit or opcode"},
	BreachLength:      {"length", ws.StatusProtocolError, "bad payload length"},
	BreachUnmasked:    {"unmasked", ws.StatusProtocolError, "frame is not masked"},
	BreachControl:     {"control", ws.StatusProtocolError, "bad control frame"},
	BreachFragment:    {"fragment", ws.StatusProtocolError, "bad fragmentation"},
	BreachUTF8:        {"utf8", ws.StatusInvalidFramePayloadData, "invalid UTF-8"},
	BreachClose:       {"close", ws.StatusProtocolError, "bad close frame"},
	BreachTooBig:      {"too_big", ws.StatusMessageTooBig, "message too big"},
	BreachFragments:   {"fragments", ws.StatusMessageTooBig, "too many fragments"},
	BreachControlRate: {"control_rate", closeFlood, "too many control frames"},
}

// closeFlood is a private code (§7.4.2) that asks the peer not to come back.
const closeFlood ws.StatusCode = 4506

// String is the name that logs and metrics use.
func (b Breach) String() string {
	if b < breaches {
		return breachTable[b].name
	}
	return "unknown"
}

// Error is the reason sent with the close frame.
func (b Breach) Error() string { return breachTable[b].text }

// Code is the close code for it (RFC 6455 §7.4.1).
func (b Breach) Code() uint16 { return uint16(breachTable[b].code) }

// Breaches are all of them, for whoever counts by breach.
func Breaches() []Breach {
	all := make([]Breach, 0, breaches-1)
	for b := noBreach + 1; b < breaches; b++ {
		all = append(all, b)
	}
	return all
}

// breachOf names what ws.CheckHeader found.
func breachOf(err error) Breach {
	switch err {
	case nil:
		return noBreach
	case ws.ErrProtocolControlPayloadOverflow, ws.ErrProtocolControlNotFinal:
		return BreachControl
	case ws.ErrProtocolMaskRequired:
		return BreachUnmasked
	case ws.ErrProtocolContinuationExpected, ws.ErrProtocolContinuationUnexpected:
		return BreachFragment
	default:
		return BreachReserved
	}
}
