package app

import (
	"bytes"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"rollcall/internal/logs"
	"rollcall/protocol"
	"rollcall/transport"
	"rollcall/transport/sockjs"
)

// opening is a connection that may speak any protocol: its first frame decides.
// Until then nothing is known of it, and it has not much time.
type opening struct {
	app    *App
	hello  *hello
	alias  string // its name in the URL; "": none
	raw    bool   // it has no SockJS framing
	began  time.Time
	remote string

	conn  transport.Conn
	h     transport.Handler // of its protocol; nil before its first frame
	timer *time.Timer

	mu      sync.Mutex
	decided bool // by its first frame, or by us: it is closed
}

// speech is a protocol that a first frame is of.
type speech uint8

const (
	unknownSpeech speech = iota
	nativeSpeech         // a JSON object
	stompSpeech          // a command to connect, or the end of a line, which is a heart-beat
)

// speechOf tells by the first frame of a client.
func speechOf(frame []byte) speech {
	line, _, _ := bytes.Cut(frame, []byte("\n"))
	switch command := string(bytes.TrimSuffix(line, []byte("\r"))); {
	case bytes.HasPrefix(bytes.TrimLeft(frame, " \t"), []byte("{")):
		return nativeSpeech
	case len(frame) > 0 && command == "", command == "CONNECT", command == "STOMP":
		return stompSpeech
	}
	return unknownSpeech
}

// speak makes the handler for a protocol; nil: it is not spoken here.
func (o *opening) speak(s speech) transport.Handler {
	switch s {
	case nativeSpeech:
		c := &connection{app: o.app, enc: native{}, hello: o.hello, alias: o.alias, opened: o.began}
		if !o.raw {
			c.enc = nativeInSockJS{}
		}
		return c
	case stompSpeech:
		var f framing = textFrames{}
		if !o.raw {
			f = sockFrames{}
		}
		return &stompConnection{client: newStompClient(o.app, f, o.hello, o.alias, o.remote), opened: o.began}
	default:
		return nil
	}
}

// Open implements transport.Handler.
func (o *opening) Open(c transport.Conn) {
	o.mu.Lock()
	o.conn = c
	o.timer = time.AfterFunc(o.app.cfg.SockJS.FirstFrame, func() { o.refuse(protocol.CloseIdle, "no first frame") })
	o.app.sockjs.openings.add(o)
	o.mu.Unlock()
	if o.app.draining.Load() { // came in between
		o.refuse(protocol.CloseShutdown, string(protocol.ReasonShutdown))
	}
}

// decide reports whether it was still open what this connection is.
func (o *opening) decide() bool {
	o.mu.Lock()
	was := o.decided
	o.decided = true
	o.mu.Unlock()
	if was {
		return false
	}
	o.timer.Stop()
	o.app.sockjs.openings.remove(o)
	return true
}

// refuse closes a connection that has not said what it speaks, or that speaks
// what we don't.
func (o *opening) refuse(code protocol.CloseCode, reason string) {
	if o.decide() {
		o.close(code, reason)
	}
}

func (o *opening) close(code protocol.CloseCode, reason string) {
	o.app.log.Info(logs.Refused, logs.Fields{"remote_ip": o.remote, "reason": reason, "code": code})
	o.conn.Close(uint16(code), reason)
}

// Message implements transport.Handler.
func (o *opening) Message(op ws.OpCode, payload []byte) {
	if o.h == nil {
		if !o.decide() {
			return // too late
		}
		if o.h = o.speak(speechOf(payload)); o.h == nil {
			o.close(protocol.CloseUnsupported, "the first frame is of no protocol that is spoken here")
			return
		}
		o.h.Open(o.conn)
		o.hello = nil
	}
	o.h.Message(op, payload)
}

// Closed implements transport.Handler.
func (o *opening) Closed(e transport.End) {
	o.decide()
	if o.h != nil {
		o.h.Closed(e)
	}
}

// farewell implements mourner.
func (o *opening) farewell(b []byte, code protocol.CloseCode) []byte {
	if m, ok := o.h.(mourner); ok {
		return m.farewell(b, code)
	}
	return b
}

// mourner is a handler that has something to say before the transport closes
// its connection by itself: it appends frames to b.
type mourner interface {
	farewell(b []byte, code protocol.CloseCode) []byte
}

// farewell is what goes before a close frame that the transport decides on.
func farewell(h transport.Handler, code uint16) []byte {
	b := lastWords(sockjs.Unframed(h), code)
	return append(b, sockjs.Farewell(h, code, string(protocol.ReasonViolation))...)
}

// lastWords is what a protocol says before a close for a broken rule.
func lastWords(h transport.Handler, code uint16) (b []byte) {
	if m, ok := h.(mourner); ok {
		b = m.farewell(b, protocol.CloseCode(code))
	}
	return b
}

// openings are the connections without a first frame.
type openings struct {
	mu  sync.Mutex
	all map[*opening]struct{}
}

func (os *openings) add(o *opening) {
	os.mu.Lock()
	defer os.mu.Unlock()
	if os.all == nil {
		os.all = map[*opening]struct{}{}
	}
	os.all[o] = struct{}{}
}

func (os *openings) remove(o *opening) {
	os.mu.Lock()
	defer os.mu.Unlock()
	delete(os.all, o)
}

// closeAll closes them: the server goes away.
func (os *openings) closeAll() {
	os.mu.Lock()
	all := make([]*opening, 0, len(os.all))
	for o := range os.all {
		all = append(all, o)
	}
	os.mu.Unlock()
	for _, o := range all {
		o.refuse(protocol.CloseShutdown, string(protocol.ReasonShutdown))
	}
}
