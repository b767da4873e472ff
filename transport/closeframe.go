package transport

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

const (
	codeNone     = uint16(ws.StatusNoStatusRcvd)    // 1005: a close frame without a code
	codeAbnormal = uint16(ws.StatusAbnormalClosure) // 1006: no close frame
	maxReason    = ws.MaxControlFramePayloadSize - 2
)

// validCloseCode says whether a close frame may carry code: those that RFC 6455
// §7.4.1 and the IANA registry made from it define (1012 to 1014 came later,
// which is why ws.CheckCloseFrameData refuses them), and §7.4.2's ranges for
// libraries and applications.
func validCloseCode(code uint16) bool {
	switch {
	case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014, code >= 3000 && code <= 4999:
		return true
	}
	return false
}

// readClose checks the payload of a peer's close frame (RFC 6455 §5.5.1).
func readClose(payload []byte) (code uint16, bad Breach) {
	switch {
	case len(payload) == 0:
		return codeNone, noBreach
	case len(payload) == 1:
		return 0, BreachClose
	}
	code = binary.BigEndian.Uint16(payload)
	if !validCloseCode(code) {
		return 0, BreachClose
	}
	if !utf8.Valid(payload[2:]) {
		return 0, BreachUTF8
	}
	return code, noBreach
}

// sendable is the code that a close frame of ours really carries.
func sendable(code uint16) uint16 {
	if code == codeNone || validCloseCode(code) {
		return code
	}
	return uint16(ws.StatusInternalServerError)
}

// appendClose appends a close frame with a sendable code.
func appendClose(b []byte, code uint16, reason string) []byte {
	if code == codeNone {
		return appendHeader(b, ws.OpClose, 0)
	}
	if len(reason) > maxReason {
		reason = reason[:maxReason]
		for len(reason) > 0 { // do not end inside a code point
			if r, size := utf8.DecodeLastRuneInString(reason); r != utf8.RuneError || size > 1 {
				break
			}
			reason = reason[:len(reason)-1]
		}
	}
	reason = strings.ToValidUTF8(reason, "")
	b = appendHeader(b, ws.OpClose, 2+len(reason))
	b = binary.BigEndian.AppendUint16(b, code)
	return append(b, reason...)
}
