package main

import (
	"errors"
	"net/http"
	"strings"

	"github.com/gobwas/ws"

	"rollcall/transport"
)

// outboundBytes is what may wait for one peer: two messages of the largest
// usual size. A peer that does not read is not read from long before that.
const outboundBytes = 64 << 20

func options(mode string, loops, message int) transport.Options {
	return transport.Options{
		Mode:          mode,
		Loops:         loops,
		MessageBytes:  message,
		OutboundBytes: max(outboundBytes, message+outboundBytes/2),
		ThrottleBytes: outboundBytes / 4,
	}
}

// endpoint says whether a path is that of a WebSocket.
func endpoint(path string) bool { return path == "/" || strings.HasSuffix(path, "/websocket") }

// handler upgrades requests for "/", and serves the SockJS services.
func handler(srv *transport.Server, all *services) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case all.serve(w, r):
			return
		case r.URL.Path != "/":
			http.NotFound(w, r)
			return
		}
		hs, refusal := srv.Check(r)
		if refusal != nil {
			for name, values := range refusal.Header {
				w.Header()[name] = values
			}
			http.Error(w, refusal.Detail, refusal.Status)
			return
		}
		if err := srv.Accept(w, r, hs, &echo{}); errors.Is(err, transport.ErrFull) || errors.Is(err, transport.ErrServerClosed) {
			http.Error(w, "not now", http.StatusServiceUnavailable)
		}
	})
}

// echo sends every message back, text as text and binary as binary.
type echo struct {
	conn  transport.Conn
	frame []byte // reused
}

// keepBytes is the largest frame buffer that a connection keeps.
const keepBytes = 4 << 10

func (e *echo) Open(c transport.Conn) { e.conn = c }

func (e *echo) Message(op ws.OpCode, payload []byte) {
	e.frame = transport.AppendFrame(e.frame[:0], op, payload)
	e.conn.Write(e.frame, len(e.frame))
	if cap(e.frame) > keepBytes {
		e.frame = nil
	}
}

func (e *echo) Closed(transport.End) {}
