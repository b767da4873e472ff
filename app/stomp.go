package app

import (
	"cmp"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"rollcall/actors"
	"rollcall/internal/logs"
	"rollcall/protocol"
	"rollcall/protocol/stomp"
	"rollcall/transport"
	"rollcall/transport/sockjs"
)

// stompStats count what STOMP clients do.
type stompStats struct {
	Sessions        atomic.Int64
	Errors          atomic.Uint64
	Silent          atomic.Uint64
	Queued, Unheard atomic.Uint64
}

// stomp upgrades GET /stomp, docs/stomp.md.
func (a *App) stomp(w http.ResponseWriter, r *http.Request) {
	hs, refusal := a.wire.CheckFor(r, stomp.Subprotocols)
	if refusal != nil {
		a.refuse(w, r, refusal)
		return
	}
	if h := a.hello(w, r); h != nil {
		a.accept(w, r, hs, &stompConnection{client: newStompClient(a, textFrames{}, h, "", remoteIP(r)), opened: time.Now()})
	}
}

// stompConnection is a WebSocket that carries STOMP.
type stompConnection struct {
	client *stompClient
	opened time.Time
}

// Open implements transport.Handler.
func (c *stompConnection) Open(conn transport.Conn) { c.client.open(conn) }

// Message implements transport.Handler. STOMP is octets: binary messages are as
// good as text.
func (c *stompConnection) Message(_ ws.OpCode, payload []byte) { c.client.receive(payload) }

// farewell implements mourner.
func (c *stompConnection) farewell(b []byte, code protocol.CloseCode) []byte {
	return c.client.farewell(b, code)
}

// Closed implements transport.Handler.
func (c *stompConnection) Closed(e transport.End) {
	reason, code := leaveReason(e)
	client := c.client.gone(reason, code, because(e, &c.client.app.cfg))
	c.client.app.disconnected(client, c.client.remote, c.opened, e)
}

// framing is how a connection wraps STOMP frames: a comparable value.
type framing interface {
	Append(b []byte, frame func([]byte) []byte) []byte
}

// textFrames wraps each STOMP frame in a WebSocket text frame. Text, because
// what is written is always UTF-8, and old clients read binary frames octet by
// octet.
type textFrames struct{}

// Append implements framing.
func (textFrames) Append(b []byte, frame func([]byte) []byte) []byte {
	return transport.AppendText(b, frame)
}

// sockFrames wraps each in a SockJS frame.
type sockFrames struct{}

// Append implements framing.
func (sockFrames) Append(b []byte, frame func([]byte) []byte) []byte {
	return sockjs.AppendText(b, frame)
}

// stompStream is the encoding of a subscription.
type stompStream struct {
	framing framing
	stream  stomp.Stream
}

// Append implements actors.Encoding.
func (s stompStream) Append(b []byte, m protocol.Message) []byte {
	return s.stream.Append(b, m, s.framing.Append)
}

// At implements actors.Stream.
func (s stompStream) At(epoch string) actors.Stream {
	return stompStream{s.framing, s.stream.At(epoch)}
}

// Wants implements actors.Stream.
func (s stompStream) Wants(m protocol.Message) bool { return s.stream.Wants(m) }

// stompClient joins a STOMP conversation and a client, whatever carries the
// frames. It is the Encoding of what is for this client alone: it writes that
// itself, as one message may be several frames, none, or the end.
type stompClient struct {
	app     *App
	framing framing
	hello   *hello // of the handshake: defaults for CONNECT
	alias   string // its name in the URL of SockJS; "": none
	remote  string

	// Owned by the connection: its calls never overlap.
	conn   actors.Connection // set by open, then never changed
	parser stomp.Parser

	mu      sync.Mutex
	session stomp.Session
	client  *actors.Client // nil before CONNECT
	timer   *time.Timer    // for CONNECT, then for heart-beats, then for the end; nil: none
	ended   bool           // the connection is gone
}

func newStompClient(a *App, f framing, h *hello, alias, remote string) *stompClient {
	return &stompClient{
		app: a, framing: f, hello: h, alias: alias, remote: remote, session: stomp.Session{Routes: a.routes},
		parser: stomp.Parser{Limits: stomp.DefaultLimits(a.cfg.Limits.MessageBytes)},
	}
}

// open begins the conversation on a connection.
func (c *stompClient) open(conn actors.Connection) {
	c.conn = conn
	c.remind(c.app.cfg.Limits.HandshakeTimeout, func() {
		c.run(func(s *stomp.Session) []stomp.Effect {
			if s.Version() != 0 || s.Over() {
				return nil
			}
			c.app.stomps.Silent.Add(1)
			return s.Broken(nil, "no CONNECT came in time")
		})
	})
}

// remind runs f after d, in place of what it was to run before.
func (c *stompClient) remind(d time.Duration, f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	if !c.ended && f != nil {
		c.timer = time.AfterFunc(d, f)
	}
}

// receive takes what came from the peer: frames, in any pieces.
func (c *stompClient) receive(b []byte) {
	defer c.recovered()
	for len(b) > 0 {
		f, rest, err := c.parser.Next(b)
		if err != nil {
			c.run(func(s *stomp.Session) []stomp.Effect { return s.Broken(c.parser.Broken(), err.Error()) })
			return
		}
		if b = rest; f == nil {
			break
		}
		c.run(func(s *stomp.Session) []stomp.Effect {
			effects := s.Receive(f)
			c.parser.Version = s.Version()
			return effects
		})
		if f.Command == "DISCONNECT" {
			c.remind(c.app.cfg.Transport.CloseTimeout, func() { c.run((*stomp.Session).Hurry) })
		}
	}
	if client := c.known(); client != nil { // whatever comes proves that the peer lives (§Heart-beating)
		client.Heard(c.conn)
	}
}

// known is the client; nil before CONNECT.
func (c *stompClient) known() *actors.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.client
}

// run has the conversation take a step, and does what comes of it.
func (c *stompClient) run(step func(*stomp.Session) []stomp.Effect) {
	for _, e := range c.step(step) {
		c.do(e)
	}
}

// step has the conversation take a step. Replies are written at once, so that
// they come in its order.
func (c *stompClient) step(step func(*stomp.Session) []stomp.Effect) (rest []stomp.Effect) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range step(&c.session) {
		if reply, ok := e.(*stomp.Reply); ok {
			c.write(reply.Frame)
		} else {
			rest = append(rest, e)
		}
	}
	return rest
}

// write sends one frame. c.mu is held.
func (c *stompClient) write(f *stomp.Frame) {
	b := c.framing.Append(nil, func(b []byte) []byte { return stomp.AppendFrame(b, c.session.Version(), f) })
	c.conn.Write(b, len(b))
}

// do does what a step asks for.
func (c *stompClient) do(e stomp.Effect) {
	switch e := e.(type) {
	case *stomp.Connect:
		c.connect(&e.Hello)
	case *stomp.Subscribe:
		c.client.Subscribe(c.conn, e.Join, stompStream{c.framing, e.Stream}, 0)
	case *stomp.Unsubscribe:
		c.client.Unsubscribe(c.conn, e.Request, stompStream{c.framing, e.Stream}, 0)
	case *stomp.Leave:
		c.client.Do(c.conn, e.Leave, 0)
	case *stomp.Send:
		c.send(e)
	case *stomp.Fail:
		c.fail(e)
	case *stomp.Close:
		c.known().Gone(c.conn, protocol.ReasonClosed, protocol.CloseNormal, "DISCONNECT")
		c.conn.Close(uint16(protocol.CloseNormal), "")
	}
}

// connect makes the client that CONNECT asks for; what that does not say, the
// query of the handshake may have said. Its welcome is CONNECTED.
func (c *stompClient) connect(h *stomp.Hello) {
	a, q := c.app, c.hello
	c.hello = nil
	if len(q.rooms) > 0 || q.resume != "" || q.heartbeat > 0 {
		c.run(func(s *stomp.Session) []stomp.Effect {
			return s.Broken(nil, "room, resume and heartbeat_ms in the query are not for STOMP: there are SUBSCRIBE, rollcall-since and heart-beat")
		})
		return
	}
	o := actors.ClientOptions{
		Connection: c.conn, Encoding: c, User: cmp.Or(h.User, q.user), Name: cmp.Or(h.Name, q.name), Data: h.Data, Promise: h.Beats.In,
	}
	if o.Data == nil {
		o.Data = q.data
	}
	client := a.system.Connect(o)
	c.mu.Lock()
	c.client = client
	c.mu.Unlock()
	a.stomps.Sessions.Add(1)
	a.sockjs.aliases.set(c.alias, client.ID())
	a.queues.add(client.User(), c)
	if a.log.On(levelInfo) {
		a.log.Info(logs.Connected, logs.Fields{"session": client.ID(), "remote_ip": c.remote})
	}
	c.remind(0, nil)
	client.Start(c.conn, nil)
	if h.Beats.Out > 0 {
		c.beat(h.Beats.Out)
	}
	if a.draining.Load() { // came in between
		a.goodbye(client)
	}
}

// beat sends a heart-beat after each interval: an empty line.
func (c *stompClient) beat(every time.Duration) {
	c.remind(every, func() {
		c.mu.Lock()
		over := c.session.Over()
		c.mu.Unlock()
		if !over {
			b := c.framing.Append(nil, func(b []byte) []byte { return append(b, '\n') })
			c.conn.Write(b, len(b))
			c.beat(every)
		}
	})
}

// send publishes what SEND, or COMMIT, sends: all of it or nothing.
func (c *stompClient) send(e *stomp.Send) {
	var id uint64
	if len(e.Publishes) > 0 {
		id = e.Publishes[0].ID
	} else {
		id = e.Directs[0].ID
	}
	if !c.client.PublishAll(c.conn, id, e.Publishes, len(e.Directs), e.Bytes) {
		return
	}
	for _, d := range e.Directs {
		c.app.queues.deliver(&c.app.stomps, d, c.client)
		c.run(func(s *stomp.Session) []stomp.Effect { return s.Answer(&protocol.OK{ID: d.ID}) })
	}
}

// fail ends the connection with an ERROR.
func (c *stompClient) fail(e *stomp.Fail) {
	c.app.stomps.Errors.Add(1)
	if client := c.known(); client != nil {
		client.End(protocol.ReasonViolation, protocol.CloseProtocol, e.Reason) // its bye is the ERROR
		return
	}
	c.mu.Lock()
	c.write(e.Frame)
	c.mu.Unlock()
	c.conn.Close(uint16(protocol.CloseProtocol), string(protocol.ReasonViolation))
}

// Append implements actors.Encoding for what is told to this client alone.
func (c *stompClient) Append(b []byte, m protocol.Message) []byte {
	c.run(func(s *stomp.Session) []stomp.Effect { return s.Answer(m) })
	return b
}

// farewell is the ERROR before a close frame that the transport decides on.
func (c *stompClient) farewell(b []byte, code protocol.CloseCode) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session.Over() {
		return b
	}
	c.app.stomps.Errors.Add(1)
	for _, e := range c.session.Answer(&protocol.Bye{Code: code, Reason: breach(code)}) {
		if reply, ok := e.(*stomp.Reply); ok {
			b = c.framing.Append(b, func(b []byte) []byte { return stomp.AppendFrame(b, c.session.Version(), reply.Frame) })
		}
	}
	return b
}

// breach says what a close code of the transport's is for.
func breach(code protocol.CloseCode) string {
	switch code {
	case protocol.CloseTooBig:
		return "the message is larger than it may be"
	case protocol.CloseInvalidUTF8:
		return "the WebSocket message is text, and not valid UTF-8"
	case protocol.CloseFlood:
		return "too many pings and pongs"
	}
	return "the WebSocket framing is broken"
}

// gone hears of the connection's end, and returns the client, if there was one.
func (c *stompClient) gone(reason protocol.Reason, code protocol.CloseCode, why string) *actors.Client {
	c.mu.Lock()
	client := c.client
	c.ended = true
	c.mu.Unlock()
	c.remind(0, nil)
	if client != nil {
		c.app.queues.remove(client.User(), c)
		c.app.sockjs.aliases.drop(c.alias, client.ID())
		c.app.stomps.Sessions.Add(-1)
		client.Gone(c.conn, reason, code, why)
	}
	return client
}

// recovered keeps a panic to the connection that met it.
func (c *stompClient) recovered() {
	p := recover()
	if p == nil {
		return
	}
	f := logs.Fields{"remote_ip": c.remote, "reason": fmt.Sprint(p), "stack": string(debug.Stack())}
	if client := c.known(); client != nil {
		f["session"] = client.ID()
		client.End(protocol.ReasonFailed, protocol.CloseFailed, "")
	} else {
		c.conn.Close(uint16(protocol.CloseFailed), string(protocol.ReasonFailed))
	}
	c.app.log.Error(logs.Unexpected, f)
}
