package transport

import (
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// limits are what one message of a peer may be.
type limits struct {
	message   int64 // payload bytes of all its frames
	fragments int   // frames; 0: no limit
}

// event is something a peer has said completely: a message (text, binary) or a
// control frame. op 0 means nothing yet.
type event struct {
	op      ws.OpCode
	payload []byte // valid until the next call, and as long as the bytes it came from
}

// assembler makes events of the bytes of one peer, however they were cut. It
// is pure: bytes in, events out. What it has seen of an unfinished frame or
// message it keeps in one object, so that between messages it is one word.
type assembler struct {
	part *partial
}

// partial is a frame, or a message, of which more must come.
type partial struct {
	// The frame under way: its header's bytes until they are all there, then
	// the header and how much of the payload came.
	head    [maxHeaderBytes]byte
	nhead   uint8
	inFrame bool
	header  ws.Header
	got     int64
	control [ws.MaxControlFramePayloadSize]byte

	// The message under way: op is 0 when there is none.
	op     ws.OpCode
	frames int
	msg    []byte
	valid  int // bytes of msg known to be whole code points
}

// next takes bytes from the front of b, unmasking them in place, up to the end
// of the first event they complete or to the end of b. used says how many. After
// a breach the assembler must not be used again.
//
// What it returns depends on the peer's bytes alone, not on how they are cut,
// and a breach is found at the first byte that shows it.
func (a *assembler) next(b []byte, lim limits) (ev event, used int, bad Breach) {
	p := a.part
	if p == nil || !p.inFrame {
		var h ws.Header
		h, used, bad = a.header(b, lim)
		if bad != noBreach || used == 0 {
			return event{}, len(b), bad
		}
		if rest := b[used:]; h.Length <= int64(len(rest)) {
			payload := rest[:h.Length]
			ws.Cipher(payload, h.Mask, 0)
			ev, bad = a.whole(h, payload, lim)
			return ev, used + len(payload), bad
		}
		p = a.keep()
		p.inFrame, p.header, p.got = true, h, 0
	}
	some := b[used:]
	if left := p.header.Length - p.got; left < int64(len(some)) {
		some = some[:left]
	}
	ws.Cipher(some, p.header.Mask, int(p.got&3))
	at := p.got
	p.got += int64(len(some))
	used += len(some)
	if p.header.OpCode.IsControl() {
		copy(p.control[at:], some)
	} else if bad = p.add(some, lim); bad != noBreach {
		return event{}, used, bad
	}
	if p.got < p.header.Length {
		return event{}, used, noBreach
	}
	p.inFrame = false
	ev, bad = a.end(p.header, p.control[:min(p.got, int64(len(p.control)))])
	return ev, used, bad
}

// header reads the next frame's header from b and what was kept of it before,
// and checks it. used counts bytes of b; 0: more must come, and b was kept.
func (a *assembler) header(b []byte, lim limits) (h ws.Header, used int, bad Breach) {
	src, kept := b, 0
	if p := a.part; p != nil && p.nhead > 0 {
		kept = int(p.nhead)
		n := copy(p.head[kept:], b)
		src = p.head[:kept+n]
	}
	h, n, ok := parseHeader(src)
	if len(src) >= 2 {
		if bad := a.check(h, lim); bad != noBreach {
			return h, 0, bad
		}
	}
	if !ok {
		return h, 0, BreachLength
	}
	if n == 0 {
		p := a.keep()
		p.nhead = uint8(copy(p.head[:], src))
		return h, 0, noBreach
	}
	if kept > 0 {
		a.part.nhead = 0
	}
	return h, n - kept, noBreach
}

// check holds a header against RFC 6455 §5 and the limits.
func (a *assembler) check(h ws.Header, lim limits) Breach {
	state := ws.StateServerSide
	size, count := h.Length, 1
	if p := a.part; p != nil && p.op != 0 {
		state |= ws.StateFragmented
		count += p.frames
		if size > lim.message { // keeps the sum below from overflowing
			size = lim.message + 1
		}
		size += int64(len(p.msg))
	}
	if err := ws.CheckHeader(h, state); err != nil {
		return breachOf(err)
	}
	if h.OpCode.IsControl() {
		return noBreach
	}
	if size > lim.message {
		return BreachTooBig
	}
	if lim.fragments > 0 && count > lim.fragments {
		return BreachFragments
	}
	return noBreach
}

// whole takes a frame whose payload is all at hand.
func (a *assembler) whole(h ws.Header, payload []byte, lim limits) (event, Breach) {
	p := a.part
	switch {
	case h.OpCode.IsControl():
		return a.end(h, payload)
	case h.Fin && (p == nil || p.op == 0):
		a.part = nil
		if h.OpCode == ws.OpText && !utf8.Valid(payload) {
			return event{}, BreachUTF8
		}
		return event{h.OpCode, payload}, noBreach
	}
	p = a.keep()
	p.header, p.got = h, h.Length
	if bad := p.add(payload, lim); bad != noBreach {
		return event{}, bad
	}
	return a.end(h, nil)
}

// end is the end of a frame: of a control frame with this payload, or of one
// whose payload was added to the message.
func (a *assembler) end(h ws.Header, control []byte) (event, Breach) {
	p := a.part
	if h.OpCode.IsControl() {
		if p != nil && p.op == 0 {
			a.part = nil
		}
		return event{h.OpCode, control}, noBreach
	}
	if !h.Fin {
		p.frames++
		return event{}, noBreach
	}
	a.part = nil
	if p.op == ws.OpText && p.valid < len(p.msg) {
		return event{}, BreachUTF8
	}
	return event{p.op, p.msg}, noBreach
}

// add appends unmasked bytes of the frame p.header to the message. The buffer
// grows with the bytes that really came, at most to twice of them, never to
// what a header promises.
func (p *partial) add(b []byte, lim limits) Breach {
	if p.header.OpCode != ws.OpContinuation {
		p.op = p.header.OpCode
	}
	if need := len(p.msg) + len(b); need > cap(p.msg) {
		most := lim.message
		if p.header.Fin { // then the size of the whole message is known
			most = int64(need) + p.header.Length - p.got
		}
		size := max(int64(need), min(2*int64(need), most))
		p.msg = append(make([]byte, 0, size), p.msg...)
	}
	p.msg = append(p.msg, b...)
	if p.op == ws.OpText {
		n, ok := validStart(p.msg[p.valid:])
		if !ok {
			return BreachUTF8
		}
		p.valid += n
	}
	return noBreach
}

// keep returns the partial, making it when there is none.
func (a *assembler) keep() *partial {
	if a.part == nil {
		a.part = new(partial)
	}
	return a.part
}
