package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/gobwas/ws"

	"rollcall/actors"
	"rollcall/internal/logs"
	"rollcall/protocol"
	"rollcall/transport"
)

// native is the encoding of the native protocol: JSON in WebSocket text
// frames.
type native struct{}

// Append implements actors.Encoding.
func (native) Append(b []byte, m protocol.Message) []byte {
	return transport.AppendText(b, m.AppendJSON)
}

// connection joins one connection of the native protocol and one client:
// frames become commands, and the end of the connection a leave reason.
type connection struct {
	app    *App
	enc    actors.Encoding
	alias  string // its name in the URL; "": none
	conn   transport.Conn
	client *actors.Client
	hello  *hello // until the connection is open
	opened time.Time
}

// hello is what the query of a handshake says.
type hello struct {
	rooms      []string
	user, name string
	data       json.RawMessage
	resume     string        // a token; empty: none
	heartbeat  time.Duration // between two pings that the client promises; 0: none
}

// connect upgrades GET /ws.
func (a *App) connect(w http.ResponseWriter, r *http.Request) {
	hs, refusal := a.wire.Check(r)
	if refusal != nil {
		a.refuse(w, r, refusal)
		return
	}
	if h := a.hello(w, r); h != nil {
		a.accept(w, r, hs, &connection{app: a, enc: native{}, hello: h, opened: time.Now()})
	}
}

// hello reads the query of a handshake whose client may come in. It answers the
// others, and returns nil.
func (a *App) hello(w http.ResponseWriter, r *http.Request) *hello {
	if a.turnedAway(w) {
		return nil
	}
	h, err := readHello(r.URL.RawQuery, a.cfg.Limits.RoomsPerSession)
	if err != nil {
		a.log.Info(logs.Refused, logs.Fields{"remote_ip": remoteIP(r), "reason": "query"})
		problem(w, http.StatusBadRequest, "bad_request", err.Error())
		return nil
	}
	if a.barred(h, r) {
		problem(w, http.StatusForbidden, string(protocol.ErrBanned), banned)
		return nil
	}
	return h
}

// turnedAway answers a request that comes while the server goes away.
func (a *App) turnedAway(w http.ResponseWriter) bool {
	if !a.draining.Load() {
		return false
	}
	w.Header().Set("Retry-After", transport.RetryAfter(a.leaving.Load().after(time.Now())))
	problem(w, http.StatusServiceUnavailable, "unavailable", "the server is going away")
	return true
}

// accept turns a request into a connection of h, or answers that it can't.
func (a *App) accept(w http.ResponseWriter, r *http.Request, hs transport.Handshake, h transport.Handler) {
	err := a.wire.Accept(w, r, hs, h)
	switch {
	case err == nil:
	case errors.Is(err, transport.ErrFull), errors.Is(err, transport.ErrServerClosed):
		w.Header().Set("Retry-After", transport.RetryAfter(rand.N(10*time.Second)))
		problem(w, http.StatusServiceUnavailable, "unavailable", "the server has as many connections as it may have")
	default:
		a.log.Debug(logs.Refused, logs.Fields{"remote_ip": remoteIP(r), "reason": err.Error()})
	}
}

const banned = "this user is kept out of the server"

// barred reports whether the user of a handshake is kept out of the server, and
// counts it.
func (a *App) barred(h *hello, r *http.Request) bool {
	if h.user == "" || !a.system.Banned(h.user) {
		return false
	}
	a.system.Stats().Barred.Add(1)
	a.log.Info(logs.Refused, logs.Fields{"remote_ip": remoteIP(r), "reason": string(protocol.ErrBanned), "status": http.StatusForbidden})
	return true
}

func (a *App) refuse(w http.ResponseWriter, r *http.Request, refusal *transport.Refusal) {
	f := logs.Fields{"remote_ip": remoteIP(r), "reason": refusal.Code, "status": refusal.Status}
	if refusal.Status == http.StatusServiceUnavailable { // there may be thousands a second: overload tells of them
		a.log.Debug(logs.Refused, f)
		a.overload.refused(f["remote_ip"].(string))
	} else {
		a.log.Info(logs.Refused, f)
	}
	for name, values := range refusal.Header {
		w.Header()[name] = values
	}
	problem(w, refusal.Status, refusal.Code, refusal.Detail)
}

// readHello reads the query of a handshake, docs/protocol.md §2. The error is
// for the client.
func readHello(query string, maxRooms int) (*hello, error) {
	q, err := url.ParseQuery(query)
	if err != nil { // what can't be read would be missing, and somebody else come in
		return nil, errors.New("the query must be parameters with & between them, percent-encoded; a ; is written %3B")
	}
	h := &hello{rooms: q["room"], resume: q.Get("resume")}
	h.user, h.name = strings.Clone(q.Get("user")), strings.Clone(q.Get("name")) // not to keep the whole request
	if maxRooms > 0 && len(h.rooms) > maxRooms {
		return nil, fmt.Errorf("room is given more often than the %d rooms that one session may be in", maxRooms)
	}
	for i, room := range h.rooms {
		h.rooms[i] = strings.Clone(room) // likewise
		if !protocol.ValidRoom(room) {
			return nil, errors.New("room must be 1 to 128 letters, digits and . _ : - ~ @ /, without a leading, trailing or doubled /")
		}
	}
	if q.Has("user") && !protocol.ValidUser(h.user) {
		return nil, errors.New("user must be 1 to 128 bytes of UTF-8 without control characters")
	}
	if q.Has("name") && !protocol.ValidName(h.name) {
		return nil, errors.New("name must be 1 to 64 characters without control characters, not all blank")
	}
	if d := q.Get("data"); q.Has("data") {
		if len(d) > protocol.MaxQueryBytes || !protocol.ValidData([]byte(d)) {
			return nil, errors.New("data must be JSON of at most 1 KiB")
		}
		h.data = json.RawMessage(d)
	}
	if hb := q.Get("heartbeat_ms"); q.Has("heartbeat_ms") {
		n, err := strconv.Atoi(hb)
		if err != nil || n < 1000 || n > 300000 {
			return nil, errors.New("heartbeat_ms must be an integer from 1000 to 300000")
		}
		h.heartbeat = time.Duration(n) * time.Millisecond
	}
	return h, nil
}

// Open implements transport.Handler.
func (c *connection) Open(conn transport.Conn) {
	h := c.hello
	c.conn, c.hello = conn, nil
	o := actors.ClientOptions{
		Connection: conn, Encoding: c.enc, User: h.user, Name: h.name, Data: h.data, Promise: h.heartbeat,
	}
	if h.resume != "" {
		c.client = c.app.system.Resume(h.resume, o)
	}
	if c.client == nil {
		c.client = c.app.system.Connect(o)
	}
	c.app.sockjs.aliases.set(c.alias, c.client.ID())
	if c.app.log.On(levelInfo) {
		c.app.log.Info(logs.Connected, logs.Fields{"session": c.client.ID(), "remote_ip": ipOf(c.conn)})
	}
	c.client.Start(conn, h.rooms)
	if c.app.draining.Load() { // came in between
		c.app.goodbye(c.client)
	}
}

// Message implements transport.Handler.
func (c *connection) Message(op ws.OpCode, payload []byte) {
	defer c.recovered()
	if op != ws.OpText {
		c.client.End(protocol.ReasonViolation, protocol.CloseUnsupported, "")
		return
	}
	cmd, err := protocol.Decode(payload)
	if err != nil {
		c.client.Refuse(c.conn, err)
		return
	}
	c.client.Do(c.conn, cmd, len(payload))
}

// farewell implements mourner.
func (c *connection) farewell(b []byte, code protocol.CloseCode) []byte {
	return c.enc.Append(b, &protocol.Bye{Code: code, Reason: string(protocol.ReasonViolation), Reconnect: code.Reconnect()})
}

// recovered keeps a panic, which would take the event loop and so the process
// with it, to the connection that met it.
func (c *connection) recovered() {
	if p := recover(); p != nil {
		c.app.log.Error(logs.Unexpected, logs.Fields{
			"session": c.client.ID(), "reason": fmt.Sprint(p), "stack": string(debug.Stack()),
		})
		c.client.End(protocol.ReasonFailed, protocol.CloseFailed, "")
	}
}

// Closed implements transport.Handler.
func (c *connection) Closed(e transport.End) {
	reason, code := leaveReason(e)
	c.app.sockjs.aliases.drop(c.alias, c.client.ID())
	c.client.Gone(c.conn, reason, code, because(e, &c.app.cfg))
	c.app.disconnected(c.client, ipOf(c.conn), c.opened, e)
}

// disconnected logs the end of a connection; client is nil where there was
// none yet.
func (a *App) disconnected(client *actors.Client, remote string, opened time.Time, e transport.End) {
	if !a.log.On(levelInfo) {
		return
	}
	f := logs.Fields{
		"remote_ip": remote, "cause": e.Cause.String(), "code": e.Code, "duration_ms": time.Since(opened).Milliseconds(),
	}
	if client != nil {
		f["session"] = client.ID()
		if reason := client.Ending(); reason != "" { // else the session goes on without it
			f["reason"] = reason
		}
	}
	if e.Err != nil {
		f["err"] = e.Err.Error()
	}
	a.log.Info(logs.Disconnected, f)
}

// leaveReason is what the end of a connection means for its members,
// docs/protocol.md §5, unless the server decided before.
func leaveReason(e transport.End) (protocol.Reason, protocol.CloseCode) {
	code := protocol.CloseCode(e.Code)
	switch e.Cause {
	case transport.PeerClosed:
		return protocol.ReasonClosed, code
	case transport.Violation:
		return protocol.ReasonViolation, code
	case transport.Slow:
		return protocol.ReasonSlow, protocol.CloseSlow
	case transport.Local:
		return protocol.ReasonShutdown, protocol.CloseShutdown
	}
	return protocol.ReasonLost, 0
}
