package sockjs

import (
	"errors"
	"net/http"
	"sync/atomic"

	"github.com/gobwas/ws"

	"rollcall/transport"
)

// webSocket upgrades to a WebSocket that carries SockJS frames. Its session
// lives as long as its socket; its name in the URL means nothing to us.
func (svc *Service) webSocket(w http.ResponseWriter, r *http.Request, p place) {
	svc.upgrade(w, r, nil, Client{Session: p.session, Transport: p.name})
}

// raw upgrades to a WebSocket without any framing of SockJS.
func (svc *Service) raw(w http.ResponseWriter, r *http.Request, _ place) {
	svc.upgrade(w, r, svc.o.Protocols, Client{Transport: "raw", Raw: true})
}

func (svc *Service) upgrade(w http.ResponseWriter, r *http.Request, protocols []string, c Client) {
	hs, refusal := svc.o.Wire.CheckFor(r, protocols)
	if refusal != nil && refusal.Status == http.StatusUpgradeRequired {
		refusal.Status = http.StatusBadRequest // as SockJS has it
	}
	var h transport.Handler
	if refusal == nil {
		h, refusal = svc.o.Accept(r, c)
	}
	if refusal != nil {
		refuse(w, refusal)
		return
	}
	if !c.Raw {
		h = &framed{svc: svc, h: h}
	}
	switch err := svc.o.Wire.Accept(w, r, hs, h); err {
	case transport.ErrFull, transport.ErrServerClosed:
		refuse(w, unavailable("the server has as many connections as it may have"))
	}
}

// framed puts SockJS frames between a WebSocket and its handler.
type framed struct {
	svc    *Service
	h      transport.Handler
	conn   *framedConn
	breach error // the rule that the client broke; nil: none
}

// Unframed is the handler that Options.Accept gave for a WebSocket.
func Unframed(h transport.Handler) transport.Handler {
	if f, ok := h.(*framed); ok {
		return f.h
	}
	return h
}

// Farewell is the close frame that goes before a code that the transport closes
// a WebSocket of h with; nil where h has no SockJS framing.
func Farewell(h transport.Handler, code uint16, reason string) []byte {
	if _, ok := h.(*framed); !ok {
		return nil
	}
	return transport.AppendFrame(nil, ws.OpText, closeFrame(code, reason))
}

// Open implements transport.Handler.
func (f *framed) Open(c transport.Conn) {
	f.conn = &framedConn{Conn: c}
	transport.LimitMessage(c, f.svc.o.quoted())
	o := transport.AppendFrame(nil, ws.OpText, openFrame)
	c.Write(o, len(o))
	f.h.Open(f.conn)
}

// Message implements transport.Handler. An empty message, and an array of none,
// are a client's heartbeat.
func (f *framed) Message(op ws.OpCode, payload []byte) {
	if len(payload) == 0 || f.breach != nil {
		return
	}
	ms, err := readMessages(payload, true)
	if err != nil || op != ws.OpText {
		f.refuse(errBroken)
		f.conn.closed.Store(true)
		f.conn.Conn.Close(closeProtocol, "broken framing") // who does not speak SockJS gets no frame of it
		return
	}
	for text := range ms.all() {
		switch {
		case f.conn.closed.Load():
			return
		case len(text) > f.svc.o.MessageBytes:
			f.refuse(errTooBig)
			b := f.svc.o.Farewell(f.h, closeTooBig)
			f.conn.Write(b, len(b))
			f.conn.Close(closeTooBig, "message too big")
			return
		}
		f.h.Message(ws.OpText, text)
	}
}

var errTooBig = errors.New("message too big")

func (f *framed) refuse(breach error) {
	f.breach = breach
	f.svc.o.Stats.Refused[RefusedBody].Add(1)
}

// Closed implements transport.Handler.
func (f *framed) Closed(e transport.End) {
	if f.breach != nil && e.Cause == transport.Local {
		e.Cause, e.Err = transport.Violation, f.breach
	}
	f.h.Closed(e)
}

// framedConn tells of a close by a SockJS frame, too.
type framedConn struct {
	transport.Conn
	closed atomic.Bool
}

// Close implements transport.Conn.
func (c *framedConn) Close(code uint16, reason string) {
	if c.closed.Swap(true) {
		return
	}
	b := transport.AppendFrame(nil, ws.OpText, closeFrame(code, reason))
	c.Write(b, len(b))
	c.Conn.Close(code, reason)
}
